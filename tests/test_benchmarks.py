"""Benchmarks measure what they say, in a place of their own; their page is drawn from figures alone, never edited by hand."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from distill.files.home import home

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import bench_page

    yield bench_page
    sys.modules.pop("bench_page")


@pytest.fixture
def copying(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import copying

    yield copying
    sys.modules.pop("copying")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    before = set(sys.modules)
    import bench

    yield bench
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(ROOT / "benchmarks")):
            del sys.modules[name]


def test_each_folder_of_recordings_has_a_codec_of_its_own(
    bench: Any, small_corpus: Path, save: Any, noise: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against figures of one's own recordings that are the demo's codec's, as it was trained there before, and against
    those of a codec that an earlier Distill left there."""
    trained: list[Path] = []

    def train(_: str, corpus: Path, *words: Any) -> None:
        told = dict(zip(words[::2], words[1::2], strict=True))
        trained.append(corpus)
        (told["--out"] / f"{told['--name']}.distill").write_text(str(corpus))

    monkeypatch.setattr("codec.distill", train)
    mine, work, given, source = (tmp_path / name for name in ("mine", "work", "given.distill", "distill"))
    monkeypatch.setattr(bench, "SOURCE", source)
    for folder in (work, source):
        folder.mkdir()
    (source / "a.py").write_text("before")
    save(mine / "a.wav", noise(2.0))
    given.touch()
    for corpus in (small_corpus, mine, mine, small_corpus):
        assert bench.codec_of(corpus, work, None).read_text() == str(corpus)
    assert trained == [small_corpus, mine]
    (source / "a.py").write_text("after")
    assert bench.codec_of(mine, work, None).read_text() == str(mine)
    assert trained == [small_corpus, mine, mine]
    assert bench.codec_of(mine, work, given) == given


def test_an_innocent_second_does_not_excuse_itself(copying: Any, noise: Any) -> None:
    """Guards against "no innocent second is called a Copy" that was true by construction: each was found again in its own
    recording, so that whatever it was like counted as repeated."""
    first, other, third = (noise(3.0, seed=seed) for seed in range(3))
    alike = first + 0.1 * other
    passages = copying.Passages.of([[first], [alike], [third]], [0, 1, 2])
    innocent = copying.seconds_of(passages, alike, 1)
    assert innocent.similarity.min() > 0.93
    assert innocent.source.tolist() == [0, 0, 0]
    assert innocent.elsewhere.max() < 0.88
    assert {verdict.value for verdict in innocent.called(np.zeros(1))} == {"Copy"}


