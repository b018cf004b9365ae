"""``distill generate`` beyond plain pieces: prompts, loops, passages made anew."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from distill.library import Library
from distill.making.given import read_prompt
from distill.making.request import Request
from distill.models.model_file import load_model

Distill = Callable[..., Any]
Save = Callable[..., Path]


def read(path: Any) -> np.ndarray:
    return soundfile.read(path, dtype="float32", always_2d=True)[0].T


@pytest.mark.parametrize(
    ("seconds", "rate", "channels"), [(0.02, 48_000, 1), (1.0, 22_050, 1), (1.0, 44_100, 2), (20.0, 48_000, 1)]
)
def test_any_audio_can_be_continued(
    distill: Distill, tiny: Path, noise: Callable[..., np.ndarray], save: Save, tmp_path: Path,
    seconds: float, rate: int, channels: int,
) -> None:  # fmt: skip
    """Guards against prompts that must have the codec's own rate, channels or length."""
    prompt = save(tmp_path / "prompt.wav", noise(seconds, rate=rate, channels=channels), rate)
    answer = distill("generate", tiny, "--prompt", prompt, "--seconds", 0.5, "--json")
    assert answer.code == 0, answer.err
    assert read(answer.json["audio"][0]).shape == (1, 24_000)


def test_the_prompt_decides_what_follows(
    distill: Distill, tiny: Path, noise: Callable[..., np.ndarray], tone: Callable[..., np.ndarray], save: Save, tmp_path: Path
) -> None:  # fmt: skip
    first, second = save(tmp_path / "a.wav", noise(1.0)), save(tmp_path / "b.wav", tone(1.0))
    pieces = [
        read(distill("generate", tiny, "--prompt", prompt, "--seconds", 0.5, "--json").json["audio"][0])
        for prompt in (first, second)
    ]
    assert not np.array_equal(*pieces)


def test_what_follows_a_prompt_that_dies_away_is_heard(
    distill: Distill, tiny: Path, noise: Callable[..., np.ndarray], save: Save, tmp_path: Path
) -> None:
    """Guards against a piece 60 dB down after a guitar's last chord."""
    fading = np.clip(3 * noise(6.0), -1, 1) * np.logspace(0, -2.5, 6 * 48_000, dtype=np.float32)
    prompt = save(tmp_path / "fading.wav", fading, subtype="PCM_24")
    model = load_model(tiny)
    assert read_prompt(model, prompt).gain == 1

    answer = distill("generate", tiny, "--prompt", prompt, "--seconds", 0.5)
    assert answer.code == 0
    assert "quieter" not in answer.err


def test_a_request_that_an_earlier_version_noted_is_read(distill: Distill, tiny: Path) -> None:
    """Guards against a piece that cannot be made again because its note says what is not asked any more."""
    distill("generate", tiny, "--seconds", 0.5)
    (piece,) = Library(pytest.fail).generations()
    noted = {**piece.request, "is_after_fade": True, "is_replaced_whole": False}
    assert Request.of_note(noted) == Request.of_note(piece.request)


def test_a_prompt_of_next_to_nothing_is_said_to_be_so(
    distill: Distill, tiny: Path, noise: Callable[..., np.ndarray], save: Save, tmp_path: Path
) -> None:
    """Guards against a click that is given by mistake, and of which nothing is heard in what follows."""
    for seconds, words in ((0.01, "lasts 10 ms, which is too little"), (1 / 48_000, "lasts 0.02083 ms"), (0.05, "")):
        prompt = save(tmp_path / "click.wav", noise(seconds))
        answer = distill("generate", tiny, "--prompt", prompt, "--seconds", 0.5)
        assert answer.code == 0, answer.err
        assert ("too little to go on from" in answer.err) == bool(words)
        assert words in " ".join(answer.err.split())


def test_a_silent_prompt_is_said_to_be_silent(distill: Distill, tiny: Path, save: Save, tmp_path: Path) -> None:
    """Also where the silence is only as long as what the prior hears of it: it looks back over half its window at first."""
    rest = np.zeros((1, 48_000), np.float32)
    rest[:, -12 * 1024 : -10 * 1024] = 0.5
    prompt = save(tmp_path / "rest.wav", rest)
    answer = distill("generate", tiny, "--prompt", prompt, "--seconds", 0.5)
    assert answer.code == 0
    assert "ends in silence" in answer.err


