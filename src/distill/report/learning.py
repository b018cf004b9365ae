"""The sections on learning: loss and perplexity over epochs, and how each codebook is used."""

import math
from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from distill.counted import counted
from distill.models.health import LOW_UTILISATION
from distill.report.curves import Curve, curves_svg
from distill.report.markup import Section, badge, bit_rate, section, text
from distill.report.sound import data_url, strip_png
from distill.training.metrics import (
    PriorChosenEvent,
    PriorEpochMetrics,
    TrainingEvent,
    VQEpochMetrics,
    VQStepMetrics,
    checked,
)

_Epoch = TypeVar("_Epoch", VQEpochMetrics, PriorEpochMetrics)


def learning_section(
    events: Iterable[TrainingEvent], memorization_threshold: float | None, codebook_size: int
) -> Section | None:
    """Codec distance, prior loss and validation perplexity; each only where the run got that far."""
    seen = list(events)
    codec = _last_of_each_epoch(event for event in seen if isinstance(event, VQEpochMetrics))
    prior = _last_of_each_epoch(event for event in seen if isinstance(event, PriorEpochMetrics))
    is_held_out = all(epoch.is_held_out for epoch in codec) and all(epoch.is_held_out for epoch in prior)
    figures = [
        _codec_figure(codec, _trained_distances(seen)),
        _prior_figure(prior),
        _perplexity_figure(prior, kept_prior_epoch(seen), memorization_threshold, codebook_size),
    ]
    body = "".join(figure for figure in figures if figure)
    if not body:
        return None
    lead = "One epoch trains on as many seconds as the recordings last, or on more where they are short."
    if any(math.isfinite(loss) for loss in [e.val_loss for e in codec] + [e.val_loss for e in prior]):
        lead += (
            " The green lines are sound that was held out: how the model does on sound it was never trained on."
            if is_held_out
            else " Nothing could be held out, so the green lines are of what was trained on, too."
        )
    notes = [epoch.memorization_message for epoch in prior if epoch.is_memorizing][-1:]
    notes += [epoch.overfitting_message for epoch in prior if epoch.is_overfitting][-1:]
    said = "".join(f'<p class="alert">{text(note)}</p>' for note in notes if note)
    return section(
        "learning",
        "Learning",
        lead,
        f'<div class="curves">{body}</div>{said}',
    )


def codebook_section(
    code_counts: npt.NDArray[np.integer],
    level_names: Sequence[str],
    bitrate: float,
    events: Iterable[TrainingEvent],
) -> Section | None:
    """A heat strip per quantizer level from ``code_counts`` [Q, K], entries sorted by use."""
    if code_counts.size == 0:
        return None
    levels, entries = code_counts.shape
    warnings = [event.warning for event in events if isinstance(event, VQEpochMetrics)][-1:]
    said = "".join(f'<p class="alert">{text(warning)}</p>' for warning in warnings if warning)
    titles = [*level_names, *(f"Level {level + 1}" for level in range(len(level_names), levels))]
    rows = "".join(_level_row(title, counts) for title, counts in zip(titles, code_counts, strict=False))
    return section(
        "codebooks",
        "Codebook use",
        f"The codec describes every moment by {counted(levels, 'code')}, one per level from coarse "
        f"to fine, each out of {entries}; that is {bit_rate(bitrate)}. Each strip shows the codes of one level "
        "from most to least used: the longer and more even the colour, the better its codebook is used; a hatched "
        "end stands for codes that are never used.",
        f'<div class="card levels">{rows}</div>{said}',
    )


def kept_prior_epoch(events: Iterable[TrainingEvent]) -> PriorEpochMetrics | None:
    """The prior's epoch whose weights were kept, if any was validated; of earlier versions that of lowest perplexity."""
    seen = list(events)
    epochs = _last_of_each_epoch(event for event in seen if isinstance(event, PriorEpochMetrics))
    finite = [epoch for epoch in epochs if math.isfinite(epoch.val_perplexity)]
    told = 0
    for event in seen:  # what training went on after is no longer what was chosen
        if isinstance(event, PriorEpochMetrics):
            told = event.best_epoch
        elif isinstance(event, PriorChosenEvent):
            told = event.epoch
    lowest = min(finite, key=lambda epoch: epoch.val_perplexity, default=None)
    return next((epoch for epoch in finite if epoch.epoch == told), lowest)


def _last_of_each_epoch(events: Iterable[_Epoch]) -> list[_Epoch]:
    """A run that was interrupted and resumed reports an epoch twice; the later report counts."""
    latest = {event.epoch: event for event in events}
    return [latest[epoch] for epoch in sorted(latest)]


