"""The server is light: it never loads PyTorch, starts at once, stays small, and the page is small too."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

from distill.web.app import STATIC

HEAVY = {"torch", "matplotlib", "lightning_fabric", "vector_quantize_pytorch"}
FIRST = ("index.html", "style.css", "app.js", "parts.js", "store.js", "focus.js", "api.js", "icon.svg")


def test_the_server_never_loads_pytorch(small_corpus: Path) -> None:
    """Guards against half a gigabyte and seconds of waiting in a server that only reads."""
    code = f"""
import asyncio, sys
import httpx
from distill.web.app import create_app
from distill.web.guard import Door
async def all_of_it():
    transport = httpx.ASGITransport(app=create_app(Door()))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8765") as asks:
        one = (await asks.post("/api/collections", json={{"folder": {str(small_corpus)!r}}})).json()
        for path in ("/", "/api/openapi.json", "/api/collections", f"/api/collections/{{one['id']}}", "/api/runs", "/api/now",
                     "/api/models", "/api/pieces", "/api/trash", "/api/jobs", "/api/presets", "/api/damaged",
                     "/api/codes/closed",
                     f"/api/sound/look?ref=recording:{{one['id']}}/take-0.wav"):
            assert (await asks.get(path)).status_code == 200, path
asyncio.run(all_of_it())
from pathlib import Path
told = Path("/proc/self/status")
lines = told.read_text().splitlines() if told.exists() else ["VmRSS: 0"]
sys.stdout.write(" ".join(sys.modules) + "\\n" + next(line.split()[1] for line in lines if line.startswith("VmRSS")))
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    modules, size = told.split("\n")
    assert not HEAVY & set(modules.split())
    assert int(size) < 100_000, "kilobytes, with the client that asks"


def test_the_first_page_is_small() -> None:
    """Under 400 kB and 20 requests, with the heaviest tab: what the page asks for before anything is done."""
    vendored = [STATIC / "vendor" / name for name in ("preact.js", "hooks.js", "htm.js", "uPlot.js", "uPlot.css")]
    tab = [
        STATIC / name
        for name in (
            "train.js",
            "train.css",
            "run.js",
            "learning.js",
            "chart.js",
            "events.js",
            "wave.js",
            "draw.js",
            "player.js",
            "folder.js",
        )
    ]
    files = [*(STATIC / name for name in FIRST), *vendored, *tab]
    assert sum(path.stat().st_size for path in files) < 250_000


def test_what_is_vendored_is_what_it_says_it_is() -> None:
    told = json.loads((STATIC / "vendor" / "VENDORED.json").read_text())
    for one in told["files"]:
        content = (STATIC / "vendor" / one["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == one["sha256"], one["file"]
        assert one["version"]
        assert one["licence"] in {"MIT", "Apache-2.0"}
    listed = {one["file"] for one in told["files"]} | {"VENDORED.json"}
    assert {path.name for path in (STATIC / "vendor").iterdir()} == listed
    assert {f"LICENSE-{one['package']}" for one in told["files"]} <= listed


def own_files() -> list[Path]:
    """Every file of the page that is ours, in whatever folder."""
    found = [path for path in STATIC.rglob("*.*") if STATIC / "vendor" not in path.parents]
    assert {"index.html", "login.html", "app.js", "style.css"} <= {path.name for path in found}
    return found


def test_the_page_names_no_other_place() -> None:
    """Guards against a script, a font or a picture from elsewhere; namespaces of SVG are only names."""
    for path in own_files():
        found = re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"'`)]*", path.read_text(encoding="utf-8"))
        assert not [one for one in found if "www.w3.org" not in one], path.name


def test_no_file_of_the_page_is_long_or_has_inline_code() -> None:
    for path in own_files():
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 400, path.name
        if path.suffix == ".html":
            assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=", text), path.name
        assert "innerHTML" not in text, path.name


def test_what_moves_for_long_is_laid_out_once() -> None:
    """Guards against a bar that takes a thirteenth of a core from the training that it waits for: a margin that moves has the
    page laid out anew sixty times a second, a transform or an opacity has not."""
    found = []
    for path in own_files():
        for frames in re.findall(r"@keyframes [\w-]+ \{((?:[^{}]*\{[^{}]*\})*)", path.read_text(encoding="utf-8")):
            found += re.findall(r"([\w-]+):", frames)
    assert found
    assert set(found) <= {"transform", "opacity"}
