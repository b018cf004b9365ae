"""HTML helpers for every section. Any name that a person gave goes through ``text`` or ``name``."""

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass

_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""What turns the letters behind it round, or cannot be seen: a name with it could pass for another one."""


@dataclass(frozen=True)
class Section:
    """One part of the page; ``html`` is finished."""

    anchor: str
    title: str
    html: str


def text(value: object) -> str:
    """``value`` safe inside an element or an attribute; undecodable bytes of a file name become "?"."""
    readable = str(value).encode("utf-8", errors="replace").decode("utf-8")
    return html.escape(_UNSEEN.sub("\N{REPLACEMENT CHARACTER}", readable))


def name(value: object) -> str:
    """A file's or piece's name; its writing direction cannot spill into the words around it."""
    return f"<bdi>{text(value)}</bdi>"


def badge(words: str, tone: str) -> str:
    """A small label; ``tone`` is good, warn, bad, aside or plain."""
    return f'<span class="badge {tone}">{text(words)}</span>'


def section(anchor: str, title: str, lead: str, body: str) -> Section:
    """A section with its heading; ``lead`` is plain words, ``body`` finished HTML."""
    said = f'<p class="lead">{text(lead)}</p>' if lead else ""
    return Section(anchor, title, f'<section id="{anchor}"><h2>{text(title)}</h2>{said}{body}</section>')


def tiles(numbers: Iterable[tuple[str, str]]) -> str:
    """A row of numbers, each over the words that say what it is; empty without any."""
    body = "".join(f"<div><b>{number}</b><span>{label}</span></div>" for number, label in numbers)
    return f'<div class="tiles">{body}</div>' if body else ""


def bit_rate(bits: float) -> str:
    """``749 bit/s``, ``1.5 kbit/s``."""
    return f"{bits / 1000:.3g} kbit/s" if bits >= 999.5 else f"{bits:.0f} bit/s"
