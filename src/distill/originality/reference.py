"""How near the recordings of a model come to each other by nature; kept on disk, since it takes seconds to find out.

What is kept belongs to one model file, by its digest, and is no more than a cache: it lies in Distill's own folder, whatever is
missing or damaged is found out again, and only the newest few are kept.
"""

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from distill.errors import OutputError
from distill.files.atomic import written_aside
from distill.files.home import home
from distill.originality.verdict import COPY_PERCENTILE

Picture = tuple[Tensor, Tensor]
"""The log-mel ``[F, BINS]`` of one recording, and the power ``[F]`` of its frames."""
MOST_KEPT = 20
"""The most models that are kept; an hour of recordings takes 92 MB."""
_WAY = 2
"""The version of the method: with another number, everything that was kept is found out again."""


@dataclass(frozen=True)
class Reference:
    """How near recordings of the corpus come to each other by nature, second by second, each figure in order."""

    similarity: np.ndarray
    """How like held-out seconds are to their nearest passages ``[n]``; silent ones are left out."""
    runs: tuple[np.ndarray, ...]
    """Seconds of the longest shared run that each held-out second lies in, by the first level and by the first two."""
    equal_windows: float
    """Share of windows that stand in a recording; NaN where there are none."""
    is_widened: bool
    """Whether recordings that were trained on had to help out, each compared with all others."""

    def percentile(self, similarity: float) -> float:
        """How many per cent of held-out seconds are less like their nearest passage; NaN where there are none."""
        return _percentile(self.similarity, similarity)

    def run_percentile(self, levels: int, seconds: float) -> float:
        """How many per cent of held-out seconds lie in a shorter run of so many levels; NaN where there are none."""
        return _percentile(self.runs[levels - 1], seconds)

    def natural_run(self, levels: int) -> float:
        """Seconds of a run of so many levels that 99 % of held-out seconds do not exceed; 0 with nothing to compare with.

        Never the longest: one passage that two recordings share would speak for all of them.
        """
        runs = self.runs[levels - 1]
        return float(np.quantile(runs, COPY_PERCENTILE / 100)) if len(runs) else 0.0


def read_kept(digest: str | None) -> tuple[list[Picture], Reference] | None:
    """The pictures of a model's recordings and how near they come to each other; None where nothing usable is kept.

    Args:
        digest: of the model file; None for a model that is in no file.
    """
    if digest is None:
        return None
    try:
        found = safetensors.torch.load_file(_place(digest))
        lengths = found["lengths"].tolist()
        pictures = list(zip(found["mel"].split(lengths), found["power"].split(lengths), strict=True))
        equal_windows, is_widened = found["figures"].tolist()
        runs = tuple(found[f"runs-{levels}"].numpy() for levels in range(1, 1 + sum("runs" in name for name in found)))
        return pictures, Reference(found["similarity"].numpy(), runs, equal_windows, bool(is_widened))
    except (OSError, safetensors.SafetensorError, KeyError, ValueError, RuntimeError):
        return None  # not there, or not whole: it is found out again


def keep(digest: str | None, pictures: Sequence[Picture], reference: Reference) -> None:
    """Keeps what :func:`read_kept` gives. Where the disk refuses, it is found out again the next time."""
    if digest is None:
        return
    tensors = {
        "mel": torch.cat([torch.zeros(0, pictures[0][0].shape[1]), *(mel for mel, _ in pictures)]),
        "power": torch.cat([power for _, power in pictures]),
        "lengths": torch.tensor([len(power) for _, power in pictures]),
        "similarity": torch.from_numpy(reference.similarity.copy()),
        "figures": torch.tensor([reference.equal_windows, float(reference.is_widened)], dtype=torch.float64),
        **{f"runs-{levels}": torch.from_numpy(runs.copy()) for levels, runs in enumerate(reference.runs, start=1)},
    }
    place = _place(digest)
    with contextlib.suppress(OutputError), written_aside(place) as temporary:
        temporary.write_bytes(safetensors.torch.save(tensors))
    others = [file for file in place.parent.glob("*.safetensors") if file != place]
    for file in sorted(others, key=_age)[MOST_KEPT - 1 :]:
        with contextlib.suppress(OSError):  # another process tidies up too
            file.unlink()


def _place(digest: str) -> Path:
    return home() / "references" / f"{digest}-{_WAY}.safetensors"


def _age(file: Path) -> float:
    try:
        return -file.stat().st_mtime
    except FileNotFoundError:
        return math.inf


def _percentile(ordered: np.ndarray, figure: float) -> float:
    return 100 * float(np.searchsorted(ordered, figure)) / len(ordered) if len(ordered) else math.nan
