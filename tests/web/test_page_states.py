"""Rare states of the page: what is said there, and what can be done.

Needs Debian's chromium (``apt-get install chromium``); ``-m "not browser"`` leaves these out.
"""

import re
import shutil
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


def test_new_pieces_of_another_model_are_said_to_be_its_own(
    page: Page, note_piece: Callable[..., str], model_files: Path, tmp_path: Path
) -> None:
    """Guards against "2 new pieces are here", with an old one to play, of the model that is looked at."""
    path = Path(shutil.copy(model_files / "other.distill", tmp_path / "other.distill"))
    other = places.model_id(Library(lambda _: None).note_model(path))
    about = {"model": str(path), "settings": {"count": 2}}
    job = {**JOB, "id": "1", "title": "2 × 10 s with other", "state": "running", "about": about}
    job |= {"warnings": ["The seam may be heard."]}
    page.route("**/api/jobs?lane=making", lambda route: route.fulfill(json=[job]))
    page.goto(f"/#/generate/{note_piece()}")
    expect(page.locator(".working h3")).to_have_text("2 × 10 s with other")
    job["state"] = "finished"
    said = page.locator(".message")
    expect(said).to_contain_text("2 new pieces of other are made. The seam may be heard.")
    expect(page.locator(".results .alert")).to_have_count(0)
    said.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile(f"#/generate/{other}$"))


def test_a_piece_whose_file_is_gone_can_be_made_again_and_not_compared(
    page: Page, note_piece: Callable[..., str], tmp_path: Path
) -> None:
    """Guards against a sound that is chosen to be compared and cannot be heard, and the remedy in a closed menu."""
    model = note_piece()
    (tmp_path / "tiny-0.wav").unlink()
    page.goto(f"/#/generate/{model}")
    expect(page.get_by_role("button", name="Make again")).to_be_visible()
    expect(page.get_by_role("group", name="Compare")).to_have_count(0)


@pytest.mark.parametrize("refused", ["**/api/pieces/1", "**/api/codes/models/*/book"])
def test_what_does_not_open_in_codes_leads_back_to_what_does(
    page: Page, note_piece: Callable[..., str], refused: str
) -> None:
    """Guards against "Opening…" for ever, where the piece or its model is gone."""
    note_piece()
    page.route(
        refused, lambda route: route.fulfill(status=404, json={"error": "gone", "what": "It is gone.", "fix": ""})
    )
    page.goto("/#/codes/piece:1")
    expect(page.locator(".message.bad")).to_contain_text("It is gone.")
    expect(
        page.get_by_text("Open another").or_(page.get_by_role("heading", name="Open", exact=True)).first
    ).to_be_visible()
    expect(page.get_by_text("Opening…")).to_have_count(0)


def test_a_sound_that_opens_late_fetches_nobody_back(page: Page, note_piece: Callable[..., str]) -> None:
    note_piece()
    asked: list[Route] = []
    page.route(
        "**/api/codes/sheets",
        lambda route: asked.append(route) if route.request.method == "POST" else route.continue_(),
    )
    with page.expect_request("**/api/codes/sheets"):
        page.goto("/#/codes/piece:1")
    page.get_by_role("link", name="Library", exact=True).click()
    expect(page.get_by_role("heading", name="Models")).to_be_visible()
    with page.expect_response("**/api/codes/sheets"):
        asked[0].continue_()
    page.wait_for_timeout(300)
    expect(page).to_have_url(re.compile("#/library$"))


@pytest.mark.parametrize(
    ("tab", "asked_for", "pressed"),
    [
        ("codes", "**/api/codes/sheets", "[data-test=open]"),
        ("recordings", "**/api/collections/demo", "[data-test=demo]"),
    ],
)
def test_what_ends_late_fetches_nobody_back(
    page: Page, until: Callable[..., None], tiny: Path, tab: str, asked_for: str, pressed: str
) -> None:
    """Guards against a page that leaves the tab one looks at for that of something begun earlier."""
    Library(lambda _: None).note_model(tiny)
    asked: list[Route] = []
    page.route(asked_for, lambda route: asked.append(route) if route.request.method == "POST" else route.continue_())
    page.goto(f"/#/{tab}")
    page.locator(pressed).first.click()
    until(page, lambda: bool(asked))
    page.get_by_role("link", name="Library", exact=True).click()
    expect(page.get_by_role("heading", name="Models")).to_be_visible()
    with page.expect_response(asked_for):
        asked[0].fulfill(json={"id": "1", "name": "demo"})
    page.wait_for_timeout(300)
    expect(page).to_have_url(re.compile("#/library$"))


