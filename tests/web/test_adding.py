"""Adding recordings on the page: what is said of a drop that holds nothing, of what failed, and of a server that is silent.

Needs Debian's chromium (``apt-get install chromium``); ``-m "not browser"`` leaves these out.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, Route, expect

from distill.web import places

pytestmark = pytest.mark.browser

DROP = """names => {
    const dataTransfer = new DataTransfer();
    for (const name of names) dataTransfer.items.add(new File(["words"], name));
    document.querySelector(".drop").dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
}"""


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "That holds no files."),
        (["notes.txt"], "notes.txt is not audio, going by its name."),
        (["notes.txt", "cover.jpg"], "None of these 2 files is audio, going by their names."),
    ],
)
def test_a_drop_of_which_nothing_can_be_taken_is_answered(page: Page, names: list[str], words: str) -> None:
    """Guards against an empty folder that is dropped, and nothing at all happens."""
    page.goto("/#/recordings")
    page.locator(".drop").wait_for()
    page.evaluate(DROP, names)
    expect(page.locator(".message")).to_contain_text(words)
    assert places.collections() == []


FOLDERS = """tree => {
    const entry = (name, held) => (typeof held === "string"
        ? { name, isFile: true, isDirectory: false, file: (done) => done(new File([held], name)) }
        : { name, isFile: false, isDirectory: true, createReader: () => {
            const parts = [Object.entries(held).map(([one, more]) => entry(one, more)), []];
            return { readEntries: (done) => done(parts.shift()) };
        } });
    const items = Object.entries(tree).map(([name, held]) => ({ webkitGetAsEntry: () => entry(name, held) }));
    const drop = new Event("drop", { bubbles: true, cancelable: true });
    document.querySelector(".drop").dispatchEvent(Object.assign(drop, { dataTransfer: { items, files: [], types: [] } }));
}"""


def kept(name: str) -> list[str]:
    """What was copied into one of Distill's own folders."""
    folder = places.own_recordings() / name
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.wav"))


def test_a_folder_that_is_dropped_keeps_its_folders(page: Page) -> None:
    """Guards against two takes of one name from two folders, one of them called x-2.wav."""
    page.goto("/#/recordings")
    page.locator(".drop").wait_for()
    drums = {"kick": {"x.wav": "one", "deep": {"x.wav": "two"}}, "x.wav": "three"}
    page.evaluate(FOLDERS, {"drums": {**drums, ".trash": {"x.wav": "no"}, ".x.wav": "no"}})
    expect(page.locator(".message")).to_contain_text("3 files copied")
    assert kept("drums") == ["kick/deep/x.wav", "kick/x.wav", "x.wav"]
    page.wait_for_url("**/#/recordings/drums-*")
    page.locator(".drop").wait_for()
    page.evaluate(FOLDERS, {"more": {"x.wav": "four"}, "x.wav": "five"})  # to the folder that is there now
    expect(page.locator(".message")).to_contain_text("2 files copied")
    assert kept("drums") == ["kick/deep/x.wav", "kick/x.wav", "more/x.wav", "x-2.wav", "x.wav"]


