"""The doctor finds what is wrong, and nothing where all is well."""

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import typer
from torch.nn.modules.module import register_module_forward_hook
from torch.optim.optimizer import register_optimizer_step_post_hook

from distill import doctor
from distill.audio.distance import Magnitude
from distill.cli.doctor import show
from distill.doctor import (
    LITTLE_ROOM,
    Finding,
    data_folder,
    devices,
    disk,
    library,
    self_test,
    speed,
    training_speed,
    versions,
)
from distill.files.home import home
from distill.files.installing import installing_extra
from distill.files.names import command
from distill.library import Library
from distill.library.trash import keep_copy
from distill.models.config import VQVAEConfig
from distill.models.quantizer import ResidualQuantizer
from distill.models.tones import TonesAndNoise
from distill.models.vqvae import ConvVQVAE
from distill.recordings.corpus import import_corpus
from distill.sizes import codec_config_for
from distill.training.plan import CodecPlan

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


def test_a_device_with_wrong_codes_is_caught() -> None:
    """Guards against a device whose arithmetic finds another entry now and then and reports no error."""

    def other(module: torch.nn.Module, given: Any, output: Any) -> Any:
        if not isinstance(module, ResidualQuantizer):
            return output
        quantized, codes, commitment = output
        codes[0, 7, 2] = (codes[0, 7, 2] + 1) % 256
        return quantized, codes, commitment

    with register_module_forward_hook(other):
        found = wrong(devices({"cpu": "Broken 3000"}))
    assert "Broken 3000: 0.024 % of the codes are wrong" in found["cpu"].value
    assert "Install PyTorch again" in found["cpu"].fix
    found = wrong(devices({"cuda": "Broken 3000"}, lambda device: [f"{device.type} is wrong"]))
    assert "Broken 3000: cuda is wrong" in found["cuda"].value
    assert "--device cpu" in found["cuda"].fix


def test_a_device_with_a_wrong_spectrum_or_sound_is_caught() -> None:
    """Guards against Fourier transforms that are right at one length and wrong at another, or full of NaN; and against a check
    of a decoder that no model has."""
    for change in (lambda spectrum: spectrum.roll(1, dims=-1), lambda spectrum: spectrum * torch.nan):
        with register_module_forward_hook(
            lambda module, given, output, change=change: change(output) if isinstance(module, Magnitude) else output
        ):
            assert [fault.split()[0] for fault in self_test(CPU)] == ["spectrum"]
    calls: list[int] = []

    def second_time_wrong(module: torch.nn.Module, given: Any, output: Any) -> Any:
        calls.extend([1] * isinstance(module, TonesAndNoise))
        if not isinstance(module, TonesAndNoise) or len(calls) != 2:
            return output
        audio, phases, predicted = output
        return audio * 0.9, phases, predicted

    with register_module_forward_hook(second_time_wrong):
        assert [fault.split()[0] for fault in self_test(CPU)] == ["sound"]


def test_a_device_that_fails_is_told_in_words() -> None:
    """Guards against a broken driver that ends the doctor too."""

    def fails(_: torch.device) -> list[str]:
        raise RuntimeError("CUDA error: no kernel image\nand so on")

    assert "it fails (CUDA error: no kernel image)" in wrong(devices({"cpu": "mine"}, fails))["cpu"].value


def test_a_device_on_which_no_codec_can_begin_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a device that is found well, and on which every new training ends before its first step."""

    def lacks(*_: object) -> None:
        raise NotImplementedError("The operator 'aten::_linalg_eigh' is not implemented")

    monkeypatch.setattr(torch.linalg, "eigh", lacks)
    assert "it fails (The operator 'aten::_linalg_eigh' is not" in wrong(devices({"cpu": "Broken 3000"}))["cpu"].value


def test_the_speed_is_that_of_a_codec_as_training_builds_it(
    small_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against sizes of its own, which the speed of training would not follow from."""
    built: list[VQVAEConfig] = []

    def noted(config: VQVAEConfig) -> ConvVQVAE:
        built.append(config)
        return ConvVQVAE(config)

    monkeypatch.setattr("distill.doctor.ConvVQVAE", noted)
    training_speed(CPU, seconds=0.0)
    trained = codec_config_for(import_corpus(small_corpus))
    assert built == [dataclasses.replace(trained, channels=2, codebook_size=256, bandwidth=24_000.0)]


