"""Whoever has no mouse: what has the focus after an action, and what is said of it.

Needs Debian's chromium (``apt-get install chromium``); ``-m "not browser"`` leaves these out.
"""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


@pytest.fixture
def model(note_piece: Callable[..., str]) -> str:
    """A tiny model and three pieces of it; the page's name for the model."""
    return [note_piece(seed, seed) for seed in range(3)][-1]


def press(page: Page, role: str, name: str) -> None:
    """As by Tab and Enter."""
    page.keyboard.press("Shift")  # by keyboard, from here on
    found = page.get_by_role(role, name=name, exact=True)  # type: ignore[arg-type]
    found.focus()
    page.keyboard.press("Enter")


def delete(page: Page, name: str) -> None:
    """The last of what the piece's menu offers."""
    page.keyboard.press("Shift")
    page.get_by_label(f"More to do with {name}", exact=True).focus()
    page.keyboard.press("Enter")
    press(page, "button", f"Delete {name}")


def test_what_was_pressed_keeps_the_focus(page: Page, model: str) -> None:
    """Guards against a button that is disabled while it works, which takes the focus from it."""
    page.goto(f"/#/generate/{model}")
    first = page.locator("article[data-piece='3']")
    first.locator(".keep").focus()
    page.keyboard.press("Enter")
    expect(first.locator(".keep")).to_contain_text("Kept")
    expect(first.locator(".keep")).to_be_focused()
    save = first.get_by_label("Save tiny-2")
    save.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    with page.expect_download():
        page.keyboard.press("Enter")
    expect(save).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+Tab")
    expect(first.locator("details.menu[open]")).to_have_count(0)


def test_a_menu_is_gone_through_by_the_arrow_keys(page: Page, model: str) -> None:
    page.goto(f"/#/generate/{model}")
    more = page.get_by_label("More to do with tiny-0")
    more.focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("button", name="Use these settings")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("button", name="Delete tiny-0")).to_be_focused()
    page.keyboard.press("Escape")
    expect(more).to_be_focused()
    expect(page.locator("details.menu[open]")).to_have_count(0)
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Its settings and seed are in the form")).to_be_visible()
    expect(more).to_be_focused()


def test_what_is_deleted_leaves_the_focus_to_the_next_and_comes_back_by_ctrl_z(page: Page, model: str) -> None:
    page.goto(f"/#/generate/{model}")
    delete(page, "tiny-1")
    expect(page.locator("article.piece")).to_have_count(2)
    expect(page.get_by_role("button", name="Rename tiny-0")).to_be_focused()
    page.keyboard.press("Control+z")
    expect(page.get_by_text("tiny-1 is back")).to_be_visible()
    expect(page.locator("article.piece")).to_have_count(3)
    expect(page.get_by_role("button", name="Rename tiny-0")).to_be_focused()
    delete(page, "tiny-0")
    expect(page.locator("article.piece")).to_have_count(2)
    expect(page.get_by_label("More to do with tiny-1")).to_be_focused()


def test_a_page_that_is_built_anew_has_the_focus_where_it_was(page: Page, model: str) -> None:
    page.goto(f"/#/library/{model}")
    press(page, "button", "Rename this model")
    page.get_by_label("Name of this model").fill("drums")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="drums")).to_be_visible()
    expect(page.get_by_role("button", name="Rename this model")).to_be_focused()
    press(page, "button", "Delete")
    expect(page.get_by_text("drums is in the trash")).to_be_visible()
    page.wait_for_function("() => document.querySelector('main').contains(document.activeElement)")
    page.keyboard.press("Control+z")
    expect(page.get_by_text("drums is back")).to_be_visible()


