"""What the verdicts say of the recordings' voice, and of the seconds that it quotes.

    python benchmarks/quotes.py MODEL FOLDER [--count 12] [--seconds 10]

For each place of the dial: what the seconds of new pieces are called, and what those are called of which four fifths or more
are one grain (*quoted*). *By the sound of the grains* is what these would be called if the sound itself were compared, with
the codes that the prior drew, in place of the codes of the places that are played. Prints Markdown.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from distill.making.drawing import Sampling
from distill.making.grains import Bank, Grain
from distill.making.recordings import find_recordings
from distill.making.sampling import generate
from distill.making.voices import RecordingsVoice, join_cost_of
from distill.models.model_file import load_model
from distill.originality.dial import NAMED, Dial
from distill.originality.judge import OriginalityJudge
from distill.originality.verdict import Verdict

MOSTLY = 0.8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=10.0)
    asked = parser.parse_args()
    model = load_model(asked.model)
    codec, judge = model.codec, OriginalityJudge(model)
    bank = Bank.of(model, find_recordings(model, asked.folder).stretches)
    print("| dial | seconds | Copy | Close | quoted | Copy | Close | by the sound of the grains, Copy | Close |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, place in NAMED.items():
        dial = Dial.at(place)
        cost = dial.join_factor * join_cost_of(model)
        voice = RecordingsVoice(bank, codec.channels, codec.sample_rate, dial.longest_seconds, cost)
        called: list[Verdict] = []
        quoted: list[Verdict] = []
        by_sound: list[Verdict] = []
        for piece in generate(model, asked.seconds, asked.count, Sampling(top_p=dial.top_p), voice=voice):
            found = [second.verdict for second in judge.judge(*piece.new_sound(model)).seconds]
            plain = [second.verdict for second in judge.judge(piece.codes, piece.blocks(model)).seconds]
            is_quoted = shares(voice.grains(piece.codes), len(found), codec.frame_rate) >= MOSTLY
            called += found
            quoted += [one for one, is_one in zip(found, is_quoted, strict=True) if is_one]
            by_sound += [one for one, is_one in zip(plain, is_quoted, strict=True) if is_one]
        print(f"| {name} | {counted(called)} | {counted(quoted)} | {counted(by_sound).split(' | ', 1)[1]} |")


def shares(grains: Sequence[Grain], seconds: int, frame_rate: float) -> np.ndarray:
    """How much of each second is one grain: ``[seconds]``."""
    owner = np.repeat(np.arange(len(grains)), [grain.positions for grain in grains])
    parts = [owner[round(at * frame_rate) : round((at + 1) * frame_rate)] for at in range(seconds)]
    return np.array([np.bincount(part).max() / len(part) for part in parts])


def counted(verdicts: Sequence[Verdict]) -> str:
    """How many there are, and how many of them are a Copy, and Close: three cells."""
    counts = Counter(verdicts)
    return f"{len(verdicts)} | {counts[Verdict.COPY]} | {counts[Verdict.CLOSE]}"


if __name__ == "__main__":
    main()
