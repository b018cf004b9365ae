"""What a codec sounds like while it trains: held-out passages, and their reconstructions at several steps.

    runs/NAME-DATE/listening/passages.json          name and seconds of each passage, by its number
    runs/NAME-DATE/listening/0/original.flac        the passage
    runs/NAME-DATE/listening/0/codec-00000312.flac  its reconstruction after 312 steps

Written whenever the state is saved, so that whoever follows a run can listen to it without PyTorch: the dashboard plays files.
Two passages of some seconds cost a hundredth of the time between two states. Reading them needs no PyTorch either.
"""

import contextlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from distill.audio.rate import SAMPLE_RATE
from distill.errors import LibraryError, OutputError
from distill.files.atomic import write_json
from distill.formats.writing import write_audio
from distill.recordings.passages import Passage, Split
from distill.training.metrics import MetricsCallback, Notice

if TYPE_CHECKING:
    import torch

    from distill.models.config import VQVAEConfig
    from distill.training.checkpoint import StateFile

FOLDER = "listening"
PASSAGES, PASSAGE_SECONDS = 2, 6.0
"""How many passages there are, and the most of each."""
KEPT = 6
"""At most so many reconstructions of a stage stay; of more, those nearest in steps to their neighbours go."""
_STAGES = ("codec", "refinement")


@dataclass(frozen=True)
class Moment:
    """The reconstruction of a passage at some step."""

    stage: str
    """``codec`` or ``refinement``."""
    step: int
    file: Path


@dataclass(frozen=True)
class Heard:
    """A passage with its moments, in the order in which they were written."""

    name: str
    seconds: float
    original: Path
    moments: tuple[Moment, ...]
    is_held_out: bool
    """Whether it was held out; runs of earlier versions do not say, and count as such."""


class Listening:
    """Writes the passages into a run's folder.

    Args:
        run_folder: nothing is written without it; of several processes the first writes.
        stage: ``codec`` or ``refinement``.
        held_out: what was held out; where nothing was, what is trained on.
        channels: of the codec.
        hop: samples of a code position.
        tell: gets a notice if the disk refuses; training goes on.
        is_held_out: whether ``held_out`` was held out.
    """

    def __init__(
        self,
        run_folder: Path | None,
        stage: str,
        held_out: Sequence[Passage],
        *,
        channels: int,
        hop: int,
        tell: MetricsCallback,
        is_held_out: bool = True,
    ) -> None:
        from distill.models import ranks  # with PyTorch, which whoever reads does without

        self._folder = None if run_folder is None or not ranks.leads() else run_folder / FOLDER
        self._stage, self._tell, self._is_held_out = stage, tell, is_held_out
        self._passages = _chosen(held_out, channels, hop) if self._folder is not None else []
        self._is_begun = False

    def begin(self) -> None:
        """Writes the passages as they are, so that they are there before there is anything to compare them with."""
        if self._folder is None:
            return
        try:
            self._write_originals(self._folder)
        except OutputError as error:
            self._tell(_not_written(error))

    @classmethod
    def beside(
        cls, state_file: "StateFile", stage: str, split: Split, codec: "VQVAEConfig", tell: MetricsCallback
    ) -> "Listening":
        """That of a run whose state is kept in ``state_file``, begun."""
        folder = None if state_file.path is None else state_file.path.parent
        listening = cls(
            folder,
            stage,
            split.held_out,
            channels=codec.channels,
            hop=codec.hop,
            tell=tell,
            is_held_out=split.is_held_out,
        )
        listening.begin()
        return listening

    def write(
        self, step: int, rebuild: "Callable[[torch.Tensor], torch.Tensor]", device: "torch.device | str" = "cpu"
    ) -> None:
        """Writes the reconstruction of every passage: ``rebuild`` maps ``[1, C, N] → [1, C, N]``, N being whole positions."""
        import torch

        if self._folder is None:
            return
        try:
            self._write_originals(self._folder)
            for number, (_, audio) in enumerate(self._passages):
                with torch.no_grad():
                    made = rebuild(torch.from_numpy(audio)[None].to(device))[0].cpu().numpy()
                if np.isfinite(made).all():  # training that goes wrong here goes back, and has a notice of its own
                    path = self._folder / str(number) / f"{self._stage}-{step:08d}.flac"
                    write_audio(path, made, format="flac", bit_depth=16, channels=len(made))
                    _thin(path.parent, self._stage)
        except OutputError as error:
            self._tell(_not_written(error))

    def _write_originals(self, folder: Path) -> None:
        if self._is_begun:
            return
        for number, (_, audio) in enumerate(self._passages):
            original = folder / str(number) / "original.flac"
            write_audio(original, audio, format="flac", bit_depth=16, channels=len(audio))
        entries = [
            {"name": name, "seconds": audio.shape[1] / SAMPLE_RATE, "is_held_out": self._is_held_out}
            for name, audio in self._passages
        ]
        write_json(folder / "passages.json", entries)
        self._is_begun = True


