"""How faithful a codec is, recording by recording, beside Opus where that is installed."""

import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from distill.audio.distance import MultiScaleMel, MultiScaleSTFT
from distill.audio.likeness import Likeness, likeness_between, pooled
from distill.audio.mixing import mono_pair
from distill.codes.extract import decode_chunks, encode_blocks
from distill.durations import duration
from distill.errors import AudioFileError
from distill.evaluation.opus import HOW_TO_GET_IT, has_opus, through_opus
from distill.models.health import LevelHealth, level_health
from distill.models.model_file import Model
from distill.models.quantizer import count_codes
from distill.recordings.corpus import Corpus
from distill.recordings.passages import Passage, Split, whole_recordings
from distill.training.prior_data import split_of

MEASURED_SECONDS = 120.0
"""Seconds of each recording that are measured, from its beginning: enough to judge it by, and few enough to hold in memory."""
OPUS_KILOBITS = (6, 12, 24)


@dataclass(frozen=True)
class Score:
    """One recording, or one stretch of it, beside its reconstruction, both in mono; lower is closer."""

    name: str
    """The recording, and where in it, if it is a stretch."""
    seconds: float
    """How many seconds were measured."""
    is_held_out: bool
    mel: float
    """Multi-scale mel distance."""
    stft: float
    """Multi-scale STFT distance."""
    kept: float
    """Share of the recording's partials that are there at their pitch; NaN where it has none (``audio/pitch.py``)."""
    movement: float
    """dB by which the loudness of bands moves otherwise than the recording's; NaN in silence (``audio/texture.py``)."""
    offset: float
    """Largest mean of a channel."""


_PARTS: Mapping[str, Callable[[Score], bool]] = {
    "all": lambda score: True,
    "trained": lambda score: not score.is_held_out,
    "held_out": lambda score: score.is_held_out,
}


@dataclass(frozen=True)
class OpusScore:
    """Opus on the same sound: means over the recordings."""

    kilobits: int
    """The rate asked for, kbit/s."""
    bits_per_second: float
    """The rate of the packets themselves."""
    mel: float
    """Mean multi-scale mel distance."""
    stft: float
    """Mean multi-scale STFT distance."""


class _ThroughOpus(NamedTuple):
    """One recording through Opus."""

    seconds: float
    bits_per_second: float
    mel: float
    stft: float


@dataclass(frozen=True)
class Evaluation:
    """What ``distill evaluate`` measured."""

    scores: tuple[Score, ...]
    is_own_corpus: bool
    """Whether these are the recordings the codec was trained on; only then is it known which were held out."""
    bits_per_second: float
    """The codec's rate."""
    levels: tuple[LevelHealth, ...]
    """Use of each codebook."""
    silence_db: float
    """Peak of what digital silence decodes to, in dBFS."""
    encode_speed: float
    """Seconds of audio encoded per second of wall time, reading excluded."""
    decode_speed: float
    """Seconds of audio decoded per second of wall time."""
    opus: tuple[OpusScore, ...]
    """One score per bit rate; empty without Opus."""
    opus_note: str
    """Why there is no comparison with Opus; empty where there is one, or none was asked for."""
    seconds_each: float
    """How much of each recording was measured at most, in seconds."""
    judged: Mapping[str, Mapping[str, float]]
    """Pitch and texture, pooled over recordings: figures by name, of ``all``, ``trained`` and ``held_out`` ones."""
    left_out: tuple[str, ...] = ()
    """What in the folder was not measured, a sentence each."""

    def mean(self, figure: str, held_out: bool | None = None) -> float:
        """Mean ``mel`` or ``stft`` of all recordings, or of those (not) held out; NaN where there are none."""
        chosen = [getattr(one, figure) for one in self.scores if held_out is None or one.is_held_out == held_out]
        return statistics.fmean(chosen) if chosen else float("nan")

    def summary(self) -> list[tuple[str, str]]:
        """The figures as rows of name and value, for a person to read."""
        rows = [("recordings", f"{len(self.scores)}, at most {duration(self.seconds_each)} of each")]
        if any(score.is_held_out for score in self.scores):
            rows += [
                ("mel distance, trained on", f"{self.mean('mel', held_out=False):.3f}"),
                ("mel distance, held out", f"{self.mean('mel', held_out=True):.3f}"),
            ]
        rows += [
            ("mel distance, all", f"{self.mean('mel'):.3f}"),
            *((f"{what}, {called}", said) for called, figures in self._judged() for what, said in _in_words(figures)),
            ("STFT distance, all", f"{self.mean('stft'):.3f}"),
            ("rate", f"{self.bits_per_second / 1000:.2f} kbit/s"),
            ("peak of decoded silence", f"{self.silence_db:.0f} dBFS"),
            ("encoding", f"{self.encode_speed:.0f} times real time"),
            ("decoding", f"{self.decode_speed:.0f} times real time"),
        ]
        rows += [
            (
                f"Opus, {score.kilobits} kbit/s",
                f"mel {score.mel:.3f}, STFT {score.stft:.3f}, took {score.bits_per_second / 1000:.1f} kbit/s",
            )
            for score in self.opus
        ]
        if not self.is_own_corpus:
            rows.append(("corpus", "not the one it was trained on"))
        return rows

    def _judged(self) -> list[tuple[str, Mapping[str, float]]]:
        parts = [("held out", "held_out")] if any(score.is_held_out for score in self.scores) else []
        return [(called, self.judged[part]) for called, part in [("all", "all"), *parts]]