@pytest.mark.parametrize("name", ["bench", "codec"])
def test_nothing_of_it_comes_into_the_persons_own_folder(
    name: str, bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against the states of a person's finished runs, which made room for those of the benchmark, and against a library
    that lists its models for good."""
    folder, homes = tmp_path / "recordings", []

    def measure(*_: Any) -> dict[str, Any]:
        homes.append(home())
        return {}

    work = ["--work", str(tmp_path / "work"), "--corpus", str(folder), "--part", "copies"]
    words = {"bench": work, "codec": ["--out", str(tmp_path / "work"), str(folder)]}
    monkeypatch.setattr(sys, "argv", [name, *words[name]])
    monkeypatch.setattr("codec.measure", measure)
    monkeypatch.setitem(bench.PARTS, "copies", measure)
    for one, stub in {"DOCS": tmp_path, "machine": str, "bench_page": SimpleNamespace(write=measure)}.items():
        monkeypatch.setattr(bench, one, stub)
    sys.modules[name].main()
    assert {*homes} == {tmp_path / "work" / "home"}


def test_one_process_is_compared_with_two_of_as_many_threads(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against one process that has all threads, beside two that have half of them each."""
    threads = []

    def train(*words: Any, **environment: str) -> dict[str, str]:
        threads.append(environment.get("OMP_NUM_THREADS"))
        told = dict(zip(words[2::2], words[3::2], strict=True))
        (tmp_path / f"{told['--name']}.distill").touch()
        (tmp_path / "codec.jsonl").write_text('{"audio_seconds": 2.0, "step_time_s": 0.5}\n' * 6)
        return {"events": str(tmp_path / "codec.jsonl")}

    monkeypatch.setattr("codec.distill", train)
    found = bench.ranks(tmp_path, tmp_path, None)
    assert threads == ["1", "1"]
    assert [row["audio s/s"] for row in found["rows"]] == [4.0, 4.0]


def test_a_command_gives_its_result_and_its_memory(bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against memory in another unit, and against the result of a command that failed."""
    code = "import json, sys; big = b'x' * 200_000_000; print(json.dumps({'said': sys.argv[3]})); sys.exit(len(sys.argv[4]))"
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    import codec

    told = codec.distill("hello", "")
    assert told["said"] == "hello"
    assert 200e6 < told["peak_bytes"] < 200e9
    with pytest.raises(subprocess.CalledProcessError):
        codec.distill("hello", "x")


def test_what_a_measurement_that_broke_off_has_read_is_read_again(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a first import that takes 0.3 s, as its recordings were read already."""
    import long_corpus

    def step(words: list[str], env: dict[str, str], **_: Any) -> SimpleNamespace:
        place = Path(env["DISTILL_HOME"])
        assert not place.exists()
        (place / "cache").mkdir(parents=True)
        return SimpleNamespace(returncode=0, stdout="{}")

    monkeypatch.setattr(long_corpus.subprocess, "run", step)
    for _ in range(2):
        long_corpus.measure(1 / 60, tmp_path, ("first import",))


def test_files_of_one_name_in_two_folders_are_compared_each_with_its_own(
    bench: Any,
    save: Any,
    noise: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Guards against a/kick.wav that is compared with b/kick.wav, and against what has no partner and is passed over."""
    import likeness

    given, made = tmp_path / "given", tmp_path / "made"
    for number, name in enumerate(("a/kick.wav", "b/kick.wav", "c.wav", "c.flac", "only here.wav")):
        save(given / name, noise(1.0, seed=number))
    shutil.copytree(given, made)
    (made / "only here.wav").rename(made / "only there.wav")
    (made / "c.wav").rename(made / "c.wav.wav")
    (made / "c.flac").rename(made / "c.flac.flac")
    monkeypatch.setattr(sys, "argv", ["likeness.py", str(given), str(made)])
    likeness.main()
    told = capsys.readouterr().out
    assert told.startswith("without a partner: only here.wav, only there.wav\nfiles=4 kept=1.000")
    assert "largest offset" in told
    monkeypatch.setattr(sys, "argv", ["likeness.py", str(given / "a"), str(made / "b" / "none")])
    with pytest.raises(SystemExit):
        likeness.main()
    assert "no file below" in capsys.readouterr().err


def measured(**figures: Any) -> dict[str, Any]:
    about = {
        "date": "2026-11-27",
        "machine": "2 cores of a test",
        "command": "python benchmarks/bench.py",
        "corpus": "loops",
    }
    return {**about, "minutes": 1.5, **figures}


def test_every_part_has_its_place(page: Any, tmp_path: Path) -> None:
    judged = {
        "mel": 1.5,
        "kept": 0.6,
        "cents": 4.0,
        "invented": float("nan"),
        "movement": 2.0,
        "line": 1.0,
        "grain": -2.0,
    }
    rows = [
        {"name": name, "bits a second": bits, **judged} for name, bits in (("Distill 1", 375.0), ("Opus 6", 6000.0))
    ]
    step = {"core s": 2.0, "peak MiB": 100, "seconds": 3.0}
    trained = {"peak MiB": 500, "trained, audio s/s": 40.0}
    lengths = [
        {"hours": hours, "sound s": 3600 * hours, "first import": step, "later start": step, "split": step,
         "training begun": trained, "cache MiB": 10}
        for hours in (1 / 60, 10.0)
    ]  # fmt: skip
    found = {
        "rates": measured(rows=rows, recordings=2, note="", **{"seconds each": 20.0, "trained minutes": 4.0}),
        "speed": measured(
            guess=[("unigram", 7.5, 1400.0)], training=(9e4, 3e4), **{"one stream": (10.0, 0.5), "eight streams": 46.0}
        ),
        "length": measured(rows=lengths),
        "ranks": measured(
            rows=[
                {"ranks": 1, "audio s/s": 10.0, "ms a step": 400.0},
                {"ranks": 2, "audio s/s": 19.0, "ms a step": 420.0},
            ],
            threads="one thread each",
        ),
        "copies": measured(rows=[{"name": "as it is", "area": 0.999, "at 1 %": 1.0}]),
    }
    page.write(found, tmp_path)
    text = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    for words in (
        "Opus at 6 kbit/s",
        "Distill, 1 level ",
        "3.0×",
        "1 min",
        "10 h",
        "1.90×",
        "0.999",
        "2 cores of a test",
    ):
        assert words in text, words
    assert "Not measured yet" not in text
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == ["bench-length.svg", "bench-rate.svg"]
    first = (tmp_path / "images" / "bench-rate.svg").read_bytes()
    page.write(found, tmp_path)
    assert (tmp_path / "images" / "bench-rate.svg").read_bytes() == first


def test_the_page_is_what_the_figures_give(page: Any, tmp_path: Path) -> None:
    found = json.loads((DOCS / "benchmarks.json").read_text(encoding="utf-8"))
    page.write(found, tmp_path)
    drawn, kept = ((folder / "benchmarks.md").read_text(encoding="utf-8") for folder in (tmp_path, DOCS))
    assert drawn == kept, "docs/benchmarks.md was edited by hand: python benchmarks/bench.py --page-only draws it anew"
