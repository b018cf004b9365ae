"""The Python API behind ``import distill``: five functions over the pipeline."""

import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from distill import pipeline
from distill.audio.corpus import import_corpus
from distill.audio.files import probe, read_blocks, samples_at_48k, to_channels
from distill.audio.split import split_corpus
from distill.codes.codes_file import Codes
from distill.codes.extract import decode_chunks, encode_blocks
from distill.errors import CodesFileError, SettingError
from distill.files.names import claimed, new_model_path, new_run_folder
from distill.making.sampling import Generation, Sampling
from distill.making.sampling import generate as generate_pieces
from distill.making.voices import Choice, Wanted, voice_of
from distill.models.model_file import Model, load_model
from distill.runs.events import events_file
from distill.settings import check_length
from distill.training.launch import choose_device
from distill.training.metrics import MetricsCallback


def train(
    folder: Path | str,
    model_path: Path | str,
    *,
    minutes: float = pipeline.DEFAULT_MINUTES,
    seed: int = 0,
    device: str = "auto",
    callback: MetricsCallback | None = None,
) -> Model:
    """Trains codec and prior on a folder of recordings, writes ``model_path`` and gives the model back.

    Raises:
        DistillError: see ``distill.errors``; OutputError if the file is there already.
    """
    check_length(None, minutes)
    choose_device(device)
    folder, path = Path(folder), Path(model_path)
    with claimed(new_model_path(path.parent, path.name, folder)) as target:
        run_folder = new_run_folder(target.stem)
        started = time.monotonic()
        corpus = import_corpus(folder)
        split = split_corpus(corpus, seed=seed)
        plan = pipeline.CodecPlan(minutes=pipeline.CODEC_SHARE * minutes, seed=seed, device=device)
        pipeline.train_codec(corpus, split, target, events_file(run_folder, "codec"), plan, callback=callback)
        left = max(minutes - (time.monotonic() - started) / 60, 0.02)
        prior_plan = pipeline.PriorPlan(minutes=left, seed=seed, device=device)
        return pipeline.add_prior(
            target, corpus, split, events_file(run_folder, "prior"), prior_plan, callback=callback
        )


def load(model_path: Path | str, device: str = "cpu") -> Model:
    """Opens a ``.distill`` file; frozen, in eval mode.

    Raises:
        ModelFileError: if it is missing, damaged, foreign or from a newer version.
    """
    return load_model(Path(model_path), choose_device(device))


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
    known = tuple(Choice)
    if voice not in known:
        raise SettingError(f"There is no voice '{voice}'.", f"Choose one of {', '.join(known)}.")
    wanted = Wanted(Choice(voice), recordings=None if recordings is None else Path(recordings))
    return generate_pieces(model, seconds, count, sampling, seed, voice=voice_of(model, wanted))


def encode(model: Model, audio: Path | str | np.ndarray) -> Codes:
    """An audio file of any kind, or float samples ``[C, N]`` or ``[N]`` at 48 kHz, as codes.

    Raises:
        AudioFileError: if the file cannot be used.
        SettingError: if the samples have another shape or are not finite.
    """
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
        blocks: Iterable[np.ndarray] = [to_channels(grid.astype(np.float32), channels)]
        samples = grid.shape[1]
    else:
        path = Path(audio)
        samples = samples_at_48k(probe(path))
        blocks = read_blocks(path, channels)
    codes = encode_blocks(model.codec, blocks, model.device)
    return Codes(codes, model.codes_fingerprint, samples, model.codec.sample_rate)


def decode(model: Model, codes: Codes) -> np.ndarray:
    """Codes as sound: float32 ``[C, N]`` at 48 kHz, exactly as long as what was encoded.

    Raises:
        CodesFileError: if another model made the codes, or some are not in its codebooks.
    """
    if codes.codec != model.codes_fingerprint:
        raise CodesFileError(
            "These codes were made by another model and mean other sounds here.",
            "Decode them with the model that made them.",
        )
    grid, config = codes.codes, model.header.codec
    known = grid.ndim == 2 and grid.shape[1] == config.num_quantizers and len(grid) > 0
    if not known or int(grid.min()) < 0 or int(grid.max()) >= config.codebook_size:
        raise CodesFileError(
            "These codes hold some that their model does not have.",
            f"Keep the shape [S, {config.num_quantizers}] and the numbers in 0 to {config.codebook_size - 1}.",
        )
    audio = np.concatenate(list(decode_chunks(model.codec, codes.codes, model.device)), axis=1)
    return audio[:, : codes.samples]
