"""What the last seconds of a prior's training find out about new audio, so that it need not be found out each time."""

import dataclasses
from collections.abc import Callable, Sequence

from distill.audio.split import Passage
from distill.making import nearness, strength
from distill.making.beat import learn_bands
from distill.making.loudness import learn_loudness
from distill.making.openings import HEARD_SECONDS
from distill.models.header import BEAT_STRENGTH, UNMEASURED
from distill.models.model_file import Model
from distill.training.metrics import MetricsCallback, Notice


def with_bands(model: Model, passages: Sequence[Passage]) -> Model:
    """The model whose codes are lined up with how loud the bands of the recordings are; beat and loudness follow from it.

    New audio goes on from a second of a long recording, which files of before do not ask for.
    """
    bands = learn_bands(model.codec, passages, model.trained_on)
    heard_before = round(HEARD_SECONDS * model.codec.frame_rate)
    loudness = learn_loudness(model.codec, bands, model.trained_on)
    changes = {"bands": bands, "beat_strength": BEAT_STRENGTH, "heard_before": heard_before, "loudness": loudness}
    header = model.header.model_copy(update=changes)
    return dataclasses.replace(model, header=header)


def marked_unmeasured(model: Model) -> Model:
    """The model that says of itself that :func:`with_measures` is still to come."""
    training = {**(model.header.prior_training or {}), UNMEASURED: 1}
    return dataclasses.replace(model, header=model.header.model_copy(update={"prior_training": training}))


def with_measures(
    model: Model, passages: Sequence[Passage], tell: MetricsCallback, is_stopped: Callable[[], bool] = lambda: False
) -> Model | None:
    """The model that knows how firmly to hold the beat, and which voice is nearer to the recordings; both are told.

    Args:
        is_stopped: asked before each of the two, which take seconds.

    Returns:
        None if it was stopped.
    """
    if is_stopped():
        return None
    firmness = strength.measured_strength(model, passages)
    tell(Notice(strength.in_words(firmness)))
    model = dataclasses.replace(model, header=model.header.model_copy(update={"beat_strength": firmness}))
    if is_stopped():
        return None
    voices = nearness.measured(model, passages)
    too_little = "There is too little sound to compare the two voices with, so the codec's voice is used."
    tell(Notice(nearness.in_words(voices) if voices else too_little))
    return dataclasses.replace(model, header=model.header.model_copy(update={"voices": voices}))
