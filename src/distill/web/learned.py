"""Recordings that a model learned from, found again by what is in them, as ``making/recordings.py`` does it, without PyTorch.

They are looked for in the folders that were trained on or are on the page, in the cache of decoded sound, and in the model's
own file, if it was given away with them. Nothing is taken for one of them by its name alone.
"""

import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import soundfile

from distill.audio.rate import SAMPLE_RATE
from distill.errors import AudioFileError, CorpusError
from distill.files.atomic import written_aside
from distill.files.names import normalised
from distill.files.regular import is_file, open_regular
from distill.files.tensors import UnusableError, read_table
from distill.formats.writing import write_audio
from distill.models.header import KEY, Header, SoundRecord, errors_in_words, read_header
from distill.recordings.cache import cached
from distill.recordings.folder import audio_files
from distill.recordings.seen import digest_of, known_digest
from distill.web.sound import kept

_PART = 10 * SAMPLE_RATE


def gone(name: str) -> AudioFileError:
    """What to say of a file that is not there any more."""
    return AudioFileError(
        f"{name} is not where it was.", "It was moved or deleted; put it back, or choose another one."
    )


def sound_of_learned(model: Path, name: str, folders: Sequence[Path], trained_on: int) -> Path:
    """A file with the sound of a recording.

    Args:
        name: by which the model knows it, below a folder.
        folders: where it may be, the likeliest first.
        trained_on: how many of the folders the model was trained on; for a model of an older format, which knows only names,
            the others do not count.

    Raises:
        AudioFileError: if it is nowhere.
        ModelFileError: if the model cannot be read.
    """
    header = read_header(model)
    digests = {one.sha256 for one in header.sources if normalised(one.name) == normalised(name)} - {None}
    if not digests:
        for folder in folders[:trained_on]:
            if is_file(path := folder / name):
                return path
        raise gone(name[:200])
    (digest, *_) = sorted(filter(None, digests))
    found = _found(model, header, name, digest, folders)
    if found is None:
        raise AudioFileError(
            f"{name[:200]} is in none of the folders under Recordings.",
            "Add the folder it is in now; it is known by what is in it, whatever it is called.",
        )
    return found


def _found(model: Path, header: Header, name: str, digest: str, folders: Sequence[Path]) -> Path | None:
    """What is quickest to tell comes first: files of that name, files that were read before, what is kept; then all others."""
    named = [path for folder in folders if is_file(path := folder / name)]
    if (found := _first(named, digest)) is not None:
        return found
    files = _listed(folders)
    for path in files:
        if known_digest(path) == digest:
            return path
    return _kept_sound(model, header, digest) or _first(files, digest)


def _first(paths: Iterable[Path], digest: str) -> Path | None:
    for path in paths:
        try:
            if digest_of(path) == digest:
                return path
        except AudioFileError:  # what cannot be read is not found there
            continue
    return None


def _kept_sound(model: Path, header: Header, digest: str) -> Path | None:
    """What the cache or the model's file holds of a recording, as a FLAC file of the page's own."""
    if (audio := cached(digest)) is not None:
        sound = audio
        blocks = (sound[:, at : at + _PART] for at in range(0, sound.shape[1], _PART))
        return kept(
            f"{digest}.flac",
            lambda place: write_audio(place, blocks, format="flac", bit_depth=24, channels=sound.shape[0]),
        )
    numbers = [number for number, one in enumerate(header.sounds) if one.sha256 == digest]
    if not numbers:
        return None
    record, tensor = header.sounds[numbers[0]], f"sounds.{numbers[0]}"
    return kept(f"{digest[:32]}-own.flac", lambda place: _take_out(model, tensor, record, place))


def _take_out(model: Path, name: str, record: SoundRecord, place: Path) -> None:
    """Writes the sound that lies in a model's file. It comes from a stranger, so it must be what the header declares."""
    with errors_in_words(model), open_regular(model) as file:
        table = read_table(file, KEY)
        start, stop = table.entries[name].data_offsets if name in table.entries else (0, 0)
        file.seek(start, os.SEEK_CUR)
        content = file.read(stop - start)
        try:
            with soundfile.SoundFile(io.BytesIO(content)) as flac:
                told = (flac.format, flac.samplerate, flac.channels, flac.frames)
        except soundfile.LibsndfileError as error:
            raise UnusableError("the sound of a recording in it is damaged") from error
        if told != ("FLAC", SAMPLE_RATE, record.channels, record.samples) or len(content) != record.bytes:
            raise UnusableError("the sound of a recording in it is not what its header declares")
    with written_aside(place) as aside:
        aside.write_bytes(content)


def _listed(folders: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for folder in folders:
        try:
            found += audio_files(folder)[0]
        except CorpusError:  # gone, or not for this person: the others may still hold it
            continue
    return found
