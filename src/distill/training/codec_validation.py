"""Validation of the codec: its reconstructions of windows, compared with the windows."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from distill.audio.distance import MultiScaleMel
from distill.audio.likeness import FIGURES, Likeness, likeness_between
from distill.audio.mixing import mono_pair
from distill.errors import CorpusError
from distill.models import ranks
from distill.training.codec_data import CodecData
from distill.training.wrapped import Reconstructing

if TYPE_CHECKING:
    from lightning_fabric import Fabric

VALIDATION_BATCH = 4


def validate_vqvae_epoch(
    model: Reconstructing, distance: MultiScaleMel, held_out: np.ndarray, fabric: "Fabric"
) -> float:
    """Mean multi-scale mel distance over the held-out windows ``[n, C, N]``, all scales.

    Raises:
        CorpusError: if there is no window.
    """
    return sum(mel * len(made) for made, mel in _rebuilt(model, distance, held_out, fabric)) / len(held_out)


def likeness_of_windows(
    model: Reconstructing, distance: MultiScaleMel, windows: np.ndarray, fabric: "Fabric"
) -> Likeness:
    """Mel distance, pitch and texture of the reconstructions of windows ``[n, C, N]``."""
    made, distances = zip(*_rebuilt(model, distance, windows, fabric), strict=True)
    mel = sum(one * len(batch) for one, batch in zip(distances, made, strict=True)) / len(windows)
    if not math.isfinite(mel):
        return likeness_between((), mel)
    pairs = zip(windows, (one for batch in made for one in batch), strict=True)
    mixed = (mono_pair(window, one) for window, one in pairs)
    return likeness_between(((rebuilt[0], mono[0]) for mono, rebuilt in mixed), mel)


@torch.no_grad()
def _rebuilt(
    model: Reconstructing, distance: MultiScaleMel, windows: np.ndarray, fabric: "Fabric"
) -> Iterator[tuple[np.ndarray, float]]:
    """Batches of reconstructions ``[b, C, N]``, each with its mel distance.

    Raises:
        CorpusError: if there is no window.
    """
    if not len(windows):
        raise CorpusError("There is nothing held out to validate the codec on.", "Add more or longer recordings.")
    model.eval()
    for start in range(0, len(windows), VALIDATION_BATCH):
        audio = torch.from_numpy(windows[start : start + VALIDATION_BATCH]).to(fabric.device)
        made = model(audio).reconstruction
        yield made.cpu().numpy(), float(distance(made, audio))


def score_codec(
    model: Reconstructing, distance: MultiScaleMel, data: CodecData, fabric: "Fabric"
) -> tuple[Likeness, float]:
    """Figures of the held-out windows, and the score that selects the best weights.

    The score combines mel distance, pitch and texture, averaged over held-out and training windows: a few held-out seconds
    alone selected weights from long before the end (docs/codec.md).
    """
    unknown, known = (likeness_of_windows(model, distance, one, fabric) for one in (data.held_out, data.trained_on))
    return unknown, (unknown.score + known.score) / 2


def figures_by_first(
    model: Reconstructing, distance: MultiScaleMel, windows: np.ndarray, fabric: "Fabric"
) -> dict[str, float]:
    """The figures of :func:`likeness_of_windows`, measured on the first rank and sent to the others."""
    figures = ranks.measured_by_first(
        lambda: list(likeness_of_windows(model, distance, windows, fabric).figures().values()), len(FIGURES)
    )
    return dict(zip(FIGURES, figures, strict=True))


def scored_by_first(
    model: Reconstructing, distance: MultiScaleMel, data: CodecData, fabric: "Fabric"
) -> tuple[dict[str, float], float]:
    """The held-out figures and the score of :func:`score_codec`, measured on the first rank and sent to the others."""

    def measure() -> list[float]:
        likeness, score = score_codec(model, distance, data, fabric)
        return [score, *likeness.figures().values()]

    score, *figures = ranks.measured_by_first(measure, 1 + len(FIGURES))
    return dict(zip(FIGURES, figures, strict=True)), score
