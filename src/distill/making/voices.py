"""Two voices for the same codes: the codec's decoder, and grains of the recordings themselves.

The decoder renders everything, also what lies between the recordings. The recordings' voice needs them, and sounds as they do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from distill.codes.extract import decode_chunks
from distill.counted import some_of
from distill.errors import AudioFileError, SettingError
from distill.making.choice import Choice
from distill.making.grains import JOIN_COST, Bank, Grain, choose
from distill.making.joins import ROOM, Placed, render
from distill.making.recordings import Replaced, find_recordings, without
from distill.making.threads import one_thread
from distill.models.header import known
from distill.models.model_file import Model
from distill.training.metrics import MetricsCallback
from distill.training.notices import ignore, noticing

_PART = 512
"""Positions whose nearest places are looked up at once."""
_REMEMBERED = 64
"""Pieces whose grains are kept: judging, writing and showing one ask for them three times."""
_DEAREST = 1e3
"""A join that costs more is as good as forbidden, and a sum of far larger costs would no longer tell places apart."""
_MOST_KEPT_SECONDS = 60
"""How much sound the codec's voice keeps, 23 MB in stereo: a piece is judged, then written."""


@dataclass(frozen=True)
class VoiceSettings:
    """Which voice renders the codes, and how."""

    choice: Choice = Choice.AUTO
    longest_seconds: float = 1.0
    """How long a stretch of one recording may be in the recordings' voice (part of the originality dial)."""
    join_factor: float = 1.0
    """Factor on the cost of a join that suits the model (also part of the dial): cheaper joins make shorter quotes."""
    recordings: Path | None = None
    """Where the recordings are now, if not where they were."""
    edit_list: bool = False
    """Whether a project for a DAW is written beside each piece of the recordings' voice."""


