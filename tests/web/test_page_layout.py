"""What would look wrong: lines that break within a word of the trade, and controls that stand alone on a second line.

Needs Debian's chromium (``apt-get install chromium``); ``-m "not browser"`` leaves these out.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from distill.library import Library
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
    assert len(tops) == 3
    assert max(tops) - min(tops) < 10
    middles = page.locator("article.piece > .actions").evaluate_all("""all => all.map((one) => [...one.children]
        .map((part) => part.getBoundingClientRect()).map((box) => box.top + box.height / 2))""")
    assert all(len(one) == 5 and max(one) - min(one) < 2 for one in middles), middles


def test_a_recording_is_either_used_or_held_out(page: Page, small_corpus: Path) -> None:
    """Guards against a table that calls a recording "used" which is never trained on."""
    one = places.add_collection(small_corpus)
    page.goto(f"/#/recordings/{one.id}")
    told = page.locator("td.verdict")
    expect(told.filter(has_text="held out").first).to_be_visible()
    verdicts = told.all_text_contents()
    assert set(verdicts) == {"used", "held out"}
    for which in ("used", "held"):
        page.get_by_label("Which recordings are shown").select_option(which)
        expect(told).to_have_count(verdicts.count({"held": "held out"}.get(which, which)))


def test_nothing_shows_below_the_button_that_stays_in_view(
    page: Page, model: str, at_rest: Callable[[Page], None]
) -> None:
    """Guards against the upper half of a field between "Make sound" and the edge, where the form is longer than the window."""
    page.set_viewport_size({"width": 1280, "height": 600})
    page.goto("/#/generate")
    page.get_by_text("Advanced", exact=True).click()
    page.locator("article.piece .play").click()  # the player covers the foot of the window
    page.wait_for_function("() => document.getElementById('player').ended")
    at_rest(page)
    deck = page.get_by_role("region", name="Player").bounding_box()
    button = page.locator(".form > .primary").bounding_box()
    assert deck is not None
    assert button is not None
    assert button["y"] + button["height"] <= deck["y"]
    left = page.evaluate("""() => {
        const bottom = (which) => document.querySelector(which).getBoundingClientRect().bottom;
        return bottom(".split > aside") - bottom(".form > .primary");
    }""")
    assert 0 <= left <= 8.5, "the colour of the card is drawn 8 pixels around the button"


def test_two_buttons_beside_each_other_are_of_one_size(page: Page) -> None:
    """Guards against a link that is to look like the button beside it, and is lower."""
    page.goto("/#/train")
    link, button = page.get_by_role("link", name="Add recordings"), page.get_by_role("button", name="Use the demo")
    expect(button).to_be_visible()
    heights = [one.evaluate("one => one.getBoundingClientRect().height") for one in (link, button)]
    assert heights[0] == heights[1]


def test_a_file_with_a_very_long_name_takes_three_lines(page: Page, small_corpus: Path, tmp_path: Path) -> None:
    """Guards against a row of nine lines of bold letters, and against files that are no recordings counted as some."""
    mine = Path(shutil.copytree(small_corpus, tmp_path / "mine"))
    (mine / "take-0.wav").rename(mine / f"{'x' * 240}.wav")
    (mine / "notes.wav").write_text("no sound")
    one = places.add_collection(mine)
    page.goto(f"/#/recordings/{one.id}")
    name = page.get_by_title("x" * 240)
    expect(name).to_be_visible()
    assert (
        name.evaluate("one => one.getBoundingClientRect().height / parseFloat(getComputedStyle(one).lineHeight)") <= 3.1
    )
    expect(page.get_by_role("heading", name="files")).to_be_visible()


def test_a_name_that_turns_letters_round_is_seen_through(page: Page, small_corpus: Path, tmp_path: Path) -> None:
    """Guards against a name that passes for another one: a letter that nobody sees shows exe.wav as vaw.exe."""
    mine = Path(shutil.copytree(small_corpus, tmp_path / "mine\u2066"))
    (mine / "take-0.wav").rename(mine / "take\u202evaw.exe.wav")
    (mine / "take-1.wav").rename(mine / "קול.wav")
    one = places.add_collection(mine)
    page.goto(f"/#/recordings/{one.id}")
    expect(page.get_by_title("take\N{REPLACEMENT CHARACTER}vaw.exe.wav")).to_be_visible()
    expect(page.get_by_title("קול.wav")).to_be_visible()
    seen = page.content()
    assert not set("\u202e\u2066") & set(seen)
    page.get_by_label("Leave out take\N{REPLACEMENT CHARACTER}vaw.exe.wav").click()
    expect(page.get_by_label("Take back take\N{REPLACEMENT CHARACTER}vaw.exe.wav")).to_be_visible()


@pytest.mark.parametrize("tab", ["recordings", "train", "generate", "codes", "library"])
def test_a_finger_meets_what_it_is_to_press(
    page: Page, model: str, small_corpus: Path, at_rest: Callable[[Page], None], tab: str
) -> None:
    """Guards against buttons of 30 pixels on a phone; a second of the strip of verdicts is as wide as it is."""
    one = places.add_collection(small_corpus)
    page.set_viewport_size({"width": 390, "height": 844})
    place = {"recordings": one.id, "train": f"new/{one.id}", "codes": ""}.get(tab, model)
    page.goto(f"/#/{tab}/{place}")
    at_rest(page)
    if tab == "codes":
        page.locator("[data-test=open]").first.click()
        page.locator(".grid-place canvas").wait_for()
        at_rest(page)
    page.evaluate("() => { for (const one of document.querySelectorAll('main details:not(.menu)')) one.open = true; }")
    low = page.evaluate("""() => [...document.querySelectorAll("button, .button, summary, select, input, main a, header a")]
        .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.matches(".unseen, .origin *, p a"))
        .map((one) => [one.matches("[type=checkbox], [type=radio]") ? one.closest("label") : one, one])
        .map(([met, one]) => [Math.round(met.getBoundingClientRect().height), one.className, one.textContent])
        .filter(([height]) => height < 40)""")
    assert low == []


@pytest.mark.parametrize("width", [390, 768, 900, 1040, 1081])
def test_on_a_tablet_nothing_is_torn_either(
    page: Page, model: str, small_corpus: Path, at_rest: Callable[[Page], None], width: int
) -> None:
    """Guards against tabs of one letter a line beside what is at work, a table whose columns lie on each other, and a menu
    that is half beyond the edge."""
    one = places.add_collection(small_corpus)
    working = {
        "title": "Prior of late-night-piano-and-rain",
        "share": 0.5,
        "remaining_s": 95,
        "run": None,
        "waiting": 2,
    }
    page.route("**/api/now", lambda route: route.fulfill(json=working))
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"/#/recordings/{one.id}")
    expect(page.locator(".now")).to_contain_text("late-night-piano")
    expect(page.locator("td.verdict").first).to_be_visible()
    at_rest(page)
    heights = page.evaluate("""() => [...document.querySelectorAll(".tabs a, .brand b, .now")]
        .map((one) => one.getBoundingClientRect().height)""")
    assert max(heights) <= 41
    apart = page.evaluate("""() => [...document.querySelectorAll("table.recordings tr:has(.pane)")].map((row) => {
        const [sound, verdict] = [".sound", ".verdict .badge"].map((one) => row.querySelector(one).getBoundingClientRect());
        return sound.width > 130 && (sound.right <= verdict.left || sound.bottom <= verdict.top);
    })""")
    assert apart
    assert all(apart)
    page.goto(f"/#/library/{model}")
    page.get_by_text("Export", exact=True).click()
    expect(page.get_by_text("The model,")).to_be_visible()
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", [1280, 768, 390])
def test_how_far_the_work_is_stays_in_sight_beside_a_long_name(page: Page, width: int) -> None:
    """Guards against a percentage that is cut off with the end of the name before it."""
    name = "Codec of A walk along the river in the rain, with trains and a choir, second take"
    told = {"title": name, "share": 0.65, "remaining_s": 95, "run": None, "waiting": 1}
    page.route("**/api/now", lambda route: route.fulfill(json=told))
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/#/library")
    expect(page.locator(".now b")).to_have_text("65 %")
    lines = page.locator(".brand b, .tabs a, .now b").evaluate_all("""all => all.map((one) => {
        const words = document.createRange();
        words.selectNodeContents(one);
        return words.getClientRects().length;
    })""")
    assert lines == [1] * 7
    box = page.locator(".now b").bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= width
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [1280, 768, 390])
def test_a_menu_opens_within_the_window(page: Page, tiny: Path, width: int) -> None:
    """Guards against a list that is cut off where a long name has moved its button to the other side."""
    model = Library(lambda _: None).note_model(Path(shutil.copy(tiny, tiny.with_name(f"{'long name ' * 9}.distill"))))
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"/#/library/{places.model_id(model)}")
    page.locator(".export summary").click()
    box = page.locator(".export .options").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    heading, actions = page.get_by_role("heading", level=2).first, page.locator(".head .actions").first
    name, buttons = heading.bounding_box(), actions.bounding_box()
    assert name is not None
    assert buttons is not None
    assert width == 390 or buttons["x"] > name["x"] + 200, "the buttons stay at the right of the name"


def test_on_a_phone_the_trash_stands_in_rows(page: Page, model: str) -> None:
    """Guards against a name of a few letters a line beside date, size and Restore."""
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"/#/library/{model}")
    page.get_by_label("More to do with").click()
    page.get_by_role("button", name="Delete tiny").click()
    page.goto("/#/library")
    page.locator("summary", has_text="Trash").click()
    name, button = page.locator("details.card th").bounding_box(), page.get_by_role("button", name="Restore")
    below = button.bounding_box()
    assert name is not None
    assert below is not None
    assert name["width"] > 300
    assert below["y"] >= name["y"] + name["height"]
    page.set_viewport_size({"width": 768, "height": 844})
    lines = page.locator("details.card td").first.evaluate("""(date) => {
        const words = document.createRange();
        words.selectNodeContents(date);
        return words.getClientRects().length;
    }""")
    assert lines == 1, "a date is not torn on a tablet"


def test_what_is_compared_stays_below_the_head_of_a_phone(
    page: Page, model: str, note_piece: Callable[..., str], at_rest: Callable[[Page], None]
) -> None:
    """Guards against half a card under the tabs, and a sentence of what is missing below the edge."""
    note_piece(take=1)
    page.set_viewport_size({"width": 390, "height": 700})
    page.goto(f"/#/generate/{model}")
    page.get_by_role("button", name="Compare as A").first.click()
    page.get_by_role("button", name="Compare as B").last.click()
    at_rest(page)
    page.evaluate("() => document.querySelector('.compare').nextElementSibling.nextElementSibling.scrollIntoView()")
    page.evaluate("() => scrollBy(0, 200)")
    head, card = page.locator("header.top").bounding_box(), page.locator(".compare").bounding_box()
    assert head is not None
    assert card is not None
    assert head["y"] + head["height"] <= card["y"] < 110
    tops = page.locator(".compare button[aria-pressed]").evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect().top)"
    )
    assert tops[0] == tops[1]
    page.get_by_text("Infill", exact=True).click()
    hint, button = page.get_by_text("Choose a recording, and drag").bounding_box(), page.locator("[data-test=make]")
    below = button.bounding_box()
    assert hint is not None
    assert below is not None
    assert hint["y"] + hint["height"] <= below["y"]


def test_a_message_without_a_button_has_room_on_both_sides(page: Page) -> None:
    """Guards against words that end at the edge, as those of a server that does not answer."""
    page.goto("/#/recordings")
    expect(page.get_by_role("heading", name="What should Distill learn from?")).to_be_visible()
    page.route("**/api/now", lambda route: route.abort())
    expect(page.locator(".message.bad")).to_be_visible()
    left, right = page.locator(".message.bad").evaluate("""one => {
        const own = one.getBoundingClientRect(), words = one.querySelector("span").getBoundingClientRect();
        return [words.left - own.left - parseFloat(getComputedStyle(one).borderLeftWidth), own.right - words.right];
    }""")
    assert abs(left - right) < 3


def test_no_word_of_a_heading_stands_alone_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/#/recordings")
    heading = page.get_by_role("heading", name="What should Distill learn from?")
    expect(heading).to_be_visible()
    lines = heading.evaluate("""one => {
        const range = document.createRange();
        range.selectNodeContents(one);
        return [...range.getClientRects()].map(({ width }) => width);
    }""")
    assert len(lines) == 2
    assert lines[1] > lines[0] / 2


def test_what_works_for_an_unknown_time_does_not_look_a_third_done(page: Page) -> None:
    """Guards against a bar that stands still at 30 %, where the person wishes that nothing moves."""
    page.emulate_media(reduced_motion="reduce")
    page.goto("/#/library")
    expect(page.get_by_role("heading", name="No models yet")).to_be_visible()
    widths, pattern = page.evaluate("""() => {
        const bar = Object.assign(document.createElement("div"), { className: "bar waits" });
        const inner = bar.appendChild(document.createElement("i"));
        document.querySelector("main").append(bar);
        return [[bar, inner].map((one) => one.getBoundingClientRect().width), getComputedStyle(inner).backgroundImage];
    }""")
    assert widths[0] == widths[1] > 0
    assert pattern != "none"
