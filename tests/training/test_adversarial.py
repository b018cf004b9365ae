"""The codec's second stage: codes stay, the decoder learns, and a stop leaves nothing behind but a state to go on from."""

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distill.codes.extract import encode_blocks
from distill.errors import RankError, StateFileError, TrainingError
from distill.models import ConvVQVAE, VQVAEConfig
from distill.models.model_file import codec_fingerprint, codes_fingerprint
from distill.recordings.corpus import Corpus, import_corpus
from distill.recordings.passages import whole_recordings
from distill.training import adversarial, adversarial_start
from distill.training.adversarial import RefinementResult, refine_decoder, train_step
from distill.training.adversarial_networks import Networks
from distill.training.checkpoint import StateFile
from distill.training.device import make_fabric
from distill.training.metrics import (
    RefinementCompleteEvent,
    RefinementEpochMetrics,
    RefinementStepMetrics,
    TrainingEvent,
)
from distill.training.plan import RefinementPlan
from distill.training.schedule import Schedule
from distill.training.state_file import SavedState, load_state, read_values

CONFIG = VQVAEConfig(hidden_size=8, encoder_blocks=1, decoder_blocks=1, latent_size=2, codebook_size=16, sketch_size=2)
PLAN = RefinementPlan(
    epochs=2,
    batch_size=1,
    discriminator_width=4,
    least_steps=3,
    window_positions=16,
    validation_positions=32,
    device="cpu",
)


def make_codec(channels: int = 1) -> ConvVQVAE:
    torch.manual_seed(0)
    codec = ConvVQVAE(dataclasses.replace(CONFIG, channels=channels)).eval()
    codec.quantizer.set_codebooks(torch.randn(4, CONFIG.codebook_size, CONFIG.vector_size))
    return codec


@pytest.fixture
def corpus(save: Callable[..., Path], noise: Callable[..., np.ndarray], tmp_path: Path) -> Corpus:
    save(tmp_path / "short" / "a.wav", noise(1.0))
    return import_corpus(tmp_path / "short")


@pytest.fixture
def refine(corpus: Corpus, tmp_path: Path) -> Callable[..., RefinementResult]:
    def call(
        codec: ConvVQVAE, plan: RefinementPlan = PLAN, resumed: SavedState | None = None, **request: Any
    ) -> RefinementResult:
        return refine_decoder(codec, corpus, plan, state_file=StateFile(tmp_path / "state", resumed), **request)

    return call


def codes_of(codec: ConvVQVAE, corpus: Corpus) -> torch.Tensor:
    return encode_blocks(codec, whole_recordings(corpus.recordings)[0].blocks(codec.channels))


@pytest.mark.parametrize("channels", [1, 2])
def test_codes_stay_and_the_decoder_learns(channels: int, refine: Any, corpus: Corpus) -> None:
    codec = make_codec(channels)
    events: list[TrainingEvent] = []
    result = refine(codec, callback=events.append)
    for name, tensor in codec.state_dict().items():
        same = torch.equal(tensor, result.refined.state_dict()[name])
        assert same is not name.startswith("decoder."), name
    assert torch.equal(codes_of(codec, corpus), codes_of(result.refined, corpus))
    assert codes_fingerprint(codec) == codes_fingerprint(result.refined)
    assert codec_fingerprint(codec) == codec_fingerprint(result.first) != codec_fingerprint(result.refined)
    assert not any(parameter.requires_grad for parameter in result.codec.parameters())

    steps = [event for event in events if isinstance(event, RefinementStepMetrics)]
    epochs = [event for event in events if isinstance(event, RefinementEpochMetrics)]
    assert [event.step for event in steps] == list(range(1, len(steps) + 1))
    assert steps[-1].progress == 1.0
    assert [event.epoch for event in epochs] == [1, 2]
    assert epochs[-1].mel_loss == pytest.approx(sum(event.mel_loss for event in steps if event.epoch == 2) / 3)
    assert isinstance(events[-1], RefinementCompleteEvent)
    assert result.curves["val_mel"] == [event.val_mel for event in epochs]


