"""Multi-scale mel distance between recordings and their reconstructions, matched by name.

    python benchmarks/reconstruction.py RECORDINGS RECONSTRUCTIONS

Both sides are brought to mono, 48 kHz, and cut to the shorter length. Prints a row per file and the mean.
"""

import sys
from pathlib import Path

import torch

from distill.audio.distance import MultiScaleMel
from distill.audio.rate import SAMPLE_RATE
from distill.formats.files import read_audio
from distill.formats.suffixes import AUDIO_SUFFIXES


def sounds(folder: Path) -> dict[str, Path]:
    """Name without folder and suffix, to file."""
    return {path.stem: path for path in sorted(folder.rglob("*")) if path.suffix.lower() in AUDIO_SUFFIXES}


def main(recordings: str, reconstructions: str) -> None:
    originals, rebuilt = sounds(Path(recordings)), sounds(Path(reconstructions))
    pairs = sorted(originals.keys() & rebuilt.keys())
    if not pairs:
        sys.exit("No file of the one folder has a namesake in the other.")
    distance = MultiScaleMel(SAMPLE_RATE)
    distances = []
    for name in pairs:
        a, b = (torch.from_numpy(read_audio(one[name], channels=1)) for one in (originals, rebuilt))
        length = min(a.shape[1], b.shape[1])
        with torch.no_grad():
            distances.append(float(distance(b[:, :length], a[:, :length])))
        print(f"{name:40.40} {distances[-1]:6.3f}")
    print(f"{f'mean of {len(distances)}':40} {sum(distances) / len(distances):6.3f}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
