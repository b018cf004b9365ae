"""One sample rate and one number of channels for the parts of a file that differ in them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from distill.audio.mixing import in_channels
from distill.audio.resampling import resampled
from distill.counted import some_of

_MOST_NAMED = 7


class Form(NamedTuple):
    """How sound is stored: ``sample_rate`` in Hz, ``channels`` as they are read."""

    sample_rate: int
    channels: int

    def __str__(self) -> str:
        channels = {1: "mono", 2: "stereo"}.get(self.channels, f"{self.channels} channels")
        return f"{self.sample_rate / 1000:g} kHz {channels}"


def common_form(forms: Iterable[Form]) -> Form:
    """The form in which the least is lost of any: the highest rate and the most channels, at most two."""
    forms = list(forms)
    return Form(max(form.sample_rate for form in forms), min(2, max(form.channels for form in forms)))


def frames_in(frames: int, own: Form, wanted: Form) -> int:
    """How many samples a part has in another form."""
    return round(frames * wanted.sample_rate / own.sample_rate)


def joined_in_words(forms: Sequence[Form], wanted: Form) -> str:
    """What is said of such a file."""
    told = list(dict.fromkeys(map(str, forms)))
    return f"Its parts differ ({some_of(told, _MOST_NAMED)}); all are converted to {wanted}."


def in_form(blocks: Iterable[np.ndarray], own: Form, wanted: Form) -> Iterator[np.ndarray]:
    """The blocks ``[n, C]`` of a part, of one or two channels, in another form; exactly ``frames_in`` samples, no block
    without any."""
    if own == wanted:
        yield from blocks
        return
    taken = given = 0

    def mixed() -> Iterator[np.ndarray]:
        """Before it is resampled: where channels are fewer then, that is less work."""
        nonlocal taken
        for block in blocks:
            taken += len(block)
            yield in_channels(block.T, wanted.channels, "mean").T

    for block in resampled(mixed(), own.sample_rate, wanted.sample_rate, wanted.channels):
        made = block[: frames_in(taken, own, wanted) - given]
        given += len(made)
        if len(made):
            yield made
    if rest := frames_in(taken, own, wanted) - given:
        yield np.zeros((rest, wanted.channels), np.float32)
