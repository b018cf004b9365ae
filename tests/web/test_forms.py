"""A number that cannot be: what is said of it, and where.

Needs Debian's chromium (``apt-get install chromium``); ``-m "not browser"`` leaves these out.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from distill.web import places

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("label", "given", "words"),
    [
        ("Seconds", "0", "Seconds must be a number from 0.5 to 600."),
        ("Seconds", "", "Seconds must be a number from 0.5 to 600."),
        ("Pieces", "2.5", "Pieces must be a whole number from 1 to 64."),
        ("Temperature", "9", "Temperature must be a number from 0 to 5."),
        ("Similarity limit, %", "400", "Similarity limit must be a number from 0 to 100 (%)."),
    ],
)
def test_a_field_that_is_wrong_is_named_and_shown(
    page: Page, note_piece: Callable[..., str], label: str, given: str, words: str
) -> None:
    """Guards against the names and the words of a program, and against a field that is wrong where nobody sees it."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    page.goto(f"/#/generate/{note_piece()}")
    field = page.get_by_label(label, exact=True)
    field.evaluate(  # some are folded away, as after a preset
        "(one, given) => { one.value = given; one.dispatchEvent(new Event('input', { bubbles: true })); }", given
    )
    page.locator("[data-test=make]").click()
    expect(page.locator(".message.bad")).to_contain_text(words)
    expect(field).to_be_focused()
    expect(field).to_be_visible()
    assert not any(url.endswith("/api/generate") for url in asked)


def test_a_training_is_not_asked_for_with_what_it_cannot_have(page: Page, small_corpus: Path) -> None:
    one = places.add_collection(small_corpus)
    page.goto(f"/#/train/new/{one.id}")
    page.get_by_text("Advanced", exact=True).click()
    page.get_by_label("Quantizer levels").fill("9")
    page.locator("[data-test=train]").click()
    expect(page.locator(".message.bad")).to_contain_text("Quantizer levels must be a whole number from 2 to 4.")
    assert page.url.endswith(f"/#/train/new/{one.id}")
