"""docs/benchmarks.md and its plots, drawn from the figures that ``bench.py`` measured and from nothing else."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.figure

Part = Mapping[str, Any]

_HEAD = """# Benchmarks

Written by `make bench` (`benchmarks/bench.py`), meant for twenty minutes of two quiet cores; `make bench CORPUS=my-recordings`
measures your own. Every part says when, on what, and with which command it was measured, and can be measured again alone. The
figures are in [benchmarks.json](benchmarks.json). Where a machine was shared with other work, seconds and figures per second
are worse than on a quiet one; bits, distances and memory are not. [measured.md](measured.md) says what `loops` is.
"""
_JUDGES = ("mel", "kept", "cents", "invented", "movement", "line", "grain")
_FORMS = {
    "mel": ".2f",
    "kept": ".2f",
    "cents": ".1f",
    "invented": ".2f",
    "movement": ".1f",
    "line": ".1f",
    "grain": "+.1f",
}


def write(found: Mapping[str, Part], docs: Path) -> None:
    """Writes the page, and a plot for every part that has one."""
    images = docs / "images"
    images.mkdir(parents=True, exist_ok=True)
    sections = []
    for name, (title, section) in _SECTIONS.items():
        part = found.get(name)
        if part is None:
            missing = f"Not measured yet: `python benchmarks/bench.py --part {name}`."
            sections.append(f"## {title}\n\n{missing}\n")
        else:
            took = f", {part['minutes']:g} min" if part["minutes"] else ""
            where = f"{part['date']}, {part['machine']}{took}. `{part['command']}`"
            sections.append(f"## {title}\n\n{section(part, images)}\n\n{where}\n")
    (docs / "benchmarks.md").write_text("\n".join([_HEAD, *sections]), encoding="utf-8")


def save(figure: matplotlib.figure.Figure, path: Path) -> None:
    """Writes a plot, the same bytes for the same figures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": "distill", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None})


def table(headings: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [headings, ["---"] * len(headings), *rows])


def rates(part: Part, images: Path) -> str:
    """The codec beside Opus."""
    rows = part["rows"]
    figure = matplotlib.figure.Figure(figsize=(11, 3.4), layout="constrained")
    panels = (("kept", "pitch: partials kept"), ("movement", "texture: movement, dB off"), ("mel", "mel distance"))
    for axes, (figure_name, title) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        for codec in ("Distill", "Opus"):
            own = [row for row in rows if row["name"].startswith(codec)]
            axes.plot(
                [row["bits a second"] / 1000 for row in own], [row[figure_name] for row in own], "o-", label=codec
            )
        axes.set(title=title, xlabel="kbit/s", xscale="log", xticks=[0.5, 1, 2, 6, 12, 24, 48])
        axes.set_xticklabels(["0.5", "1", "2", "6", "12", "24", "48"])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend()
    save(figure, images / "bench-rate.svg")
    body = [
        [
            _named(row["name"]),
            f"{row['bits a second'] / 1000:.2f}",
            *(_figure(row[one], _FORMS[one]) for one in _JUDGES),
        ]
        for row in rows
    ]
    note = f"\n\n{part['note']}" if part.get("note") else ""
    return (
        f"{part['recordings']} recordings of `{part['corpus']}`, at most {part['seconds each']:g} s of each, in mono; a codec "
        f"trained for {part['trained minutes']:g} minutes, sounding with "
        "its first quantizer levels alone and with all of them. *Kept*: share of the "
        "partials that are there, within 20 cents and 12 dB; *movement*, *line*, *grain*: how differently noise moves, how far "
        "a buzz stands out, how blurred it is (0 is natural).\n\n![Pitch, texture and mel distance by bit rate](images/"
        f"bench-rate.svg)\n\n{table(['codec', 'kbit/s', *_JUDGES], body)}{note}"
    )


def speed(part: Part, _: Path) -> str:
    """Training and sampling beside plain loops."""
    (ours, plain), (one, plainly) = part["training"], part["one stream"]
    rows = [
        ["training the prior, codes/s", f"{ours:.0f}", f"{plain:.0f}", f"{ours / plain:.1f}×"],
        ["drawing one piece, s of audio/s", f"{one:.1f}", f"{plainly:.2f}", f"{one / plainly:.0f}×"],
        ["drawing eight at once, s of audio/s", f"{part['eight streams']:.1f}", "", ""],
    ]
    guess = [[name, f"{bits:.2f}", f"{a_second:.0f}"] for name, bits, a_second in part["guess"]]
    return (
        f"`{part['corpus']}`. The plain loop is a transformer of the same width and depth over single codes, without a cache, "
        f"trained and sampled in the same run.\n\n{table(['', 'Distill', 'plain', ''], rows)}\n\nWhat both learned in the same "
        f"minutes, in bits of held-out recordings:\n\n{table(['', 'bits/code', 'bits/s'], guess)}"
    )


