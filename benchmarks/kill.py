"""Trains, is killed at random moments, goes on, and is killed again: what is lost, and is anything on the disk ever broken?

    python benchmarks/kill.py --kills 50

A tiny codec and a tiny prior are trained through the pipeline by a process that is ended by SIGKILL after a random time, while
states are written far more often than in life, so that many kills hit a write. After each kill every file that bears a final
name is opened. In the end the model must equal, to the bit, one that was trained without a stop.
"""

import argparse
import functools
import json
import os
import random
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import lightning_fabric  # noqa: F401  # takes seconds: once, for all that are forked, or most would be killed while they import it
import numpy as np
import soundfile
import torch

from distill import pipeline
from distill.files.home import home
from distill.files.names import claimed, new_run_folder
from distill.models import load_model
from distill.recordings.corpus import import_corpus
from distill.recordings.split import split_corpus
from distill.runs.events import events_file, read_events, state_file
from distill.runs.resume import stopped_codec, stopped_prior
from distill.training.metrics import PriorStepMetrics, VQStepMetrics
from distill.training.plan import CodecPlan, PriorPlan
from distill.training.state_file import load_state

CODEC = {"hidden_size": 16, "encoder_blocks": 1, "decoder_blocks": 1, "latent_size": 8, "codebook_size": 16}
PRIOR = {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "context": 64}
KINDS = {"codec.state": "codec", "prior.state": "prior"}


def write_recordings(folder: Path) -> None:
    """Five little noises."""
    folder.mkdir()
    for number in range(5):
        noise = np.random.default_rng(number).standard_normal(24_000 + 4_800 * number)
        soundfile.write(folder / f"{number}.wav", 0.1 * noise.astype(np.float32), 48_000, subtype="PCM_24")


def train(folder: Path, model_path: Path, interval: float, epochs: int) -> None:
    """The codec, then the prior, each from where it stands."""
    corpus = import_corpus(folder)
    split = split_corpus(corpus)
    codec_plan = CodecPlan(epochs, batch_size=4, least_steps=40, save_every_s=interval, device="cpu")
    prior_plan = PriorPlan(epochs, views=2, least_steps=40, save_every_s=interval, device="cpu")
    with claimed(model_path):
        codec = stopped_codec(model_path)
        if codec is None or not codec.is_finished:
            events = codec.events if codec else events_file(new_run_folder(model_path.stem), "codec")
            pipeline.train_codec(corpus, split, model_path, events, codec_plan, config_changes=CODEC, resumed=codec)
        else:
            events = codec.events
        prior = stopped_prior(model_path) if state_file(events.parent, "prior").exists() else None
        if prior is None or not prior.is_finished:
            prior_events = events_file(events.parent, "prior")
            pipeline.add_prior(model_path, corpus, split, prior_events, prior_plan, config_changes=PRIOR, resumed=prior)


def forked(work: Callable[[], None], kill_after: float | None) -> tuple[bool, float]:
    """Works in a process of its own. Gives whether it came to its end, and how long it lived."""
    child = os.fork()  # before any tensor was computed with here, so that no thread is lost
    started = time.monotonic()
    if child == 0:
        failed = True
        try:
            work()
            failed = False
        except Exception:
            traceback.print_exc()
            raise
        finally:
            os._exit(failed)
    ended = 0
    while kill_after is None or time.monotonic() - started < kill_after:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        time.sleep(0.001)
    if not ended:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    lived = time.monotonic() - started
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("training failed by itself")
    return os.WIFEXITED(status), lived


def check_files(model_path: Path) -> Iterator[tuple[str, float]]:
    """Opens everything that bears a final name; gives what each state would cost in seconds of training if one went on from it.

    Any file that is broken ends this with its error.
    """
    if model_path.exists():
        load_model(model_path)
    for path in sorted(path for name in KINDS for path in home().glob(f"runs/*/{name}")):
        kind = KINDS[path.name]
        saved = load_state(path, kind).values["schedule"]["step"]
        events = list(read_events(events_file(path.parent, path.stem)))
        steps: list[VQStepMetrics | PriorStepMetrics] = [
            event for event in events if isinstance(event, VQStepMetrics if kind == "codec" else PriorStepMetrics)
        ]
        yield path.name, sum(step.step_time_s for step in steps if step.step > saved)


def fingerprint(model_path: Path) -> str:
    """Digest of everything that was learned."""
    model = load_model(model_path)
    tensors = [*model.codec.state_dict().values(), *model.require_prior().state_dict().values()]
    return json.dumps([model.fingerprint, [round(float(tensor.double().sum()), 12) for tensor in tensors]])


def main() -> None:
    """Kills, checks, tells; ends with 1 if anything was broken or lost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--interval", type=float, default=0.2, help="seconds between two states")
    parser.add_argument("--longest", type=float, default=2.0, help="seconds until a kill, at most")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    draw = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as place:
        os.environ["DISTILL_HOME"] = str(Path(place) / "home")
        folder = Path(place) / "recordings"
        write_recordings(folder)
        whole = Path(place) / "whole.distill"

        def work_on(model_path: Path) -> Callable[[], None]:
            return functools.partial(train, folder, model_path, asked.interval, asked.epochs)

        _, seconds = forked(work_on(whole), None)
        wanted = fingerprint(whole)
        print(f"without a stop: {seconds:.1f} s")
        kills, rounds, lost = 0, 0, [0.0]
        model_path = Path(place) / f"killed-{rounds}.distill"
        while kills < asked.kills:
            came_to_its_end, _ = forked(work_on(model_path), draw.uniform(0, asked.longest))
            lost += [cost for _, cost in check_files(model_path)]
            kills += not came_to_its_end
            if came_to_its_end:
                assert fingerprint(model_path) == wanted, "a run that was killed and went on ended with another model"
                rounds += 1
                model_path = Path(place) / f"killed-{rounds}.distill"
        forked(work_on(model_path), None)
        assert fingerprint(model_path) == wanted, "a run that was killed and went on ended with another model"
        print(
            f"{kills} kills over {rounds + 1} trainings: every file opened, every model as without a stop; "
            f"at most {max(lost):.2f} s of training lost, with a state every {asked.interval} s"
        )
        assert max(lost) <= 2 * asked.interval + 0.5, "more was lost than the interval"


if __name__ == "__main__":
    main()
