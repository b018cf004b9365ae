"""Pages of a library that is lived in: whoever comes by keyboard or screen reader, presets, loops.

Needs Debian's chromium (``apt-get install chromium``); ``-m "not browser"`` leaves these out.
"""

import dataclasses
import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from distill.files.home import home
from distill.library import GenerationRecord, Library, RunRecord
from distill.models import load_model, save_model
from distill.models.health import LevelHealth
from distill.runs.events import EventLog
from distill.training import metrics as m
from distill.web import places

pytestmark = pytest.mark.browser

PATIENCE_MS = 100_000
"""Starting PyTorch takes its time on a shared machine."""
AXE = Path(__file__).parent / "axe"
"""axe-core by Deque Systems (MPL-2.0), unchanged; VENDORED.json says which."""
SERIOUS = ("serious", "critical")
TABS = ("recordings", "train", "generate", "codes", "library")
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest.fixture
def asks(server: str) -> Iterator[httpx.Client]:
    """The server as a program asks it."""
    with httpx.Client(base_url=server, timeout=300) as one:
        yield one


@pytest.fixture
def model(tiny: Path, small_corpus: Path) -> str:
    """A tiny model that has learned from the small corpus, in a run that is over; the page's name for it."""
    entry = Library(lambda _: None).note_model(tiny)
    folder = home() / "runs" / "tiny-20260101-120000"
    levels = tuple(LevelHealth(level, use, 30 * use, 5) for level, use in enumerate((0.2, 0.9)))
    heard = {"mel": 1.0, "kept": 0.6, "cents": 9.0, "invented": 0.1, "movement": 3.0, "line": 0.5, "grain": -2.0}
    with EventLog(folder / "codec.jsonl") as tell:
        for epoch in (1, 2):
            tell(m.VQStepMetrics(epoch, epoch, 2, 2.0 / epoch, 2.0, 0.1, 0.001, 0.1, 4.0, 0.5 * epoch, 0.0))
            tell(m.VQEpochMetrics(epoch, 2, 2.0 / epoch, 1.9, 1.9, levels, "", 1.0, 0.001, heard))
    with EventLog(folder / "prior.jsonl") as tell:
        tell(m.PriorStepMetrics(1, 7, 90, 1.2, 0.001, 0.1, 64, 1.0, 0.0))
        tell(m.PriorEpochMetrics(1, 1, 1.2, 1.5, 4.5, 4.5, False, "", 1.0, 0.001))
    (folder / "listening" / "0").mkdir(parents=True)
    (folder / "listening" / "passages.json").write_text('[{"name": "take-0.wav", "seconds": 0.8}]')
    for name in ("original", "codec-00000001", "codec-00000002"):
        shutil.copy(small_corpus / "take-0.wav", folder / "listening" / "0" / f"{name}.flac")
    for kind, started in (("codec", "2026-01-01T12:00:00.000000+00:00"), ("prior", "2026-01-01T12:30:00.000000+00:00")):
        told = (kind, str(tiny), str(small_corpus), str(folder / f"{kind}.jsonl"), started, {"num_quantizers": 2})
        Library(lambda _: None).save_run(RunRecord(*told, outcome="finished", origin=entry.origin))
    return places.model_id(entry)


@pytest.fixture
def page(page: Page) -> Iterator[Page]:
    """A page on which the browser complains of nothing either."""
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    yield page
    assert wrong == []


