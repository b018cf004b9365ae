"""Every command that a sentence advises is one that there is, with options that it has, and can be typed as it stands."""

import ast
import dataclasses
import functools
import importlib.util
import re
import shlex
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from distill.cli.app import app
from distill.files.installing import installing_extra
from distill.files.names import command
from distill.models import load_model, save_model
from distill.recordings.checksum import CHANGED

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "distill"
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
OF_OTHER_PROGRAMS = {"--upgrade", "--force-reinstall", "--head", "--no-deps"}
"""Of pip and of Ray."""
PATTERNS = "web/page_words.py"
"""What it holds are patterns, no sentences."""
ADVISED = re.compile(r"(?<![.\w-])distill ((?:models |pieces )?[a-z][a-z-]+)((?: [^\s;,`()]+)*)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


@functools.cache
def verbs() -> dict[str, set[str]]:
    """All commands, those of a group behind its name, and the options of each."""
    found: dict[str, set[str]] = {}

    def add(name: str, one: Any) -> None:
        if hasattr(one, "commands"):
            for inner, below in one.commands.items():
                add(f"{name} {inner}".strip(), below)
            return
        parameters = [part for part in one.params if part.param_type_name == "option"]
        found[name] = {"--help", *(word for part in parameters for word in (*part.opts, *part.secondary_opts))}

    add("", typer.main.get_command(app))
    return found


def commands() -> Iterator[tuple[str, list[str]]]:
    """(place, words) of every command that the source puts together; what is filled in is a 7."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "command":
                words = [str(word.value) if isinstance(word, ast.Constant) else "7" for word in node.args]
                yield f"{path.relative_to(SOURCE).as_posix()}:{node.lineno}", words


def misnamed(name: str, rest: str) -> str:
    """What is wrong with a command; empty where there is nothing."""
    known = verbs()
    if name not in known:
        return f"there is no distill {name}" if name.split()[0] not in {verb.split()[0] for verb in known} else ""
    return ", ".join(f"{name} has no {option}" for option in OPTION.findall(rest) if option not in known[name])


def test_every_advised_command_is_one_that_there_is(source_texts: list[Any]) -> None:
    texts = [one for one in source_texts if one.file != PATTERNS]
    advised = [(one.place, *match.groups()) for one in texts for match in ADVISED.finditer(one.text)]
    assert len(advised) > 20
    assert [(place, wrong) for place, name, rest in advised if (wrong := misnamed(name, rest))] == []


def test_every_command_put_together_is_one_that_there_is() -> None:
    found = list(commands())
    assert len(found) > 20
    for place, (program, *words) in found:
        if program == "python":  # what it runs comes with it
            assert words[0] == "-m", place
            assert importlib.util.find_spec(words[1]), place
            continue
        if words[:2] == ["-m", "pip"]:
            continue  # the tests below are of those
        assert program == "distill" or program == "7", place
        name = " ".join(words[:2]) if words[:1] in (["models"], ["pieces"]) else "".join(words[:1])
        if name and name != "7":
            assert not misnamed(name, " ".join(words)), place


def test_every_option_in_a_sentence_is_one_of_some_command(source_texts: list[Any]) -> None:
    known = set().union(*verbs().values()) | OF_OTHER_PROGRAMS
    texts = [one for one in source_texts if one.file != PATTERNS and " " in one.text]
    named = [(one.place, option) for one in texts for option in OPTION.findall(one.text)]
    assert len(named) > 50
    assert [(place, option) for place, option in named if option not in known] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_on_a_page_is_one_that_there_is(page: Path) -> None:
    advised = [match.groups() for match in ADVISED.finditer("\n".join(_code(page.read_text(encoding="utf-8"))))]
    assert [wrong for name, rest in advised if (wrong := misnamed(name, rest))] == []


def _code(page: str) -> list[str]:
    return re.findall(r"`(distill [^`]+)`", page) + re.findall(r"^distill [^#\n]+", page, flags=re.MULTILINE)


def test_a_command_can_be_typed_whatever_a_file_is_called() -> None:
    """Guards against ``distill run -drums``, which is no folder but options."""
    for name in ("-drums", "--help", "my drums", "it's"):
        (last,) = shlex.split(command("distill", "run", Path(name)))[2:]
        assert not last.startswith("-")
        assert Path(last) == Path(name)


def extras() -> set[str]:
    return set(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"])


def test_what_installs_an_extra_can_be_typed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a ``pip`` of another Python, and against quotes that the prompt of Windows takes for part of the name."""
    here = [sys.executable, "-m", "pip", "install", "distill-audio[ray]"]
    assert shlex.split(installing_extra("ray")) == here
    monkeypatch.setattr("distill.files.names.os.name", "nt")
    assert installing_extra("ray").endswith(" -m pip install distill-audio[ray]")


def test_nothing_advises_to_install_what_nobody_published(source_texts: list[Any]) -> None:
    """Guards against ``pip install -U distill-audio``: an index has no such package, or a stranger's."""
    assert [one.place for one in source_texts if re.search(r"pip install|pypi\.org", one.text)] == []
    asked = [
        (path.name, ast.literal_eval(node.args[0]))
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "installing_extra"
    ]
    assert len(asked) > 5
    assert [one for one in asked if one[1] not in extras()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_installs_is_the_folder_it_lies_in(page: Path) -> None:
    """Guards against ``'distill-audio[ray]'``: quotes that the prompt of Windows keeps, and a name that is nobody's."""
    installed = re.findall(r"pip\s+install\s+([^`\n]+)", page.read_text(encoding="utf-8"))
    for words in installed:
        named = re.fullmatch(r"-e \"\.\[([\w-]+)\]\"", words)
        assert named is None or named[1] in extras(), words
        assert named or words in ("-r requirements.lock", "--no-deps -e ."), words


def test_what_is_odd_about_a_file_is_said_wherever_it_is_read(
    distill: Callable[..., Any], tiny: Path, noise: Callable[..., Any], save: Callable[..., Path], tmp_path: Path
) -> None:
    """Guards against codes of half a recording, and a passage at another place than it was, without a word."""
    whole = save(tmp_path / "whole.wav", noise(4.0)).read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[: len(whole) // 2])
    sound = bytearray(save(tmp_path / "whole.flac", noise(2.0)).read_bytes())
    sound[26] ^= 0xFF  # of its MD5
    (tmp_path / "changed.flac").write_bytes(sound)
    for name, said in {
        "cut.wav": "cut.wav: Its header says 4 s; all 2 s that are in it are used.",
        "changed.flac": f"changed.flac: {CHANGED}",
    }.items():
        for words in (
            ("encode", tiny, tmp_path / name),
            ("edit", tiny, tmp_path / name, "--mirror", "all"),
            ("generate", tiny, "--prompt", tmp_path / name, "--seconds", 0.5),
            ("generate", tiny, "--infill", tmp_path / name, "--from", 0.9, "--to", 1.1),
        ):
            answer = distill(*words)
            assert answer.code == 0, answer.err
            assert " ".join(answer.err.split()).count(said) == 1, words


def test_what_is_in_the_trash_comes_back_by_the_command_that_is_told(
    distill: Callable[..., Any], tiny: Path, tmp_path: Path
) -> None:
    """Guards against ``distill models restore my drums``: two names, of which there is neither."""
    spaced = tmp_path / "my drums.distill"
    spaced.write_bytes(tiny.read_bytes())
    assert distill("models", "import", spaced, "--in-place").code == 0
    assert distill("models", "delete", "my drums").code == 0
    told = distill("generate", "my drums", "--seconds", 1)
    told.refused("in the trash")
    (line,) = [line for line in told.err.splitlines() if "distill models restore" in line]
    assert distill(*shlex.split(line.split("distill ", 1)[1])).code == 0
    assert spaced.exists()


def test_one_of_anything_is_one(distill: Callable[..., Any], tiny: Path, tmp_path: Path) -> None:
    """Guards against "1 recordings"."""
    model = load_model(tiny)
    corpus = model.header.corpus.model_copy(update={"file_count": 1})
    header = model.header.model_copy(update={"corpus": corpus, "digest": None})
    save_model(tiny, dataclasses.replace(model, header=header))
    said = "".join(answer.out + answer.err for answer in (distill("info", tiny), distill("models", "info", tiny)))
    assert "1 recording, " in said
    assert not re.search(r"\b1 (recordings|models|positions|levels|ones)\b", said)
