"""What a musician would stumble over who plays with the page: what is pressed quickly, twice, or while something is at work.

Needs Debian's chromium (``apt-get install chromium``); ``-m "not browser"`` leaves these out.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from distill.library import Library
from distill.web import places
from distill.web.routes.generate import length_in_words
from distill.web.settings import Settings

pytestmark = pytest.mark.browser


@pytest.fixture
def model(tiny: Path) -> str:
    """A tiny model in the library; the page's name for it."""
    return places.model_id(Library(lambda _: None).note_model(tiny))


@pytest.fixture
def made(note_piece: Callable[..., str]) -> Callable[..., str]:
    """Notes a piece of 0.8 s that was asked for in this way; gives where it is shown."""
    return lambda **request: f"/#/generate/{note_piece(**request)}"


SOUNDS = "() => !document.getElementById('player').paused"
RESTS = "() => document.getElementById('player').paused"
COMES_ROUND = """() => {
    const at = Number(document.querySelector(".heard")?.style.getPropertyValue("--at")), was = window.before;
    window.before = at;
    return at < was && 1 - at;
}"""
"""Gives, when what is heard is nearer to its beginning than at the last look, how much of it is left."""


def test_several_are_left_out_as_quickly_as_they_are_pressed(page: Page, small_corpus: Path) -> None:
    """Guards against all but one being lost, and against a list that is gone while the rest is read again."""
    one = places.add_collection(small_corpus)
    page.goto(f"/#/recordings/{one.id}")
    rows = page.locator("table.recordings tbody tr")
    expect(rows).to_have_count(6)
    page.evaluate("""() => {
        window.fewest = 6;
        const rows = () => document.querySelectorAll("table.recordings tbody tr").length;
        new MutationObserver(() => { fewest = Math.min(fewest, rows()); })
            .observe(document.body, { childList: true, subtree: true });
        for (const leave of [...document.querySelectorAll("[aria-label^='Leave out']")].slice(0, 3)) leave.click();
    }""")
    expect(page.locator("[aria-label^='Take back']")).to_have_count(3)
    expect(page.locator("section[aria-label=Recordings] header small")).to_contain_text("reading again")
    expect(page.locator(".tiles")).to_contain_text("3 of 3")
    expect(page.locator("tr.unused").first).to_contain_text("kHz")
    page.locator("[aria-label='Take back take-1.wav']").click()
    expect(page.locator(".tiles")).to_contain_text("4 of 4")
    assert page.evaluate("() => fewest") == 6
    assert places.collection(one.id).left_out == ["take-0.wav", "take-2.wav"]
    page.locator("[aria-label^='Leave out']").first.wait_for()
    for name in ("take-1.wav", "take-3.wav", "take-4.wav", "take-5.wav"):
        page.locator(f"[aria-label='Leave out {name}']").click()
    expect(page.get_by_text("Every recording is left out")).to_be_visible()
    expect(page.locator("[data-test=to-train]")).to_have_count(0)


def test_the_folder_that_was_looked_at_last_is_there_again(page: Page, small_corpus: Path, tmp_path: Path) -> None:
    places.add_collection(Path(shutil.copytree(small_corpus, tmp_path / "a first one")))
    last = places.add_collection(Path(shutil.copytree(small_corpus, tmp_path / "the last one")))
    page.goto(f"/#/recordings/{last.id}")
    expect(page.get_by_role("heading", name="the last one")).to_be_visible()
    page.get_by_role("link", name="Train", exact=True).click()
    expect(page.get_by_label("Recordings", exact=True)).to_have_value(last.id)
    page.get_by_role("link", name="Recordings", exact=True).click()
    expect(page.get_by_role("heading", name="the last one")).to_be_visible()


def test_a_folder_with_something_to_learn_from_is_offered(page: Page, small_corpus: Path, tmp_path: Path) -> None:
    """Guards against an empty folder, or one of files that are no sound, only because it is the first by name."""
    (tmp_path / "a first one").mkdir()
    empty = places.add_collection(tmp_path / "a first one")
    (tmp_path / "a second one").mkdir()
    (tmp_path / "a second one" / "broken.wav").write_bytes(b"no sound")
    places.add_collection(tmp_path / "a second one")
    usable = places.add_collection(small_corpus)
    for one in places.collections():
        page.request.post(f"/api/collections/{one.id}/check")
    page.goto("/#/train")
    expect(page.get_by_label("Recordings", exact=True)).to_have_value(usable.id)
    page.get_by_label("Recordings", exact=True).select_option(empty.id)
    expect(page.get_by_text("There is nothing to learn from in a first one")).to_be_visible()
    expect(page.get_by_label("Recordings", exact=True)).to_have_value(empty.id)


