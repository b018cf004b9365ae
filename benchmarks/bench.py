"""Everything that docs/benchmarks.md says, measured here: about twenty minutes on two quiet cores.

    make bench                                      # all parts, with the demo's recordings
    make bench CORPUS=my-recordings                 # with a folder of your own
    python benchmarks/bench.py --corpus DIR --part rates --part copies

Each part is measured alone and merged into docs/benchmarks.json, with its date, machine and command; the page and its plots are
drawn from that file (``bench_page.py``). The parts: ``rates`` (the codec beside Opus, bit by bit), ``speed`` (training and
sampling beside plain loops, in one run), ``length`` (from a minute to ten hours of sound), ``ranks`` (one process and two), and
``copies`` (how well they are told from what is merely alike).
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
import torch

import bench_page
import codec as codec_benchmark
import copying
import long_corpus
import prior
from distill.audio.distance import MultiScaleMel
from distill.audio.likeness import Likeness, likeness_between, pooled
from distill.audio.mixing import mono, mono_pair
from distill.audio.rate import SAMPLE_RATE
from distill.codes.extract import decode_parts, encode_blocks
from distill.evaluation.measure import beginning, distance_between, joined
from distill.evaluation.opus import HOW_TO_GET_IT, has_opus, through_opus
from distill.models.model_file import load_model
from distill.recordings.corpus import import_corpus
from distill.recordings.demo import write_demo_corpus
from distill.recordings.passages import whole_recordings
from distill.recordings.windows import spread

DOCS = Path(__file__).parent.parent / "docs"
SOURCE = DOCS.parent / "src" / "distill"
OPUS_KILOBITS = (6, 12, 16, 24, 32, 48)
HOURS = (1 / 60, 1 / 6, 1.0, 10.0)
CODEC_MINUTES, PRIOR_MINUTES, RANKS_MINUTES = 4.0, 1.5, 0.75
_SECONDS_EACH = 20.0
_MOST_RECORDINGS = 12
_DISGUISES = (
    "as it is", "12 dB louder or quieter", "a semitone", "stretched by 5 %", "noise, 20 dB", "noise, 10 dB",
)  # fmt: skip


def rates(corpus: Path, work: Path, given: Path | None) -> dict[str, Any]:
    """Pitch, texture and mel of the codec with its first levels alone, two, and so on, and of Opus."""
    model = load_model(codec_of(corpus, work, given))
    codec = model.codec
    passages = spread(
        list(whole_recordings(import_corpus(corpus, channels=codec.channels).recordings)), _MOST_RECORDINGS
    )
    mel = MultiScaleMel(SAMPLE_RATE)
    likenesses: dict[str, list[Likeness]] = {}
    bits: dict[str, list[float]] = {}

    def take(name: str, made: np.ndarray, original: np.ndarray, rate: float) -> None:
        likenesses.setdefault(name, []).append(
            likeness_between([(made[0], original[0])], distance_between(mel, made, original))
        )
        bits.setdefault(name, []).append(rate)

    for passage in passages:
        audio = beginning(passage, _SECONDS_EACH, codec.channels)
        original = mono(audio)
        codes = encode_blocks(codec, [audio])
        for levels in range(1, codec.num_quantizers + 1):
            chosen = None if levels == codec.num_quantizers else range(levels)
            parts = decode_parts(codec, codes, 0, len(codes), levels=chosen)
            made = joined((block for block, _ in parts), audio.shape[1])
            take(
                f"Distill {levels}",
                mono_pair(audio, made)[1],
                original,
                codec.config.bitrate * levels / codec.num_quantizers,
            )
        for kilobits in OPUS_KILOBITS if has_opus() else ():
            made, rate = through_opus(original, kilobits)
            take(f"Opus {kilobits}", made, original, rate)
    rows = [
        {"name": name, "bits a second": float(np.mean(bits[name])), **pooled(some).figures()}
        for name, some in likenesses.items()
    ]
    note = "" if has_opus() else HOW_TO_GET_IT
    trained_s = float(model.header.codec_training.get("seconds_taken", 0.0))
    told = {"recordings": len(passages), "seconds each": _SECONDS_EACH, "trained minutes": round(trained_s / 60, 1)}
    return {"rows": rows, **told, "note": note}


def speed(corpus: Path, work: Path, given: Path | None) -> dict[str, Any]:
    """Training and sampling of the prior beside a plain transformer of the same width and depth."""
    return prior.compare(codec_of(corpus, work, given), corpus, [PRIOR_MINUTES], orders=(1,))


def length(_: Path, work: Path, __: Path | None) -> dict[str, Any]:
    """What a corpus costs by its length: sparse recordings that are synthesised."""
    work.mkdir(parents=True, exist_ok=True)
    return {"rows": [long_corpus.measure(hours, work / "long") for hours in HOURS]}


def ranks(corpus: Path, work: Path, _: Path | None) -> dict[str, Any]:
    """Seconds of sound the codec trains on each second, in one process and in two, one thread each."""
    rows = []
    for size in (1, 2):
        words = ["--minutes", RANKS_MINUTES, "--devices", size, "--device", "cpu", "--name", f"ranks-{size}"]
        trained = codec_benchmark.distill("train", corpus, *words, "--out", work, OMP_NUM_THREADS="1")
        lines = Path(trained["events"]).read_text(encoding="utf-8").splitlines()
        steps = [event for event in map(json.loads, lines) if "audio_seconds" in event][5:]
        seconds, took = (sum(step[name] for step in steps) for name in ("audio_seconds", "step_time_s"))
        rows.append(
            {"ranks": size, "audio s/s": seconds / took, "ms a step": 1000 * took / len(steps), "steps": len(steps)}
        )
        (work / f"ranks-{size}.distill").unlink()
    return {"rows": rows, "threads": "one thread each"}


def copies(corpus: Path, _: Path, __: Path | None) -> dict[str, Any]:
    """Area under the ROC, and copies found at one false alarm in a hundred, by the way they were disguised."""
    figure = matplotlib.figure.Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    disguised = {name: copying.DISGUISES[name] for name in _DISGUISES}
    found = copying.measure(corpus, None, axes, disguised)
    axes.legend(fontsize=8, loc="lower right")
    bench_page.save(figure, DOCS / "images" / "bench-roc.svg")
    return {"rows": [{"name": name, "area": area, "at 1 %": share} for name, (area, share) in found.items()]}


PARTS: dict[str, Callable[[Path, Path, Path | None], dict[str, Any]]] = {
    "rates": rates, "speed": speed, "length": length, "ranks": ranks, "copies": copies,
}  # fmt: skip
"""What each is given: the folder of recordings, the one for its work, and a model that it is to use, if any."""


def codec_of(corpus: Path, work: Path, given: Path | None) -> Path:
    """The model that was given, or a codec that this very Distill trained on these very recordings, in the folder for work."""
    if given is not None:
        return given
    path = work / f"bench-{import_corpus(corpus).fingerprint[:8]}-{source_digest()[:8]}.distill"
    if not path.exists():
        words = ["--minutes", CODEC_MINUTES, "--name", path.stem, "--device", "cpu", "--out", work]
        codec_benchmark.distill("train", corpus, *words)
    return path


def source_digest() -> str:
    """SHA-256 of Distill's own files: another Distill trains another codec."""
    digest = hashlib.sha256()
    for path in sorted(SOURCE.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(path.relative_to(SOURCE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def machine() -> str:
    """What it was measured on, in words."""
    name = platform.processor() or platform.machine()
    known = Path("/proc/cpuinfo")
    if known.exists():
        names = [line.partition(":")[2].strip() for line in known.read_text().splitlines() if "model name" in line]
        name = names[0] if names else name
    cores = os.cpu_count() or 1
    busy = busy_cores(cores)
    shared = f", {busy:.1f} of them at other work when it began" if busy > 0.1 * cores else ""
    return f"{cores} cores of {name}{shared}; PyTorch {torch.__version__}, {torch.get_num_threads()} threads"


def busy_cores(cores: int) -> float:
    """How many cores others keep at work while this process waits. The load of the last minute would count the part before."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0

    def ticks() -> np.ndarray:
        return np.array(stat.read_text().splitlines()[0].split()[1:9], dtype=float)

    before = ticks()
    time.sleep(2)
    user, nice, system, idle, waiting, *others = ticks() - before
    at_work = user + nice + system + sum(others)
    return float(cores * at_work / max(at_work + idle + waiting, 1))


def main() -> None:
    """Measures the parts asked for, all of them if none is, and draws the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, help="a folder of recordings; without it the demo's")
    parser.add_argument("--part", action="append", choices=PARTS, help="this part alone; may come several times")
    parser.add_argument("--work", type=Path, default=Path("bench-work"), help="for models and synthesised recordings")
    parser.add_argument("--model", type=Path, help="a model of these recordings, instead of one that is trained here")
    parser.add_argument("--page-only", action="store_true", help="draws the page from the figures that are there")
    wanted = parser.parse_args()
    codec_benchmark.in_a_home_of_its_own(wanted.work)
    results = DOCS / "benchmarks.json"
    found: dict[str, Any] = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
    for name in () if wanted.page_only else wanted.part or PARTS:
        wanted.work.mkdir(parents=True, exist_ok=True)
        corpus = wanted.corpus or wanted.work / "demo"
        if wanted.corpus is None and not corpus.exists():
            write_demo_corpus(corpus)
        where, started = machine(), time.monotonic()
        print(f"{name}: {where}", flush=True)
        figures = PARTS[name](corpus, wanted.work, wanted.model)
        given = ["--corpus", corpus.name] if wanted.corpus else []
        given += ["--model", wanted.model.name] if wanted.model is not None and name in ("rates", "speed") else []
        found[name] = {
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "machine": where,
            "command": " ".join(["python benchmarks/bench.py", *given, "--part", name]),
            "corpus": corpus.name,
            "minutes": round((time.monotonic() - started) / 60, 1),
            **figures,
        }
        results.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    bench_page.write(found, DOCS)
    shutil.rmtree(wanted.work / "long", ignore_errors=True)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
