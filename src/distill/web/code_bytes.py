"""Codes as the page, the server and its worker hand them to each other: int16, little-endian, row by row."""

import base64

import numpy as np

from distill.errors import SettingError


def in_bytes(grid: np.ndarray) -> bytes:
    """Codes ``[n, width]`` of any integer type as bytes."""
    return grid.astype("<i2").tobytes()


def from_bytes(body: bytes, width: int) -> np.ndarray:
    """The inverse of :func:`in_bytes`, for bytes that we wrote: int64 ``[n, width]``."""
    return np.frombuffer(body, "<i2").astype(np.int64).reshape(-1, width)


def text_of(grid: np.ndarray) -> str:
    """The same bytes in base64, for JSON."""
    return base64.b64encode(in_bytes(grid)).decode()


def rows_given(body: bytes, width: int, fix: str) -> np.ndarray:
    """The same for bytes that somebody sent.

    Args:
        fix: what to do about bytes that are no rows.

    Raises:
        SettingError: if they are none.
    """
    if not body or len(body) % (2 * width):
        raise SettingError(f"{len(body)} bytes are no columns of {width} levels.", fix)
    return from_bytes(body, width)


def check_codes(grid: np.ndarray, entries: int, fix: str) -> None:
    """Refuses codes that are none of a codebook's ``entries``.

    Raises:
        SettingError: if there are such codes.
    """
    if not 0 <= grid.min() <= grid.max() < entries:
        raise SettingError("There are codes that the model does not have.", fix)