def test_an_address_that_nobody_wrote_opens_its_tab(page: Page) -> None:
    """Guards against an empty page, where a percent sign in the address stands for nothing."""
    page.goto("/#/train/50%")
    expect(page.get_by_role("heading", name="First, some recordings")).to_be_visible()


def test_an_export_is_waited_for_however_long_it_takes(page: Page, tiny: Path) -> None:
    """Guards against "Look again later" after three minutes, where there is nowhere to look: a copy with its recordings can be
    taken by whoever waits for it alone."""
    model = places.model_id(Library(lambda _: None).note_model(tiny))
    page.route("**/gift", lambda route: route.fulfill(json={"id": "1", "state": "waiting"}))
    page.goto(f"/#/library/{model}")
    page.locator("summary", has_text="Export").click()
    page.evaluate("""() => {
        let asked = 0;
        const over = { state: "finished", results: [{ recordings: 2, size: 1e6 }] };
        const get = fetch, later = setTimeout, { port1, port2 } = new MessageChannel(), due = [];
        window.fetch = async (url, words) => {
            if (url !== "/api/jobs/1") return get(url, words);
            asked += 1;
            if (asked === 1500) throw new TypeError("The server is being started again");
            return Response.json({ id: "1", ...(asked > 2000 ? over : { state: "running" }) });
        };
        port1.onmessage = () => due.shift()();
        window.setTimeout = (act, wait, ...words) => {  // what is looked at several times a second, as fast as can be
            if (wait >= 1000) return later(act, wait, ...words);
            due.push(act);
            port2.postMessage(0);
            return 0;
        };
        window.taken = [];
        HTMLAnchorElement.prototype.click = function () { taken.push(this.getAttribute("href")); };
    }""")
    page.get_by_role("button", name="With its recordings").click()
    expect(page.locator(".message")).to_contain_text("tiny with 2 recordings")
    assert page.evaluate("() => taken") == ["/api/gifts/1"]


def test_an_order_is_told_by_the_way_it_runs(page: Page, tiny: Path) -> None:
    Library(lambda _: None).note_model(tiny)
    page.goto("/#/library")
    expect(page.get_by_role("columnheader", name="Date ↓")).to_have_attribute("aria-sort", "descending")
    page.get_by_role("button", name="Name").click()
    expect(page.get_by_role("columnheader", name="Name ↑")).to_have_attribute("aria-sort", "ascending")


def test_a_piece_of_silence_is_not_called_unoriginal(page: Page, note_piece: Callable[..., str]) -> None:
    """Guards against "0 % original" in green, where there is nothing to judge."""
    model = note_piece()

    def told(route: Route) -> None:
        (one,) = route.fetch().json()
        shares = {"original": 0.0, "close": 0.0, "copy": 0.0}
        route.fulfill(json=[{**one, "id": 1, "shares": shares}, {**one, "id": 2, "shares": shares | {"copy": 1.0}}])

    page.route("**/api/pieces?model=*", told)
    page.goto(f"/#/generate/{model}")
    badges = page.locator("article.piece .title .badge")
    expect(badges).to_have_text(["silent", "0 % original"])
    assert [one.get_attribute("class") for one in badges.all()] == ["badge ", "badge bad"]


def test_verdicts_that_did_not_come_are_asked_for_again(
    page: Page, until: Callable[..., None], note_piece: Callable[..., str]
) -> None:
    """Guards against a piece without its strip until the page is opened anew: the server was just being started again."""
    unlike = {"verdict": "Original", "similarity": None, "percentile": None, "recording": "", "reference": None}
    second = unlike | {"at_seconds": 0.0, "semitones": 0.0, "stretch": 1.0, "is_repeated": False}
    asked: list[Route] = []

    def judged(route: Route) -> None:
        asked.append(route)
        if len(asked) == 1:
            route.fulfill(status=500, json={"what": "It is out of order.", "fix": "Try again."})
        else:
            route.fulfill(json=route.fetch().json() | {"seconds": [second]})

    page.route("**/api/pieces/1", judged)
    page.clock.install()
    page.goto(f"/#/generate/{note_piece()}")
    strip = page.locator(".origin button")
    until(page, lambda: page.clock.fast_forward(5000) or strip.count() == 1)
    assert len(asked) == 2


def test_of_many_files_the_first_are_shown(page: Page, tmp_path: Path, small_corpus: Path) -> None:
    """Guards against a page of 29 000 pixels on a phone."""
    (tmp_path / "many").mkdir()
    for number in range(45):
        shutil.copy(small_corpus / "take-0.wav", tmp_path / "many" / f"{number}.wav")
    one = places.add_collection(tmp_path / "many")
    page.goto(f"/#/recordings/{one.id}")
    rows = page.locator("table.recordings tbody tr")
    expect(rows).to_have_count(40)
    page.get_by_role("button", name="Show the other 5").click()
    expect(rows).to_have_count(45)
    page.get_by_label("Search recordings").fill("44")
    expect(rows).to_have_count(1)


