"""Every figure of the codec in one table: trains one per folder, as a person would, and evaluates it.

    python benchmarks/codec.py --minutes 10 --out models FOLDER [FOLDER ...]
    python benchmarks/codec.py --picture codec.png --model models/loops.distill --recording loops/kick.wav

Prints Markdown. The picture shows one recording, what is rebuilt from its codes (and from those of an
older model: ``--before``), and Opus at eight times the bits.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
import torch

from distill.codes.extract import decode_chunks, encode_blocks
from distill.evaluation.opus import through_opus
from distill.formats.files import read_audio
from distill.models.model_file import load_model

HEADINGS = (
    "corpus", "files", "kbit/s", "minutes", "steps", "audio s/s", "mel, trained on", "mel, held out", "mel, all", "STFT, all",
    "partials kept, all", "cents", "invented", "movement", "line", "grain", "used per level", "encode + decode", "memory",
)  # fmt: skip
JUDGED = (
    ("kept", ".2f"),
    ("cents", ".1f"),
    ("invented", ".2f"),
    ("movement", ".1f"),
    ("line", ".1f"),
    ("grain", "+.1f"),
)


def distill(*words: object, **environment: str) -> dict[str, Any]:
    """Runs the command line and gives its JSON, with its process's largest memory as ``peak_bytes``: on Linux no less than that
    of this one, from which it begins.

    Args:
        environment: what its process finds beside what there is.
    """
    command = [sys.executable, "-m", "distill", *map(str, words), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}) as process:
        assert process.stdout is not None
        told = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return {**json.loads(told), "peak_bytes": used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)}


def in_a_home_of_its_own(work: Path) -> None:
    """Has Distill's own folder in the folder for work from here on.

    In a person's own, the states of their finished runs would make room for those of a benchmark, and their library would list
    its models for good.
    """
    os.environ["DISTILL_HOME"] = str((work / "home").absolute())


def measure(folder: Path, minutes: float, channels: str, out: Path) -> list[list[str]]:
    """A row for the codec trained on the folder, and one for each rate of Opus."""
    started = time.monotonic()
    trained = distill("train", folder, "--minutes", minutes, "--channels", channels, "--out", out)
    wall = time.monotonic() - started
    lines = Path(trained["events"]).read_text(encoding="utf-8").splitlines()
    steps = [event for event in map(json.loads, lines) if "audio_seconds" in event]
    pace = sum(step["audio_seconds"] for step in steps) / sum(step["step_time_s"] for step in steps)
    found = distill("evaluate", trained["model"], folder, "--out", out)
    speed = 1 / (1 / found["encode_speed"] + 1 / found["decode_speed"])
    used = " ".join(f"{100 * level['utilisation']:.0f}" for level in found["levels"])
    held_out = "–" if found["mel_held_out"] is None else f"{found['mel_held_out']:.3f}"
    trained_on = f"{(found['mel_trained'] or found['mel']):.3f}"
    rows = [
        [
            folder.name, str(len(found["scores"])), f"{found['bits_per_second'] / 1000:.2f}", f"{wall / 60:.1f}",
            str(len(steps)), f"{pace:.0f}", trained_on, held_out, f"{found['mel']:.3f}", f"{found['stft']:.3f}",
            *(f"{found['judged']['all'][name]:{form}}" for name, form in JUDGED),
            f"{used} %", f"{speed:.0f}×", f"{trained['peak_bytes'] / 2**30:.1f} GiB",
        ]
    ]  # fmt: skip
    for opus in found["opus"]:
        row = [f"{folder.name}, Opus", "", f"{opus['bits_per_second'] / 1000:.1f}", "", "", "", "", ""]
        rows.append([*row, f"{opus['mel']:.3f}", f"{opus['stft']:.3f}", *[""] * (len(JUDGED) + 3)])
    return rows


def rebuilt(model_path: Path, recording: Path) -> tuple[np.ndarray, float]:
    """A recording through a model's codec ``[N]``, in mono, and its bits a second."""
    codec = load_model(model_path).codec
    audio = read_audio(recording, channels=codec.channels)
    decoded = np.concatenate(list(decode_chunks(codec, encode_blocks(codec, [audio]))), axis=1)
    return decoded[:, : audio.shape[1]].mean(axis=0), codec.config.bitrate


def draw(model_path: Path, recording: Path, picture: Path, before: Path | None) -> None:
    """Spectrograms of the recording, ours, an older model's if there is one, and Opus at eight times our bits."""
    audio = read_audio(recording, channels=1)
    ours, bits = rebuilt(model_path, recording)
    opus, opus_bits = through_opus(audio, round(8 * bits / 1000))
    sounds = {"the recording": audio[0]}
    if before is not None:
        sounds["a Distill of before"] = rebuilt(before, recording)[0]
    sounds[f"Distill, {bits / 1000:.1f} kbit/s"] = ours
    sounds[f"Opus, {opus_bits / 1000:.0f} kbit/s"] = opus[0]
    figure = matplotlib.figure.Figure(figsize=(12, 2.6 * len(sounds)), layout="constrained")
    for axes, (title, sound) in zip(figure.subplots(len(sounds), 2), sounds.items(), strict=True):
        for place, window, top in ((axes[0], 8192, 2500), (axes[1], 1024, 16_000)):
            place.specgram(sound, NFFT=window, Fs=48_000, noverlap=window * 7 // 8, cmap="magma", vmin=-125, vmax=-30)
            place.set(ylim=(0, top), ylabel="Hz")
        axes[0].set_title(title, loc="left")
    for place, title in zip(figure.axes[-2:], ("lows, fine in pitch: seconds", "seconds"), strict=True):
        place.set_xlabel(title)
    figure.savefig(picture, dpi=70)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--channels", default="1")
    parser.add_argument("--out", type=Path, default=Path("models"))
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--before", type=Path, help="an older model, for the picture")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--recording", type=Path)
    wanted = parser.parse_args()
    torch.manual_seed(0)
    in_a_home_of_its_own(wanted.out)
    if wanted.folders:
        print("| " + " | ".join(HEADINGS) + " |\n" + "|---" * len(HEADINGS) + "|")
    for folder in wanted.folders:
        for row in measure(folder, wanted.minutes, wanted.channels, wanted.out):
            print("| " + " | ".join(row) + " |", flush=True)
    if wanted.picture:
        if wanted.model is None or wanted.recording is None:
            parser.error("--picture needs --model and --recording")
        draw(wanted.model, wanted.recording, wanted.picture, wanted.before)


if __name__ == "__main__":
    main()
