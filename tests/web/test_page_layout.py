"""What would look wrong: lines that break within a word of the trade, and controls that stand alone on a second line.

Needs Debian's chromium (``apt-get install chromium``); ``-m "not browser"`` leaves these out.
"""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from distill.library import GenerationRecord, Library
from distill.web import places

pytestmark = pytest.mark.browser


@pytest.fixture
def model(tiny: Path, small_corpus: Path, tmp_path: Path) -> str:
    """A tiny model with a piece whose settings fill more than a line of a phone; the page's name for the model."""
    library = Library(lambda _: None)
    entry = library.note_model(tiny)
    path = Path(shutil.copy(small_corpus / "take-0.wav", tmp_path / "tiny-0.wav"))
    sampling = {"temperature": 0.9, "top_k": 40, "top_p": 0.985, "variety": 1.5}
    request = {"kind": "audio", "seconds": 0.8, "voice": "recordings", "sampling": sampling}
    by = ("2026-01-01T00:00:00+00:00", str(tiny), entry.digest, entry.origin)
    library.add_generations([GenerationRecord(*by, str(path), "s" * 64, 887698624, "fine", {}, request)])
    return places.model_id(entry)


def test_on_a_phone_nothing_is_torn(page: Page, model: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"/#/library/{model}")
    expect(page.locator(".how span")).to_have_count(6)
    lines = page.evaluate("() => [...document.querySelectorAll('.how span')].map((one) => one.getClientRects().length)")
    assert set(lines) == {1}
    tops = page.evaluate("""() => {
        const head = document.querySelector(".head .actions");
        return [...head.children].map((one) => one.getBoundingClientRect().top);
    }""")
    assert len(tops) == 4
    assert max(tops) - min(tops) < 10


def test_the_verdict_on_what_is_held_out_is_one_line(page: Page, small_corpus: Path) -> None:
    one = places.add_collection(small_corpus)
    page.goto(f"/#/recordings/{one.id}")
    told = page.locator("td.verdict", has_text="held out").first
    expect(told).to_be_visible()
    tops = told.locator(".badge").evaluate_all("all => all.map((one) => one.getBoundingClientRect().top)")
    assert len(tops) == 2
    assert tops[0] == tops[1]
