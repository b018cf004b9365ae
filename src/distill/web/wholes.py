"""The worker's jobs for ``distill serve``: whole sounds in and out, as files or streamed as they are made.

Every question begins with the most seconds that are taken, so that what a header hides is met here, too.
"""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from distill.audio.rounding import rounded
from distill.codes.codes_file import Codes, load_codes, save_codes
from distill.codes.extract import decode_chunks, encode_blocks
from distill.durations import duration
from distill.errors import AudioFileError, DistillError, SettingError
from distill.files.atomic import output_error
from distill.formats.files import probe, read_blocks
from distill.formats.wav_header import form_of, wav_header
from distill.formats.writing import write_audio
from distill.making.choice import Choice
from distill.making.drawing import Sampling
from distill.making.editing import Editing
from distill.making.operations import Operation
from distill.making.sampling import Generation
from distill.making.streaming import drawn, stream
from distill.making.voices import RecordingsVoice, VoiceSettings, voice_of
from distill.models.model_file import Model
from distill.web.frames import Message

Blocks = Iterable[np.ndarray | None]
"""A sound as it is made, float32 ``[C, n]`` a block; None is a sign of life where there is nothing to hear yet."""
_BYTES = 3
"""A sample: 24 bits, as files on disk have them."""
_PART_BYTES = 2**19
_ALIVE: Message = ({}, b"")


