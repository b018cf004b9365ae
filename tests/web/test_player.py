"""The player at the foot of the page: what is heard, how loud, again and again, and all of it by keys.

Needs Debian's chromium (``apt-get install chromium``); ``-m "not browser"`` leaves these out.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

pytestmark = pytest.mark.browser

SOUNDS = "() => !document.getElementById('player').paused"
RESTS = "() => document.getElementById('player').paused"
GAIN = "() => document.getElementById('player').volume"


@pytest.fixture
def model(note_piece: Callable[..., str]) -> str:
    """A tiny model and three pieces of it; the page's name for the model."""
    return [note_piece(seed, seed) for seed in range(3)][-1]


def test_space_plays_and_the_arrows_go_on_from_sound_to_sound(page: Page, model: str) -> None:
    """Guards against a page that only a mouse can play, and against keys that are taken from who types."""
    page.goto(f"/#/generate/{model}")
    page.locator("article.piece .play").first.wait_for()
    deck = page.get_by_role("region", name="Player")
    expect(deck).to_have_count(0)
    page.keyboard.press("Space")
    page.wait_for_function(SOUNDS)
    expect(deck).to_contain_text("tiny-2")
    expect(deck).to_contain_text("/ 0:01.0")
    page.keyboard.press("Shift+ArrowRight")
    expect(deck).to_contain_text("tiny-1")
    page.keyboard.press("Space")
    page.wait_for_function(RESTS)
    page.keyboard.press("ArrowRight")  # further than it is long
    expect(deck.get_by_label("Place in the sound")).to_have_attribute("aria-valuetext", re.compile(r"^(\S+) of \1$"))
    page.keyboard.press("Shift+ArrowLeft")
    expect(deck).to_contain_text("tiny-2")
    deck.get_by_role("button", name="Next sound").click()
    page.wait_for_function(SOUNDS)
    page.wait_for_function(RESTS)  # at its end
    page.keyboard.press("Space")  # does not press "Next sound" again
    page.wait_for_function(SOUNDS)
    expect(deck).to_contain_text("tiny-1")
    page.get_by_text("Presets", exact=True).click()
    name = page.get_by_label("Name of the preset")
    name.press_sequentially("a b")
    expect(name).to_have_value("a b")
    page.get_by_label("More to do with tiny-1").click()
    page.get_by_role("button", name="Delete tiny-1").click()
    expect(deck).to_have_count(0)


def test_after_the_mouse_space_plays_and_presses_nothing_again(page: Page, model: str) -> None:
    """Guards against Space, which plays in every DAW, undoing what was clicked last; by keyboard it presses as ever."""
    page.goto(f"/#/generate/{model}")
    page.get_by_role("button", name="Keep").first.click()
    page.get_by_role("button", name="Kept").wait_for()
    page.keyboard.press("Space")
    page.wait_for_function(SOUNDS)
    page.wait_for_function(RESTS)
    expect(page.get_by_role("button", name="Kept")).to_have_count(1)
    lock = page.get_by_label("Lock the seed")
    lock.click()
    page.keyboard.press("Space")
    page.wait_for_function(SOUNDS)
    expect(lock).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    expect(lock).not_to_be_checked()


def test_a_double_click_puts_a_slider_back(page: Page, model: str) -> None:
    page.goto(f"/#/generate/{model}")
    dial = page.get_by_label("Originality")
    dial.fill("0.9")
    dial.dblclick(position={"x": 5, "y": 5})
    expect(dial).to_have_value("0.5")
    expect(page.get_by_text("Yours, recombined.")).to_be_visible()
    page.locator("article.piece .play").first.click()
    loud = page.get_by_label("Volume")
    loud.dblclick(position={"x": 5, "y": 5})
    expect(loud).to_have_value("1")
    assert page.evaluate(GAIN) == 1


