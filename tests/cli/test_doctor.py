"""The doctor finds what is wrong, and nothing where all is well."""

import errno
import shutil
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from distill import doctor
from distill.audio.distance import Magnitude
from distill.doctor import Finding, data_folder, devices, disk, library, self_test, speed, training_speed, versions
from distill.files.home import home
from distill.library import Library
from distill.models.quantizer import ResidualQuantizer
from distill.models.vqvae import ConvVQVAE

CPU = torch.device("cpu")


def wrong(findings: Iterator[Finding]) -> dict[str, Finding]:
    return {one.name: one for one in findings if not one.is_well}


def test_this_machine_is_well() -> None:
    assert self_test(CPU) == []
    assert wrong(versions()) == {}
    assert wrong(data_folder()) == {}


def test_a_self_test_leaves_the_dice_alone() -> None:
    """Guards against training that comes out otherwise because the doctor was asked before it."""
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    self_test(CPU)
    training_speed(CPU, seconds=0.0)
    assert torch.equal(torch.rand(3), expected)


def test_a_device_with_wrong_codes_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a device whose arithmetic finds another entry now and then and reports no error."""
    right = ResidualQuantizer.forward

    def forward(quantizer: ResidualQuantizer, latents: torch.Tensor) -> Any:
        quantized, codes, commitment = right(quantizer, latents)
        codes[0, 7, 2] = (codes[0, 7, 2] + 1) % 256
        return quantized, codes, commitment

    monkeypatch.setattr(ResidualQuantizer, "forward", forward)
    monkeypatch.setattr(doctor, "available_devices", lambda: {"cuda": "Broken 3000"})
    monkeypatch.setattr(doctor.torch, "device", lambda name: CPU)
    found = wrong(devices())
    assert "Broken 3000: 0.0% of the codes are wrong" in found["cuda"].value
    assert "--device cpu" in found["cuda"].fix


def test_a_device_with_a_wrong_spectrum_or_sound_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against Fourier transforms that are right at one length and wrong at another, or full of NaN."""
    magnitude, decode = Magnitude.forward, ConvVQVAE.decode
    with monkeypatch.context() as broken:
        broken.setattr(Magnitude, "forward", lambda self, audio: magnitude(self, audio).roll(1, dims=-1))
        assert [fault.split()[0] for fault in self_test(CPU)] == ["spectrum"]
    with monkeypatch.context() as broken:
        broken.setattr(Magnitude, "forward", lambda self, audio: magnitude(self, audio) * torch.nan)
        assert [fault.split()[0] for fault in self_test(CPU)] == ["spectrum"]
    calls: list[int] = []

    def second_time_wrong(codec: ConvVQVAE, codes: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return decode(codec, codes) * (0.9 if len(calls) == 2 else 1)

    with monkeypatch.context() as broken:
        broken.setattr(ConvVQVAE, "decode", second_time_wrong)
        assert [fault.split()[0] for fault in self_test(CPU)] == ["sound"]


def test_a_device_that_fails_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a broken driver that ends the doctor too."""

    def fails(_: torch.device) -> list[str]:
        raise RuntimeError("CUDA error: no kernel image\nand so on")

    monkeypatch.setattr(doctor, "self_test", fails)
    assert "it fails (CUDA error: no kernel image)" in wrong(devices())["cpu"].value


def test_the_speed_is_measured_and_extrapolated(monkeypatch: pytest.MonkeyPatch) -> None:
    assert training_speed(CPU, seconds=0.0) > 0
    monkeypatch.setattr(doctor, "training_speed", lambda device: 25.0)
    fast = {one.name: one for one in speed()}
    assert fast["10 min corpus"].number == pytest.approx(600.0)
    assert "10 min for the codec" in fast["10 min corpus"].value
    assert all(one.is_well for one in fast.values())
    monkeypatch.setattr(doctor, "training_speed", lambda device: 0.1)
    assert "Close what else is running" in wrong(speed())["training"].fix


def test_little_room_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: types.SimpleNamespace(free=10**9))
    found = wrong(disk())
    assert set(found) == {"own folder", "this folder"}
    assert "1.0 GB free" in found["own folder"].value


def test_a_folder_that_cannot_be_written_to_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, data: bytes) -> int:
        raise OSError(errno.EROFS, "read-only", str(path))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    found = wrong(data_folder())
    assert "read-only" in found["place"].value
    assert "DISTILL_HOME" in found["place"].fix


def test_runs_are_counted(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (home() / "runs" / name).mkdir(parents=True)
        (home() / "runs" / name / "events.jsonl").write_bytes(bytes(2_000_000))
    found = {one.name: one for one in data_folder()}
    assert found["runs"].value == "2, 4.0 MB"
    assert found["runs"].number == 4_000_000


def test_a_library_in_good_health_is_counted_and_damage_is_found(model_files: Path, tmp_path: Path) -> None:
    """Guards against a doctor who says that all is well while a model is gone or the database is rubbish."""
    index = Library(lambda words: None)
    mine = Path(shutil.copy(model_files / "tiny.distill", tmp_path))
    index.note_model(mine)
    assert wrong(library()) == {}
    assert next(library()).value == "models 1, trainings 0, new pieces 0"
    mine.unlink()
    assert "gone or damaged" in wrong(library())["tiny"].value
    (home() / "library.db").write_bytes(b"rubbish" * 1000)
    assert "damaged" in wrong(library())["notice"].value


def test_formats_that_cannot_be_read_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against MP3 files that are all called damaged because of an old libsndfile."""
    monkeypatch.setattr(doctor.soundfile, "available_formats", lambda: dict.fromkeys(["WAV", "AIFF", "FLAC", "OGG"]))
    assert "cannot read MP3" in wrong(versions())["libsndfile"].value


@pytest.mark.parametrize("well", [True, False])
def test_the_page_and_the_exit_code(well: bool, distill: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    findings = [Finding("Disk", "own folder", "9.0 GB free", number=9e9)]
    if not well:
        findings.append(Finding("Devices", "cuda", "3 % of the codes are wrong", "Use --device cpu."))
    monkeypatch.setattr(doctor, "examine", lambda tell: iter(findings))
    answer = distill("doctor")
    assert answer.code == (0 if well else 1)
    assert answer.out == ""
    assert ("Everything works" in answer.err) == well
    assert ("Use --device cpu." in answer.err) != well
    figures = distill("doctor", "--json")
    assert figures.code == answer.code
    assert figures.json["well"] == well
    assert figures.json["findings"][0] == {
        "section": "Disk", "name": "own folder", "well": True, "value": "9.0 GB free", "number": 9e9, "fix": "",
    }  # fmt: skip