def encode_whole(model: Model, _: bytes, longest: float, audio: str, out: str) -> Message:
    """An audio file as a ``.codes`` file."""
    codec = model.codec
    info = probe(Path(audio), partial(_check, longest=longest))
    taken = 0

    def counted(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        nonlocal taken
        for block in blocks:
            taken += block.shape[1]
            _check(taken / codec.sample_rate, longest)
            yield block

    codes = encode_blocks(codec, counted(read_blocks(info, codec.channels)), model.device)
    save_codes(Path(out), Codes(codes, model.codes_fingerprint, taken, codec.sample_rate))
    return {"samples": taken}, b""


def decode_whole(model: Model, _: bytes, longest: float, codes: str, audio_format: str) -> Iterator[Message]:
    """A ``.codes`` file as an audio file, in parts; the first that is not empty says how many bytes there are in all."""
    given = _codes(model, codes, longest)
    return _file(decode_chunks(model.codec, given.codes, model.device), given.samples, model, audio_format)


def draw_whole(
    model: Model,
    _: bytes,
    longest: float,
    seconds: float,
    seed: int,
    sampling: dict[str, Any],
    voice: str,
    audio_format: str,
) -> Iterator[Message]:
    """New audio in parts as :func:`decode_whole`, as WAV in the codec's voice while it is drawn.

    Raises:
        AudioFileError: if the recordings' voice is asked for and they are not at hand.
    """
    _check(seconds, longest)
    warm = sampling["temperature"]
    how = Sampling(**{**sampling, "temperature": tuple(warm) if len(warm) > 1 else warm[0]})
    model.require_prior()
    try:
        chosen = voice_of(model, VoiceSettings(Choice(voice)))
    except AudioFileError as error:
        raise AudioFileError(
            "The recordings' voice needs the recordings, and the server has none of this model's.",
            "Ask for the voice codec; or whoever runs the server puts them back, or serves what "
            "distill models export --with-recordings wrote.",
        ) from error
    blocks: Blocks = stream(model, seconds, how, seed)
    if chosen is not None:
        blocks = _grains(model, chosen, seconds, how, seed)
    return _file(blocks, round(seconds * model.codec.sample_rate), model, audio_format)


def edit_whole(
    model: Model, _: bytes, longest: float, codes: str, others: dict[str, str], edits: list[dict[str, Any]], out: str
) -> Message:
    """A ``.codes`` file, changed, as another one."""
    given = _codes(model, codes, longest)
    sounds = {name: _codes(model, path, longest) for name, path in others.items()}
    most = int(longest * model.codec.frame_rate)
    editing = Editing(model, given, sounds.__getitem__, most)
    did = [editing.apply(Operation(one["name"], one["value"], one["details"])) for one in edits]
    edited = editing.as_codes()
    save_codes(Path(out), replace(edited, codes=edited.codes.contiguous()))
    return {"did": did}, b""


def _codes(model: Model, path: str, longest: float) -> Codes:
    found = load_codes(Path(path), model.codes_fingerprint, model.codec)
    _check(found.samples / found.sample_rate, longest)
    return found


def _check(seconds: float, longest: float) -> None:
    if seconds > longest:
        raise SettingError(
            f"At most {duration(longest)} are taken at once here, and this is {duration(seconds)} or more.",
            "Send it in parts, or ask whoever runs the server for a higher --longest.",
        )


def _grains(
    model: Model, voice: RecordingsVoice, seconds: float, how: Sampling, seed: int
) -> Iterator[np.ndarray | None]:
    """New audio in the recordings' voice, which looks for the best path through all codes before it begins."""
    codes = torch.empty(0, model.codec.num_quantizers)
    for so_far in drawn(model, seconds, how, seed):
        codes = so_far
        yield None
    yield from Generation(codes, seconds, seed, how, model.codec.sample_rate, voice=voice).blocks(model)


def _file(blocks: Blocks, samples: int, model: Model, audio_format: str) -> Iterator[Message]:
    """``samples`` of sound as the parts of a file."""
    return _wav(blocks, samples, model) if audio_format == "wav" else _coded(blocks, samples, model, audio_format)


def _coded(blocks: Blocks, samples: int, model: Model, audio_format: str) -> Iterator[Message]:
    """The parts of a file whose length is known only when all of it is written.

    Raises:
        OutputError: if there is no room for it.
    """
    channels = model.codec.channels
    try:
        with tempfile.TemporaryDirectory(prefix="distill-") as place:
            sound = Path(place, "sound")
            with sound.open("wb") as raw:
                left = samples
                for block in blocks:
                    if block is not None:
                        raw.write(block[:, :left].T.astype(np.float32).tobytes())
                        left -= min(left, block.shape[1])
                    yield _ALIVE
            with sound.open("rb") as raw:
                again = (np.frombuffer(part, np.float32).reshape(-1, channels).T for part in _parts(raw))
                path = write_audio(Path(place, f"sound.{audio_format}"), again, format=audio_format, channels=channels)
            said: dict[str, Any] = {"bytes": path.stat().st_size}
            with path.open("rb") as file:
                for part in _parts(file):
                    yield said, part
                    said = {}
    except OSError as error:
        raise output_error(Path(error.filename or "the folder for temporary files"), error) from error


def _parts(file: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: file.read(_PART_BYTES), b"")


def _wav(blocks: Blocks, samples: int, model: Model) -> Iterator[Message]:
    """The parts of a WAV file of 24 bits, as they are made."""
    size = samples * model.codec.channels * _BYTES
    pad = b"\0" * (size % 2)
    start, left = wav_header(form_of(model.codec.channels, model.codec.sample_rate, 8 * _BYTES), size), samples
    said: dict[str, Any] = {"bytes": len(start) + size + len(pad)}
    for block in blocks:
        if block is None:
            yield _ALIVE
            continue
        part = block[:, :left]
        if not np.isfinite(part).all():
            raise DistillError(
                "The sound holds samples that are not numbers.",
                "Ask for another seed; if that happens again, train the model again.",
            )
        left -= part.shape[1]
        yield said, start + _packed(part) + (b"" if left else pad)
        said, start = {}, b""
        if not left:
            return


def _packed(audio: np.ndarray) -> bytes:
    """Float32 ``[C, n]`` in -1..1 as interleaved 24-bit samples, to the bit as they are written to a file."""
    whole = rounded(audio.T, 8 * _BYTES).astype("<i4")
    # Of 32 bits the lowest eight are empty.
    return np.ascontiguousarray(whole).view(np.uint8).reshape(*whole.shape, 4)[..., 4 - _BYTES :].tobytes()
