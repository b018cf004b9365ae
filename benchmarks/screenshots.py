"""Pictures of every tab of the dashboard, in both widths and both themes, into docs/images.

    python benchmarks/screenshots.py --minutes 2

Learns the demo corpus in a home of its own, and takes the picture of Train while it does; needs Debian's chromium. With
``--home`` a Distill folder that holds a model already is shown, without training.
"""

import argparse
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

WIDTHS = {"": (1280, 860), "-narrow": (390, 844)}
THEMES = {"": "light", "-dark": "dark"}
TABS = ("recordings", "train", "generate", "codes", "library")
LARGEST = 150_000
"""Bytes."""
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def ask(page: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """What the server answers, asked as a program of this computer."""
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{page}/api{path}", content, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def until(found: Any, seconds: float = 900.0) -> Any:
    """Waits for something to be so."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            if told := found():
                return told
        except OSError:
            pass  # the server is not up yet
        time.sleep(0.5)
    raise SystemExit("It did not happen in time.")


def keep(picture: Image.Image, path: Path) -> None:
    """Writes a picture, with fewer colours where it would be large."""
    picture.save(path, optimize=True)
    if path.stat().st_size > LARGEST:
        picture.quantize(256, Image.Quantize.MAXCOVERAGE).save(path, optimize=True)


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
            shown.wait_for_timeout(3000)
            keep(Image.open(io.BytesIO(shown.screenshot())).convert("RGB"), out / f"{tab}{narrow}{dark}.png")
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


def main(minutes: float, home: Path, out: Path, is_trained: bool) -> None:
    """Starts a server, trains unless there is a model, and takes the pictures."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    page, environment = f"http://127.0.0.1:{port}", {**os.environ, "DISTILL_HOME": str(home)}
    server = subprocess.Popen(
        [sys.executable, "-m", "distill.cli.app", "ui", "--no-open", "--port", str(port)], env=environment
    )
    try:
        until(lambda: ask(page, "/about"))
        with sync_playwright() as started:
            browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            if not is_trained:
                one = ask(page, "/collections/demo", {})["id"]
                ask(page, f"/collections/{one}/check", {})
                until(lambda: ask(page, f"/collections/{one}")["report"])
                job = ask(page, "/train", {"collection": one, "minutes": minutes})["id"]
                until(lambda: (ask(page, "/now") or {}).get("title", "").startswith("Prior"), 120 * minutes)
                time.sleep(10 * minutes)
                shoot(browser, page, "train", out)
                until(lambda: ask(page, f"/jobs/{job}")["state"] == "finished", 240 * minutes)
            for tab in TABS:
                if tab != "train" or is_trained:
                    shoot(browser, page, tab, out)
            browser.close()
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "images")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as own:
        main(given.minutes, given.home or Path(own), given.out, given.home is not None)
