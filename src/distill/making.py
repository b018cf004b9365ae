"""New audio on disk: pieces, loops and passages made anew, each judged for its originality and tagged with how it was made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

import numpy as np
from torch import Tensor

from distill import loops
from distill.atomic import ensure_writable
from distill.audio.files import probe, read_audio, read_blocks
from distill.audio.writing import check_output_format, write_audio
from distill.codes.extract import encode_blocks
from distill.errors import SettingError
from distill.generation import Generation, Sampling, generate
from distill.infill import Infill, infill
from distill.models.model_file import Model
from distill.originality import MOST_TRIES, Originality, OriginalityJudge, draw_until_original
from distill.outputs import free_path
from distill.settings import describe_sampling
from distill.training.metrics import MetricsCallback, Notice

LONGEST_INFILLED_SECONDS = 600.0
SILENT_PEAK = 1e-3
"""-60 dBFS: a prompt that stays below it is as good as silent."""

Take: TypeAlias = Generation | loops.Loop | Infill
"""What can be made with a model."""


@dataclass(frozen=True)
class Piece:
    """One new piece of audio on disk."""

    path: Path
    generation: Take
    originality: Originality


def make_audio(
    model: Model,
    out: Path,
    *,
    seconds: float = 10.0,
    count: int = 1,
    sampling: Sampling | None = None,
    seed: int = 0,
    prompt: Path | None = None,
    max_similarity: float | None = None,
    audio_format: str = "wav",
    bit_depth: int = 24,
    progress: Callable[[int, int], None] | None = None,
    callback: MetricsCallback | None = None,
) -> tuple[Piece, ...]:
    """Makes new pieces and writes each to its own file in ``out``; no file that is there already is touched.

    Args:
        prompt: an audio file of any kind; the pieces are what follows it.
        max_similarity: draw again, up to eight times a piece, until its nearest second is at most at this percentile of
            what held-out recordings come to.
    """
    _check_output(model, out, audio_format, bit_depth)
    given = None if prompt is None else read_prompt(model, prompt, callback)

    def draw(first: int, number: int) -> list[Generation]:
        return generate(model, seconds, number, sampling, first, progress, prompt=given)

    return _written(model, out, draw, seed, count, "new audio", audio_format, bit_depth, max_similarity, callback)


def make_loops(
    model: Model,
    out: Path,
    samples: int,
    *,
    count: int = 1,
    sampling: Sampling | None = None,
    seed: int = 0,
    max_similarity: float | None = None,
    audio_format: str = "wav",
    bit_depth: int = 24,
    progress: Callable[[int, int], None] | None = None,
    callback: MetricsCallback | None = None,
) -> tuple[Piece, ...]:
    """Makes seamless loops of exactly ``samples`` at 48 kHz and writes them as :func:`make_audio` does."""
    _check_output(model, out, audio_format, bit_depth)

    def draw(first: int, number: int) -> list[loops.Loop]:
        return loops.make_loops(model, samples, number, sampling, first, progress)

    return _written(model, out, draw, seed, count, "loop", audio_format, bit_depth, max_similarity, callback)


def infill_file(
    model: Model,
    out: Path,
    audio: Path,
    begin: float,
    end: float,
    *,
    count: int = 1,
    sampling: Sampling | None = None,
    seed: int = 0,
    max_similarity: float | None = None,
    audio_format: str = "wav",
    bit_depth: int = 24,
    progress: Callable[[int, int], None] | None = None,
    callback: MetricsCallback | None = None,
) -> tuple[Piece, ...]:
    """Makes the seconds ``begin`` to ``end`` of a recording anew and writes the whole recording with each version in it."""
    _check_output(model, out, audio_format, bit_depth)
    info = probe(audio)
    if info.frames / info.sample_rate > LONGEST_INFILLED_SECONDS:
        raise SettingError(
            f"{audio.name} lasts {info.frames / info.sample_rate / 60:.0f} minutes; to make a passage anew the whole recording "
            "must be held in memory.",
            f"Cut out at most {LONGEST_INFILLED_SECONDS / 60:.0f} minutes around the passage.",
        )
    recording = read_audio(audio, model.codec.channels)

    def draw(first: int, number: int) -> list[Infill]:
        return infill(model, recording, begin, end, number, sampling, first, progress)

    what = f"{begin:g} to {end:g} s of {audio.name} made anew"
    return _written(model, out, draw, seed, count, what, audio_format, bit_depth, max_similarity, callback)


def read_prompt(model: Model, audio: Path, callback: MetricsCallback | None = None) -> Tensor:
    """The codes ``[P, Q]`` of the end of an audio file, as much of it as the prior looks back over.

    However long the file is, only its end is kept in memory. A silent end is said to be so.
    """
    prior = model.require_prior()
    codec = model.codec
    wanted = (prior.config.context // codec.num_quantizers + codec.context) * codec.hop
    tail = np.zeros((codec.channels, 0), np.float32)
    for block in read_blocks(audio, codec.channels):
        tail = np.concatenate([tail, block], axis=1)[:, -wanted:]
    if callback is not None and not np.abs(tail).max() > SILENT_PEAK:
        callback(Notice(f"{audio.name} ends in silence, so what follows it may begin in silence too.", is_warning=True))
    # Whole positions that end where the file ends: a rest would be padded with silence, and silence is what would follow it.
    rest = tail.shape[1] % codec.hop
    return encode_blocks(codec, [tail[:, rest:] if tail.shape[1] > rest else tail], model.device)


def _check_output(model: Model, out: Path, audio_format: str, bit_depth: int) -> None:
    """Refuses, before anything is drawn, what could not be written at the end."""
    check_output_format(audio_format, bit_depth)
    model.require_prior()
    ensure_writable(out)


def _written(
    model: Model,
    out: Path,
    draw: Callable[[int, int], Sequence[Take]],
    seed: int,
    count: int,
    what: str,
    audio_format: str,
    bit_depth: int,
    max_similarity: float | None,
    callback: MetricsCallback | None,
) -> tuple[Piece, ...]:
    """Draws ``count`` takes (``draw(first seed, how many)``), judges and writes them."""
    if max_similarity is not None and not 0 <= max_similarity <= 100:
        raise SettingError(
            f"A similarity of at most {max_similarity:g} cannot be asked for.", "Choose a percentile from 0 to 100."
        )
    judge = OriginalityJudge(model)

    def judged(take: Take) -> Originality:
        return judge.judge(*take.new_sound(model))

    if max_similarity is None:
        takes = [(take, judged(take)) for take in draw(seed, count)]
    else:
        seeds = range(seed, seed + count)
        drawn = draw_until_original(lambda one: draw(one, 1)[0], judged, seeds, max_similarity)
        takes = [(one.take, one.originality) for one in drawn]
        over = sum(not one.is_within for one in drawn)
        if over and callback is not None:
            callback(
                Notice(
                    f"{over} of {count} pieces stayed above the percentile {max_similarity:g} in {MOST_TRIES} tries; the most "
                    "original try of each is kept. A higher temperature or originality helps.",
                    is_warning=True,
                )
            )
    pieces = []
    for take, originality in takes:
        path = free_path(out / f"{model.header.name}-{take.seed}.{audio_format}")
        tags = {
            "title": path.stem,
            "software": f"Distill {version('distill-audio')}",
            "comment": f"{what}, seed {take.seed}, {describe_sampling(take.sampling)}, model {model.fingerprint[:12]}; "
            f"{originality.summary()}",
        }
        write_audio(
            path,
            take.blocks(model),
            format=audio_format,
            bit_depth=bit_depth,
            channels=model.codec.channels,
            tags=tags,
        )
        pieces.append(Piece(path, take, originality))
    return tuple(pieces)
