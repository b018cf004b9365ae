"""How well copies are told from what is merely alike: recognised copies against false alarms, by the way they were disguised.

    python benchmarks/copying.py --plot docs/copying.png loops ambient

Copies are passages of training recordings, transposed, made louder or quieter, stretched, or under noise; what must not be
taken for a copy are the held-out recordings of the same folder. Prints Markdown: the area under the curve, and the share of
copied seconds found at 1 and 5 per cent false alarms.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import matplotlib.figure
import numpy as np
from librosa.effects import pitch_shift, time_stretch
from matplotlib.axes import Axes

from distill.audio.corpus import import_corpus
from distill.audio.split import split_corpus
from distill.codes.passages import Passages

RATE = 48_000
SECONDS_A_RECORDING = 4
MOST_SECONDS = 40

Disguise = Callable[[np.ndarray], np.ndarray]


def _noise(decibels: float) -> Disguise:
    def add(audio: np.ndarray) -> np.ndarray:
        noise = np.random.default_rng(0).standard_normal(audio.shape)
        level = np.sqrt(np.mean(audio**2)) * 10 ** (-decibels / 20)
        return (audio + level * noise).astype(np.float32)

    return add


def _transposed(semitones: float) -> Disguise:
    return lambda audio: pitch_shift(audio, sr=RATE, n_steps=semitones).astype(np.float32)


def _stretched(factor: float) -> Disguise:
    return lambda audio: time_stretch(audio, rate=1 / factor).astype(np.float32)


DISGUISES: dict[str, list[Disguise]] = {
    "as it is": [lambda audio: audio],
    "12 dB louder or quieter": [lambda audio: audio * 4, lambda audio: audio / 4],
    "transposed by half a semitone": [_transposed(-0.5), _transposed(0.5)],
    "by one": [_transposed(-1), _transposed(1)],
    "by two": [_transposed(-2), _transposed(2)],
    "by three": [_transposed(-3), _transposed(3)],
    "stretched by 5 %": [_stretched(0.95), _stretched(1.05)],
    "by 10 %": [_stretched(0.9), _stretched(1.1)],
    "under noise at -40 dB": [_noise(40)],
    "at -20 dB": [_noise(20)],
    "at -10 dB": [_noise(10)],
    "at 0 dB": [_noise(0)],
}


def similarities(passages: Passages, sounds: list[np.ndarray]) -> np.ndarray:
    """Of every second that is not silent, ``[n]``."""
    found = np.concatenate([passages.nearest(sound).similarity for sound in sounds])
    return found[~np.isnan(found)]


def found_at(copies: np.ndarray, innocent: np.ndarray, alarms: float) -> float:
    """Share of copies above the similarity that ``alarms`` of the innocent seconds exceed."""
    return float(np.mean(copies > np.quantile(innocent, 1 - alarms)))


def area(copies: np.ndarray, innocent: np.ndarray) -> float:
    """Under the curve: how often a copy is more like a passage than an innocent second is."""
    return float(np.mean((copies[:, None] > innocent) + 0.5 * (copies[:, None] == innocent)))


def measure(folder: Path, axes: Axes) -> None:
    """Prints one table, and draws one curve per disguise."""
    split = split_corpus(import_corpus(folder, channels=1))
    audios = [passage.read(0, passage.samples, 1) for passage in split.train]
    passages = Passages(audios)
    innocent = similarities(passages, [one.read(0, one.samples, 1) for one in split.held_out])
    draw = np.random.default_rng(0)
    taken = []
    for number in draw.permutation(len(audios))[: MOST_SECONDS // SECONDS_A_RECORDING]:
        length = min(audios[number].shape[1], SECONDS_A_RECORDING * RATE)
        start = int(draw.integers(0, audios[number].shape[1] - length, endpoint=True))
        taken.append(audios[number][:, start : start + length])
    print(
        f"\n| {folder.name}: {len(innocent)} innocent seconds | area | found at 1 % alarms | at 5 % |\n|---|---|---|---|"
    )
    for called, disguises in DISGUISES.items():
        copies = np.concatenate(
            [similarities(passages, [disguise(audio) for audio in taken]) for disguise in disguises]
        )
        row = (area(copies, innocent), found_at(copies, innocent, 0.01), found_at(copies, innocent, 0.05))
        print(f"| {called} | {row[0]:.3f} | {row[1]:.0%} | {row[2]:.0%} |", flush=True)
        alarms = np.linspace(0, 1, 101)
        axes.plot(alarms, [found_at(copies, innocent, share) for share in alarms], label=called)
    axes.set(
        title=folder.name, xlabel="false alarms among held-out seconds", ylabel="copied seconds found", xlim=(0, 0.5)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--plot", type=Path)
    wanted = parser.parse_args()
    figure = matplotlib.figure.Figure(figsize=(6 * len(wanted.folders), 5), layout="constrained")
    axes = figure.subplots(1, len(wanted.folders), squeeze=False)[0]
    for folder, one in zip(wanted.folders, axes, strict=True):
        measure(folder, one)
    axes[-1].legend(fontsize=8)
    if wanted.plot:
        figure.savefig(wanted.plot, dpi=100)


if __name__ == "__main__":
    main()
