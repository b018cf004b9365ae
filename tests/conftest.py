"""What every test shares: a home of its own, and sounds made by arithmetic."""

import ast
import dataclasses
import functools
import itertools
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import soundfile
import typer.main

import small_distill

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytest_plugins = ["made_sounds", "processes"]

CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)

# As the command line does, before anything imports torch: threads that spin for long are slow on a busy machine.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
if "PYTEST_XDIST_WORKER" in os.environ:  # the others need the rest of the machine
    os.environ.setdefault("OMP_NUM_THREADS", "1")


LONGEST = ("end_to_end", "training", "test_docs.py", "cli", "web", "test_pipeline.py", "export", "originality")
"""Files and folders of tests that take the longest: where tests run side by side these begin, after those in a browser."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes hours runs where it is asked for; a long file that begins last would keep one process at work and all others
    waiting."""
    if "slow" not in config.option.markexpr:
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("slow")])
        items[:] = [item for item in items if not item.get_closest_marker("slow")]
    here = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        if item.get_closest_marker("browser") is not None:
            return -1
        first = item.path.relative_to(here).parts[0]
        return LONGEST.index(first) if first in LONGEST else len(LONGEST)

    items.sort(key=rank)


class _Unsynced(sqlite3.Connection):
    """Leaves it to the system when what was written reaches the disk."""

    _is_told = False

    def execute(self, *words: Any) -> sqlite3.Cursor:
        if not self._is_told:  # not before, as this reads the file, which may be damaged
            super().execute("PRAGMA synchronous = OFF")
            self._is_told = True
        return super().execute(*words)


