"""What is held out stands for the rest."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from distill.recordings.corpus import Corpus, Recording
from distill.recordings.passages import whole_recordings
from distill.recordings.split import split_corpus
from distill.recordings.typical import Typical


def _recording(number: int, audio: np.ndarray) -> Recording:
    digest = hashlib.sha256(f"{number}".encode()).hexdigest()
    name, samples = f"{number:03}.wav", audio.shape[1]
    return Recording(name, Path(name), digest, samples / 48_000, samples, 1, number, audio)


def _kinds(kinds: dict[str, int], seconds: float = 2.5) -> Corpus:
    """So many recordings of each kind: a low tone, a high tone, or noise, each a little different from the others."""
    random = np.random.default_rng(0)
    time = np.arange(round(seconds * 48_000)) / 48_000
    recordings = []
    for kind, count in kinds.items():
        for _ in range(count):
            hertz = {"low": 110, "high": 3_000, "noise": 0}[kind] * random.uniform(0.9, 1.1)
            sound = np.sin(2 * np.pi * hertz * time) if hertz else random.standard_normal(len(time))
            audio = (0.1 * sound + 1e-3 * random.standard_normal(len(time)))[None].astype(np.float32)
            recordings.append(_recording(len(recordings), audio))
    return Corpus(Path(), tuple(recordings), (), 1, "")


def _kind(corpus: Corpus, name: str, kinds: dict[str, int]) -> str:
    ends = np.cumsum(list(kinds.values()))
    number = [one.name for one in corpus.recordings].index(name)
    return list(kinds)[int(np.searchsorted(ends, number, side="right"))]


def test_the_only_recording_of_its_kind_is_trained_on():
    """Guards against a sound that is never heard again: it was held out, so nothing could learn it."""
    kinds = {"low": 8, "high": 8, "noise": 1}
    corpus = _kinds(kinds)

    def held_out(seed: int, **how: int) -> list[str]:
        split = split_corpus(corpus, seed, **how)
        return sorted(_kind(corpus, one.recording.name, kinds) for one in split.held_out)

    assert any("noise" in held_out(seed, draws=1) for seed in range(12))
    for seed in range(12):
        assert {"low", "high"} == set(held_out(seed))


def test_stretches_are_chosen_so_too():
    """Guards against a part of a long piece held out that has a sound of its own."""
    corpus = _kinds({"low": 1, "noise": 1}, seconds=20)
    low, noise = (one.audio for one in corpus.recordings)
    audio = low.copy()
    audio[:, 8 * 48_000 : 11 * 48_000] = noise[:, : 3 * 48_000]
    corpus = replace(corpus, recordings=(_recording(0, audio),))

    def share_of_noise(seed: int, **how: int) -> float:
        split = split_corpus(corpus, seed, **how)
        return sum(max(0, min(one.stop, 11 * 48_000) - max(one.start, 8 * 48_000)) for one in split.held_out) / 144_000

    drawn_first = [share_of_noise(seed, draws=1) for seed in range(12)]
    assert max(drawn_first) > 0.8
    assert max(share_of_noise(seed) for seed in range(12)) < 0.5


def test_how_far_a_part_is_from_all():
    """Nothing for all of it, little for a part like it, much for one kind alone; nothing hangs on names, order or rounding."""
    corpus = _kinds({"low": 4, "high": 4})
    everything = whole_recordings(corpus.recordings)
    typical = Typical(corpus.recordings)
    assert typical.distance(everything) == 0
    assert 0 <= typical.distance(everything[::2]) < 0.1
    assert typical.distance(everything[:4]) > 0.2
    assert typical.distance([]) == np.inf
    renamed = [replace(one, name=one.name[::-1], audio=one.audio + np.float32(1e-7)) for one in corpus.recordings[::-1]]
    assert Typical(renamed).distance(everything[:4]) == pytest.approx(typical.distance(everything[:4]), abs=2e-5)


def test_short_sounds_and_silence():
    """Guards against a division by nothing where a recording is shorter than a frame, or digitally silent."""
    sounds = [np.zeros((1, 2_400), np.float32), np.ones((1, 2_400), np.float32), np.zeros((2, 96_000), np.float32)]
    recordings = [_recording(number, audio) for number, audio in enumerate(sounds)]
    typical = Typical(recordings)
    assert np.isfinite(typical.distance(whole_recordings(recordings[:1])))
    assert typical.distance(whole_recordings(recordings)) == 0
    silent = Typical(recordings[2:])
    assert silent.distance(whole_recordings(recordings[2:])) == 0


def test_many_hours_are_heard_in_part():
    """Guards against reading all of a long corpus once more."""
    audio = np.broadcast_to(np.float32(0.1), (1, 48_000 * 3600 * 2))
    typical = Typical([_recording(number, audio) for number in range(3)])
    assert len(typical._places) == 1000
    assert {place[0].name for place in typical._places} == {"000.wav", "001.wav", "002.wav"}