def complaints(page: Page) -> list[str]:
    """What axe-core finds serious on the page as it is, each with the element."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate((AXE / "axe.min.js").read_text(encoding="utf-8"))
    # What is well is not described, element by element.
    found: list[dict[str, Any]] = page.evaluate(
        "async () => (await axe.run({ resultTypes: ['violations'] })).violations"
    )
    return [
        f"{one['id']} ({one['impact']}): {one['help']}: {node['html'][:160]}"
        for one in found
        for node in one["nodes"]
        if one["impact"] in SERIOUS
    ]


def test_axe_is_what_npm_has() -> None:
    told = json.loads((AXE / "VENDORED.json").read_text())
    assert {"VENDORED.json"} | {one["file"] for one in told["files"]} == {path.name for path in AXE.iterdir()}
    for one in told["files"]:
        assert hashlib.sha256((AXE / one["file"]).read_bytes()).hexdigest() == one["sha256"], one["file"]


def shown(page: Page, tab: str, at_rest: Callable[[Page], None]) -> None:
    """Goes to a tab and opens what it has that matters."""
    page.goto(f"/#/{tab}")
    at_rest(page)
    page.evaluate("() => { for (const one of document.querySelectorAll('main details')) one.open = true; }")
    if tab in ("recordings", "train", "generate"):
        page.locator("main .play").first.click()
        expect(page.get_by_role("region", name="Player")).to_be_visible()
        page.wait_for_function("() => document.getElementById('player').currentTime > 0")
        page.evaluate("() => { const one = document.getElementById('player'); one.currentTime = one.duration; }")
        page.wait_for_function("() => document.getElementById('player').ended")
    if tab == "train":
        expect(page.locator(".listening .pair")).to_be_visible()
        expect(page.locator(".judged dt").first).to_be_visible()
    if tab == "codes":
        page.locator("[data-test=open]").first.click()
        page.locator(".grid-place canvas").wait_for()
        page.locator(".grid-place canvas").focus()
        page.keyboard.press("Shift+ArrowRight")
    if tab == "library":
        page.locator("table.models th a").first.click()
    at_rest(page)


def test_axe_finds_nothing_serious(
    browser: Browser,
    asks: httpx.Client,
    server: str,
    model: str,
    small_corpus: Path,
    at_rest: Callable[[Page], None],
) -> None:
    """In every tab, wide and narrow, light and dark, of a library that is lived in."""
    one = asks.post("/api/collections", json={"folder": str(small_corpus)}).json()
    asks.post(f"/api/collections/{one['id']}/check", json={})
    asks.post("/api/generate", json={"model": model, "settings": {"seconds": 2, "count": 1, "voice": "codec"}})
    found = []
    for width in (1280, 390):
        window = browser.new_context(viewport={"width": width, "height": 900}, color_scheme="light", base_url=server)
        page = window.new_page()
        page.set_default_timeout(PATIENCE_MS)
        for tab in TABS:
            if tab == "generate":
                page.goto("/#/generate")
                expect(page.locator("article.piece .origin button").first).to_be_visible(timeout=PATIENCE_MS)
            shown(page, tab, at_rest)
            for theme in THEMES:
                page.emulate_media(color_scheme=theme)
                at_rest(page)
                assert page.evaluate(f"() => matchMedia('(prefers-color-scheme: {theme})').matches")
                found += [f"{tab}, {width} px, {theme}: {words}" for words in complaints(page)]
                wide = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
                found += [f"{tab}, {width} px: {wide} px wider than the window"] if wide > 0 else []
        window.close()
    assert found == []


def test_a_piece_is_deleted_and_undone(page: Page, model: str, tiny: Path, small_corpus: Path, tmp_path: Path) -> None:
    """In the list of what a model made, and in the trash of the library."""
    entry = Library(lambda _: None).note_model(tiny)
    path = Path(shutil.copy(small_corpus / "take-0.wav", tmp_path / "tiny-0.wav"))
    told = ("2026-01-01T00:00:00+00:00", str(tiny), entry.digest, entry.origin, str(path), "s" * 64, 0, "fine", {})
    Library(lambda _: None).add_generations([GenerationRecord(*told, {"kind": "audio", "seconds": 0.8})])
    for tab in ("generate", "library"):
        page.goto(f"/#/{tab}/{model}")
        pieces = page.locator("article.piece")
        expect(pieces).to_have_count(1)
        page.get_by_label("More to do with tiny-0").click()
        page.get_by_role("button", name="Delete tiny-0").click()
        expect(page.locator(".message")).to_contain_text("tiny-0 is in the trash")
        expect(pieces).to_have_count(0)
        assert not path.exists()
        page.locator(".message button", has_text="Undo").click()
        expect(page.locator(".message")).to_contain_text("tiny-0 is back")
        page.get_by_role("button", name="Dismiss").click()  # or it lies over the menu for seconds
        expect(pieces).to_have_count(1)
        assert path.exists()
    page.get_by_label("More to do with tiny-0").click()
    page.get_by_role("button", name="Delete tiny-0").click()
    expect(pieces).to_have_count(0)
    page.goto("/#/library")
    page.locator("summary", has_text="Trash (1)").click()
    page.get_by_role("button", name="Restore tiny-0").click()
    expect(page.locator(".message")).to_contain_text("tiny-0 is back")
    assert path.exists()


def test_axe_finds_nothing_serious_where_there_is_nothing_yet(browser: Browser, server: str) -> None:
    found = []
    for theme in THEMES:
        window = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=theme, base_url=server)
        page = window.new_page()
        for tab in TABS:
            page.goto(f"/#/{tab}")
            expect(page.locator(".empty h2, .first h2")).to_be_visible()
            found += [f"{tab}, {theme}: {words}" for words in complaints(page)]
        window.close()
    assert found == []


def test_axe_finds_nothing_serious_where_something_was_stopped_or_is_gone(
    browser: Browser, server: str, note_piece: Callable[..., str], tmp_path: Path, at_rest: Callable[[Page], None]
) -> None:
    """Guards against steps to come that are too pale to read, and a button that is called otherwise than it reads."""
    model = note_piece()
    (tmp_path / "tiny-0.wav").unlink()
    log = home() / "runs" / "take-20260102-120000" / "codec.jsonl"
    with EventLog(log) as tell:
        tell(m.VQStepMetrics(1, 1, 2, 2.0, 2.0, 0.1, 0.001, 0.1, 4.0, 0.5, 90.0))
    told = ("codec", str(home() / "take.distill"), "/none", str(log), "2026-01-02T12:00:00.000000+00:00", {})
    Library(lambda _: None).save_run(RunRecord(*told, outcome="stopped"))
    found = []
    for theme in THEMES:
        window = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=theme, base_url=server)
        page = window.new_page()
        for place in ("train", f"generate/{model}", "codes"):
            page.goto(f"/#/{place}")
            at_rest(page)
            page.evaluate("() => { for (const one of document.querySelectorAll('main details')) one.open = true; }")
            found += [f"{place}, {theme}: {words}" for words in complaints(page)]
        window.close()
    assert found == []


def test_a_preset_is_kept_used_and_taken_back(page: Page, model: str) -> None:
    page.goto(f"/#/generate/{model}")
    page.get_by_text("Loop", exact=True).click()
    page.get_by_label("Beats", exact=True).fill("6")
    page.get_by_label("Tempo, BPM").fill("93")
    page.locator("summary", has_text="Presets").click()
    page.get_by_label("Name of the preset").fill("waltz")
    page.get_by_role("button", name="Keep these").click()
    expect(page.locator(".presets button", has_text="waltz")).to_be_visible()

    page.reload()
    page.get_by_text("Piece", exact=True).click()
    page.locator("summary", has_text="Presets (1)").click()
    page.get_by_role("button", name="waltz", exact=True).click()
    expect(page.get_by_label("Beats", exact=True)).to_have_value("6")
    expect(page.get_by_label("Tempo, BPM")).to_have_value("93")

    page.get_by_role("button", name="Delete preset waltz").click()
    expect(page.get_by_role("button", name="waltz", exact=True)).to_have_count(0)
    page.locator(".message button", has_text="Undo").click()
    expect(page.get_by_role("button", name="waltz", exact=True)).to_be_visible()


def test_a_loop_by_beats_and_tempo_is_as_long_as_it_must_be(page: Page, model: str) -> None:
    page.goto(f"/#/generate/{model}")
    page.get_by_text("Loop", exact=True).click()
    page.get_by_label("Beats", exact=True).fill("4")
    page.get_by_label("Tempo, BPM").fill("120")
    page.get_by_label("Pieces", exact=True).fill("1")
    page.get_by_text("Codec", exact=True).click()
    page.locator("[data-test=make]").click()
    piece = page.locator("article.piece").first
    expect(piece).to_be_visible()
    piece.locator(".play").click()
    page.wait_for_function("() => document.getElementById('player').currentTime > 0.2")
    assert page.evaluate("() => document.getElementById('player').duration") == pytest.approx(2.0, abs=1e-3)
    expect(piece.locator(".how")).to_contain_text("loop")


def test_a_folder_that_is_chosen_becomes_one_of_that_name(page: Page, small_corpus: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small_corpus, tmp_path / "mine"))
    (folder / "notes.txt").write_text("no audio")
    page.goto("/#/recordings")
    page.get_by_label("Recordings: a folder").set_input_files(folder)
    expect(page.locator(".message")).to_contain_text(
        "6 files copied into Distill's folder; 1 other file skipped: not audio, going by its name"
    )
    expect(page.get_by_role("heading", name="mine", exact=True)).to_be_visible()
    expect(page.locator("table.recordings tbody tr")).to_have_count(6)


def test_a_folder_with_nothing_to_learn_from_is_not_trained_on(page: Page, asks: httpx.Client, tmp_path: Path) -> None:
    """Guards against a training that is offered right below the words that nothing can be read."""
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "take.wav").write_text("these are only words")
    one = asks.post("/api/collections", json={"folder": str(tmp_path / "words")}).json()["id"]
    page.goto(f"/#/recordings/{one}")
    expect(page.get_by_text("No usable recording")).to_be_visible()
    expect(page.locator("[data-test=to-train]")).to_have_count(0)
    page.goto(f"/#/train/new/{one}")
    expect(page.get_by_text("There is nothing to learn from in words")).to_be_visible()
    expect(page.locator("[data-test=train]")).to_be_disabled()


def test_a_piece_that_is_kept_is_found_again(page: Page, model: str, note_piece: Callable[..., str]) -> None:
    for take in range(2):
        note_piece(take=take)
    page.goto(f"/#/generate/{model}")
    pieces = page.locator("article.piece")
    expect(pieces).to_have_count(2)
    name = pieces.nth(1).locator("h3").inner_text()
    pieces.nth(1).get_by_role("button", name="Keep").click()
    page.get_by_text("Kept (1)").click()
    expect(pieces).to_have_count(1)
    assert pieces.locator("h3").inner_text() == name
    with page.expect_download() as download:
        page.get_by_role("link", name="Save all kept pieces").click()
    assert download.value.suggested_filename.endswith("-kept.zip")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.namelist() == [f"{name}.wav"]
    page.reload()
    pieces.get_by_role("button", name="★ Kept").click()
    expect(page.get_by_text("Kept (", exact=False)).to_have_count(0)


def test_earlier_pieces_are_a_press_away(page: Page, model: str) -> None:
    """Guards against a history that ends without a word: at first only the newest are sent."""
    piece = {
        "model": "tiny",
        "model_id": model,
        "file": "/none.wav",
        "made": "2026-01-01T12:00:00+00:00",
        "verdict": "",
    }
    piece |= {"shares": {"original": 1.0}, "request": {"kind": "audio"}, "is_there": False, "kept": False, "length": ""}
    made = [{**piece, "id": number, "seed": number, "name": f"tiny-{number}"} for number in range(50, 0, -1)]
    page.route(
        "**/api/pieces?model=*",
        lambda route: route.fulfill(json=made[: 50 if "whole=true" in route.request.url else 45]),
    )
    page.route("**/api/models", lambda route: route.fulfill(json=[route.fetch().json()[0] | {"pieces": 50}]))
    page.goto(f"/#/generate/{model}")
    pieces, earlier = page.locator("article.piece"), page.locator("[data-test=earlier]")
    expect(page.get_by_role("heading", name="50 pieces, the newest first")).to_be_visible()
    expect(pieces).to_have_count(40)
    expect(earlier).to_have_text("Earlier ones (10)")
    earlier.click()
    expect(pieces).to_have_count(50)
    expect(earlier).to_have_count(0)


def test_a_tab_looks_the_same_whatever_was_opened_before(
    page: Page, model: str, note_piece: Callable[..., str], at_rest: Callable[[Page], None]
) -> None:
    """Guards against styles of one tab that reach into another: names mean something else in each."""
    note_piece()
    page.set_viewport_size({"width": 390, "height": 844})
    pane = page.locator("article.piece .pane")
    places = []
    for before in ((), TABS):
        page.goto("about:blank")
        for tab in before:
            page.goto(f"/#/{tab}")
            at_rest(page)
        page.goto(f"/#/library/{model}")
        expect(page.locator("article.piece canvas.mel")).to_be_visible()
        at_rest(page)
        places.append([one.bounding_box() for one in (pane, page.locator("article.piece .menu > summary").first)])
    assert places[0] == places[1]


def test_a_model_is_given_away_with_its_recordings(
    page: Page, asks: httpx.Client, model: str, tiny: Path, small_corpus: Path, tmp_path: Path
) -> None:
    whole = load_model(tiny)
    files = sorted(small_corpus.iterdir())
    sources = [
        dataclasses.replace(one, name=file.name, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
        for one, file in zip(whole.sources, files, strict=False)
    ]
    save_model(tiny, dataclasses.replace(whole, sources=tuple(sources)))
    page.goto(f"/#/library/{model}")
    page.locator("summary", has_text="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="With its recordings").click()
    assert download.value.suggested_filename == "tiny.distill"
    download.value.save_as(tmp_path / "given.distill")
    expect(page.locator(".message")).to_contain_text("2 recordings")
    assert [sound.channels for sound in load_model(tmp_path / "given.distill").sounds] == [1, 1]
    assert not list((home() / "gifts").glob("*")), "what was taken is not kept"
