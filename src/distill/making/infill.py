"""Infilling: a passage of a recording made anew, so that it follows from what is before it and leads to what is after it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from distill.codes.extract import encode_blocks
from distill.durations import duration
from distill.errors import SettingError
from distill.making.drawing import Progress, Sampling, Steering, continue_codes
from distill.making.joins import cross_fade
from distill.making.level import LISTENED_SECONDS, at_level
from distill.making.openings import Openings
from distill.making.sampling import Voice, as_coded, check_count, fades_at_ends, rendered
from distill.models.model_file import Model

FADE_SECONDS = 0.02
"""Original and new sound are cross-faded over this long at both ends."""
SHORTEST_SECONDS = 0.05


@dataclass(frozen=True)
class Infill:
    """One recording with a new passage in it."""

    recording: np.ndarray
    """The recording as it was: float32 ``[C, N]`` at 48 kHz."""
    codes: Tensor
    """Around and in the passage: ``[S, Q]``."""
    first: int
    """The recording's sample at which ``codes`` begin."""
    start: int
    stop: int
    """The passage made anew, in samples of the recording."""
    seed: int
    sampling: Sampling
    voice: Voice | None = field(default=None, repr=False, compare=False)
    """None is the codec's."""
    gain: float = 1.0
    """What brings the recordings' level to that of this one (``level.py``)."""

    def blocks(self, model: Model) -> Iterator[np.ndarray]:
        """The same as :meth:`audio`, in blocks for a writer."""
        yield self.audio(model)

    def new_sound(self, model: Model) -> tuple[Tensor, Iterator[np.ndarray]]:
        """What is judged: the passage alone, codes ``[S, Q]`` and the sound in one block, at the level of the recordings."""
        hop = model.codec.hop
        first, stop = self.start // hop - self.first // hop, -(-self.stop // hop) - self.first // hop
        codes, voice = as_coded(self.codes, self.voice)
        sound = replace(self, codes=codes, voice=voice).audio(model)[:, self.start : self.stop]
        return codes[first:stop], iter([sound / np.float32(self.gain)])

    def audio(self, model: Model) -> np.ndarray:
        """The whole recording, float32 ``[C, N]``: outside of the passage every sample is the original's.

        A passage that reaches an end of the recording begins or ends as a new piece does.
        """
        samples = self.recording.shape[1]
        new = np.concatenate(list(rendered(model, self.codes, self.voice)), axis=1)[:, : samples - self.first]
        at = np.arange(self.first, self.first + new.shape[1])
        ends = {"begins": self.start == 0, "ends": self.stop == samples}
        new = at_level(new, self.gain) * fades_at_ends(at, samples, model.codec.sample_rate, **ends)
        old, result, passage = self.recording, self.recording.copy(), slice(self.start, self.stop)
        result[:, passage] = new[:, self.start - self.first : self.stop - self.first]
        fade = min(round(FADE_SECONDS * model.codec.sample_rate), (self.stop - self.start) // 2)
        into, out = slice(self.start, self.start + fade), slice(self.stop - fade, self.stop)
        if self.start > 0:
            result[:, into] = cross_fade(old[:, into], result[:, into])
        if self.stop < samples:
            result[:, out] = cross_fade(result[:, out], old[:, out])
        return result


def longest_passage(model: Model) -> float:
    """Seconds that can be made anew at once: two thirds of what the prior sees, so that it sees both sides."""
    return (2 * model.require_prior().config.context_positions // 3) / model.codec.frame_rate


def next_to(recording: np.ndarray, begin: float, end: float, rate: int) -> np.ndarray:
    """What is next to a passage (seconds) on both sides of a recording ``[C, N]``, put together."""
    near, start, stop = round(LISTENED_SECONDS * rate), round(begin * rate), round(end * rate)
    return np.concatenate([recording[:, max(0, start - near) : start], recording[:, stop : stop + near]], axis=1)


def infill(
    model: Model,
    recording: np.ndarray,
    begin: float,
    end: float,
    count: int = 1,
    sampling: Sampling | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    voice: Voice | None = None,
    *,
    gain: float = 1.0,
) -> list[Infill]:
    """Makes the seconds ``begin`` to ``end`` of a recording anew, ``count`` times; version ``i`` has seed ``seed + i``.

    Args:
        recording: float32 ``[C, N]`` at 48 kHz, in the codec's channels.
        voice: makes the passage sound in place of the codec's decoder.
        gain: brings the level of the model's recordings to that of this one, which is heard at theirs.

    Raises:
        MissingPriorError: if the model has no prior.
        SettingError: if the passage is not within the recording, or too short or too long, or ``count`` is out of range.
    """
    check_count(count)
    prior, codec = model.require_prior(), model.codec
    rate, hop, samples = codec.sample_rate, codec.hop, recording.shape[1]
    _check_passage(begin, end, samples / rate, longest_passage(model))
    start, stop = round(begin * rate), min(samples, round(end * rate))
    first_new, after_new = start // hop, -(-stop // hop)
    before, after = _sides(first_new, after_new, -(-samples // hop), prior.config.context_positions)
    codes = _codes_within(model, recording, first_new - before, after_new + after, gain)
    left, right = codes[:before].expand(count, -1, -1), codes[before + after_new - first_new :]
    openings = Openings(model)
    if before == 0:  # nothing before the passage: it opens like one of the recordings, which the model file keeps
        left = openings.codes(range(seed, seed + count))[:, None]
        first_new += 1
    sampling = sampling or Sampling()
    streams = [torch.Generator().manual_seed(seed + index) for index in range(count)]
    new = continue_codes(
        prior,
        left,
        after_new - first_new,
        sampling,
        streams,
        Steering.of_passage(model, openings.silent),
        ahead=right.expand(count, -1, -1) if len(right) else None,
        progress=progress,
    )
    first = (first_new - left.shape[1]) * hop
    return [
        Infill(
            recording=recording,
            codes=torch.cat([left[index], piece, right]),
            first=first,
            start=start,
            stop=stop,
            seed=seed + index,
            sampling=sampling,
            voice=voice,
            gain=gain,
        )
        for index, piece in enumerate(new)
    ]


def check_order(begin: float, end: float) -> None:
    """Refuses a passage that is in no recording, however long.

    Raises:
        SettingError: with what can be.
    """
    if not (begin >= 0 and SHORTEST_SECONDS <= end - begin < math.inf):
        raise SettingError(
            f"No passage from {begin:g} to {end:g} s can be replaced.",
            f"Choose --from and --to within the recording, {SHORTEST_SECONDS:g} s or more apart.",
        )


def _check_passage(begin: float, end: float, length: float, longest: float) -> None:
    """Refuses a passage that cannot be made anew; all in seconds, ``length`` of the recording.

    Raises:
        SettingError: with what can be.
    """
    if length < SHORTEST_SECONDS:
        raise SettingError(
            f"The recording lasts {duration(length)}; a passage in it must last {duration(SHORTEST_SECONDS)}.",
            "Take a longer one.",
        )
    if not (0 <= begin < end <= length + 1e-6 and SHORTEST_SECONDS <= end - begin <= longest):
        most = math.floor(100 * min(longest, length)) / 100  # rounded up it would be refused again
        raise SettingError(
            f"The passage from {begin:g} to {end:g} s of a recording of {length:.2f} s cannot be replaced.",
            f"Choose --from and --to within the recording, {SHORTEST_SECONDS:g} to {most:.2f} s apart.",
        )


def _sides(first_new: int, after_new: int, total: int, window: int) -> tuple[int, int]:
    """How many positions the prior sees before and after the passage ``first_new`` to ``after_new`` of ``total``.

    What one side does not need, because the recording ends there, the other may have.
    """
    spare = window - (after_new - first_new)
    before = min(first_new, max(spare // 2, spare - (total - after_new)))
    return before, min(total - after_new, spare - before)


def _codes_within(model: Model, recording: np.ndarray, first: int, stop: int, gain: float) -> Tensor:
    """Codes ``[stop - first, Q]`` of these positions of a recording ``[C, N]``, which the codec hears ``gain`` times softer.

    The codec needs its own context to either side to give the codes that the whole recording would give.
    """
    codec = model.codec
    low = max(0, first - codec.context)
    part = recording[:, low * codec.hop : (stop + codec.context) * codec.hop]
    return encode_blocks(codec, [part / np.float32(gain)], model.device)[first - low : stop - low]
