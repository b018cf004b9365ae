"""What a person is told of where new audio came from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import small_distill
from distill.cli.originality import _show_reference
from distill.evaluation.recital import NaturalRuns, extract, natural_runs
from distill.making.drawing import Sampling, continue_codes
from distill.models import Source, load_model, save_model
from distill.originality.reference import Reference

Distill = Callable[..., Any]


def test_generate_says_how_original_it_is(distill: Distill, tiny: Path) -> None:
    answer = distill("generate", tiny, "--seconds", 2, "--count", 2, "--json")
    assert answer.code == 0, answer.err
    assert len(answer.json["originality"]) == 2
    for piece, path in zip(answer.json["originality"], answer.json["audio"], strict=True):
        assert len(piece["seconds"]) == 2
        assert {"verdict", "similarity", "percentile", "recording", "at_seconds"} <= set(piece["seconds"][0])
        with soundfile.SoundFile(path) as file:
            assert "nearest take-" in file.comment or "silent" in file.comment
    assert "nearest take-" in distill("generate", tiny, "--seconds", 2).err


@pytest.fixture
def nothing_is_original(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distill.originality.reference.Reference.percentile", lambda self, similarity: 99.9)


@pytest.mark.usefixtures("nothing_is_original")
def test_a_limit_that_cannot_be_kept_is_said(distill: Distill, tiny: Path) -> None:
    """Guards against a --max-similarity that is quietly broken."""
    answer = distill("generate", tiny, "--seconds", 0.5, "--max-similarity", 50)
    assert answer.code == 0
    assert "The piece was above percentile 50 in all 8 tries" in answer.err
    assert "2 of 2 pieces were" in distill("generate", tiny, "--seconds", 0.5, "--count", 2, "--max-similarity", 50).err


def test_within_the_limit_the_first_try_is_kept(distill: Distill, tiny: Path) -> None:
    limited = distill("generate", tiny, "--seconds", 0.5, "--max-similarity", 100, "--out", "a", "--json")
    plain = distill("generate", tiny, "--seconds", 0.5, "--out", "b", "--json")
    assert limited.json["seeds"] == plain.json["seeds"]
    assert Path(limited.json["audio"][0]).read_bytes() == Path(plain.json["audio"][0]).read_bytes()


def test_a_limit_out_of_range(distill: Distill, tiny: Path) -> None:
    distill("generate", tiny, "--max-similarity", 101).refused("0 to 100")


def test_the_verb(distill: Distill, tiny: Path) -> None:
    answer = distill("originality", tiny, "--json")
    assert answer.code == 0, answer.err
    kinds = [(row["prompt_seconds"], row["is_greedy"]) for row in answer.json["recitals"]]
    assert kinds == [(seconds, greedy) for seconds in (0, 1, 2, 5) for greedy in (True, False)]
    shown = distill("originality", tiny).err
    assert answer.json["summary"] in shown
    assert "A match is a run of equal codes" in shown, "no heading needs more than is said above it"
    assert answer.json["summary"].startswith("It composes")


def test_a_prior_that_recites_is_found_out(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against an extraction that compares with the wrong place: a prior that knows a recording by heart must show."""
    model = load_model(tiny)
    generator = torch.Generator().manual_seed(0)
    known = [torch.randint(32, (400, 2), generator=generator) for _ in range(3)]
    model.sources = tuple(Source(f"{number}.wav", 0.0, False, codes) for number, codes in enumerate(known))

    def by_heart(
        prior: object,
        prompt: torch.Tensor,
        positions: int,
        sampling: Sampling,
        generators: object,
        steering: object,
    ) -> torch.Tensor:
        whole = [next(codes for codes in known if torch.equal(codes[: len(one)], one)) for one in prompt]
        return torch.stack([codes[prompt.shape[1] : prompt.shape[1] + positions] for codes in whole])

    monkeypatch.setattr("distill.evaluation.recital.continue_codes", by_heart)
    recitals = extract(model)[:4]  # prompts of 0 and 1 s: 5 s of every recording are left
    assert len(recitals) == 4
    for recital in recitals:
        assert recital.share == 1
        for runs in (recital.anywhere, recital.own_coarse, recital.own_whole):
            assert runs.longest == runs.mean == pytest.approx(5, abs=0.05)


def test_silence_that_all_recordings_begin_with_is_not_recited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against "It recites" of digital silence, which a prior holds for as long as nothing limits it. New audio is within
    limits, and what the recordings repeat belongs to none of them. And against one likeliest continuation of one silent
    prompt that counts as three."""
    codec = small_distill.small_codec()
    prior = small_distill.small_prior(codec.config)
    with torch.no_grad():
        prior.persistence_bias.fill_(30.0)
    generator = torch.Generator().manual_seed(1)
    known = torch.randint(1, 32, (3, 500, 4), generator=generator)
    known[:, :80] = 0
    sources = [Source(f"{number}.wav", 0.0, False, codes) for number, codes in enumerate(known)]
    drawn: list[torch.Tensor] = []

    def noted(*given: Any) -> torch.Tensor:
        drawn.append(continue_codes(*given))
        return drawn[-1]

    monkeypatch.setattr("distill.evaluation.recital.continue_codes", noted)
    monkeypatch.setattr("distill.evaluation.recital.PROMPT_SECONDS", (0.0,))
    recitals = extract(small_distill.small_model(codec, prior, sources))
    assert [(one.count, one.share) for one in recitals] == [(1, 0), (3, 0)]
    assert max(one.anywhere.longest for one in recitals) < 1
    for codes in torch.cat(drawn)[:, :, 0]:
        held, counts = torch.unique_consecutive(codes, return_counts=True)
        assert counts[held == 0].max() <= 80, "no longer than the recordings hold it"


def test_a_passage_of_one_recording_is_recited_whatever_silence_is_around_it(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against letting off a copy that a longer pause stands beside; and against a pause that counts as one."""
    model = load_model(tiny)
    known = torch.randint(1, 32, (3, 400, 2), generator=torch.Generator().manual_seed(0))
    known[:, :80] = known[:, 200:] = 0
    model.sources = tuple(Source(f"{number}.wav", 0.0, False, codes) for number, codes in enumerate(known))
    own = torch.full((234, 2), 31)
    own[:90], own[100:160] = 0, known[1, 90:150]
    model.sources += (Source("aside.wav", 0.0, True, own[:234]),)
    monkeypatch.setattr(
        "distill.evaluation.recital.continue_codes", lambda _, prompts, *rest: own.expand(len(prompts), -1, -1)
    )
    recital, natural = extract(model)[0], natural_runs(model)
    assert recital.share == 1
    assert natural is not None
    assert recital.anywhere.longest == natural.longest == pytest.approx(60 / 46.875)


