"""Learning curves as inline SVG whose colours are the page's own, so they follow light and dark."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT = 370, 270
_SPAN_FOR_LOG = 8.0

# Drawn in these, then exchanged for the style sheet's variables.
_VARIABLES = {
    "#000001": "var(--ink)",
    "#000002": "var(--soft)",
    "#000003": "var(--line)",
    "#000004": "var(--train)",
    "#000005": "var(--held)",
    "#000006": "var(--warn)",
}
_INK, _SOFT, _LINE, _TRAIN, _HELD, _WARN = _VARIABLES


@dataclass(frozen=True)
class Curve:
    """One line: ``role`` "train" or "held", a value per epoch. Epochs count from 1 and rise."""

    role: str
    epochs: Sequence[int]
    values: Sequence[float]


def curves_svg(
    name: str,
    curves: Sequence[Curve],
    y_label: str,
    threshold: float | None = None,
    kept_epoch: int | None = None,
) -> str:
    """An ``<svg>`` of ``curves`` over epochs. The same input gives the same text, byte for byte.

    ``name`` keeps this figure's element ids apart from those of other figures on the page. ``threshold``
    draws the memorisation alarm, ``kept_epoch`` marks a point of the last curve. The value axis turns
    logarithmic when the values span a factor of eight.
    """
    import matplotlib  # takes a second to import, so only whoever draws pays for it
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    values = [value for curve in curves for value in curve.values]
    if threshold is not None:
        values.append(threshold)
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none", "text.usetex": False}):
        figure = Figure(figsize=(_WIDTH / 72, _HEIGHT / 72), dpi=72, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        for curve in curves:
            axes.plot(
                curve.epochs,
                curve.values,
                color=_TRAIN if curve.role == "train" else _HELD,
                linewidth=2.2,
                solid_capstyle="round",
                solid_joinstyle="round",
                marker="o" if len(curve.epochs) == 1 else None,
                zorder=3,
            )
        _dress(axes, y_label, logarithmic=min(values) > 0 and max(values) > _SPAN_FOR_LOG * min(values))
        axes.margins(x=0.03, y=0.14)
        if threshold is not None:
            _draw_threshold(axes, threshold)
        if kept_epoch is not None:
            _mark_kept(axes, curves[-1], kept_epoch, threshold)
        figure.savefig(
            buffer,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    return _for_the_page(buffer.getvalue(), f"{y_label} over epochs")


def _dress(axes: "Axes", y_label: str, logarithmic: bool) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

    axes.set_xlabel("epoch", color=_SOFT, fontsize=13)
    axes.set_ylabel(y_label, color=_SOFT, fontsize=13)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.ticklabel_format(axis="y", style="plain", useOffset=False)
    axes.tick_params(colors=_SOFT, length=0, labelsize=13, pad=6)
    axes.grid(axis="y", color=_LINE, linewidth=1)
    axes.set_axisbelow(True)
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_LINE)


def _draw_threshold(axes: "Axes", threshold: float) -> None:
    axes.axhline(threshold, color=_WARN, linewidth=1.6, linestyle=(0, (5, 4)), zorder=2)
    # The line has widened the axis; from here it stays, or the shade below would leave a gap under itself.
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top)
    axes.axhspan(bottom, threshold, color=_WARN, alpha=0.08, linewidth=0, zorder=1)
    axes.annotate(
        f"memorisation alarm, below {threshold:g}",
        (0.015, threshold),
        xycoords=axes.get_yaxis_transform(),
        xytext=(0, 5),
        textcoords="offset points",
        color=_WARN,
        fontsize=13,
    )


def _mark_kept(axes: "Axes", curve: Curve, kept_epoch: int, threshold: float | None) -> None:
    value = curve.values[list(curve.epochs).index(kept_epoch)]
    axes.plot([kept_epoch], [value], marker="o", markersize=9, color=_HELD, zorder=5)
    left, right = axes.get_xlim()
    share = (kept_epoch - left) / (right - left)
    # Below a minimum nothing is drawn, unless the alarm's own line and words are near.
    below = threshold is None or value > 2 * threshold
    axes.annotate(
        f"kept: {value:.3g} in epoch {kept_epoch}",
        (kept_epoch, value),
        xytext=(0, -21 if below else 12),
        textcoords="offset points",
        ha="left" if share < 0.3 else "right" if share > 0.7 else "center",
        color=_INK,
        fontsize=13,
        zorder=6,
    )


def _for_the_page(svg: str, label: str) -> str:
    """The ``<svg>`` element alone: no prologue, no size or font of its own, no ids but those it refers to."""
    svg = svg[svg.index("<svg") :].strip()
    opening = f'<svg class="curve" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">'
    svg = re.sub(r"<svg[^>]*>", opening, svg, count=1)
    svg = re.sub(r"\s*<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r"font-family:[^;\"]*;\s*", "", svg)
    wanted = set(re.findall(r"(?:href=\"|url\()#([^\")]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in wanted else "", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    return svg
