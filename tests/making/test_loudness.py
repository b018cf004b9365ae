"""New audio keeps to the recordings' level: what is learned of it, and what it does while codes are drawn."""

import dataclasses
import re

import pytest
import torch

import small_distill
from distill.making import lean
from distill.making.drawing import Sampling, Steering, sample_codes
from distill.making.lean import FURTHEST, MOST, SHARE, Leaning, measured_lean, settled
from distill.making.limits import Limits
from distill.making.loudness import LEVELS, Loudness, learn_loudness
from distill.making.sampling import Generation, generate
from distill.models import CodePrior, Model, Source
from distill.models.config import PriorConfig
from distill.models.header import BANDS, CorpusRecord, new_header
from distill.models.vqvae import ConvVQVAE

MEMORY = 20
LADDER = torch.stack([torch.linspace(-30.0, 30.0, 32), torch.zeros(32), torch.zeros(32), torch.zeros(32)])
"""Decibels that each code adds: of the coarse ones the first is the softest."""


@pytest.fixture
def loudness() -> Loudness:
    """From 10 dB below the usual level to 5 above."""
    return Loudness(LADDER, 0.0, -10.0, 5.0, MEMORY)


@pytest.fixture
def indifferent() -> CodePrior:
    """A prior to which all codes are nearly as likely, whatever came before."""
    torch.manual_seed(0)
    prior = CodePrior(
        PriorConfig(codebook_size=32, num_quantizers=4, hidden_size=16, num_layers=1, num_heads=2, context=256)
    )
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.mul_(0.1)
    return prior.eval()


def position(coarse: int, batch: int = 1) -> torch.Tensor:
    return torch.tensor([[coarse, 0, 0, 0]]).expand(batch, -1)


def level_of(codes: torch.Tensor) -> torch.Tensor:
    return LADDER[0][codes[..., 0]]


def limits(loudness: Loudness | None) -> Limits:
    return Limits(torch.full((32,), 10**6), torch.zeros(32, dtype=torch.bool), 10**6, loudness)


