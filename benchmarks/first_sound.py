"""How long somebody waits for new sound who opens the page with nothing there, and presses the demo.

    python benchmarks/first_sound.py

Starts ``distill ui`` with a library of its own, and does in Debian's chromium what a newcomer does: the demo corpus, then
Train with the minutes that are offered. Prints the seconds from the first press to

    recordings   the demo's recordings are there and checked
    heard        the first moment of the training can be heard: a recording, and how it comes back from the codec by now
    first piece  new sound can be played
"""

import shutil
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from dashboard import FLAGS, ending_runs, serving

LONGEST_MS = 1_800_000.0


def walk(address: str) -> None:
    """Presses what a newcomer presses, and says when what is waited for is there."""
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.set_default_timeout(LONGEST_MS)
        page.goto(address)
        page.locator("[data-test=demo]").wait_for()
        began = time.monotonic()

        def tell(what: str) -> None:
            print(f"{what:12}{time.monotonic() - began:7.1f} s", flush=True)

        page.click("[data-test=demo]")
        page.locator("[data-test=to-train]:not([disabled])").wait_for()
        tell("recordings")
        page.click("[data-test=to-train]")
        page.click("[data-test=train]")
        page.locator(".listening .pair .play").nth(1).wait_for()
        tell("heard")
        page.locator("article.piece .play").first.wait_for()
        tell("first piece")
        browser.close()


def main() -> None:
    """Starts the server, walks through the page, and stops it."""
    with tempfile.TemporaryDirectory() as home, serving(Path(home)) as (page, _), ending_runs(page):
        walk(page)


if __name__ == "__main__":
    main()