@pytest.mark.usefixtures("tiny_training")
def test_without_a_prior_the_command_to_copy_is_given(
    distill: Distill, small_corpus: Path, model_files: Path, tmp_path: Path
) -> None:
    """Guards against "train-prior MODEL FOLDER" where both are known."""
    bare = model_files / "bare.distill"
    distill("generate", bare).refused("no prior", f"distill train-prior {bare} FOLDER")
    distill("originality", bare).refused("no prior", f"distill train-prior {bare} FOLDER")
    model = tmp_path / "mine.distill"
    assert distill("train", small_corpus, "--epochs", 1, "--name", "mine", "--out", tmp_path).code == 0
    distill("generate", model).refused("no prior", f"distill train-prior {model} {small_corpus}")


def test_a_prompt_that_is_no_audio_is_refused(distill: Distill, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.wav").write_text("not audio")
    distill("generate", tiny, "--prompt", tmp_path / "notes.wav").refused("notes.wav", "not readable as audio")


@pytest.mark.parametrize(
    ("words", "samples"), [(("--seconds", 1.5), 72_000), (("--beats", 4, "--bpm", 174), round(4 * 60 / 174 * 48_000))]
)
def test_a_loop_is_exact_to_the_sample(distill: Distill, tiny: Path, words: tuple[Any, ...], samples: int) -> None:
    answer = distill("generate", tiny, "--loop", *words, "--count", 2, "--json")
    assert answer.code == 0, answer.err
    assert [read(path).shape for path in answer.json["audio"]] == [(1, samples)] * 2
    assert len(answer.json["seams"]) == 2


@pytest.mark.parametrize(("seam", "is_said"), [(0.81, True), (0.49, False)])
def test_a_seam_that_may_be_heard_is_said(
    distill: Distill, tiny: Path, monkeypatch: pytest.MonkeyPatch, seam: float, is_said: bool
) -> None:
    monkeypatch.setattr("distill.making.loops.best_cut", lambda *_: (0, seam))
    answer = distill("generate", tiny, "--loop", "--seconds", 0.5)
    assert answer.code == 0, answer.err
    assert ("seam of this loop may be heard (0.81" in answer.err) is is_said
    assert ("best of 8 tries is kept" in answer.err) is is_said


def test_a_loop_with_an_audible_seam_is_drawn_again(
    distill: Distill, tiny: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Guards against a loop that is to be tried with other seeds by hand, and one that cannot be made again."""
    seams = iter([0.81, 0.2, 0.6, 0.3])  # of seeds 5 and 6, then 7, then 8
    monkeypatch.setattr("distill.making.loops.best_cut", lambda *_: (0, next(seams)))
    answer = distill("generate", tiny, "--loop", "--seconds", 0.5, "--count", 2, "--seed", 5, "--json")
    assert answer.code == 0, answer.err
    assert (answer.json["seeds"], answer.json["seams"]) == ([8, 6], [0.3, 0.2])
    assert "may be heard" not in answer.err
    monkeypatch.setattr("distill.making.loops.best_cut", lambda *_: (0, 0.3))
    again = distill("regenerate", answer.json["ids"][0], "--out", tmp_path / "again", "--json")
    assert np.array_equal(read(Path(again.json["audio"])), read(Path(answer.json["audio"][0])))


def test_what_a_seam_means_is_said_once(distill: Distill, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against the same ten words behind each of sixteen loops."""
    monkeypatch.setattr("distill.making.loops.best_cut", lambda *_: (0, 0.2))
    words = distill("generate", tiny, "--loop", "--seconds", 0.5, "--count", 3).err
    assert words.count("seam 0.20") == 3
    assert words.count("1 is as audible as any cut") == 1


def test_a_passage_is_made_anew_and_the_rest_stays(
    distill: Distill, tiny: Path, noise: Callable[..., np.ndarray], save: Save, tmp_path: Path
) -> None:
    original = save(tmp_path / "take.wav", noise(2.0), subtype="PCM_24")
    before = original.read_bytes()
    answer = distill("generate", tiny, "--infill", original, "--from", 0.5, "--to", 0.7, "--json")
    assert answer.code == 0, answer.err
    assert original.read_bytes() == before
    old, new = read(original), read(answer.json["audio"][0])
    assert new.shape == old.shape
    outside = np.r_[0:24_000, 33_600:96_000]
    np.testing.assert_allclose(new[:, outside], old[:, outside], atol=2**-22)
    assert np.abs(new - old)[:, 24_000:33_600].max() > 1e-3


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--loop", "--prompt", "a.wav"), "one of them"),
        (("--beats", 4), "--loop"),
        (("--bpm", 120), "--loop"),
        (("--loop", "--beats", 4), "--bpm"),
        (("--from", 1), "--infill"),
        (("--infill", "a.wav", "--from", 1), "--to"),
        (("--infill", "a.wav", "--from", 1, "--to", 2, "--seconds", 5), "--seconds"),
        (("--loop", "--beats", 4, "--bpm", 120, "--seconds", 5), "--seconds"),
        (("--temperature", "hot"), "not a number"),
        (("--temperature", "1,1,1"), "levels"),
        (("--variety", 7), "out of range"),
        (("--originality", "wild"), "close, balanced, original"),
        (("--originality", 1.5), "0 to 1"),
    ],
)
def test_options_that_contradict_each_other(distill: Distill, tiny: Path, words: tuple[Any, ...], found: str) -> None:
    distill("generate", tiny, *words).refused(found)


