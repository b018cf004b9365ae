"""Which voice is asked for. Imports no PyTorch."""

from enum import StrEnum


class Choice(StrEnum):
    """What makes codes sound."""

    AUTO = "auto"
    RECORDINGS = "recordings"
    CODEC = "codec"