def test_the_mel_distance_falls(refine: Any) -> None:
    """Guards against a loss with the wrong sign and an average that never follows."""
    result = refine(make_codec(), dataclasses.replace(PLAN, epochs=3, least_steps=15, learning_rate=5e-3))
    assert result.is_kept
    assert result.mel_after < 0.97 * result.mel_before
    assert result.curves["mel_loss"][-1] < 0.9 * result.curves["mel_loss"][0]


def test_resumed_equals_uninterrupted(refine: Any, tmp_path: Path) -> None:
    codec = make_codec()
    whole_events: list[TrainingEvent] = []
    whole = refine(codec, callback=whole_events.append)

    cancel = threading.Event()
    events: list[TrainingEvent] = []

    def stop(event: TrainingEvent) -> None:
        events.append(event)
        if isinstance(event, RefinementStepMetrics) and event.step == 4:
            cancel.set()

    stopped = refine(codec, callback=stop, cancel_event=cancel)
    assert stopped.cancelled
    assert not stopped.is_kept
    state = load_state(tmp_path / "state", RefinementPlan.STATE_KIND)
    assert (state.values["schedule"]["step"], state.values["epoch"], state.values["sums"]["step"]) == (4, 1, 1)
    torch.manual_seed(99)  # what another process would have drawn meanwhile
    rest = refine(codec, resumed=state, callback=events.append)

    assert rest.steps == whole.steps == 6
    assert rest.curves == whole.curves
    assert rest.seconds_taken > state.values["schedule"]["elapsed_s"]
    for name, tensor in whole.refined.state_dict().items():
        assert torch.equal(tensor, rest.refined.state_dict()[name]), name
    measured = [
        [(event.step, event.learning_rate, event.mel_loss, event.discriminator_loss) for event in one]
        for one in (
            [event for event in all_events if isinstance(event, RefinementStepMetrics)]
            for all_events in (whole_events, events)
        )
    ]
    assert measured[0] == measured[1]


def test_with_a_larger_batch_the_epochs_are_as_many(refine: Any, tmp_path: Path) -> None:
    """Guards against a stage that is over at once, or an epoch that never ends, as it is resumed behind the last step that it
    has now: one of several ranks or of a larger batch has fewer."""
    plan, cancel = dataclasses.replace(PLAN, least_steps=1), threading.Event()

    def stop(event: TrainingEvent) -> None:
        if isinstance(event, RefinementStepMetrics) and event.step == 2:
            cancel.set()

    refine(make_codec(), plan, callback=stop, cancel_event=cancel)
    state = load_state(tmp_path / "state", RefinementPlan.STATE_KIND)
    assert (state.values["epoch"], state.values["sums"]["step"]) == (0, 2), "an epoch was to have more steps"
    rest = refine(make_codec(), dataclasses.replace(plan, batch_size=8), resumed=state)
    assert (rest.epochs_trained, len(rest.curves["val_mel"])) == (2, 2)


def test_what_goes_on_is_compared_with_the_first_stage(refine: Any, tmp_path: Path) -> None:
    """Guards against a page whose figures of "before" are those of the decoder that was refined already."""
    whole = refine(make_codec())
    state = load_state(tmp_path / "state", RefinementPlan.STATE_KIND)
    again = refine(whole.refined, resumed=state)
    assert again.figures_before == pytest.approx(whole.figures_before, nan_ok=True)
    assert again.figures_after == pytest.approx(whole.figures_after, nan_ok=True)
    assert again.is_kept == whole.is_kept


def test_the_state_is_saved_on_the_way(refine: Any, tmp_path: Path) -> None:
    """Guards against a state that only a polite end writes: a power cut would cost the night."""
    steps_saved = []

    def look(event: TrainingEvent) -> None:
        if isinstance(event, RefinementStepMetrics) and (tmp_path / "state").exists():
            steps_saved.append(read_values(tmp_path / "state", RefinementPlan.STATE_KIND)["schedule"]["step"])

    refine(make_codec(), dataclasses.replace(PLAN, save_every_s=0.0), callback=look)
    assert steps_saved == [1, 2, 3, 4, 5]