def test_without_a_seed_every_piece_is_another(distill: Distill, tiny: Path, seeds: list[int]) -> None:
    """Guards against the same piece whenever it is asked for."""
    seeds += [5, 9]
    pieces = [distill("generate", tiny, "--seconds", 0.5, "--json").json for _ in range(2)]
    assert [piece["seeds"] for piece in pieces] == [[5], [9]]
    again = distill("generate", tiny, "--seconds", 0.5, "--seed", pieces[0]["seeds"][0], "--json").json
    assert np.array_equal(read(again["audio"][0]), read(pieces[0]["audio"][0]))


def test_a_loud_or_quiet_prompt_is_what_it_is(
    distill: Distill, tiny: Path, noise: Callable[..., np.ndarray], save: Save, tmp_path: Path
) -> None:
    """Guards against -70 dBFS called silence, channels that cancel called silence, and four times full scale taken as it is."""
    quiet = save(tmp_path / "quiet.wav", 0.0008 * noise(1.0), subtype="PCM_24")
    wide = save(tmp_path / "wide.wav", np.concatenate([noise(1.0), -noise(1.0)]))
    for prompt in (quiet, wide):
        assert "silence" not in distill("generate", tiny, "--prompt", prompt, "--seconds", 0.5).err
    loud = save(tmp_path / "loud.wav", 10 * noise(1.0), subtype="FLOAT")
    assert "dB above full scale" in distill("generate", tiny, "--prompt", loud, "--seconds", 0.5).err


def test_what_an_infill_cannot_keep_is_said_before_it_is_made(
    distill: Distill, tiny: Path, noise: Callable[..., np.ndarray], save: Save, tmp_path: Path
) -> None:
    """Guards against a recording that comes back in another rate or level without a word."""

    def told(path: Path, *words: Any) -> str:
        answer = distill("generate", tiny, "--infill", path, "--from", 0.4, "--to", 0.6, *words)
        assert answer.code == 0, answer.err
        return answer.err

    same = save(tmp_path / "same.wav", noise(1.0), subtype="PCM_24")
    assert "nothing changes outside" not in told(same)
    other = save(tmp_path / "other.wav", 12 * noise(1.0, rate=44_100, channels=2), 44_100, "FLOAT")
    words = told(other)
    for change in (
        "is resampled from 44.1 to 48 kHz",
        "is mixed from two channels to one",
        "with 24 bits, fewer than it has",
        "above full scale",
        "Otherwise nothing changes outside the passage.",
    ):
        assert change in words
    six = save(tmp_path / "six.wav", noise(1.0, channels=6), subtype="PCM_24")
    assert "six.wav is mixed from 6 channels to one. Otherwise nothing" in told(six)
    assert "lossy" in told(same, "--format", "ogg")
    decoded = save(tmp_path / "decoded.mp3", noise(1.0), subtype="MPEG_LAYER_III")
    assert "decoded.mp3 is decoded and rounded to 24 bits. Otherwise nothing" in told(decoded)
    assert "rounded" not in told(decoded, "--bit-depth", 32)
