"""An hour of training, generating and reading the library at once: nothing grows, nothing leaks, nothing is lost.

    SOAK_MINUTES=60 pytest -s -m slow tests/end_to_end/test_soak.py

Each of the three works in a process of its own, all in the same folder, and says after every round how much memory and how many
files it holds. The first quarter is for warming up.
"""

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from distill import pipeline
from distill.files.home import home
from distill.files.names import claimed, new_run_folder
from distill.library import Library
from distill.making.drawing import Sampling
from distill.making.pieces import make
from distill.making.request import Request
from distill.models import load_model
from distill.recordings.corpus import import_corpus
from distill.recordings.split import split_corpus
from distill.runs.events import read_events
from distill.training.metrics import (
    PriorStepMetrics,
    PriorTrainingCompleteEvent,
    VQStepMetrics,
    VQTrainingCompleteEvent,
)

CODEC = {"hidden_size": 32, "encoder_blocks": 1, "decoder_blocks": 1, "latent_size": 8, "codebook_size": 16}
PRIOR = {"hidden_size": 32, "num_layers": 1, "num_heads": 2, "context": 64}
KEPT = 20
"""So many pieces; a person throws old ones away, too."""


def refuse(words: str) -> None:
    """Whatever the library has to say is a fault here."""
    raise AssertionError(words)


def rounds(name: str, minutes: float) -> Iterator[int]:
    """Counts until the time is over; after each round notes what the process holds."""
    notes = home() / f"{name}.soak"
    until, done = time.monotonic() + 60 * minutes, 0
    while time.monotonic() < until:
        yield done
        done += 1
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        held = {"mib": pages * 4096 / 2**20, "files": len(list(Path("/proc/self/fd").iterdir()))}
        with notes.open("a") as file:
            file.write(json.dumps(held) + "\n")


def models(folder: Path) -> list[Path]:
    """The newest first."""
    return sorted(folder.parent.glob("model-*.distill"), key=lambda path: -int(path.stem.removeprefix("model-")))


def train(folder: Path, minutes: float) -> None:
    """A new model a round: codec and prior, with states saved every second."""
    shared: dict[str, Any] = {"epochs": 4, "least_steps": 20, "save_every_s": 1.0, "device": "cpu"}
    for number in rounds("train", minutes):
        with claimed(folder.parent / f"model-{number}.distill") as model_path:
            events = new_run_folder(model_path.stem) / "events.jsonl"
            corpus = import_corpus(folder)
            split = split_corpus(corpus, seed=number)
            codec_plan = pipeline.CodecPlan(batch_size=4, seed=number, **shared)
            pipeline.train_codec(corpus, split, model_path, events, codec_plan, config_changes=CODEC)
            prior_plan = pipeline.PriorPlan(views=2, seed=number, **shared)
            pipeline.add_prior(model_path, corpus, split, events, prior_plan, config_changes=PRIOR)
        for old in models(folder)[5:]:
            Library(refuse).forget_model(old)
            old.unlink()


def compose(folder: Path, minutes: float) -> None:
    """New pieces with the newest model, again and again."""
    out = folder.parent / "new"
    while not any(load_model(path).prior for path in models(folder)):
        time.sleep(0.2)
    made = 0
    for number in rounds("compose", minutes):
        model = load_model(models(folder)[0])
        if model.prior is None:  # its prior is still being trained
            time.sleep(0.2)
            continue
        made += len(make(model, out, Request("audio", Sampling(), seconds=2.0), seed=number, count=2))
        for old in sorted(out.iterdir(), key=lambda path: path.stat().st_mtime)[:-KEPT]:
            old.unlink()
    (home() / "made").write_text(str(made))


def read(folder: Path, minutes: float) -> None:
    """What a dashboard would show, several times a second."""
    library = Library(refuse)
    for _ in rounds("read", minutes):
        library.models()
        library.runs()
        library.generations()
        time.sleep(0.2)


def assert_flat(name: str) -> None:
    held = [json.loads(line) for line in (home() / f"{name}.soak").read_text().splitlines()]
    warm = held[len(held) // 4 :]
    part = max(len(warm) // 4, 1)
    first, last = (statistics.median(one["mib"] for one in some) for some in (warm[:part], warm[-part:]))
    files = {one["files"] for one in warm}
    print(f"{name}: {len(held)} rounds, {first:.0f} MiB, in the end {last:.0f} MiB, files held {sorted(files)}")
    assert last < 1.05 * first, name
    assert warm[-1]["files"] <= warm[0]["files"], name


def assert_no_event_lost(events: Path) -> None:
    happened = list(read_events(events))
    for step, complete in ((VQStepMetrics, VQTrainingCompleteEvent), (PriorStepMetrics, PriorTrainingCompleteEvent)):
        steps: list[Any] = [event.step for event in happened if isinstance(event, step)]
        assert steps == list(range(1, len(steps) + 1)), events
        assert sum(isinstance(event, complete) for event in happened) == 1, events


@pytest.mark.slow
def test_an_hour_of_everything_at_once(tmp_path: Path) -> None:
    """Guards against memory and file handles that creep away overnight, and against events lost under load."""
    minutes = float(os.environ.get("SOAK_MINUTES", "60"))
    folder = tmp_path / "recordings"
    folder.mkdir()
    for number in range(6):
        noise = np.random.default_rng(number).standard_normal(48_000)
        soundfile.write(folder / f"{number}.wav", 0.1 * noise.astype(np.float32), 48_000)
    context = get_context("spawn")
    works: tuple[Callable[[Path, float], None], ...] = (train, compose, read)
    running = [context.Process(target=work, args=(folder, minutes)) for work in works]
    try:
        for process in running:
            process.start()
        for process in running:
            process.join(60 * minutes + 300)
            assert process.exitcode == 0
    finally:  # what goes on would be waited for when the tests end
        for process in running:
            if process.is_alive():
                process.kill()
    for work in works:
        assert_flat(work.__name__)
    library = Library(refuse)
    runs = library.runs()
    assert {run.outcome for run in runs} == {"finished"}
    assert len(runs) == 2 * len((home() / "train.soak").read_text().splitlines())
    for run in runs:
        assert_no_event_lost(Path(run.events))
    assert len(library.generations()) == int((home() / "made").read_text())
