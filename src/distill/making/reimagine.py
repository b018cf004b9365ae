"""Re-imagining: some cells of a grid are drawn anew by the prior, and all others stay what they are.

    free     . . x x x x . .      Columns from the first free cell to the last are gone through in order. Free cells are drawn
             . . . x . x . .      by what is before them, the others are set, and what is behind the passage is known from the
             . . x x x x . .      beginning, as in infilling.

A code that is kept does not change what is drawn at lower levels of its own column: the prior goes from coarse to fine.
"""

import torch
from torch import Tensor

from distill.errors import SettingError
from distill.making.drawing import Sampling, Steering, continue_codes
from distill.making.openings import Openings
from distill.making.sampling import check_count
from distill.models.model_file import Model


def reimagine(
    model: Model,
    codes: Tensor,
    free: Tensor,
    count: int = 1,
    sampling: Sampling | None = None,
    seed: int = 0,
) -> Tensor:
    """Draws the free cells of a sound anew, ``count`` times; proposal ``i`` has seed ``seed + i``.

    Args:
        codes: ``[S, Q]``.
        free: bool ``[S, Q]``, the cells to be drawn.

    Returns:
        The whole sound each time: ``[count, S, Q]``.

    Raises:
        MissingPriorError: if the model has no prior.
        SettingError: if no cell is free, or ``count`` or the sampling is out of range.
    """
    check_count(count)
    prior = model.require_prior()
    sampling = sampling or Sampling()
    columns = free.any(dim=1).nonzero()[:, 0].tolist()
    if not columns:
        raise SettingError("There is no cell to re-imagine.", "Select cells that are not locked.")
    first, stop = columns[0], columns[-1] + 1
    window = prior.config.context_positions
    kept = torch.where(free, -1, codes)
    result, openings = codes.expand(count, -1, -1).clone(), Openings(model)
    if first == 0:  # nothing is before it: it opens like one of the recordings
        result[:, 0] = torch.where(free[0], openings.codes(range(seed, seed + count)), codes[0])
        first = 1
    steering = Steering.of_passage(model, openings.silent)
    generators = [torch.Generator().manual_seed(seed + index) for index in range(count)]

    def draw(start: int, end: int, ahead: Tensor | None, before: int) -> None:
        result[:, start:end] = continue_codes(
            prior,
            result[:, start - before : start],
            end - start,
            sampling,
            generators,
            steering,
            ahead=ahead,
            kept=kept[start:end],
        )

    # As much as the prior can see together with what is behind it; before that, what comes next is not settled yet.
    last = min(stop - first, 2 * window // 3) if stop < len(codes) else 0
    if stop - last > first:
        draw(first, stop - last, None, min(first, window))
    if last:
        spare = window - last
        after = min(len(codes) - stop, spare - min(stop - last, max(1, spare // 2)))
        draw(stop - last, stop, result[:, stop : stop + after], min(stop - last, spare - after))
    return result
