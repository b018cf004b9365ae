"""Residual vector quantisation: the traps others fell into."""

import copy

import pytest
import torch

from distill.models.health import code_perplexity
from distill.models.quantizer import ResidualQuantizer, count_codes


def test_start_uses_the_whole_codebook() -> None:
    """Guards against k-means on too few vectors, which leaves doubles in the codebook."""
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(8, 2, 64)
    latents = torch.randn(1, 1024, 8)
    quantizer.start(latents, vectors_per_step=64)
    counts = count_codes(quantizer.eval()(latents)[1], 64)
    assert ((counts > 0).float().mean(dim=1) > 0.95).all()


def test_dead_codes_come_alive_and_stay_alive() -> None:
    """Guards against revival that moves the vector but not its moving average, which writes the dead vector back."""
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(4, 2, 64)
    # All entries but one lie far away from anything the encoder will ever say.
    far = torch.full((2, 64, 4), 1e3)
    far[:, 0] = 0
    quantizer.start(torch.randn(1, 512, 4), vectors_per_step=256)
    quantizer.set_codebooks(far)
    quantizer.train()
    for step in range(400):
        quantizer(torch.randn(1, 256, 4, generator=torch.Generator().manual_seed(step)))
    counts = count_codes(quantizer.eval()(torch.randn(1, 4096, 4))[1], 64)
    assert ((counts > 0).float().mean(dim=1) > 0.9).all()


def test_latents_that_are_not_finite_move_nothing() -> None:
    """Guards against one bad batch that spoils the moving averages for good, before anybody has seen its loss."""
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(4, 2, 16)
    quantizer.start(torch.randn(1, 256, 4), vectors_per_step=64)
    quantizer.train()
    before = {name: tensor.clone() for name, tensor in quantizer.state_dict().items()}
    latents = torch.randn(1, 64, 4)
    latents[0, 3, 1] = float("nan")
    quantizer(latents)
    for name, tensor in quantizer.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_decode_sums_the_levels() -> None:
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(4, 3, 16)
    quantizer.set_codebooks(torch.randn(3, 16, 4))
    quantized, codes, _ = quantizer.eval()(torch.randn(2, 5, 4))
    torch.testing.assert_close(quantizer.decode(codes), quantized)


def test_codes_are_the_library_s_own() -> None:
    """Guards against a search of our own that gives other codes after training than the library gave in it."""
    for seed in range(5):
        torch.manual_seed(seed)
        quantizer = ResidualQuantizer(16, 4, 64)
        quantizer.set_codebooks(torch.randn(4, 64, 16) * 0.5 ** torch.arange(4)[:, None, None])
        latents = torch.randn(3, 700, 16)
        latents[0, :64] = quantizer.codebooks[0]  # distance zero, where rounding decides
        quantized, codes, commitment = quantizer.eval()(latents)
        theirs, their_codes, _ = quantizer.begin_training().eval()(latents)
        assert torch.equal(codes, their_codes)
        assert torch.equal(quantized, theirs)
        assert commitment.tolist() == [0.0] * 4


@pytest.mark.parametrize("is_training", [False, True])
def test_codes_are_the_same_in_half_precision(is_training: bool) -> None:
    """Guards against a training in bf16 that learns from other codes than the finished file gives for the same latents."""
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(16, 4, 64)
    quantizer.set_codebooks(torch.randn(4, 64, 16) * 0.5 ** torch.arange(4)[:, None, None])
    latents = torch.randn(3, 700, 16)
    quantized, codes, _ = quantizer.eval()(latents)
    if is_training:
        quantizer.expect(vectors_per_step=1)  # no entry is dead, and replaced by chance
        quantizer.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, its_codes, commitment = quantizer(latents)
    assert torch.equal(its_codes, codes)
    torch.testing.assert_close(found, quantized)
    assert commitment.dtype == torch.float32


def test_weights_are_loaded_in_the_form_they_have() -> None:
    """Guards against a state to resume from that a fresh quantizer does not take, or takes without its averages."""
    torch.manual_seed(0)
    trained = ResidualQuantizer(4, 2, 16)
    trained.start(torch.randn(1, 256, 4), vectors_per_step=64)
    settled = ResidualQuantizer(4, 2, 16)
    settled.set_codebooks(trained.codebooks)
    assert not any("settled" in name for name in trained.state_dict())
    for source in (trained, settled):
        for target in (ResidualQuantizer(4, 2, 16), copy.deepcopy(trained), copy.deepcopy(settled)):
            target.load_state_dict(source.state_dict())
            assert target.started
            assert target.state_dict().keys() == source.state_dict().keys()
            assert all(torch.equal(target.state_dict()[name], tensor) for name, tensor in source.state_dict().items())


def test_eval_mode_changes_nothing() -> None:
    """Guards against a frozen codec whose codebooks go on moving while it encodes."""
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(4, 2, 16)
    quantizer.set_codebooks(torch.randn(2, 16, 4))
    before = quantizer.codebooks.clone()
    quantizer.eval()(torch.randn(1, 500, 4))
    assert torch.equal(quantizer.codebooks, before)


def test_counts_and_perplexity() -> None:
    codes = torch.tensor([[[0, 3], [1, 3], [2, 3], [3, 3]]])
    counts = count_codes(codes, 8)
    assert counts.tolist() == [[1, 1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 4, 0, 0, 0, 0]]
    assert code_perplexity(counts) == pytest.approx([4.0, 1.0])
    assert code_perplexity(torch.zeros(1, 8, dtype=torch.int64)) == [0.0]
