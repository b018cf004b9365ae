"""New audio on disk: pieces, loops and passages made anew, each judged for its originality and tagged with how it was made."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from pydantic import TypeAdapter
from torch import Tensor

from distill.audio.files import AudioInfo, probe, read_audio, read_blocks
from distill.audio.writing import check_output_format, write_audio
from distill.codes.extract import encode_blocks
from distill.errors import AudioFileError, SettingError
from distill.files.atomic import ensure_writable
from distill.files.names import reserving
from distill.making import loops
from distill.making.infill import Infill, infill
from distill.making.sampling import Generation, Sampling, Voice, check_count, check_request, generate
from distill.making.sidecar import Quote, in_words, quotes, write_edit_list, write_sidecar
from distill.making.voices import Choice, RecordingsVoice, Wanted, voice_of
from distill.models.model_file import Model
from distill.originality.dial import MOST_TRIES, draw_until_original
from distill.originality.judge import OriginalityJudge
from distill.originality.verdict import Originality, Verdict
from distill.runs.journal import NewPiece, record_pieces
from distill.training.metrics import MetricsCallback, Notice

LONGEST_INFILLED_SECONDS = 600.0
SILENT_PEAK = 1e-3
"""60 dB below the loudest sample of a prompt: an end that stays below it is as good as silent."""
_FAINTEST = 1e-5
_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "FLOAT": 32, "DOUBLE": 32}

HEARD = (Verdict.ORIGINAL, Verdict.CLOSE, Verdict.COPY)

Take: TypeAlias = Generation | loops.Loop | Infill
"""What can be made with a model."""


@dataclass(frozen=True)
class Request:
    """What is asked of a model, but for the seed: with it, and with the same model, the same sound is made again."""

    kind: Literal["audio", "loop", "infill"]
    sampling: Sampling
    audio_format: str = "wav"
    bit_depth: int = 24
    seconds: float = 0.0
    """Of new audio."""
    samples: int = 0
    """Of a loop."""
    begin: float = 0.0
    """Of the passage that is made anew, in seconds."""
    end: float = 0.0
    given: Path | None = None
    """The prompt, or the recording in which a passage is made anew."""
    voice: Choice = Choice.CODEC
    longest_seconds: float = 1.0
    """How long a stretch of one recording may be in the recordings' voice."""
    recordings: Path | None = None
    """Where the recordings are, if they were moved."""
    edit_list: bool = False
    """Whether a project for a DAW is written beside the piece."""

    @property
    def wanted(self) -> Wanted:
        """The voice that is asked for."""
        return Wanted(self.voice, self.longest_seconds, self.recordings, self.edit_list)

    @property
    def words(self) -> str:
        """What it is, for people."""
        if self.kind == "infill" and self.given is not None:
            return f"{self.begin:g} to {self.end:g} s of {self.given.name} made anew"
        return "loop" if self.kind == "loop" else "new audio"


