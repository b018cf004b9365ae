"""The codec on its own: audio files into codes and back, and whole folders through both."""

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from distill.codes.codes_file import Codes, load_codes, save_codes
from distill.codes.extract import decode_chunks, encode_blocks
from distill.files.atomic import ensure_writable
from distill.files.names import CODES_SUFFIX, reconstruction_paths, reserving
from distill.formats.files import probe, read_blocks, samples_at_48k
from distill.formats.writing import check_output_format, write_audio
from distill.models.model_file import Model
from distill.recordings.checksum import remark_on
from distill.recordings.corpus import import_corpus
from distill.recordings.passages import whole_recordings


def encode_file(model: Model, audio: Path, out: Path, tell: Callable[[str], None] = lambda words: None) -> Codes:
    """Encodes one audio file of any length into a ``.codes`` file; ``tell`` gets what is odd about it."""
    codes = encoded(model, audio, tell)
    save_codes(out, codes)
    return codes


def encoded(model: Model, audio: Path, tell: Callable[[str], None] = lambda words: None) -> Codes:
    """One audio file of any length as codes; ``tell`` gets what is odd about it."""
    info = probe(audio)
    peak = 0.0

    def told(words: str) -> None:
        tell(f"{audio.name}: {words}")

    if remark := remark_on(info):
        told(remark)

    def blocks() -> Iterator[np.ndarray]:
        nonlocal peak
        for block in read_blocks(audio, model.codec.channels, tell=told):
            peak = max(peak, float(np.abs(block).max(initial=0.0)))
            yield block

    codes = encode_blocks(model.codec, blocks(), model.device)
    if peak > 1:
        tell(
            f"{audio.name} peaks {20 * math.log10(peak):.1f} dB above full scale, louder than anything that was learned: it "
            "may come back distorted. Turn it down before."
        )
    return Codes(codes, model.codes_fingerprint, samples_at_48k(info), model.codec.sample_rate)


def read_sound(model: Model, path: Path, tell: Callable[[str], None] = lambda words: None) -> Codes:
    """A ``.codes`` file, or an audio file as codes; ``tell`` gets what is odd about it."""
    if path.suffix.lower() == CODES_SUFFIX:
        return load_codes(path, model.codes_fingerprint, model.codec)
    return encoded(model, path, tell)


def decode_file(model: Model, codes: Codes, out: Path, bit_depth: int = 24) -> Path:
    """Decodes codes into an audio file of exactly the length that was encoded."""
    blocks = _first(decode_chunks(model.codec, codes.codes, model.device), codes.samples)
    audio_format = out.suffix.lower().removeprefix(".") or "wav"
    check_output_format(audio_format, bit_depth)
    return write_audio(out, blocks, format=audio_format, bit_depth=bit_depth, channels=model.codec.channels)


def reconstruct_folder(
    model: Model,
    folder: Path,
    out: Path,
    progress: Callable[[int, int, str], None] = lambda done, total, name: None,
    tell: Callable[[str], None] = lambda words: None,
    done: Callable[[Path], None] = lambda path: None,
) -> list[Path]:
    """Every usable recording of the folder through encoder and decoder, as ``out/<same name>.wav``, 48 kHz, 24 bit.

    A file of that name that is there already stays; the new one is numbered. ``tell`` gets what is left out, and what is odd
    about the others, a sentence each; ``done`` gets each file that is finished.
    """
    corpus = import_corpus(folder, channels=model.codec.channels)
    for sentence in corpus.unused:
        tell(sentence)
    paths = reconstruction_paths(out, {recording.name: recording.path for recording in corpus.recordings})
    ensure_writable(out)
    written = []
    for number, passage in enumerate(whole_recordings(corpus.recordings)):
        progress(number, corpus.file_count, passage.recording.name)
        with reserving(paths[passage.recording.name]) as path:
            codes = encode_blocks(model.codec, passage.blocks(model.codec.channels), model.device)
            blocks = _first(decode_chunks(model.codec, codes, model.device), passage.samples)
            write_audio(path, blocks, format="wav", bit_depth=24, channels=model.codec.channels)
        written.append(path)
        done(path)
    return written


def _first(blocks: Iterable[np.ndarray], samples: int) -> Iterator[np.ndarray]:
    for block in blocks:
        yield block[:, :samples]
        samples -= block.shape[1]
        if samples <= 0:
            return
