"""Where networks compute, and how precisely: the words a person chooses from. Imports nothing, for the command line's start."""

from typing import Literal

Device = Literal["auto", "cpu", "mps", "cuda"]
"""Where the arithmetic runs."""
Precision = Literal["auto", "32", "bf16", "16"]
"""Bits of the forward pass's numbers."""
