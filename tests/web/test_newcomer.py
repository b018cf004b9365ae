"""What somebody meets who opens the page for the first time, and by keyboard; and where a new sound comes from.

Needs Debian's chromium (``apt-get install chromium``); ``-m "not browser"`` leaves these out.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from distill.files.home import home
from distill.files.process import this_process
from distill.library import GenerationRecord, Library, RunRecord
from distill.runs.events import EventLog
from distill.training import metrics as m
from distill.web import places

pytestmark = pytest.mark.browser

RUN = "tiny-20260101-120000"


@pytest.fixture
def model(tiny: Path, small_corpus: Path, tmp_path: Path) -> str:
    """A tiny model that has learned from the small corpus, and one piece of it; the page's name for the model."""
    library = Library(lambda _: None)
    entry = library.note_model(tiny)
    events = home() / "runs" / RUN / "prior.jsonl"
    with EventLog(events) as tell:
        tell(m.PriorStepMetrics(1, 7, 90, 1.2, 0.001, 0.1, 64, 0.25, 60.0))
    settings: dict[str, Any] = {}
    begun = ("prior", str(tiny), str(small_corpus), str(events), "2026-01-01T12:00:00.000000+00:00", settings)
    library.save_run(RunRecord(*begun, outcome="unfinished", origin=entry.origin, process=this_process()))
    path = Path(shutil.copy(small_corpus / "take-0.wav", tmp_path / "tiny-0.wav"))
    made = (
        "2026-01-01T00:00:00+00:00",
        str(tiny),
        entry.digest,
        entry.origin,
        str(path),
        "s" * 64,
        0,
        "fine",
        settings,
    )
    library.add_generations([GenerationRecord(*made, {"kind": "audio", "seconds": 0.8})])
    return places.model_id(entry)


def answered(change: Callable[[Any], Any]) -> Callable[[Route], None]:
    """The server's answer with something changed in it."""

    def answer(route: Route) -> None:
        told = route.fetch()
        route.fulfill(response=told, json=change(told.json()))

    return answer


def second(page: Page, model: str, recording: str) -> None:
    """The piece's one second is nearest to this recording's 0.2 s."""
    nearest = {"verdict": "Close", "similarity": 0.9, "percentile": 80.0, "recording": recording, "at_seconds": 0.2}
    nearest |= {"semitones": -1, "stretch": 1, "is_repeated": False, "reference": f"learned:{model}/{recording}"}
    page.route("**/api/pieces/1", answered(lambda piece: {**piece, "seconds": [nearest]}))


HEARD = """() => {
    window.heard = [];
    const one = document.getElementById("player");
    one.addEventListener("playing", () => heard.push(new URL(one.src).pathname + new URL(one.src).search));
}"""


def test_a_second_is_heard_where_it_is_from_and_then_itself(page: Page, model: str) -> None:
    second(page, model, "take-1.wav")
    page.goto(f"/#/generate/{model}")
    bar = page.locator("article.piece .origin button")
    expect(bar).to_have_count(1)
    page.evaluate(HEARD)
    bar.click()
    expect(page.locator(".told")).to_contain_text("0 s: Close. Nearest take-1.wav at 0.2 s")
    expect(page.locator(".told")).to_contain_text("−1 semitone)")
    page.wait_for_function("() => heard.length > 1")
    passage, itself = page.evaluate("() => heard")
    assert passage.startswith("/api/sound/passage?")
    assert "take-1.wav" in passage
    assert "begin=0.200" in passage
    assert itself == "/api/sound/audio?ref=piece%3A1"


def test_a_second_whose_recording_is_gone_says_so_and_is_heard(page: Page, model: str) -> None:
    """Guards against the second itself being taken for the recording that it is nearest to."""
    second(page, model, "gone.wav")
    page.goto(f"/#/generate/{model}")
    bar = page.locator("article.piece .origin button")
    expect(bar).to_have_count(1)
    page.evaluate(HEARD)
    bar.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".told")).to_contain_text("That recording cannot be played here; this is the second itself.")
    page.wait_for_function("() => heard.at(-1) === '/api/sound/audio?ref=piece%3A1'")


def test_the_first_pieces_are_announced_where_one_waits_for_them(page: Page, model: str, tiny: Path) -> None:
    """Guards against "Nothing made yet. Press Make sound" while the training makes its first pieces."""
    job: dict[str, Any] = {"id": "1", "kind": "train", "title": "Training tiny", "lane": "training", "state": "running"}
    job |= {"about": {"model": str(tiny)}, "progress": {"step": "Composing", "share": 0.5, "detail": ""}}
    job |= {"what": "", "fix": ""}
    making = [job]
    page.route("**/api/pieces?model=*", lambda route: route.fulfill(json=[]))
    page.route("**/api/jobs?lane=training&active=true", lambda route: route.fulfill(json=making))
    page.goto(f"/#/generate/{model}")
    expect(page.locator(".working")).to_contain_text("First pieces of tiny")
    expect(page.locator(".working .bar")).to_have_attribute("aria-valuenow", "50")
    expect(page.get_by_text("Nothing made yet")).to_have_count(0)
    making.clear()
    expect(page.get_by_text("Nothing made yet")).to_be_visible()


