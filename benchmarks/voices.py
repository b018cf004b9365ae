"""The codec's voice and the recordings' own, for the same codes, beside the recordings.

    python benchmarks/voices.py MODEL FOLDER [--lots 4] [--count 12] [--seconds 10] [--originality balanced] [--any-level]
        [--lean NATS] [--unbalanced] [--no-tolls] [--seed 0]
    python benchmarks/voices.py MODEL FOLDER --picture docs/voices.png
    python benchmarks/voices.py MODEL FOLDER --minutes 10 --hours 1
    python benchmarks/voices.py MODEL FOLDER --held-out
    python benchmarks/voices.py MODEL FOLDER --rebuilt
    python benchmarks/voices.py MODEL FOLDER --own

Prints Markdown. *Movement* and *comb* are those of ``making/nearness.py``, *line* and *grain* those of
``audio/texture.py``, of all pieces beside all recordings; *Fréchet* is the distance there, and *floor* the same for as much
audio drawn from the recordings themselves (median of 1000 draws of 400 passages); both for all pieces together and, in the
next column, for each lot alone, the mean of all lots. *Near-copies*: seconds whose log-mel picture correlates over 0.95
with a place of the recordings. *Beat*: the autocorrelation of the onset envelope at the recordings' own period, the
strongest from 0.3 to 1.5 s, over theirs, both in parts of five seconds. *Step*: the 99.9th percentile of steps from sample
to sample within fades, over that of the recordings; over that of the rest of the same pieces. With ``--minutes`` time and
memory of one long piece, with ``--hours`` as if the recordings were so long. With ``--held-out`` the codes of held-out
recordings, in the codec's voice and spoken by grains of all others, by the figures of the codec. With ``--rebuilt`` the
Fréchet distance of all recordings through the codec. With ``--own`` that of passages of what was trained on, as they are
and through the codec: what a prior that only quotes would reach.
"""

import argparse
import math
import resource
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib.figure
import numpy as np
import torch

from distill.audio.distance import MultiScaleMel
from distill.audio.likeness import likeness_between
from distill.audio.mixing import in_channels, mono, mono_pair
from distill.audio.texture import TextureScore, movement
from distill.codes.extract import decode_chunks, encode_blocks
from distill.making.borders import excerpt
from distill.making.drawing import Sampling
from distill.making.grains import JOIN_COST, Bank, Stretch
from distill.making.joins import Placed
from distill.making.nearness import Reference, excerpts, reference_of
from distill.making.onsets import FRAMES_PER_SECOND
from distill.making.recordings import find_recordings
from distill.making.sampling import Generation, generate
from distill.making.tolls import with_tolls
from distill.making.voices import RecordingsVoice, join_cost_of
from distill.models.model_file import Model, load_model
from distill.originality.dial import NAMED, Dial
from distill.recordings.corpus import import_corpus
from distill.recordings.passages import whole_recordings
from distill.training.prior_data import split_of