def _in_words(figures: Mapping[str, float]) -> list[tuple[str, str]]:
    rows = []
    if math.isfinite(figures["kept"]):
        kept = f"{100 * figures['kept']:.0f} % of the partials kept"
        off = f", {figures['cents']:.1f} cents off" if math.isfinite(figures["cents"]) else ""  # of none nobody knows
        rows.append(("pitch", f"{kept}{off}, {figures['invented']:.2f} invented per partial of the recording"))
    if math.isfinite(figures["movement"]):
        off, buzz = f"movement {figures['movement']:.1f} dB off", f"buzz {figures['line']:.1f} dB"
        rows.append(("texture", f"{off}, {buzz}, grain {figures['grain']:+.1f} dB"))
    return rows


class _RoundTrips:
    """Sounds through a codec and back, with the codes that are used and the time that is taken."""

    def __init__(self, model: Model) -> None:
        self._codec, self._device = model.codec, model.device
        self.counts = torch.zeros(self._codec.num_quantizers, self._codec.codebook_size, dtype=torch.int64)
        self.encoding = self.decoding = 0.0  # seconds

    def of(self, audio: np.ndarray) -> np.ndarray:
        """What the codec makes of a sound ``[C, N]``: as long."""
        started = time.perf_counter()
        codes = encode_blocks(self._codec, [audio], self._device)
        encoded = time.perf_counter()
        decoded = joined(decode_chunks(self._codec, codes, self._device), audio.shape[1])
        self.encoding += encoded - started
        self.decoding += time.perf_counter() - encoded
        self.counts += count_codes(codes, self._codec.codebook_size)
        return decoded


class _BesideOpus:
    """The same sounds through Opus, as long as its tools work."""

    def __init__(self, is_wanted: bool, distances: Callable[[np.ndarray, np.ndarray], tuple[float, float]]) -> None:
        self.note = HOW_TO_GET_IT if is_wanted and not has_opus() else ""
        self._is_on = is_wanted and not self.note
        self._distances = distances
        self._rows: dict[int, list[_ThroughOpus]] = {kilobits: [] for kilobits in OPUS_KILOBITS}

    def take(self, sound: np.ndarray, seconds: float) -> None:
        """Measures Opus on a mono sound ``[1, N]``."""
        if not self._is_on:
            return
        try:
            for kilobits, rows in self._rows.items():
                other, bits = through_opus(sound, kilobits)
                rows.append(_ThroughOpus(seconds, bits, *self._distances(other, sound)))
        except AudioFileError as error:
            self.note, self._is_on = f"{error.what} {error.fix}", False

    def scores(self) -> tuple[OpusScore, ...]:
        """A score a rate; none where the tools are missing or have failed."""
        return tuple(_opus_score(kilobits, rows) for kilobits, rows in self._rows.items()) if self._is_on else ()


