"""What the README lets one hear of the demo, as MP3 in docs/sound.

    make demo
    .venv/bin/python benchmarks/sound.py distill-demo

Of the three new pieces it takes the one that quotes the most recordings. ``given.mp3`` is one bar of each of the four that are
heard longest in it, one after the other; ``new.mp3`` is the piece as the demo wrote it, in the recordings' voice; ``codec.mp3``
is the same codes in the codec's voice. With a model whose new audio is in the codec's voice there is nothing to compare.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

import distill
from distill.audio.rate import SAMPLE_RATE
from distill.formats.files import read_audio

SOUND = Path(__file__).parents[1] / "docs" / "sound"
BAR = 2.5
"""Seconds, at the demo's 96 beats a minute."""
RECORDINGS = 4
AS_128_KBIT = 2 / 3
"""libsndfile's words for it: from 320 kbit/s at 0 to 32 kbit/s at 1."""


def longest_heard(piece: dict[str, Any]) -> list[str]:
    """The recordings heard longest in a piece, by its list of grains, in the order in which they come."""
    heard: Counter[str] = Counter()
    for grain in piece["grains"]:
        heard[grain["recording"]] += grain["seconds"]
    most = {name for name, _ in heard.most_common(RECORDINGS)}
    return [name for name in heard if name in most]


def bars(folder: Path, names: list[str]) -> np.ndarray:
    """The first bar of each recording, mono, one after the other, each faded over its last 20 ms."""
    length, fade = round(BAR * SAMPLE_RATE), SAMPLE_RATE // 50
    gain = np.minimum(1, np.arange(length, 0, -1) / fade)
    return np.concatenate([read_audio(folder / name, channels=1)[0, :length] * gain for name in names])


def write(path: Path, sound: np.ndarray) -> None:
    """Samples [N] or [C, N] as MP3 of a constant rate; a decibel softer, as MP3 goes over the peaks of what it is given."""
    with soundfile.SoundFile(
        path, "w", SAMPLE_RATE, np.atleast_2d(sound).shape[0], "MPEG_LAYER_III", format="MP3",
        bitrate_mode="CONSTANT", compression_level=AS_128_KBIT,
    ) as file:  # fmt: skip
        file.write(10 ** (-1 / 20) * np.atleast_2d(sound).T)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def main(demo: Path, out: Path) -> None:
    lists = {path: json.loads(path.read_bytes()) for path in sorted(demo.glob("*-?.json"))}
    path, piece = max(lists.items(), key=lambda one: len(one[1]["recordings"]))
    number = int(path.stem.rsplit("-", 1)[1])
    (model_path,) = demo.glob("*.distill")
    model = distill.load(model_path)
    out.mkdir(exist_ok=True)
    names = longest_heard(piece)
    print(f"{path.stem} is made of {len(piece['recordings'])} recordings; of {', '.join(names)} a bar each is given")
    write(out / "given.mp3", bars(demo / "recordings", names))
    write(out / "new.mp3", read_audio(path.with_suffix(".wav")))
    # Pieces are drawn together, and only so to the bit: all as many as the demo's are drawn.
    pieces = distill.generate(model, count=3, voice="codec")
    write(out / "codec.mp3", pieces[number].audio(model))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path)
    parser.add_argument("--out", type=Path, default=SOUND)
    given = parser.parse_args()
    main(given.demo, given.out)
