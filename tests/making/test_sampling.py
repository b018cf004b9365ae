"""Sampling: exact over any length, the same for the same seed, and inside its bounds."""

import copy
import dataclasses
import json
import threading
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
import torch

import small_distill
from distill.codes.extract import decode_chunks
from distill.codes.layout import positions_in
from distill.errors import MissingPriorError, SettingError
from distill.making import drawing as drawing_module
from distill.making.drawing import Drawing, Sampling, Steering, continue_codes, draw, sample_codes
from distill.making.infill import infill
from distill.making.limits import HELD_SECONDS, PAUSE_SECONDS, Limits
from distill.making.openings import Openings
from distill.making.reimagine import reimagine
from distill.making.sampling import Generation, generate
from distill.making.streaming import stream
from distill.making.voices import CodecVoice
from distill.models import CodePrior, ConvVQVAE, Model, VQVAEConfig
from distill.models.header import BANDS
from distill.models.model_file import Source

RATE = VQVAEConfig().frame_rate
HELD_POSITIONS, PAUSE_POSITIONS = positions_in(HELD_SECONDS, RATE), positions_in(PAUSE_SECONDS, RATE)
OPENINGS = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])


@pytest.fixture(scope="module")
def prior() -> CodePrior:
    torch.manual_seed(0)
    model = small_distill.small_prior(small_distill.codec_config(), num_layers=2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


@pytest.fixture(scope="module")
def model(prior: CodePrior) -> Model:
    sources = tuple(Source(f"{number}.wav", 0.0, False, opening[None]) for number, opening in enumerate(OPENINGS))
    return small_distill.small_model(small_distill.small_codec(), prior, sources)


def test_equals_a_full_forward_pass_over_each_window(prior: CodePrior) -> None:
    """The slow twin of the cached, sliding sampler: every token from a full pass over the window it sees."""
    sampling = Sampling(temperature=0.8, top_k=10, top_p=0.9)
    fast = sample_codes(prior, OPENINGS[:1], 30, sampling, [5])[0].flatten()

    generator = torch.Generator().manual_seed(5)
    slow = OPENINGS[0].tolist()
    start = 0
    while len(slow) < 120:
        if len(slow) - start == 32:  # the window is full: it moves on to its newest half
            start = len(slow) - 16
        for uniform in torch.rand(4, generator=generator):
            logits = prior(torch.tensor([slow[start:]]))[:, -1]
            slow.append(int(draw(logits, sampling, uniform[None])))
    assert fast.tolist() == slow


def test_a_piece_does_not_depend_on_its_batch(prior: CodePrior) -> None:
    """Guards against one random stream shared by a batch: piece 3 of 5 could never be made again alone."""
    together = sample_codes(prior, OPENINGS[[0, 1, 0]], 20, Sampling(), [7, 8, 9])
    alone = sample_codes(prior, OPENINGS[1:], 20, Sampling(), [8])
    assert torch.equal(together[1], alone[0])
    assert not torch.equal(together[0], together[1])


def places(model: Model, lengths: Sequence[int], seeds: Iterable[int]) -> list[tuple[int, int]]:
    """Where pieces begin, of a model that learned from recordings of these lengths."""
    learned = tuple(Source("", 0.0, False, torch.zeros(length, 4, dtype=torch.int64)) for length in lengths)
    openings = Openings(dataclasses.replace(model, sources=learned))
    return [openings.place(seed) for seed in seeds]


def test_a_few_pieces_stand_for_the_whole_corpus(model: Model) -> None:
    """Guards against chance: five pieces that all begin like the same recording, while others are never heard."""
    lengths = [100, 300, 100, 300, 200]
    heard = [index for index, _ in places(model, lengths, range(7, 107))]
    assert [heard.count(number) for number in range(5)] == pytest.approx([10, 30, 10, 30, 20], abs=2)
    assert len(set(heard[:7])) == 5


def test_a_long_piece_is_entered_anywhere(model: Model) -> None:
    """Guards against new audio that always begins as a long piece does: with a second of silence."""
    entered = sorted(place for _, place in places(model, [5000], range(50)))
    assert np.diff([0, *entered, 5000]).max() < 250
    assert set(places(model, [400], range(50))) == {(0, 0)}


def test_what_was_heard_before_is_gone_on_from_and_no_part_of_the_piece(prior: CodePrior) -> None:
    """Whatever the others of the batch have heard."""
    before = torch.randint(32, (6, 4), generator=torch.Generator().manual_seed(3))
    told: list[tuple[int, int]] = []
    pieces = sample_codes(
        prior,
        OPENINGS[[0, 1, 0]],
        12,
        Sampling(),
        [7, 8, 9],
        lambda *both: told.append(both),
        heard=[before[:0], before, before[:0]],
    )
    prompt = torch.cat([before, OPENINGS[1:]])[None]
    gone_on = continue_codes(prior, prompt, 11, Sampling(), [torch.Generator().manual_seed(8)])
    assert torch.equal(pieces[1], torch.cat([OPENINGS[1:], gone_on[0]]))
    assert torch.equal(pieces[[0, 2]], sample_codes(prior, OPENINGS[[0, 0]], 12, Sampling(), [7, 9]))
    assert not torch.equal(pieces[1:2], sample_codes(prior, OPENINGS[1:], 12, Sampling(), [8]))
    assert told[-1] == (11, 11)
    assert sorted(told) == told


def test_streams_that_have_heard_more_or_less_are_drawn_together_as_each_would_be_alone(prior: CodePrior) -> None:
    """Through several windows: guards against one that moves on when another stream's is full."""
    before = torch.randint(32, (9, 4), generator=torch.Generator().manual_seed(3))
    heard, seeds = [before[:0], before, before[:4]], [7, 8, 9]
    steering = Steering(Limits(torch.full((32,), 3), torch.arange(32) < 2, 2))
    together = sample_codes(prior, OPENINGS[[0, 1, 0]], 90, Sampling(), seeds, heard=heard, steering=steering)
    for row, (own, seed) in enumerate(zip(heard, seeds, strict=True)):
        prompt = torch.cat([own, OPENINGS[[0, 1, 0]][[row]]])[None]
        alone = continue_codes(prior, prompt, 89, Sampling(), [torch.Generator().manual_seed(seed)], steering)
        assert torch.equal(together[row, 1:], alone[0])


def test_a_piece_goes_on_from_a_long_recording_and_begins_as_a_short_one(model: Model) -> None:
    """Guards against every third piece that begins in one piece of music and is in another a moment later."""
    long, short = torch.arange(8000).view(2000, 4) % 32, torch.arange(400).view(100, 4) % 32
    header = model.header.model_copy(update={"heard_before": 47})
    sources = (Source("long.wav", 0.0, False, long), Source("short.wav", 0.0, False, short))
    openings = Openings(dataclasses.replace(model, header=header, sources=sources))
    found = set()
    for seed in range(100):
        index, place = openings.place(seed)
        before = openings.before(seed)
        if index == 0 and place >= 47:
            assert torch.equal(before, long[place - 47 : place])
        else:
            assert before.shape == (0, 4)
        found.add((index, len(before)))
    assert {(0, 47), (1, 0)} <= found
    asks_for_none = Openings(dataclasses.replace(model, sources=sources))
    assert not any(len(asks_for_none.before(seed)) for seed in range(20))


def with_silence(model: Model, *sources: torch.Tensor) -> Model:
    """The model with other recordings, given as coarse codes; codes from 24 on are silent."""
    codebooks = 0.01 * torch.randn(4, 32, 8, generator=torch.Generator().manual_seed(0))
    codebooks[0, 24:, 0] -= 2
    codec = copy.deepcopy(model.codec)
    codec.quantizer.set_codebooks(codebooks)
    header = model.header.model_copy(update={"bands": [[1.0] * BANDS, *[[0.0] * BANDS] * 8]})
    learned = tuple(Source("", 0.0, False, coarse[:, None].expand(-1, 4).contiguous()) for coarse in sources)
    return dataclasses.replace(model, header=header, codec=codec, sources=learned)


def test_pieces_begin_where_something_sounds(model: Model) -> None:
    """Guards against a piece in twelve that begins in a fade-out and stays silent."""
    sound, silence = torch.arange(600) % 24, torch.full((300,), 25)
    ends_silent = with_silence(model, torch.cat([silence, sound, silence]), torch.cat([silence[:9], sound[:100]]))
    begun = Openings(ends_silent).codes(range(200))[:, 0]
    assert begun.max() < 24
    assert len(begun.unique()) > 12  # the long one anywhere in its sound, the short one with its first
    assert (
        Openings(with_silence(model, silence)).codes([0])[0, 0] == 25
    )  # where nothing sounds there is no better place


def test_pauses_are_no_longer_than_between_two_sounds(prior: CodePrior, model: Model) -> None:
    """Guards against a piece that comes to the end of a recording and stays in the silence after it."""
    sound = torch.arange(240) % 24
    pause, end = torch.arange(30) % 8 + 24, torch.arange(400) % 8 + 24
    paused = with_silence(model, torch.cat([sound, pause, sound, end]))
    assert Limits.of(paused).pause == 30
    assert Limits.of(with_silence(model, torch.cat([end, sound, end]))).pause == PAUSE_POSITIONS
    silent = copy.deepcopy(prior)
    with torch.no_grad():
        silent.head_norm.bias.add_(1.0)
        silent.heads[0, 24:] += 2.0
    piece = generate(dataclasses.replace(paused, prior=silent), 4.0)[0].codes[:, 0]
    codes, counts = torch.unique_consecutive(piece >= 24, return_counts=True)
    assert counts[codes].max() == 30
    assert counts[~codes].max() <= 2


def test_no_code_is_held_for_longer_than_the_recordings_hold_it(prior: CodePrior, model: Model) -> None:
    """Guards against silence that careful drawing never leaves again, because it is always the likeliest to come."""
    stuck = copy.deepcopy(prior)
    with torch.no_grad():
        stuck.persistence_bias.fill_(30.0)
    endless = sample_codes(stuck, OPENINGS[:1], 100, Sampling(top_p=0.9), [0])[0, :, 0]
    assert len(endless.unique()) == 1
    held = torch.cat([torch.full((40,), code) for code in range(16)])[:, None].expand(-1, 4)
    model = dataclasses.replace(model, prior=stuck, sources=(Source("a.wav", 0.0, False, held),))
    codes = generate(model, 8.0, 2, Sampling(top_p=0.9))
    limits = Limits.of(model)
    assert limits.longest.tolist() == [40] * 16 + [HELD_POSITIONS] * 16
    for piece in codes:
        found, counts = torch.unique_consecutive(piece.codes[:, 0], return_counts=True)
        assert (counts <= limits.longest[found]).all()
        assert counts.max() >= HELD_POSITIONS
    silent = held[:39].expand(2, -1, -1)  # what was held in a prompt counts
    streams = [torch.Generator(), torch.Generator()]
    after = continue_codes(stuck, silent, 2, Sampling(top_p=0.9), streams, Steering(limits))
    assert after[:, 0, 0].tolist() == [0, 0]
    assert 0 not in after[:, 1, 0].tolist()


@pytest.mark.parametrize("seconds", [0.5, 1.2345, 3.0])
def test_length_is_exact(model: Model, seconds: float) -> None:
    audio = generate(model, seconds)[0].audio(model)
    assert audio.shape == (1, round(seconds * 48_000))


def test_a_piece_that_was_judged_is_not_decoded_again_to_be_written(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    decode_part = model.codec.decode_part
    monkeypatch.setattr(model.codec, "decode_part", lambda *words: decoded.append(1) or decode_part(*words))
    piece = dataclasses.replace(generate(model, 1.0, 1, Sampling(), 3)[0], voice=CodecVoice(model))
    judged, written = piece.audio(model), piece.audio(model)
    assert len(decoded) == 1
    assert np.array_equal(judged, written)
    assert np.array_equal(judged, dataclasses.replace(piece, voice=None).audio(model))


def test_blocks_end_exactly_at_the_length(model: Model) -> None:
    codes = torch.zeros(1100, 4, dtype=torch.int64)
    piece = Generation(codes, 1024 * 1024 / 48_000, 0, Sampling(), 48_000)
    assert sum(block.shape[1] for block in piece.blocks(model)) == 1024 * 1024


@pytest.mark.parametrize("temperature", [0, 1e-40, 1e-6])
def test_temperature_zero_and_nearly_zero_take_the_likeliest(temperature: float) -> None:
    """Guards against logits that overflow when they are divided by next to nothing."""
    logits = torch.tensor([[0.0, 3.0, 1.0]])
    assert draw(logits, Sampling(temperature=temperature), torch.tensor([0.99])).item() == 1


def test_top_k_and_top_p_cut_the_tail() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]]))
    numbers = torch.linspace(0, 1 - 1e-7, 200)

    def seen(**settings: float) -> set[int]:
        sampling = Sampling(**({"top_p": 1.0} | settings))  # type: ignore[arg-type]
        return {int(draw(logits, sampling, number[None])) for number in numbers}

    assert seen() == {0, 1, 2, 3}
    assert seen(top_k=2) == {0, 1}
    assert seen(top_p=0.7) == {0, 1}
    assert seen(top_p=0.9) == {0, 1, 2}
    assert seen(top_p=0.01) == {0}