def test_what_ends_begins_again_if_that_is_wished(page: Page, model: str) -> None:
    page.goto(f"/#/generate/{model}")
    page.locator("article.piece .play").first.click()
    page.get_by_role("button", name="Repeat").click()
    page.evaluate(
        "() => { window.ends = 0; document.getElementById('player').addEventListener('seeked', () => { ends += 1; }); }"
    )
    page.wait_for_function("() => ends >= 2")
    assert page.evaluate(SOUNDS)
    page.get_by_role("button", name="Repeat").click()
    page.wait_for_function(RESTS)


def test_the_volume_is_that_of_all_sounds_and_is_remembered(page: Page, note_piece: Callable[..., str]) -> None:
    """Guards against a loop, or codes, that are as loud as before: they are heard in another way than a piece."""
    page.add_init_script("""
        const connect = AudioNode.prototype.connect;
        AudioNode.prototype.connect = function (to, ...rest) {
            if (to instanceof GainNode) window.out = to;
            return connect.call(this, to, ...rest);
        };
    """)
    page.goto(f"/#/generate/{note_piece(kind='loop')}")
    page.locator("article.piece .play").click()
    page.wait_for_function("() => window.out")
    page.get_by_label("Volume").fill("0.5")
    assert page.evaluate("() => out.gain.value") == pytest.approx(0.25)
    page.reload()
    page.locator("article.piece .play").click()
    page.wait_for_function("() => window.out")
    assert page.evaluate("() => out.gain.value") == pytest.approx(0.25)
    assert page.evaluate(GAIN) == pytest.approx(0.25)
    page.get_by_role("link", name="Edit codes").click()
    page.locator("canvas[role=application]").wait_for()
    page.evaluate("() => { delete window.out; document.activeElement.blur(); }")
    page.keyboard.press("Space")
    page.wait_for_function("() => window.out")
    assert page.evaluate("() => out.gain.value") == pytest.approx(0.25)
    page.get_by_label("Volume").fill("1")
    assert page.evaluate("() => out.gain.value") == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["audio", "loop"])