def evaluate(
    model: Model,
    corpus: Corpus,
    split: Split | None,
    *,
    with_opus: bool = True,
    progress: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> Evaluation:
    """Encodes and decodes every recording and measures how far the result is from it.

    Args:
        split: the one the model was trained with (:func:`own_split`); None for other recordings.
        with_opus: compare with Opus at 6, 12 and 24 kbit/s, if it is installed.
        progress: called with (recordings done, recordings, name of the next).
    """
    rate = model.codec.sample_rate
    mel, stft = MultiScaleMel(rate), MultiScaleSTFT()

    def distances(estimate: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
        return distance_between(mel, estimate, reference), distance_between(stft, estimate, reference)

    passages = _measured_passages(corpus, split)
    codec, opus = _RoundTrips(model), _BesideOpus(with_opus, distances)
    scores: list[Score] = []
    likenesses: list[Likeness] = []
    for number, (passage, is_held_out) in enumerate(passages):
        progress(number, len(passages), passage.label)
        audio = beginning(passage, MEASURED_SECONDS, model.codec.channels)
        decoded = codec.of(audio)
        original, rebuilt = mono_pair(audio, decoded)
        mel_distance, stft_distance = distances(rebuilt, original)
        likeness = likeness_between([(rebuilt[0], original[0])], mel_distance)
        score = Score(
            name=passage.label,
            seconds=audio.shape[1] / rate,
            is_held_out=is_held_out,
            mel=mel_distance,
            stft=stft_distance,
            kept=likeness.pitch.kept_share,
            movement=likeness.texture.movement,
            offset=float(np.abs(decoded.mean(axis=1)).max()),
        )
        scores.append(score)
        likenesses.append(likeness)
        opus.take(original, score.seconds)

    seconds = sum(score.seconds for score in scores)
    return Evaluation(
        scores=tuple(scores),
        is_own_corpus=split is not None,
        bits_per_second=model.codec.config.bitrate,
        levels=level_health(codec.counts),
        silence_db=_silence_db(model),
        encode_speed=seconds / max(codec.encoding, 1e-9),
        decode_speed=seconds / max(codec.decoding, 1e-9),
        opus=opus.scores(),
        opus_note=opus.note,
        seconds_each=MEASURED_SECONDS,
        judged={
            name: pooled([one for one, score in zip(likenesses, scores, strict=True) if chosen(score)]).figures()
            for name, chosen in _PARTS.items()
        },
        left_out=corpus.unused,
    )


def _silence_db(model: Model) -> float:
    """The peak of what a second of digital silence decodes to, in dBFS."""
    silence = np.zeros((model.codec.channels, model.codec.sample_rate), np.float32)
    hiss = _RoundTrips(model).of(silence)
    return 20 * math.log10(max(float(np.abs(hiss).max()), 1e-10))


def own_split(model: Model, corpus: Corpus) -> Split | None:
    """The split that the model was trained with; None if these are not the recordings it was trained on.

    Raises:
        ModelFileError: as :func:`distill.training.prior_data.split_of`.
    """
    return split_of(model, corpus) if model.header.corpus.fingerprint == corpus.fingerprint else None


def _measured_passages(corpus: Corpus, split: Split | None) -> list[tuple[Passage, bool]]:
    """The passages to measure, each with whether it was held out in training.

    These are whole recordings, or stretches of them where stretches were held out.
    """
    if split is not None and split.kind == "passages":
        return [(passage, False) for passage in split.train] + [(passage, True) for passage in split.held_out]
    held_out = held_out_names(split)
    return [(passage, passage.recording.name in held_out) for passage in whole_recordings(corpus.recordings)]


def held_out_names(split: Split | None) -> frozenset[str]:
    """Names of the recordings that a split holds out whole; none without a split."""
    kept = split.held_out if split is not None and split.kind == "recordings" else ()
    return frozenset(passage.recording.name for passage in kept)


def beginning(passage: Passage, seconds: float, channels: int) -> np.ndarray:
    """The first ``seconds`` of a passage, float32 ``[C, N]``."""
    return passage.read(0, min(passage.samples, round(seconds * passage.samples / passage.seconds)), channels)


def joined(blocks: Iterable[np.ndarray], samples: int) -> np.ndarray:
    """The first ``samples`` of a sound that comes in blocks, as one array ``[C, samples]``."""
    return np.concatenate(list(blocks), axis=1)[:, :samples]


def distance_between(measure: Callable[[Tensor, Tensor], Tensor], estimate: np.ndarray, reference: np.ndarray) -> float:
    """The distance between two sounds ``[C, N]`` by a measure that takes tensors."""
    with torch.no_grad():
        return float(measure(torch.from_numpy(estimate), torch.from_numpy(reference)))


def _opus_score(kilobits: int, rows: list[_ThroughOpus]) -> OpusScore:
    bits = sum(row.seconds * row.bits_per_second for row in rows) / sum(row.seconds for row in rows)
    return OpusScore(
        kilobits, bits, statistics.fmean(row.mel for row in rows), statistics.fmean(row.stft for row in rows)
    )