def test_what_held_out_recordings_share_by_nature(tiny: Path) -> None:
    model = load_model(tiny)
    generator = torch.Generator().manual_seed(0)
    own, other = (torch.randint(32, (500, 2), generator=generator) for _ in range(2))
    other[40:63] = own[100:123]
    model.sources = (Source("a", 0.0, False, own), Source("b", 0.0, True, other))
    runs = natural_runs(model)
    assert runs is not None
    assert runs.longest == pytest.approx(23 / 46.875, abs=0.05)
    assert runs.mean < runs.longest
    assert runs.count == 2
    model.sources = model.sources[:1]
    assert natural_runs(model) is None


def test_what_is_left_of_a_held_out_recording_counts_as_no_five_seconds(
    distill: Distill, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a remainder of a position, which shares next to nothing, in the mean of what five seconds share. Parts
    that are all shorter count, and that is said."""
    model = load_model(tiny)
    levels = model.codec.num_quantizers
    known = torch.randint(1, 16, (300, levels), generator=torch.Generator().manual_seed(0))
    held_out = torch.zeros(235, levels, dtype=torch.int64)
    held_out[40:63] = known[100:123]
    learned = Source("a.wav", 0.0, False, known)
    model.sources = (learned, Source("b.wav", 0.0, True, held_out))
    runs = natural_runs(model)
    assert runs is not None
    assert runs.mean == runs.longest == pytest.approx(23 / 46.875)

    model.sources = (learned, Source("b.wav", 0.0, True, held_out[:94]))
    short = natural_runs(model)
    assert short is not None
    assert short.longest == runs.longest
    save_model(tmp_path / "short.distill", model)
    monkeypatch.setattr("distill.evaluation.recital.extract", lambda *_: ())
    assert "held-out recordings are all shorter than 5 s" in distill("originality", tmp_path / "short.distill").err
    assert distill("originality", tmp_path / "short.distill", "--json").json["held_out_runs"]["is_short"]


def test_the_dial_turns_the_nucleus(distill: Distill, tiny: Path) -> None:
    """Guards against a dial that does nothing, and against one that overrules what was asked for by name."""

    def comment(*words: object) -> str:
        answer = distill("generate", tiny, "--seconds", 0.5, "--max-similarity", 100, *words, "--json")
        assert answer.code == 0, answer.err
        with soundfile.SoundFile(answer.json["audio"][0]) as file:
            return str(file.comment)

    assert "temperature 1, top-p 0.985," in comment("--originality", "close")
    assert "temperature 1, top-p 0.985," in comment()
    assert "temperature 1, top-p 0.99," in comment("--originality", "original")
    assert "top-p 0.988," in comment("--originality", 0.8)
    assert "temperature 1.3, top-p 0.8," in comment("--temperature", 1.3, "--top-p", 0.8)


@pytest.mark.usefixtures("nothing_is_original")
def test_the_original_end_of_the_dial_draws_again(distill: Distill, tiny: Path) -> None:
    assert "8 tries" in distill("generate", tiny, "--seconds", 0.5, "--originality", "original").err
    assert "tries" not in distill("generate", tiny, "--seconds", 0.5, "--originality", "balanced").err


def test_prompts_for_which_every_recording_is_too_short_are_said_to_be(distill: Distill, tiny: Path) -> None:
    """Guards against rows of 0 pieces and empty cells, without a word."""
    answer = distill("originality", tiny)
    assert answer.code == 0, answer.err
    rows = [line.split() for line in answer.err.splitlines() if " likeliest " in line or " drawn " in line]
    assert rows
    assert all(len(row) == (11 if row[0] == "nothing" else 12) for row in rows), answer.err
    assert "No recording is long enough for a prompt of 1 s or more.\n" in answer.err


def test_what_was_held_out_is_not_called_widened(capsys: pytest.CaptureFixture[str]) -> None:
    """Guards against the longest match of a few held-out seconds under a heading that says training recordings were added."""
    reference = Reference(np.linspace(0, 1, 90), (np.zeros(90), np.zeros(90)), is_widened=True)
    _show_reference({"95": 0.9}, reference, NaturalRuns(0.2, 0.5, 4, is_short=False), is_held_out=True)
    told = " ".join("".join(capsys.readouterr()).split())
    assert "longest match of held-out recordings with another, two levels" in told
    assert "0.50 s (mean 0.20 s, of 4 parts of 5 s)" in told
