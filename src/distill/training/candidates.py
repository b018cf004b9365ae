"""Which epochs' weights of the prior are kept until new audio of theirs is heard.

Held-out loss does not hear: of weights a few hundredths of a nat apart, some bring new audio three times as near to the
recordings as others (docs/prior.md). So a few epochs of about the lowest loss are kept, from all over the training, and its
last seconds choose among them (``making/closing.py``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from distill.training.overfitting import RISEN, kept_epoch, perplexity

if TYPE_CHECKING:
    from torch import Tensor

EVENLY = 4
"""How many are kept from all over the training, at most; drawing and judging sound takes some seconds for each."""


@dataclass(frozen=True)
class Candidate:
    """The weights of one epoch."""

    epoch: int
    """Counted from 1."""
    perplexity: float
    """On held-out sequences."""
    weights: "Mapping[str, Tensor]"


def worth_hearing(val_losses: Sequence[float]) -> tuple[int, ...]:
    """The epochs, counted from 0, whose weights are to be kept after the last of these.

    Args:
        val_losses: of every epoch so far, nats per token.

    Returns:
        The one that is kept by its loss, the last, and up to ``EVENLY`` spread over the training, as far as their loss is
        within ``RISEN`` of the lowest. There is none among them that was not kept after the epoch before, but for the last.
    """
    count, stride = len(val_losses), 1
    while count > EVENLY * stride:
        stride *= 2
    spread = {*range(stride - 1, count, stride), kept_epoch(val_losses), count - 1}
    most = min(val_losses) + RISEN
    return tuple(epoch for epoch in sorted(spread) if val_losses[epoch] <= most)


def candidates(
    epoch_weights: "Mapping[int, Mapping[str, Tensor]]",
    best_weights: "Mapping[str, Tensor]",
    val_losses: Sequence[float],
) -> tuple[Candidate, ...]:
    """What is to be heard, in the order of training, on the CPU; the epoch that is kept by its loss is always there.

    Args:
        epoch_weights: by epoch, counted from 0.
        best_weights: of the epoch that is kept by its loss.
        val_losses: of every epoch.
    """
    at_hand = {**epoch_weights, kept_epoch(val_losses): best_weights}
    return tuple(
        Candidate(epoch + 1, perplexity(val_losses[epoch]), {name: one.cpu() for name, one in at_hand[epoch].items()})
        for epoch in sorted(at_hand)
    )