class CodecVoice:
    """Codes rendered by the codec, which need not render them again when it has just done so.

    What was rendered longest ago is forgotten first. What is asked for again after that is not kept a second time: pieces are
    all judged and then all written, and each would push out the next.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._most = int(_MOST_KEPT_SECONDS * model.codec.frame_rate)
        self._kept: dict[bytes, tuple[int, tuple[np.ndarray, ...]]] = {}
        """Positions and blocks of sound by the digest of the codes, the oldest first."""
        self._forgotten: set[bytes] = set()

    def blocks(self, codes: Tensor) -> Iterator[np.ndarray]:
        """The sound of codes ``[S, Q]``: float32 ``[C, n]`` a block, ``S · hop`` samples in all."""
        key = sha256(codes.numpy().tobytes()).digest()
        if key not in self._kept:
            blocks = decode_chunks(self._model.codec, codes, self._model.device)
            if key in self._forgotten or len(codes) > self._most:
                yield from blocks
                return
            self._make_room(len(codes))
            self._kept[key] = len(codes), tuple(blocks)
        yield from self._kept[key][1]

    def as_coded(self, codes: Tensor) -> "tuple[Tensor, CodecVoice]":
        """The same codes ``[S, Q]``, in this voice."""
        return codes, self

    def _make_room(self, positions: int) -> None:
        while self._kept and sum(kept for kept, _ in self._kept.values()) + positions > self._most:
            oldest = next(iter(self._kept))
            del self._kept[oldest]
            self._forgotten.add(oldest)


class RecordingsVoice:
    """Codes rendered by grains of recordings.

    Args:
        longest_seconds: how long one grain may be heard, with its fades.
        join_cost: what a join costs at least (``grains.py``).
    """

    def __init__(
        self, bank: Bank, channels: int, sample_rate: int, longest_seconds: float, join_cost: float = JOIN_COST
    ) -> None:
        self.bank, self._channels, self._join_cost = bank, channels, join_cost
        self.longest_positions = max(1, int(longest_seconds * sample_rate - 2 * ROOM) // bank.hop)
        self._chosen: dict[bytes, tuple[Grain, ...]] = {}

    def blocks(self, codes: Tensor) -> Iterator[np.ndarray]:
        """The sound of codes ``[S, Q]``: float32 ``[C, n]`` a block, ``S · hop`` samples in all."""
        for block, _ in render(self.bank.stretches, self.grains(codes), self.bank.hop, self._channels):
            yield block

    def placed(self, codes: Tensor) -> tuple[Placed, ...]:
        """Every grain of the sound of codes ``[S, Q]``, as it is heard there."""
        rendered = render(self.bank.stretches, self.grains(codes), self.bank.hop, self._channels)
        return tuple(grain for _, grains in rendered for grain in grains)

    def as_coded(self, codes: Tensor) -> tuple[Tensor, None]:
        """The recordings' own codes ``[S, Q]`` at the places that are played for these, in the codec's voice."""
        stretches = self.bank.stretches
        played = [
            stretches[one.stretch].codes[one.position : one.position + one.positions] for one in self.grains(codes)
        ]
        return torch.cat(played), None

    def grains(self, codes: Tensor) -> tuple[Grain, ...]:
        """The grains that render codes ``[S, Q]``."""
        key = codes.numpy().tobytes()
        if key not in self._chosen:
            while len(self._chosen) >= _REMEMBERED:
                del self._chosen[next(iter(self._chosen))]
            # Batches this small a second thread hardly helps with, and waiting for each other costs more than it saves.
            with one_thread():
                grains = choose(self.bank, torch.split(codes, _PART), self.longest_positions, join_cost=self._join_cost)
                self._chosen[key] = tuple(grains)
        return self._chosen[key]


def join_cost_of(model: Model) -> float:
    """What a join costs at least, as it was measured for the model; the usual where its file does not say, or says nonsense."""
    cost = known(model.header.voices.get("join_cost"))
    return JOIN_COST if cost is None else min(max(cost, 0.0), _DEAREST)


def voice_of(
    model: Model, settings: VoiceSettings, callback: MetricsCallback = ignore, replaced: Replaced | None = None
) -> RecordingsVoice | None:
    """The voice a person gets; None is the codec's own.

    Args:
        replaced: what the recordings' voice does not quote: a passage is not to be replaced by itself.

    Raises:
        AudioFileError: if the recordings' voice was asked for and none of them is there.
        SettingError: if an edit list is asked for of the codec's voice.
    """
    choice, folder, tell = settings.choice, settings.recordings, noticing(callback, is_warning=True)
    if settings.edit_list and choice == Choice.CODEC:
        raise SettingError(
            "The codec's voice uses no recordings, so there are no grains to list.", "Leave out --edl or --voice codec."
        )

    if choice == Choice.CODEC or (choice == Choice.AUTO and model.header.nearer_voice != Choice.RECORDINGS):
        if settings.edit_list:
            tell("The piece is in the codec's voice, so there is no edit list; --voice recordings writes one.")
        if folder is not None:
            tell("--recordings has no effect: the codec's voice is used.")
        return None

    and_no_list = ", so there is no edit list" if settings.edit_list else ""
    found = find_recordings(model, folder, callback, with_files=settings.edit_list)
    if not found.stretches:
        what = f"None of the recordings that '{model.header.name}' learned from is in its place or in the cache."
        if choice == Choice.RECORDINGS:
            raise AudioFileError(
                what, "Say where they are with --recordings FOLDER, or make new audio with --voice codec."
            )
        tell(f"{what} The codec's voice is used instead{and_no_list}; --recordings FOLDER says where they are.")
        return None
    if found.missing:
        tell(f"{found.words} Only the others are used; --recordings FOLDER says where they are.")
    codec = model.codec
    stretches = found.stretches
    if replaced is not None:
        stretches = without(stretches, replaced, codec.sample_rate, codec.hop)
        if not stretches:
            tell(
                f"Nothing of the recordings is left beside the passage: the codec's voice is used for it{and_no_list}."
            )
            return None
    if settings.edit_list and (silent := dict.fromkeys(one.name for one in stretches if one.path is None)):
        tell(
            f"No file of {some_of(tuple(silent))} was found, so the grains from there are silent in the Reaper project; "
            "--recordings FOLDER says where they are."
        )
    bank = Bank.of(model, stretches)
    join_cost = settings.join_factor * join_cost_of(model)
    return RecordingsVoice(bank, codec.channels, codec.sample_rate, settings.longest_seconds, join_cost)