RATE = 48_000
PASSAGES, DRAWS = 400, 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lots", type=int, default=4)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument(
        "--join-cost", type=float, help="what a join costs; what the model and the dial say if not given"
    )
    parser.add_argument("--originality", choices=NAMED, default="balanced")
    parser.add_argument(
        "--picture", type=Path, help="writes spectrograms of one piece in both voices beside a recording"
    )
    parser.add_argument("--any-level", action="store_true", help="lets new audio stray in level")
    parser.add_argument(
        "--lean", type=float, help="nats a decibel by which louder codes are likelier; the model's if not given"
    )
    parser.add_argument(
        "--unbalanced", action="store_true", help="leaves the balance between the recordings to the prior"
    )
    parser.add_argument(
        "--no-tolls", action="store_true", help="lets grains come from the same places as often as they do"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the first piece; each further one has the next")
    parser.add_argument("--minutes", type=float, help="measures time and memory of one piece of this length instead")
    parser.add_argument("--hours", type=float, default=0.0, help="as if there were so many hours of recordings")
    parser.add_argument("--held-out", action="store_true", help="held-out recordings in both voices instead")
    parser.add_argument("--rebuilt", action="store_true", help="all recordings through the codec instead")
    parser.add_argument("--own", action="store_true", help="passages of the recordings in place of new audio")
    asked = parser.parse_args()
    model = load_model(asked.model)
    if asked.any_level:
        model = model.with_header(loudness=None)
    if asked.lean is not None:
        model = model.with_header(loudness_lean=asked.lean)
    if asked.unbalanced:
        model = model.with_header(balance=())
    if asked.no_tolls:
        model = with_tolls(model, ())
    dial = Dial.at(NAMED[asked.originality])
    if asked.rebuilt:
        compare_rebuilt(model, asked.folder, asked.seconds)
        return
    stretches = find_recordings(model, asked.folder).stretches
    cost = asked.join_cost or dial.join_factor * join_cost_of(model)
    if asked.minutes:
        measure_length(model, stretches, dial, asked.minutes, asked.hours)
    elif asked.own:
        compare_own(model, asked.folder, stretches, asked.lots, asked.count, asked.seconds)
    elif asked.held_out:
        compare_held_out(model, asked.folder, voice_of(model, stretches, dial, cost))
    elif asked.picture:
        draw(model, asked.folder, voice_of(model, stretches, dial, cost), dial, asked.picture)
    else:
        voice = voice_of(model, stretches, dial, cost)
        seeds = [asked.seed + asked.count * lot for lot in range(asked.lots)]
        compare(model, asked.folder, voice, dial, seeds, asked.count, asked.seconds)


def voice_of(model: Model, stretches: Sequence[Stretch], dial: Dial, join_cost: float = JOIN_COST) -> RecordingsVoice:
    codec = model.codec
    bank = Bank.of(model, stretches)
    return RecordingsVoice(bank, codec.channels, codec.sample_rate, dial.longest_seconds, join_cost)


def compare(
    model: Model, folder: Path, voice: RecordingsVoice, dial: Dial, seeds: Sequence[int], count: int, seconds: float
) -> None:
    corpus = import_corpus(folder, channels=model.codec.channels)
    recordings = whole_recordings(corpus.recordings)
    audio, reference = excerpts(recordings, model.codec.channels), reference_of(model, recordings)
    step = float(np.quantile(np.abs(np.diff(np.concatenate(audio, axis=1))), 0.999))
    pieces = [
        piece for seed in seeds for piece in generate(model, seconds, count, Sampling(top_p=dial.top_p), seed=seed)
    ]
    lots = len(seeds)
    floor, floor_of_lot = floors_of(reference, audio, (count * lots, count), seconds)
    period, own_beat = reference.period, reference.beat
    print(
        f"Floor of the Fréchet distance {floor:.1f}; comb of the recordings {reference.nearness(audio).comb:.2f}; their onsets"
    )
    print(f"repeat after {period / FRAMES_PER_SECOND:.2f} s (autocorrelation {own_beat:.2f})\n")
    print(
        "| voice | movement | line | grain | comb | Fréchet / floor | lot by lot | near-copies | beat | grains a piece "
        "| longest | step | seconds a piece |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    for name, speaker in (("codec", None), ("recordings", voice)):
        started = time.perf_counter()
        sounds = [replace(piece, voice=speaker).audio(model) for piece in pieces]
        taken = (time.perf_counter() - started) / len(pieces)
        near, texture = reference.nearness(sounds), TextureScore(moving(sounds), moving(audio), 1)
        row = f"| {name} | {near.movement_db:.2f} dB | {texture.line:.1f} dB | {texture.grain:+.2f} dB "
        by_lot = [reference.frechet(sounds[lot * count :][:count]) / floor_of_lot for lot in range(lots)]
        row += f"| {near.comb:.2f} | {near.frechet / floor:.2f} | {np.mean(by_lot):.2f} | {near.near_copies:.1%} "
        row += f"| {near.beat / own_beat:.2f} "
        if speaker is None:
            print(f"{row}| | | | {taken:.2f} |")
            continue
        placed = [speaker.placed(piece.codes) for piece in pieces]
        longest = max(grain.length for one in placed for grain in one) / RATE
        inside, outside = steps_of(sounds, placed)
        grains = np.mean([len(one) for one in placed])
        print(f"{row}| {grains:.0f} | {longest:.2f} s | {inside / step:.2f}; {inside / outside:.2f} | {taken:.2f} |")


def moving(sounds: Sequence[np.ndarray]) -> np.ndarray:
    """The mean spectrum of movement of all seconds and bands that sound ``[201]``."""
    found = [movement(mono(sound)[0]) for sound in sounds]
    total: np.ndarray = sum((moved for moved, _ in found), np.zeros(1))
    return total / max(sum(count for _, count in found), 1)


def steps_of(sounds: Sequence[np.ndarray], placed: Sequence[Sequence[Placed]]) -> tuple[float, float]:
    """The 99.9th percentile of steps from sample to sample within the fades of grains, and of those everywhere else."""
    inside, outside = [], []
    for sound, grains in zip(sounds, placed, strict=True):
        steps = np.abs(np.diff(sound))
        faded = np.zeros(steps.shape[1], dtype=bool)
        for grain in grains[1:]:
            faded[grain.start : grain.start + grain.fade_in] = True
        inside.append(steps[:, faded].ravel())
        outside.append(steps[:, ~faded].ravel())
    return float(np.quantile(np.concatenate(inside), 0.999)), float(np.quantile(np.concatenate(outside), 0.999))


def compare_held_out(model: Model, folder: Path, voice: RecordingsVoice) -> None:
    """Held-out passages from their own codes, in both voices. What is held out is no part of what the grains are taken from."""
    codec = model.codec
    split = split_of(model, import_corpus(folder, channels=codec.channels))
    distance = MultiScaleMel(RATE)
    print("| voice | kept | cents | invented | movement | line | grain | mel |\n|---|---|---|---|---|---|---|---|")
    for name in ("codec", "recordings"):
        pairs, mels = [], []
        for passage in split.held_out:
            audio = passage.read(0, passage.samples, codec.channels)
            codes = encode_blocks(codec, [audio])
            said = voice.blocks(codes) if name == "recordings" else decode_chunks(codec, codes)
            made = np.concatenate(list(said), axis=1)[:, : audio.shape[1]]
            made = np.broadcast_to(made, audio.shape)
            mels.append(float(distance(torch.tensor(made[None]), torch.from_numpy(audio[None]))))
            original, spoken = mono_pair(audio, made)
            pairs.append((spoken[0], original[0]))
        found = likeness_between(pairs, float(np.mean(mels))).figures()
        print(
            f"| {name} | {found['kept']:.2f} | {found['cents']:.1f} | {found['invented']:.2f} | {found['movement']:.1f} dB "
            f"| {found['line']:.1f} dB | {found['grain']:+.1f} dB | {found['mel']:.2f} |"
        )


def compare_rebuilt(model: Model, folder: Path, seconds: float) -> None:
    """How far all recordings are from themselves once they have been codes."""
    codec = model.codec
    recordings = whole_recordings(import_corpus(folder, channels=codec.channels).recordings)
    audio = excerpts(recordings, codec.channels)
    made = [np.concatenate(list(decode_chunks(codec, encode_blocks(codec, [one]))), axis=1) for one in audio]
    reference = Reference(audio, codec.frame_rate)
    count = round(sum(one.shape[1] for one in audio) / RATE / seconds)
    (floor,) = floors_of(reference, audio, (count,), seconds)
    distance = reference.nearness(made).frechet
    print(f"Fréchet distance {distance:.1f}, floor {floor:.1f}, over it {distance / floor:.2f}")


def compare_own(
    model: Model, folder: Path, stretches: Sequence[Stretch], lots: int, count: int, seconds: float
) -> None:
    """Passages of the recordings in place of new pieces; where a recording ends, another one follows, as in new audio."""
    codec, positions = model.codec, math.ceil(seconds * RATE / model.codec.hop)
    audio = excerpts(whole_recordings(import_corpus(folder, channels=codec.channels).recordings), codec.channels)
    reference = Reference(audio, codec.frame_rate)
    draw_from = np.random.default_rng(0)
    often = np.array([max(1.0, len(stretch.codes) / positions) for stretch in stretches])
    plain, coded = [], []
    for _ in range(lots * count):
        codes: list[torch.Tensor] = []
        sounds: list[np.ndarray] = []
        while (left := positions - sum(map(len, codes))) > 0:
            stretch = stretches[draw_from.choice(len(stretches), p=often / often.sum())]
            first = int(draw_from.integers(0, max(0, len(stretch.codes) - positions) + 1))
            part = stretch.part(first, first + left, codec.hop)
            sound = excerpt(part.audio, part.begin, part.begin + len(part.codes) * codec.hop)
            sounds.append(in_channels(sound, codec.channels, "mean"))
            codes.append(part.codes)
        plain.append(np.concatenate(sounds, axis=1))
        coded.append(np.concatenate(list(decode_chunks(codec, torch.cat(codes))), axis=1))
    floor, floor_of_lot = floors_of(reference, audio, (lots * count, count), seconds)
    print("| | Fréchet / floor | lot by lot |\n|---|---|---|")
    for name, sounds in (("recordings", plain), ("through the codec", coded)):
        by_lot = [reference.frechet(sounds[lot * count :][:count]) / floor_of_lot for lot in range(lots)]
        print(f"| {name} | {reference.frechet(sounds) / floor:.2f} | {np.mean(by_lot):.2f} |")


def floors_of(reference: Reference, audio: Sequence[np.ndarray], counts: Sequence[int], seconds: float) -> list[float]:
    """The Fréchet distance of so many passages of the recordings themselves, each as long as the pieces."""
    draw_from = np.random.default_rng(0)
    joined, length = np.concatenate(audio, axis=1), round(seconds * RATE)
    starts = draw_from.integers(0, max(1, joined.shape[1] - length), PASSAGES)
    passages = torch.stack([reference.described([joined[:, start : start + length]]) for start in starts])
    floors = []
    for count in counts:
        drawn = (torch.from_numpy(draw_from.integers(0, PASSAGES, count)) for _ in range(DRAWS))
        floors.append(float(np.median([reference.frechet_of(passages[places].flatten(0, 1)) for places in drawn])))
    return floors


def measure_length(model: Model, stretches: Sequence[Stretch], dial: Dial, minutes: float, hours: float) -> None:
    """Time and memory of one long piece, its codes drawn from the recordings' own in stretches of a second."""
    own = sum(len(stretch.codes) for stretch in stretches) / model.codec.frame_rate / 3600
    times = max(1, round(hours / own))
    many = [
        replace(stretch, name=f"{turn} {stretch.name}", take=-1, codes=shuffled(stretch.codes, turn))
        for turn in range(times)
        for stretch in stretches
    ]
    started = time.perf_counter()
    voice = voice_of(model, many, dial)
    prepared = time.perf_counter() - started
    draw_from = np.random.default_rng(0)
    parts: list[torch.Tensor] = []
    while sum(len(part) for part in parts) < minutes * 60 * model.codec.frame_rate:
        codes = many[draw_from.integers(len(many))].codes
        parts.append(codes[draw_from.integers(len(codes)) :][:47])
    codes = torch.cat(parts)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, worked = time.perf_counter(), time.process_time()
    samples = sum(block.shape[1] for block in voice.blocks(codes))
    taken, work = time.perf_counter() - started, time.process_time() - worked
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"{times * own:.2f} h of recordings, {samples / RATE:.0f} s of audio: prepared in {prepared:.1f} s, "
        f"spoken in {taken:.1f} s "
        f"(for 10 s {10 * taken / (samples / RATE):.2f} s, {10 * work / (samples / RATE):.2f} s of processor time); "
        f"peak memory grew by {grown:.0f} MiB"
    )


def shuffled(codes: torch.Tensor, turn: int) -> torch.Tensor:
    """The same codes with a few changed, so that copies of a corpus are not the same to the last code."""
    if not turn:
        return codes
    draw_from = torch.Generator().manual_seed(turn)
    other = codes[torch.randperm(len(codes), generator=draw_from)]
    return torch.where(torch.rand(codes.shape, generator=draw_from) < 0.1, other, codes)


def draw(model: Model, folder: Path, voice: RecordingsVoice, dial: Dial, path: Path) -> None:
    """Spectrograms of a recording, and of one new piece in both voices."""
    piece: Generation = generate(model, 4.0, 1, Sampling(top_p=dial.top_p), seed=1)[0]
    corpus = import_corpus(folder, channels=model.codec.channels)
    longest = max(whole_recordings(corpus.recordings), key=lambda one: one.samples)
    sides = {
        f"a recording ({longest.recording.name})": longest.read(
            0, min(longest.samples, 4 * RATE), model.codec.channels
        ),
        "new audio, the codec's voice": piece.audio(model),
        "the same codes, the recordings' voice": replace(piece, voice=voice).audio(model),
    }
    figure = matplotlib.figure.Figure(figsize=(12, 9), layout="constrained")
    for axes, (title, sound) in zip(figure.subplots(3, 2, width_ratios=(2, 1)), sides.items(), strict=True):
        mono = sound.mean(axis=0)
        axes[0].specgram(mono, NFFT=1024, Fs=RATE, noverlap=896, cmap="magma", vmin=-130, vmax=-30)
        axes[0].set(title=title, ylabel="Hz", ylim=(0, 16_000))
        axes[1].specgram(mono[: 2 * RATE], NFFT=8192, Fs=RATE, noverlap=8192 - 512, cmap="magma", vmin=-120, vmax=-30)
        axes[1].set(title="lows, fine in pitch", ylim=(0, 1500))
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    main()
