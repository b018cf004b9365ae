"""The base prior: what priors over any codec start from."""

from pathlib import Path

import pytest
import torch

from distill.codes.descriptions import SIZE
from distill.models.base_prior import CodeMaps, base_prior_path, save_base_prior, start_from_base_prior
from distill.models.config import PriorConfig
from distill.models.prior import CodePrior

SIZES = {"num_quantizers": 2, "hidden_size": 16, "num_layers": 1, "num_heads": 2, "context": 32}


def prior(seed: int, codebook_size: int = 8) -> CodePrior:
    torch.manual_seed(seed)
    return CodePrior(PriorConfig(codebook_size=codebook_size, **SIZES)).eval()


def maps() -> CodeMaps:
    generator = torch.Generator().manual_seed(3)
    return CodeMaps(PriorConfig(**SIZES), 1 + torch.rand(5, generator=generator), generator)


def test_codes_that_sound_the_same_begin_the_same_in_any_codec(tmp_path: Path) -> None:
    """Guards against a start that hangs on the numbers of codes, which another codec has in another order."""
    path = save_base_prior(tmp_path / "base", prior(0), maps())
    heard = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(4))
    order = torch.tensor([3, 1, 7, 0, 2, 6, 5, 4])
    one, other = prior(1), prior(2)
    start_from_base_prior(one, path, heard)
    start_from_base_prior(other, path, heard[:, order])
    codes = torch.randint(0, 8, (1, 16), generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(other(codes), one(order[codes])[..., order], atol=1e-5, rtol=1e-4)


def test_the_base_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = prior(0)
    started = prior(1)
    start_from_base_prior(started, save_base_prior(tmp_path / "base", written, maps()), torch.randn(2, 8, 5))
    torch.testing.assert_close(started.blocks[0].expand.weight, written.blocks[0].expand.weight, atol=1e-3, rtol=0)


def test_a_base_of_other_sizes_is_not_taken(tmp_path: Path) -> None:
    path = save_base_prior(tmp_path / "base", prior(0), maps())
    deeper = CodePrior(PriorConfig(codebook_size=8, **{**SIZES, "num_layers": 2}))
    with pytest.raises((ValueError, RuntimeError)):
        start_from_base_prior(deeper, path, torch.randn(2, 8, 5))
    assert base_prior_path(PriorConfig(**SIZES)) is None


def test_the_base_fits_priors_of_the_default_sizes() -> None:
    for codebook_size in (32, 256):
        config = PriorConfig.for_corpus(60.0, codebook_size=codebook_size, num_quantizers=4, frame_rate=46.875)
        path = base_prior_path(config)
        assert path is not None
        assert path.stat().st_size <= 4 << 20
        start_from_base_prior(CodePrior(config), path, torch.randn(4, codebook_size, SIZE))
