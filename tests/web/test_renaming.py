"""A piece, or a model, is given another name on the page, and the old one back.

Needs Debian's chromium (``apt-get install chromium``); ``-m "not browser"`` leaves these out.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


@pytest.fixture
def model(note_piece: Callable[..., str]) -> str:
    """A tiny model and two pieces of it; the page's name for the model."""
    return [note_piece(seed, seed) for seed in range(2)][-1]


def test_a_piece_is_renamed_on_the_page_and_gets_its_name_back(page: Page, model: str, tmp_path: Path) -> None:
    page.goto(f"/#/generate/{model}")
    button = page.get_by_role("button", name="Rename tiny-0")
    button.focus()
    page.keyboard.press("Enter")
    field = page.get_by_label("Name of tiny-0")
    expect(field).to_be_focused()
    page.keyboard.type("nonsense")
    page.keyboard.press("Escape")
    expect(button).to_be_focused()
    assert (tmp_path / "tiny-0.wav").exists()
    page.keyboard.press("Enter")
    page.keyboard.type("tiny-1")
    page.keyboard.press("Enter")
    refused = page.locator("article.piece").get_by_role("alert")
    expect(refused).to_contain_text("there is a file tiny-1.wav already. Choose another name.")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    page.keyboard.press("Control+a")
    page.keyboard.type("Rain on tin")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Rain on tin")).to_be_visible()
    expect(page.get_by_text("tiny-0 is now called Rain on tin")).to_be_visible()
    expect(page.get_by_role("button", name="Rename Rain on tin")).to_be_focused()
    piece = page.locator("article.piece", has_text="Rain on tin")
    piece.get_by_label("Save Rain on tin").click()
    with page.expect_download() as taken:
        piece.get_by_role("link", name="WAV").click()
    assert taken.value.suggested_filename == "Rain on tin.wav"
    page.goto(f"/#/library/{model}")
    expect(page.get_by_role("button", name="Rename Rain on tin")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", name="tiny-0")).to_be_visible()
    expect(page.get_by_text("It is called tiny-0 again")).to_be_visible()
    assert (tmp_path / "tiny-0.wav").exists()


def test_a_model_gets_its_name_back(page: Page, model: str, tmp_path: Path) -> None:
    page.goto(f"/#/library/{model}")
    page.get_by_role("button", name="Rename this model").click()
    page.get_by_label("Name of this model").fill("drums")
    page.get_by_role("heading", name="Made with it").click()  # left, it is kept as by Enter
    expect(page.get_by_role("heading", name="drums")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("It is called tiny again")).to_be_visible()
    expect(page.get_by_role("heading", name="tiny", level=2)).to_be_visible()
    assert (tmp_path / "tiny.distill").exists()
