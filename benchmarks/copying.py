"""How well copies are told from what is merely alike: recognised copies against false alarms, by the way they were disguised.

    python benchmarks/copying.py --plot docs/copying-roc.png FOLDER [FOLDER ...]
    python benchmarks/copying.py --model models/loops.distill --model models/ambient.distill FOLDER FOLDER

Copies are five seconds of a recording, transposed, stretched, made louder or quieter, or under noise. Innocent are all seconds
of each recording beside all *other* recordings: every recording is held out once. With ``--model``, one a folder, everything is
heard through that model's codec, as new audio is. Prints Markdown: the area under the curve, the share of copied seconds found
at 1 and 5 per cent false alarms, the share whose recording is named rightly, and what Distill calls them.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.figure
import numpy as np
import soxr
from librosa.effects import pitch_shift, time_stretch
from matplotlib.axes import Axes

from distill.audio.mixing import in_channels
from distill.codes.extract import decode_chunks, encode_blocks
from distill.models.model_file import load_model
from distill.originality.passages import DEPTH_DB, Passages
from distill.originality.verdict import Verdict, by_likeness
from distill.recordings.corpus import import_corpus
from distill.recordings.passages import whole_recordings

RATE = 48_000
SECONDS_A_COPY = 5
MOST_COPIES = 20
SHORTEST_SECONDS = 1.3

Sound = Callable[[np.ndarray], np.ndarray]


def _noise(decibels: float) -> Sound:
    def add(audio: np.ndarray) -> np.ndarray:
        noise = np.random.default_rng(0).standard_normal(audio.shape)
        return audio + np.sqrt(np.mean(audio**2)) * 10 ** (-decibels / 20) * noise

    return add


def _transposed(semitones: float) -> Sound:
    return lambda audio: pitch_shift(audio, sr=RATE, n_steps=semitones)


def _stretched(factor: float) -> Sound:
    return lambda audio: time_stretch(audio, rate=1 / factor)


def _faster(semitones: float) -> Sound:
    return lambda audio: soxr.resample(audio.T, RATE, RATE * 2 ** (-semitones / 12)).T


DISGUISES: dict[str, list[Sound]] = {
    "as it is": [lambda audio: audio],
    "12 dB louder or quieter": [lambda audio: audio * 4, lambda audio: audio / 4],
    "half a semitone up or down": [_transposed(-0.5), _transposed(0.5)],
    "a semitone": [_transposed(-1), _transposed(1)],
    "two semitones": [_transposed(-2), _transposed(2)],
    "three semitones": [_transposed(-3), _transposed(3)],
    "stretched by 5 %": [_stretched(0.95), _stretched(1.05)],
    "stretched by 10 %": [_stretched(0.9), _stretched(1.1)],
    "a semitone up or down, as a tape": [_faster(-1), _faster(1)],
    "noise, 40 dB under it": [_noise(40)],
    "noise, 30 dB": [_noise(30)],
    "noise, 20 dB": [_noise(20)],
    "noise, 10 dB": [_noise(10)],
    "noise as loud as it": [_noise(0)],
}


@dataclass(frozen=True)
class Seconds:
    """Seconds that are not silent; arrays ``[n]``."""

    similarity: np.ndarray
    source: np.ndarray
    elsewhere: np.ndarray
    """How like the passage found the recordings are elsewhere."""

    def called(self, reference: np.ndarray) -> list[Verdict]:
        """The verdicts, beside the similarities of innocent seconds, in order."""
        ranks = 100 * np.searchsorted(reference, self.similarity) / len(reference)
        found = zip(self.similarity, ranks, self.elsewhere, strict=True)
        return [by_likeness(float(one), float(rank), float(other))[0] for one, rank, other in found]


def seconds_of(passages: Passages, audio: np.ndarray, exclude: int | None = None) -> Seconds:
    """What is found for every second of ``audio [1, N]``."""
    found = passages.nearest([audio], exclude=exclude)
    # Without the take here too: in it an innocent second stands itself, and would make what it is like a repetition.
    elsewhere = passages.elsewhere(found.source, found.seconds, exclude=exclude)
    loud = ~np.isnan(found.similarity)
    return Seconds(found.similarity[loud], found.source[loud], elsewhere[loud])


def joined(parts: Sequence[Seconds]) -> Seconds:
    """Several sounds as one."""
    return Seconds(
        np.concatenate([part.similarity for part in parts]),
        np.concatenate([part.source for part in parts]),
        np.concatenate([part.elsewhere for part in parts]),
    )


def found_at(copies: np.ndarray, innocent: np.ndarray, alarms: float) -> float:
    """Share of copies above the similarity that ``alarms`` of the innocent seconds exceed."""
    return float(np.mean(copies > np.quantile(innocent, 1 - alarms)))


def area(copies: np.ndarray, innocent: np.ndarray) -> float:
    """Under the curve: how often a copy is more like a passage than an innocent second is."""
    return float(np.mean((copies[:, None] > innocent) + 0.5 * (copies[:, None] == innocent)))


def through(model_path: Path | None) -> Sound:
    """Encodes and decodes mono ``[1, N]``; without a model it changes nothing."""
    if model_path is None:
        return lambda audio: audio
    codec = load_model(model_path).codec

    def coded(audio: np.ndarray) -> np.ndarray:
        codes = encode_blocks(codec, [in_channels(audio, codec.channels, "mean")])
        return in_channels(np.concatenate(list(decode_chunks(codec, codes)), axis=1), 1, "mean")

    return coded


def measure(
    folder: Path, model_path: Path | None, axes: Axes, disguised: Mapping[str, list[Sound]] = DISGUISES
) -> dict[str, tuple[float, float]]:
    """Prints one table, and draws one curve per disguise; gives area and share found at 1 % false alarms of each."""
    areas = {}
    corpus = import_corpus(folder, channels=1)
    originals = [one.read(0, one.samples, 1) for one in whole_recordings(corpus.recordings)]
    takes = [one.group for one in corpus.recordings]
    coded = through(model_path)
    sounds = [coded(audio) for audio in originals]
    deep, passages = (Passages.of(([one] for one in sounds), takes, depth) for depth in (np.inf, DEPTH_DB))
    innocents = [seconds_of(passages, sound, take) for sound, take in zip(sounds, takes, strict=True)]
    innocent = joined(innocents).similarity
    deep_innocent = joined(
        [seconds_of(deep, sound, take) for sound, take in zip(sounds, takes, strict=True)]
    ).similarity

    # Half of the recordings are judged by the other half, so that no second sets its own threshold.
    halves = [joined(innocents[0::2]), joined(innocents[1::2])]
    verdicts = [
        verdict for half, other in (halves, reversed(halves)) for verdict in half.called(np.sort(other.similarity))
    ]
    draw = np.random.default_rng(0)
    long_enough = [number for number, audio in enumerate(originals) if audio.shape[1] >= SHORTEST_SECONDS * RATE]
    taken = []
    for number in draw.permutation(long_enough)[:MOST_COPIES]:
        length = min(originals[number].shape[1], SECONDS_A_COPY * RATE)
        start = int(draw.integers(0, originals[number].shape[1] - length, endpoint=True))
        taken.append((int(number), originals[number][:, start : start + length]))

    where = f"`{folder.name}`" + (", through its codec" if model_path else "")
    print(f"\n| {where} | area | at 1 % alarms | at 5 % | named | Copy | Close | area, without limit of depth |")
    print("|---" * 8 + "|")
    for called, disguises in disguised.items():
        copies, deep_copies, named = [], [], []
        for number, audio in taken:
            for disguise in disguises:
                copy = coded(disguise(audio).astype(np.float32))
                copies.append(seconds_of(passages, copy))
                deep_copies.append(seconds_of(deep, copy).similarity)
                named += [takes[source] == takes[number] for source in copies[-1].source]
        found = joined(copies)
        said = found.called(np.sort(innocent))
        figures = [
            f"{area(found.similarity, innocent):.3f}",
            f"{found_at(found.similarity, innocent, 0.01):.0%}",
            f"{found_at(found.similarity, innocent, 0.05):.0%}",
            f"{np.mean(named):.0%}",
            *(f"{np.mean([one == verdict for one in said]):.0%}" for verdict in (Verdict.COPY, Verdict.CLOSE)),
            f"{area(np.concatenate(deep_copies), deep_innocent):.3f}",
        ]
        print(f"| {called}, {len(said)} s | " + " | ".join(figures) + " |", flush=True)
        areas[called] = area(found.similarity, innocent), found_at(found.similarity, innocent, 0.01)
        alarms = np.linspace(0, 1, 401)
        style = "--" if called.startswith("noise") else "-"  # there are more disguises than colours
        axes.plot(alarms, [found_at(found.similarity, innocent, share) for share in alarms], style, label=called)
    shares = " | ".join(
        f"{np.mean([one == verdict for one in verdicts]):.1%}" for verdict in (Verdict.COPY, Verdict.CLOSE)
    )
    print(f"| innocent, {len(innocent)} s | | | | | {shares} | |")
    print(f"\nInnocent similarities: median {np.median(innocent):.2f}, 95 % {np.quantile(innocent, 0.95):.3f}, "
          f"99 % {np.quantile(innocent, 0.99):.3f}.")  # fmt: skip
    title = folder.name + (", through its codec" if model_path else "")
    axes.set(title=title, xlabel="false alarms", ylabel="copied seconds found", xlim=(-0.005, 0.25), ylim=(0, 1.02))
    return areas


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument(
        "--model", action="append", type=Path, help="one a folder; everything is heard through its codec"
    )
    parser.add_argument("--plot", type=Path)
    wanted = parser.parse_args()
    models = wanted.model or []
    if len(models) not in (0, len(wanted.folders)):
        parser.error("give one --model a folder, or none")
    kinds: list[list[Path | None]] = (
        [[None] * len(wanted.folders), models] if models else [[None] * len(wanted.folders)]
    )
    size = (6 * len(wanted.folders) + 3, 4.5 * len(kinds))
    figure = matplotlib.figure.Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(kinds), len(wanted.folders), squeeze=False)
    for row, chosen in zip(grid, kinds, strict=True):
        for axes, folder, model_path in zip(row, wanted.folders, chosen, strict=True):
            measure(folder, model_path, axes)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=8)
    if wanted.plot:
        figure.savefig(wanted.plot, dpi=90)


if __name__ == "__main__":
    main()
