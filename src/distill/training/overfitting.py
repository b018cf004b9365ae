"""When a prior has nothing more to learn: the gap between what it is trained on and what was held out, and when to stop.

``check_memorization`` looks for a prior that is too sure of recordings it never saw. A prior that learns its own recordings by
heart fails the other way: it grows sure of what it is trained on and ever worse on everything else. Only the two curves side
by side show that.
"""

import math
from collections.abc import Sequence
from itertools import accumulate

from distill.durations import about

RISEN = 0.1
"""Nats per token that the held-out loss must have risen since the epoch that is kept: perplexity is then a tenth worse."""
AS_GOOD = 0.04
"""Nats per token above the lowest held-out loss up to which an epoch counts as just as good. The last of these is kept: new
audio sounds far more like the recordings after more steps, with the learning rate low (docs/prior.md)."""
MEMORIZATION_THRESHOLDS = ((20, 2.0), (100, 3.0), (math.inf, 5.0))
"""(files up to, validation perplexity below which the prior is said to recite)."""
LEAST_EPOCHS = 2
"""Epochs that are not as good before training comes to rest early: one can be chance."""
LEAST_REST = 2
"""Epochs over which it comes to rest at least."""


def check_gap(train_losses: Sequence[float], val_losses: Sequence[float], is_held_out: bool = True) -> tuple[bool, str]:
    """Whether a prior learns its recordings by heart, from the losses of each epoch so far (nats per token).

    Args:
        is_held_out: whether it is checked by what was held out; where nothing was, no gap says anything of that.

    Returns:
        Whether the held-out loss has risen since the epoch that is kept while the loss on what is trained on fell, and plain
        words about it (empty when it has not).
    """
    best = kept_epoch(val_losses)
    learned, rose = train_losses[-1] < train_losses[best], val_losses[-1] >= val_losses[best] + RISEN
    if not (is_held_out and learned and rose):
        return False, ""
    return True, (
        f"The prior learns its recordings by heart: since epoch {best + 1} its loss on them fell from "
        f"{train_losses[best]:.2f} to {train_losses[-1]:.2f}, and rose from {val_losses[best]:.2f} to {val_losses[-1]:.2f} "
        f"on what was held out. The weights of epoch {best + 1} are the ones that are kept. More recordings help most; "
        "a smaller --hidden-size helps too."
    )


def kept_epoch(val_losses: Sequence[float]) -> int:
    """The last epoch whose held-out loss was as good as the lowest until then, counted from 0."""
    lowest = accumulate(val_losses, min)
    as_good = (at for at, (loss, low) in enumerate(zip(val_losses, lowest, strict=True)) if loss <= low + AS_GOOD)
    return max(as_good, default=0)


def rest_epochs(val_losses: Sequence[float]) -> int:
    """Over how many epochs a training that has learned all comes to rest: as many as came before the epoch that is kept."""
    return max(LEAST_REST, kept_epoch(val_losses) + 1)


def has_learned_all(val_losses: Sequence[float], total_epochs: int, patience: float) -> bool:
    """Whether the held-out loss has not been as good as its best for so large a share of the run, and for some epochs.

    What is kept then was trained at a high learning rate, and sounds worse than its loss says (docs/prior.md). So training goes
    back to it and comes to rest: the rate falls to its end over a few more epochs (:func:`rest_epochs`).

    Args:
        val_losses: of each epoch so far.
        total_epochs: how many epochs the run will have.
        patience: share of the run; 1 waits to its end.
    """
    waited = len(val_losses) - 1 - kept_epoch(val_losses)
    return waited >= max(LEAST_EPOCHS, patience * total_epochs)


def nothing_more(
    train_losses: Sequence[float], val_losses: Sequence[float], saved_s: float, is_held_out: bool = True
) -> str:
    """That a training comes to rest from here on, and why, in words.

    Args:
        saved_s: the seconds that are given back; infinite where that is not known.
        is_held_out: whether it is checked by what was held out.
    """
    best = kept_epoch(val_losses)
    time_left = f" Given back: {about(saved_s)}." if math.isfinite(saved_s) and saved_s >= 1 else ""
    return (
        f"There is nothing more to learn: the {'held-out loss' if is_held_out else 'loss that it is checked by'} has not been "
        f"as good since epoch {best + 1} "
        f"({val_losses[best]:.2f} then, {val_losses[-1]:.2f} now), while the loss on what is trained on went from "
        f"{train_losses[best]:.2f} to {train_losses[-1]:.2f}. Training goes back to the weights of epoch {best + 1} and "
        f"comes to rest over {rest_epochs(val_losses)} more.{time_left}"
    )


def memorization_threshold(dataset_file_count: int) -> float:
    """The validation perplexity below which a prior on that many files is said to recite."""
    return next(threshold for limit, threshold in MEMORIZATION_THRESHOLDS if dataset_file_count <= limit)