def test_a_folder_that_is_chosen_keeps_its_folders(page: Page, small_corpus: Path, tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    for name in ("kick", "snare"):
        (pack / name).mkdir(parents=True)
        shutil.copy(small_corpus / "take-0.wav", pack / name / "x.wav")
    page.goto("/#/recordings")
    page.get_by_label("Recordings: a folder").set_input_files(pack)
    expect(page.locator(".message")).to_contain_text("2 files copied")
    assert kept("pack") == ["kick/x.wav", "snare/x.wav"]


def test_what_went_wrong_is_not_said_any_longer_when_it_went_well(page: Page, small_corpus: Path) -> None:
    page.goto("/#/recordings")
    page.get_by_label("Or use a folder where it is").fill("/nowhere/at/all")
    page.get_by_role("button", name="Add folder").click()
    expect(page.locator(".message.bad")).to_contain_text("There is no folder")
    page.get_by_label("Or use a folder where it is").fill(str(small_corpus))
    page.get_by_role("button", name="Add folder").click()
    expect(page.get_by_role("heading", name="small")).to_be_visible()
    expect(page.locator(".message.bad")).to_have_count(0)


def test_no_other_folder_is_shown_before_the_one_that_was_added(page: Page, small_corpus: Path, tmp_path: Path) -> None:
    """Guards against a flash of the folder that was looked at last."""
    before = places.add_collection(Path(shutil.copytree(small_corpus, tmp_path / "before")))
    page.goto(f"/#/recordings/{before.id}")
    page.get_by_role("button", name="Add a folder").click()
    page.get_by_label("Or use a folder where it is").fill(str(small_corpus))
    page.evaluate("""() => {
        window.shown = new Set();
        const look = () => { for (const one of document.querySelectorAll("main h2")) shown.add(one.textContent); };
        const all = { childList: true, subtree: true, characterData: true };
        new MutationObserver(look).observe(document.querySelector("main"), all);
    }""")
    page.get_by_role("button", name="Add folder", exact=True).click()
    expect(page.get_by_role("heading", name="small")).to_be_visible()
    assert page.evaluate("() => [...shown]") == ["Add recordings", "small"]
    page.get_by_role("button", name="Add a folder").click()
    page.get_by_label("Or use a folder where it is").fill(str(small_corpus))
    page.get_by_role("button", name="Add folder", exact=True).click()  # the same once more
    expect(page.get_by_role("heading", name="small")).to_be_visible()


def test_a_silent_server_is_said_once_and_only_as_long_as_it_is_silent(page: Page) -> None:
    """Guards against the same sentence twice, and against one that stays when all is well again."""
    page.goto("/#/recordings")
    demo = page.locator("[data-test=demo]")
    demo.wait_for()

    def silent(route: Route) -> None:
        route.abort()

    page.route("**/api/**", silent)
    expect(page.locator(".message.bad")).to_have_count(1)
    demo.click()
    expect(demo).to_have_attribute("aria-busy", "false")
    expect(page.locator(".message.bad")).to_have_count(1)
    page.unroute("**/api/**", silent)
    expect(page.locator(".now.gone")).to_have_count(0)
    expect(page.locator(".message.bad")).to_have_count(0, timeout=3000)


def test_whoever_leaves_while_files_are_copied_is_asked_first(
    page: Page, until: Callable[..., None], small_corpus: Path
) -> None:
    """Guards against half a folder, learned from without a word, after a reload."""
    held: list[Route] = []
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.route("**/api/uploads/recordings/**", lambda route: held.append(route))
    page.goto("/#/recordings")
    page.get_by_label("Recordings", exact=True).set_input_files([small_corpus / f"take-{one}.wav" for one in range(2)])
    page.get_by_role("status").filter(has_text="Copying 1 of 2").click()
    with page.expect_event("dialog"):
        page.close(run_before_unload=True)
    assert asked == ["beforeunload"]
    for number in range(2):
        until(page, lambda number=number: len(held) > number)
        held[number].continue_()
    expect(page.locator(".message")).to_contain_text("2 files copied")


def test_a_file_that_cannot_be_read_any_more_is_named(
    page: Page, until: Callable[..., None], small_corpus: Path, tmp_path: Path
) -> None:
    """Guards against "Distill does not answer", which a browser's error says of a stick that was pulled out, too."""
    takes = [Path(shutil.copy(small_corpus / f"take-{one}.wav", tmp_path)) for one in range(2)]
    held: list[Route] = []
    page.route("**/api/uploads/recordings/**", lambda route: route.continue_() if held else held.append(route))
    page.goto("/#/recordings")
    page.get_by_label("Recordings", exact=True).set_input_files(takes)
    until(page, lambda: bool(held))
    takes[1].unlink()
    held[0].continue_()
    said = "1 of 2 files could not be copied. take-1.wav cannot be read (any more)."
    expect(page.locator(".message.bad")).to_have_text(re.compile(re.escape(said)))
    assert kept("recordings") == ["take-0.wav"]


def test_whoever_goes_elsewhere_while_files_are_copied_stays_there_and_sees_how_far_it_is(
    page: Page, until: Callable[..., None], small_corpus: Path
) -> None:
    """Guards against a page that jumps back by itself, and against a second copy that is begun as the first cannot be seen."""
    held: list[Route] = []
    page.route("**/api/uploads/recordings/**", lambda route: held.append(route))
    page.goto("/#/recordings")
    page.get_by_label("Recordings", exact=True).set_input_files([small_corpus / f"take-{one}.wav" for one in range(2)])
    until(page, lambda: bool(held))
    page.get_by_role("link", name="Library", exact=True).click()
    expect(page.get_by_role("heading", name="No models yet")).to_be_visible()
    page.get_by_role("link", name="Recordings", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="Copying 1 of 2")).to_be_visible()
    expect(page.get_by_role("button", name="Choose files")).to_be_disabled()
    page.get_by_role("link", name="Library", exact=True).click()
    for number in range(2):
        until(page, lambda number=number: len(held) > number)
        held[number].continue_()
    expect(page.locator(".message")).to_contain_text("2 files copied")
    page.wait_for_timeout(300)
    expect(page).to_have_url(re.compile("#/library$"))