def test_the_speed_is_that_of_the_steps_after_the_first_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a speed that counts what the first steps prepare, other batches, or steps that were not taken."""
    taken = [100.0, 100.0, 2.0, 2.0]
    left, now = iter(taken), [0.0]

    def stepped(*_: object) -> None:
        now[0] += next(left)

    monkeypatch.setattr("distill.doctor.time", SimpleNamespace(monotonic=lambda: now[0]))
    hook = register_optimizer_step_post_hook(stepped)
    try:
        found = training_speed(CPU, seconds=3.0)
    finally:
        hook.remove()
    assert not list(left)
    plan = CodecPlan()
    batch = plan.batch_size * plan.window_positions * VQVAEConfig().hop / 48_000
    assert found == pytest.approx(2 * batch / 4)


def test_the_speed_is_extrapolated() -> None:
    fast = {one.name: one for one in speed(lambda device: 25.0)}
    assert fast["10 min corpus"].number == pytest.approx(600.0)
    assert "about 10 minutes for the codec" in fast["10 min corpus"].value
    assert all(one.is_well for one in fast.values())
    assert "Close what else is running" in wrong(speed(lambda device: 0.1))["training"].fix


def test_a_device_that_cannot_train_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a broken driver that ends the doctor while it measures the speed, and takes all findings with it."""

    def fails(*_: object) -> float:
        raise RuntimeError("CUDA error: no kernel image\nand so on")

    monkeypatch.setattr("distill.doctor.choose_device", lambda _: torch.device("cuda"))
    (found,) = wrong(speed(fails)).values()
    assert "cuda: it fails (CUDA error: no kernel image)" in found.value
    assert "--device cpu" in found.fix
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_properties", fails)
    found = wrong(devices(test=lambda device: fails() if device.type == "cuda" else []))["cuda"]
    assert "it fails" in found.value


def test_little_room_is_found() -> None:
    assert LITTLE_ROOM > 10**9
    found = wrong(disk(little_room=1 << 62))
    assert set(found) == {"own folder", "this folder"}
    assert "B free" in found["own folder"].value
    assert "Free some space" in found["own folder"].fix


def test_a_folder_that_cannot_be_written_to_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DISTILL_HOME", str(tmp_path / "file" / "home"))
    found = wrong(data_folder())
    assert "a file is where a folder is needed" in found["place"].value
    assert "DISTILL_HOME" in found["place"].fix