def test_the_model_that_was_played_with_last_is_there_again_until_there_is_a_newer_one(
    page: Page, model_files: Path, tmp_path: Path
) -> None:
    shutil.copytree(model_files, tmp_path / "models")
    library = Library(lambda _: None)
    for name in ("tiny", "other"):
        library.note_model(tmp_path / "models" / f"{name}.distill")
    newer, older = (model["id"] for model in page.request.get("/api/models").json())
    page.goto(f"/#/generate/{older}")
    expect(page.get_by_label("Model", exact=True)).to_have_value(older)
    page.get_by_role("link", name="Library").click()
    page.get_by_role("link", name="Generate").click()
    expect(page.get_by_label("Model", exact=True)).to_have_value(older)
    page.evaluate("id => localStorage.setItem('generate-model', JSON.stringify({ id, at: 0 }))", older)
    page.reload()
    expect(page.get_by_label("Model", exact=True)).to_have_value(newer)


def test_a_loop_goes_round_and_rests_when_its_tab_is_left(page: Page, made: Callable[..., str]) -> None:
    """Guards against a loop whose seam cannot be heard, and against a sound that nothing on the page stops any more."""
    page.goto(made(kind="loop", seconds=0.8))
    page.locator("article.piece .play").click()
    page.wait_for_function("() => document.getElementById('player').muted")
    page.evaluate("() => { window.before = 0; }")
    for _ in range(2):  # it is at its beginning again, and again
        at = page.wait_for_function(COMES_ROUND).json_value()
        assert 0 < at <= 1
    assert page.evaluate(SOUNDS)
    page.get_by_role("link", name="Library").click()
    page.wait_for_function(RESTS)
    page.go_back()
    page.locator("article.piece .play").click()
    page.wait_for_function(SOUNDS)
    page.locator("article.piece").get_by_label("More to do with").click()
    page.locator("article.piece").get_by_role("button", name="Delete").click()
    expect(page.locator("article.piece")).to_have_count(0)
    page.wait_for_function(RESTS)


def test_a_browser_that_cannot_join_a_loop_says_so_and_plays_it(page: Page, made: Callable[..., str]) -> None:
    """Guards against a gap that is heard and not explained."""
    page.add_init_script("delete window.AudioContext")
    page.goto(made(kind="loop", seconds=0.8))
    page.locator("article.piece .play").click()
    expect(page.get_by_text("cannot join the loop")).to_be_visible()
    page.wait_for_function(
        "() => !document.getElementById('player').muted && !document.getElementById('player').paused"
    )


def test_a_passage_made_anew_is_judged_where_it_is(page: Page, made: Callable[..., str]) -> None:
    """Guards against verdicts that are shown, and heard, at the beginning of the recording around it."""
    nothing = {"similarity": None, "percentile": None, "recording": "", "at_seconds": 0, "reference": None}
    second = {"verdict": "Close", "semitones": 0, "stretch": 1, "is_repeated": False, **nothing}

    def judged(route: Route) -> None:
        told = route.fetch()
        route.fulfill(response=told, json={**told.json(), "seconds": [second]})

    page.route("**/api/pieces/1", judged)
    page.goto(made(kind="infill", begin=0.4, end=0.7))
    bar, strip = page.locator(".origin button"), page.locator(".origin")
    expect(bar).to_have_attribute("aria-label", "0.4 s: Close")
    expect(page.locator(".seconds span").first).to_be_attached()
    inner, outer = bar.bounding_box(), strip.bounding_box()
    assert inner is not None
    assert outer is not None
    assert (inner["x"] - outer["x"]) / outer["width"] == pytest.approx(0.5, abs=0.02)
    assert inner["width"] / outer["width"] == pytest.approx(0.375, abs=0.02)
    bar.click()
    page.wait_for_function("() => document.getElementById('player').currentTime >= 0.4")


def test_what_is_compared_shows_which_is_heard_and_rests_when_pressed_again(
    page: Page, made: Callable[..., str]
) -> None:
    page.goto(made(kind="loop", seconds=0.8))
    page.get_by_role("button", name="Compare as A").click()
    heard = page.locator(".compare button").first
    expect(heard).to_have_attribute("aria-pressed", "false")
    heard.click()
    expect(heard).to_have_attribute("aria-pressed", "true")
    heard.click()
    expect(heard).to_have_attribute("aria-pressed", "false")
    page.wait_for_function(RESTS)


