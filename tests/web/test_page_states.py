"""Rare states of the page: what is said there, and what can be done.

Needs Debian's chromium (``apt-get install chromium``); ``-m "not browser"`` leaves these out.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from distill.library import Library
from distill.web import places

pytestmark = pytest.mark.browser
JOB: dict[str, Any] = {
    "kind": "generate", "lane": "making", "about": {}, "created": "2026-01-01T12:00:00.000+00:00", "warnings": [],
    "what": "", "fix": "", "progress": {"step": "", "share": 0.0, "detail": ""}, "results": [],
}  # fmt: skip


def test_what_is_made_is_listed_in_its_turn(page: Page, note_piece: Callable[..., str]) -> None:
    """Guards against the one at work jumping down when another is asked for."""
    one = {**JOB, "id": "1", "title": "A loop", "state": "running"}
    other = {**JOB, "id": "2", "title": "A piece", "state": "waiting", "created": "2026-01-01T12:01:00.000+00:00"}

    def told(route: Route) -> None:
        route.fulfill(json=[other, one])

    page.route("**/api/jobs?lane=making", told)
    page.goto(f"/#/generate/{note_piece()}")
    expect(page.locator(".working h3")).to_have_text(["A loop", "A piece"])
    expect(page.locator(".working .soft")).to_have_text(["Opening the model", "queued"])
    expect(page.locator(".working button")).to_have_text(["Stop", "Cancel"])


def test_a_piece_whose_file_is_gone_can_be_made_again_and_not_compared(
    page: Page, note_piece: Callable[..., str], tmp_path: Path
) -> None:
    """Guards against a sound that is chosen to be compared and cannot be heard, and the remedy in a closed menu."""
    model = note_piece()
    (tmp_path / "tiny-0.wav").unlink()
    page.goto(f"/#/generate/{model}")
    expect(page.get_by_role("button", name="Make again")).to_be_visible()
    expect(page.get_by_role("group", name="Compare")).to_have_count(0)


def test_an_order_is_told_by_the_way_it_runs(page: Page, tiny: Path) -> None:
    Library(lambda _: None).note_model(tiny)
    page.goto("/#/library")
    expect(page.get_by_role("columnheader", name="Date ↓")).to_have_attribute("aria-sort", "descending")
    page.get_by_role("button", name="Name").click()
    expect(page.get_by_role("columnheader", name="Name ↑")).to_have_attribute("aria-sort", "ascending")


def test_an_empty_folder_says_what_to_do(page: Page, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    one = places.add_collection(tmp_path / "empty")
    page.goto(f"/#/recordings/{one.id}")
    expect(page.get_by_text("Put recordings in it; they show up here by themselves.")).to_be_visible()