def test_a_sound_that_is_opened_begins_in_its_grid_and_tells_what_was_done(page: Page, model: str) -> None:
    page.goto(f"/#/generate/{model}")
    edit = page.locator("article[data-piece='3']").get_by_role("link", name="Edit codes")
    edit.focus()
    page.keyboard.press("Enter")
    grid = page.locator("canvas[role=application]")
    expect(grid).to_be_focused()
    page.keyboard.press("ArrowRight")
    for _ in range(6):
        page.keyboard.press("Shift+ArrowRight")
    said = page.locator("[data-test=said]")
    page.keyboard.press("m")
    expect(said).to_contain_text("Mirrored")
    press(page, "button", "Undo")
    expect(said).to_contain_text("Undone: Mirrored")
    expect(page.get_by_role("button", name="Redo")).to_be_focused()
    page.keyboard.press("Enter")
    expect(said).to_contain_text("Done again: Mirrored")
    press(page, "button", "Rename this sound")
    page.get_by_label("Name of this sound").fill("rain")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="rain")).to_be_visible()
    expect(page.get_by_role("button", name="Rename this sound")).to_be_focused()


def test_the_tools_are_near_the_grid(page: Page, model: str) -> None:
    """Guards against two Tabs for each level's name of the grid between: Tab stops there once, and the arrow keys go on."""
    page.goto("/#/codes")
    page.locator("[data-test=open]").first.click()
    page.locator("[data-test=beside]").click()
    page.get_by_role("dialog").locator("[data-test=open]").nth(1).click()
    grids, levels = page.locator("canvas[role=application]"), page.get_by_role("toolbar", name="Levels")
    expect(grids).to_have_count(2)
    grids.first.focus()
    page.keyboard.press("ArrowRight")
    focused = page.locator(":focus")
    for step in ("Rename this sound", "Scroll together", "Hear Structure alone", None, "Hear"):
        page.keyboard.press("Tab")
        if step is None:
            expect(grids.last).to_be_focused()
        elif step == "Scroll together":
            expect(page.get_by_label(step)).to_be_focused()
        else:
            expect(focused).to_have_accessible_name(step)
    levels.first.get_by_role("button", name="Hear Structure alone").focus()
    for key, step in (
        ("ArrowDown", "Hear Detail alone"),
        ("ArrowRight", "Rename Detail"),
        ("Home", "Hear Structure alone"),
    ):
        page.keyboard.press(key)
        expect(focused).to_have_accessible_name(step)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.get_by_label("Name of level 1").fill("Drums")
    page.keyboard.press("Enter")
    expect(focused).to_have_accessible_name("Rename Drums")


@pytest.mark.usefixtures("model")
def test_the_tools_are_a_key_away_from_the_grid(page: Page) -> None:
    """Guards against a dozen Tabs through the other sound's names and grid, and as many back."""
    page.goto("/#/codes/piece:3")
    grid = page.locator("canvas[role=application]")
    grid.focus()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("t")
    expect(page.locator("[data-test=hear]")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-test=copy]")).to_be_focused()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("[data-test=insert]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(grid).to_be_focused()


def test_a_message_stays_while_somebody_is_at_it(page: Page, model: str) -> None:
    page.goto(f"/#/generate/{model}")
    page.locator("article[data-piece='3']").wait_for()
    page.clock.install()
    delete(page, "tiny-1")
    undo = page.get_by_role("button", name="Undo")
    undo.focus()
    page.clock.fast_forward(60_000)
    expect(undo).to_be_focused()
    page.get_by_role("link", name="Library").focus()
    page.clock.fast_forward(60_000)
    expect(undo).to_have_count(0)


def test_what_has_the_focus_is_not_under_the_head_of_the_page(page: Page, model: str) -> None:
    """Guards against a control that the keyboard reaches and nobody sees."""
    page.set_viewport_size({"width": 1280, "height": 500})
    page.goto(f"/#/library/{model}")
    last = page.get_by_label("More to do with tiny-0")
    last.focus()
    for _ in range(25):
        page.keyboard.press("Shift+Tab")
        top = page.evaluate("""() => {
            const own = document.activeElement;
            return own.closest("main") ? own.getBoundingClientRect().top : 1000;
        }""")
        assert top >= 60, page.evaluate("() => document.activeElement.outerHTML.slice(0, 200)")
