"""The page of benchmarks: drawn from figures alone, with parts that are missing, and never edited by hand."""

import json
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import bench_page

    yield bench_page
    sys.modules.pop("bench_page")


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
    """Guards against figures of one's own recordings that are the demo's codec's, as it was trained there before."""
    trained: list[Path] = []

    def train(_: str, corpus: Path, *words: Any) -> None:
        told = dict(zip(words[::2], words[1::2], strict=True))
        trained.append(corpus)
        (told["--out"] / f"{told['--name']}.distill").write_text(str(corpus))

    monkeypatch.setattr("codec.distill", train)
    mine, work, given = tmp_path / "mine", tmp_path / "work", tmp_path / "given.distill"
    work.mkdir()
    save(mine / "a.wav", noise(2.0))
    given.touch()
    for corpus in (small_corpus, mine, mine, small_corpus):
        assert bench.codec_of(corpus, work, None).read_text() == str(corpus)
    assert trained == [small_corpus, mine]
    assert bench.codec_of(mine, work, given) == given


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
            **{"threads in all": "1"},
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


def test_reconstructions_are_held_against_their_own_recordings(
    small_corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Guards against rows that pair the wrong files: a folder is at no distance from itself."""
    benchmark = runpy.run_path(str(ROOT / "benchmarks" / "reconstruction.py"))
    benchmark["main"](str(small_corpus), str(small_corpus))
    assert capsys.readouterr().out.splitlines()[-1].split() == ["mean", "of", "6", "0.000"]
