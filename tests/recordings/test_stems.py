"""A mix and the tracks it was made of: found by their sound, and held out at the same seconds."""

import numpy as np
import pytest

from distill.recordings.corpus import import_corpus
from distill.recordings.split import split_corpus
from distill.recordings.stems import Mixdown, find_mixdowns, like_tracks

RATE = 48_000


@pytest.fixture
def tracks(melody):
    """``tracks(seed)``: drums that repeat every second, a bass and a voice, each ``[1, N]`` of 16 s."""

    def make(seed):
        draw = np.random.default_rng(seed)
        hit = draw.standard_normal(RATE // 4) * np.exp(-np.arange(RATE // 4) / 2000)
        drums = np.tile(0.3 * np.pad(hit, (0, RATE - len(hit))), 16)[None].astype(np.float32)
        return {"drums": drums, "bass": melody(16.0, seed), "vox": melody(16.0, seed + 50)}

    return make


def _mixed(tracks, levels=(0.8, 0.5, 0.6)):
    return sum(np.float32(level) * track for level, track in zip(levels, tracks.values(), strict=True))


def test_a_mix_is_the_sum_of_its_tracks_and_of_nothing_else(tracks, melody, noise):
    """Guards against a mix taken for another piece than its tracks, and recordings called a mix as they last as long."""
    first, second = tracks(1), tracks(2)
    squeezed = np.tanh(2 * _mixed(second)) + 0.01 * noise(16.0, 7)  # as a master is
    longer = np.pad(squeezed, ((0, 0), (0, RATE // 4)))
    sounds = [*first.values(), _mixed(first), *second.values(), longer, melody(16.0, 90), noise(16.0, 91)]
    assert find_mixdowns([(one, "mean") for one in sounds]) == (Mixdown(3, (0, 1, 2)), Mixdown(7, (4, 5, 6)))
    time = np.arange(8 * RATE) / RATE
    tones = [np.sin(2 * np.pi * 110 * time + phase)[None].astype(np.float32) for phase in (0.0, 1.0, 2.0, 4.0, 5.0)]
    for alone in (tones, [np.float32(level) * first["bass"] for level in (1, 0.5, 0.2)], list(first.values())):
        assert find_mixdowns([(one, "mean") for one in alone]) == ()


def test_a_mix_and_its_tracks_are_held_out_at_the_same_seconds(tmp_path, tracks, save):
    """Guards against a bounce that is held out while all it consists of is trained on: its figures are no held-out figures."""
    for seed, song in ((1, "night"), (2, "day")):
        for name, sound in tracks(seed).items():
            save(tmp_path / song / f"{name}.wav", sound)
        save(tmp_path / song / "bounce.wav", _mixed(tracks(seed)))
    corpus = import_corpus(tmp_path)
    assert corpus.file_count == 8
    assert "night/bounce.wav is the mix of night/bass.wav, night/drums.wav and night/vox.wav." in " ".join(
        corpus.together
    )
    assert not any("called like" in sentence for sentence in corpus.together)
    split = split_corpus(corpus)
    assert 0.1 < sum(one.seconds for one in split.held_out) / corpus.seconds < 0.2
    assert sum(one.seconds for one in split.train) > 0.75 * corpus.seconds
    assert "together with it in a mix" in split.explanation
    for held in split.held_out:
        song = held.recording.name.split("/")[0]
        for other in split.train:
            if other.recording.name.startswith(song):
                assert other.stop <= held.start or other.start >= held.stop


@pytest.mark.parametrize("lag", [96_123, -96_123, 4_801, 7 * RATE, -1500])
def test_a_mix_that_begins_at_another_moment_is_found(tracks, melody, noise, lag):
    """Guards against a bounce without its count-in, held out while all it consists of is trained on."""
    song = tracks(1)
    whole = np.tanh(2 * _mixed(song)) + 0.01 * noise(16.0, 7)
    bounce = whole[:, lag:] if lag > 0 else np.pad(whole, ((0, 0), (-lag, 0)))
    sounds = [*song.values(), bounce, melody(16.0, 90), melody(15.0, 91), noise(14.0, 92)]
    assert find_mixdowns([(one, "mean") for one in sounds]) == (Mixdown(3, (0, 1, 2), lag),)
    apart = [*song.values(), melody(14.0, 90), noise(18.0, 91), *(song["drums"][:, 48_000:], song["bass"][:, 5000:])]
    assert find_mixdowns([(one, "mean") for one in apart]) == ()


@pytest.mark.parametrize("lag", [2 * RATE, -2 * RATE])
def test_a_late_mix_and_its_tracks_are_held_out_at_the_same_moments(tmp_path, tracks, save, lag):
    """Guards against the seconds of a mix held out beside other ones of its tracks."""
    for name, sound in tracks(1).items():
        save(tmp_path / f"{name}.wav", sound)
    whole = _mixed(tracks(1))
    save(tmp_path / "bounce.wav", whole[:, lag:] if lag > 0 else np.pad(whole, ((0, 0), (-lag, 0))))
    corpus = import_corpus(tmp_path)
    begins = f"drums.wav and vox.wav, 2 s {'later' if lag > 0 else 'earlier'}. The same"
    assert begins in " ".join(corpus.together)
    split = split_corpus(corpus)
    assert "together with it in a mix" in split.explanation
    moment = {one.name: lag if one.name == "bounce.wav" else 0 for one in corpus.recordings}
    assert {one.recording.name for one in split.held_out} == moment.keys()
    for held in split.held_out:
        for other in split.train:
            begin, stop = (place + moment[held.recording.name] for place in (held.start, held.stop))
            mine = moment[other.recording.name]
            assert other.stop + mine <= begin or other.start + mine >= stop


def test_tracks_without_their_mix_are_told_by_their_names(tmp_path, tracks, save):
    """Guards against a held-out voice whose song is trained on without a word; and against a word about kits and packs."""
    for seed in (1, 2):
        for name, sound in tracks(seed).items():
            save(tmp_path / f"0{seed} song{seed}_{name}.wav", sound)
    together = import_corpus(tmp_path).together
    assert len(together) == 2
    assert together[0].startswith("01 song1_bass.wav, 01 song1_drums.wav and 01 song1_vox.wav are equally long")
    long = 16 * RATE
    assert like_tracks(["01 Drums.wav", "02 LeadVox.wav", "a/bass.wav"], [long] * 3) == [[0, 1]]
    for names in (
        ["loop drums 3.wav", "loop bass 4.wav"],
        ["drums 1.wav", "drums 2.wav"],
        ["take 1.wav", "take 2.wav"],
    ):
        assert like_tracks(names, [long] * 2) == []
    assert (
        like_tracks(["drums.wav", "bass.wav"], [long, long + 1])
        == like_tracks(["kick.wav", "hat.wav"], [RATE] * 2)
        == []
    )
