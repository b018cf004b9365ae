"""Lengths of time in words, as they were measured and as they can only be guessed; and places in a recording."""

import math

__all__ = ["about", "duration", "place"]


def duration(seconds: float | None) -> str:
    """``0 s``, ``4.2 ms``, ``0.42 s``, ``12.3 s``, ``2 min 37 s``, ``3 h 5 min``; a dash where it is not known."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    if seconds == 0:
        return "0 s"
    if 0 < seconds < 0.01:
        return f"{1000 * seconds:.2g} ms"
    if seconds < 1:
        return f"{seconds:.2f} s"
    if round(seconds, 1) < 60:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s".removesuffix(" 0 s")
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min".removesuffix(" 0 min")


def about(seconds: float) -> str:
    """``45 s``, ``1 minute``, ``20 minutes``, ``1.6 hours``: no finer than a guess is; a dash where it is not known."""
    if not math.isfinite(seconds):
        return "–"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    if seconds < 90:
        return "1 minute"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{math.ceil(seconds / 360) / 10:.1f} hours"


def place(seconds: float) -> str:
    """``12.3 s``, ``6:54.3``: where in a recording something is, as players show it."""
    tenths = round(10 * seconds)
    if tenths < 600:
        return f"{tenths / 10:.1f} s"
    hours, minutes = divmod(tenths // 600, 60)
    return f"{f'{hours}:{minutes:02d}' if hours else minutes}:{tenths % 600 / 10:04.1f}"
