"""The order in which a grid of codes is flattened to tokens, and how many positions a time is.

    codes [B, S, Q], Q = 3            tokens [B, S·Q]

    position 0:  a b c
    position 1:  d e f       →        a b c d e f g h i
    position 2:  g h i

Position-major: all levels of a position, coarse to fine, before the next position. So token ``t`` belongs to position
``t // Q`` and level ``t % Q``, and a prior that predicts the next token completes a position before it moves on.
"""

from torch import Tensor


def positions_in(seconds: float, frame_rate: float) -> int:
    """How many positions come nearest to a time, at least one.

    Args:
        frame_rate: positions a second.
    """
    return max(1, round(seconds * frame_rate))


def flatten_codes(codes: Tensor) -> Tensor:
    """``[B, S, Q] → [B, S·Q]``, position-major (p0q0 p0q1 … p1q0 …)."""
    return codes.flatten(start_dim=-2)


def unflatten_codes(tokens: Tensor, num_quantizers: int) -> Tensor:
    """``[B, S·Q] → [B, S, Q]``, the inverse of :func:`flatten_codes`.

    Raises:
        ValueError: if the number of tokens is not a multiple of ``num_quantizers``.
    """
    if tokens.shape[-1] % num_quantizers:
        raise ValueError(f"{tokens.shape[-1]} tokens do not fill whole positions of {num_quantizers} levels")
    return tokens.unflatten(-1, (-1, num_quantizers))
