"""Dropout: what is dropped, what is kept, and who decides."""

import pytest
import torch

from distill.models.dropout import dropout


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_share_is_dropped_and_the_mean_stays(share: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(1000, 257)
    y = dropout(x, share, is_training=True)
    assert float((y == 0).float().mean()) == pytest.approx(share, abs=0.004)
    assert float(y.mean()) == pytest.approx(1, abs=0.004)
    assert len(y.unique()) == 2, "those that are kept all grow by the same"


def test_every_number_has_its_own_chance() -> None:
    """Guards against a byte whose highest bit is never drawn, and against one byte for several numbers."""
    torch.manual_seed(0)
    kept = dropout(torch.ones(20_000, 16), 0.5, is_training=True) > 0
    assert kept.float().mean(dim=0).sub(0.5).abs().max() < 0.02
    together = torch.corrcoef(kept.float().T) - torch.eye(16)
    assert together.abs().max() < 0.04


def test_gradients_pass_where_numbers_do() -> None:
    torch.manual_seed(0)
    x = torch.randn(7, 9, requires_grad=True)
    y = dropout(x, 0.3, is_training=True)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad == 0, y == 0)
    assert torch.allclose(y, x.detach() * x.grad)


def test_nothing_is_dropped_when_nothing_is_learned_or_none_is_asked_for() -> None:
    x = torch.randn(5, 5)
    assert dropout(x, 0.3, is_training=False) is x
    assert dropout(x, 0.0, is_training=True) is x


def test_the_generator_decides() -> None:
    """A training that is resumed drops what it would have dropped."""
    x = torch.ones(100)
    torch.manual_seed(1)
    first, second = dropout(x, 0.5, is_training=True), dropout(x, 0.5, is_training=True)
    torch.manual_seed(1)
    assert torch.equal(dropout(x, 0.5, is_training=True), first)
    assert not torch.equal(first, second)
    half = dropout(x.to(torch.bfloat16), 0.5, is_training=True)
    assert half.dtype == torch.bfloat16
