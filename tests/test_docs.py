"""Every command and every Python line in the README is run, in order, on a small corpus with small models."""

import contextlib
import dataclasses
import re
import shlex
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
import torch
import uvicorn

import small_distill
from distill.cli import app
from distill.models import save_model
from distill.models.model_file import Source

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXPORTS = (ROOT / "docs" / "exports.md").read_text(encoding="utf-8")
SCALING = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
SERVE = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")


def blocks(language: str, page: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)


def free_port() -> int:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture
def folder(
    small_corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    suggest: Callable[..., None],
    short_training: None,
) -> Path:
    """An empty folder with `my-recordings` in it; what would take minutes takes a second."""
    shutil.copytree(small_corpus, tmp_path / "my-recordings")
    monkeypatch.chdir(tmp_path)
    codec, prior = small_distill.small_sizes()
    suggest(
        codec=lambda corpus: dataclasses.replace(codec, channels=corpus.channels),
        prior=lambda model, corpus, minutes=None: prior,
    )
    return tmp_path


def test_shell_commands(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The dashboard would wait for a browser; all but that happens.
    monkeypatch.setattr("uvicorn.Server.run", lambda server: None)
    monkeypatch.setattr("typer.launch", lambda address: 0)
    lines = [line.split("#")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    ours = [line for line in lines if line.startswith("distill ")]
    assert len(ours) >= 9
    for line in ours:
        line = f"{line} --port {free_port()}" if line == "distill ui" else line  # something may listen at its own
        line = re.sub(r"--seconds \d+", "--seconds 1", re.sub(r"--minutes \d+", "--minutes 0.01", line))
        if re.match("distill (run|generate .*--(voice|max-similarity)) ", line):  # ten seconds, if not told
            line += " --seconds 1"
        with pytest.raises(SystemExit) as ended:
            app.main(shlex.split(line)[1:])
        assert ended.value.code in (0, None), line
    assert len(list((folder / "my-recordings-distilled").glob("*.wav"))) == 3
    # Three pieces of the first call; then one continued, four loops, one infilled, one redrawn, one by the model's name:
    # none overwrites another.
    assert len(list((folder / "new").glob("*.wav"))) == 3 + 1 + 4 + 1 + 1 + 1
    assert [path.read_bytes() for path in (folder / "again").glob("*.wav")] == [
        path.read_bytes() for path in (folder / "my-recordings-distilled").glob("*-0.wav")
    ]
    assert (folder / "take-0-decoded.wav").exists()


def test_the_page_on_exports(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commands, and then its Python lines on what they wrote."""
    model = small_distill.small_model(small_distill.small_codec(), name="mine", codec_training={"best_val_loss": 2.5})
    save_model(folder / "models" / "mine.distill", model)
    lines = [line.split("#")[0].strip() for block in blocks("sh", EXPORTS) for line in block.splitlines()]
    assert {line.split()[4] for line in lines} == {"nn~", "hub", "onnx", "web"}
    for line in lines:
        monkeypatch.setattr(sys, "argv", shlex.split(line))
        with pytest.raises(SystemExit) as ended:
            app.main()
        assert ended.value.code in (0, None), line
    (source,) = blocks("python", EXPORTS)
    names: dict[str, object] = {}
    exec(compile(source, "exports.md", "exec"), names)
    assert names["audio"].shape == (1, 1, 16 * 1024)  # type: ignore[attr-defined]


def test_the_page_on_serving(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its command serves, every line of curl is answered, and so are its Python lines."""
    _save_with_prior(folder / "models" / "mine.distill")
    servers: list[uvicorn.Server] = []
    started, run = threading.Event(), uvicorn.Server.run

    def noted(server: uvicorn.Server) -> None:
        servers.append(server)
        started.set()
        run(server)

    monkeypatch.setattr("uvicorn.Server.run", noted)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command, lines = blocks("sh", SERVE)
    words = [*shlex.split(command)[1:], "--port", port]
    serving = threading.Thread(target=lambda: suppressed_exit(words), daemon=True)
    serving.start()
    assert started.wait(300)
    try:
        while not servers[0].started:
            assert serving.is_alive(), "the server could not begin"
            time.sleep(0.01)
        for line in lines.strip().splitlines():
            # With -f alone the server's own words are swallowed: "curl: (22) error: 422", and not a line of why.
            assert "--fail-with-body" in line
            line = line.replace(":8766", f":{port}").replace('"seconds": 10', '"seconds": 1')
            subprocess.run(["bash", "-c", line], check=True, timeout=300)
        (source,) = blocks("python", SERVE)
        source = source.replace(":8766", f":{port}").replace("seconds=10", "seconds=1")
        exec(compile(source, "serve.md", "exec"), {})
    finally:
        servers[0].should_exit = True
        serving.join()
    for name in ("edited.wav", "new.wav", "repeated.wav", "streamed.wav"):
        assert soundfile.info(name).frames > 30_000, name
    assert stat.S_IMODE(Path("token").stat().st_mode) == 0o600


def test_the_page_on_scaling(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commands start processes of their own: the other rank, and every training of the sweep."""
    monkeypatch.setattr("distill.cli.engines._COMMAND", ("-P", small_distill.__file__))
    lines = "".join(blocks("sh", SCALING)).strip().splitlines()
    assert [line.split()[:2] for line in lines] == [["distill", verb] for verb in ("train", "train-prior", "sweep")]
    for line in lines:
        words = shlex.split(line.replace("--minutes 5", "--minutes 0.01").replace("levels=2,4", "levels=2"))
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            app.main()
        assert ended.value.code in (0, None), line
    assert (folder / "models" / "many.distill").is_file()
    assert (folder / "sweep" / "comparison.html").is_file()


def suppressed_exit(words: list[str]) -> None:
    """What a thread runs in place of a process."""
    with contextlib.suppress(SystemExit):
        app.main(words)


def _save_with_prior(path: Path) -> None:
    codec = small_distill.small_codec()
    source = Source("take-0.wav", 0.0, False, torch.randint(0, 32, (50, 4)))
    save_model(path, small_distill.small_model(codec, small_distill.small_prior(codec.config), (source,), name="mine"))


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^make (\w+)", "\n".join(blocks("sh")), flags=re.MULTILINE)
    assert targets == ["demo", "test"]
    assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in targets)


def test_python_lines(folder: Path) -> None:
    (source,) = blocks("python")
    names: dict[str, object] = {}
    exec(compile(source.replace("minutes=8", "minutes=0.04"), "README.md", "exec"), names)
    assert names["audio"].shape[0] == 1  # type: ignore[attr-defined]


def test_links_lead_somewhere() -> None:
    links = [
        (page, target)
        for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8"))
    ]
    assert len(links) > 50
    for page, target in links:
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_what_can_be_heard() -> None:
    """Guards against sound that nobody is led to, and against a clone that grows by every second of it."""
    sounds = sorted((ROOT / "docs" / "sound").iterdir())
    linked = sorted(ROOT / target for target in re.findall(r"\]\((docs/sound/[^)]+)\)", README))
    assert sounds == linked
    assert sum(path.stat().st_size for path in sounds) < 600_000
    for path in sounds:
        assert soundfile.info(path).duration == pytest.approx(10, abs=0.1), path.name


def test_every_picture_is_shown() -> None:
    """Guards against a clone that grows by pictures that no page shows."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = {
        (page.parent / target).resolve()
        for page in pages
        for target in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    }
    kept = {path.resolve() for path in (ROOT / "docs").rglob("*") if path.suffix in (".png", ".svg")}
    assert sorted(path.name for path in kept - shown) == []


def test_tests_that_are_named_exist() -> None:
    """Guards against a guarantee whose test was moved or renamed, so that nobody can run what is said to prove it."""
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    named = re.findall(r"([\w/]*\btest_\w+\.py)(?:::(\w+)| -k (\w+|\"[^\"]+\"))?", page)
    assert len(named) > 50
    for file, test, words in named:
        path = ROOT / "tests" / file.removeprefix("tests/")
        assert path.is_file(), f"{file} does not exist"
        tests = re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert not test or test in tests, f"{file} has no {test}"
        for word in re.split(r" or | and ", words.strip('"')) if words else []:
            assert any(word in name for name in tests), f"-k {word} finds nothing in {file}"


def test_modules_that_are_named_exist() -> None:
    """Guards against a map of the code that names a file which was renamed since, as ``progress`` was."""
    page = (ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)/` \| (.*) \|$", page, flags=re.MULTILINE)
    named = [(folder, name) for folder, words in rows for name in re.findall(r"`([a-z_\d]+(?:/[a-z_\d]+)?)`", words)]
    assert len(named) > 50
    source = ROOT / "src" / "distill"
    for folder, name in named:
        place = source / (name if "/" in name else f"{folder}/{name}")
        assert place.with_suffix(".py").is_file(), f"{folder}/ has no {name}"


def test_anchors_lead_to_headings() -> None:
    """Guards against a heading that was renamed while a page still links to it."""
    pages = [page.resolve() for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))]
    headings = {page: re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE) for page in pages}
    anchors = {page: {anchor_of(heading) for heading in found} for page, found in headings.items()}
    links = [
        (page, target, anchor)
        for page in pages
        for target, anchor in re.findall(r"\]\((?!http)([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8"))
    ]
    assert len(links) > 10
    for page, target, anchor in links:
        there = (page.parent / target).resolve() if target else page
        assert anchor in anchors[there], f"{page.name}: {target}#{anchor}"


def anchor_of(heading: str) -> str:
    """As GitHub makes it: small letters and hyphens, without other signs."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
