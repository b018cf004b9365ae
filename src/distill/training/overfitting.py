"""Overfitting of the prior: the gap between training and held-out loss, which epoch to keep, and early stopping.

``check_memorization`` looks for a prior that is too certain of recordings it never saw. A prior that memorises its training
data fails the other way: its training loss falls while its held-out loss rises. Only the two curves together show that.
"""

import math
from collections.abc import Sequence
from itertools import accumulate

from distill.counted import counted
from distill.durations import about

RISEN = 0.1
"""Overfitting is reported when the held-out loss is this many nats per token above that of the kept epoch: a tenth in
perplexity."""
AS_GOOD = 0.04
"""An epoch within this many nats per token of the lowest held-out loss counts as equally good. The last such epoch is kept:
new audio sounds far more like the recordings after more steps and at a low learning rate (docs/prior.md)."""
MEMORIZATION_THRESHOLDS = ((20, 2.0), (100, 3.0), (math.inf, 5.0))
"""(files up to, validation perplexity below which the prior is said to recite)."""
LEAST_EPOCHS = 2
"""Early stopping waits for at least so many worse epochs: a single one can be chance."""
LEAST_COOLDOWN = 2
"""Epochs of the cool-down at least."""
MAX_LOSS = 20.0
"""Nats per token from which on perplexity no longer grows, so that it stays finite."""


def perplexity(loss: float) -> float:
    """Effective number of codes that are hesitated between, from a loss in nats per token."""
    return math.exp(min(loss, MAX_LOSS))


def check_memorization(val_perplexity: float, codebook_size: int, dataset_file_count: int) -> tuple[bool, str]:
    """Warns when validation perplexity is below 2.0 (up to 20 files), 3.0 (up to 100) or 5.0 (more).

    Returns:
        Whether the prior seems to recite its training data, and a message about it (empty if not).
    """
    threshold = memorization_threshold(dataset_file_count)
    if not val_perplexity < threshold:  # nor is one that is no number
        return False, ""
    return True, (
        f"The prior hesitates between only {val_perplexity:.2f} of {codebook_size} codes at each step; below "
        f"{threshold:.1f}, with {counted(dataset_file_count, 'file')}, it may be reciting your recordings instead of "
        "composing. You can stop now (Ctrl-C) and keep the best weights so far, or let it go on. More recordings, "
        "a smaller prior or less time help."
    )


def memorization_threshold(dataset_file_count: int) -> float:
    """The validation perplexity below which a prior trained on that many files is reported as reciting."""
    return next(threshold for limit, threshold in MEMORIZATION_THRESHOLDS if dataset_file_count <= limit)


def check_gap(train_losses: Sequence[float], val_losses: Sequence[float], is_held_out: bool = True) -> tuple[bool, str]:
    """Whether a prior memorises its recordings, from the losses of each epoch so far (nats per token).

    Args:
        is_held_out: whether ``val_losses`` are of held-out recordings; if nothing was held out, there is no gap to see.

    Returns:
        Whether the held-out loss has risen since the kept epoch while the training loss fell, and a message about it (empty
        if not).
    """
    best = kept_epoch(val_losses)
    learned, rose = train_losses[-1] < train_losses[best], val_losses[-1] >= val_losses[best] + RISEN
    if not (is_held_out and learned and rose):
        return False, ""
    return True, (
        f"The prior is memorising its recordings: since epoch {best + 1} its training loss fell from "
        f"{train_losses[best]:.2f} to {train_losses[-1]:.2f} while its held-out loss rose from {val_losses[best]:.2f} to "
        f"{val_losses[-1]:.2f}. The weights that are kept are from about epoch {best + 1}. More recordings help most; "
        "a smaller prior helps too."
    )


def kept_epoch(val_losses: Sequence[float]) -> int:
    """The last epoch, counted from 0, whose held-out loss was within ``AS_GOOD`` of the lowest until then."""
    lowest = accumulate(val_losses, min)
    as_good = (at for at, (loss, low) in enumerate(zip(val_losses, lowest, strict=True)) if loss <= low + AS_GOOD)
    return max(as_good, default=0)


def cooldown_epochs(val_losses: Sequence[float]) -> int:
    """Epochs of the cool-down after an early stop: as many as led to the kept epoch."""
    return max(LEAST_COOLDOWN, kept_epoch(val_losses) + 1)


def has_learned_all(val_losses: Sequence[float], total_epochs: int, patience: float) -> bool:
    """Whether to stop early: the held-out loss has been worse than its best for a share of the run, and for some epochs.

    The kept weights were trained at a high learning rate and sound worse than their loss suggests (docs/prior.md). So training
    goes back to them and cools down: the learning rate falls to its end over a few more epochs (:func:`cooldown_epochs`).

    Args:
        val_losses: of each epoch so far.
        total_epochs: how many epochs the run is planned to have.
        patience: that share of the run; 1 never stops early.
    """
    waited = len(val_losses) - 1 - kept_epoch(val_losses)
    return waited >= max(LEAST_EPOCHS, patience * total_epochs)


def nothing_more(
    train_losses: Sequence[float], val_losses: Sequence[float], saved_s: float, is_held_out: bool = True
) -> str:
    """The message that training stops early from here on, and why.

    Args:
        saved_s: seconds that the run ends earlier; infinite if not known.
        is_held_out: whether ``val_losses`` are of held-out recordings.
    """
    best = kept_epoch(val_losses)
    time_left = f" Time saved: {about(saved_s)}." if math.isfinite(saved_s) and saved_s >= 1 else ""
    return (
        f"Training stops early: the {'held-out' if is_held_out else 'validation'} loss has not been as low since epoch "
        f"{best + 1} ({val_losses[best]:.2f} then, {val_losses[-1]:.2f} now), while the training loss went from "
        f"{train_losses[best]:.2f} to {train_losses[-1]:.2f}. Training goes back to the weights of epoch {best + 1} and "
        f"cools down for {cooldown_epochs(val_losses)} more.{time_left}"
    )
