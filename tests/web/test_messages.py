"""A message is where nothing is that can be pressed, and moves when something comes there.

Needs Debian's chromium (``apt-get install chromium``); ``-m "not browser"`` leaves these out.
"""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

UNDER = """() => {
    const own = document.querySelector(".messages"), found = new Set();
    const { left, right, top, bottom } = own.getBoundingClientRect();
    own.style.visibility = "hidden";
    for (let x = left; x <= right; x += 4) for (let y = top; y <= bottom; y += 4) {
        const met = document.elementFromPoint(x, y)?.closest("a, button, input, select, summary, label, [role=button]");
        if (met) found.add(met.ariaLabel || met.textContent);
    }
    own.style.visibility = "";
    return [...found];
}"""
"""What would be pressed where the message is, were it not there."""


@pytest.fixture
def pieces(note_piece: Callable[..., str]) -> str:
    """Where four pieces are shown."""
    return f"/#/generate/{[note_piece(seed, seed % 4) for seed in range(4)][-1]}"


def deleted(page: Page, name: str) -> None:
    page.get_by_label(f"More to do with {name}").click()
    page.get_by_role("button", name=f"Delete {name}").click()
    expect(page.locator(".message")).to_contain_text("in the trash")
    page.mouse.move(1, 1)  # it stays under a hand that is about to undo


@pytest.mark.parametrize("size", [(1280, 800), (1280, 640), (390, 844)])
@pytest.mark.parametrize("is_heard", [False, True])
def test_a_message_lies_over_nothing_that_can_be_pressed(
    page: Page, pieces: str, size: tuple[int, int], is_heard: bool, at_rest: Callable[[Page], None]
) -> None:
    """Guards against a message over a piece's menu, for twelve seconds."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto(pieces)
    if is_heard:
        page.locator("article.piece .play").first.click()
    deleted(page, "tiny-3")
    for down in (0, 130, 260):
        page.evaluate("(down) => scrollTo(0, down)", down)
        at_rest(page)
        page.wait_for_function(f"() => !({UNDER})().length", polling=50)  # it looks again three times a second
        box = page.locator(".message").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["y"] >= 0
        assert box["x"] + box["width"] <= size[0]
        assert box["y"] + box["height"] <= size[1]


def test_a_menu_that_opens_there_can_be_used(page: Page, pieces: str) -> None:
    page.goto(pieces)
    deleted(page, "tiny-3")
    said = page.locator(".message").bounding_box()
    assert said is not None
    save = page.get_by_label("Save tiny-2")
    save.evaluate("(one, to) => scrollBy(0, one.getBoundingClientRect().bottom - to)", said["y"])
    save.click()
    page.wait_for_timeout(700)
    assert page.evaluate(UNDER) == []


def test_where_all_can_be_pressed_a_message_is_pressed_through(page: Page) -> None:
    """What is under its words is what is meant; its own buttons stay its own."""
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/#/recordings")
    expect(page.get_by_role("heading", name="What should Distill learn from?")).to_be_visible()
    page.evaluate("""async () => {
        const all = Object.assign(document.createElement("button"), { textContent: "everything" });
        all.style = "position: fixed; inset: 0; z-index: 7;";
        all.onclick = () => { window.pressed = true; };
        document.body.append(all);
        const { say } = await import("/static/store.js");
        say("Something was said.", { undo: { label: "Really", act: () => { window.undone = true; } } });
    }""")
    words = page.get_by_text("Something was said.").bounding_box()
    assert words is not None
    page.mouse.click(words["x"] + 5, words["y"] + 5)
    assert page.evaluate("() => window.pressed")
    page.get_by_role("button", name="Really").click()
    assert page.evaluate("() => window.undone")
