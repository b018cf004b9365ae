"""Whether a long piece drifts: into silence, into one code, or away from the recordings; and whether memory grows.

    python benchmarks/longform.py --model loops.distill

Prints Markdown: for each minute of one piece, beside the same figures of the recordings the model was trained on: level and
quietest second in dBFS, how many coarse codes are in use (perplexity) and how much the commonest one has of all positions,
how often the coarse code stays, the longest stretch of one and the same coarse code, and the process's memory.
"""

import argparse
import itertools
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from distill.audio.rate import SAMPLE_RATE
from distill.codes.extract import decode_chunks
from distill.making.drawing import Sampling
from distill.making.sampling import generate
from distill.models.health import code_perplexity
from distill.models.model_file import Model, load_model
from distill.models.quantizer import count_codes

COLUMNS = ("level", "quietest second", "codes in use", "commonest code", "code stays", "longest held", "memory")


def sound_figures(audio: np.ndarray) -> tuple[str, str]:
    """Level of all of ``[C, N]`` and of its quietest second, in dBFS."""
    whole = audio.shape[1] // SAMPLE_RATE * SAMPLE_RATE
    power = np.square(audio[:, :whole]).mean(axis=0).reshape(-1, SAMPLE_RATE).mean(axis=1)
    level, quietest = (10 * np.log10(max(float(value), 1e-12)) for value in (power.mean(), power.min()))
    return f"{level:.1f} dB", f"{quietest:.0f} dB"


def code_figures(coarse: Tensor, codebook_size: int, frame_rate: float) -> tuple[str, str, str, str]:
    """What the coarse codes ``[T]`` say."""
    counts = count_codes(coarse[:, None], codebook_size)
    held = max(len(list(group)) for _, group in itertools.groupby(coarse.tolist()))
    return (
        f"{code_perplexity(counts)[0]:.0f}",
        f"{float(counts.max() / counts.sum()):.1%}",
        f"{float((coarse[1:] == coarse[:-1]).float().mean()):.1%}",
        f"{held / frame_rate:.2f} s",
    )


def recordings(model: Model) -> tuple[str, ...]:
    """The same figures of what the model was trained on, through the codec; each recording is whole."""
    sources = [source.codes for source in model.trained_on]
    sound = np.concatenate(
        [block for codes in sources for block in decode_chunks(model.codec, codes, model.device)], axis=1
    )
    coarse = torch.cat([codes[:, 0] for codes in sources])
    return (*sound_figures(sound), *code_figures(coarse, model.codec.codebook_size, model.codec.frame_rate))


def memory() -> str:
    """Of this process, as it is now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return f"{pages * 4096 / 2**20:.0f} MiB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--top-p", type=float, default=Sampling().top_p)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()

    model = load_model(wanted.model)
    rate, size = model.codec.frame_rate, model.codec.codebook_size
    marks: dict[int, str] = {}

    def watch(done: int, total: int) -> None:
        minute = done * wanted.minutes // total
        if minute not in marks:
            marks[minute] = memory()

    started = time.monotonic()
    piece = generate(model, 60.0 * wanted.minutes, 1, Sampling(top_p=wanted.top_p), wanted.seed, watch)[0]
    taken = time.monotonic() - started
    drawn = piece.codes[:, 0]
    sound = piece.audio(model)

    print("| | " + " | ".join(COLUMNS) + " |")
    print("|---|" + "---|" * len(COLUMNS))
    for minute in range(wanted.minutes):
        codes = drawn[round(60 * minute * rate) : round(60 * (minute + 1) * rate)]
        part = sound[:, 60 * minute * SAMPLE_RATE : 60 * (minute + 1) * SAMPLE_RATE]
        row = (*sound_figures(part), *code_figures(codes, size, rate), marks[minute + 1])
        print(f"| minute {minute + 1} | " + " | ".join(row) + " |")
    print("| recordings | " + " | ".join((*recordings(model), "–")) + " |")
    print(f"\nDrawn at {60 * wanted.minutes / taken:.1f} s of audio a second.")


if __name__ == "__main__":
    main()