@pytest.mark.parametrize("level", range(4))
@pytest.mark.parametrize("coarse", [11, 16, 18])
def test_within_the_recordings_range_nothing_is_changed(loudness: Loudness, coarse: int, level: int) -> None:
    strays = loudness.begin(position(coarse)[:, None].expand(-1, MEMORY, -1))
    logits = torch.randn(1, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(loudness.tilt(logits, strays, level), logits)


@pytest.mark.parametrize(("coarse", "likeliest"), [(0, 31), (6, 31), (21, 0), (31, 0)])
def test_beyond_it_codes_that_lead_back_are_likelier(loudness: Loudness, coarse: int, likeliest: int) -> None:
    strays = loudness.begin(position(coarse)[:, None].expand(-1, MEMORY, -1))
    tilted = loudness.tilt(torch.zeros(1, 32), strays, 0)
    assert int(tilted.argmax()) == likeliest
    fine = loudness.tilt(torch.zeros(1, 32), strays, LEVELS)
    assert not fine.any(), "finer levels hardly tell how loud a sound is"


def test_the_last_second_counts_and_what_is_not_there_is_as_usual(loudness: Loudness) -> None:
    """Guards against an attack that is taken for a loud second, and against what another stream of the batch began with."""
    begun = loudness.begin(torch.cat([torch.full((1, 5, 4), -1), position(31)[:, None]], dim=1))
    assert begun.shape == (1, MEMORY)
    assert float(begun.sum()) == 30.0
    strays = loudness.begin(position(0)[:, None].expand(-1, 3 * MEMORY, -1))
    for _ in range(MEMORY):
        strays = loudness.follow(strays, position(16))
    assert torch.equal(strays, loudness.begin(position(16)[:, None].expand(-1, MEMORY, -1)))


def test_new_audio_comes_back_from_where_it_strayed(indifferent: CodePrior, loudness: Loudness) -> None:
    """Guards against the piece in ten that swells or fades, as nothing led it back."""
    openings, seeds = torch.cat([position(31), position(0)]).repeat(8, 1), list(range(16))
    heard = [opening.expand(MEMORY, -1) for opening in openings]
    drawn = {
        name: level_of(
            sample_codes(indifferent, openings, 2 * MEMORY, Sampling(), seeds, heard=heard, steering=Steering(keeps))
        )
        for name, keeps in (("free", limits(None)), ("kept", limits(loudness)))
    }
    early = {name: levels[:, 1:MEMORY].view(8, 2, -1).mean(dim=(0, 2)) for name, levels in drawn.items()}
    assert early["kept"][0] < early["free"][0] - 5, "after what was too loud"
    assert early["kept"][1] > early["free"][1] + 5, "after what was too soft"


def test_a_stream_draws_alone_what_it_draws_in_a_batch(indifferent: CodePrior, loudness: Loudness) -> None:
    openings = torch.cat([position(31), position(16), position(0)])
    heard = [openings[0].expand(MEMORY, -1), openings[:0], openings[2].expand(7, -1)]
    together = sample_codes(
        indifferent, openings, 60, Sampling(), [1, 2, 3], heard=heard, steering=Steering(limits(loudness))
    )
    for row in range(3):
        alone = sample_codes(
            indifferent,
            openings[[row]],
            60,
            Sampling(),
            [row + 1],
            heard=[heard[row]],
            steering=Steering(limits(loudness)),
        )
        assert torch.equal(together[[row]], alone)


@pytest.fixture(scope="module")
def model() -> Model:
    """One whose first codebook number is the level of all bands: of the coarse codes the first is softest, the last loudest."""
    torch.manual_seed(0)
    codec = ConvVQVAE(small_distill.codec_config())
    codebooks = torch.zeros(4, 32, 8)
    codebooks[0, :, 0] = LADDER[0] / 20
    codec.quantizer.set_codebooks(codebooks)
    record = CorpusRecord(fingerprint="0" * 64, file_count=2, seconds=20, split_seed=0)
    header = new_header("level", codec.config, record, codec_training={}, bands=[[1.0] * BANDS, *[[0.0] * BANDS] * 8])
    return Model(header, codec.eval().requires_grad_(False), torch.ones(4, 32, dtype=torch.int64))


def test_the_range_is_that_of_all_seconds_but_the_outermost(model: Model) -> None:
    second = round(model.codec.frame_rate)

    def learned(*sources: tuple[int, float]) -> tuple[float, float, float] | None:
        codes = [position(coarse).expand(round(seconds * second), -1) for coarse, seconds in sources]
        named = [Source(f"{number}.wav", 0.0, False, one) for number, one in enumerate(codes)]
        return learn_loudness(model.codec, model.header.bands, named)

    assert learned((0, 40), (31, 60)) == pytest.approx((-30, 30, 30), abs=0.01)
    assert learned((0, 70), (31, 30)) == pytest.approx((-30, -30, 30), abs=0.01)
    assert learned((0, 1), (31, 99)) == pytest.approx((30, 30, 30), abs=0.01), "an outermost one is no measure"
    assert learned((0, 0.9)) is None, "a recording under a second says nothing"


def test_a_model_of_before_and_one_without_a_map_are_left_alone(model: Model) -> None:
    def of(**changes: object) -> Loudness | None:
        return Loudness.of(model.with_header(**changes))

    assert of(bands=[], loudness=(-9.0, 0.0, 4.0)) is None
    assert of(loudness=None) is None
    found = of(loudness=(-9.0, 1.0, 4.0))
    assert found is not None
    assert (found.lowest, found.usual, found.highest) == (-10.0, 1.0, 3.0)
    assert torch.allclose(found.levels, LADDER)
    level = of(loudness=(1.0, 1.0, 1.0))
    assert level is not None
    assert level.lowest < 0 < level.highest, "recordings that are all equally loud do not tie new audio down"


def recordings_of(model: Model, prior: CodePrior, softest: int, loudest: int) -> Model:
    """A model of recordings whose coarse codes are those of a part of the ladder, each as often, in any order."""
    draw = torch.Generator().manual_seed(0)
    codes = torch.zeros(2, 400, 4, dtype=torch.int64)
    coarse = torch.arange(softest, loudest).repeat(800 // (loudest - softest))
    codes[..., 0] = coarse[torch.randperm(800, generator=draw)].view(2, 400)
    sources = tuple(Source(f"{number}.wav", 0.0, False, one) for number, one in enumerate(codes))
    loudness = learn_loudness(model.codec, model.header.bands, sources)
    changes = {"loudness": loudness, "prior": prior.config, "beat_strength": 0.0}
    return dataclasses.replace(model, header=model.header.model_copy(update=changes), prior=prior, sources=sources)


@pytest.mark.parametrize(("softest", "loudest", "sign"), [(16, 32, 1), (0, 16, -1)])
def test_new_audio_is_led_to_the_recordings_mean(
    model: Model, indifferent: CodePrior, softest: int, loudest: int, sign: int
) -> None:
    """Guards against a prior all of whose pieces are denser or sparser than the recordings are, each a little."""
    learned = recordings_of(model, indifferent, softest, loudest)
    found = measured_lean(learned)
    assert found is not None
    assert found.off * sign < -3
    assert found.nats * sign > 0
    assert ("softer" if sign > 0 else "louder") in found.in_words
    assert "corrected" in found.in_words
    led = learned.with_header(loudness_lean=found.nats)
    assert measured_lean(led) == found, "what a model leans to already has no part in it"

    def mean(one: Model) -> float:
        pieces = generate(one, 5.0, 8, Sampling(), 0)
        return float(torch.cat([level_of(piece.codes) for piece in pieces]).mean())

    wanted = float(torch.cat([level_of(source.codes) for source in learned.trained_on]).mean())
    assert abs(mean(led) - wanted) < 0.7 * abs(mean(learned) - wanted)


def test_a_level_that_is_off_by_chance_is_left(model: Model, indifferent: CodePrior) -> None:
    """Guards against a lean for a third of a decibel, which doubled the distance of new audio from a band's clips."""
    found = measured_lean(recordings_of(model, indifferent, 8, 24))
    assert found is not None
    assert 0 < abs(found.off) <= found.by_chance
    assert found.nats == 0
    assert "as loud as the recordings" in found.in_words


@pytest.mark.parametrize(
    ("shift", "drawn"),
    [(0.0, [32]), (0.8, [32, 32]), (1.5, [32, 32, 64]), (6.0, [32, 32])],
    ids=["as loud", "louder by chance", "a little louder", "louder"],
)
def test_more_pieces_are_drawn_where_a_few_cannot_tell(
    model: Model, indifferent: CodePrior, monkeypatch: pytest.MonkeyPatch, shift: float, drawn: list[int]
) -> None:
    """Guards against a lean, or none, by the chance of 32 pieces. What is clearly louder is drawn again with a lean alone."""
    learned = recordings_of(model, indifferent, 8, 24)
    asked: list[tuple[int, int, float]] = []

    def draw(trial: Model, seconds: float, count: int, how: Sampling, first: int) -> list[Generation]:
        lean = trial.header.loudness_lean
        asked.append((first, count, lean))
        levels = shift * (lean == 0) + torch.linspace(-8, 8, count)
        coarse = (LADDER[0][None] - levels[:, None]).abs().argmin(dim=1)
        return [Generation(position(int(one)), seconds, first, how, 48_000) for one in coarse]

    monkeypatch.setattr(lean, "generate", draw)
    found = measured_lean(learned)
    assert found is not None
    assert [count for _, count, _ in asked] == drawn
    assert len({(first, tilt) for first, _, tilt in asked}) == len(asked), "never the same pieces twice"
    assert (found.nats != 0) == (shift > 1) == any(tilt for _, _, tilt in asked)


def test_recordings_of_all_levels_get_no_lean(
    model: Model, indifferent: CodePrior, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a lean for 2 dB where quiet and loud are 40 dB apart: it took new pieces of music a third further away."""
    loud = torch.full((4,), 31)
    monkeypatch.setattr(
        lean, "generate", lambda *_: [Generation(position(int(one)), 5.0, 0, Sampling(), 48_000) for one in loud]
    )
    found = measured_lean(recordings_of(model, indifferent, 0, 32))
    assert found is not None
    assert found.nats == 0
    assert found.off > 10 > found.by_chance
    assert "They themselves vary by 18 dB, so nothing is corrected." in found.in_words


@pytest.mark.parametrize(
    ("left", "lean"),
    [(-2.0, -0.04), (1.0, -0.06 * 4 / 3), (2.0, -MOST), (4.0, 0.0), (5.0, 0.0), (-12.0, -0.015)],
    ids=["gone past", "not there yet", "far from there", "no help", "worse", "much too far"],
)
def test_a_step_that_goes_past_the_recordings_level_is_taken_back(left: float, lean: float) -> None:
    """Guards against a lean that made new audio 2 dB too soft where it had been 1.6 dB too loud: what is drawn tilts what
    follows, so that one step's effect is not known before it is taken."""
    assert settled(-0.06, 4.0, left) == pytest.approx(SHARE * lean)
    assert settled(-0.01, 4.0, 3.9) == pytest.approx(SHARE * -0.01 * FURTHEST)


def test_no_more_is_said_to_be_corrected_than_is(
    model: Model, indifferent: CodePrior, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against "most of that is corrected" where a lean hardly helps, and no more than twice its step is taken."""

    def draw(trial: Model, seconds: float, count: int, how: Sampling, first: int) -> list[Generation]:
        levels = 6.0 - 0.5 * (trial.header.loudness_lean != 0) + torch.linspace(-8, 8, count)
        coarse = (LADDER[0][None] - levels[:, None]).abs().argmin(dim=1)
        return [Generation(position(int(one)), seconds, first, how, 48_000) for one in coarse]

    monkeypatch.setattr(lean, "generate", draw)
    found = measured_lean(recordings_of(model, indifferent, 8, 24))
    assert found is not None
    assert found.off > 5
    said = re.search(r"about ([0-9.]+) dB of that is corrected", found.in_words)
    assert said, found.in_words
    assert float(said[1]) == pytest.approx(SHARE * FURTHEST * 0.5, abs=0.2)


def test_a_level_that_cannot_be_corrected_is_said() -> None:
    assert "could not be corrected" in Leaning(0.0, 1.5, 0.4).in_words


def test_without_a_map_to_bands_nothing_leans(model: Model) -> None:
    older = model.with_header(bands=[])
    assert measured_lean(older) is None
