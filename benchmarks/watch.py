"""Watches the page that watches a training: whether the browser or the server grow while nobody touches them.

    python benchmarks/watch.py --minutes 120 --out watch.tsv

Starts ``distill ui`` with a library of its own, trains the demo corpus for that long (two thirds codec, one
third prior), leaves the tab Train open in Debian's chromium, and notes every five minutes, after a garbage collection:

    heap_mb      JavaScript's heap
    nodes        DOM nodes, those kept alive by a script among them
    listeners    event listeners
    renderer_mb  the resident memory of the process that draws the page, its canvases and graphs too
    server_mb    the resident memory of the server; the training is a process of its own and not in it
    steps        how far the training is, so that one sees that the page had something to show

Chromium is started by itself, and looked into only for the moment of each row: while its developer tools are attached, it
keeps every answer that the page gets for them, and grows by that. Each look itself leaves 0.2 MB of contexts of those tools in
the page (ten looks within five seconds: 2.0 MB), so there are few: ``--every``. Every row is written at once. At the end each
column's first and last third are compared: what grows steadily grows there.
"""

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, Page, sync_playwright

from dashboard import FLAGS, ask, ending_runs, free_port, serving, until
from screenshots import begin

COLUMNS = ("heap_mb", "nodes", "listeners", "renderer_mb", "server_mb")


def resident_mb(pid: int) -> float:
    """What a process holds in memory now, in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextlib.contextmanager
def looked_at(port: int) -> Iterator[tuple[Page, CDPSession, CDPSession]]:
    """The page in the browser that listens on this port, with its developer tools and the browser's, for a moment."""
    with sync_playwright() as started:
        browser = started.chromium.connect_over_cdp(f"http://127.0.0.1:{port}")
        page = browser.contexts[0].pages[0]
        yield page, page.context.new_cdp_session(page), browser.new_browser_cdp_session()
        browser.close()  # only the connection


def renderers_mb(asks: CDPSession) -> float:
    """What the processes that draw pages hold, in MB."""
    told = asks.send("SystemInfo.getProcessInfo")["processInfo"]
    return sum(resident_mb(one["id"]) for one in told if one["type"] == "renderer")


def counted(port: int) -> dict[str, float]:
    """Heap, nodes and listeners of the page, and what draws it, after a collection.

    Raises:
        SystemExit: if the page went wrong meanwhile.
    """
    with looked_at(port) as (page, asks, asks_browser):
        asks.send("Performance.enable")
        asks.send("HeapProfiler.collectGarbage")
        told = {one["name"]: one["value"] for one in asks.send("Performance.getMetrics")["metrics"]}
        if wrong := page.evaluate("() => window.wrong"):
            raise SystemExit(f"The page went wrong: {wrong}")
        return {
            "heap_mb": told["JSHeapUsedSize"] / 1e6,
            "nodes": told["Nodes"],
            "listeners": told["JSEventListeners"],
            "renderer_mb": renderers_mb(asks_browser),
        }


def summary(rows: list[dict[str, float]]) -> str:
    """The median of the first third and of the last, a line a column; the first five minutes are left out of the first."""
    begun = [row for row in rows if row["minute"] >= 5] or rows
    third = max(1, len(begun) // 3)
    lines = [f"{'':12}{'first third':>14}{'last third':>14}{'most':>10}"]
    for name in COLUMNS:
        first, last = (statistics.median(row[name] for row in part) for part in (begun[:third], begun[-third:]))
        lines.append(f"{name:12}{first:14.1f}{last:14.1f}{max(row[name] for row in rows):10.1f}")
    return "\n".join(lines)


def watch(page: str, server: int, minutes: float, every: float, home: Path, out: Path) -> list[dict[str, float]]:
    """Trains, looks every so many minutes, and notes a row each time."""
    begin(page, minutes)
    run = until(lambda: next((one["name"] for one in ask(page, "/runs")["runs"]), None))
    port = free_port()
    words = [*FLAGS, "--headless=new", "--window-size=1280,860", f"--remote-debugging-port={port}"]
    words += [f"--user-data-dir={home / 'chromium'}", f"{page}/#/train/{run}"]
    browser = subprocess.Popen([str(shutil.which("chromium")), *words], stderr=subprocess.DEVNULL)
    rows: list[dict[str, float]] = []
    try:
        until(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/json/version"))
        with looked_at(port) as (shown, _, _):
            shown.locator(".run[data-state=running]").wait_for(timeout=120_000)
            shown.evaluate("() => addEventListener('error', (event) => { window.wrong ??= event.message; })")
        started = time.monotonic()
        with out.open("w") as file:
            print("minute", *COLUMNS, "steps", "stage", sep="\t", file=file, flush=True)
            while (minute := (time.monotonic() - started) / 60) < minutes:
                row: dict[str, Any] = {"minute": minute, **counted(port), "server_mb": resident_mb(server)}
                run_now = ask(page, f"/runs/{run}")
                steps = sum(stage["step"] for stage in run_now["stages"])
                rows.append(row)
                cells = [f"{minute:.1f}", *(f"{row[name]:.1f}" for name in COLUMNS), str(steps), run_now["stage"]]
                print(*cells, sep="\t", file=file, flush=True)
                time.sleep(max(0.0, started + 60 * every * len(rows) - time.monotonic()))
    finally:
        browser.terminate()
        browser.wait()
    return rows


def main(minutes: float, every: float, home: Path, out: Path) -> None:
    """Starts the server and the browser, watches, and tells."""
    with serving(home) as (page, server), ending_runs(page):
        print(summary(watch(page, server, minutes, every, home, out)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--every", type=float, default=5.0, help="minutes from one look to the next")
    parser.add_argument("--out", type=Path, default=Path("watch.tsv"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as own:
        main(given.minutes, given.every, Path(own), given.out)
