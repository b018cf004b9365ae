"""Processor time of one step of training the codec, on one thread: what the wall clock says on a busy machine means little.

    python benchmarks/step.py FOLDER

Prints the median. Compare it only with what the same machine gives at about the same time: what runs beside it costs caches.
"""

import argparse
import statistics
import time
from pathlib import Path
from threading import Event

import torch

from distill.audio.rate import SAMPLE_RATE
from distill.training.metrics import TrainingEvent, VQStepMetrics
from distill.training.plan import CodecPlan
from distill.training.vqvae_loop import train_vqvae

FIRST_STEPS = 5
"""Steps that are not counted, those without codes among them."""


def step_times(folder: Path, steps: int) -> tuple[list[float], float]:
    """Seconds of processor time of each of so many steps, and the seconds of audio that a step takes."""
    plan = CodecPlan(device="cpu", epochs=1, least_steps=FIRST_STEPS + steps, continuous_steps=FIRST_STEPS - 2)
    ends: list[float] = []
    audio, is_enough = 0.0, Event()

    def watch(event: TrainingEvent) -> None:
        nonlocal audio
        if isinstance(event, VQStepMetrics):
            ends.append(time.process_time())
            audio = event.audio_seconds
            if len(ends) == FIRST_STEPS + steps:
                is_enough.set()

    train_vqvae(folder, None, watch, is_enough, plan=plan)
    return [after - before for before, after in zip(ends[FIRST_STEPS - 1 : -1], ends[FIRST_STEPS:], strict=True)], audio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=20)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    times, audio = step_times(wanted.folder, wanted.steps)
    print(
        f"{1000 * statistics.median(times):.0f} ms a step ({1000 * min(times):.0f} at least) for {audio:.1f} s of audio at "
        f"{SAMPLE_RATE} Hz"
    )


if __name__ == "__main__":
    main()