@pytest.fixture(scope="session", autouse=True)
def _quick() -> Iterator[None]:
    """No test waits for the disk, as none cuts the power, and the tree of commands is put together once in all."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", os.fstat)
        patched.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=_Unsynced))
        patched.setattr("typer.main.get_command", functools.cache(typer.main.get_command))
        yield


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Empty folders without end. ``mktemp`` would look at all there are for each of some thousands."""
    homes = tmp_path_factory.mktemp("homes")

    def folders() -> Iterator[Path]:
        for number in itertools.count():
            folder = homes / f"home{number}"
            folder.mkdir()
            yield folder

    return folders()


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, int], None]:
    """``unreachable(path, number)``: to look at that path, into it, or to make it fails from now on with that error number."""
    refused: dict[str, int] = {}

    def refusing(plain: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any = ".", *given: Any, **how: Any) -> Any:
            if isinstance(path, str | Path) and (number := refused.get(os.fspath(path))) is not None:
                raise OSError(number, os.strerror(number), os.fspath(path))
            return plain(path, *given, **how)

        return call

    for name in ("stat", "listdir", "mkdir"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    return lambda path, number: refused.update({str(path): number})


@pytest.fixture(autouse=True)
def _own_home(_homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or fills the person's own data folder."""
    monkeypatch.setenv("DISTILL_HOME", str(next(_homes)))


@dataclasses.dataclass
class _Sounding:
    """Stands for a passage."""

    audio: np.ndarray

    @property
    def samples(self) -> int:
        return self.audio.shape[1]

    @property
    def seconds(self) -> float:
        return self.samples / 48_000

    def read(self, start: int, stop: int, channels: int) -> np.ndarray:
        return self.audio[:, start:stop]


class Sentence(NamedTuple):
    """A text in the source."""

    file: str
    """Below ``src/distill``."""
    line: int
    text: str
    """What is filled in is a 7."""

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


@pytest.fixture(scope="session")
def source_texts() -> list[Sentence]:
    """Every text in the source that is no docstring."""
    source, found = Path(__file__).parents[1] / "src" / "distill", []
    for path in sorted(source.rglob("*.py")):
        name = path.relative_to(source).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        plain = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if id(node) in parts | plain:
                continue
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(Sentence(name, node.lineno, node.value))
            elif isinstance(node, ast.JoinedStr):
                text = "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values)
                found.append(Sentence(name, node.lineno, text))
    return found


@pytest.fixture
def sounding() -> type[_Sounding]:
    """``sounding(audio)``: float32 ``[C, N]`` in place of a passage of a recording."""
    return _Sounding


@pytest.fixture
def usual_modes() -> Iterator[None]:
    """What is made can be read by everybody, as it is on most computers, unless something else is said."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def full_disk() -> Iterator[Callable[[int | None], None]]:
    """``full_disk(size)``: no file grows beyond so many bytes from here on; None lifts that again."""
    resource = pytest.importorskip("resource", reason="there is no such limit on Windows")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int | None) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft if size is None else size, hard))

    yield limit
    limit(None)


@pytest.fixture
def library_refused(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """``library_refused(is_read_only)``: from here on SQLite does not open the library's own file, on a disk of which kind."""
    from distill.errors import OutputError
    from distill.files.home import home

    connect, own = sqlite3.connect, home() / "library.db"

    def refusing(path: Any, *words: Any, **more: Any) -> sqlite3.Connection:
        if Path(path) == own:
            raise sqlite3.OperationalError("unable to open database file")
        return connect(path, *words, **more)

    def read_only(folder: Path) -> None:
        raise OutputError(f"{folder} cannot be written: the disk is read-only.", "Choose another folder.")

    def begin(is_read_only: bool) -> None:
        monkeypatch.setattr(sqlite3, "connect", refusing)
        if is_read_only:
            monkeypatch.setattr("distill.library.database.ensure_writable", read_only)

    return begin


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Debian's Chromium, which asks nobody for anything by itself. Tests with it are marked ``browser``."""
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.fail(
            'There is no Chromium here. Install it (apt-get install chromium), or leave this out: -m "not browser"'
        )
    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the command line or the Python API trains has short epochs and saves its state at once."""
    for place, short in small_distill.shortened().items():
        monkeypatch.setattr(place, short)


@pytest.fixture
def suggest(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``suggest(codec=…, prior=…)``: the sizes that a corpus suggests from now on, as functions in the place of Distill's."""

    def use(**sizes: Callable[..., object]) -> None:
        for model, function in sizes.items():
            monkeypatch.setattr(f"distill.sizes.{model}_config_for", function)

    return use


@pytest.fixture
def tone() -> Callable[..., np.ndarray]:
    """``tone(seconds, hz, rate, channels)``: float32 ``[C, N]``, a sine of amplitude 0.5."""

    def make(seconds: float, hz: float = 440.0, rate: int = 48_000, channels: int = 1) -> np.ndarray:
        time = np.arange(round(seconds * rate)) / rate
        return np.tile(0.5 * np.sin(2 * np.pi * hz * time), (channels, 1)).astype(np.float32)

    return make


@pytest.fixture
def noise() -> Callable[..., np.ndarray]:
    """``noise(seconds, seed, rate, channels)``: float32 ``[C, N]`` in bursts, every seed another take."""

    def make(seconds: float, seed: int = 0, rate: int = 48_000, channels: int = 1) -> np.ndarray:
        draw = np.random.default_rng(seed)
        samples = round(seconds * rate)
        time = np.arange(samples) / rate
        spectrum = np.fft.rfft(draw.standard_normal((channels, samples)))
        hertz = np.fft.rfftfreq(samples, 1 / rate)
        hiss = np.fft.irfft(spectrum / (1 + hertz / draw.uniform(300, 3000)), samples)
        # About four strokes a second at irregular times.
        gaps = np.cumsum(draw.uniform(0.1, 0.4, size=1 + int(10 * seconds))) - 0.1
        since = time - np.concatenate([[0], gaps])[np.searchsorted(gaps, time)]
        sound = np.exp(-6 * since) * hiss
        return (0.4 * sound / np.abs(sound).max()).astype(np.float32)

    return make


@pytest.fixture
def save() -> Callable[..., Path]:
    """``save(path, audio, rate, subtype)`` writes ``[C, N]`` and returns the path; folders are made."""

    def write(path: Path, audio: np.ndarray, rate: int = 48_000, subtype: str | None = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with soundfile.SoundFile(path, "w", rate, len(audio), subtype) as file:
            for start in range(0, audio.shape[1], rate):
                file.write(audio[:, start : start + rate].T)
        return path

    return write


@pytest.fixture(scope="session")
def small_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of six mono recordings of about a second: decaying tones over a little noise, no two alike."""
    folder = tmp_path_factory.mktemp("corpus") / "small"
    folder.mkdir()
    for number in range(6):
        draw = np.random.default_rng(number)
        time = np.arange(round((0.8 + 0.1 * number) * 48_000)) / 48_000
        tones = sum(np.sin(2 * np.pi * hz * time) for hz in draw.uniform(100, 2_000, 3))
        sound = 0.1 * tones * np.exp(-3 * (time % 0.3)) + 0.005 * draw.standard_normal(len(time))
        soundfile.write(folder / f"take-{number}.wav", sound.astype(np.float32), 48_000, subtype="PCM_24")
    return folder


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """Ctrl-C interrupts, even where the tests were started in the background, where it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
