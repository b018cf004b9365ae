"""The tab Train with runs and jobs as they lie on disk: what is queued, failed, at work, and what the alarm says.

Needs Debian's chromium (``apt-get install chromium``); ``-m "not browser"`` leaves these out.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from distill.files.home import home
from distill.files.process import this_process
from distill.library import Library, RunRecord
from distill.runs.events import EventLog
from distill.training import metrics as m
from distill.web import places

pytestmark = pytest.mark.browser

RECITES = "It hesitates between only 1.6 of 64 codes."


def run(name: str, outcome: str = "unfinished", *, recites: bool = False) -> str:
    """A run of a prior whose process is this one; its name."""
    folder = home() / "runs" / f"{name}-20260101-120000"
    log = folder / "prior.jsonl"
    with EventLog(log) as tell:
        tell(m.PriorStepMetrics(1, 7, 90, 1.2, 0.001, 0.1, 64, 0.25, 60.0))
        tell(m.PriorEpochMetrics(1, 9, 1.2, 0.5, 1.6, 1.6, recites, RECITES if recites else "", 1.0, 0.001))
    begun = ("prior", str(home() / f"{name}.distill"), "/none", str(log), "2026-01-01T12:00:00.000000+00:00")
    Library(lambda _: None).save_run(RunRecord(*begun, {}, outcome=outcome, process=this_process()))
    return folder.name


def failed(collection: str) -> str:
    """A training of these recordings that failed before it had a run; its name."""
    folder = home() / "jobs" / "20260101-120000-000000-train"
    folder.mkdir(parents=True)
    told = {"kind": "train", "title": "Training takes", "lane": "training", "commands": [["run", "x"]]}
    told |= {"about": {"collection": collection}, "created": "2026-01-01T12:00:00.000+00:00"}
    (folder / "job.json").write_text(json.dumps(told))
    (folder / "ended.json").write_text(json.dumps({"codes": [2]}))
    (folder / "0.err").write_text("✗ The folder is empty.\n  Put recordings in it.\n")
    return folder.name


def test_what_the_alarm_says_is_said_once(page: Page) -> None:
    """And stays on the page as a warning when the alarm was passed."""
    page.goto(f"/#/train/{run('reciting', recites=True)}")
    alarm, said = page.get_by_role("alert", name="Memorization warning"), page.get_by_text(RECITES)
    expect(alarm).to_contain_text(RECITES)
    expect(page.locator(".chart").first).to_be_visible()
    expect(said).to_have_count(1)
    page.keyboard.press("Shift")  # whoever comes by keyboard
    alarm.get_by_role("button", name="Go on").focus()
    page.keyboard.press("Enter")
    expect(alarm).to_have_count(0)
    expect(page.get_by_role("heading", name="reciting", level=2)).to_be_focused()
    expect(said).to_have_count(1)


@pytest.mark.parametrize("width", [1280, 390])
def test_what_is_below_stays_in_place_when_training_begins(page: Page, width: int) -> None:
    """Guards against curves that jump down when the passages come, and on a phone when the remaining time is known."""
    folder = home() / "runs" / "new-20260101-120000"
    model, log = str(home() / "new.distill"), str(folder / "codec.jsonl")
    begun = ("codec", model, "/none", log, "2026-01-01T12:00:00.000000+00:00")
    Library(lambda _: None).save_run(RunRecord(*begun, {}, process=this_process()))
    with EventLog(folder / "codec.jsonl") as tell:
        tell(m.Notice("It begins."))
        page.set_viewport_size({"width": width, "height": 844})
        page.goto(f"/#/train/{folder.name}")
        expect(page.get_by_text("Beginning …")).to_be_visible()
        expect(page.get_by_text("a passage", exact=True)).to_have_count(2)
        curves = page.locator(".charts")
        before = curves.bounding_box()

        def later(route: Route) -> None:
            route.fulfill(json=route.fetch().json() | {"remaining_s": 500.0, "done_at": "2199-01-01T12:00:00+00:00"})

        page.route(f"**/api/runs/{folder.name}", later)
        passages = [{"name": f"{number}.wav", "original": "o", "seconds": 5.0} for number in range(2)]
        rest: dict[str, Any] = {"is_held_out": True, "moments": []}
        told = {"passages": [one | rest for one in passages], "figures": []}
        tell(m.VQStepMetrics(1, 1, 9, 2.0, 2.0, 0.1, 0.001, 0.1, 4.0, 0.1, 500.0))
        expect(page.locator("[data-test=left]")).to_contain_text("all done at about")
        expect(page.locator(".chart .key b").first).to_have_text("2.00")
        expect(page.get_by_text("a passage", exact=True)).to_have_count(2)
        page.route(f"**/api/runs/{folder.name}/learning", lambda route: route.fulfill(json=told))
        expect(page.locator(".listening h4").first).to_have_text("0.wav")
    after = curves.bounding_box()
    assert before is not None
    assert after is not None
    assert abs(before["y"] - after["y"]) < 3


def test_what_can_be_heard_of_a_run_at_work_is_asked_for_often(page: Page) -> None:
    """Guards against passages that come a quarter of a minute late: whether a run is at work is known only after the page has
    begun to ask, as seldom as of one that is not."""
    name = run("busy")
    with page.expect_response(f"**/api/runs/{name}/learning"):
        page.goto(f"/#/train/{name}")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    for _ in range(2):
        with page.expect_response(f"**/api/runs/{name}/learning", timeout=8000):
            pass


def test_nothing_moves_when_a_training_is_stopped_on_a_phone(page: Page) -> None:
    """Guards against "Stopping …" on a line of its own, where "Stop" was beside the name."""
    name = run("quartet")
    step = {"job_step": "Prior", "job": "1", "can_stop": True}
    page.route(f"**/api/runs/{name}", lambda route: route.fulfill(json=route.fetch().json() | step))
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"/#/train/{name}")
    expect(page.locator("[data-test=stop]")).to_have_text("Stop")
    before = page.locator(".progress").bounding_box()
    step["job_step"] = "Stopping"
    expect(page.locator("[data-test=stop]")).to_have_text("Stopping …")
    after = page.locator(".progress").bounding_box()
    assert before is not None
    assert after is not None
    assert abs(before["y"] - after["y"]) < 3


def test_the_list_says_of_a_run_what_its_page_says(page: Page) -> None:
    """Guards against "going on" beside "composing"."""
    name = run("quartet", "finished")
    step = {"job": "1", "job_step": "Composing"}

    def listed(route: Route) -> None:
        told = route.fetch().json()
        route.fulfill(json=told | {"runs": [one | step for one in told["runs"]]})

    page.route("**/api/runs", listed)
    page.route(f"**/api/runs/{name}", lambda route: route.fulfill(json=route.fetch().json() | step))
    page.goto(f"/#/train/{name}")
    for words in ("composing", "queued", "going on"):
        step["job_step"] = {"queued": "Queued", "going on": "Prior"}.get(words, "Composing")
        expect(page.locator(".run h2 .badge")).to_have_text(words)
        expect(page.locator(".list .badge")).to_have_text(words)


def test_whoever_watches_is_led_to_the_run_that_goes_on(page: Page) -> None:
    """Guards against "Going on …" over a prior that trains, and may recite, on a page that nobody opens."""
    first, second = run("first", "finished"), run("second", recites=True)
    shown = [first]

    def listed(route: Route) -> None:
        told = route.fetch().json()
        route.fulfill(json=told | {"runs": [one | {"job": "1"} for one in told["runs"] if one["name"] in shown]})

    page.route("**/api/runs", listed)
    going = {"job": "1", "job_step": "Prior"}
    page.route(f"**/api/runs/{first}", lambda route: route.fulfill(json=route.fetch().json() | going))
    page.goto(f"/#/train/{first}")
    expect(page.locator("[data-test=left]")).to_have_text("Going on …")
    shown.append(second)
    expect(page.get_by_role("alert", name="Memorization warning")).to_be_visible()
    page.get_by_role("link", name="first").click()  # to look back is not forbidden
    page.locator("[data-test=left]").get_by_role("link", name="Prior in training").click()
    expect(page.get_by_role("heading", name="second", level=2)).to_be_visible()


@pytest.mark.parametrize("stage", ["codec", "refinement"])
def test_on_a_phone_every_moment_of_the_listening_is_whole(page: Page, stage: str) -> None:
    """Guards against the last one, which is chosen, cut off in the middle of a word."""
    name, page_width = run("heard", "finished"), 390
    moments = [{"reference": f"{step}", "stage": stage, "step": step} for step in (105, 481, 731, 1948, 2950)]
    passage = {"name": "a.wav", "original": "o", "seconds": 5.0, "is_held_out": True, "moments": moments}
    told = {"passages": [passage], "figures": []}
    page.route(f"**/api/runs/{name}/learning", lambda route: route.fulfill(json=told))
    page.set_viewport_size({"width": page_width, "height": 844})
    page.goto(f"/#/train/{name}")
    labels = page.locator(".listening .segments label")
    expect(labels).to_have_count(len(moments))
    expect(labels.last).to_have_text("kept")
    expect(page.get_by_text("as it is kept (step 2950)")).to_be_visible()
    for label in labels.all():
        box = label.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= page_width - 16
        assert label.evaluate("one => one.scrollWidth <= one.clientWidth")


def test_on_a_phone_a_finished_run_keeps_no_room_for_a_time(page: Page) -> None:
    """Guards against an empty line over the bar: two are kept for the time that is left, while there is one."""
    page.set_viewport_size({"width": 390, "height": 844})
    tall = {}
    for name in (run("over", "finished"), run("working")):
        page.goto(f"/#/train/{name}")
        expect(page.get_by_role("heading", name=name.split("-")[0], level=2)).to_be_visible()
        box = page.locator("[data-test=left]").bounding_box()
        assert box is not None
        tall[name] = box["height"]
    over, working = tall.values()
    assert over < 30 < working


def test_a_training_that_failed_at_once_says_where_to_look(page: Page, small_corpus: Path) -> None:
    """Guards against a page with one red sentence on it, and nothing to do."""
    one = places.add_collection(small_corpus)
    page.goto(f"/#/train/job/{failed(one.id)}")
    expect(page.locator(".alert")).to_contain_text("The folder is empty. Put recordings in it.")
    expect(page.get_by_role("link", name="See the recordings")).to_have_attribute("href", f"#/recordings/{one.id}")
    expect(page.get_by_role("link", name="Try again")).to_have_attribute("href", f"#/train/new/{one.id}")
    expect(page.get_by_role("navigation", name="Trainings").locator("b")).to_have_text(["takes"])
    expect(page.get_by_role("form", name="New training")).to_be_visible()
    page.get_by_role("button", name="Remove from the list").click()
    expect(page.get_by_text("takes is off the list")).to_be_visible()
    expect(page.get_by_role("navigation", name="Trainings")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", name="takes", level=2)).to_be_visible()
    expect(page.get_by_role("navigation", name="Trainings").locator("b")).to_have_text(["takes"])


def test_when_it_is_done_is_said_with_the_first_pieces(page: Page, small_corpus: Path) -> None:
    """Guards against "Done at about" a minute from now with hours of pieces to make."""
    places.add_collection(small_corpus)
    page.clock.set_fixed_time("2026-01-01T12:00:00")
    page.goto("/#/train")
    page.fill("[data-test=minutes]", "1")
    told = page.locator(".knob small")
    expect(told).to_contain_text("Done at about 12:01")
    page.get_by_text("Advanced", exact=True).click()
    page.get_by_label("First pieces").fill("64")
    page.get_by_label("Seconds each").fill("600")
    expect(told).to_contain_text("Done at about 1:36")
    page.get_by_label("Seconds each").fill("10")
    page.get_by_label("First pieces").fill("3")
    page.get_by_label("Quality").select_option("high")  # its pieces are made after the minutes
    page.fill("[data-test=minutes]", "59.9")
    expect(told).to_contain_text("Done at about 1:00")


def test_a_run_that_broke_off_can_be_taken_off_the_list_and_back(page: Page) -> None:
    name = run("takes", "failed")
    page.goto(f"/#/train/{name}")
    listed = page.get_by_role("navigation", name="Trainings").locator("b")
    page.get_by_role("button", name="Remove from the list").click()
    expect(page.get_by_text("takes is off the list")).to_be_visible()
    expect(listed).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(listed).to_have_text(["takes"])


def test_what_failed_stands_where_its_run_would(page: Page) -> None:
    """Guards against a failure of last night above what is at work."""
    failed("none")
    run("older", "finished")
    run("working")
    page.goto("/#/train")
    names = page.get_by_role("navigation", name="Trainings").locator("b")
    expect(names).to_have_count(3)
    assert names.all_text_contents()[0] == "working"


def test_the_list_stays_where_it_is_while_one_goes_through_it(page: Page, small_corpus: Path) -> None:
    """Guards against a list that jumps down by the height of the form as soon as a run is chosen that is over."""
    places.add_collection(small_corpus)
    over, working = run("over", "finished"), run("working")
    listed, name = page.get_by_role("navigation", name="Trainings"), page.locator(".run h2")
    tops = []
    for which in (working, over):
        page.goto(f"/#/train/{which}")
        expect(name).to_contain_text(which.partition("-")[0])
        tops.append(listed.evaluate("one => one.getBoundingClientRect().top"))
    assert tops[0] == tops[1]


def test_what_is_to_go_on_can_be_stopped_and_keeps_the_focus(page: Page) -> None:
    """Guards against a focus that goes to the first sound of the page, and a training that cannot be taken out of its line."""
    name = run("halted", "stopped")
    told: dict[str, Any] = {"can_go_on": True}
    stopped: list[str] = []

    def answer(route: Route) -> None:
        got = route.fetch()
        route.fulfill(response=got, json={**got.json(), **told})

    def begun(route: Route) -> None:
        told.update(job="1", job_step="Queued")
        route.fulfill(json={"id": "1"})

    def stop(route: Route) -> None:
        stopped.append(route.request.url)
        route.fulfill(json={})

    page.route(f"**/api/runs/{name}", answer)
    page.route(f"**/api/runs/{name}/resume", begun)
    page.route("**/api/jobs/1/stop", stop)
    page.goto(f"/#/train/{name}")
    expect(page.locator("[data-test=left]")).to_contain_text("Stopped ")
    page.locator("[data-test=resume]").focus()
    page.keyboard.press("Enter")
    button = page.locator("[data-test=stop]")
    expect(button).to_be_focused()
    expect(button).to_have_text("Cancel")
    page.keyboard.press("Enter")
    expect(page.locator("h2 .badge")).to_have_text("queued")
    assert len(stopped) == 1


def test_the_codec_s_curves_are_of_one_measure(page: Page) -> None:
    """Guards against the loss of training, which holds more than that, drawn beside the held-out mel distance."""
    folder = home() / "runs" / "new-20260101-120000"
    with EventLog(folder / "codec.jsonl") as tell:
        for step, distance in enumerate((1.0, 2.0), 1):
            tell(m.VQStepMetrics(1, step, 9, 9.0, distance, 0.1, 0.001, 0.1, 4.0, 0.1, 500.0))
        tell(m.VQEpochMetrics(1, 9, 9.0, 1.25, 1.25, (), "", 1.0, 0.001))
    begun = ("codec", str(home() / "new.distill"), "/none", str(folder / "codec.jsonl"), "2026-01-01T12:00:00+00:00")
    Library(lambda _: None).save_run(RunRecord(*begun, {}, process=this_process()))
    page.goto(f"/#/train/{folder.name}")
    chart = page.get_by_role("figure", name="Codec distance")
    expect(chart.locator(".key b")).to_have_text(["1.51", "1.25"])  # the later step counts a little more
    expect(chart).to_contain_text("mel distance")


def test_what_was_written_in_the_form_stays_while_another_tab_is_looked_at(page: Page, small_corpus: Path) -> None:
    """Guards against a name and settings that are gone after a look at the recordings."""
    places.add_collection(small_corpus)
    page.goto("/#/train")
    page.get_by_label("Name", exact=True).fill("rain")
    page.get_by_text("Advanced", exact=True).click()
    page.get_by_label("First pieces").fill("5")
    page.get_by_role("link", name="Library", exact=True).click()
    page.get_by_role("link", name="Train", exact=True).click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("rain")
    expect(page.get_by_label("First pieces")).to_have_value("5")


def test_what_is_pointed_at_in_a_curve_is_called_as_above_it(page: Page) -> None:
    """Guards against "held out", of which nothing was, as long as the page is open: that is known at the first epoch only."""
    folder = home() / "runs" / "new-20260101-120000"
    begun = ("codec", str(home() / "new.distill"), "/none", str(folder / "codec.jsonl"), "2026-01-01T12:00:00+00:00")
    Library(lambda _: None).save_run(RunRecord(*begun, {}, process=this_process()))
    with EventLog(folder / "codec.jsonl") as tell:
        for step, distance in enumerate((1.0, 2.0), 1):
            tell(m.VQStepMetrics(1, step, 9, 9.0, distance, 0.1, 0.001, 0.1, 4.0, 0.1, 500.0))
        page.goto(f"/#/train/{folder.name}")
        chart = page.get_by_role("figure", name="Codec distance")
        expect(chart.locator(".u-over")).to_be_visible()
        expect(chart.locator(".key").last).to_have_text("held out")
        tell(m.VQEpochMetrics(1, 9, 9.0, 1.25, 1.25, (), "", 1.0, 0.001, is_held_out=False))
        expect(chart.locator(".key").last).to_have_text("check 1.25")
    box = chart.locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 50)
    expect(chart.locator("output")).to_have_text("trained on 1.51 · check 1.25")
