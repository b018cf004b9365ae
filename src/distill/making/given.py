"""Audio that new sound continues or is put into: read for the model, with warnings before anything is made."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from distill.codes.extract import encode_blocks
from distill.durations import about, duration
from distill.errors import SettingError
from distill.formats.files import AudioInfo, probe, read_audio, read_blocks
from distill.formats.more_formats import FORMATS
from distill.making.level import LISTENED_SECONDS, gain_to_meet, loudest_part
from distill.making.request import Request
from distill.models.model_file import Model
from distill.recordings.checksum import remark_on
from distill.recordings.inspection import SHORTEST_SECONDS
from distill.training.metrics import MetricsCallback, Notice
from distill.training.notices import ignore

LONGEST_INFILLED_SECONDS = 600.0
SILENT_PEAK = 1e-3
"""60 dB below the loudest sample of a prompt: an end that stays below it is as good as silent."""
_FAINTEST = 1e-5
_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "FLOAT": 32, "DOUBLE": 32}
_DECODED_TO_FLOATS = ("MPEG_LAYER_III", "VORBIS", "OPUS")


@dataclass(frozen=True)
class Prompt:
    """The end of a sound that is to go on."""

    codes: Tensor
    """``[P, Q]``, of the sound at the level of the recordings."""
    gain: float
    """What brings the recordings' level to the sound's own."""


def read_prompt(model: Model, audio: Path, callback: MetricsCallback = ignore) -> Prompt:
    """The end of an audio file, as much of it as the prior looks back over.

    However long the file is, only its end is kept in memory. A silent end is said to be so. What follows an end that dies away
    is as loud as the file was before that.
    """
    prior = model.require_prior()
    codec = model.codec
    wanted = (prior.config.context_positions + codec.context) * codec.hop

    told = _telling(audio, callback)
    info = probe(audio)
    if remark := remark_on(info):
        told(remark)
    if info.seconds < SHORTEST_SECONDS:
        length = f"{1000 * info.seconds:.4g} ms"
        told(
            f"It lasts {length}, which is too little to go on from: what follows may sound as if there were no prompt."
        )
    tail, before = np.zeros((codec.channels, 0), np.float32), 0.0
    for block in read_blocks(audio, codec.channels, tell=told):
        before = max(before, loudest_part(block, codec.sample_rate))
        tail = np.concatenate([tail, block], axis=1)[:, -wanted:]
    # Of a prompt, the prior sees the newest half of its window.
    listened = prior.config.context_positions // 2 * codec.hop
    peak = float(np.abs(tail).max(initial=0.0))
    if peak > 1:
        tail = tail / np.float32(peak)
        above = 20 * math.log10(peak)
        callback(Notice(f"{audio.name} peaks {above:.1f} dB above full scale, so it is turned down to full scale."))
    # Quiet is not silent: what counts is how loud the end is beside the rest.
    if not np.abs(tail[:, -listened:]).max() > max(_FAINTEST, SILENT_PEAK * min(peak, 1.0)):
        callback(Notice(f"{audio.name} ends in silence, so what follows it may begin in silence too.", is_warning=True))
    # Whole positions that end where the file ends: a remainder would be padded with silence, and silence would follow it.
    remainder = tail.shape[1] % codec.hop
    tail = tail[:, remainder:] if tail.shape[1] > remainder else tail
    end = tail[:, -round(LISTENED_SECONDS * codec.sample_rate) :]
    gain = gain_to_meet(model, end, audio.name, callback, before=before)
    return Prompt(encode_blocks(codec, [tail / np.float32(gain)], model.device), gain)


def read_recording(model: Model, request: Request, audio: Path, callback: MetricsCallback) -> np.ndarray:
    """The recording as the codec takes it, float32 ``[C, N]``; what differs from the file is said before anything is made.

    Raises:
        AudioFileError: if it cannot be read.
        SettingError: if it is too long to be held in memory.
    """
    info = probe(audio)
    if info.frames / info.sample_rate > LONGEST_INFILLED_SECONDS:
        raise SettingError(
            f"{audio.name} lasts {duration(info.frames / info.sample_rate)}; to replace a passage, the whole recording "
            "must fit in memory.",
            f"Cut out at most {about(LONGEST_INFILLED_SECONDS)} around the passage.",
        )

    told = _telling(audio, callback)
    if remark := remark_on(info):
        told(remark)
    recording = read_audio(audio, model.codec.channels, told)
    if changes := _changes(model, request, info, recording):
        callback(Notice(f"{audio.name} {'; '.join(changes)}. Otherwise nothing changes outside the passage."))
    return recording


def _telling(audio: Path, callback: MetricsCallback) -> Callable[[str], None]:
    """What says something of a file, under its name."""
    return lambda words: callback(Notice(f"{audio.name}: {words}"))


def _changes(model: Model, request: Request, info: AudioInfo, recording: np.ndarray) -> list[str]:
    """In which ways an infilled recording cannot be the original's, sample for sample, outside of the passage."""
    changes = []
    if info.sample_rate != model.codec.sample_rate:
        changes.append(f"is resampled from {info.sample_rate / 1000:g} to {model.codec.sample_rate / 1000:g} kHz")
    if info.own_channels > 2:
        changes.append(f"is mixed from {info.own_channels} channels to {('one', 'two')[model.codec.channels - 1]}")
    elif info.channels != model.codec.channels:
        become = ("gets a second, identical channel", "is mixed from two channels to one")[info.channels - 1]
        changes.append(f"{become}, as this model has {model.codec.channels}")
    if request.audio_format in ("ogg", "mp3"):
        changes.append(f"is written as {request.audio_format}, which is lossy")
    elif request.bit_depth < _BITS.get(info.subtype, 24):
        changes.append(f"is written with {request.bit_depth} bits, fewer than it has now")
    elif request.bit_depth != 32 and info.subtype in (*_DECODED_TO_FLOATS, *FORMATS):
        changes.append(f"is decoded and rounded to {request.bit_depth} bits")
    if request.bit_depth != 32 and (peak := float(np.abs(recording).max(initial=0.0))) > 1:
        changes.append(
            f"peaks {20 * math.log10(peak):.1f} dB above full scale and will be clipped "
            "(--format wav --bit-depth 32 keeps it)"
        )
    return changes
