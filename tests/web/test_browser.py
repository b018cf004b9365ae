"""The page in a real browser, from an empty library to a kept piece, with every other place refused.

Needs Debian's chromium (``apt-get install chromium``); ``-m "not browser"`` leaves these out.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

import small_distill
from distill.files.process import lives, this_process
from distill.library import Library, RunRecord
from distill.models.health import LevelHealth
from distill.runs.events import EventLog
from distill.training import metrics as m

pytestmark = pytest.mark.browser

PATIENCE_MS = 30_000
LONG_MS = 600_000
"""Training takes its time on a shared machine."""


class Server:
    """``distill ui`` as a person starts it, with a home of its own; what its jobs train is narrow, with short epochs."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.page, self.home = f"http://127.0.0.1:{self.port}", home
        narrow = small_distill.python_with(f"{sys.executable} -P {small_distill.__file__} --narrow", home)
        self._code = f"import sys; sys.executable = {str(narrow)!r}; from distill.cli.start import main; main()"
        self.start()

    def start(self) -> None:
        words = [sys.executable, "-c", self._code, "ui", "--port", str(self.port), "--no-open"]
        environment = {**os.environ, "DISTILL_HOME": str(self.home)}
        self._process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{self.page}/api/about").close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        self.end()
        pytest.fail("The server does not answer.")

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def end(self) -> None:
        """With all that it began, which would outlive it."""
        self.kill()
        for note in self.home.glob("jobs/*/*.json"):
            told = json.loads(note.read_bytes())
            for process in (told if note.name == "process.json" else None, told.get("process")):
                if process is not None and lives(process):
                    os.kill(process["pid"], signal.SIGKILL)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("browser"))
    yield made
    made.end()


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
    opened.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
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
    expect(page.locator(".empty h2, .first h2")).to_be_visible()
    assert len(set(asked)) <= 20, asked
    for tab in ("train", "generate", "library", "recordings"):
        page.goto(f"/#/{tab}")
        expect(page.locator(".empty h2, .first h2")).to_be_visible()
    page.click("[data-test=demo]")
    expect(page.locator("table.recordings tbody tr")).to_have_count(21, timeout=LONG_MS)
    assert page.locator("td.verdict .badge").count() == 21

    page.click("[data-test=to-train]")
    page.fill("[data-test=minutes]", "60")  # it is stopped long before
    page.click("summary:has-text('Advanced')")
    page.get_by_label("First pieces").fill("2")
    page.get_by_label("Seconds each").fill("2")
    page.click("[data-test=train]")
    run_is(page, "running")
    loss = page.locator(".chart .key b").first
    expect(loss).to_be_visible(timeout=LONG_MS)
    expect(loss).not_to_have_text(loss.inner_text(), timeout=LONG_MS)
    run = page.url.split("/")[-1]
    pair = page.locator(".listening .pair").first
    expect(pair.locator(".sound")).to_have_count(2, timeout=LONG_MS)  # comes with the first state that is saved
    pair.locator(".play").last.click()
    page.wait_for_function("() => document.getElementById('player').currentTime > 0.2")

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

    page.get_by_label("Minutes further").fill("0.1", timeout=LONG_MS)  # once all that it had to say is written
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

    for side, piece in (("A", newest), ("B", pieces.nth(1))):
        piece.get_by_role("button", name=f"Compare as {side}").click()
    expect(page.locator(".compare")).to_contain_text("levels matched")

    page.get_by_text("Infill", exact=True).click()
    expect(page.locator("[data-test=make]")).to_be_disabled()
    page.get_by_label("Recording", exact=True).select_option(index=1)
    marked = page.locator('.form .sound:not([data-seconds="0"]) .pane')
    expect(marked).to_be_visible()
    box = marked.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 20, steps=4)
    page.mouse.up()
    expect(page.locator("[data-test=make]")).to_be_enabled()
    begin, end = (float(page.get_by_label(edge, exact=True).input_value()) for edge in ("From, s", "To, s"))
    seconds = float(page.locator(".form .sound").get_attribute("data-seconds") or 0)
    assert abs(begin - 0.25 * seconds) < 0.1
    assert abs(end - 0.75 * seconds) < 0.1

    page.goto("/#/library")
    page.click("table.models th a")
    with page.expect_download() as download:
        page.click("summary:has-text('Export')")
        page.get_by_role("link", name="The model").click()
    assert download.value.suggested_filename == "demo.distill"
    assert Path(download.value.path()).stat().st_size > 1_000_000
    page.click("[data-test=delete]")
    expect(page.locator(".empty h2")).to_have_text("No models yet")
    page.click(".message button:has-text('Undo')")
    expect(page.locator("table.models th a")).to_have_text("demo")
    assert [address for address in asked if not address.startswith((server.page, "blob:", "data:"))] == []