def test_the_steps_are_the_same_from_the_recordings_to_the_new_sound(page: Page, model: str) -> None:
    begun: dict[str, Any] = {"job": "1", "job_step": "Prior", "job_share": 0.25}
    page.route(f"**/api/runs/{RUN}", answered(lambda run: {**run, **begun}))
    page.goto(f"/#/train/{RUN}")
    steps = page.locator(".stages li")
    expect(steps).to_have_text(["Recordings done", "Prior 25 %", "New sound"])
    expect(page).to_have_title("25 % · Train – Distill")
    begun |= {"state": "finished", "job_step": "Composing", "job_share": 0.5}
    expect(steps.last).to_have_text("New sound 50 %")
    expect(page.locator(".run h2 .badge")).to_have_text("composing")
    expect(page.locator("[data-test=left]")).to_have_text("Composing …")
    begun |= {"job": None, "job_step": ""}
    expect(steps).to_have_text(["Prior 25 %"])


def test_a_training_that_is_stopped_says_so_while_and_after_it_is(page: Page, model: str) -> None:
    """Guards against "running" as if nothing had been pressed, and "done" of what was stopped after a quarter."""
    told: dict[str, Any] = {"can_stop": True, "job": "1", "job_step": "Prior"}
    halted: dict[str, Any] = {}

    def change(run: dict[str, Any]) -> dict[str, Any]:
        return {**run, **told, "stages": [{**stage, **halted} for stage in run["stages"]]}

    page.route(f"**/api/runs/{RUN}", answered(change))
    page.goto(f"/#/train/{RUN}")
    stop, badge = page.locator("[data-test=stop]"), page.locator(".run h2 .badge")
    expect(stop).to_be_enabled()
    expect(badge).to_have_text("running")
    page.keyboard.press("Shift")  # by keyboard, from here on
    stop.focus()
    told |= {"job_step": "Stopping"}
    expect(stop).to_be_disabled()
    expect(stop).to_have_text("Stopping …")
    expect(badge).to_have_text("stopping")
    expect(page.locator("[data-test=left]")).to_contain_text("the best so far is kept")
    expect(stop).to_be_focused()  # and not somewhere below, as what is disabled loses it
    told |= {"state": "stopped", "can_stop": False, "can_go_on": True, "job": None, "job_step": ""}
    halted |= {"outcome": "stopped", "is_complete": True}
    expect(badge).to_have_text("stopped")
    expect(page.locator(".head .actions :focus")).to_have_count(1)
    expect(page.locator(".stages li")).to_have_text(["Prior 25 %"])


def test_recordings_are_added_by_keyboard(page: Page, small_corpus: Path, tmp_path: Path) -> None:
    """And the demo takes as long as in the terminal, where nothing else was asked for."""
    shutil.copytree(small_corpus, tmp_path / "my recordings")
    own = places.add_collection(Path(shutil.copytree(small_corpus, places.own_recordings() / "demo")))
    page.goto(f"/#/train/new/{own.id}")
    expect(page.locator("[data-test=minutes]")).to_have_value("3")

    page.goto("/#/recordings")
    add = page.get_by_role("button", name="Add a folder")
    add.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Choose a folder")).to_be_focused()
    page.keyboard.press("Escape")
    expect(add).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_label("Or use a folder where it is").fill(f"{tmp_path}/my")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="my recordings")).to_be_visible()
    page.locator("[data-test=to-train]").click()
    expect(page.locator("[data-test=minutes]")).to_have_value("4")


def test_nothing_takes_the_focus_from_who_types(page: Page, small_corpus: Path) -> None:
    """A page that drew late (on a busy machine) moved the focus to a button under the typing hands."""
    places.add_collection(small_corpus)
    page.goto("/#/recordings")
    add = page.get_by_role("button", name="Add a folder")
    expect(add).to_be_enabled()
    page.evaluate(
        """async () => {
            [...document.querySelectorAll("button")].find((one) => one.textContent === "Add a folder").click();
            while (!document.querySelector("#folder-path")) await Promise.resolve();
            document.querySelector("#folder-path").focus();
            await new Promise((done) => setTimeout(done, 500));
        }"""
    )
    expect(page.get_by_label("Or use a folder where it is")).to_be_focused()


def test_a_piece_leads_to_its_codes(page: Page, model: str) -> None:
    opened = []

    def open_(route: Route) -> None:
        opened.append(json.loads(route.request.post_data or "{}"))
        route.fulfill(status=400, json={"what": "Not here.", "fix": "Only asked."})

    page.route(
        "**/api/codes/sheets", lambda route: open_(route) if route.request.method == "POST" else route.continue_()
    )
    page.goto(f"/#/generate/{model}")
    page.get_by_role("link", name="Edit codes").click()
    expect(page.locator(".message")).to_contain_text("Not here. Only asked.")
    assert opened == [{"model": model, "sound": "piece:1"}]


def test_what_was_warned_of_stands_above_what_was_made(page: Page, model: str) -> None:
    """Guards against a loop whose seam may be heard, which the terminal warns of and the page does not."""
    seam = "The seam of this loop may be heard."
    (own,) = page.request.get("/api/models").json()
    job: dict[str, Any] = {
        "id": "1", "kind": "generate", "title": "Making", "lane": "making", "created": "",
        "about": {"settings": {}, "model": own["file"]},
        "progress": {"step": "Drawing", "share": 0.5, "detail": ""}, "what": "", "fix": "",
    }  # fmt: skip
    states = iter([{"state": "running", "warnings": []}, {"state": "running", "warnings": []}])
    over = {"state": "finished", "warnings": [seam]}
    page.route("**/api/jobs?lane=making", lambda route: route.fulfill(json=[job | next(states, over)]))
    page.goto(f"/#/generate/{model}")
    expect(page.locator(".results .alert")).to_have_text(seam)
