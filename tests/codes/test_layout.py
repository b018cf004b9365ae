"""flatten_codes and unflatten_codes: the one order of codes."""

import pytest
import torch

from distill.codes import flatten_codes, unflatten_codes


def test_order_is_position_major() -> None:
    """Guards against level-major flattening, which trains fine and makes garbage when decoded."""
    codes = torch.tensor([[[1, 2, 3], [4, 5, 6]]])
    assert flatten_codes(codes).tolist() == [[1, 2, 3, 4, 5, 6]]


def test_unflatten_is_the_inverse() -> None:
    codes = torch.randint(0, 256, (3, 7, 4), generator=torch.Generator().manual_seed(0))
    assert torch.equal(unflatten_codes(flatten_codes(codes), 4), codes)


def test_tokens_that_do_not_fill_positions_are_refused() -> None:
    """Guards against codes shifted by a level after a cut in mid-position."""
    with pytest.raises(ValueError, match="7 tokens"):
        unflatten_codes(torch.zeros(1, 7, dtype=torch.int64), 4)
