"""The recordings behind a model, found again by what is in them: in the cache, in their folder, where the folder is now, or in
the model's own file, if it was given away with them."""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distill.audio.mixing import as_trained
from distill.counted import some_of
from distill.errors import DistillError, LibraryError
from distill.files.regular import is_folder
from distill.library import Library
from distill.library.records import origin_of
from distill.making.grains import Stretch, spread
from distill.making.joins import MOST_SHIFT, ROOM
from distill.models.header import errors_in_words
from distill.models.model_file import Model, Source
from distill.recordings.cache import cached
from distill.recordings.corpus import audio_digests, import_corpus, sound_of
from distill.training.metrics import MetricsCallback, Notice
from distill.training.notices import ignore, noticing


@dataclass(frozen=True)
class Found:
    """What of a model's recordings is at hand."""

    stretches: tuple[Stretch, ...]
    """Stretches of what it was trained on; what was held out is not quoted, since originality is judged without it."""
    missing: tuple[str, ...]
    """Names of those that are gone or have changed."""

    @property
    def words(self) -> str:
        """What is missing, as a sentence."""
        verb = "is" if len(self.missing) == 1 else "are"
        return f"{some_of(self.missing)} {verb} gone or changed, and cannot be used."


@dataclass(frozen=True)
class Replaced:
    """A passage of a recording that is replaced, and so is not to be quoted."""

    sha256: str
    """SHA-256 of the recording's file."""
    begin: float
    """In seconds."""
    end: float


def without(stretches: Sequence[Stretch], passage: Replaced, rate: int, hop: int) -> tuple[Stretch, ...]:
    """What is left of stretches without a passage: of the recording itself, all that no grain reaches into the passage from.

    Its near-copies are left out, as a take may begin at another moment; where nothing else is left, they are used but for the
    same place.

    Args:
        rate, hop: of the codec.
    """
    takes = {one.take for one in stretches if one.sha256 == passage.sha256 and one.take >= 0}
    reach = ROOM + MOST_SHIFT
    begin, stop = round(passage.begin * rate) - reach, round(passage.end * rate) + reach

    def parts(one: Stretch) -> Iterator[Stretch]:
        if one.sha256 != passage.sha256 and one.take not in takes:
            yield one
            return
        first = max(0, (begin - one.begin) // hop)
        after = max(0, -((one.begin - stop) // hop))
        if first > 0:
            yield one.part(0, first, hop)
        if after < len(one.codes):
            yield one.part(after, len(one.codes), hop)

    others = (one for one in stretches if one.sha256 == passage.sha256 or one.take not in takes)
    left = tuple(part for one in others for part in parts(one))
    return left or tuple(part for one in stretches for part in parts(one))


def find_recordings(
    model: Model, folder: Path | None = None, callback: MetricsCallback = ignore, *, with_files: bool = False
) -> Found:
    """The sound of the recordings a model was trained on.

    They are known by the SHA-256 of their files; nothing is taken for one of them by its name alone.

    Args:
        folder: where they may be, before all folders that the library knows this model was trained on.
        with_files: also looks for the files of those whose sound is in the cache.

    Raises:
        CorpusError: if ``folder`` is none.
    """
    sources = model.trained_on
    digests = tuple(source.sha256 for source in sources)
    folders = _folders(model, folder, callback)
    if not all(digests):
        digests = _digests_by_fingerprint(model, sources, folders)
    known = dict.fromkeys(digest for digest in digests if digest)  # a set in order
    audio: dict[str, np.ndarray] = {digest: there for digest in known if (there := cached(digest)) is not None}
    given = {sound.sha256: sound for sound in model.sounds}
    files: dict[str, Path] = {}
    for place in folders:
        if known.keys() <= (files.keys() if with_files else audio.keys() | given.keys()):
            break
        try:
            _search(place, known, audio, files)
        except DistillError as error:
            if place == folder:
                raise
            # The others may still hold them.
            callback(Notice(f"{place} could not be searched for recordings: {error.what}", is_warning=True))
    # What is in the file is as it was trained on. It never goes into the cache, where it would pass for the recording itself.
    with errors_in_words(model.path or Path(model.header.name)):
        own = {digest: given[digest].audio() for digest in known if digest in given and digest not in audio}
    stretches, missing = [], []
    for source, digest in zip(sources, digests, strict=True):
        if digest in own:
            stretches.append(_stretch(model, source, digest, own[digest], files))
        elif digest in audio:
            sound = as_trained(audio[digest], model.codec.channels, source.gain, source.mix)
            stretches.append(_stretch(model, source, digest, sound, files))
        else:
            missing.append(source.name)
    return Found(tuple(stretches), tuple(dict.fromkeys(missing)))


def _search(folder: Path, known: Collection[str], audio: dict[str, np.ndarray], files: dict[str, Path]) -> None:
    """Adds the sound, and the first file, of every recording ``known`` by its digest that lies in a folder."""
    for path, digest in audio_digests(folder):
        if digest in known:
            files.setdefault(digest, path)
            if digest not in audio and (found := sound_of(path, digest)) is not None:
                audio[digest] = found


def _stretch(model: Model, source: Source, digest: str, audio: np.ndarray, files: Mapping[str, Path]) -> Stretch:
    return Stretch(
        name=source.name,
        audio=audio,
        begin=round(source.start_seconds * model.codec.sample_rate),
        codes=source.codes,
        take=source.take,
        sha256=digest,
        path=files.get(digest),
        gain=source.gain,
        tolls=spread(source.tolls, len(source.codes)),
    )


def _folders(model: Model, folder: Path | None, callback: MetricsCallback) -> tuple[Path, ...]:
    """Where the recordings may be, the likeliest first."""
    known: list[str] = []
    tell = noticing(callback, is_warning=True)
    try:
        known = [run.folder for run in reversed(Library(tell).runs(origin_of(model.header)))]
    except LibraryError as error:
        tell(f"{error.what} So recordings are only looked for in the cache.")
    given = () if folder is None else (folder,)
    return (*given, *(Path(place) for place in dict.fromkeys(known) if is_folder(Path(place))))


def _digests_by_fingerprint(model: Model, sources: Sequence[Source], folders: Sequence[Path]) -> tuple[str, ...]:
    """Digests for a model of an older format, whose file knows only names: from a folder that is its corpus as a whole."""
    for folder in folders:
        with contextlib.suppress(DistillError):  # a folder that cannot be read holds none of them
            corpus = import_corpus(folder, channels=model.codec.channels)
            if corpus.fingerprint == model.header.corpus.fingerprint:
                by_name = {recording.name: recording.sha256 for recording in corpus.recordings}
                return tuple(by_name.get(source.name, "") for source in sources)
    return tuple("" for _ in sources)