@dataclass(frozen=True)
class Piece:
    """One new piece of audio on disk."""

    path: Path
    generation: Take
    originality: Originality
    number: int | None = None
    """By which the library knows it."""
    made_of: tuple[Quote, ...] = ()
    """The grains of recordings that are heard in it; none in the codec's voice."""
    sidecar: Path | None = None
    """The file that says where every moment comes from; none in the codec's voice."""
    edit_list: Path | None = None
    """The project in which a DAW shows the grains; none if it was not asked for."""

    def summary(self) -> str:
        """Where it came from, in a line for a person."""
        return "; ".join(filter(None, (in_words(self.made_of), self.originality.summary())))


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
    voice: Wanted | None = None,
    progress: Callable[[int, int], None] | None = None,
    callback: MetricsCallback | None = None,
) -> tuple[Piece, ...]:
    """Makes new pieces and writes each to its own file in ``out``; no file that is there already is touched.

    Args:
        prompt: an audio file of any kind; the pieces are what follows it.
        max_similarity: draw again, up to eight times a piece, until its nearest second is at most at this percentile of
            what held-out recordings come to.
        voice: which voice speaks; without it the one that was measured to be nearer to the recordings.
    """
    request = _asked(Request("audio", sampling or Sampling(), audio_format, bit_depth, seconds, given=prompt), voice)
    return make(model, out, request, seed, count, max_similarity=max_similarity, progress=progress, callback=callback)


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
    voice: Wanted | None = None,
    progress: Callable[[int, int], None] | None = None,
    callback: MetricsCallback | None = None,
) -> tuple[Piece, ...]:
    """Makes seamless loops of exactly ``samples`` at 48 kHz and writes them as :func:`make_audio` does."""
    request = _asked(Request("loop", sampling or Sampling(), audio_format, bit_depth, samples=samples), voice)
    return make(model, out, request, seed, count, max_similarity=max_similarity, progress=progress, callback=callback)


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
    voice: Wanted | None = None,
    progress: Callable[[int, int], None] | None = None,
    callback: MetricsCallback | None = None,
) -> tuple[Piece, ...]:
    """Makes the seconds ``begin`` to ``end`` of a recording anew and writes the whole recording with each version in it."""
    request = _asked(
        Request("infill", sampling or Sampling(), audio_format, bit_depth, begin=begin, end=end, given=audio), voice
    )
    return make(model, out, request, seed, count, max_similarity=max_similarity, progress=progress, callback=callback)


def make(
    model: Model,
    out: Path,
    request: Request,
    seed: int = 0,
    count: int = 1,
    *,
    max_similarity: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    callback: MetricsCallback | None = None,
) -> tuple[Piece, ...]:
    """Makes what is asked for, judges and writes it (files are named after model and seed), and notes it in the library."""
    check_output_format(request.audio_format, request.bit_depth)
    model.require_prior()
    ensure_writable(out)
    if max_similarity is not None and not 0 <= max_similarity <= 100:
        raise SettingError(
            f"A similarity of at most {max_similarity:g} cannot be asked for.", "Choose a percentile from 0 to 100."
        )
    check_count(count)
    if request.kind == "audio":
        check_request(request.seconds, count)
    request.sampling.check_levels(model.codec.num_quantizers)
    voice = voice_of(model, request.wanted, callback)
    # What is noted is what spoke, so that it can be made again.
    request = replace(request, voice=Choice.CODEC if voice is None else Choice.RECORDINGS)
    draw = _drawer(model, request, voice, progress, callback)
    given = None if request.given is None else file_digest(request.given)
    pieces = [
        _written(model, out, request, take, originality)
        for take, originality in _judged(model, draw, range(seed, seed + count), max_similarity, callback)
    ]
    # What was drawn together is drawn together again: arithmetic in a batch need not be the same to the last bit.
    noted = [
        NewPiece(
            piece.path,
            piece.generation.seed,
            piece.summary(),
            {verdict.value.lower(): piece.originality.share(verdict) for verdict in HEARD},
            _as_json(request, given, *((seed, count) if max_similarity is None else (piece.generation.seed, 1))),
            piece.originality.seconds,
        )
        for piece in pieces
    ]
    numbers = record_pieces(model, noted, callback)
    return tuple(replace(piece, number=number) for piece, number in zip(pieces, numbers, strict=True))


def make_again(
    model: Model,
    out: Path,
    request: Request,
    seeds: range,
    seed: int,
    name: str,
    progress: Callable[[int, int], None] | None = None,
    callback: MetricsCallback | None = None,
) -> Piece:
    """Makes the piece of one seed as it was made before, and writes it under the name it had, if that is free.

    Args:
        seeds: those that were drawn together.
        name: of the file, without its ending.
    """
    check_output_format(request.audio_format, request.bit_depth)
    ensure_writable(out)
    voice = voice_of(model, request.wanted, callback)
    takes = _drawer(model, request, voice, progress, callback)(seeds.start, len(seeds))
    take = takes[seeds.index(seed)]
    return _written(model, out, request, take, OriginalityJudge(model).judge(*take.new_sound(model)), name)


