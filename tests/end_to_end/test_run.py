"""The main job for real, shrunk: a corpus is made, a codec and a prior are trained, new audio is written."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import distill
from distill import pipeline
from distill.audio.distance import MultiScaleMel
from distill.evaluation import codec_files
from distill.making.drawing import Sampling
from distill.making.pieces import make
from distill.making.request import Request
from distill.models import ConvVQVAE
from distill.models.model_file import load_model
from distill.recordings.corpus import import_corpus
from distill.recordings.demo import write_demo_corpus
from distill.recordings.split import split_corpus
from distill.sizes import codec_config
from distill.training import PriorEpochMetrics, TrainingEvent, VQEpochMetrics, VQStepMetrics
from distill.training.codec_data import CodecData
from distill.training.plan import CodecPlan, PriorPlan

CODEC = {"hidden_size": 48, "encoder_blocks": 1, "decoder_blocks": 2, "latent_size": 16, "codebook_size": 64}
PRIOR = {"hidden_size": 32, "num_layers": 2, "num_heads": 2, "context": 256}


@pytest.fixture(scope="module")
def corpus_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "recordings"
    write_demo_corpus(folder)
    return folder


def recordings(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Largest normalised cross-correlation over all lags of two mono signals."""
    n = 1 << (len(a) + len(b)).bit_length()
    product = np.fft.irfft(np.fft.rfft(a, n) * np.conj(np.fft.rfft(b, n)), n)
    return float(np.abs(product).max() / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-9))


@dataclass(frozen=True)
class Trained:
    """A model of the demo recordings, and what its training reported."""

    path: Path
    events: list[TrainingEvent]
    home: Path
    """Where what was read of the recordings is kept."""


@pytest.fixture(scope="module")
def trained(corpus_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    events: list[TrainingEvent] = []
    path, log = folder / "demo.distill", folder / "events.jsonl"
    with pytest.MonkeyPatch.context() as own:
        home = folder / "home"
        own.setenv("DISTILL_HOME", str(home))
        corpus = import_corpus(corpus_dir)
        split = split_corpus(corpus)
        codec_plan = CodecPlan(epochs=2, batch_size=4, least_steps=120, validation_windows=2, device="cpu")
        prior_plan = PriorPlan(epochs=2, views=3, device="cpu")
        pipeline.train_codec(corpus, split, path, log, codec_plan, config_changes=CODEC, callback=events.append)
        pipeline.add_prior(path, corpus, split, log, prior_plan, config_changes=PRIOR, callback=events.append)
    return Trained(path, events, home)


@pytest.fixture(autouse=True)
def _home_of_the_training(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recordings are not read again."""
    monkeypatch.setenv("DISTILL_HOME", str(trained.home))


def untrained_distance(corpus_dir: Path) -> float:
    """What a codec of these sizes tells that knows nothing but the mean spectrum, as the first steps measure it."""
    corpus = import_corpus(corpus_dir)
    config, plan = codec_config(corpus, {**CODEC, "sketch_size": 0}), CodecPlan(device="cpu")
    windows = CodecData.of(split_corpus(corpus), config, plan).windows
    torch.manual_seed(0)
    codec = ConvVQVAE(config).train()
    codec.decoder[2].start(torch.from_numpy(windows.batch(0, 0, 64)))
    audio = torch.from_numpy(windows.batch(0, 1, 64))
    with torch.no_grad():
        return float(MultiScaleMel(48_000)(codec(audio, quantize=False).reconstruction, audio))


def test_from_recordings_to_new_audio(trained: Trained, corpus_dir: Path, tmp_path: Path) -> None:
    path, events = trained.path, trained.events
    model = load_model(path)
    steps = [event.reconstruction_loss for event in events if isinstance(event, VQStepMetrics)]
    assert np.mean(steps[-20:]) < 0.5 * untrained_distance(corpus_dir), "the codec did not learn"
    assert np.mean(steps[-20:]) < np.mean(steps[:5]), "principal components are where it begins"
    assert [event for event in events if isinstance(event, VQEpochMetrics)][-1].levels[0].utilisation > 0.3
    prior_epochs = [event for event in events if isinstance(event, PriorEpochMetrics)]
    assert prior_epochs[-1].train_loss < prior_epochs[0].train_loss < math.log(64), "the prior did not learn"
    assert prior_epochs[-1].best_perplexity < 64

    (first, second) = make(model, tmp_path / "out", Request("audio", Sampling(), seconds=2.5), seed=1, count=2)
    info = soundfile.info(first.path)
    assert (info.samplerate, info.subtype, info.frames) == (48_000, "PCM_24", 120_000)
    assert info.channels == model.codec.channels
    assert not torch.equal(first.generation.codes, second.generation.codes)
    new, _ = soundfile.read(first.path, always_2d=True)
    assert np.sqrt(np.mean(new**2)) > 1e-3, "silence"
    for recording in recordings(corpus_dir):
        old, _ = soundfile.read(recording, always_2d=True)
        assert similarity(new.mean(axis=1), old.mean(axis=1)) < 0.95, recording.name

    # What was written can be made again from the seed, through the Python API.
    again = distill.generate(distill.load(path), seconds=2.5, seed=1, voice="codec")[0]
    np.testing.assert_allclose(again.audio(model).T.clip(-1, 1), new, atol=2**-22)


def test_codes_there_and_back(trained: Trained, corpus_dir: Path, tmp_path: Path) -> None:
    model = distill.load(trained.path)
    recording = recordings(corpus_dir)[0]
    codes = distill.encode(model, recording)
    audio = distill.decode(model, codes)
    assert audio.shape == (model.codec.channels, codes.samples)
    (only,) = [
        file
        for file in codec_files.reconstruct_folder(model, corpus_dir, tmp_path / "out")
        if file.stem == recording.stem
    ]
    written, rate = soundfile.read(only, always_2d=True)
    assert rate == 48_000
    np.testing.assert_allclose(written.T, audio.clip(-1, 1), atol=1e-5)
