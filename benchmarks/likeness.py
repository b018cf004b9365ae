"""Pitch and texture of any reconstructions as Distill measures them, to be held against other measures.

    python benchmarks/likeness.py REFERENCE_DIR RECONSTRUCTED_DIR

Files are matched by their names below the folders, without suffix, as ``distill reconstruct`` writes them; brought to mono and
cut to the shorter length. Also prints what has no partner, the worst offset, and the most energy below 20 Hz that a recording
lacks.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from distill.audio.likeness import likeness_between
from distill.formats.files import read_audio
from distill.formats.suffixes import AUDIO_SUFFIXES

RATE = 48_000


def sounds(folder: Path) -> list[Path]:
    """The names of all sound files below a folder."""
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)


def partners(reference: Path, estimate: Path) -> tuple[dict[Path, Path], list[Path]]:
    """To each recording its reconstruction, and what has no partner; as names below the two folders.

    Where names differ by their suffix alone, reconstructions keep it: those of a.wav and a.flac are a.wav.wav and a.flac.wav.
    """
    originals, made = sounds(reference), sounds(estimate)
    taken = Counter(path.with_suffix("") for path in originals)
    partner = {path.with_suffix(""): path for path in made}
    names = {path: path if taken[path.with_suffix("")] > 1 else path.with_suffix("") for path in originals}
    pairs = {path: partner[name] for path, name in names.items() if name in partner}
    return pairs, sorted({*originals} - {*pairs}) + sorted({*made} - {*pairs.values()})


def paired(reference: Path, estimate: Path, pairs: dict[Path, Path]) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Name, reconstruction and recording ``[N]`` of each pair."""
    found = []
    for path, made in pairs.items():
        wanted, got = (read_audio(one, channels=1)[0] for one in (reference / path, estimate / made))
        samples = min(len(wanted), len(got))
        found.append((path.as_posix(), got[:samples], wanted[:samples]))
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
    partner_of, alone = partners(wanted.reference, wanted.estimate)
    if alone:
        print(f"without a partner: {', '.join(path.as_posix() for path in alone)}")
    if not partner_of:
        parser.error(f"no file below {wanted.estimate} has the name of one below {wanted.reference}")
    pairs = paired(wanted.reference, wanted.estimate, partner_of)
    figures = likeness_between(((made, original) for _, made, original in pairs), mel=float("nan")).figures()
    print(f"files={len(pairs)} " + " ".join(f"{name}={value:.3f}" for name, value in figures.items() if name != "mel"))
    offset = max((abs(float(made.mean())), name) for name, made, _ in pairs)
    low = max((subsonic_decibels(made) - subsonic_decibels(original), name) for name, made, original in pairs)
    print(f"largest offset {offset[0]:.4f} ({offset[1]}); below 20 Hz at most {low[0]:+.1f} dB ({low[1]})")


if __name__ == "__main__":
    main()
