"""The prior: causal, and the same with and without its cache."""

import pytest
import torch

from distill.models import CodePrior, PriorConfig


@pytest.fixture(scope="module")
def prior() -> CodePrior:
    torch.manual_seed(0)
    model = CodePrior(
        PriorConfig(codebook_size=32, num_quantizers=4, hidden_size=32, num_layers=2, num_heads=2, context=48)
    )
    with torch.no_grad():  # weights large enough that mistakes show
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def tokens(batch: int, length: int) -> torch.Tensor:
    return torch.randint(0, 32, (batch, length), generator=torch.Generator().manual_seed(3))


def test_shape(prior: CodePrior) -> None:
    assert prior(tokens(2, 9)).shape == (2, 9, 32)


def test_transposed_sequences_are_told_and_no_others(prior: CodePrior) -> None:
    """Guards against a mark that reaches what keeps its pitch, as which new audio is drawn."""
    plain = prior(tokens(3, 20))
    marked = prior(tokens(3, 20), transposed=torch.tensor([False, True, False]))
    assert torch.equal(marked[[0, 2]], plain[[0, 2]])
    assert (marked[1] - plain[1]).abs().max() > 0.1


@pytest.mark.parametrize("place", [0, 5, 18])
def test_no_gradient_from_the_future(prior: CodePrior, place: int) -> None:
    """Guards against a mask that leaks: training loss would fall to nothing and sampling would make noise."""
    seen: list[torch.Tensor] = []

    def keep(_: object, __: object, output: torch.Tensor) -> None:
        output.retain_grad()
        seen.append(output)

    hook = prior.embedding.register_forward_hook(keep)
    prior(tokens(1, 20))[0, place].sum().backward()
    hook.remove()
    reached = seen[0].grad[0].flatten(0, 1)[:20].abs().sum(dim=-1) > 0  # [S, Q, H], padded to whole positions
    assert reached.tolist() == [index <= place for index in range(20)]


@pytest.mark.parametrize("place", [0, 5, 18])
def test_the_future_changes_nothing(prior: CodePrior, place: int) -> None:
    first = tokens(1, 20)
    second = first.clone()
    second[:, place + 1 :] = (second[:, place + 1 :] + 7) % 32
    torch.testing.assert_close(prior(first)[:, : place + 1], prior(second)[:, : place + 1])
    assert not torch.allclose(prior(first)[:, place + 1 :], prior(second)[:, place + 1 :])


@pytest.mark.parametrize("step", [1, 3, 4, 7])
def test_cached_equals_full(prior: CodePrior, step: int) -> None:
    """Guards against positions, levels or masks that go wrong when tokens come a few at a time."""
    line = tokens(2, 48)
    cache = prior.new_cache(2)
    parts = [prior(line[:, start : start + step], cache) for start in range(0, 48, step)]
    torch.testing.assert_close(torch.cat(parts, dim=1), prior(line), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("place", [0, 5, 18, 21, 30])
def test_what_is_known_beforehand_reaches_all_before_it_and_nothing_else_leaks(prior: CodePrior, place: int) -> None:
    """Guards against an infilling order in which a token sees itself, or in which the right side is never seen."""
    first = tokens(1, 35)  # positions 5 to 8 are known beforehand
    logits = prior(first, known_from=5)
    for changed in range(35):
        second = first.clone()
        second[:, changed] = (second[:, changed] + 7) % 32
        moved = bool((prior(second, known_from=5)[0, place] - logits[0, place]).abs().max() > 1e-6)
        target = place + 1
        # A token of the right side knows its own past there; one before it knows its past and all of the right side,
        # but of the last, unfinished position nothing: there is no input for that.
        seen = 20 <= changed < target if target >= 20 else changed < target or 20 <= changed < 32
        assert moved == seen, f"token {changed} for the one at {target}"


def test_cached_infilling_equals_full(prior: CodePrior) -> None:
    """Guards against a cache that puts what lies ahead at other places than training does."""
    line = tokens(2, 48)
    full = prior(line, known_from=7)
    cache = prior.new_cache(2)
    prior.look_ahead(line[:, 28:].unflatten(1, (5, 4)), 7, cache)
    parts = [prior(line[:, start : start + 3], cache) for start in range(0, 27, 3)]
    torch.testing.assert_close(torch.cat(parts, dim=1), full[:, :27], atol=1e-5, rtol=1e-4)


def test_streams_of_one_cache_that_begin_at_different_positions(prior: CodePrior) -> None:
    """Guards against a stream that hears what another one began with, or begins without a start of its own."""
    line, since = tokens(3, 48), torch.tensor([0, 5, 2])
    cache = prior.new_cache(3)
    parts = [prior(line[:, :28], cache, since=since), prior(line[:, 28:35], cache)]
    parts += [prior(line[:, at : at + 1], cache) for at in range(35, 48)]
    together = torch.cat(parts, dim=1)
    for row, begins in enumerate((0, 20, 8)):
        alone = prior(line[row : row + 1, begins:])
        torch.testing.assert_close(together[row : row + 1, begins:], alone, atol=1e-5, rtol=1e-4)


def test_every_level_has_its_own_head(prior: CodePrior) -> None:
    """Guards against scoring a token with the head of the level it belongs to instead of the next one's."""
    line = tokens(1, 8)
    before = prior(line)
    with torch.no_grad():
        prior.heads[2] += 1.0
    changed = (prior(line) - before).abs().amax(dim=(0, 2)) > 1e-3
    with torch.no_grad():
        prior.heads[2] -= 1.0
    assert changed.tolist() == [(index + 1) % 4 == 2 for index in range(8)]


def test_more_than_the_context_is_refused(prior: CodePrior) -> None:
    with pytest.raises(ValueError, match="49 tokens"):
        prior(tokens(1, 49))


def test_sizes_grow_with_the_corpus() -> None:
    sizes = [
        PriorConfig.for_corpus(seconds, codebook_size=256, num_quantizers=4, frame_rate=46.875).hidden_size
        for seconds in (200, 2_000, 20_000)
    ]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize(
    ("seconds", "minutes", "hidden_size"),
    [(7_600, 1.4, 128), (7_600, 4, 256), (7_600, 10, 384), (2_000, 2.5, 256), (200, 60, 128)],
)
def test_sizes_grow_with_the_time(seconds: float, minutes: float, hidden_size: int) -> None:
    """Guards against two hours of sound in eight minutes, whose prior of 14 million weights took one step."""
    sizes = PriorConfig.for_corpus(seconds, codebook_size=256, num_quantizers=4, frame_rate=46.875, minutes=minutes)
    assert sizes.hidden_size == hidden_size


def test_config_refuses_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="heads"):
        PriorConfig(hidden_size=30, num_heads=7)
    with pytest.raises(ValueError, match="context"):
        PriorConfig(context=1023)


