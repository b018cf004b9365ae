"""The Python API behind ``import distill``: five functions over the pipeline."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from threading import Event

import numpy as np
import torch

from distill import awake, given, pipeline
from distill.audio.mixing import in_channels, mix_of
from distill.codes.codes_file import Codes
from distill.codes.extract import decode_chunks, encode_blocks
from distill.errors import CodesFileError, SettingError
from distill.files.names import claimed, new_model_path, new_run_folder
from distill.files.regular import is_folder
from distill.formats.files import probe, read_blocks, samples_at_48k
from distill.making.choice import Choice
from distill.making.drawing import Sampling
from distill.making.sampling import Generation
from distill.making.sampling import generate as generate_pieces
from distill.making.voices import VoiceSettings, voice_of
from distill.models.config import VQVAEConfig
from distill.models.model_file import Model, load_model
from distill.recordings.corpus import import_corpus
from distill.recordings.split import split_corpus
from distill.runs.events import events_file
from distill.settings import check_length
from distill.sizes import check_sizes
from distill.training import budget
from distill.training.arithmetic import Precision
from distill.training.device import choose_device, precision_on
from distill.training.metrics import MetricsCallback
from distill.training.notices import ignore, noticing
from distill.training.plan import StageEnd

_LOAD = "Open one with: distill.load(FILE)"
QUALITIES = ("standard", "high")


def train(
    folder: Path | str,
    model_path: Path | str | None = None,
    *,
    name: str | None = None,
    quality: str = "standard",
    minutes: float | None = None,
    epochs: int | None = None,
    channels: int | None = None,
    rvq_levels: int | None = None,
    codebook_size: int | None = None,
    commitment_weight: float | None = None,
    seed: int = 0,
    device: str = "auto",
    from_scratch: bool = False,
    precision: Precision = "auto",
    callback: MetricsCallback | None = None,
    cancel_event: Event | None = None,
) -> Model:
    """Trains codec and prior on a folder of recordings, writes the model file and gives the model back.

    What can be chosen is what ``distill train`` can choose, under the same names, and what is not chosen follows the corpus.

    Args:
        model_path: the file to write. A folder, with or without ``name``, gets the file ``name``, or one called after the
            recordings and numbered if that is taken; without a path that is the current folder.
        quality: ``standard``, or ``high``, which adds a second stage to the codec.
        minutes: of the whole, codec and prior; without it and ``epochs`` 8, or 45 for ``high``.
        epochs: of each stage; with ``minutes``, whichever ends first.
        channels: 1 or 2; what the recordings have if not given.
        precision: of the arithmetic: ``32``, ``bf16``, ``16``, or ``auto``, the fastest that is as good on this device.
        cancel_event: when set, training stops after the current step; what is there by then is kept, and stages that have not
            begun do not begin.

    Raises:
        DistillError: see ``distill.errors``; OutputError if the file is there already, SettingError for what cannot be.
    """
    given.where_given(given.whole, epochs=epochs, rvq_levels=rvq_levels, codebook_size=codebook_size)
    given.where_given(given.number, minutes=minutes, commitment_weight=commitment_weight)
    given.seed(seed)
    seed = int(seed)  # NumPy's numbers are numbers too, but not all of PyTorch takes them
    check_length(epochs, minutes)
    folder = given.path(folder, "folder")
    wanted = _target(model_path, name, folder)
    _check_heard(callback, cancel_event)
    is_high = _is_high(quality)
    if channels not in (None, 1, 2):
        raise SettingError(f"A model of {channels!r} channels cannot be trained.", "Choose 1 or 2, or leave it out.")
    precision_on(choose_device(device).type, precision)
    if minutes is None and epochs is None:
        minutes = budget.HIGH_RUN_MINUTES if is_high else budget.RUN_MINUTES
    plan = pipeline.CodecPlan(epochs, minutes, seed=seed, device=device, precision=precision, from_scratch=from_scratch)
    epochs, minutes = plan.epochs, plan.minutes  # as Python's numbers
    chosen = {"num_quantizers": rvq_levels, "codebook_size": codebook_size, "commitment_weight": commitment_weight}
    changes = {field: value for field, value in chosen.items() if value is not None}
    check_sizes(VQVAEConfig, changes)
    with claimed(wanted) as target:
        started, notify = awake.seconds(), callback or ignore
        corpus = import_corpus(folder, channels=channels, ahead=noticing(notify))
        split = split_corpus(corpus, seed=seed)
        run_folder = new_run_folder(target.stem)
        read = awake.seconds()
        left_s = None if minutes is None else budget.time_to_learn(minutes, read - started, 0.0, notify)
        codec_s = None if left_s is None else budget.codec_seconds(left_s, corpus.seconds)
        first_minutes, second_minutes = budget.minutes_of_stages(codec_s and codec_s / 60, is_high)
        model, _ = pipeline.train_codec_in_stages(
            corpus,
            split,
            target,
            run_folder,
            dataclasses.replace(plan, minutes=first_minutes),
            StageEnd(epochs, second_minutes) if is_high else None,
            ends_at=None if codec_s is None else read + codec_s,
            config_changes=changes,
            callback=callback,
            cancel_event=cancel_event,
        )
        if cancel_event is not None and cancel_event.is_set():
            return model
        left = None if left_s is None else budget.minutes_left(left_s - awake.seconds() + read)
        prior_plan = pipeline.PriorPlan(
            epochs, left, seed=seed, device=device, precision=precision, from_scratch=from_scratch
        )
        events = events_file(run_folder, "prior")
        return pipeline.add_prior(
            target, corpus, split, events, prior_plan, callback=callback, cancel_event=cancel_event
        )


def _check_heard(callback: object, cancel_event: object) -> None:
    if callback is not None and not callable(callback):
        raise SettingError(f"callback is {callback!r}; a function is needed.", "Give a function that takes an event.")
    if cancel_event is not None and not callable(getattr(cancel_event, "is_set", None)):
        raise SettingError(f"cancel_event is {cancel_event!r}; an event is needed.", "Give a threading.Event.")


def _is_high(quality: str) -> bool:
    if quality not in QUALITIES:
        raise SettingError(f"There is no quality '{quality}'.", f"Choose one of {', '.join(QUALITIES)}.")
    return quality == "high"


def _target(model_path: Path | str | None, name: str | None, folder: Path) -> Path:
    path = Path() if model_path is None else given.path(model_path, "model_path")
    if name is not None and not isinstance(name, str):
        raise SettingError(f"name is {name!r}; text is needed.", "Give it as text.")
    if name is None and not is_folder(path):
        return new_model_path(path.parent, path.name, folder)
    return new_model_path(path, name, folder)


def load(model_path: Path | str, device: str | torch.device = "cpu") -> Model:
    """Opens a ``.distill`` file; frozen, in eval mode.

    Raises:
        SettingError: if ``model_path`` is no path.
        ModelFileError: if it is missing, damaged, foreign or from a newer version.
    """
    return load_model(given.path(model_path, "model_path"), choose_device(device))


def generate(
    model: Model,
    seconds: float = 10.0,
    count: int = 1,
    *,
    sampling: Sampling | None = None,
    seed: int = 0,
    voice: str = "auto",
    recordings: Path | str | None = None,
) -> list[Generation]:
    """New pieces; ``piece.audio(model)`` gives the sound, float32 ``[C, N]`` at 48 kHz.

    Args:
        voice: ``recordings`` (grains of them), ``codec``, or ``auto``: the one measured to be nearer to the recordings.
        recordings: the folder they are in now, if they were moved.

    Raises:
        AudioFileError: if the recordings' voice is asked for and none of them is there.
        MissingPriorError: if the model has no prior.
        SettingError: if a setting is out of range.
    """
    given.one_of(Model, model, "model", _LOAD)
    given.number(seconds, "seconds")
    given.whole(count, "count")
    given.seed(seed)
    if sampling is not None:
        given.one_of(Sampling, sampling, "sampling", "Make one with: distill.Sampling(temperature=0.9)")
    known = tuple(Choice)
    if voice not in known:
        raise SettingError(f"There is no voice '{voice}'.", f"Choose one of {', '.join(known)}.")
    settings = VoiceSettings(
        Choice(voice), recordings=None if recordings is None else given.path(recordings, "recordings")
    )
    return generate_pieces(model, float(seconds), int(count), sampling, int(seed), voice=voice_of(model, settings))


def encode(model: Model, audio: Path | str | np.ndarray) -> Codes:
    """An audio file of any kind, or float samples ``[C, N]`` or ``[N]`` at 48 kHz, as codes.

    Raises:
        AudioFileError: if the file cannot be used.
        SettingError: if the samples have another shape or are not finite.
    """
    given.one_of(Model, model, "model", _LOAD)
    channels = model.codec.channels
    if isinstance(audio, np.ndarray):
        grid = np.atleast_2d(audio)
        usable = (
            np.issubdtype(audio.dtype, np.floating) and grid.ndim == 2 and grid.shape[0] in (1, 2) and grid.shape[1]
        )
        if not usable or not np.isfinite(grid).all():
            raise SettingError(
                f"Samples of type {audio.dtype} and shape {audio.shape} cannot be encoded.",
                "Give finite float samples [C, N], C being 1 or 2.",
            )
        blocks: Iterable[np.ndarray] = [in_channels(grid.astype(np.float32), channels, mix_of(grid))]
        samples = grid.shape[1]
    else:
        path = given.path(audio, "audio")
        samples = samples_at_48k(probe(path))
        blocks = read_blocks(path, channels)
    codes = encode_blocks(model.codec, blocks, model.device)
    return Codes(codes, model.codes_fingerprint, samples, model.codec.sample_rate)


def decode(model: Model, codes: Codes) -> np.ndarray:
    """Codes as sound: float32 ``[C, N]`` at 48 kHz, exactly as long as what was encoded.

    Raises:
        CodesFileError: if another model made the codes, some are not in its codebooks, or there are more or fewer of them than
            their ``samples`` take.
    """
    given.one_of(Model, model, "model", _LOAD)
    given.one_of(Codes, codes, "codes", "Make some with: distill.encode(model, AUDIO)")
    if codes.codec != model.codes_fingerprint:
        raise CodesFileError(
            "These codes were made by another model and mean other sounds here.",
            "Decode them with the model that made them.",
        )
    grid, config = codes.codes, model.header.codec
    known = isinstance(grid, torch.Tensor) and not grid.is_floating_point()
    known = known and grid.ndim == 2 and grid.shape[1] == config.num_quantizers and len(grid) > 0
    if not known or int(grid.min()) < 0 or int(grid.max()) >= config.codebook_size:
        raise CodesFileError(
            "These codes hold some that their model does not have.",
            f"Keep the shape [S, {config.num_quantizers}] and whole numbers from 0 to {config.codebook_size - 1}.",
        )
    if len(grid) != (positions := -(-codes.samples // config.hop)):
        raise CodesFileError(
            f"These codes are {len(grid)} positions of {config.hop} samples, and {codes.samples} samples take {positions}.",
            f"Say how long they are now: dataclasses.replace(codes, samples={len(grid) * config.hop})",
        )
    audio = np.concatenate(list(decode_chunks(model.codec, grid, model.device)), axis=1)
    return audio[:, : codes.samples]
