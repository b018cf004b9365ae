"""Ctrl-C: what is kept is named, what is not finished is gone."""

import errno
import importlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from distill.cli.console import console
from distill.cli.training_view import TrainingView
from distill.errors import OutputError
from distill.models import load_model
from distill.training.metrics import PriorStepMetrics, TrainingEvent, VQEpochMetrics, VQStepMetrics

Distill = Callable[..., Any]
Tree = Callable[[Path], dict[str, int]]

pytestmark = pytest.mark.usefixtures("hears_ctrl_c")


@pytest.fixture
def interrupt(on_event: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``interrupt(kind, times)``: that many Ctrl-C at the second event of a kind; a text is a step of the progress."""

    def at(kind: type | str, times: int = 1, number: signal.Signals = signal.SIGINT) -> None:
        seen = 0

        def strike(found: bool) -> None:
            nonlocal seen
            seen += found
            if found and seen == 2:
                for _ in range(times):
                    os.kill(os.getpid(), number)

        def look(event: TrainingEvent) -> None:
            strike(not isinstance(kind, str) and isinstance(event, kind))

        def progress(view: TrainingView, step: str, *numbers: Any) -> None:
            move(view, step, *numbers)
            strike(step == kind)

        move = TrainingView.progress
        on_event(look)
        monkeypatch.setattr(TrainingView, "progress", progress)

    return at


def test_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Guards against a traceback for a Ctrl-C in the first second, in which only Python's own files are read."""

    class Impatient:
        def find_spec(self, name: str, *_: Any) -> None:
            if name == "distill.cli.app":
                raise KeyboardInterrupt

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    place, _, called = project["project"]["scripts"]["distill"].partition(":")
    begin = getattr(importlib.import_module(place), called)
    monkeypatch.delitem(sys.modules, "distill.cli.app")
    monkeypatch.setattr(sys, "meta_path", [Impatient(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        begin()
    assert ended.value.code == 130
    assert capsys.readouterr().err.startswith("✗ Interrupted.")


@pytest.fixture
def closed_pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """What Distill says goes through a pipe; calling it closes the other end."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe, monkeypatch.context() as meanwhile:
        meanwhile.setattr(console, "_file", pipe)
        yield lambda: os.close(reading)
    console.quiet = False


@pytest.mark.usefixtures("tiny_training")
def test_nobody_reads_any_more(
    closed_pipe: Callable[[], None], on_event: Any, distill: Distill, small_corpus: Path, tmp_path: Path
) -> None:
    """Guards against ``distill train … 2>&1 | head`` that is noted as failed: SystemExit: 1, with nothing kept."""
    closers = [closed_pipe]

    def look(event: TrainingEvent) -> None:
        if isinstance(event, VQEpochMetrics) and closers:
            closers.pop()()

    on_event(look)
    answer = distill("train", small_corpus, "--epochs", 1000, "--out", tmp_path)
    assert (answer.code, answer.err) == (0, "")
    (shown,) = distill("status", "--json").json["runs"]
    assert (shown["state"], shown["message"]) == ("stopped", "")
    load_model(next(tmp_path.glob("*.distill")))


def test_nobody_reads_where_a_piece_is(closed_pipe: Callable[[], None], distill: Distill, tiny: Path) -> None:
    closed_pipe()
    answer = distill("generate", tiny, "--seconds", 0.5)
    assert (answer.code, answer.out, answer.err) == (130, "", "")
    (made,) = distill("pieces", "list", "--json").json["pieces"]
    assert Path(made["file"]).is_file()


@pytest.mark.usefixtures("tiny_training")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_training_stops_and_keeps_the_best(
    number: signal.Signals, interrupt: Any, distill: Distill, small_corpus: Path, tmp_path: Path
) -> None:
    interrupt(VQStepMetrics, number=number)
    answer = distill("train", small_corpus, "--epochs", 1000, "--out", tmp_path, "--json")
    assert answer.code == 0
    assert "what was learned so far is kept" in answer.err
    assert "Codec stopped after 1 epoch" in answer.err
    assert answer.json["cancelled"] == 1
    assert load_model(tmp_path / "small.distill").header.name == "small"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("tiny_training")
def test_what_a_sweep_hands_on_is_not_the_second_time(
    on_event: Any, distill: Distill, small_corpus: Path, tmp_path: Path
) -> None:
    """Guards against Ctrl-C in a sweep, which reaches its trainings too, that throws away what they have learned."""

    def both(event: TrainingEvent) -> None:
        if isinstance(event, VQStepMetrics):
            on_event(None)
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)

    on_event(both)
    answer = distill("train", small_corpus, "--epochs", 1000, "--out", tmp_path, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["cancelled"] == 1


@pytest.mark.usefixtures("tiny_training")
def test_the_second_time_ends_at_once(
    interrupt: Any, distill: Distill, small_corpus: Path, tmp_path: Path, tree: Tree
) -> None:
    before = tree(tmp_path)
    interrupt(VQStepMetrics, times=2)
    answer = distill("train", small_corpus, "--epochs", 1000, "--out", tmp_path / "new")
    assert answer.code == 130
    assert "Interrupted" in answer.err
    assert "Traceback" not in answer.err
    assert tree(tmp_path) == before


@pytest.mark.parametrize("verb", ["check", "train", "run"])
def test_while_reading_nothing_has_begun(
    verb: str, interrupt: Any, distill: Distill, small_corpus: Path, tmp_path: Path, tree: Tree
) -> None:
    """Guards against a Ctrl-C that is only remembered, so that a codec of one step is trained and kept."""
    before = tree(tmp_path)
    interrupt("Reading")
    answer = distill(verb, small_corpus)
    assert answer.code == 130
    assert "No half-written file is left behind" in answer.err
    assert tree(tmp_path) == before


@pytest.mark.usefixtures("tiny_training")
@pytest.mark.parametrize("step", [PriorStepMetrics, "Encoding the recordings"])
def test_the_prior_alone(step: Any, interrupt: Any, distill: Distill, tiny: Path, small_corpus: Path) -> None:
    before = tiny.read_bytes()
    interrupt(step)
    answer = distill("train-prior", tiny, small_corpus, "--epochs", 1000)
    if step is PriorStepMetrics:
        assert answer.code == 0
        assert "keeps the prior it has" in answer.err, "it learned from other recordings"
    else:
        assert answer.code == 130
    assert tiny.read_bytes() == before


@pytest.mark.usefixtures("tiny_training")
@pytest.mark.parametrize(
    ("step", "has_prior", "goes_on"),
    [(VQStepMetrics, False, "distill train-prior"), (PriorStepMetrics, True, "distill generate")],
)
def test_a_run_stops_with_what_it_has(
    step: Any,
    has_prior: bool,
    goes_on: str,
    interrupt: Any,
    distill: Distill,
    small_corpus: Path,
    tmp_path: Path,
    tree: Tree,
) -> None:
    interrupt(step)
    answer = distill("run", small_corpus, "--minutes", "0.1", "--out", tmp_path / "new")
    assert answer.code == 0
    assert f"{goes_on} {tmp_path / 'new' / 'small.distill'}" in answer.err
    assert list(tree(tmp_path / "new")) == ["small.distill"]
    assert load_model(tmp_path / "new" / "small.distill").header.has_prior is has_prior


@pytest.mark.usefixtures("tiny_training")
def test_a_run_that_ends_while_composing_names_the_model(
    interrupt: Any, distill: Distill, small_corpus: Path, tmp_path: Path, tree: Tree
) -> None:
    """Guards against a Ctrl-C that is ignored while new audio is made, and against a trained model nobody hears of."""
    interrupt("Composing")
    answer = distill("run", small_corpus, "--minutes", "0.03", "--out", tmp_path / "new")
    assert answer.code == 130
    assert str(tmp_path / "new" / "small.distill") in answer.err
    assert "Interrupted" in answer.err
    assert list(tree(tmp_path / "new")) == ["small.distill"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_generate(
    number: signal.Signals, interrupt: Any, distill: Distill, tiny: Path, tmp_path: Path, tree: Tree
) -> None:
    """Guards against an empty WAV file where a service manager, ``timeout`` or a closed terminal ends it."""
    own = signal.getsignal(number)
    if own is signal.SIG_IGN:  # these tests themselves may run under nohup
        signal.signal(number, signal.SIG_DFL)
    before = tree(tmp_path), signal.getsignal(number)
    try:
        interrupt("Composing", number=number)
        answer = distill("generate", tiny, "--out", tmp_path / "new")
        assert answer.code == 130
        assert answer.err.splitlines()[-2:] == [
            "✗ Interrupted.",
            "  No half-written file is left behind; what was finished before is kept.",
        ]
        assert (tree(tmp_path), signal.getsignal(number)) == before
    finally:
        signal.signal(number, own)


def ended_after_two_files(module: Any, ending: BaseException, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What the module writes: two files of sound, and instead of the third comes the ending."""
    write, written = module.write_audio, []

    def impatient(path: Path, *words: Any, **more: Any) -> Path:
        if len(written) == 2:
            raise ending
        written.append(write(path, *words, **more))
        return written[-1]

    monkeypatch.setattr(module, "write_audio", impatient)
    return written


ENDED_EARLY = pytest.mark.parametrize(
    ("ending", "code"), [(KeyboardInterrupt(), 130), (OSError(errno.ENOSPC, "No space left"), 2)]
)


@ENDED_EARLY
@pytest.mark.parametrize("verb", ["generate", "run"])
def test_pieces_that_were_finished_are_named(
    verb: str,
    ending: BaseException,
    code: int,
    distill: Distill,
    tiny: Path,
    small_corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: Any,
) -> None:
    """Guards against pieces that stay and that nobody hears of, as only the end tells where they are: the disk is full."""
    from distill.making import pieces

    request.getfixturevalue("tiny_training")
    written = ended_after_two_files(pieces, ending, monkeypatch)
    words = (tiny,) if verb == "generate" else (small_corpus, "--minutes", "0.03")
    answer = distill(verb, *words, "--seconds", 0.5, "--count", 3, "--out", tmp_path / "new")
    assert answer.code == code
    assert sorted((tmp_path / "new").glob("*.wav")) == sorted(written)
    for path in written:
        assert f"Kept      {path}\n" in answer.err


@ENDED_EARLY
def test_reconstructions_that_were_finished_are_named(
    ending: BaseException,
    code: int,
    distill: Distill,
    tiny: Path,
    small_corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Guards against a full disk after an hour, without a word of what is there; of other files there nothing is said."""
    from distill.evaluation import codec_files

    folder, out = tmp_path / "mine", tmp_path / "new"
    shutil.copytree(small_corpus, folder / "of today")
    (out / "of today").mkdir(parents=True)
    shutil.copy(next(small_corpus.iterdir()), out / "of today" / "earlier.wav")
    written = ended_after_two_files(codec_files, ending, monkeypatch)
    answer = distill("reconstruct", tiny, folder, "--out", out)
    assert answer.code == code
    assert len(written) == 2
    assert answer.err.count("Kept ") == 2
    for path in written:
        assert f"Kept      {path}\n" in answer.err


@pytest.mark.parametrize("verb", ["train", "run"])
def test_a_training_whose_model_has_no_room_goes_on(
    verb: str, distill: Distill, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any
) -> None:
    """Guards against a night of training that seems lost, as the disk was full when its model was to be written."""
    from distill import pipeline

    def full(path: Path, model: Any) -> None:
        raise OutputError(f"{path} cannot be written: the disk is full.", "Free some space.")

    request.getfixturevalue("tiny_training")
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "save_model", full)
        answer = distill(verb, small_corpus, "--minutes", "0.03", "--name", "mine", "--out", tmp_path / "new")
    assert answer.code == 2
    (advised,) = re.findall(r"Go on +distill (.*)", answer.err)
    assert answer.err.index("Go on") < answer.err.index("the disk is full")
    assert not list((tmp_path / "new").glob("*.distill"))
    assert distill(*shlex.split(advised)).code == 0
    assert (tmp_path / "new" / "mine.distill").exists()


def test_a_piece_is_noted_before_the_next_is_written(
    distill: Distill, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against pieces that no list knows where a kill -9 or a power cut came before the last one was written."""
    from distill.making import pieces

    write, noted = pieces.write_audio, []

    def watched(path: Path, *words: Any, **more: Any) -> None:
        noted.append([Path(one["file"]).name for one in distill("pieces", "list", "--json").json["pieces"]])
        write(path, *words, **more)

    monkeypatch.setattr(pieces, "write_audio", watched)
    answer = distill("generate", tiny, "--seconds", 0.5, "--count", 3, "--seed", 4, "--out", tmp_path / "new", "--json")
    first, second = (Path(path).name for path in answer.json["audio"][:2])
    assert noted == [[], [first], [second, first]]
    assert answer.json["ids"] == [1, 2, 3]


def test_what_is_on_disk_is_noted_though_noting_was_interrupted(
    distill: Distill, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distill.library import Library

    add, calls = Library.add_generations, []

    def impatient(library: Library, generations: Any) -> Any:
        calls.append(generations)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return add(library, generations)

    monkeypatch.setattr(Library, "add_generations", impatient)
    assert distill("generate", tiny, "--seconds", 0.5, "--count", 2, "--out", tmp_path / "new").code == 130
    (made,) = distill("pieces", "list", "--json").json["pieces"]
    assert [Path(made["file"])] == list((tmp_path / "new").glob("*.wav"))


def test_what_outlasts_its_terminal_is_not_ended_by_it(
    interrupt: Any, distill: Distill, tiny: Path, tmp_path: Path
) -> None:
    """Under ``nohup`` the end of a terminal is ignored, and stays so."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        interrupt("Composing", number=signal.SIGHUP)
        assert distill("generate", tiny, "--seconds", 1, "--out", tmp_path / "new").code == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


_AT_WORK = """
import sys, time
from distill.cli.console import print_json, warn
from distill.cli.interrupts import ending_in_order, stop_on_interrupt
with ending_in_order():
    try:
        with stop_on_interrupt(lambda: sys.argv[1] == "training", warn) as cancel:
            warn("at work")
            while not cancel.wait(0.05):
                pass
            time.sleep(0.5)
            warn("what is best is kept")
            print_json({})
            sys.stdout.flush()
            open("kept", "w").close()
    except KeyboardInterrupt:
        warn("ended")
    time.sleep(0.5)
    open("in order", "w").close()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no such signal")
@pytest.mark.parametrize("work", ["training", "other"])
def test_a_terminal_that_is_closed_stops_a_training_in_order(
    work: str, tmp_path: Path, start_process: Callable[..., "subprocess.Popen[str]"]
) -> None:
    """Guards against a window that is closed, and an epoch that is lost with it: by the signal, or by a word nobody reads."""
    ours, theirs = os.openpty()
    process = start_process(
        [sys.executable, "-c", _AT_WORK, work], stdout=theirs, stderr=theirs, cwd=tmp_path, start_new_session=True
    )
    os.close(theirs)
    said = b""
    while b"at work" not in said:
        said += os.read(ours, 1024)
    os.close(ours)
    for _ in range(2):  # from the shell, and from the system as the shell ends
        process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
    process.wait(60)
    assert (tmp_path / "in order").exists()
    assert (tmp_path / "kept").exists() is (work == "training")
    assert process.returncode == 0


def test_what_is_cleared_up_first_can_be_interrupted_too(distill: Distill, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a traceback for a Ctrl-C in the moment before a command begins."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("distill.cli.app.clear_held", interrupted)
    distill("status").refused("Interrupted.", "No half-written file is left behind", code=130)