def test_codes_that_sound_alike_begin_alike() -> None:
    """Guards against a start whose rows are in another order than the embedding's (level by level)."""
    model = CodePrior(
        PriorConfig(codebook_size=32, num_quantizers=2, hidden_size=32, num_layers=1, num_heads=2, context=16)
    )
    codebooks = torch.randn(2, 32, 8, generator=torch.Generator().manual_seed(0))
    codebooks[1, 5] = codebooks[1, 9] + 0.01
    model.start_from_codebooks(codebooks)
    rows = model.embedding.weight
    alike, unlike = (rows[32 + 5] - rows[32 + 9]).norm(), (rows[32 + 5] - rows[32 + 10]).norm()
    assert alike < 0.1 * unlike
    assert (model.heads[1, 5] - model.heads[1, 9]).norm() < 0.1 * (model.heads[1, 5] - model.heads[1, 10]).norm()


def test_a_code_held_on_is_expected(prior: CodePrior) -> None:
    """Guards against textures that flicker: a sound that lasts is the same codes again, or codes that sound like them."""
    fresh = CodePrior(prior.config)
    q, k = prior.config.num_quantizers, prior.config.codebook_size
    codebooks = torch.randn(q, k, 8, generator=torch.Generator().manual_seed(1))
    codebooks[:, 1] = codebooks[:, 0] + 0.1
    fresh.start_from_codebooks(codebooks)
    before = torch.zeros(1, q, dtype=torch.int64)
    probability = fresh(before)[0, -1].softmax(dim=-1)
    assert probability[0] > 2 / k
    assert probability[0] > probability[1] > 1.2 / k


def test_what_is_to_come_is_really_used() -> None:
    """Guards against infilling that hears what is to come and ignores it: here nothing else tells what belongs there."""
    classes = torch.arange(1, 8)
    tokens = classes[:, None].repeat(1, 8)  # one of seven sounds, which the first position does not announce
    tokens[:, 0] = 0
    torch.manual_seed(0)
    prior = CodePrior(PriorConfig(8, num_quantizers=1, hidden_size=32, num_layers=1, num_heads=2, context=8))
    optimizer = torch.optim.AdamW(prior.parameters(), lr=1e-2)
    for step in range(120):
        logits = prior(tokens[:, :-1], known_from=4 if step % 2 else None)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def probability(known_from: int | None) -> float:
        first = prior(tokens[:, :-1], known_from=known_from).detach()[:, 0].softmax(dim=-1)
        return float(first.gather(1, classes[:, None]).mean())

    assert probability(None) < 0.25
    assert probability(4) > 0.8