def test_what_is_typed_while_an_answer_is_awaited_stays(
    page: Page, until: Callable[..., None], model: str, small_corpus: Path
) -> None:
    """Guards against a form that goes back to what it was when a button was pressed, or a file was chosen; and against a file
    that does nothing when it is chosen once more, as a browser tells only of another one."""
    held: list[Route] = []
    take = small_corpus / "take-0.wav"
    page.goto(f"/#/generate/{model}")
    page.get_by_text("Infill", exact=True).click()
    pieces, chooser = page.get_by_label("Pieces", exact=True), page.get_by_label("Recording: choose a file")
    page.route("**/api/uploads/sounds/*", lambda route: held.append(route))
    chooser.set_input_files(take)
    until(page, lambda: len(held) == 1)
    pieces.fill("7")
    held[0].continue_()
    expect(page.get_by_role("button", name="Clear")).to_be_visible()
    expect(pieces).to_have_value("7")
    expect(chooser).to_have_value("")
    page.get_by_text("Piece", exact=True).click()
    page.route("**/api/generate", lambda route: held.append(route))
    page.locator("[data-test=make]").click()
    until(page, lambda: len(held) == 2)
    pieces.fill("9")
    held[1].fulfill(json={"state": "waiting"})
    expect(page.locator("[data-test=make]")).to_have_attribute("aria-busy", "false")
    expect(pieces).to_have_value("9")
    page.get_by_role("link", name="Codes", exact=True).click()
    page.route("**/api/uploads/codes/**", lambda route: route.abort())
    chooser = page.get_by_label("Choose an audio file or a .codes file")
    chooser.set_input_files(take)
    expect(page.locator(".message.bad")).to_be_visible()
    expect(chooser).to_have_value("")


def test_what_is_being_made_is_said_as_it_was_asked_for() -> None:
    """Guards against "3 × 10 s" above loops of eight beats."""
    assert length_in_words(Settings(seconds=10)) == "10 s"
    assert length_in_words(Settings(kind="loop", beats=8, bpm=120)) == "8 beats at 120 BPM"
    assert length_in_words(Settings(kind="loop", seconds=2)) == "2 s of loop"
    assert length_in_words(Settings(kind="infill", begin=3, end=6.25)) == "3.25 s replaced"


def test_a_sound_that_is_pressed_twice_is_opened_once(page: Page, model: str) -> None:
    page.goto("/#/codes")
    page.locator("[data-test=open]").first.dblclick()
    page.locator(".grid-place canvas").wait_for()
    assert len(page.request.get("/api/codes/sheets").json()) == 1


def test_several_models_are_imported_into_an_empty_library(
    page: Page, until: Callable[..., None], model_files: Path, tmp_path: Path
) -> None:
    """Guards against what is left of the import when the first of them has come, and the page looks different."""
    (tmp_path / "wrong.distill").write_text("no model")
    page.goto("/#/library")
    files = [model_files / "tiny.distill", model_files / "other.distill"]
    held: list[Route] = []
    page.route("**/api/uploads/models/*", lambda route: held.append(route))
    page.get_by_label("Model files to import").set_input_files(files)
    for number in (1, 2):
        expect(page.get_by_role("button", name=f"Importing {number} of 2 …")).to_be_disabled()
        until(page, lambda number=number: len(held) >= number)  # the page says so before it asks
        held[number - 1].continue_()
    page.unroute("**/api/uploads/models/*")
    expect(page.locator(".message")).to_contain_text("2 models are in the library")
    expect(page.locator("table.models tbody tr")).to_have_count(2)
    page.get_by_label("Model files to import").set_input_files([tmp_path / "wrong.distill"])
    expect(page.locator(".message.bad")).to_contain_text("wrong")


def test_enter_renames(page: Page, until: Callable[..., None], model: str) -> None:
    page.goto(f"/#/library/{model}")
    page.get_by_role("button", name="Rename this model").click()
    field = page.get_by_label("Name of this model")
    field.fill("rain")
    held: list[Route] = []
    page.route("**/rename", lambda route: held.append(route))
    page.keyboard.press("Enter")
    expect(field).not_to_be_editable()
    until(page, lambda: bool(held))  # the page shows it before it asks
    held[0].continue_()
    expect(page.get_by_role("heading", name="rain")).to_be_visible()


def test_a_tab_that_could_not_be_loaded_comes_when_the_server_does(page: Page) -> None:
    page.goto("/#/recordings")
    expect(page.get_by_role("heading", name="What should Distill learn from?")).to_be_visible()
    page.route("**/*", lambda route: route.abort())
    page.get_by_role("link", name="Library").click()
    expect(page.get_by_text("This tab could not be loaded")).to_be_visible()
    expect(page.locator(".now.gone")).to_be_visible()
    page.unroute("**/*")
    expect(page.get_by_role("heading", name="No models yet")).to_be_visible()


