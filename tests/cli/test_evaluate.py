"""``distill evaluate``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_evaluate_says_how_faithful_the_codec_is(
    distill: Callable[..., Any], tiny: Path, small_corpus: Path, tmp_path: Path
) -> None:
    """Guards against JSON mixed with words, and a page that asks the network for anything."""
    answer = distill("evaluate", tiny, small_corpus, "--no-opus", "--out", tmp_path / "pages", "--json")
    assert answer.code == 0, answer.err
    found = answer.json
    assert len(found["scores"]) == 6
    assert found["mel"] > 0
    assert found["mel_held_out"] is None  # another corpus than the model's
    assert [level["name"] for level in found["levels"]] == ["Structure", "Detail"]
    page = Path(found["page"]).read_text(encoding="utf-8")
    assert page.count("<audio") == 12  # each recording: itself, the codec, and grains of the others
    assert "http://" not in page
    assert "https://" not in page

    spoken = distill("evaluate", tiny, small_corpus, "--no-opus", "--out", tmp_path / "pages")
    assert spoken.out == ""
    assert "not the one it was trained on" in spoken.err
    assert (tmp_path / "pages" / "tiny-evaluation-2.html").exists()


def test_figures_alone(distill: Callable[..., Any], tiny: Path, small_corpus: Path, tmp_path: Path) -> None:
    """Guards against a page of some megabytes, with its grains, where a program wants only the figures."""
    answer = distill("evaluate", tiny, small_corpus, "--no-opus", "--no-page", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["mel"] > 0
    assert answer.json["page"] is None
    assert list(Path().glob("*.html")) == []
    assert "Listen" not in distill("evaluate", tiny, small_corpus, "--no-opus", "--no-page").err.split()


def test_evaluate_refuses_what_it_cannot_measure(distill: Callable[..., Any], tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    distill("evaluate", tiny, tmp_path / "empty").refused("is empty")
    distill("evaluate", tmp_path / "none.distill", tmp_path / "empty").refused("none.distill")
