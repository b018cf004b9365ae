"""The .codes file: tied to its codec, and honest about its length."""

from pathlib import Path

import pytest
import torch

from distill.codes.codes_file import Codes, load_codes, save_codes
from distill.errors import CodesFileError
from distill.files.tensors import encode
from distill.models import ConvVQVAE, VQVAEConfig

MINE, OTHER = "a" * 64, "b" * 64


@pytest.fixture(scope="module")
def codec() -> ConvVQVAE:
    return ConvVQVAE(
        VQVAEConfig(
            hidden_size=8,
            encoder_blocks=1,
            decoder_blocks=1,
            latent_size=4,
            codebook_size=32,
            sketch_size=4,
        )
    )


def grid(positions: int = 3) -> torch.Tensor:
    return torch.arange(positions * 4).view(positions, 4) % 32


def test_round_trip(tmp_path: Path, codec: ConvVQVAE) -> None:
    codes = Codes(grid(), MINE, 3 * 1024 - 5, 48_000)
    read = load_codes(save_codes(tmp_path / "a.codes", codes), MINE, codec)
    assert torch.equal(read.codes, codes.codes)
    assert (read.codec, read.samples, read.sample_rate) == (MINE, 3067, 48_000)


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (Codes(grid(), OTHER, 3072, 48_000), "another model"),
        (Codes(grid() + 30, MINE, 3072, 48_000), "does not have"),
        (Codes(grid()[:, :2], MINE, 3072, 48_000), "other sizes"),
        (Codes(grid(), MINE, 3073, 48_000), "other sizes"),
        (Codes(grid(), MINE, 10**12, 48_000), "other sizes"),
        (Codes(grid(), MINE, 3072, 44_100), "44100 samples a second"),
    ],
)
def test_what_does_not_belong_is_refused(tmp_path: Path, codec: ConvVQVAE, codes: Codes, words: str) -> None:
    """Guards against noise decoded from another model's codes, and lengths a doctored file makes up."""
    with pytest.raises(CodesFileError, match=words):
        load_codes(save_codes(tmp_path / "a.codes", codes), MINE, codec)


def test_every_flipped_bit_of_the_codes_is_noticed(tmp_path: Path, codec: ConvVQVAE) -> None:
    """Guards against a bad copy that plays other sounds: a code with a flipped bit is as good a code."""
    path = save_codes(tmp_path / "a.codes", Codes(grid(), MINE, 3072, 48_000))
    content = path.read_bytes()
    for place in range(len(content) - 24, len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(CodesFileError, match="checksum"):
            load_codes(path, MINE, codec)


def test_a_file_without_a_digest_is_refused(tmp_path: Path, codec: ConvVQVAE) -> None:
    """Guards against codes whose bytes nothing vouches for."""
    header = f'{{"format":"distill-codes","major":1,"codec":"{MINE}","samples":3072,"sample_rate":48000}}'
    tensors = {"codes": grid().to(torch.int16).contiguous()}
    (tmp_path / "a.codes").write_bytes(encode(tensors, "distill", lambda digest: header))
    with pytest.raises(CodesFileError, match=r"a\.codes"):
        load_codes(tmp_path / "a.codes", MINE, codec)


def test_a_file_of_a_newer_distill_says_so(tmp_path: Path, codec: ConvVQVAE) -> None:
    """Guards against "Make it again" of a file that is in order, where what helps is a newer Distill."""
    header = '{"format":"distill-codes","major":2}'
    tensors = {"codes": grid().to(torch.int16).contiguous()}
    (tmp_path / "a.codes").write_bytes(encode(tensors, "distill", lambda digest: header))
    with pytest.raises(CodesFileError, match=r"a\.codes was written by a newer Distill \(format 2") as told:
        load_codes(tmp_path / "a.codes", MINE, codec)
    assert told.value.fix.startswith("Update Distill")


@pytest.mark.parametrize("content", [b"", b"codes", b"\xff" * 100, b"\x10\0\0\0\0\0\0\0" + b"[" * 16])
def test_what_is_no_codes_file_is_refused(tmp_path: Path, codec: ConvVQVAE, content: bytes) -> None:
    path = tmp_path / "a.codes"
    path.write_bytes(content)
    with pytest.raises(CodesFileError, match=r"a\.codes"):
        load_codes(path, MINE, codec)
