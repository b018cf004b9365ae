"""What the last seconds of a prior's training find out about new audio, so that it need not be found out each time.

weights of a few epochs ──draw, hear──▶ the nearest ──▶ how firmly it holds the beat ──▶ its balance ──▶ level ──▶ voices
"""

import copy
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from typing import Any

from distill.audio.rate import SAMPLE_RATE
from distill.making import nearness, strength
from distill.making.balance import measured_balance
from distill.making.beat import learn_bands
from distill.making.lean import measured_lean
from distill.making.loudness import learn_loudness
from distill.making.openings import HEARD_SECONDS
from distill.making.tolls import with_tolls
from distill.models.header import ASSUMED, BEAT_STRENGTH, UNMEASURED
from distill.models.model_file import Model, save_model
from distill.models.prior import CodePrior
from distill.recordings.passages import Passage
from distill.runs.journal import Recorded
from distill.training.budget import WHOLE_CLOSING, Closing
from distill.training.candidates import Candidate
from distill.training.metrics import MetricsCallback, Notice, PriorChosenEvent

_NOT_MEASURED: dict[str, Any] = {"beat_strength": BEAT_STRENGTH, "loudness_lean": 0.0, "balance": ()}
"""What is measured of a prior's weights, as it is in the header until then."""


def _in_order(model: Model, passages: Sequence[Passage]) -> list[Passage]:
    """The passages in the order of ``model.trained_on``, beside which they are read from here on.

    They come in the order of the recordings' names, which may have changed since the codes were made.
    """
    places = {(one.sha256, round(one.start_seconds * SAMPLE_RATE)): at for at, one in enumerate(model.trained_on)}
    return sorted(passages, key=lambda one: places.get((one.recording.sha256, one.start), len(places)))


def _with_bands(model: Model, passages: Sequence[Passage]) -> Model:
    """The model whose codes are lined up with how loud the bands of the recordings are; beat and loudness follow from it.

    New audio continues from a second of a long recording; model files of earlier versions do not ask for that.
    """
    bands = learn_bands(model.codec, passages, model.trained_on)
    heard_before = round(HEARD_SECONDS * model.codec.frame_rate)
    loudness = learn_loudness(model.codec, bands, model.trained_on)
    return model.with_header(bands=bands, heard_before=heard_before, loudness=loudness, **_NOT_MEASURED)


def _with_earlier_voices(model: Model, before: Model) -> Model:
    """The model with what its grains cost before, which belongs to the figures of the voices; of other recordings neither
    holds."""

    def stretches(one: Model) -> list[tuple[str, float, int]]:
        return [(source.sha256, source.start_seconds, len(source.codes)) for source in one.trained_on]

    if stretches(model) != stretches(before):
        return model.with_header(voices={})
    return with_tolls(model, [source.tolls for source in before.trained_on])


def _marked_unmeasured(model: Model) -> Model:
    """The model that says of itself that :func:`with_measures` is still to come."""
    training = {**(model.header.prior_training or {}), UNMEASURED: 1}
    return model.with_header(prior_training=training)


def _with_assumed_voice(model: Model) -> Model:
    """The model whose new audio is in the recordings' voice, unless both voices were compared before.

    Grains need no well-trained decoder: after short trainings they came nearer, mostly by far (docs/voices.md).
    """
    if model.header.is_voice_measured:
        return model
    return model.with_header(voices={"nearer": "recordings", ASSUMED: 1})


def _tell_unmeasured(model: Model, before: Model, tell: MetricsCallback, *, is_timed: bool) -> None:
    """Says that nothing is measured of a model and why, what no longer holds of what was, and which voice it has."""
    why = (
        "only priors that train for a minute or more have time for that"
        if is_timed
        else "a prior that trains by epochs leaves no time for that; one that is given a minute or more does"
    )
    if any(getattr(before.header, name) != unknown for name, unknown in _NOT_MEASURED.items()):
        tell(
            Notice(
                "How firmly to hold the beat, how evenly new audio uses your recordings and how loud it is were measured with "
                f"the prior's earlier weights. That does not hold for the new ones and was not measured again, as {why}."
            )
        )
    if model.header.is_voice_measured:
        words = (
            "Which voice is nearer, and what grains cost, stay as they were measured with the prior's earlier weights."
        )
    else:
        words = (
            f"The two voices were not compared, as {why}. New audio will be in the recordings' voice, which is the nearer one "
            "after short trainings. --voice overrides this."
        )
    tell(Notice(words))


