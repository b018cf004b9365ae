"""How similar the recordings of a model are to each other; cached on disk, since it takes seconds to compute.

An entry belongs to one model file, by its digest, and lies in Distill's own folder. What is missing or damaged is computed
again, and only the newest few entries are kept.
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
"""Maximum number of models in the cache; an hour of recordings takes 92 MB."""
_WAY = 5
"""Version of the method; entries of another version are not used."""


@dataclass(frozen=True)
class Reference:
    """How similar the recordings of a corpus are to each other, second by second; each array is sorted."""

    similarity: np.ndarray
    """Similarity of held-out seconds to their nearest passages ``[n]``, without silent ones."""
    runs: tuple[np.ndarray, ...]
    """Seconds of the longest shared run around each held-out second, by the first level and by the first two."""
    is_widened: bool
    """Whether training recordings were added, each compared with all others."""

    def percentile(self, similarity: float) -> float:
        """Percentage of held-out seconds that are less similar to their nearest passage; NaN if there are none."""
        return _percentile(self.similarity, similarity)

    def run_percentile(self, levels: int, seconds: float) -> float:
        """Percentage of held-out seconds in a shorter run of so many levels; NaN if there are none."""
        return _percentile(self.runs[levels - 1], seconds)

    def natural_run(self, levels: int) -> float:
        """Length in seconds of a run of so many levels that 99 % of held-out seconds do not exceed; 0 if there are none.

        A quantile and not the maximum: a single passage shared by two recordings must not set it.
        """
        runs = self.runs[levels - 1]
        return float(np.quantile(runs, COPY_PERCENTILE / 100)) if len(runs) else 0.0


def read_kept(digest: str | None) -> tuple[list[Picture], Reference] | None:
    """The cached pictures of a model's recordings and their reference; None if there is no usable entry.

    Args:
        digest: of the model file; None for a model that is in no file.
    """
    if digest is None:
        return None
    try:
        found = safetensors.torch.load_file(_place(digest))
        lengths = found["lengths"].tolist()
        pictures = list(zip(found["mel"].split(lengths), found["power"].split(lengths), strict=True))
        runs = tuple(found[f"runs-{levels}"].numpy() for levels in range(1, 1 + sum("runs" in name for name in found)))
        return pictures, Reference(found["similarity"].numpy(), runs, bool(found["is_widened"]))
    except (OSError, safetensors.SafetensorError, KeyError, ValueError, RuntimeError):
        return None  # not there, or not whole: it is found out again


def keep(digest: str | None, pictures: Sequence[Picture], reference: Reference) -> None:
    """Caches what :func:`read_kept` returns; if the disk refuses, it is computed again next time."""
    if digest is None:
        return
    tensors = {
        "mel": torch.cat([torch.zeros(0, pictures[0][0].shape[1]), *(mel for mel, _ in pictures)]),
        "power": torch.cat([power for _, power in pictures]),
        "lengths": torch.tensor([len(power) for _, power in pictures]),
        "similarity": torch.from_numpy(reference.similarity.copy()),
        "is_widened": torch.tensor(reference.is_widened),
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
