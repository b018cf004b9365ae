"""Re-imagining: what is kept stays bit for bit, what is free is drawn, and knows what is around it."""

import dataclasses

import pytest
import torch
from torch import Tensor

import small_distill
from distill.errors import SettingError
from distill.making.drawing import Sampling
from distill.making.reimagine import reimagine
from distill.models import CodePrior, Model
from distill.models.model_file import Source


@pytest.fixture(scope="module")
def model() -> Model:
    codec = small_distill.small_codec()
    torch.manual_seed(3)
    prior = small_distill.small_prior(codec.config, num_layers=2, context=96)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    sources = tuple(Source(f"take-{i}.wav", 0.0, False, torch.tensor([[i, 2, 3, 4], [5, 6, 7, 8]])) for i in range(9))
    return small_distill.small_model(codec, prior, sources)


@pytest.fixture
def codes() -> Tensor:
    return torch.randint(0, 32, (70, 4), generator=torch.Generator().manual_seed(0))


def passage(codes: Tensor, first: int, stop: int, levels: tuple[int, ...] = (0, 1, 2, 3)) -> Tensor:
    free = torch.zeros_like(codes, dtype=torch.bool)
    for level in levels:
        free[first:stop, level] = True
    return free


# The prior sees 24 positions: passages that fit beside what follows, that do not, at both ends, and all of it.
SPANS = [(20, 25), (10, 50), (0, 8), (0, 1), (62, 70), (0, 70), (69, 70), (1, 2)]


@pytest.mark.parametrize(("first", "stop"), SPANS)
@pytest.mark.parametrize("levels", [(0, 1, 2, 3), (0,), (2, 3)])
def test_only_free_cells_change(model: Model, codes: Tensor, first: int, stop: int, levels: tuple[int, ...]) -> None:
    free = passage(codes, first, stop, levels)
    new = reimagine(model, codes, free, count=2, seed=3)
    assert new.shape == (2, 70, 4)
    for proposal in new:
        assert torch.equal(proposal[~free], codes[~free])
        assert 0 <= int(proposal.min()) <= int(proposal.max()) < 32
        if free.sum() > 8:
            assert (proposal[free] != codes[free]).float().mean() > 0.5


@pytest.mark.parametrize("window", [2, 3, 4, 5])
def test_a_prior_that_sees_next_to_nothing_goes_on_from_something(model: Model, codes: Tensor, window: int) -> None:
    """Guards against a passage that is drawn from an empty prompt, as what follows fills the window."""
    torch.manual_seed(3)
    config = dataclasses.replace(model.require_prior().config, context=4 * window)
    narrow = dataclasses.replace(model, prior=CodePrior(config).eval())
    for first, stop in ((20, 25), (20, 21), (1, 2), (0, 3)):
        free = passage(codes, first, stop)
        new = reimagine(narrow, codes, free)[0]
        assert torch.equal(new[~free], codes[~free])


def test_single_cells_here_and_there(model: Model, codes: Tensor) -> None:
    free = torch.rand(codes.shape, generator=torch.Generator().manual_seed(1)) < 0.2
    new = reimagine(model, codes, free)[0]
    assert torch.equal(new[~free], codes[~free])


def test_proposals_have_their_own_seeds(model: Model, codes: Tensor) -> None:
    """Guards against a proposal that cannot be made again alone."""
    free = passage(codes, 10, 30)
    several = reimagine(model, codes, free, count=3, seed=7)
    assert not torch.equal(several[0], several[1])
    assert torch.equal(several[2], reimagine(model, codes, free, seed=9)[0])


def test_what_is_kept_in_a_column_is_heard_by_what_is_drawn_above_it(model: Model, codes: Tensor) -> None:
    """Guards against levels that are drawn as if the kept ones were others, and put in afterwards."""
    free = passage(codes, 20, 26, (1, 2, 3))
    likeliest = Sampling(temperature=0)
    other = codes.clone()
    other[20:26, 0] = (codes[20:26, 0] + 7) % 32
    first, second = (reimagine(model, one, free, sampling=likeliest)[0] for one in (codes, other))
    assert not torch.equal(first[20:26, 1:], second[20:26, 1:])


@pytest.mark.parametrize("changed", [19, 26])
def test_both_sides_are_heard(model: Model, codes: Tensor, changed: int) -> None:
    free = passage(codes, 20, 26)
    other = codes.clone()
    other[changed] = (codes[changed] + 7) % 32
    likeliest = Sampling(temperature=0)
    first, second = (reimagine(model, one, free, sampling=likeliest)[0] for one in (codes, other))
    assert not torch.equal(first[20:26], second[20:26])


def test_nothing_free_is_refused(model: Model, codes: Tensor) -> None:
    with pytest.raises(SettingError, match="no cell"):
        reimagine(model, codes, torch.zeros_like(codes, dtype=torch.bool))
