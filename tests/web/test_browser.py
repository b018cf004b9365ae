"""The page in a real browser, from an empty library to a kept piece, with every other place refused.

Needs Debian's chromium (``apt-get install chromium``); ``-m "not browser"`` leaves these out.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect  # noqa: E402

from distill.runs.process import lives  # noqa: E402

pytestmark = pytest.mark.browser

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HOW_TO_GET_IT = "There is no Chromium here. Install it with: apt-get install chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
FLAGS += ["--autoplay-policy=no-user-gesture-required"]
LONG_MS = 240_000
"""Training takes its time on a shared machine."""


class Server:
    """``distill ui`` as a person starts it, with a home of its own."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.page, self._home = f"http://127.0.0.1:{self.port}", home
        self.start()

    def start(self) -> None:
        words = [sys.executable, "-m", "distill.cli.app", "ui", "--port", str(self.port), "--no-open"]
        environment = {**os.environ, "DISTILL_HOME": str(self._home)}
        self._process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{self.page}/api/about").close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        pytest.fail("The server does not answer.")

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def end(self) -> None:
        """With all that it began, which would outlive it."""
        self.kill()
        for note in self._home.glob("jobs/*/*.json"):
            told = json.loads(note.read_bytes())
            for process in (told if note.name == "process.json" else None, told.get("process")):
                if process is not None and lives(process):
                    os.kill(process["pid"], signal.SIGKILL)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("browser"))
    yield made
    made.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        if os.environ.get("CI") == "true":
            pytest.fail(HOW_TO_GET_IT)
        pytest.skip(HOW_TO_GET_IT)
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def asked() -> list[str]:
    """Every address that the page asked for."""
    return []


@pytest.fixture
def context(browser: Browser, server: Server, asked: list[str]) -> Iterator[BrowserContext]:
    """A window in which every place but the server is refused, and told."""
    window = browser.new_context(base_url=server.page, accept_downloads=True)

    def judge(route: Route) -> None:
        asked.append(route.request.url)
        if route.request.url.startswith((f"{server.page}/", "data:", "blob:")):
            route.continue_()
        else:
            route.abort()

    window.route("**/*", judge)
    yield window
    window.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A tab that fails on any error in the page's own code."""
    opened, wrong = context.new_page(), []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
    opened.set_default_timeout(30_000)
    yield opened
    assert wrong == []


def run_is(page: Page, state: str) -> None:
    expect(page.locator(f'.run[data-state="{state}"]')).to_be_visible(timeout=LONG_MS)


def loudest(page: Page, piece: str) -> float:
    """The loudest sample of a piece, as the browser decodes it."""
    return float(
        page.evaluate(
            """async (piece) => {
                const got = await fetch(`/api/sound/audio?ref=piece:${piece}`);
                const sound = await new OfflineAudioContext(1, 1, 48000).decodeAudioData(await got.arrayBuffer());
                return sound.getChannelData(0).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
            }""",
            piece,
        )
    )


def test_from_an_empty_library_to_a_kept_piece(
    page: Page, context: BrowserContext, server: Server, asked: list[str]
) -> None:
    """The whole way, with a reload, a second tab, a killed server, a stop and a going on in the middle of it."""
    page.goto("/")
    for tab in ("train", "generate", "library", "recordings"):
        page.goto(f"/#/{tab}")
        expect(page.locator(".empty h2")).to_be_visible()
    page.click("[data-test=demo]")
    expect(page.locator("table.recordings tbody tr")).to_have_count(21, timeout=LONG_MS)
    assert page.locator("td.verdict .badge.good").count() == 21

    page.click("[data-test=to-train]")
    page.fill("[data-test=minutes]", "0.5")
    page.click("summary:has-text('Advanced')")
    page.get_by_label("First pieces").fill("2")
    page.get_by_label("Seconds each").fill("2")
    page.click("[data-test=train]")
    run_is(page, "running")
    loss = page.locator(".chart .key b").first
    expect(loss).to_be_visible(timeout=LONG_MS)
    before = loss.inner_text()
    expect(loss).not_to_have_text(before, timeout=LONG_MS)
    run = page.url.split("/")[-1]

    page.reload()
    run_is(page, "running")
    server.kill()
    server.start()
    second = context.new_page()
    second.goto(f"/#/train/{run}")
    run_is(second, "running")
    expect(page.locator("[data-test=left]")).to_contain_text("left in this stage")
    second.click("[data-test=stop]")
    run_is(page, "stopped")
    run_is(second, "stopped")

    page.click("[data-test=resume]")
    run_is(second, "running")
    second.close()
    run_is(page, "finished")
    page.click("[data-test=to-generate]", timeout=LONG_MS)
    pieces = page.locator("article.piece")
    expect(pieces).to_have_count(2, timeout=LONG_MS)

    page.get_by_label("Seconds", exact=True).fill("2")
    page.get_by_label("Pieces", exact=True).fill("1")
    page.click("[data-test=make]")
    expect(pieces).to_have_count(3, timeout=LONG_MS)
    newest = pieces.first
    number = newest.get_attribute("data-piece") or ""
    assert loudest(page, number) > 0.01
    newest.locator(".play").click()
    page.wait_for_function(
        """() => {
            const one = document.getElementById("player");
            return Math.abs(one.duration - 2) < 0.02 && one.currentTime > 0.2;
        }"""
    )
    newest.locator(".origin button").first.click()
    expect(newest.locator(".told")).to_contain_text("0 s:")

    page.goto("/#/library")
    page.click("table.models th a")
    with page.expect_download() as download:
        page.click("text=Export")
    assert download.value.suggested_filename == "demo.distill"
    assert Path(download.value.path()).stat().st_size > 1_000_000
    page.click("[data-test=delete]")
    expect(page.locator(".empty h2")).to_have_text("No models yet")
    page.click(".message button:has-text('Undo')")
    expect(page.locator("table.models th a")).to_have_text("demo")
    assert [address for address in asked if not address.startswith((server.page, "blob:", "data:"))] == []


def test_the_first_load_is_small(page: Page, asked: list[str], server: Server) -> None:
    sizes: list[int] = []
    page.on("response", lambda answer: sizes.append(int(answer.headers.get("content-length", "0"))))
    page.goto("/")
    expect(page.locator("main h2").first).to_be_visible()
    assert len(asked) <= 20, asked
    assert sum(sizes) < 400_000


def test_another_page_reaches_nothing(browser: Browser, server: Server) -> None:
    """What a page from elsewhere can try, with a browser's own headers."""
    before = urllib.request.urlopen(f"{server.page}/api/collections").read()
    window = browser.new_context()
    foreign = window.new_page()
    body = "<title>elsewhere</title>"
    foreign.route("http://evil.localhost/", lambda route: route.fulfill(body=body, content_type="text/html"))
    foreign.goto("http://evil.localhost/")
    told = foreign.evaluate(
        """async (page) => {
            const posted = { method: "POST", mode: "no-cors", body: '{"name": "x"}' };
            const tries = [["/api/models", {}], ["/api/collections/new", posted]];
            const ask = ([path, options]) => fetch(page + path, options).then((answer) => answer.type, () => "refused");
            return Promise.all(tries.map(ask));
        }""",
        server.page,
    )
    window.close()
    assert told[0] == "refused"
    assert told[1] in ("refused", "opaque")  # an opaque answer tells nothing; what counts is that nothing was done
    assert urllib.request.urlopen(f"{server.page}/api/collections").read() == before
