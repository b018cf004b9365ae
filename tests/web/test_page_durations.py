"""Lengths of time read on the page as they do in the terminal, by the same rules in another language.

Needs Debian's chromium (``apt-get install chromium``); ``-m "not browser"`` leaves these out.
"""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from distill import durations
from distill.web import places
from distill.web.routes.generate import length_in_words
from distill.web.settings import Settings

pytestmark = pytest.mark.browser

SECONDS = [0, 1 / 48_000, 0.0042, 0.0099, 0.01, 0.42, 0.999, 1, 5.4, 12.3, 59.4, 59.6, 59.94, 59.96, 60, 87.9, 88, 89.6]
SECONDS += [90, 100, 119.6, 149, 157, 414.3, 600, 605, 1200, 3570, 3599.7, 3600, 5399, 5400, 7325.1, 9000, 36_000]


@pytest.mark.parametrize("words", ["duration", "about", "place"])
def test_lengths_of_time_read_as_in_the_terminal(page: Page, words: str) -> None:
    """Guards against "88 s" on the page of what the command calls "1 min 28 s"."""
    page.goto("/#/recordings")
    said = page.evaluate("async ([words, all]) => all.map((await import('/static/parts.js'))[words])", [words, SECONDS])
    assert dict(zip(SECONDS, said, strict=True)) == {one: getattr(durations, words)(one) for one in SECONDS}


@pytest.mark.parametrize("words", ["duration", "about"])
def test_a_length_that_is_not_known_is_a_dash(page: Page, words: str) -> None:
    page.goto("/#/recordings")
    said = page.evaluate(
        "async (words) => [null, undefined, NaN, Infinity].map((await import('/static/parts.js'))[words])", words
    )
    assert set(said) == {getattr(durations, words)(math.inf)}


def test_the_time_that_is_left_is_no_finer_than_a_guess(page: Page) -> None:
    told = {"title": "Prior of rain", "share": 0.5, "remaining_s": 157, "run": None, "waiting": 0}
    page.route("**/api/now", lambda route: route.fulfill(json=told))
    page.goto("/#/recordings")
    expect(page.locator(".now")).to_contain_text("3 minutes left")


def test_how_long_recordings_are_is_said_in_minutes(page: Page, small_corpus: Path) -> None:
    one = places.add_collection(small_corpus)

    def longer(route: Route) -> None:
        told = route.fetch().json()
        report = told["report"] and told["report"] | {"seconds": 88.0}
        route.fulfill(json=told | {"report": report})

    page.route(f"**/api/collections/{one.id}", longer)
    page.goto(f"/#/recordings/{one.id}")
    expect(page.locator(".tiles")).to_contain_text("1 min 28 s")


def test_a_long_sound_is_marked_in_minutes(page: Page, note_piece: Callable[..., str]) -> None:
    """Guards against "120 s" under a waveform whose player says 2:00."""
    model = note_piece()

    def longer(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(json=answer.json() | {"seconds": 200.0})

    page.route("**/api/sound/look?*", longer)
    page.goto(f"/#/generate/{model}")
    expect(page.locator(".seconds span")).to_have_text(["0 s", "1:00", "2:00", "3:00"])


def test_a_long_piece_is_asked_for_in_minutes() -> None:
    assert length_in_words(Settings(seconds=88)) == "1 min 28 s"
    assert length_in_words(Settings(kind="infill", begin=3, end=91)) == "1 min 28 s replaced"