@pytest.fixture
def alarmed(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run as a terminal would leave it on disk, whose process is this one and whose prior recites; the name of the run."""
    monkeypatch.setenv("DISTILL_HOME", str(server.home))
    folder = server.home / "runs" / "reciting-20260101-120000"
    levels = tuple(LevelHealth(level, use, 100 * use, 5) for level, use in enumerate((0.1, 0.45, 0.9, 1.0)))
    epoch = m.PriorEpochMetrics(
        1, 9, 1.2, 0.5, 1.6, 1.6, True, "It hesitates between only 1.6 of 64 codes.", 1.0, 0.001
    )
    with EventLog(folder / "codec.jsonl") as tell:
        tell(m.VQStepMetrics(1, 1, 9, 2.0, 2.0, 0.1, 0.001, 0.1, 4.0, 1.0, 0.0))
        tell(m.VQEpochMetrics(1, 1, 2.0, 1.9, 1.9, levels, "", 1.0, 0.001))
    with EventLog(folder / "prior.jsonl") as tell:
        tell(m.PriorStepMetrics(1, 7, 90, 1.2, 0.001, 0.1, 64, 0.08, 3600.0))
        tell(epoch)
    settings = {"num_quantizers": 4, "minutes": 60.0}
    for kind, started in (("codec", "2026-01-01T12:00:00.000000+00:00"), ("prior", "2026-01-01T12:30:00.000000+00:00")):
        model, events = str(server.home / "reciting.distill"), str(folder / f"{kind}.jsonl")
        Library(lambda _: None).save_run(
            RunRecord(kind, model, "/none", events, started, settings, process=this_process())
        )
    return folder.name


def test_the_alarm_rings_and_can_be_passed(page: Page, alarmed: str) -> None:
    page.goto(f"/#/train/{alarmed}")
    run_is(page, "running")
    alarm = page.get_by_role("alert", name="Memorization warning")
    expect(alarm).to_contain_text("hesitates between only 1.6 of 64 codes")
    expect(alarm.get_by_role("button", name="Stop and use best checkpoint")).to_be_visible()
    expect(page.locator("[data-test=left]")).to_contain_text("60 minutes left")
    expect(page.locator(".health .level.bad")).to_have_count(1)
    expect(page.locator(".health .level.warn")).to_have_count(1)
    expect(page.locator(".health .level.good")).to_have_count(2)
    expect(page.locator("figure").filter(has_text="Prior loss")).to_contain_text("they have not parted")
    alarm.get_by_role("button", name="Go on").click()
    expect(alarm).not_to_be_visible()
    page.reload()
    run_is(page, "running")
    expect(page.locator(".chart").first).to_be_visible()
    expect(alarm).not_to_be_visible()


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_jumps_while_it_learns(
    page: Page, server: Server, monkeypatch: pytest.MonkeyPatch, at_rest: Callable[[Page], None], width: int
) -> None:
    """Curves, figures and codebooks come one after the other, and what can be read already stays where it is."""
    monkeypatch.setenv("DISTILL_HOME", str(server.home))
    folder = server.home / "runs" / f"learning{width}-20260102-120000"
    uncounted, counted = (tuple(LevelHealth(level, use, 100 * use, 5) for level in range(4)) for use in (0.0, 0.5))
    heard = {"kept": 0.6, "cents": 4.0, "invented": 0.1, "movement": 1.0, "line": 2.0, "grain": -0.5}

    def begun(kind: str, hour: int) -> EventLog:
        model, log = str(server.home / f"learning{width}.distill"), folder / f"{kind}.jsonl"
        started, settings = f"2026-01-02T{hour}:00:00.000000+00:00", {"num_quantizers": 4}
        record = RunRecord(kind, model, "/none", str(log), started, settings, process=this_process())
        Library(lambda _: None).save_run(record)
        return EventLog(log)

    with begun("codec", 12) as tell:
        tell(m.VQStepMetrics(1, 1, 9, 2.0, 2.0, 0.1, 0.001, 0.1, 4.0, 0.1, 90.0))
        page.set_viewport_size({"width": width, "height": 860})
        page.goto(f"/#/train/{folder.name}")
        run_is(page, "running")
        expect(page.locator(".chart .key b").first).to_have_text("2.00")
        at_rest(page)  # or what is drawn late on a busy machine would be taken for a jump
        page.evaluate(
            """() => {
                window.jumps = [];
                const moved = ({ node, previousRect, currentRect }) => [node?.className, previousRect.y, currentRect.y];
                const note = ({ value, sources }) => jumps.push([value, ...sources.map(moved)]);
                new PerformanceObserver((seen) => seen.getEntries().forEach(note)).observe({ type: "layout-shift" });
            }"""
        )
        tell(m.VQStepMetrics(1, 2, 9, 1.9, 2.0, 0.1, 0.001, 0.1, 4.0, 0.2, 80.0))
        tell(m.VQEpochMetrics(1, 2, 2.0, 1.9, 1.9, uncounted, "", 1.0, 0.001, heard))
        expect(page.locator(".judged .value b")).to_have_count(6)
        tell(m.VQStepMetrics(2, 3, 9, 1.5, 2.0, 0.1, 0.001, 0.1, 4.0, 0.9, 9.0))
        tell(m.VQEpochMetrics(2, 2, 1.5, 1.4, 1.4, counted, "", 1.0, 0.001, {**heard, "kept": 0.7}))
        expect(page.locator(".health .level.warn")).to_have_count(4)
    with begun("prior", 13) as tell:
        tell(m.PriorStepMetrics(1, 1, 90, 4.0, 0.001, 0.1, 64, 0.1, 60.0))
        expect(page.locator(".chart")).to_have_count(3)
        tell(m.PriorEpochMetrics(1, 9, 4.0, 4.2, 66.7, 66.7, False, "", 1.0, 0.001))
        expect(page.locator("figure").filter(has_text="Prior loss")).to_contain_text("they are 0.20 apart now")
    page.wait_for_timeout(1000)
    jumps = page.evaluate("() => jumps")
    assert sum(value for value, *_ in jumps) < 0.02, jumps


def test_the_first_load_is_small(page: Page, asked: list[str], server: Server) -> None:
    sizes: list[int] = []
    page.on("response", lambda answer: sizes.append(int(answer.headers.get("content-length", "0"))))
    page.goto("/")
    expect(page.locator("main h2").first).to_be_visible()
    # The pictures of recordings come after it, one for each of those that are in sight.
    pictures = {one for one in asked if "/api/sound/look" in one}
    assert len(set(asked) - pictures) <= 20, asked
    assert len(pictures) <= 21
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