def test_a_rank_that_is_lost_while_an_epoch_is_measured_costs_none_of_it(
    refine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a state that is saved only if the rank is lost in the middle of a step, and against an epoch that has no
    end where it goes on behind its last step."""

    def lost(*_: Any) -> None:
        raise RankError("The training lost rank 1 of 2.", "See what happened there.")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(adversarial, "figures_by_first", lost)
        with pytest.raises(RankError):
            refine(make_codec())
    state = load_state(tmp_path / "state", RefinementPlan.STATE_KIND)
    assert state.values["sums"]["step"] == PLAN.least_steps
    assert refine(make_codec(), resumed=state).epochs_trained == 2


def test_a_state_of_another_model_or_folder_is_refused(
    refine: Any, corpus: Corpus, tmp_path: Path, save: Any, noise: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards, too, against other ranks that are told to take part in what is refused, and against a plan that holds out other
    recordings than it began with."""
    refine(make_codec())
    state = load_state(tmp_path / "state", RefinementPlan.STATE_KIND)
    other = make_codec()
    other.quantizer.set_codebooks(torch.zeros(4, 16, 4))
    save(tmp_path / "elsewhere" / "b.wav", noise(1.0, seed=5))
    elsewhere = import_corpus(tmp_path / "elsewhere")
    with monkeypatch.context() as alone:
        alone.setattr(adversarial_start, "order_refinement", lambda *_: pytest.fail("it has begun"))
        with pytest.raises(StateFileError, match="another codec"):
            refine(other, resumed=state)
        with pytest.raises(StateFileError, match="another folder"):
            refine_decoder(make_codec(), elsewhere, PLAN, state_file=StateFile(None, state))
    with pytest.raises(StateFileError, match="began with seed 0, and now 3 is given"):
        refine(make_codec(), dataclasses.replace(PLAN, seed=3), resumed=state)
    with pytest.raises(StateFileError, match="does not fit"):
        refine(make_codec(), resumed=dataclasses.replace(state, parts={**state.parts, "discriminator": {}}))


def step_on(audio: torch.Tensor) -> tuple[dict[str, float], bool, Networks]:
    """One step of a new stage on that batch."""
    fabric = make_fabric("cpu")
    networks = Networks.of(make_codec(), PLAN, fabric)
    state = networks.state(Schedule(100, epochs=1, minutes=None, peak_rate=1e-3))
    plan = dataclasses.replace(PLAN, discriminator_first_steps=0)
    return *train_step(state, audio, plan, networks, fabric), networks


def test_a_loss_that_is_not_finite_never_reaches_an_optimizer() -> None:
    _, finite, networks = step_on(torch.full((1, 1, 16 * CONFIG.hop), torch.nan))
    assert not finite
    assert not networks.decoder_optimizer.state_dict()["state"]
    assert not networks.discriminator_optimizer.state_dict()["state"]


def test_losses_that_stay_not_finite_end_the_stage(corpus: Corpus) -> None:
    nothing = (dataclasses.replace(one, audio=one.audio * np.float32(np.nan)) for one in corpus.recordings)
    with pytest.raises(TrainingError, match="not finite"):
        refine_decoder(make_codec(), dataclasses.replace(corpus, recordings=tuple(nothing)), PLAN)


def test_one_bad_batch_is_stepped_over(refine: Any, spoil: Callable[..., None]) -> None:
    spoil((0, 1))
    result = refine(make_codec())
    assert all(bool(torch.isfinite(tensor).all()) for tensor in result.refined.state_dict().values())
    assert np.isfinite(result.curves["mel_loss"]).all()


def test_silence_is_no_trouble() -> None:
    losses, finite, networks = step_on(torch.zeros(1, 1, 16 * CONFIG.hop))
    assert finite
    assert np.isfinite(list(losses.values())).all()
    assert networks.decoder_optimizer.state_dict()["state"], "the decoder has stepped"


def test_a_stage_that_fails_keeps_the_first(refine: Any) -> None:
    result = refine(make_codec(), dataclasses.replace(PLAN, worst_mel=0.0))
    assert not result.cancelled
    assert result.codec is result.first


def test_minutes_end_it(refine: Any) -> None:
    result = refine(make_codec(), dataclasses.replace(PLAN, epochs=None, minutes=0.01))
    assert not result.cancelled
    assert 0.3 < result.seconds_taken < 10
