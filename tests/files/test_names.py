"""Names that are free, names that are taken, and one writer at a time."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from distill.errors import OutputError
from distill.files import names as names_module
from distill.files.home import home
from distill.files.names import (
    advice_on_missing,
    claimed,
    command,
    free_path,
    last_written,
    new_folder,
    new_model_path,
    new_run_folder,
    output_file,
    reconstruction_paths,
    reserving,
    run_folders,
    sole_writer,
)


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("drums", "drums"),
        ("My  Drums (2024)", "My-Drums-2024"),
        ("Größe", "Größe"),
        ("...", "model"),
        ("a\nb", "a-b"),
        ("é" * 90, "é" * 40),
    ],
)
def test_a_model_is_named_after_its_folder(folder: str, name: str, tmp_path: Path) -> None:
    assert new_model_path(tmp_path, None, tmp_path / folder) == tmp_path / f"{name}.distill"


def test_free_names_are_numbered(tmp_path: Path) -> None:
    path = tmp_path / "a.b.wav"
    for expected in ("a.b.wav", "a.b-2.wav", "a.b-3.wav"):
        free = free_path(path)
        assert free.name == expected
        free.touch()


def test_a_link_that_leads_nowhere_takes_its_name(tmp_path: Path) -> None:
    """Guards against a name that looks free and cannot be made: whoever reserves it would try for ever."""
    (tmp_path / "a.wav").symlink_to(tmp_path / "gone.wav")
    assert free_path(tmp_path / "a.wav").name == "a-2.wav"
    with reserving(tmp_path / "a.wav") as path:
        assert path.name == "a-2.wav"


@pytest.mark.parametrize("name", ["mine", "mine.distill"])
def test_a_name_with_or_without_suffix(name: str, tmp_path: Path) -> None:
    assert new_model_path(tmp_path, name, tmp_path) == tmp_path / "mine.distill"


def test_a_name_is_held_until_its_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "mine.distill"
    with claimed(path):
        with claimed(tmp_path / "other.distill"), claimed(tmp_path / os.fsdecode(b"caf\xe9.distill")):
            pass
        with pytest.raises(OutputError, match=r"Another run is writing .*mine\.distill"), claimed(path):
            pytest.fail("two writers")
    with pytest.raises(ValueError, match="ours"), claimed(path):
        raise ValueError("ours")
    with claimed(path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_held_against_another_process(tmp_path: Path) -> None:
    """Guards against a lock that only its own process sees."""
    code = (
        "import sys; from pathlib import Path\nfrom distill.files.names import claimed\n"
        "from distill.errors import OutputError\n"
        "try:\n    with claimed(Path(sys.argv[1])): print('mine')\nexcept OutputError as error: print(error.what)"
    )

    def other() -> str:
        call = [sys.executable, "-c", code, str(tmp_path / "mine.distill")]
        return subprocess.run(call, capture_output=True, text=True, timeout=300, check=True).stdout

    with claimed(tmp_path / "mine.distill"):
        assert "Another run is writing" in other()
    assert other() == "mine\n"


def test_a_name_that_is_no_text_is_held_too(tmp_path: Path) -> None:
    """Guards against a UnicodeEncodeError in a folder whose name an older system wrote, such as Latin-1's "Aufnahmen über"."""
    path = tmp_path / "Aufnahmen \udcfcber" / "mine.distill"
    with (
        claimed(path),
        claimed(tmp_path / "Aufnahmen \udce9" / path.name),
        pytest.raises(OutputError, match="Another run is writing"),
        claimed(path),
    ):
        pytest.fail("two writers")


def test_a_run_has_one_writer_and_it_is_named(tmp_path: Path) -> None:
    """Guards against two that go on with one run at once: each would cut the events and replace the states of the other."""
    with sole_writer(tmp_path / "mine-1"):
        with (
            pytest.raises(
                OutputError, match=rf"mine-1 is being trained .*process {os.getpid()} on .*, since"
            ) as refused,
            sole_writer(tmp_path / "mine-1"),
        ):
            pytest.fail("two writers")
        assert "resume it" in refused.value.fix
        with sole_writer(tmp_path / "mine-2"):
            pass
    with sole_writer(tmp_path / "mine-1"):
        pass


