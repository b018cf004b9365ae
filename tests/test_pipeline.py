"""The pipeline's own promises: what is there already is not made worse."""

from pathlib import Path

import pytest

from distill import pipeline
from distill.audio.corpus import import_corpus
from distill.models.model_file import load_model
from distill.training import Notice, PriorValidation, TrainingEvent

CODEC = {"hidden_size": 16, "encoder_blocks": 1, "decoder_blocks": 1, "latent_size": 8, "codebook_size": 16}
PRIOR = {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "context": 64}


def test_a_worse_prior_does_not_replace_a_better_one(
    small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against an interrupted second training that destroys the first one's work."""
    monkeypatch.setattr("distill.training.vqvae_loop.MIN_STEPS_PER_EPOCH", 5)
    monkeypatch.setattr("distill.training.vqvae_loop.CONTINUOUS_STEPS", 2)
    path, log = tmp_path / "m.distill", tmp_path / "events.jsonl"
    pipeline.train_codec(small_corpus, path, log, config_changes=CODEC, epochs=4, device="cpu")
    good = pipeline.add_prior(path, small_corpus, log, config_changes=PRIOR, epochs=3, device="cpu")
    groups = {recording.name: recording.group for recording in import_corpus(small_corpus).recordings}
    assert {source.name: source.take for source in good.sources} == groups
    before = path.read_bytes()

    events: list[TrainingEvent] = []
    hopeless = PriorValidation(loss=15.0, level_losses=(15.0,) * 4)
    with monkeypatch.context() as spoilt:
        spoilt.setattr("distill.training.prior_loop.validate_prior_epoch", lambda *_: hopeless)
        kept = pipeline.add_prior(
            path, small_corpus, log, config_changes=PRIOR, epochs=1, device="cpu", callback=events.append
        )
    assert path.read_bytes() == before
    assert kept.header.prior_training == load_model(path).header.prior_training == good.header.prior_training
    assert any("is kept" in event.text for event in events if isinstance(event, Notice))

    perfect = PriorValidation(loss=0.1, level_losses=(0.1,) * 4)
    monkeypatch.setattr("distill.training.prior_loop.validate_prior_epoch", lambda *_: perfect)
    better = pipeline.add_prior(path, small_corpus, log, config_changes=PRIOR, epochs=1, device="cpu")
    assert path.read_bytes() != before
    assert better.header.prior_training != good.header.prior_training