def _curve(role: str, points: Iterable[tuple[int, float]]) -> list[Curve]:
    kept = [(epoch, value) for epoch, value in points if math.isfinite(value)]
    if not kept:
        return []
    return [Curve(role, [epoch for epoch, _ in kept], [value for _, value in kept])]


def _trained_distances(events: Iterable[TrainingEvent]) -> list[tuple[int, float]]:
    """The mel distance of what was trained on, by epoch: the loss of an epoch holds more than that distance."""
    steps = {(step.epoch, step.step): step.reconstruction_loss for step in events if isinstance(step, VQStepMetrics)}
    by_epoch: dict[int, list[float]] = {}
    for (epoch, _), distance in steps.items():
        by_epoch.setdefault(epoch, []).append(distance)
    return [(epoch, float(np.mean(by_epoch[epoch]))) for epoch in sorted(by_epoch)]


def _codec_figure(epochs: Sequence[VQEpochMetrics], trained: Sequence[tuple[int, float]]) -> str:
    done = {epoch.epoch for epoch in epochs}
    curves = _curve("train", ((epoch, distance) for epoch, distance in trained if epoch in done))
    curves += _curve("held", ((epoch.epoch, epoch.val_loss) for epoch in epochs))
    return _figure(
        "Codec distance",
        "How far decoded sound is from the recordings (mel distance); lower is closer. Of what is trained on it is the mean "
        "of an epoch, while it learns.",
        curves_svg("codec", curves, "mel distance") if curves else "",
        curves,
        all(epoch.is_held_out for epoch in epochs),
    )


def _prior_figure(epochs: Sequence[PriorEpochMetrics]) -> str:
    curves = _curve("train", ((epoch.epoch, epoch.train_loss) for epoch in epochs))
    curves += _curve("held", ((epoch.epoch, epoch.val_loss) for epoch in epochs))
    is_held_out = all(epoch.is_held_out for epoch in epochs)
    parts = "; where the two lines part, it begins to memorise" if is_held_out else ""
    return _figure(
        "Prior loss",
        f"How badly the prior predicts the next code{parts}.",
        curves_svg("prior", curves, "loss, nats per code") if curves else "",
        curves,
        is_held_out,
    )


def _perplexity_figure(
    epochs: Sequence[PriorEpochMetrics], kept: PriorEpochMetrics | None, threshold: float | None, codebook_size: int
) -> str:
    curves = _curve("held", ((epoch.epoch, epoch.val_perplexity) for epoch in epochs))
    if kept is None:
        return ""
    of_all = f" out of {codebook_size}" if codebook_size else ""
    return _figure(
        "Held-out perplexity" if kept.is_held_out else "Perplexity, trained on",
        f"How many codes it hesitates between at each step: about {kept.val_perplexity:.3g}{of_all} with the weights that "
        "were kept.",
        curves_svg("perplexity", curves, checked("perplexity", kept.is_held_out), threshold, kept.epoch),
        curves,
        kept.is_held_out,
    )


def _figure(title: str, words: str, svg: str, curves: Sequence[Curve], is_held_out: bool) -> str:
    if not svg:
        return ""
    called = {"train": "trained on", "held": "held out" if is_held_out else "check"}
    keys = "".join(f'<span class="key {curve.role}">{called[curve.role]}</span>' for curve in curves)
    return (
        f'<figure class="card"><header><h3>{title}</h3><div class="keys">{keys}</div></header>'
        f"{svg}<figcaption>{text(words)}</figcaption></figure>"
    )


def _level_row(title: str, counts: npt.NDArray[np.integer]) -> str:
    used = np.sort(counts.astype(np.float64))[::-1]
    total = used.sum()
    dead = int((used == 0).sum())
    utilisation = 1 - dead / used.size
    if total > 0:
        shares = used[used > 0] / total
        perplexity = f"{math.exp(-float((shares * np.log(shares)).sum())):.3g}"
        # The square root keeps rare entries visible.
        image = data_url("image/png", strip_png(0.12 + 0.88 * np.sqrt(shares / shares[0])))
        strip = (
            f'<img style="width:{utilisation * 100:.2f}%" src="{image}" '
            f'alt="Use of the codes of {text(title)}, most used first">'
        )
    else:
        perplexity, strip = "–", ""
    poor = badge(f"under {LOW_UTILISATION * 100:.0f} % used", "warn") if utilisation < LOW_UTILISATION else ""
    numbers = (
        (f"{utilisation * 100:.0f} %", "used"),
        (perplexity, "perplexity"),
        (f"{dead}", "dead"),
    )
    cells = "".join(f"<div><b>{number}</b><span>{label}</span></div>" for number, label in numbers)
    return (
        f'<div class="level"><h3>{text(title)}{poor}</h3>'
        f'<div class="strip">{strip}</div>'
        f'<div class="numbers">{cells}</div></div>'
    )