def with_measures(
    model: Model,
    passages: Sequence[Passage],
    tell: MetricsCallback,
    is_stopped: Callable[[], bool] = lambda: False,
    candidates: Sequence[Candidate] = (),
    closing: Closing = WHOLE_CLOSING,
) -> Model | None:
    """The model with the weights that sound nearest to the recordings, which knows how firmly to hold the beat, how much
    of new audio is to be like each of them, how loud to be, what its grains cost, and which voice is nearer; all are told.

    Args:
        passages: the ones it was trained on, in the order of ``model.trained_on``.
        is_stopped: asked before each of them, which take seconds.
        candidates: the weights to choose among. With fewer than two, or too little sound to judge by, the model keeps its own.
        closing: what there is time for besides the beat, the level and both voices. That there is none for the balance and for
            what grains cost is told.

    Returns:
        None if it was stopped.
    """
    reference = nearness.reference_of(model, passages)
    if closing.hears and len(candidates) > 1 and reference.windows >= nearness.FEWEST_WINDOWS:
        chosen = _with_nearest(model, candidates, reference, tell, is_stopped)
        if chosen is None:
            return None
        model = chosen
    if is_stopped():
        return None
    model = _with_strength(model, passages, tell)
    if is_stopped():
        return None
    if closing.evens:
        balance = measured_balance(model)
        if balance is not None:
            tell(Notice(balance.in_words))
            model = model.with_header(balance=balance.nats)
    else:
        tell(
            Notice(
                "How evenly new audio uses your recordings was not measured: a training this short leaves no time for it."
            )
        )
    if is_stopped():
        return None
    leaning = measured_lean(model)
    if leaning is not None:
        tell(Notice(leaning.in_words))
        model = model.with_header(loudness_lean=leaning.nats)
    if is_stopped():
        return None
    return _with_voices(model, passages, reference, tell, evens=closing.evens)


def with_measures_of_decoder(
    model: Model, passages: Sequence[Passage], tell: MetricsCallback, is_stopped: Callable[[], bool] = lambda: False
) -> Model | None:
    """The model that knows how firmly to hold the beat and which voice is nearer with its decoder as it is now; both are told.

    Balance, lean, and what grains cost are measured of codes, which mean the same with every decoder; they stay.

    Args:
        passages: the ones it was trained on, in any order.
        is_stopped: asked before each of the two, which take seconds.

    Returns:
        None if it was stopped.
    """
    if is_stopped():
        return None
    passages = _in_order(model, passages)
    model = _with_strength(model, passages, tell)
    if is_stopped():
        return None
    return _with_voices(model, passages, nearness.reference_of(model, passages), tell, evens=False)


def _with_strength(model: Model, passages: Sequence[Passage], tell: MetricsCallback) -> Model:
    firmness = strength.measured_strength(model, passages)
    tell(Notice(strength.in_words(firmness)))
    return model.with_header(beat_strength=firmness)


def _with_voices(
    model: Model, passages: Sequence[Passage], reference: nearness.Reference, tell: MetricsCallback, *, evens: bool
) -> Model:
    """The model that knows which voice is nearer and, where it ``evens``, what its grains cost."""
    voices = nearness.compared(model, passages, reference, evens=evens)
    if voices is None:
        tell(Notice("There is too little sound to compare the two voices, so the codec's voice is used."))
        return model.with_header(voices={})
    for sentence in (*([voices.tolls.in_words] if evens else []), nearness.in_words(voices.figures)):
        tell(Notice(sentence))
    if (share := nearness.quotable_share(passages)) < 1:
        tell(
            Notice(
                f"What new audio nearly repeats was looked for in the first {100 * share:.0f} % of each recording, an hour in "
                "all; there may be more of it."
            )
        )
    return with_tolls(model, voices.tolls.of_stretches).with_header(voices=voices.figures)


