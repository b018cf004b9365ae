"""How far what is trained on is from all recordings, by which split is drawn, and whether the most typical one is nearer.

    python benchmarks/split.py FOLDER [FOLDER ...]

Prints Markdown. 24 splits are drawn, each the first draw of a seed. The distance is the Fréchet distance of
``making/nearness.py``, of the seconds that are trained on from all seconds; *ranks* is the correlation of the ranks that it and
the energy distance of ``recordings/typical.py`` give the draws.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from distill.audio.rate import SAMPLE_RATE
from distill.making.nearness import Reference
from distill.models.config import VQVAEConfig
from distill.recordings.corpus import Corpus, import_corpus
from distill.recordings.passages import Passage
from distill.recordings.split import split_corpus
from distill.recordings.typical import STEP, Typical

DRAWS, FEWER = 24, 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    print(
        f"| | first draw, seed 0 | mean of {DRAWS} | most typical of {FEWER}; of {DRAWS} | ranks |\n|---|---|---|---|---|"
    )
    for folder in parser.parse_args().folders:
        energy, far = np.array(compared(import_corpus(folder))).T
        ranks = np.corrcoef(*(one.argsort().argsort() for one in (energy, far)))[0, 1]
        few, many = far[energy[:FEWER].argmin()], far[energy.argmin()]
        print(f"| {folder.name} | {far[0]:.1f} | {far.mean():.1f} | {few:.1f}; {many:.1f} | {ranks:.2f} |", flush=True)


def compared(corpus: Corpus) -> list[tuple[float, float]]:
    """Both distances of each draw."""
    places = [
        Passage(one, start, min(start + SAMPLE_RATE, one.samples))
        for one in corpus.recordings
        for start in range(0, max(one.samples - SAMPLE_RATE, 0) + 1, STEP)
    ]
    seconds = [one.read(0, one.samples, corpus.channels) for one in places]
    reference, typical = Reference(seconds, VQVAEConfig().frame_rate), Typical(corpus.recordings)
    splits = [split_corpus(corpus, seed, draws=1) for seed in range(DRAWS)]
    return [
        (
            typical.distance(split.train),
            reference.frechet(
                [sound for place, sound in zip(places, seconds, strict=True) if within(place, split.train)]
            ),
        )
        for split in splits
    ]


def within(place: Passage, train: Sequence[Passage]) -> bool:
    """Whether the middle of a second is trained on."""
    middle = (place.start + place.stop) // 2
    return any(one.recording is place.recording and one.start <= middle < one.stop for one in train)


if __name__ == "__main__":
    main()