def length(part: Part, images: Path) -> str:
    """By the length of the corpus."""
    rows = [row for row in part["rows"] if "first import" in row]
    hours = [row["hours"] for row in rows]
    begun = [row for row in rows if "training begun" in row]
    panels = 3 if begun else 2
    figure = matplotlib.figure.Figure(figsize=(11 * panels / 3, 3.4), layout="constrained")
    left, middle, *right = figure.subplots(1, panels)
    for name, style in (("first import", "o-"), ("later start", "s-")):
        left.plot(hours, [1000 * row[name]["core s"] / row["sound s"] for row in rows], style, label=name)
        middle.plot(hours, [row[name]["peak MiB"] for row in rows], style, label=name)
    for axes in right:
        trained = [(row["hours"], row["training begun"]) for row in begun]
        middle.plot([hours for hours, _ in trained], [one["peak MiB"] for _, one in trained], "^-", label="training")
        axes.plot([hours for hours, _ in trained], [one["trained, audio s/s"] for _, one in trained], "^-")
        axes.set(title="codec training, s of sound/s", ylim=(0, None))
    left.set(title="ms of a core for a second of sound", yscale="log")
    middle.set(title="peak memory, MiB", ylim=(0, None))
    for axes in (left, middle, *right):
        axes.set(xlabel="hours of corpus", xscale="log")
        axes.grid(alpha=0.3)
    left.legend()
    middle.legend()
    save(figure, images / "bench-length.svg")
    body = []
    for row in rows:
        first, later, split, training = (
            row.get(name, {}) for name in ("first import", "later start", "split", "training begun")
        )
        body.append(
            [
                _long(row["hours"]),
                f"{first['core s']:.1f} s, {first['peak MiB']} MiB",
                f"{1000 * first['core s'] / row['sound s']:.1f} ms",
                f"{later['core s']:.1f} s, {later['peak MiB']} MiB",
                f"{split['seconds']:.2f} s" if split else "",
                f"{training['trained, audio s/s']:.0f}, {training['peak MiB']} MiB" if training else "",
                f"{row['cache MiB']} MiB",
            ]
        )
    headings = ["sound", "first import", "for a second of sound", "later start", "split", "training: s/s", "on disk"]
    return (
        "Sparse recordings, synthesised (`benchmarks/long_corpus.py`): half an hour each, a twentieth of which sounds. Import "
        "and start in seconds of a core, the loading of Python's packages included; memory is the most that ever lay in RAM, "
        f"mapped files included.\n\n![By the length of the corpus](images/bench-length.svg)\n\n{table(headings, body)}"
    )


def ranks(part: Part, _: Path) -> str:
    """One process and two."""
    rows = part["rows"]
    body = [
        [
            str(row["ranks"]),
            f"{row['audio s/s']:.1f}",
            f"{row['ms a step']:.0f}",
            f"{row['audio s/s'] / rows[0]['audio s/s']:.2f}×",
        ]
        for row in rows
    ]
    return (
        f"Training the codec of `{part['corpus']}` on the CPU (gloo), {part['threads']}. A step of two ranks takes twice as "
        f"much sound.\n\n{table(['processes', 's of sound a second', 'ms a step', ''], body)}"
    )


def copies(part: Part, _: Path) -> str:
    """Copy detection."""
    body = [[row["name"], f"{row['area']:.3f}", f"{row['at 1 %']:.0%}"] for row in part["rows"]]
    return (
        f"Five seconds of recordings of `{part['corpus']}`, disguised, against all seconds beside all *other* recordings; "
        "[copying.md](copying.md) has more of them, also through the codec.\n\n![ROC](images/bench-roc.svg)\n\n"
        f"{table(['copied and then', 'area under the curve', 'found at 1 % false alarms'], body)}"
    )


_SECTIONS: dict[str, tuple[str, Callable[[Part, Path], str]]] = {
    "rates": ("Pitch, texture and mel by bit rate, beside Opus", rates),
    "speed": ("Training and sampling beside plain loops", speed),
    "length": ("Time and memory by the length of the corpus", length),
    "ranks": ("Several processes", ranks),
    "copies": ("How well copies are found", copies),
}


def _named(name: str) -> str:
    codec, _, number = name.partition(" ")
    return f"Opus at {number} kbit/s" if codec == "Opus" else f"Distill, {number} level{'s' * (number != '1')}"


def _figure(value: float, form: str) -> str:
    return "–" if math.isnan(value) else f"{value:{form}}"


def _long(hours: float) -> str:
    return f"{hours:g} h" if hours >= 1 else f"{60 * hours:.0f} min"