def test_a_lock_ends_with_its_process(tmp_path: Path, start_process: Callable[..., "subprocess.Popen[str]"]) -> None:
    """Guards against a run that is held for ever because its process was killed."""
    code = (
        "import sys, time; from pathlib import Path\nfrom distill.files.names import sole_writer\n"
        "with sole_writer(Path(sys.argv[1])): print('mine', flush=True); time.sleep(60)"
    )
    other = start_process([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert other.stdout is not None
    assert other.stdout.readline() == "mine\n"
    with pytest.raises(OutputError, match=f"process {other.pid} on"), sole_writer(tmp_path):
        pytest.fail("two writers")
    other.kill()
    other.wait()
    with sole_writer(tmp_path):
        pass


def test_a_folder_of_ones_own(tmp_path: Path) -> None:
    first, second = new_folder(tmp_path / "new" / "a"), new_folder(tmp_path / "new" / "a")
    assert (first.name, second.name) == ("a", "a-2")


def test_two_runs_in_one_second_have_folders_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against the events of two runs mixed in one file, even when both saw the same free name."""
    first = new_run_folder("mine")
    names = iter([first, first.with_name("another")])
    monkeypatch.setattr(names_module, "free_path", lambda path: next(names))
    assert new_run_folder("mine") == first.with_name("another")
    assert first.is_dir()


def test_a_result_never_replaces_its_source(tmp_path: Path) -> None:
    source = tmp_path / "a.wav"
    source.touch()
    with (
        pytest.raises(OutputError, match="overwritten"),
        output_file(tmp_path / "x" / ".." / "a.wav", Path("b"), source, endings=[".wav"]),
    ):
        pytest.fail("it was replaced")
    with output_file(None, source, source, endings=[".wav"]) as free:
        assert free == tmp_path / "a-2.wav"
        with output_file(None, source, endings=[".wav"]) as another:
            assert another == tmp_path / "a-3.wav", "two writers at once keep both files"


def test_reconstructions_have_names_of_their_own(tmp_path: Path) -> None:
    recordings = {name: tmp_path / "in" / name for name in ("a.wav", "a.flac", "b/c.mp3")}
    assert reconstruction_paths(tmp_path / "out", recordings) == {
        "a.wav": tmp_path / "out/a.wav.wav",
        "a.flac": tmp_path / "out/a.flac.wav",
        "b/c.mp3": tmp_path / "out/b/c.wav",
    }
    with pytest.raises(OutputError, match="one of your recordings"):
        reconstruction_paths(tmp_path / "in", {"a.wav": tmp_path / "in/a.wav"})


@pytest.mark.skipif(sys.platform == "win32", reason="quoting is another one there")
def test_commands_can_be_typed_as_shown() -> None:
    """Guards against a next step that breaks at the first folder with a space in its name."""
    words = ["distill", "run", Path("my drums"), "it's"]
    assert shlex.split(command(*words)) == [str(word) for word in words]


def test_two_writers_in_one_folder_keep_both_files(tmp_path: Path) -> None:
    """Guards against a name that is free when it is chosen and taken when, seconds later, the file is written."""
    with reserving(tmp_path / "new" / "a.wav") as first, reserving(tmp_path / "new" / "a.wav") as second:
        first.write_text("first")
        second.write_text("second")
    assert (first.name, second.name) == ("a.wav", "a-2.wav")
    assert (first.read_text(), second.read_text()) == ("first", "second")
    with pytest.raises(KeyboardInterrupt), reserving(tmp_path / "b.wav"):
        raise KeyboardInterrupt
    assert not (tmp_path / "b.wav").exists()


def test_a_name_that_another_writer_takes_first_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against two that find the same name free in the same moment, of which the second overwrites the first."""
    plain, rivals = names_module.free_path, iter(["theirs"])

    def overtaken(path: Path) -> Path:
        found = plain(path)
        for words in rivals:
            found.write_text(words)
            break
        return found

    monkeypatch.setattr(names_module, "free_path", overtaken)
    with reserving(tmp_path / "a.wav") as ours:
        ours.write_text("ours")
    assert ours.name == "a-2.wav"
    assert (tmp_path / "a.wav").read_text() == "theirs"


def test_a_run_that_is_deleted_at_this_moment_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, gone = new_run_folder("kept"), new_run_folder("gone")
    real = Path.stat

    def stat(path: Path, **how: bool) -> os.stat_result:
        if path.name == gone.name:
            raise FileNotFoundError(path)
        return real(path, **how)

    monkeypatch.setattr(Path, "stat", stat)
    assert run_folders() == [kept]


def test_tidying_up_makes_no_run_newer() -> None:
    """Guards against runs that jump to the top of the list, and say they were written to, as an old state was removed."""
    old, new = new_run_folder("old"), new_run_folder("new")
    for number, folder in enumerate((old, new)):
        (folder / "listening").mkdir()
        for name in ("codec.jsonl", "codec.state"):
            (folder / name).touch()
            os.utime(folder / name, (1000 + number, 1000 + number))
    (old / "codec.state").unlink()
    for number, folder in enumerate((new, old)):  # as unlinking does, on a clock that is fine enough
        os.utime(folder, (2000 + number, 2000 + number))
    assert run_folders() == [new, old]
    assert last_written(old) == 1000


def test_a_clock_that_was_ahead_makes_no_run_the_newest_for_ever() -> None:
    """Guards against a run that stands first of all, and whose states are kept instead of later ones, until its day comes."""
    runs = home() / "runs"
    ahead = 400 * 24 * 3600
    for name, written in {"first": 1000.0, "next": time.time() + ahead, "last": time.time() + ahead + 60}.items():
        (runs / name).mkdir(parents=True)
        (runs / name / "events.jsonl").touch()
        os.utime(runs / name / "events.jsonl", (written, written))
    assert [one.name for one in run_folders()] == ["last", "next", "first"]
    (runs / "now").mkdir()
    with sole_writer(runs / "now"):
        (runs / "now" / "events.jsonl").touch()
    assert [one.name for one in run_folders()] == ["now", "last", "next", "first"]
    assert last_written(runs / "first") == 1000
    with sole_writer(runs / "first"):
        (runs / "first" / "events.jsonl").write_text("more")
    assert [one.name for one in run_folders()] == ["first", "now", "last", "next"]


def test_brackets_make_no_pattern() -> None:
    """Guards against advice about patterns where a folder with a year in brackets is misspelt."""
    assert advice_on_missing(Path("Takes [2032]")) == "Check its name and place."
    for pattern in ("takes/*.wav", "take-?.wav", "Takes [2023]/*"):
        assert "pattern" in advice_on_missing(Path(pattern))
