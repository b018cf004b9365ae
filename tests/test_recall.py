"""Borrowing from the recordings: whole positions, in stretches that end in time, from where the situation is alike."""

import pytest
import torch

from distill.errors import SettingError
from distill.generation import Sampling, sample_codes
from distill.models import CodePrior, PriorConfig
from distill.recall import Borrowing, Recall, situations


@pytest.fixture(scope="module")
def prior() -> CodePrior:
    torch.manual_seed(0)
    model = CodePrior(
        PriorConfig(codebook_size=512, num_quantizers=2, hidden_size=16, num_layers=2, num_heads=2, context=40)
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def recordings() -> list[torch.Tensor]:
    """Three of 100 positions in which every position is another one, so that where it came from can be told."""
    places = torch.arange(300)
    grid = torch.stack([places % 512, places * 7 % 512], dim=1)
    return list(grid.split(100))


def stretches(codes: torch.Tensor) -> list[int]:
    """Lengths of the runs of ``codes [S, Q]`` that go on from one place of the recordings to the next."""
    known = {tuple(position): place for place, position in enumerate(torch.cat(recordings()).tolist())}
    places = [known.get(tuple(position), -1) for position in codes.tolist()]
    lengths: list[int] = []
    last = -2
    for place in places:
        if place < 0:
            last = -2
            continue
        if place == last + 1 and place % 100:
            lengths[-1] += 1
        else:
            lengths.append(1)
        last = place
    return lengths


@pytest.mark.parametrize("longest", [1, 5, 20])
def test_no_stretch_is_longer_than_the_limit(prior: CodePrior, longest: int) -> None:
    """Guards against a jump that lands where it left, so that a recording goes on beyond the limit."""
    recall = Recall(prior, recordings())
    sampling = Sampling(borrowing=Borrowing(1.0, longest))
    codes = sample_codes(prior, recall.codes[:1], 200, sampling, range(4), recall=recall)
    lengths = [length for piece in codes for length in stretches(piece[1:])]
    assert max(lengths) <= longest
    assert sum(lengths) == 4 * 199, "every position came from a recording"
    if longest > 1:
        assert max(lengths) > 1


def test_a_share_is_the_priors_own(prior: CodePrior) -> None:
    recall = Recall(prior, recordings())
    sampling = Sampling(borrowing=Borrowing(0.5, 4))
    codes = sample_codes(prior, recall.codes[:1], 300, sampling, range(4), recall=recall)
    borrowed = sum(sum(stretches(piece[1:])) for piece in codes) / (4 * 299)
    assert 0.3 < borrowed < 0.7


def test_a_stream_does_not_depend_on_its_neighbours(prior: CodePrior) -> None:
    """Guards against one stream's jumps shifting another's random numbers."""
    recall = Recall(prior, recordings())
    sampling = Sampling(borrowing=Borrowing(0.5, 4))
    together = sample_codes(prior, recall.codes[:1], 50, sampling, [7, 8, 9], recall=recall)
    alone = sample_codes(prior, recall.codes[:1], 50, sampling, [8], recall=recall)
    assert torch.equal(together[1], alone[0])


def test_situations_of_a_long_recording_are_those_of_its_windows(prior: CodePrior) -> None:
    """Guards against views that begin anew at every window and know nothing of what came before."""
    codes = torch.cat(recordings())
    views = situations(prior, codes)
    assert views.shape == (300, 16)
    torch.testing.assert_close(views[10:20], prior.situations(codes[None, :20])[0, 10:], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(views[150:160], prior.situations(codes[None, 140:160])[0, 10:], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("share", "longest"), [(-0.1, 5), (1.1, 5), (0.5, 0)])
def test_what_cannot_be_borrowed(share: float, longest: int) -> None:
    with pytest.raises(SettingError):
        Borrowing(share, longest)