def read_prompt(model: Model, audio: Path, callback: MetricsCallback | None = None) -> Tensor:
    """The codes ``[P, Q]`` of the end of an audio file, as much of it as the prior looks back over.

    However long the file is, only its end is kept in memory. A silent end is said to be so.
    """
    prior = model.require_prior()
    codec = model.codec
    wanted = (prior.config.context // codec.num_quantizers + codec.context) * codec.hop
    if callback is not None and (remark := probe(audio).remark):
        callback(Notice(f"{audio.name}: {remark}"))
    tail = np.zeros((codec.channels, 0), np.float32)
    for block in read_blocks(audio, codec.channels):
        tail = np.concatenate([tail, block], axis=1)[:, -wanted:]
    # Of what the prior is given, it hears the newest half of its window.
    listened = prior.config.context // codec.num_quantizers // 2 * codec.hop
    peak = float(np.abs(tail).max(initial=0.0))
    if peak > 1:
        tail = tail / np.float32(peak)
        if callback is not None:
            callback(
                Notice(f"{audio.name} peaks {20 * math.log10(peak):.1f} dB above full scale; it is brought down to it.")
            )
    # Quiet is not silent: what counts is how loud the end is beside the rest.
    if callback is not None and not np.abs(tail[:, -listened:]).max() > max(_FAINTEST, SILENT_PEAK * min(peak, 1.0)):
        callback(Notice(f"{audio.name} ends in silence, so what follows it may begin in silence too.", is_warning=True))
    # Whole positions that end where the file ends: a rest would be padded with silence, and silence is what would follow it.
    rest = tail.shape[1] % codec.hop
    return encode_blocks(codec, [tail[:, rest:] if tail.shape[1] > rest else tail], model.device)


def _asked(request: Request, voice: Wanted | None) -> Request:
    """The request with the voice that is wanted."""
    wanted = voice or Wanted()
    return replace(
        request,
        voice=wanted.choice,
        longest_seconds=wanted.longest_seconds,
        recordings=wanted.recordings,
        edit_list=wanted.edit_list,
    )


def _drawer(
    model: Model,
    request: Request,
    voice: Voice | None,
    progress: Callable[[int, int], None] | None,
    callback: MetricsCallback | None,
) -> Callable[[int, int], Sequence[Take]]:
    """``draw(first seed, how many)``, with everything read that the request speaks of."""
    sampling, given = request.sampling, request.given
    if request.kind == "loop":
        return lambda first, count: loops.make_loops(model, request.samples, count, sampling, first, progress, voice)
    if request.kind == "infill" and given is not None:
        recording = _read_recording(model, request, given, callback)
        return lambda first, count: infill(
            model, recording, request.begin, request.end, count, sampling, first, progress, voice
        )
    prompt = None if given is None else read_prompt(model, given, callback)
    return lambda first, count: generate(
        model, request.seconds, count, sampling, first, progress, prompt=prompt, voice=voice
    )


def _read_recording(model: Model, request: Request, audio: Path, callback: MetricsCallback | None) -> np.ndarray:
    """The recording as the codec takes it; what differs from the file is said before anything is made."""
    info = probe(audio)
    if info.frames / info.sample_rate > LONGEST_INFILLED_SECONDS:
        raise SettingError(
            f"{audio.name} lasts {info.frames / info.sample_rate / 60:.0f} minutes; to make a passage anew the whole recording "
            "must be held in memory.",
            f"Cut out at most {LONGEST_INFILLED_SECONDS / 60:.0f} minutes around the passage.",
        )
    recording = read_audio(audio, model.codec.channels)
    if callback is not None and (changes := _changes(model, request, info, recording)):
        callback(Notice(f"Outside of the passage {audio.name} does not stay as it is: {'; '.join(changes)}."))
    return recording


def _changes(model: Model, request: Request, info: AudioInfo, recording: np.ndarray) -> list[str]:
    """In which ways an infilled recording cannot be the original's, sample for sample, outside of the passage."""
    changes = []
    if info.sample_rate != model.codec.sample_rate:
        changes.append(f"{info.sample_rate} Hz become {model.codec.sample_rate}")
    if info.channels != model.codec.channels:
        become = ("one channel becomes two that are alike", "two channels become one")[info.channels - 1]
        changes.append(f"{become}, as this model has {model.codec.channels}")
    if request.audio_format in ("ogg", "mp3"):
        changes.append(f"{request.audio_format} is lossy")
    elif request.bit_depth < _BITS.get(info.subtype, 24):
        changes.append(f"{request.bit_depth} bits are coarser than the file's")
    if request.bit_depth != 32 and (peak := float(np.abs(recording).max(initial=0.0))) > 1:
        changes.append(
            f"it peaks {20 * math.log10(peak):.1f} dB above full scale and is clipped (not with --format wav --bit-depth 32)"
        )
    return changes


def _judged(
    model: Model,
    draw: Callable[[int, int], Sequence[Take]],
    seeds: range,
    max_similarity: float | None,
    callback: MetricsCallback | None,
) -> list[tuple[Take, Originality]]:
    """A take a seed, and where each of them came from."""
    judge = OriginalityJudge(model)

    def judged(take: Take) -> Originality:
        return judge.judge(*take.new_sound(model))

    if max_similarity is None:
        return [(take, judged(take)) for take in draw(seeds.start, len(seeds))]
    drawn = draw_until_original(lambda one: draw(one, 1)[0], judged, seeds, max_similarity)
    over = sum(not one.is_within for one in drawn)
    if over and callback is not None:
        callback(
            Notice(
                f"{over} of {len(seeds)} pieces stayed above the percentile {max_similarity:g} in {MOST_TRIES} tries; the most "
                "original try of each is kept. A higher temperature or originality helps.",
                is_warning=True,
            )
        )
    return [(one.take, one.originality) for one in drawn]


def _written(
    model: Model, out: Path, request: Request, take: Take, originality: Originality, title: str | None = None
) -> Piece:
    with reserving(out / f"{title or f'{model.header.name}-{take.seed}'}.{request.audio_format}") as path:
        piece = Piece(path, take, originality, made_of=_made_of(model, take))
        about = f"{request.words}, seed {take.seed}, {take.sampling.describe()}, model {model.fingerprint[:12]}"
        tags = {
            "title": title or path.stem,
            "software": f"Distill {version('distill-audio')}",
            "comment": f"{about}; {piece.summary()}",
        }
        write_audio(
            path,
            take.blocks(model),
            format=request.audio_format,
            bit_depth=request.bit_depth,
            channels=model.codec.channels,
            tags=tags,
        )
    if not piece.made_of:
        return piece
    piece = replace(piece, sidecar=write_sidecar(path, piece.made_of, about))
    if request.edit_list:
        edit_list = write_edit_list(path, piece.made_of, probe(path).seconds, model.codec.sample_rate)
        piece = replace(piece, edit_list=edit_list)
    return piece


def _made_of(model: Model, take: Take) -> tuple[Quote, ...]:
    """The grains that are heard in a take, where the recordings' voice speaks."""
    match take:
        case loops.Loop(piece=piece):
            voice, codes, skip, samples, at = piece.voice, piece.codes, take.start, take.samples, 0
        case Infill():
            voice, codes, at = take.voice, take.codes, take.start
            skip, samples = take.start - take.first, take.stop - take.start
        case _:
            voice, codes, skip, at = take.voice, take.codes, take.lead * model.codec.hop, 0
            samples = round(take.seconds * take.sample_rate)
    if not isinstance(voice, RecordingsVoice):
        return ()
    return quotes(voice.placed(codes), voice.bank.stretches, model.codec.sample_rate, skip, samples, at)


def _as_json(request: Request, given_digest: str | None, first_seed: int, count: int) -> dict[str, Any]:
    """The request as the library keeps it, with the seeds that were drawn together and what identifies its input."""
    asked: dict[str, Any] = TypeAdapter(Request).dump_python(request, mode="json")
    place = None if request.given is None else str(request.given.resolve())
    moved = None if request.recordings is None else str(request.recordings.resolve())
    return asked | {
        "given": place,
        "recordings": moved,
        "given_digest": given_digest,
        "first_seed": first_seed,
        "count": count,
    }


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes.

    Raises:
        AudioFileError: if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AudioFileError(f"{path} cannot be read: {error.strerror}.", "Give another file.") from error