def test_runs_are_counted(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (home() / "runs" / name).mkdir(parents=True)
        (home() / "runs" / name / "events.jsonl").write_bytes(bytes(2_000_000))
    found = {one.name: one for one in data_folder()}
    assert found["runs"].value == "2, 4.0 MB"
    assert found["runs"].number == 4_000_000


def test_what_the_trash_holds_is_said(model_files: Path, tmp_path: Path) -> None:
    """Guards against a disk that fills up unseen: every prior that is replaced puts a whole copy of the model there."""
    model = Path(shutil.copy(model_files / "tiny.distill", tmp_path))
    trash = {one.name: one for one in data_folder()}["trash"]
    assert (trash.value, trash.number, trash.is_well) == ("empty", 0, True)
    for _ in range(2):
        keep_copy(model)
    trash = {one.name: one for one in data_folder()}["trash"]
    assert trash.value.startswith("2 models, 0 pieces, ")
    assert trash.value.endswith("distill models delete --empty-trash")
    assert trash.is_well
    assert 2 * model.stat().st_size < (trash.number or 0) < 2 * model.stat().st_size + 2000


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


def test_a_model_that_is_gone_is_named_by_its_place(model_files: Path, tmp_path: Path) -> None:
    """Guards against ``distill models delete tiny`` as advice, which deletes another model of that name that is there."""
    index = Library(lambda words: None)
    gone, there = tmp_path / "tiny.distill", tmp_path / "b" / "tiny.distill"
    there.parent.mkdir()
    for name, path in (("tiny", gone), ("other", there)):
        index.note_model(Path(shutil.copy(model_files / f"{name}.distill", path)))
    gone.unlink()
    assert wrong(library())["tiny"].fix.endswith(command("distill", "models", "delete", gone))


def test_formats_that_cannot_be_read_are_found() -> None:
    """Guards against MP3 files that are all called damaged because of an old libsndfile."""
    assert "cannot read MP3" in wrong(versions({"WAV", "AIFF", "FLAC", "OGG"}))["libsndfile"].value


@pytest.mark.parametrize("well", [True, False])
def test_the_page_and_the_exit_code(well: bool, capsys: pytest.CaptureFixture[str]) -> None:
    findings = [Finding("Disk", "own folder", "9.0 GB free", number=9e9)]
    if not well:
        findings.append(Finding("Devices", "cuda", "3 % of the codes are wrong", "Use --device cpu."))
    with nullcontext() if well else pytest.raises(typer.Exit, match="1"):
        show(findings, as_json=False)
    out, err = capsys.readouterr()
    assert out == ""
    assert ("Everything works" in err) == well
    assert ("Use --device cpu." in err) != well
    with nullcontext() if well else pytest.raises(typer.Exit, match="1"):
        show(findings, as_json=True)
    figures = json.loads(capsys.readouterr().out)
    assert figures["well"] == well
    assert figures["findings"][0] == {
        "section": "Disk", "name": "own folder", "well": True, "value": "9.0 GB free", "number": 9e9, "fix": "",
    }  # fmt: skip


def test_the_verb_looks_at_everything(distill: Callable[..., Any]) -> None:
    answer = distill("doctor", "--json")
    assert answer.code == (0 if answer.json["well"] else 1)
    assert {one["section"] for one in answer.json["findings"]} == {
        "Versions", "Devices", "Disk", "Speed", "Distill's folder", "Library",
    }  # fmt: skip


def test_a_file_that_a_training_deletes_meanwhile_counts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    state = home() / "runs" / "one" / ".distill-0000.part"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"half")

    def and_gone(path: Path) -> bool:
        found = path.is_file()
        if path == state:
            path.unlink()
        return found

    monkeypatch.setattr(doctor, "is_file", and_gone)
    (runs,) = [one for one in data_folder() if one.name == "runs"]
    assert runs.number == 0


def test_what_reads_a_telephone_s_recordings_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against an M4A that is left out, and a doctor who finds nothing missing."""
    from importlib.metadata import PackageNotFoundError

    def version(package: str) -> str:
        if package == "av":
            raise PackageNotFoundError(package)
        return "1.0"

    monkeypatch.setattr("distill.doctor.version", version)
    (found,) = [one for one in versions() if one.name == "PyAV"]
    assert found.is_well, "nothing is wrong where nobody needs it"
    assert "M4A" in found.value
    assert installing_extra("more-formats") in found.value


def test_what_is_wrong_ends_with_one_full_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Guards against two of them, where what was found is a sentence already, as of a disk that is read-only."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("DISTILL_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(typer.Exit, match="1"):
        show([*data_folder(), *wrong(disk(little_room=1 << 62)).values()], as_json=False)
    said = capsys.readouterr().err
    assert "a file is where a folder is needed.\n" in said
    assert f" free ({Path.cwd()}).\n" in said
    assert ".." not in said


@pytest.mark.parametrize(("count", "words"), [(1, "1 thread"), (2, "2 threads")])
def test_one_thread_is_not_several(monkeypatch: pytest.MonkeyPatch, count: int, words: str) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: count)
    said = next(found.value for found in versions() if found.name == "PyTorch")
    assert said.endswith(f", {words}")