def test_a_folder_is_read_again_whenever_it_is_another(
    page: Page, until: Callable[..., None], small_corpus: Path
) -> None:
    """Guards against "reading again …" for ever: where the server could not begin, where a file was still being copied as it
    was read, and where one was saved over."""
    one = page.request.get(f"/api/collections/{places.add_collection(small_corpus).id}").json()
    known = {"verdict": "used", "reason": "", "fix": "", "remark": ""}
    file = {"name": "take-0.wav", "seconds": 0.8, "sample_rate": 48_000, "peak_db": -3.0, "silence": 0.0} | known
    split = {"held_out": [], "held_out_in_part": [], "explanation": ""}
    report = {"files": [file], "usable": 1, "seconds": 0.8, "channels": 1, "warnings": [], "together": [], "why": ""}
    report |= {"split": split, "settings": {}}
    now, read = {"stamp": "refused"}, []

    def told(route: Route) -> None:
        is_read = now["stamp"] in read[1:]
        route.fulfill(json=one | now | {"report": report if is_read else None, "job": None})

    def check(route: Route) -> None:
        read.append(now["stamp"])
        if len(read) == 1:
            route.fulfill(status=500, json={"what": "The disk is full.", "fix": "Make room."})
        else:
            now["stamp"] = "copied"  # whatever it was when the reading began
            route.fulfill(json={})

    page.route("**/api/collections/*", told)
    page.route("**/api/collections/*/check", check)
    page.clock.install()
    page.goto(f"/#/recordings/{one['id']}")
    refusal, row = page.get_by_text("The disk is full. Make room."), page.locator("table.recordings tbody tr")
    expect(refusal).to_be_visible()
    page.clock.fast_forward(4000)
    page.wait_for_timeout(300)
    assert read == ["refused"], "one that refuses is not asked again and again"
    now["stamp"] = "growing"
    until(page, lambda: page.clock.fast_forward(3000) or row.count() == 1)
    assert list(dict.fromkeys(read)) == ["refused", "growing", "copied"]
    expect(refusal).to_have_count(0)
    now["stamp"] = "saved over"
    until(page, lambda: page.clock.fast_forward(3000) or "saved over" in read)
    expect(row).to_contain_text("used")
    expect(page.get_by_text("reading again")).to_have_count(0)


def test_an_empty_folder_says_what_to_do(page: Page, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    one = places.add_collection(tmp_path / "empty")
    page.goto(f"/#/recordings/{one.id}")
    expect(page.get_by_text("Put recordings in it; they show up here by themselves.")).to_be_visible()


def test_what_was_deleted_is_not_asked_for_again(
    page: Page, note_piece: Callable[..., str], small_corpus: Path, at_rest: Callable[[Page], None]
) -> None:
    """Guards against a page that looks once more at the model or the folder that it has just taken away."""
    missed: list[str] = []
    page.on("response", lambda answer: missed.append(answer.url) if answer.status == 404 else None)
    page.goto(f"/#/library/{note_piece()}")
    page.locator("[data-test=delete]").click()
    expect(page.locator(".empty h2")).to_have_text("No models yet")
    page.goto(f"/#/recordings/{places.add_collection(small_corpus).id}")
    page.get_by_role("button", name="Remove from the list").click()
    expect(page.get_by_role("heading", name="What should Distill learn from?")).to_be_visible()
    at_rest(page)
    assert missed == []


def test_an_answer_that_breaks_off_is_no_answer(page: Page, tiny: Path) -> None:
    """Guards against what had come of an answer, as its server ended, being taken for the whole."""
    Library(lambda _: None).note_model(tiny)
    page.goto("/#/library")
    expect(page.locator("table.models tbody tr")).to_have_count(1)
    page.route("**/api/models?*", lambda route: route.fulfill(body='[{"id": ', content_type="application/json"))
    with page.expect_response("**/api/models?*"):
        pass
    page.wait_for_timeout(300)
    expect(page.locator("table.models tbody tr")).to_have_count(1)


def test_the_page_that_asks_for_the_password_says_that_nobody_answers(page: Page) -> None:
    page.goto("/static/login.html")
    page.route("**/login", lambda route: route.abort())
    page.get_by_label("Password").fill("wrong horse")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert")).to_contain_text("Distill does not answer.")


def test_the_page_that_asks_for_the_password_says_that_it_is_wrong(page: Page) -> None:
    page.goto("/static/login.html")
    page.get_by_label("Password").fill("wrong horse")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert")).to_have_text("There is no password here. Open the page.")
