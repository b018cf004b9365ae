"""What is held out."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from distill.recordings.alike import Alike
from distill.recordings.corpus import Corpus, Recording
from distill.recordings.passages import SHORTEST_PASSAGE, Passage
from distill.recordings.split import split_corpus


def _corpus(seconds, groups=None, names=None):
    recordings = []
    for number, length in enumerate(seconds):
        samples = round(48_000 * length)
        digest = hashlib.sha256(f"{number}".encode()).hexdigest()
        audio = np.broadcast_to(np.float32(0.1), (1, samples))
        name = names[number] if names else f"{number:03}.wav"
        group = groups[number] if groups else number
        recordings.append(Recording(name, Path(name), digest, length, samples, 1, group, audio))
    return Corpus(Path(), tuple(recordings), (), 1, "")


def _content(passages):
    return {(passage.recording.sha256, passage.start, passage.stop) for passage in passages}


def test_whole_recordings_are_held_out():
    """Guards against windows of one recording on both sides, and against a share that is far off."""
    corpus = _corpus(np.random.default_rng(0).uniform(1, 8, 33))
    for seed in range(20):
        split = split_corpus(corpus, seed)
        assert split.kind == "recordings"
        assert len(split.held_out) + len(split.train) == 33
        assert 5 <= len(split.held_out) <= 10
        assert sum(p.seconds for p in split.held_out) >= 0.09 * corpus.seconds
        assert not {p.recording.name for p in split.train} & {p.recording.name for p in split.held_out}
        assert sum(p.seconds for p in split.held_out) <= 1.7 * 0.15 * corpus.seconds
        assert all((p.start, p.stop) == (0, p.recording.samples) for p in split.train + split.held_out)
    assert " of 33 recordings (" in split_corpus(corpus, 0).explanation
    assert len({tuple(sorted(_content(split_corpus(corpus, seed).held_out))) for seed in range(20)}) > 10


def test_names_and_order_do_not_matter():
    """Guards against another split, and so another result, after a file is renamed."""
    seconds = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    corpus = _corpus(seconds)
    renamed = _corpus(seconds, groups=[9 - g for g in range(9)], names=[f"{9 - n}.wav" for n in range(9)])
    turned = Corpus(Path(), renamed.recordings[::-1], (), 1, "")
    for few, other in [(9, turned), (3, Corpus(Path(), renamed.recordings[2::-1], (), 1, ""))]:
        first = split_corpus(Corpus(Path(), corpus.recordings[:few], (), 1, ""), 7)
        second = split_corpus(other, 7)
        assert _content(first.train) == _content(second.train)
        assert _content(first.held_out) == _content(second.held_out)


def test_what_sounds_alike_stays_on_one_side():
    """Guards against a check that hears a bar which was trained on in another recording."""
    corpus = _corpus([2.0] * 24)
    alike = tuple(Alike(one, one + 1, 0, 96_000, 0, 1.0) for one in range(0, 24, 2))
    corpus = replace(corpus, alike=alike)
    for seed in range(20):
        split = split_corpus(corpus, seed)
        names = [{p.recording.name for p in passages} for passages in (split.train, split.held_out)]
        assert names[1]
        for one in range(0, 24, 2):
            pair = {f"{one:03}.wav", f"{one + 1:03}.wav"}
            assert not all(pair & side for side in names)
        assert sum(p.seconds for p in split.held_out) <= 1.7 * 0.15 * 48


def test_what_comes_back_least_is_held_out():
    """Guards against a chorus held out, with which half of the sound would go."""
    # Eight recordings of a chorus (4 s) and a verse of their own (4 s).
    alike = tuple(Alike(one, other, 0, 192_000, 0, 1.0) for one in range(8) for other in range(one + 1, 8))
    corpus = replace(_corpus([8.0] * 8), alike=alike)
    for seed in range(10):
        split = split_corpus(corpus, seed)
        assert sum(p.seconds for p in split.train) > 50
        assert 3 < sum(p.seconds for p in split.held_out) < 1.7 * 0.15 * 64
        assert all(p.start >= 180_000 for p in split.held_out)


def test_one_giant_recording_is_not_held_out():
    """Guards against half of the sound held out, and against nothing held out when all are too large."""
    for seed in range(20):
        split = split_corpus(_corpus([60.0] + [2.0] * 19), seed)
        assert sum(p.seconds for p in split.held_out) < 1.7 * 0.15 * 98
        assert sum(p.seconds for p in split.train if p.recording.seconds == 60) > 40


def test_the_share_is_of_seconds():
    """Guards against one long recording among ten hits, of which 0.12 s of 2401 s were held out."""
    corpus = _corpus([2400.0] + [0.1] * 10)
    for seed in range(10):
        split = split_corpus(corpus, seed)
        assert 0.1 * 2401 < sum(p.seconds for p in split.held_out) < 0.2 * 2401
        assert sum(p.recording.seconds < 1 for p in split.train) >= 6
        assert "a stretch of 1 other" in split.explanation


def test_few_recordings_give_stretches_with_gaps():
    """Guards against stretches that touch what is trained on, and crumbs of passages."""
    corpus = _corpus([119.0, 4.0, 3.9, 60.0])
    for seed in range(50):
        split = split_corpus(corpus, seed)
        assert split.kind == "passages"
        assert {p.recording.name for p in split.held_out} == {"000.wav", "001.wav", "003.wav"}
        assert sum(p.seconds for p in split.held_out) == pytest.approx(0.15 * corpus.seconds, rel=0.01)
        for kept in split.held_out:
            gap = min(48_000, round(0.02 * kept.recording.samples))
            left, right = sorted((p for p in split.train if p.recording is kept.recording), key=lambda p: p.start)
            assert (left.start, right.stop) == (0, kept.recording.samples)
            assert kept.start - gap - 2_400 < left.stop <= kept.start - gap
            assert kept.stop + gap <= right.start < kept.stop + gap + 2_400
        assert all(p.samples >= SHORTEST_PASSAGE for p in split.train)
    assert "3 recordings" in split.explanation


def test_so_little_sound_that_nothing_can_be_held_out_is_said():
    """Guards against a check on the training sound that looks like a real one."""
    split = split_corpus(_corpus([1.0, 2.0]))
    assert split.kind == "none"
    assert split.train == split.held_out
    assert len(split.train) == 2
    assert "weak" in split.explanation


def test_a_passage_reads_its_own_part():
    """Guards against reading from the recording's beginning, beyond the passage, or into shared memory."""
    audio = np.arange(200, dtype=np.float32).reshape(2, 100)
    recording = Recording("a", Path("a"), "0", 1.0, 100, 2, 0, audio)
    passage = Passage(recording, 10, 60)
    np.testing.assert_array_equal(passage.read(5, 8, 2), audio[:, 15:18])
    np.testing.assert_array_equal(passage.read(5, 8, 1), audio[:, 15:18].mean(axis=0, keepdims=True))
    passage.read(0, 50, 2)[:] = 0
    assert audio[0, 10] == 10
    for start, stop in [(-1, 5), (0, 51), (6, 5)]:
        with pytest.raises(ValueError, match="within"):
            passage.read(start, stop, 2)