def closed_and_saved(
    model: Model,
    path: Path,
    passages: Sequence[Passage],
    record: Recorded,
    cancel_event: Event,
    candidates: Sequence[Candidate],
    closing: Closing,
    *,
    before: Model,
    is_timed: bool,
    is_cut_short: bool,
) -> Model:
    """A model whose prior has just been trained, with all that new audio needs to know; written to ``path``.

    Args:
        passages: the ones it was trained on, in any order.
        candidates: the weights to choose among by what is heard.
        closing: what there is time for. Where it is not :func:`with_measures`, what was measured of the voices stays as long as
            the recordings do, and otherwise theirs is assumed; either is told.
        before: the model before the training, with what was measured of it.
        is_timed: whether the training had minutes, for what is told.
        is_cut_short: whether the training was stopped before its end: the measures then wait until it has gone on.
    """
    passages = _in_order(model, passages)
    model = _with_earlier_voices(_with_bands(model, passages), before)
    if not closing.measures:
        _tell_unmeasured(model, before, record.tell, is_timed=is_timed)
        closed = _with_assumed_voice(model)
    elif is_cut_short:
        closed = _marked_unmeasured(_with_assumed_voice(model))
    else:
        return _measured_and_saved(model, path, passages, record, cancel_event.is_set, candidates, closing)
    save_model(path, closed)
    return closed


def _measured_and_saved(
    model: Model,
    path: Path,
    passages: Sequence[Passage],
    record: Recorded,
    is_stopped: Callable[[], bool],
    candidates: Sequence[Candidate],
    closing: Closing,
) -> Model:
    """The model :func:`with_measures`, written to ``path``; where they are stopped, without them, which is told.

    It is written before they begin, too: whatever ends them, the file says what is still to be done.
    """
    unmeasured = _marked_unmeasured(_with_assumed_voice(model))
    save_model(path, unmeasured)
    record.can_go_on = True
    measured = with_measures(model, passages, record.tell, is_stopped, candidates, closing)
    if measured is None:
        record.tell(
            Notice("The prior is trained, but which voice is nearer has not been measured yet; going on does that.")
        )
        return unmeasured
    record.can_go_on = False
    save_model(path, measured)
    return measured


def _with_nearest(
    model: Model,
    candidates: Sequence[Candidate],
    reference: nearness.Reference,
    tell: MetricsCallback,
    is_stopped: Callable[[], bool],
) -> Model | None:
    """The model with the candidate's weights whose new audio, drawn without a beat, is nearest in the codec's voice."""
    free = model.with_header(beat_strength=0.0)
    heard = []
    for candidate in candidates:
        if is_stopped():
            return None
        trial = dataclasses.replace(free, prior=_prior_of(model, candidate))
        heard.append(nearness.by_codecs_voice(trial, reference)[1])
    nearest = min(range(len(heard)), key=lambda place: heard[place].distance)
    chosen = candidates[nearest]
    tell(PriorChosenEvent(chosen.epoch, chosen.perplexity, _in_words(candidates, heard, nearest)))
    kept = {"kept_epoch": chosen.epoch, "kept_perplexity": chosen.perplexity}
    training = {**(model.header.prior_training or {}), **kept}
    return dataclasses.replace(model.with_header(prior_training=training, digest=None), prior=_prior_of(model, chosen))


def _prior_of(model: Model, candidate: Candidate) -> CodePrior:
    """The model's prior with the candidate's weights; its own stays as it is."""
    prior = copy.deepcopy(model.require_prior())
    prior.load_state_dict(candidate.weights)
    return prior


def _in_words(candidates: Sequence[Candidate], heard: Sequence[nearness.Nearness], nearest: int) -> str:
    others = sorted(one.frechet for place, one in enumerate(heard) if place != nearest)
    apart = " to ".join(dict.fromkeys(nearness.in_digits(one) for one in (others[0], others[-1])))
    least = heard[nearest].frechet
    why = "; how it moves, what it repeats and its beat count too" if others[0] < least else ""
    return (
        f"Of {len(candidates)} epochs with similar loss, epoch {candidates[nearest].epoch} made the new audio nearest to the "
        f"recordings (Fréchet distance {nearness.in_digits(least)}; the others {apart}{why}), so its weights are used."
    )
