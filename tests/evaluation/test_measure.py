"""Measuring a codec: the figures, and Opus beside them."""

import dataclasses
import math
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import small_distill
from distill.audio.distance import MultiScaleMel, MultiScaleSTFT
from distill.codes.extract import encode_blocks
from distill.errors import ModelFileError
from distill.evaluation import codec_files, measure
from distill.evaluation.measure import Evaluation, evaluate, own_split
from distill.evaluation.opus import has_opus, through_opus
from distill.formats.files import read_audio
from distill.models import ConvVQVAE, Model, VQVAEConfig
from distill.models.header import CorpusRecord, new_header
from distill.models.model_file import Source
from distill.recordings.corpus import Corpus, import_corpus
from distill.recordings.passages import whole_recordings
from distill.recordings.split import SPLIT_RULE, split_corpus
from distill.report import gather
from distill.report.gather import as_grains_of_others, evaluation_report, reconstructions
from distill.report.sound import mel_picture
from distill.training.prior_data import split_of


def measured(model: Model, corpus: Corpus, with_opus: bool = True) -> Evaluation:
    return evaluate(model, corpus, own_split(model, corpus), with_opus=with_opus)


@pytest.fixture
def model(small_corpus: Path) -> Model:
    """Untrained, but as if it had learned from the small corpus."""
    corpus = import_corpus(small_corpus, channels=1)
    return small_distill.small_model(
        small_distill.small_codec(codebook_size=16),
        name="small",
        fingerprint=corpus.fingerprint,
        file_count=corpus.file_count,
        seconds=corpus.seconds,
        codec_training={"seed": 0},
    )


