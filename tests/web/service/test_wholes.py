"""The jobs behind ``distill serve``, without a server: what is refused, and what is said where the disk is full."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import small_distill
from distill.codes.codes_file import Codes, save_codes
from distill.errors import OutputError, SettingError
from distill.models import Model
from distill.web.wholes import decode_whole, edit_whole, encode_whole


@pytest.fixture(scope="module")
def model() -> Model:
    return small_distill.small_model(small_distill.small_codec())


@pytest.fixture
def codes_of(model: Model, tmp_path: Path) -> Callable[[int], str]:
    """``codes_of(positions)``: where a file of so many is."""

    def write(positions: int) -> str:
        grid = torch.zeros(positions, model.codec.num_quantizers, dtype=torch.int64)
        codes = Codes(grid, model.codes_fingerprint, positions * model.codec.hop, model.codec.sample_rate)
        return str(save_codes(tmp_path / f"{positions}.codes", codes))

    return write


@pytest.mark.parametrize(("channels", "tells_length"), [(2, True), (6, True), (1, False)])
def test_what_is_too_long_is_not_gone_through(
    channels: int, tells_length: bool, model: Model, save: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against days of silence in some megabytes of FLAC that are decoded before the limit is looked at: to find how
    their channels are mixed, or to count them."""
    rate, decoded, read = 8_000, 0, soundfile.SoundFile.read
    path = save(tmp_path / "long.flac", np.zeros((channels, 60 * rate), np.float32), rate)
    if not tells_length:
        content = bytearray(path.read_bytes())
        content[21:26] = bytes([content[21] & 0xF0, 0, 0, 0, 0])  # 36 bits of STREAMINFO: the number of samples
        path.write_bytes(content)

    def counted(*given: Any, **how: Any) -> Any:
        nonlocal decoded
        block = read(*given, **how)
        decoded += len(block)
        return block

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    with pytest.raises(SettingError, match="At most 8 s"):
        encode_whole(model, b"", 8.0, str(path), str(tmp_path / "out.codes"))
    assert decoded <= 10 * rate


def test_codes_that_are_too_long_are_not_edited(model: Model, codes_of: Callable[[int], str], tmp_path: Path) -> None:
    """Guards against a limit that holds for all but edits, and the sounds they graft from."""
    out, mirror = str(tmp_path / "out.codes"), [{"name": "mirror", "value": "all", "details": {}}]
    edit_whole(model, b"", 1.0, codes_of(40), {"other": codes_of(30)}, mirror, out)
    for codes, other in ((60, 30), (40, 60)):
        with pytest.raises(SettingError, match="At most 1 s"):
            edit_whole(model, b"", 1.0, codes_of(codes), {"other": codes_of(other)}, mirror, out)


@pytest.mark.parametrize("audio_format", ["flac", "ogg", "mp3"])
def test_a_full_disk_is_the_server_s_and_no_fault(
    audio_format: str,
    model: Model,
    codes_of: Callable[[int], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    full_disk: Callable[[int | None], None],
) -> None:
    """Guards against "this is a fault in Distill" with status 500, where a server's disk has no room for the sound."""
    codes = codes_of(40)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    full_disk(1000)
    with pytest.raises(OutputError, match="the folder for temporary files cannot be written: file too large"):
        list(decode_whole(model, b"", 8.0, codes, audio_format))
    assert not list((tmp_path / "temporary").iterdir())
