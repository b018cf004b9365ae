"""Copies of a model that include the sound of its recordings, so that the recordings' voice works elsewhere too."""

import dataclasses
from pathlib import Path

from distill.audio.mixing import in_channels
from distill.audio.rate import SAMPLE_RATE
from distill.durations import duration
from distill.errors import AudioFileError, MissingPriorError, SettingError
from distill.files.names import reserving_exactly
from distill.library import ModelEntry
from distill.library.moving import export_target
from distill.making.recordings import find_recordings
from distill.models.header import MOST_SOUND_SECONDS
from distill.models.model_file import Model, load_model, save_model
from distill.models.sound import sound_from
from distill.training.metrics import MetricsCallback
from distill.training.notices import ignore


def with_sound(model: Model, folder: Path | None = None, callback: MetricsCallback = ignore) -> Model:
    """The model with the sound of every recording that its voice may quote; nothing is written.

    Args:
        folder: where the recordings are now, if not where they were.

    Raises:
        MissingPriorError: if it has no prior, and so knows no recordings.
        AudioFileError: if one of them is gone or has changed.
        SettingError: if there is too much sound for one file, or an earlier version did not note which files it learned from.
    """
    if model.prior is None:
        raise MissingPriorError(
            f"'{model.header.name}' has no prior yet, and the recordings' voice needs one.",
            "Train its prior first, or export it without --with-recordings.",
        )
    if not all(source.sha256 for source in model.trained_on):
        raise SettingError(
            f"'{model.header.name}' does not say which files it learned from: an earlier version of Distill trained it.",
            "Train its prior again, or export it without --with-recordings.",
        )
    found = find_recordings(model, folder, callback)
    if found.missing:
        raise AudioFileError(
            f"{found.words} So '{model.header.name}' cannot be given away with its recordings.",
            "Put them back, say where they are with --recordings FOLDER, or leave out --with-recordings.",
        )
    audio = {stretch.sha256: stretch.audio for stretch in found.stretches}
    seconds = sum(one.shape[1] for one in audio.values()) / SAMPLE_RATE
    if seconds > MOST_SOUND_SECONDS:
        raise SettingError(
            f"The recordings of '{model.header.name}' last {duration(seconds)}, and one file can hold "
            f"{duration(MOST_SOUND_SECONDS)} of sound at most.",
            "Export it without --with-recordings, and pass the recordings on separately.",
        )
    channels = model.codec.channels
    sounds = tuple(sound_from(digest, in_channels(one, channels, "mean")) for digest, one in audio.items())
    return dataclasses.replace(model, sounds=sounds)


def export_with_recordings(
    entry: ModelEntry, out: Path, folder: Path | None = None, callback: MetricsCallback = ignore
) -> tuple[Path, Model]:
    """Writes a model with its recordings' sound to a folder, under a free name, or to the very path that ends in ``.distill``;
    then it calls itself by that name.

    Raises:
        DistillError: as :func:`with_sound`, and if that path is taken or cannot be written.
    """
    target = export_target(entry, out)
    model = with_sound(load_model(entry.path), folder, callback)
    if target == out:
        model = model.with_header(name=target.stem)
    with reserving_exactly(target):
        save_model(target, model)
    return target, model