def test_a_recording_whose_codes_the_model_keeps_is_not_encoded_again(
    model: Model, small_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against minutes of encoding for a page of four sounds; a passage, or another level, is none of it."""
    corpus = import_corpus(small_corpus, channels=1)
    pairs = reconstructions(model, corpus, frozenset())
    encoded: list[int] = []

    def encode(codec: ConvVQVAE, blocks: Iterable[np.ndarray], device: torch.device) -> torch.Tensor:
        codes = encode_blocks(codec, blocks, device)
        encoded.append(len(codes))
        return codes

    monkeypatch.setattr(gather, "encode_blocks", encode)
    fresh = as_grains_of_others(model, corpus, pairs)
    assert len(encoded) == corpus.file_count
    whole = [encode_blocks(model.codec, one.blocks(1)) for one in whole_recordings(corpus.recordings)]
    sources = [
        Source(one.name, 0.0, False, codes, one.group, one.sha256, one.gain, one.mix)
        for one, codes in zip(corpus.recordings, whole, strict=True)
    ]
    encoded.clear()
    for kept, expected in zip(
        as_grains_of_others(dataclasses.replace(model, sources=(*sources,)), corpus, pairs), fresh, strict=True
    ):
        np.testing.assert_array_equal(kept, expected)
    assert not encoded
    sources[0] = dataclasses.replace(sources[0], codes=sources[0].codes[:-1])
    sources[1] = dataclasses.replace(sources[1], gain=0.5)
    sources[2] = dataclasses.replace(sources[2], start_seconds=1.0)
    as_grains_of_others(dataclasses.replace(model, sources=(*sources,)), corpus, pairs)
    assert encoded == [len(codes) for codes in whole[:3]]


def test_what_another_rule_held_out_is_not_guessed(model: Model, small_corpus: Path, tmp_path: Path) -> None:
    """Guards against recordings that a model was trained on and that are called held-out, as this version holds out others."""
    corpus = import_corpus(small_corpus, channels=1)
    assert own_split(model, corpus) == split_corpus(corpus)
    old = model.with_header(corpus=model.header.corpus.model_copy(update={"split_rule": 4}))
    for ask in (own_split, split_of):
        with pytest.raises(ModelFileError, match="by another rule") as refused:
            ask(old, corpus)
        assert "train it again" in refused.value.fix
    soundfile.write(tmp_path / "other.wav", np.random.default_rng(0).uniform(-0.1, 0.1, 48_000), 48_000)
    other = import_corpus(tmp_path)
    assert own_split(old, other) is None
    assert split_of(old, other) == split_corpus(other), "none of these was held out from it"


def test_channels_that_cancel_are_measured_and_drawn_by_their_sound(tmp_path: Path) -> None:
    """Guards against figures and pictures of silence: the mean of two channels that cancel."""
    one = 0.3 * np.sin(440 * 2 * np.pi * np.arange(48_000) / 48_000)
    soundfile.write(tmp_path / "over.wav", np.stack([one, -one], axis=1), 48_000)
    torch.manual_seed(0)
    config = VQVAEConfig(
        hidden_size=16,
        encoder_blocks=1,
        decoder_blocks=1,
        latent_size=4,
        codebook_size=16,
        channels=2,
        sketch_size=4,
    )
    codec = ConvVQVAE(config)
    codec.quantizer.set_codebooks(torch.randn(4, 16, 8))
    corpus = import_corpus(tmp_path, channels=2)
    record = CorpusRecord(fingerprint=corpus.fingerprint, file_count=1, seconds=1.0, split_seed=0)
    header = new_header("over", config, record, codec_training={"seed": 0})
    model = Model(header, codec.eval(), torch.ones(4, 16, dtype=torch.int64))
    (score,) = evaluate(model, corpus, None, with_opus=False).scores
    assert math.isfinite(score.kept), "its partial is looked for"
    (shown,) = reconstructions(model, corpus, frozenset())
    assert shown.mel_distance == pytest.approx(score.mel)
    over, same = (mel_picture(np.stack([one, sign * one]), 48_000) for sign in (-1, 1))
    np.testing.assert_allclose(over.decibels, same.decibels, atol=1e-3)


def test_a_reconstruction_replaces_nothing(model: Model, small_corpus: Path, tmp_path: Path) -> None:
    """Guards against a folder of one's own sounds that is given as --out, and against two at once in one folder."""
    (tmp_path / "take-0.wav").write_text("precious")
    written = codec_files.reconstruct_folder(model, small_corpus, tmp_path)
    assert (tmp_path / "take-0.wav").read_text() == "precious"
    assert [path.name for path in written] == ["take-0-2.wav", *(f"take-{number}.wav" for number in range(1, 6))]


def test_the_figures_are_those_of_the_files(model: Model, small_corpus: Path, tmp_path: Path) -> None:
    """Guards against a report that measures something nicer than what a person gets as files."""
    evaluation = measured(model, import_corpus(small_corpus, channels=1), with_opus=False)
    distance, distances = MultiScaleMel(48_000), []
    for path in codec_files.reconstruct_folder(model, small_corpus, tmp_path / "rebuilt"):
        made, original = (torch.from_numpy(read_audio(one, channels=1)) for one in (path, small_corpus / path.name))
        distances.append(float(distance(made, original)))
    assert np.mean(distances) == pytest.approx(evaluation.mean("mel"), abs=2e-3)
    assert len(distances) == len(evaluation.scores)


def test_held_out_and_trained_recordings_are_told_apart(model: Model, small_corpus: Path) -> None:
    """Guards against one mean that hides which recordings the codec had seen."""
    corpus = import_corpus(small_corpus, channels=1)
    evaluation = measured(model, corpus, with_opus=False)
    held_out = [score for score in evaluation.scores if score.is_held_out]
    assert 0 < len(held_out) < len(evaluation.scores)
    parts = [evaluation.mean("mel", held_out=True), evaluation.mean("mel", held_out=False)]
    sizes = [len(held_out), len(evaluation.scores) - len(held_out)]
    assert np.average(parts, weights=sizes) == pytest.approx(evaluation.mean("mel"))
    stranger = CorpusRecord(fingerprint="0" * 64, file_count=1, seconds=1, split_seed=0)
    elsewhere = model.with_header(corpus=stranger)
    foreign = measured(elsewhere, corpus, with_opus=False)
    assert not foreign.is_own_corpus
    assert not any(score.is_held_out for score in foreign.scores)
    assert ("corpus", "not the one it was trained on") in foreign.summary()


def test_of_a_long_recording_the_stretch_held_out_is_measured_apart(
    model: Model, noise: Callable[..., np.ndarray], save: Callable[..., Path], tmp_path: Path
) -> None:
    """Guards against calling a recording trained on though a stretch in its middle was held out."""
    save(tmp_path / "long" / "take.wav", noise(12.0))
    corpus = import_corpus(tmp_path / "long", channels=1)
    record = CorpusRecord(
        fingerprint=corpus.fingerprint, file_count=1, seconds=corpus.seconds, split_seed=0, split_rule=SPLIT_RULE
    )
    own = model.with_header(corpus=record)
    scores = measured(own, corpus, with_opus=False).scores
    assert [score.is_held_out for score in scores] == [False, False, True]
    assert [score.name.startswith("take.wav ") for score in scores] == [True] * 3
    assert sum(score.seconds for score in scores) < 12.0
    page = evaluation_report(own, corpus, own_split(own, corpus), measured(own, corpus, with_opus=False))
    assert [row[2] for row in page.rows] == ["", "", "yes"]


def test_equal_sounds_are_at_no_distance_and_a_tenth_is_one() -> None:
    """Guards against a distance with another logarithm or a missing mean."""
    distance = MultiScaleSTFT()
    sound = torch.randn(1, 8192, generator=torch.Generator().manual_seed(0))
    assert distance(sound, sound) == 0
    assert float(distance(0.1 * sound, sound)) == pytest.approx(1.0, abs=1e-3)


def test_hiss_in_silence_is_told(model: Model, small_corpus: Path) -> None:
    """Guards against a decoder whose biases hiss where nothing was recorded."""
    corpus = import_corpus(small_corpus, channels=1)
    with torch.no_grad():
        layers = (model.codec.decoder[2].tones.spectrum, model.codec.decoder[2].noise.levels)
        for layer in layers:
            layer.weight.zero_()
            layer.bias.fill_(-20.0)
        assert measured(model, corpus, with_opus=False).silence_db < -80
        for layer in layers:
            layer.bias.fill_(2.0)
        assert -60 < measured(model, corpus, with_opus=False).silence_db < 0


def test_without_opus_a_sentence_says_so(model: Model, small_corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    evaluation = measured(model, import_corpus(small_corpus, channels=1))
    assert evaluation.opus == ()
    assert "opus-tools" in evaluation.opus_note


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for opusenc is a shell script")
def test_an_opus_that_fails_is_a_note(
    model: Model, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against losing a whole evaluation to a broken tool beside it."""
    for tool in ("opusenc", "opusdec"):
        script = tmp_path / tool
        script.write_text("#!/bin/sh\necho out of luck >&2\nexit 3\n", encoding="utf-8")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    evaluation = measured(model, import_corpus(small_corpus, channels=1))
    assert evaluation.scores
    assert evaluation.opus == ()
    assert "out of luck" in evaluation.opus_note


@pytest.mark.skipif(not has_opus(), reason="opus-tools are not installed")
def test_opus_comes_back_aligned_at_the_rate_asked_for(tone: Callable[..., np.ndarray]) -> None:
    """Guards against a comparison shifted by the encoder's delay, or one that counts the container."""
    sound = tone(2.0)
    decoded, bits = through_opus(sound, 24)
    assert decoded.shape == sound.shape
    assert bits == pytest.approx(24_000, rel=0.05)
    assert np.corrcoef(decoded[0, 4800:-4800], sound[0, 4800:-4800])[0, 1] > 0.95


def test_a_long_recording_is_measured_from_its_beginning_only(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against an hour of sound in memory."""
    monkeypatch.setattr(measure, "MEASURED_SECONDS", 0.5)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 48_000).astype(np.float32)
    soundfile.write(tmp_path / "long.wav", noise, 48_000)
    evaluation = evaluate(model, import_corpus(tmp_path, channels=1), None, with_opus=False)
    assert [score.seconds for score in evaluation.scores] == [pytest.approx(0.5)]


def test_what_could_not_be_measured_is_not_a_figure(model: Model, small_corpus: Path) -> None:
    """Guards against "nan cents off" of a reconstruction that keeps no partial at all."""
    evaluation = measured(model, import_corpus(small_corpus, channels=1), with_opus=False)
    none_kept = {"kept": 0.0, "cents": float("nan"), "invented": 4.5, "movement": float("nan")}
    rows = dict(dataclasses.replace(evaluation, judged={"all": none_kept, "held_out": none_kept}).summary())
    assert rows["pitch, all"].startswith("0 % of the partials kept, 4.50 invented")
    assert "nan" not in " ".join(rows.values())