def test_a_recording_that_is_not_on_this_computer_is_said_to_be_so(page: Page, model: str) -> None:
    """Guards against the number by which the page calls a model, in words that nobody can read on a black ground."""
    page.goto(f"/#/generate/{model}")
    page.get_by_text("Infill", exact=True).click()
    page.get_by_label("Recording", exact=True).select_option(label="take-1.wav")
    gone = page.locator(".pick .wrong")
    expect(gone).to_have_text(
        "take-1.wav is not where it was. It was moved or deleted; put it back, or choose another one."
    )
    assert gone.evaluate("(one) => getComputedStyle(one).backgroundColor") != "rgba(0, 0, 0, 0)"
    page.get_by_text("Piece", exact=True).click()
    expect(page.get_by_text("Go on from")).to_have_text("Go on from take-1.wav")
    expect(page.get_by_label("Play take-1.wav", exact=True)).to_be_visible()


def test_the_name_of_a_preset_is_as_long_as_it_may_be(page: Page, model: str) -> None:
    page.goto(f"/#/generate/{model}")
    page.locator("summary", has_text="Presets").click()
    name = page.get_by_label("Name of the preset")
    name.press_sequentially("long " * 13)
    assert len(name.input_value()) == 60
    page.get_by_role("button", name="Keep these").click()
    expect(page.locator(".presets .row button").first).to_contain_text("long long")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_message_can_be_read_also_under_the_mouse(page: Page, made: Callable[..., str], theme: Any) -> None:
    """Guards against a button in the colours of the page on a message, which has the opposite ones."""
    page.emulate_media(color_scheme=theme)
    page.goto(made(kind="audio"))
    page.locator("article.piece").get_by_label("More to do with").click()
    page.locator("article.piece").get_by_role("button", name="Delete").click()
    undo = page.locator(".message button", has_text="Undo")
    for button in (page.locator(".message button[aria-label=Dismiss]"), undo):
        button.hover()
        ratio = """(button) => {
            const light = (colour) => {
                const canvas = document.createElement("canvas").getContext("2d");
                canvas.fillStyle = colour;
                canvas.fillRect(0, 0, 1, 1);
                const linear = (one) => (one <= 10.3 ? one / 3295 : ((one / 255 + 0.055) / 1.055) ** 2.4);
                const [red, green, blue] = [...canvas.getImageData(0, 0, 1, 1).data].map(linear);
                return 0.05 + 0.2126 * red + 0.7152 * green + 0.0722 * blue;
            };
            const style = getComputedStyle(button);
            const [one, other] = [light(style.color), light(style.backgroundColor)];
            return Math.max(one, other) / Math.min(one, other);
        }"""
        assert button.evaluate(ratio) > 4.5
    undo.click()


def test_another_model_in_place_of_one_that_is_gone_is_said_to_be_one(
    page: Page, model: str, model_files: Path, tmp_path: Path
) -> None:
    """Guards against new sound of a model that nobody asked for."""
    lost = Path(shutil.copy(model_files / "other.distill", tmp_path / "lost.distill"))
    gone = places.model_id(Library(lambda _: None).note_model(lost))
    lost.unlink()
    said = page.get_by_text("tiny is shown instead.")
    for address, why in ((gone, "The file of lost is gone."), ("0" * 12, "That model is not in the library any more.")):
        page.goto(f"/#/generate/{address}")
        expect(said).to_contain_text(why)
    page.goto(f"/#/generate/{model}")
    expect(said).to_have_count(0)


def test_the_trash_is_emptied_after_a_question(page: Page, made: Callable[..., str]) -> None:
    """Guards against a disk that only a terminal makes room on, and against a slip that cannot be undone."""
    page.goto(made(kind="audio"))
    page.locator("article.piece").get_by_label("More to do with").click()
    page.locator("article.piece").get_by_role("button", name="Delete").click()
    page.goto("/#/library")
    page.locator("summary", has_text="Trash (1)").click()
    asks = page.get_by_role("button", name="Empty the trash")
    asks.click()
    dialog = page.get_by_role("dialog", name="Empty the trash?")
    expect(dialog).to_contain_text("tiny-0, ")
    expect(dialog.get_by_role("button", name="Keep", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(asks).to_be_focused()
    asks.click()
    dialog.get_by_role("button", name="Delete for good").click()
    expect(page.locator("summary", has_text="Trash")).to_have_count(0)
    expect(page.locator(".message")).to_contain_text("The trash is empty")
