"""What a musician would stumble over who plays with the page: what is pressed quickly, twice, or while something is at work.

Needs Debian's chromium (``apt-get install chromium``); ``-m "not browser"`` leaves these out.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from distill.library import Library
from distill.web import places

pytestmark = pytest.mark.browser

PATIENCE_MS = 30_000


@pytest.fixture
def page(browser: Browser, server: str) -> Iterator[Page]:
    """A page on which nothing may go wrong unseen."""
    window = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=server)
    opened = window.new_page()
    opened.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    yield opened
    window.close()
    assert wrong == []


def test_several_are_left_out_as_quickly_as_they_are_pressed(page: Page, small_corpus: Path) -> None:
    """Guards against all but one being lost, and against a list that is gone while the rest is read again."""
    one = places.add_collection(small_corpus)
    page.goto(f"/#/recordings/{one.id}")
    rows = page.locator("table.recordings tbody tr")
    expect(rows).to_have_count(6)
    page.evaluate("""() => {
        window.fewest = 6;
        const rows = () => document.querySelectorAll("table.recordings tbody tr").length;
        new MutationObserver(() => { fewest = Math.min(fewest, rows()); })
            .observe(document.body, { childList: true, subtree: true });
        for (const leave of [...document.querySelectorAll("[aria-label^='Leave out']")].slice(0, 3)) leave.click();
    }""")
    expect(page.locator("[aria-label^='Take back']")).to_have_count(3)
    expect(page.locator("section[aria-label=Recordings] header small")).to_contain_text("reading again")
    expect(page.locator(".tiles")).to_contain_text("3 of 3")
    expect(page.locator("tr.unused").first).to_contain_text("kHz")
    page.locator("[aria-label='Take back take-1.wav']").click()
    expect(page.locator(".tiles")).to_contain_text("4 of 4")
    assert page.evaluate("() => fewest") == 6
    assert places.collection(one.id).left_out == ["take-0.wav", "take-2.wav"]
    page.locator("[aria-label^='Leave out']").first.wait_for()
    for name in ("take-1.wav", "take-3.wav", "take-4.wav", "take-5.wav"):
        page.locator(f"[aria-label='Leave out {name}']").click()
    expect(page.get_by_text("Every recording is left out")).to_be_visible()
    expect(page.locator("[data-test=to-train]")).to_have_count(0)


def test_the_folder_that_was_looked_at_last_is_there_again(page: Page, small_corpus: Path, tmp_path: Path) -> None:
    places.add_collection(Path(shutil.copytree(small_corpus, tmp_path / "a first one")))
    last = places.add_collection(Path(shutil.copytree(small_corpus, tmp_path / "the last one")))
    page.goto(f"/#/recordings/{last.id}")
    expect(page.get_by_role("heading", name="the last one")).to_be_visible()
    page.get_by_role("link", name="Train", exact=True).click()
    expect(page.get_by_label("Recordings", exact=True)).to_have_value(last.id)
    page.get_by_role("link", name="Recordings", exact=True).click()
    expect(page.get_by_role("heading", name="the last one")).to_be_visible()


def test_the_model_that_was_played_with_last_is_there_again_until_there_is_a_newer_one(
    page: Page, model_files: Path, tmp_path: Path
) -> None:
    shutil.copytree(model_files, tmp_path / "models")
    library = Library(lambda _: None)
    for name in ("tiny", "other"):
        library.note_model(tmp_path / "models" / f"{name}.distill")
    newer, older = (model["id"] for model in page.request.get("/api/models").json())
    page.goto(f"/#/generate/{older}")
    expect(page.get_by_label("Model", exact=True)).to_have_value(older)
    page.get_by_role("link", name="Library").click()
    page.get_by_role("link", name="Generate").click()
    expect(page.get_by_label("Model", exact=True)).to_have_value(older)
    page.evaluate("id => localStorage.setItem('generate-model', JSON.stringify({ id, at: 0 }))", older)
    page.reload()
    expect(page.get_by_label("Model", exact=True)).to_have_value(newer)
