"""New audio holds the recordings' balance: what is found out about it, and what it does while codes are drawn."""

import dataclasses

import pytest
import torch

import small_distill
from distill.making import balance
from distill.making.balance import STEPS, WELL_KEPT, Balance, measured_balance
from distill.making.drawing import Sampling
from distill.making.limits import Limited, Limits
from distill.making.sampling import Generation, generate
from distill.models import Model, Source
from distill.models.header import BANDS

SIZE = 32
QUIET = 8
"""In recordings with pauses the codes from 0 on so far are silent."""


def model_of(*recordings: tuple[int, torch.Tensor]) -> Model:
    """A model of recordings, each so many positions long with coarse codes of these shares, and a prior that finds nearly all
    codes as likely."""
    codec = small_distill.small_codec(codebook_size=SIZE, num_quantizers=2)
    codebooks = torch.zeros(2, SIZE, 8)
    codebooks[0, :QUIET, 0] = -10.0  # in log10 of amplitude, as the map below reads it
    codec.quantizer.set_codebooks(codebooks)
    prior = small_distill.small_prior(codec.config, context=64)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.mul_(0.1)
    generator = torch.Generator().manual_seed(0)
    sources = []
    for number, (length, shares) in enumerate(recordings):
        codes = torch.zeros(length, 2, dtype=torch.int64)
        codes[:, 0] = torch.multinomial(shares, length, True, generator=generator)
        sources.append(Source(f"{number}.wav", 0.0, False, codes))
    bands = [[1.0] * BANDS, *[[0.0] * BANDS] * 8]
    return small_distill.small_model(
        codec, prior, sources, file_count=len(recordings), seconds=20.0, bands=bands, beat_strength=0.0
    )


@pytest.fixture(scope="module")
def sparse() -> Model:
    """Both its recordings are equally likely to the prior, though one is nine times as long as the other."""
    codes = torch.arange(SIZE)
    return model_of((100, 1.0 * ((codes >= QUIET) & (codes < 20))), (900, 1.0 * (codes >= 20)))


def share_of_long_one(model: Model, seed: int) -> float:
    pieces = generate(model, 5.0, 16, Sampling(), seed)
    coarse = torch.cat([piece.codes[:, 0] for piece in pieces])
    return float((coarse >= 20).sum() / (coarse >= QUIET).sum())


def test_new_audio_is_like_each_recording_for_as_long_as_it_is(sparse: Model) -> None:
    """Guards against new loops of which one is heard twice as often as in the recordings, and three hardly ever."""
    found = measured_balance(sparse)
    assert found is not None
    assert len(found.nats) == SIZE
    assert found.after > found.before + 0.2
    led = sparse.with_header(balance=found.nats)
    assert share_of_long_one(sparse, 0) < 0.6
    assert share_of_long_one(led, 0) == pytest.approx(0.9, abs=0.05)
    assert measured_balance(led) == found, "what a model holds already has no part in it"
    assert f"corrected, {100 * found.after:.0f} %" in found.in_words


def test_a_balance_that_is_well_kept_is_left() -> None:
    """Guards against corrections of what is mostly chance: on twelve clips of a band they led away from the recordings."""
    codes = torch.arange(SIZE)
    found = measured_balance(model_of((500, 1.0 * (codes < 16)), (500, 1.0 * (codes >= 16))))
    assert found is not None
    assert found.before == found.after > WELL_KEPT
    assert found.nats == ()
    assert "so nothing is corrected" in found.in_words


def test_what_does_not_help_is_left(sparse: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a correction whose effect nobody has looked at."""
    firsts: list[int] = []

    def deaf(trial: Model, seconds: float, count: int, how: Sampling, first: int) -> list[Generation]:
        firsts.extend(range(first, first + count))
        return [Generation(torch.full((9, 2), 10), seconds, first, how, 48_000)] * count

    monkeypatch.setattr(balance, "generate", deaf)
    found = measured_balance(sparse)
    assert found is not None
    assert found.nats == ()
    assert found.before == found.after
    assert "could not be corrected" in found.in_words
    assert len(set(firsts)) == len(firsts) == (len(STEPS) + 1) * balance.PIECES, "never the same pieces twice"


def test_it_is_between_recordings_not_between_their_stretches(sparse: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against "84 % of the balance between your recordings" of a single one, of which stretches are held out: what lies
    between them counted as recordings."""
    pieces = torch.randint(QUIET, SIZE, (500, 2), generator=torch.Generator().manual_seed(1))
    monkeypatch.setattr(balance, "generate", lambda *_: [Generation(pieces, 10.0, 0, Sampling(), 48_000)])
    short, long = sparse.sources
    halves = [
        dataclasses.replace(long, codes=half, start_seconds=10.0 * at) for at, half in enumerate(long.codes.split(450))
    ]
    cut = dataclasses.replace(sparse, sources=(halves[0], short, halves[1]))
    whole, stretches = measured_balance(sparse), measured_balance(cut)
    assert whole is not None
    assert stretches is not None
    assert stretches.before == pytest.approx(whole.before)
    assert measured_balance(dataclasses.replace(sparse, sources=tuple(halves))) is None, "there is only one"


def test_only_coarse_codes_of_new_audio_are_made_likelier(sparse: Model) -> None:
    """What is made anew within a sound is what its surroundings say."""
    nats = tuple(float(code) / SIZE for code in range(SIZE))
    limits = Limits.of(sparse.with_header(balance=nats))
    before, logits = torch.tensor([9]), torch.zeros(1, SIZE)

    def tilted(some: Limits, level: int) -> torch.Tensor:
        return Limited(some, torch.full((1, 1, 2), 9)).tilt(logits, before, level)

    assert torch.equal(tilted(limits, 0)[0], torch.tensor(nats))
    assert torch.equal(tilted(limits, 1), logits)
    assert torch.equal(tilted(limits.within_a_sound(), 0), logits)
    assert torch.equal(tilted(Limits.of(sparse), 0), logits)


def test_it_is_said_in_whole_percent() -> None:
    assert Balance((0.1,), 0.412, 0.818).in_words == (
        "New audio kept 41 % of the balance between your recordings; now that it is corrected, 82 %."
    )