def _not_written(error: OutputError) -> Notice:
    return Notice(f"What the codec sounds like now was not written: {error.what} Training goes on.", is_warning=True)


def heard(run_folder: Path) -> list[Heard]:
    """What there is to hear of a run; nothing where it wrote nothing (yet).

    Raises:
        LibraryError: if what it wrote is damaged.
    """
    folder = run_folder / FOLDER
    file = folder / "passages.json"
    try:
        entries: list[dict[str, Any]] = json.loads(file.read_bytes())
        named = [(str(one["name"]), float(one["seconds"]), bool(one.get("is_held_out", True))) for one in entries]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LibraryError(
            f"What a training sounded like cannot be read: {file} is damaged.",
            f"Move {folder} away; a training that goes on writes it again, and the model does not need it.",
        ) from error
    return [
        Heard(name, seconds, folder / str(number) / "original.flac", tuple(_moments(folder / str(number))), is_held_out)
        for number, (name, seconds, is_held_out) in enumerate(named)
    ]


def _moments(folder: Path) -> list[Moment]:
    named = ((path, re.fullmatch(rf"({'|'.join(_STAGES)})-(\d+)", path.stem)) for path in folder.glob("*.flac"))
    found = (Moment(parts[1], int(parts[2]), path) for path, parts in named if parts)
    return sorted(found, key=lambda one: (_STAGES.index(one.stage), one.step))


def _thin(folder: Path, stage: str) -> None:
    """Takes away moments until few enough are left; the first and the last stay."""
    moments = [one for one in _moments(folder) if one.stage == stage]
    while len(moments) > KEPT:
        nearest = min(range(1, len(moments) - 1), key=lambda at: moments[at + 1].step - moments[at - 1].step)
        with contextlib.suppress(OSError):  # another program plays it (Windows): a later moment takes it away
            moments.pop(nearest).file.unlink(missing_ok=True)


def _chosen(held_out: Sequence[Passage], channels: int, hop: int) -> list[tuple[str, np.ndarray]]:
    """Name and sound ``[C, N]`` of the longest passages of different recordings, where each is loudest."""
    longest: dict[str, Passage] = {}
    for passage in sorted(held_out, key=lambda one: -one.samples):  # sorted() keeps the split's order among equals
        longest.setdefault(passage.recording.name, passage)
    chosen = []
    for passage in list(longest.values())[:PASSAGES]:
        samples = min(passage.samples, round(PASSAGE_SECONDS * SAMPLE_RATE)) // hop * hop
        if samples:
            parts = (
                passage.read(at, at + samples, channels) for at in range(0, passage.samples - samples + 1, samples)
            )
            chosen.append((passage.label, np.clip(max(parts, key=lambda one: float(np.square(one).mean())), -1, 1)))
    return chosen