def test_draw_follows_the_probabilities() -> None:
    """A wrong draw passes with odds under 1e-9 (binomial, 20 000 draws, tolerance 0.03)."""
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]])).expand(20_000, 4)
    drawn = draw(logits, Sampling(top_p=1.0), torch.rand(20_000, generator=torch.Generator().manual_seed(0)))
    shares = torch.bincount(drawn, minlength=4) / 20_000
    torch.testing.assert_close(shares, torch.tensor([0.5, 0.3, 0.15, 0.05]), atol=0.03, rtol=0)


def test_settings_of_another_type_are_taken_or_refused_in_words() -> None:
    """Guards against a TypeError from within, and against settings that pass and cannot be drawn with, or not be noted."""
    sampling = Sampling([1.0, np.float32(0.5)], np.int64(5), np.float64(0.9), np.float32(0.5))  # type: ignore[arg-type]
    assert sampling == Sampling((1.0, 0.5), 5, 0.9, 0.5)
    assert json.dumps(dataclasses.asdict(sampling))
    for odd in (
        {"temperature": "1"},
        {"temperature": ()},
        {"temperature": None},
        {"top_k": 5.0},
        {"top_p": "0.9"},
        {"variety": None},
    ):
        (name,) = odd
        with pytest.raises(SettingError, match=f"{name} is .* needed"):
            Sampling(**odd)


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": -1},
        {"top_k": -1},
        {"top_p": 3},
        {"top_p": 0},
        {"temperature": float("nan")},
        {"temperature": (1.0, -1.0)},
        {"variety": 9},
    ],
)
def test_settings_out_of_range(settings: dict[str, float]) -> None:
    with pytest.raises(SettingError):
        Sampling(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(("seconds", "count"), [(-1, 1), (0.1, 1), (601, 1), (float("nan"), 1), (1, 0), (1, 65)])
def test_lengths_and_counts_out_of_range(model: Model, seconds: float, count: int) -> None:
    with pytest.raises(SettingError):
        generate(model, seconds, count)


def test_a_piece_begins_and_ends_without_a_click(model: Model) -> None:
    """Guards against pieces cut off in the middle of a wave; what follows a prompt goes on at once."""
    piece = generate(model, 2.0, seed=3)[0]
    whole = np.concatenate(list(decode_chunks(model.codec, piece.codes)), axis=1)[:, :96_000]
    audio = piece.audio(model)
    assert np.abs(audio[:, [0, -1]]).max() == 0 < np.abs(whole[:, [0, -1]]).max()
    np.testing.assert_array_equal(audio[:, 240:-1441], whole[:, 240:-1441])
    assert np.abs(audio[:, :240]).max() > 0
    continued = generate(model, 1.0, prompt=piece.codes)[0].audio(model)
    assert np.abs(continued[:, 0]).max() > 0


def test_no_prior(model: Model) -> None:
    bare = Model(model.header, model.codec, model.code_counts)
    with pytest.raises(MissingPriorError, match="no prior"):
        generate(bare)


def test_every_level_has_its_own_temperature(prior: CodePrior) -> None:
    """Guards against one temperature used for all: coarse codes that are certain must not make the fine ones so."""
    certain = Sampling(temperature=(0, 0, 0, 2.0), top_p=1.0)
    grids = sample_codes(prior, OPENINGS[:1].expand(8, -1), 2, certain, range(8))
    assert len({tuple(grid[1, :3].tolist()) for grid in grids}) == 1
    assert len({int(grid[1, 3]) for grid in grids}) > 1
    with pytest.raises(SettingError, match="4 levels"):
        sample_codes(prior, OPENINGS[:1], 2, Sampling(temperature=(1.0, 1.0)), [0])


def test_variety_keeps_the_likeliest_code_from_coming_again_and_again(prior: CodePrior) -> None:
    def coarse(variety: float) -> int:
        codes = sample_codes(prior, OPENINGS[:1], 60, Sampling(temperature=0, variety=variety), [0])[0]
        return len(codes[:, 0].unique())

    assert coarse(3.0) > 2 * coarse(0.0)


def test_variety_counts_a_prompt_as_if_it_had_been_drawn_and_not_what_was_only_context(prior: CodePrior) -> None:
    """Guards against new audio that repeats what was heard just before it as if nobody had heard it."""
    sampling = Sampling(temperature=0, variety=5.0)
    prompt = torch.randint(0, 32, (1, 7, 4), generator=torch.Generator().manual_seed(1))

    def recent(prompt: torch.Tensor, **given: int) -> torch.Tensor:
        return Drawing(prior, prompt, 7, sampling, Steering(), **given)._recent

    twin = Drawing(prior, prompt[:, :1], 6, sampling, Steering())
    twin.begin(None)
    for row in prompt[0, 1:]:
        twin.next_position([torch.Generator()], row.tolist())
    torch.testing.assert_close(recent(prompt), twin._recent)
    later = torch.cat([torch.full_like(prompt, -1)[:, :2], prompt], dim=1)
    assert torch.equal(recent(prompt), recent(later)), "before a stream begins nothing is heard"
    assert torch.equal(recent(prompt, unheard=4), recent(prompt[:, 4:]))
    assert weight_after_context(prior, sampling) == 1, (
        "of a piece that opens after a second of a recording only its first position counts"
    )


def weight_after_context(prior: CodePrior, sampling: Sampling) -> float:
    """How much variety avoids in all, before a piece that opens in the middle of a recording goes on."""
    found: list[float] = []

    class Noting(Drawing):
        def begin(self, ahead: torch.Tensor | None) -> None:
            found.append(float(self._recent.sum()))
            super().begin(ahead)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("distill.making.drawing.Drawing", Noting)
        sample_codes(prior, OPENINGS[:1], 2, sampling, [0], heard=[torch.full((5, 4), 3)])
    return found[0]


def test_variety_forgets_in_the_same_time_at_any_hop(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a way of drawing that does not say how long a position lasts."""
    found: list[Drawing] = []
    begin = Drawing.begin

    def noted(drawing: Drawing, ahead: torch.Tensor | None) -> None:
        found.append(drawing)
        begin(drawing, ahead)

    monkeypatch.setattr(Drawing, "begin", noted)
    for hop, seconds in ((1024, 1.0), (512, 0.5), (2048, 2.0)):
        config = dataclasses.replace(model.codec.config, hop=hop)
        codec = ConvVQVAE(config).eval().requires_grad_(False)
        other = dataclasses.replace(model, codec=codec)
        recording = np.zeros((codec.channels, round(seconds * 48_000)), np.float32)
        generate(other, 0.5)
        generate(other, 0.5, prompt=OPENINGS)
        next(stream(other, 0.5))
        infill(other, recording, 0, 5 * hop / 48_000)
        reimagine(other, torch.zeros(4, 4, dtype=torch.int64), torch.ones(4, 4, dtype=torch.bool))
        lasts = [hop / 48_000 / (1 - drawing.fading) for drawing in found]
        assert lasts == pytest.approx([2.0] * 5, rel=0.02)
        found.clear()


def test_what_follows_a_prompt_hangs_on_it(model: Model) -> None:
    """Guards against a prompt that is read and then forgotten."""
    first, second = (torch.full((12, 4), code) for code in (3, 9))
    likeliest = Sampling(temperature=0)
    one, other = (generate(model, 0.5, sampling=likeliest, prompt=prompt)[0] for prompt in (first, second))
    assert not torch.equal(one.codes[one.lead :], other.codes[other.lead :])
    assert one.audio(model).shape == (1, 24_000)


def test_a_prompt_is_heard_by_the_codec_but_is_not_in_the_piece(model: Model) -> None:
    """Guards against a piece that begins with the prompt's end, or in a codec that thinks silence came before."""
    piece = generate(model, 0.5, prompt=torch.full((12, 4), 3))[0]
    codec = model.codec
    whole = codec.decode(piece.codes[None])[0, :, piece.lead * codec.hop :][:, :24_000]
    heard = slice(0, 24_000 - 1441)  # it fades out at its end
    np.testing.assert_allclose(piece.audio(model)[:, heard], whole.numpy()[:, heard], atol=1e-5)
    bare = codec.decode(piece.codes[None, piece.lead :])[0, :, :24_000]
    assert float((whole - bare).abs().max()) > 1e-4


def test_pieces_are_as_loud_as_the_prompt(model: Model) -> None:
    """The same codes, turned down; they are judged as loud as the recordings are."""
    prompt = torch.ones(20, 4, dtype=torch.int64)
    (plain,), (quiet,) = (generate(model, 1.0, 1, seed=3, prompt=prompt, gain=gain) for gain in (1.0, 1 / 64))
    np.testing.assert_allclose(64 * quiet.audio(model), plain.audio(model), atol=1e-5)
    judged, plain_judged = (np.concatenate(list(one.new_sound(model)[1]), axis=1) for one in (quiet, plain))
    np.testing.assert_array_equal(judged, plain_judged)


def test_what_lies_ahead_is_led_to(prior: CodePrior) -> None:
    """Guards against infilling that never looks at its right side."""
    prompt = torch.full((1, 2, 4), 3)
    likeliest = Sampling(temperature=0)
    first, second = (
        continue_codes(prior, prompt, 3, likeliest, [torch.Generator()], ahead=torch.full((1, 3, 4), code))
        for code in (5, 20)
    )
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("seconds", "part"), [(0.5, 24), (3.01, 7), (2.0, 500)])
def test_what_is_heard_as_it_is_drawn_is_what_is_drawn_at_once(model: Model, seconds: float, part: int) -> None:
    """The slow twin of streaming: everything drawn first, and decoded as one."""
    sampling = Sampling(temperature=0.9, variety=0.5)
    (whole,) = generate(model, seconds, 1, sampling, seed=11)
    parts = list(stream(model, seconds, sampling, seed=11, part=part))
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole.audio(model), atol=2e-5)
    assert len(parts) >= seconds * 46 // part


def test_the_first_part_is_heard_before_the_last_code_is_drawn(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = 0
    whole = Drawing.next_position

    def counted(drawing: Drawing, *given: object) -> None:
        nonlocal drawn
        drawn += 1
        whole(drawing, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Drawing, "next_position", counted)
    next(stream(model, 60.0))
    assert drawn <= 24 * 3 + model.codec.context


def test_only_the_thread_that_draws_computes_on_one_processor(
    prior: CodePrior, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a piece that is made in one thread of a program and slows down whatever begins in another meanwhile."""
    before = torch.get_num_threads()
    seen: list[int] = []

    def elsewhere() -> None:
        other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        other.start()
        other.join()

    def drawn(*given: object) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        elsewhere()
        return draw(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(drawing_module, "draw", drawn)
    torch.set_num_threads(3)
    try:
        continue_codes(prior, OPENINGS[None, :1], 1, Sampling(), [torch.Generator()])
        assert set(zip(seen[::2], seen[1::2], strict=True)) == {(1, 3)}
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
