"""Long corpora: what the first import, later starts, the split and the beginning of training take, in seconds and in memory.

    python benchmarks/long_corpus.py 1 10 100 --out long        # hours of sound; the recordings are synthesised into long/

The recordings are sparse, as stems from a sequencer or a gated field recorder are: half an hour each at most, mono, 48 kHz
FLAC, of which a twentieth sounds (notes and strokes, one jingle that all share) and the rest is digital silence. Each step runs
in a process of its own, so that its peak memory (the most that ever lay in RAM, mapped files included) is its own, and so are
its seconds of a core, which tell more than those on the wall where a machine is shared. Results go to DIR/long.json; what is
there already is not measured again.
"""

import argparse
import contextlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

RATE = 48_000
FILE_SECONDS = 1800
_EVERY, _LASTS = 60, 3  # seconds: from one sounding stretch to the next, and how long it sounds
STEPS = ("first import", "later start", "split", "training begun")
_TRAINED = 20  # steps


class _EnoughError(Exception):
    """Training has begun; what follows is not measured here."""


def stretch(draw: np.random.Generator) -> np.ndarray:
    """Three seconds of notes and strokes: float32 ``[N]``, silent at both ends."""
    moments = np.arange(_LASTS * RATE) / RATE
    sound = np.zeros(len(moments))
    for begin in np.cumsum(draw.uniform(0.15, 0.45, 7)):
        since = np.clip(moments - begin, 0, None)
        tone = np.sin(2 * np.pi * 110 * 2 ** (draw.integers(0, 36) / 12) * since)
        hiss = draw.standard_normal(len(moments)) * np.exp(-30 * since)
        sound += (moments >= begin) * (0.3 * tone * np.exp(-4 * since) + 0.1 * hiss)
    return (0.5 * sound / np.abs(sound).max() * np.minimum(1, (_LASTS - moments) / 0.1)).astype(np.float32)


def recording(number: int, minutes: int) -> Iterator[np.ndarray]:
    """So many blocks of a minute, float32 ``[N]``: other ones for every number."""
    draw = np.random.default_rng(number)
    jingle = stretch(np.random.default_rng(1 << 20))
    for minute in range(minutes):
        block = np.zeros(_EVERY * RATE, np.float32)
        begin = int(draw.integers(0, (_EVERY - _LASTS) * RATE))
        block[begin : begin + _LASTS * RATE] = jingle if minute == number % 30 else stretch(draw)
        yield block


def make_corpus(folder: Path, hours: float) -> float:
    """Writes what is not there yet; gives the seconds of sound."""
    folder.mkdir(parents=True, exist_ok=True)
    count = max(1, round(hours * 3600 / FILE_SECONDS))
    minutes = round(60 * hours / count)
    for number in range(count):
        path = folder / f"{number:04}.flac"
        if path.exists():
            continue
        aside = path.with_suffix(".part")
        with soundfile.SoundFile(aside, "w", RATE, 1, "PCM_16", format="FLAC") as file:
            for block in recording(number, minutes):
                file.write(block)
        aside.replace(path)
    return float(count * minutes * 60)


def step(name: str, folder: Path) -> dict[str, Any]:
    """One step, in this process."""
    from distill.recordings.corpus import import_corpus
    from distill.recordings.split import split_corpus

    started = time.monotonic()
    corpus = import_corpus(folder)
    imported = time.monotonic() - started
    told: dict[str, Any] = {"seconds": imported}
    if name != "first import" and name != "later start":
        started = time.monotonic()
        split = split_corpus(corpus)
        told = {"seconds": time.monotonic() - started, "held out s": sum(one.seconds for one in split.held_out)}
    if name == "training begun":
        from distill.training.plan import CodecPlan
        from distill.training.vqvae_loop import train_vqvae

        began: list[float] = []
        paces: list[float] = []
        started = time.monotonic()

        def tell(event: Any) -> None:
            if type(event).__name__ == "VQStepMetrics":
                began.append(time.monotonic() - started)
                paces.append(event.audio_seconds / event.step_time_s)
                if len(began) == _TRAINED:
                    raise _EnoughError

        with contextlib.suppress(_EnoughError):
            train_vqvae(corpus, callback=tell, plan=CodecPlan(minutes=60, device="cpu"), split=split)
        told = {"seconds": began[0], "trained, audio s/s": sorted(paces)[len(paces) // 2]}
    used = resource.getrusage(resource.RUSAGE_SELF)
    told["peak MiB"], told["core s"] = _peak_mib(), round(used.ru_utime + used.ru_stime, 1)
    told["recordings"], told["alike"] = corpus.file_count, len(corpus.alike)
    return told


def _peak_mib() -> int:
    """The most memory that this process ever had. On Linux ``ru_maxrss`` begins with that of whoever started it."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii")) if status.exists() else None
    return round(int(found[1]) / 1024 if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


def measure(hours: float, out: Path, steps: tuple[str, ...] = STEPS) -> dict[str, Any]:
    """All steps of a corpus of so many hours, in the order in which a person meets them."""
    folder = out / f"{hours:g}h"
    row: dict[str, Any] = {"hours": hours, "sound s": make_corpus(folder, hours)}
    home = out / f"home-{hours:g}h"
    shutil.rmtree(home, ignore_errors=True)  # of a measurement that was broken off: its first import would be none
    for name in steps:
        words = [sys.executable, __file__, "--step", name, "--folder", str(folder), "--out", str(out)]
        done = subprocess.run(
            words, env={**os.environ, "DISTILL_HOME": str(home)}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{name} of {hours:g} hours failed: {done.stderr[-2000:]}")
        row[name] = json.loads(done.stdout.splitlines()[-1])
        print(f"{hours:g} h  {name}: {row[name]}", flush=True)
    row["cache MiB"] = round(sum(512 * file.stat().st_blocks for file in (home / "cache").iterdir()) / 2**20)
    return row


def main() -> None:
    """Measures what is asked for and is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hours", nargs="*", type=float, default=[1.0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        print(json.dumps(step(given.step, given.folder)))
        return
    given.out.mkdir(parents=True, exist_ok=True)
    results = given.out / "long.json"
    rows = json.loads(results.read_text()) if results.exists() else {}
    for hours in given.hours:
        if f"{hours:g}" not in rows:
            rows[f"{hours:g}"] = measure(hours, given.out)
            results.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