def test_what_is_still_being_loaded_is_cancelled_by_space(
    page: Page, note_piece: Callable[..., str], kind: str
) -> None:
    """Guards against a second Space that begins once more what it was to stop."""
    asked: list[Route] = []
    page.route("**/api/sound/audio?*", lambda route: asked.append(route))
    page.goto(f"/#/generate/{note_piece(kind=kind)}")
    page.locator("article.piece .play").wait_for()
    page.keyboard.press("Space")
    deck = page.get_by_role("region", name="Player")
    expect(deck.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    page.keyboard.press("Space")
    expect(deck.get_by_role("button", name="Play", exact=True)).to_be_visible()
    for route in asked:
        route.continue_()
    page.unroute("**/api/sound/audio?*")
    page.wait_for_timeout(500)
    assert page.evaluate(RESTS)
    page.keyboard.press("Space")
    page.wait_for_function(SOUNDS)


def test_what_is_paused_while_it_loads_goes_on_as_itself(page: Page, note_piece: Callable[..., str]) -> None:
    """Guards against Space that plays the loop before, under the name of the one that was still being loaded."""
    model = [note_piece(take, take, kind="loop") for take in range(2)][-1]
    page.add_init_script("""
        window.heard = [];
        const start = AudioBufferSourceNode.prototype.start;
        AudioBufferSourceNode.prototype.start = function (...words) {
            heard.push(this.buffer.length);
            return start.apply(this, words);
        };
    """)
    asked: list[Route] = []
    page.route("**/api/sound/audio?ref=piece%3A2", lambda route: asked.append(route))
    page.goto(f"/#/generate/{model}")
    deck = page.get_by_role("region", name="Player")
    page.get_by_role("button", name="Play tiny-0").click()
    page.wait_for_function("() => heard.length === 1")
    page.get_by_role("button", name="Play tiny-1").click()
    page.keyboard.press("Space")
    expect(deck.get_by_role("button", name="Play", exact=True)).to_be_visible()
    for route in asked:
        route.continue_()
    page.unroute("**/api/sound/audio?ref=piece%3A2")
    page.keyboard.press("Space")
    page.wait_for_function("() => heard.length === 2")
    expect(deck).to_contain_text("tiny-1")
    assert page.evaluate("() => heard") == [38_400, 43_200]  # samples of 0.8 and 0.9 s


def test_however_often_a_place_is_sought_the_page_draws_as_much(page: Page, model: str) -> None:
    """Guards against a loop of frames more for every place that a hand on the slider passes."""
    page.add_init_script("""
        const frame = requestAnimationFrame;
        window.asked = 0;
        window.requestAnimationFrame = (draw) => { asked += 1; return frame(draw); };
        window.perFrame = async () => {
            const before = asked;
            for (let frames = 0; frames < 5; frames += 1) await new Promise(frame);
            return (asked - before) / 5;
        };
    """)
    page.goto(f"/#/generate/{model}")
    page.locator("article.piece .play").first.click()
    page.get_by_role("button", name="Repeat").click()
    page.wait_for_function(SOUNDS)
    page.get_by_label("Place in the sound").evaluate("""async (slider) => {
        for (let at = 0; at < 50; at += 1) {
            slider.value = at / 100;
            slider.dispatchEvent(new Event("input", { bubbles: true }));
        }
    }""")
    page.wait_for_function(SOUNDS)
    page.wait_for_timeout(200)
    assert page.evaluate("() => perFrame()") < 10


def test_why_a_sound_is_not_heard_is_said_in_words_of_the_page(page: Page, model: str) -> None:
    """Guards against the browser's own words, of sources and interactions, and against a bar that goes without a word."""
    gone = {"status": 404, "json": {"error": "gone", "what": "tiny-2.wav is not where it was.", "fix": "Put it back."}}
    answers: list[dict[str, Any]] = [{"body": "no sound"}, gone]
    said = ["This browser cannot play that sound (any further).", "tiny-2.wav is not where it was. Put it back."]
    page.goto(f"/#/generate/{model}")
    play = page.locator("article.piece .play").first
    for answer, words in zip(answers, said, strict=True):
        page.route("**/api/sound/audio?*", partial(Route.fulfill, **answer))
        play.click()
        expect(page.locator(".message.bad")).to_contain_text(words)
        page.unroute("**/api/sound/audio?*")
    page.get_by_role("button", name="Dismiss").click()
    play.click()
    page.wait_for_function("() => document.getElementById('player').currentTime > 0.1")  # it is heard, not made ready
    page.route("**/api/sound/audio?*", partial(Route.fulfill, **gone))
    page.evaluate("() => document.getElementById('player').dispatchEvent(new Event('error'))")  # it breaks off
    expect(page.locator(".message.bad")).to_contain_text(said[1])
    expect(page.get_by_role("region", name="Player")).to_have_count(0)


def test_a_swipe_that_begins_on_a_waveform_plays_and_marks_nothing(page: Page, model: str) -> None:
    """Guards against a phone on which every second scroll plays something, and against one after which the pane goes on
    marking: a browser that scrolls cancels the pointer."""
    page.goto(f"/#/generate/{model}")
    pane = page.locator("article.piece .pane").first
    expect(pane.locator("..").locator(".seconds span").first).to_be_attached()
    played = pane.evaluate("""async (one) => {
        for (const kind of ["pointerdown", "pointermove", "pointercancel"]) {
            one.dispatchEvent(new PointerEvent(kind, { bubbles: true, pointerId: 7, pointerType: "touch" }));
        }
        return (await import("/static/player.js")).playing.get().reference;
    }""")
    assert played == ""
    page.get_by_text("Infill", exact=True).click()
    page.get_by_label("Recording", exact=True).select_option("piece:1")
    marks = page.locator(".pick .pane")
    expect(marks.locator("..").locator(".seconds span").first).to_be_attached()
    box = marks.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    marks.evaluate("one => one.dispatchEvent(new PointerEvent('pointercancel', { bubbles: true, pointerId: 1 }))")
    page.mouse.move(box["x"] + 200, box["y"] + 20)
    page.mouse.up()
    page.mouse.move(box["x"] + 100, box["y"] + 20)
    expect(page.locator(".marked")).to_have_count(0)
    pane.click()
    page.wait_for_function(SOUNDS)
