"""Pictures of every tab of the dashboard, in both widths and both themes; pages show two of them, from docs/images.

    python benchmarks/screenshots.py --minutes 4
    python benchmarks/screenshots.py --home FOLDER [--minutes 0.5]
    python benchmarks/screenshots.py --report loops-distilled/loops-report.html

Learns the demo corpus in a home of its own; needs Debian's chromium. Train is shown while the prior learns: the training stands
still meanwhile, so that all four pictures are of one moment. Everything else is shown once all of it is done. The pictures
are as the browser draws them, in all their colours. With ``--home`` a Distill folder that holds a model already is shown;
with ``--minutes`` too its prior goes on for so long. With ``--report`` only the top of that
report is taken, as docs/report.png.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from dashboard import FLAGS, ask, serving, until

DOCS = Path(__file__).parents[1] / "docs"
WIDTHS = {"": (1280, 860), "-narrow": (390, 844)}
THEMES = {"": "light", "-dark": "dark"}
TABS = ("recordings", "train", "generate", "codes", "library")
REPORT_SIZE = (1200, 1930)
"""New audio and the first reconstructions."""
OVERLAID = "--enable-features=OverlayScrollbar"
"""Scroll bars are not in the pictures, so no room is kept for them: the margins would be unequal."""
LONGEST_S = 2400.0
STEPS = 5
"""Of the prior: by then there is a curve."""


@contextlib.contextmanager
def own_home() -> Iterator[Path]:
    """A home for as long as the block lasts. The page shows where it is, so its path is a plain one, without chance letters."""
    home = Path(tempfile.gettempdir()) / "distill"
    home.mkdir()
    try:
        yield home
    finally:
        shutil.rmtree(home)


@contextlib.contextmanager
def standing_still(home: Path) -> Iterator[None]:
    """The training that began last is halted within, and goes on after it."""
    note = max(home.glob("runs/*/*-2*.json"), key=lambda path: path.stat().st_mtime)
    pid = json.loads(note.read_bytes())["process"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def shoot(browser: Browser, page: str, tab: str, out: Path) -> None:
    """One tab in all four ways."""
    for narrow, (width, height) in WIDTHS.items():
        for dark, theme in THEMES.items():
            size = {"width": width, "height": height}
            window = browser.new_context(viewport=size, color_scheme=theme)  # type: ignore[arg-type]
            shown: Page = window.new_page()
            shown.goto(f"{page}/#/{tab}")
            shown.wait_for_function("() => !document.querySelector('main[aria-busy], [aria-busy=true]:empty')")
            if tab == "codes":
                open_a_recording(shown)
            if tab == "library":
                shown.locator("table.models th a").first.click()
            if tab in ("generate", "library"):
                shown.locator("article.piece .origin button").first.wait_for()
            shown.mouse.move(0, 0)
            shown.wait_for_timeout(3000)
            shown.screenshot(path=out / f"{tab}{narrow}{dark}.png")
            window.close()


def open_a_recording(shown: Page) -> None:
    """The first recording as a grid, with something selected and drawn anew."""
    shown.locator("[data-test=open]").first.click()
    grid = shown.locator(".grid-place canvas")
    grid.wait_for()
    shown.wait_for_function("() => document.querySelector('.grid-place canvas').drawTimes.length > 0")
    box = grid.bounding_box()
    assert box is not None
    x, y, wide = box["x"], box["y"], box["width"]
    shown.mouse.move(x + 0.2 * wide, y + 90)
    shown.mouse.down()
    shown.mouse.move(x + 0.5 * wide, y + 130, steps=5)
    shown.mouse.up()
    shown.locator("[data-test=reimagine]").click()
    shown.locator(".proposals").wait_for(timeout=120_000)
    shown.evaluate("scrollTo(0, 0)")


def is_telling(page: str) -> bool:
    """Whether the newest run is at work and has something to show: a curve of its prior."""
    for run in ask(page, "/runs")["runs"][:1]:
        events = ask(page, f"/runs/{run['name']}/events?stage=prior")["events"]
        steps = sum(event["event"] == "PriorStepMetrics" for event in events)
        return run["state"] == "running" and run["stage"] == "prior" and steps >= STEPS
    return False


def begin(page: str, minutes: float) -> str:
    """Begins a training, on the demo corpus where there is no model; where there is one, its prior goes on. Gives the job."""
    runs = ask(page, "/runs")["runs"]
    if runs:
        return str(ask(page, f"/runs/{runs[0]['name']}/resume", {"minutes": minutes})["id"])
    one = ask(page, "/collections/demo", {})["id"]
    ask(page, f"/collections/{one}/check", {})
    until(lambda: ask(page, f"/collections/{one}")["report"])
    return str(ask(page, "/train", {"collection": one, "minutes": minutes})["id"])


def main(minutes: float | None, home: Path, out: Path) -> None:
    """Starts a server, trains if that is wanted, and takes the pictures."""
    with serving(home) as (page, _), sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=[*FLAGS, OVERLAID])
        if minutes is not None:
            job = begin(page, minutes)
            until(lambda: is_telling(page), LONGEST_S)
            with standing_still(home):
                shoot(browser, page, "train", out)
            until(lambda: ask(page, f"/jobs/{job}")["state"] == "finished", LONGEST_S)
        for tab in TABS:
            if tab != "train" or minutes is None:
                shoot(browser, page, tab, out)
        browser.close()


def shoot_report(report: Path, out: Path) -> None:
    """The top of a run's report, once its spectrograms are drawn."""
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        page = browser.new_page(viewport={"width": REPORT_SIZE[0], "height": REPORT_SIZE[1]})
        page.goto(report.absolute().as_uri(), wait_until="load")
        page.screenshot(path=out)
        browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--out", type=Path, default=Path("screenshots"))
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    if given.report is not None:
        shoot_report(given.report, DOCS / "report.png")
        raise SystemExit
    with contextlib.nullcontext(given.home) if given.home else own_home() as home:
        main(given.minutes or (None if given.home else 4.0), home, given.out)
