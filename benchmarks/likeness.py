"""Pitch and texture of any reconstructions as Distill measures them, to be held against other measures.

    python benchmarks/likeness.py REFERENCE_DIR RECONSTRUCTED_DIR

Files are matched by stem, brought to mono and cut to the shorter length. Also prints the worst offset, and the
most energy below 20 Hz that a recording lacks.
"""

import argparse
from pathlib import Path

import numpy as np

from distill.audio.likeness import likeness_between
from distill.formats.files import read_audio

RATE = 48_000
ENDINGS = frozenset({".wav", ".flac", ".ogg", ".mp3"})


def paired(reference: Path, estimate: Path) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Stem, reconstruction and recording ``[N]`` of every file that is in both folders."""
    made = {path.stem: path for path in sorted(estimate.rglob("*")) if path.suffix.lower() in ENDINGS}
    found = []
    for path in sorted(reference.rglob("*")):
        if path.suffix.lower() in ENDINGS and path.stem in made:
            wanted, got = (read_audio(one, channels=1)[0] for one in (path, made[path.stem]))
            samples = min(len(wanted), len(got))
            found.append((path.stem, got[:samples], wanted[:samples]))
    return found


def subsonic_decibels(audio: np.ndarray) -> float:
    """Energy below 20 Hz, in dB of a full-scale sine; never below -100, which nobody could measure on a real recording."""
    spectrum = np.fft.rfft(audio.astype(np.float64))
    low = np.fft.rfftfreq(len(audio), 1 / RATE) < 20
    energy = 2 * np.square(np.abs(spectrum[low])).sum() / len(audio) ** 2
    return float(10 * np.log10(2 * energy + 1e-10))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", type=Path)
    parser.add_argument("estimate", type=Path)
    wanted = parser.parse_args()
    pairs = paired(wanted.reference, wanted.estimate)
    figures = likeness_between(((made, original) for _, made, original in pairs), mel=float("nan")).figures()
    print(f"files={len(pairs)} " + " ".join(f"{name}={value:.3f}" for name, value in figures.items() if name != "mel"))
    offset = max((abs(float(made.mean())), name) for name, made, _ in pairs)
    low = max((subsonic_decibels(made) - subsonic_decibels(original), name) for name, made, original in pairs)
    print(f"largest offset {offset[0]:.4f} ({offset[1]}); below 20 Hz at most {low[0]:+.1f} dB ({low[1]})")


if __name__ == "__main__":
    main()
