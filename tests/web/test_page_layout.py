"""What would look wrong: lines that break within a word of the trade, and controls that stand alone on a second line.

Needs Debian's chromium (``apt-get install chromium``); ``-m "not browser"`` leaves these out.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from distill.web import places

pytestmark = pytest.mark.browser


@pytest.fixture
def model(note_piece: Callable[..., str]) -> str:
    """A tiny model with a piece whose settings fill more than a line of a phone; the page's name for the model."""
    sampling = {"temperature": 0.9, "top_k": 40, "top_p": 0.985, "variety": 1.5}
    return note_piece(887698624, voice="recordings", sampling=sampling)


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
