"""The judge: what was copied is found out, what was not is left alone, and what cannot be said is not said."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from distill.making.drawing import Sampling
from distill.making.grains import Bank, Stretch
from distill.making.infill import Infill
from distill.making.loops import Loop
from distill.making.sampling import Generation
from distill.making.tries import MOST_TRIES, Drawn, draw_until_fine
from distill.making.voices import RecordingsVoice
from distill.models import CodePrior, Model, PriorConfig, Source, VQVAEConfig
from distill.models.header import CorpusRecord, new_header
from distill.originality.judge import OriginalityJudge
from distill.originality.passages import Nearest, Passages
from distill.originality.verdict import Originality, Verdict, by_likeness

RATE, HOP = 48_000, 1024
ENTRIES = 64


class Chimes(torch.nn.Module):
    """A stand-in for a codec, whose every code is a tone: what is copied in codes is copied in sound."""

    sample_rate, hop, frame_rate, channels, codebook_size, num_quantizers, context = (
        RATE,
        HOP,
        RATE / HOP,
        1,
        ENTRIES,
        2,
        1,
    )

    def __init__(self) -> None:
        super().__init__()
        self.anchor = torch.nn.Parameter(torch.zeros(1), requires_grad=False)

    def encode(self, audio: Tensor) -> Tensor:
        raise NotImplementedError

    def decode(self, codes: Tensor) -> Tensor:
        """Each position a tone by its first code, louder or softer by its second; entry 0 of both is silence."""
        time = torch.arange(HOP) / RATE
        pitch = 100 * 2 ** (codes[..., :1] / 10)
        level = 0.3 * (codes[..., 1:] / ENTRIES) ** 2
        return (level * torch.sin(2 * math.pi * pitch * time)).flatten(1)[:, None]

    def decode_part(
        self, codes: Tensor, first: int, start: int, stop: int, held: Tensor | None = None, levels: object = None
    ) -> tuple[Tensor, None]:
        """Nothing is carried from one part to the next."""
        return self.decode(codes)[..., (start - first) * HOP : (stop - first) * HOP], None


def phrase(seed: int, positions: int = 282) -> Tensor:
    """Six seconds of short notes: ``[S, 2]``."""
    draw = np.random.default_rng(seed)
    notes: list[tuple[int, int]] = []
    while len(notes) < positions:
        notes += [(int(draw.integers(1, ENTRIES)), int(draw.integers(1, ENTRIES)))] * int(draw.integers(2, 9))
    return torch.tensor(notes[:positions])


def model_of(trained: list[Tensor], held_out: list[Tensor]) -> Model:
    config = VQVAEConfig(num_quantizers=2, codebook_size=ENTRIES)
    record = CorpusRecord(fingerprint="0" * 64, file_count=5, seconds=5, split_seed=0)
    prior = CodePrior(PriorConfig(ENTRIES, 2, hidden_size=16, num_layers=1, num_heads=2, context=16))
    sources = [Source(f"take-{number}.wav", 0.0, False, codes) for number, codes in enumerate(trained)]
    sources += [Source(f"aside-{number}.wav", 0.0, True, codes) for number, codes in enumerate(held_out)]
    header = new_header("chimes", config, record, codec_training={}, prior=prior.config)
    return Model(header, Chimes(), torch.ones(2, ENTRIES, dtype=torch.int64), prior, tuple(sources))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def model() -> Model:
    return model_of([phrase(seed) for seed in range(6)], [phrase(seed) for seed in range(20, 26)])


@pytest.fixture(scope="module")
def judge(model: Model) -> OriginalityJudge:
    return OriginalityJudge(model)


def heard(model: Model, codes: Tensor) -> tuple[Tensor, Iterator[np.ndarray]]:
    seconds = len(codes) * HOP / RATE
    return Generation(codes, seconds, 0, Sampling(), RATE).new_sound(model)


@pytest.fixture(scope="module")
def quoting(model: Model) -> RecordingsVoice:
    """Grains of recordings of which the codec keeps only what is not hiss."""
    entries = torch.stack([torch.arange(ENTRIES), torch.zeros(ENTRIES)], dim=1).float()
    stretches = [
        Stretch(source.name, hissing(model, source.codes), 0, source.codes, sha256=source.name)
        for source in model.trained_on
    ]
    return RecordingsVoice(Bank(torch.stack([entries, entries.flip(1) / 4]), stretches, HOP), 1, RATE, 4.0)


def hissing(model: Model, codes: Tensor) -> np.ndarray:
    sound = model.codec.decode(codes[None])[0].numpy()
    return (sound + 0.1 * np.random.default_rng(0).standard_normal(sound.shape)).astype(np.float32)


def test_what_grains_quote_is_found_out_though_the_prior_drew_other_codes(
    model: Model, judge: OriginalityJudge, quoting: RecordingsVoice
) -> None:
    """Guards against quotes called original: the recordings are known as the codec plays them, and grains do not sound so."""
    codes = phrase(2)[47:188].clone()  # three seconds of take-2
    codes[::9, 1] = (codes[::9, 1] + 5) % ENTRIES
    samples = len(codes) * HOP
    piece = Generation(codes, samples / RATE, 0, Sampling(), RATE, voice=quoting)
    passage = Infill(np.zeros((1, samples), np.float32), codes, 0, 0, samples, 0, Sampling(), voice=quoting)
    assert judge.judge(codes, piece.blocks(model)).share(Verdict.COPY) == 0  # neither code for code nor as it sounds
    for take in (piece, Loop(piece, 0, samples, 0.0), passage):
        seconds = judge.judge(*take.new_sound(model)).seconds
        assert {(one.verdict, one.recording) for one in seconds} == {(Verdict.COPY, "take-2.wav")}


def test_a_planted_passage_is_found_out(model: Model, judge: OriginalityJudge) -> None:
    """Three seconds of take-2 in the middle of a new piece: those are copies, with name and time; the others are not."""
    codes = torch.cat([phrase(50, 94), phrase(2)[47:188], phrase(51, 94)])  # 2 s, 3 s from the first on, 2 s
    found = judge.judge(*heard(model, codes))
    verdicts = [second.verdict for second in found.seconds]
    assert Verdict.COPY in verdicts[2:5]
    copied = found.seconds[3]
    assert (copied.verdict, copied.recording) == (Verdict.COPY, "take-2.wav")
    assert copied.at_seconds == pytest.approx(2.0, abs=0.05)
    assert copied.percentile > 99
    assert {verdicts[0], verdicts[-1]} == {Verdict.ORIGINAL}
    for levels, run in enumerate(found.runs, start=1):
        assert run.levels == levels
        assert (run.recording, round(run.at_seconds), round(run.begin_seconds)) == ("take-2.wav", 1, 2)
        assert run.seconds == pytest.approx(3.0, abs=0.1)
        assert run.percentile > 99
    assert "copy" in found.summary()


def test_an_innocent_piece_is_original(model: Model, judge: OriginalityJudge) -> None:
    """Guards against an alarm that sounds for whatever is of the same kind."""
    found = judge.judge(*heard(model, phrase(99)))
    assert found.share(Verdict.COPY) == 0
    assert found.share(Verdict.ORIGINAL) > 0.8
    assert found.runs[1].seconds < 1


@pytest.mark.parametrize("held_out", [range(20, 26), range(0)])
def test_a_recording_that_is_there_twenty_times_is_still_copied(held_out: range) -> None:
    """Guards against a judge that takes what the corpus is full of for common property, also where nothing is held out."""
    asides = [phrase(seed) for seed in held_out]
    planted = model_of([phrase(1)] * 20 + [phrase(seed) for seed in range(2, 10)], asides)
    strict = OriginalityJudge(planted)
    found = strict.judge(*heard(planted, phrase(1)[20:220]))
    assert found.share(Verdict.COPY) > 0.7
    assert found.nearest is not None
    assert found.nearest.at_seconds < 6
    assert strict.judge(*heard(planted, phrase(60))).share(Verdict.COPY) == 0


@pytest.mark.parametrize(
    ("similarity", "percentile", "elsewhere", "said", "is_repeated"),
    [
        (0.95, 100, math.nan, Verdict.COPY, False),
        (0.95, 100, 0.5, Verdict.COPY, False),
        (0.95, 96, 0.5, Verdict.CLOSE, False),
        (0.95, 80, 0.5, Verdict.ORIGINAL, False),
        (0.90, 100, 0.5, Verdict.CLOSE, False),
        (0.80, 100, 0.5, Verdict.ORIGINAL, False),
        (0.95, 100, 0.95, Verdict.CLOSE, True),
        (0.99, 100, 0.95, Verdict.COPY, False),
        (1.00, 100, 0.999, Verdict.CLOSE, True),
        (0.90, 50, 0.95, Verdict.ORIGINAL, True),
        (0.95, math.nan, math.nan, Verdict.COPY, False),
        (0.90, math.nan, math.nan, Verdict.CLOSE, False),
    ],
)
def test_the_verdict_on_a_second(
    similarity: float, percentile: float, elsewhere: float, said: Verdict, is_repeated: bool
) -> None:
    """Both likeness and rank must be high; what the recordings repeat must be outdone; alone, likeness must do."""
    assert by_likeness(similarity, percentile, elsewhere) == (said, is_repeated)


def test_near_copies_of_a_take_are_one() -> None:
    """The same, but each of the twenty is a little different: only the import knows that they are one take."""
    takes = []
    for number in range(20):
        codes = phrase(1).clone()
        codes[number::20, 1] = 1 + (codes[number::20, 1] + 1) % 63
        takes.append(Source(f"again-{number}.wav", 0.0, False, codes, take=7))
    planted = model_of([phrase(seed) for seed in range(2, 10)], [])
    planted.sources = (*takes, *planted.sources)
    again = phrase(1)[20:220].clone()
    again[::7, 1] = 1 + (again[::7, 1] + 2) % 63  # and so is the piece: no run of codes gives it away
    found = OriginalityJudge(planted).judge(*heard(planted, again))
    assert found.share(Verdict.COPY) > 0.7
    assert {second.recording.split("-")[0] for second in found.seconds} == {"again"}


def test_where_everything_repeats_likeness_is_no_copy() -> None:
    """Guards against calling a drone a copy: held-out drones are as like the others as it is."""
    drones = [torch.full((188, 2), 20 + number // 4) for number in range(6)]
    droning = model_of(drones[:4], drones[4:])
    found = OriginalityJudge(droning).judge(*heard(droning, drones[0][:94]))
    assert found.share(Verdict.COPY) == 0


def test_what_one_recording_repeats_is_common_property() -> None:
    """A bar that a recording holds six times: a piece made of it is no copy; one that holds what stands once is."""
    bar = phrase(1, 47)
    looped = model_of([torch.cat([bar] * 6), *(phrase(seed) for seed in range(2, 8))], [phrase(20), phrase(21)])
    judge = OriginalityJudge(looped)
    again = judge.judge(*heard(looped, torch.cat([bar] * 2)))
    assert again.share(Verdict.COPY) == 0
    assert all(second.is_repeated for second in again.seconds)
    assert again.percentile == 0
    assert "the recordings themselves repeat this" in again.summary()
    assert judge.judge(*heard(looped, phrase(3)[47:141])).share(Verdict.COPY) > 0.4


@pytest.mark.parametrize("positions", [90, 101])  # again after 256 and 279.5 frames
@pytest.mark.parametrize("is_cut", [False, True])
def test_a_bar_that_a_recording_holds_twice_is_common_property(positions: int, is_cut: bool) -> None:
    """Guards against a verdict that hangs on the tempo, or on whether something between the two places was held out."""
    bar = phrase(1, positions)
    first = torch.cat([phrase(40, positions), bar, phrase(41, 15)])
    second = torch.cat([phrase(42, 15), bar, phrase(43, positions)])
    song = model_of([], [phrase(20, positions)])
    if is_cut:
        song.sources += tuple(
            Source("song.wav", at, False, codes, take=0) for at, codes in ((0.0, first), (9.0, second))
        )
    else:
        song.sources += (Source("song.wav", 0.0, False, torch.cat([first, second]), take=0),)
    judge = OriginalityJudge(song)
    assert judge.judge(*heard(song, bar)).share(Verdict.COPY) == 0
    assert judge.judge(*heard(song, first[:positions])).share(Verdict.COPY) == 1


def test_codes_recited_one_for_one_are_a_copy_even_of_a_drone() -> None:
    """Guards against letting off what *sounds* like common property: its codes stand in one recording only; and against
    naming another one, which merely sounds as much like it."""
    draw = np.random.default_rng(0)
    hum = [torch.tensor([[20, int(level)] for level in draw.integers(40, 44, 282)]) for _ in range(5)]
    humming = model_of([*hum, phrase(1)], [phrase(20), phrase(21)])
    judge = OriginalityJudge(humming)
    recited = judge.judge(*heard(humming, hum[2][30:220]))
    assert recited.share(Verdict.COPY) > 0.7
    assert recited.runs[1].recording == "take-2.wav"
    assert recited.runs[1].percentile == 100
    for number, second in enumerate(recited.seconds[:4]):  # each in its place in the recording
        assert (second.recording, second.semitones, second.stretch) == ("take-2.wav", 0, 1)
        assert second.at_seconds == pytest.approx(30 * HOP / RATE + number, abs=HOP / RATE)
    assert "nearest take-2.wav at " in recited.summary()
    alike = torch.tensor([[20, int(level)] for level in draw.integers(40, 44, 190)])
    assert judge.judge(*heard(humming, alike)).share(Verdict.COPY) == 0


def test_with_little_held_out_the_others_help_out(model: Model, judge: OriginalityJudge) -> None:
    assert not judge.reference.is_widened
    assert len(judge.reference.similarity) == 36
    few = OriginalityJudge(model_of([phrase(seed) for seed in range(6)], [phrase(20, 94)])).reference
    assert few.is_widened
    assert len(few.similarity) == 2 + 36
    assert few.similarity.max() < 0.99, "no recording is compared with itself"
    assert few.runs[1].max() < 1


def test_one_recording_alone_is_judged_by_likeness_alone() -> None:
    alone = model_of([phrase(1)], [])
    judge = OriginalityJudge(alone)
    assert len(judge.reference.similarity) == 0
    found = judge.judge(*heard(alone, phrase(1)[:141]))
    assert found.share(Verdict.COPY) == 1
    assert found.percentile == 100, "there is nothing to rank it by, and a limit must not take that for original"
    assert judge.judge(*heard(alone, phrase(60))).share(Verdict.COPY) == 0


@pytest.mark.parametrize("positions", [12, 24, 40])
def test_a_copy_shorter_than_a_second_is_found_out(model: Model, judge: OriginalityJudge, positions: int) -> None:
    """Guards against a short passage that is called original because silence follows it, or a copy of a recording that merely
    looks like it once silence follows."""
    copied = judge.judge(*heard(model, phrase(2)[100 : 100 + positions]))
    assert copied.share(Verdict.COPY) == 1
    (second,) = copied.seconds
    assert second.recording == "take-2.wav"
    assert second.at_seconds == pytest.approx(100 * HOP / RATE, abs=HOP / RATE)
    assert copied.summary().startswith("100 % copy; nearest take-2.wav at 2.1 s")
    assert judge.judge(*heard(model, phrase(70)[100 : 100 + positions])).share(Verdict.COPY) == 0


def test_recordings_shorter_than_a_second_played_whole_are_a_copy() -> None:
    """Guards against a piece that is a sample pack's strokes one after the other, and called original: no run of theirs lasts a
    second, and silence follows their pictures. Neither what shares no more than their attacks is a copy, nor what shares a
    short stretch of a long recording."""
    strokes = [phrase(seed, 28) for seed in range(300, 312)]
    pack = model_of(strokes, [phrase(330, 28)])
    judge = OriginalityJudge(pack)
    assert judge.judge(*heard(pack, torch.cat(strokes[:8]))).share(Verdict.COPY) == 1
    attacks = [torch.cat([stroke[:11], phrase(400 + number, 17)]) for number, stroke in enumerate(strokes[:8])]
    assert judge.judge(*heard(pack, torch.cat(attacks))).share(Verdict.COPY) == 0
    pack.sources += (Source("song.wav", 0.0, True, phrase(340)), Source("song.wav", 7.0, False, phrase(341, 28)))
    assert (
        OriginalityJudge(pack).judge(*heard(pack, torch.cat([phrase(341, 28), phrase(342, 19)]))).share(Verdict.COPY)
        == 0
    )


def test_a_loop_is_judged_by_its_own_codes(model: Model, judge: OriginalityJudge) -> None:
    """Guards against a copy that the loop was cut after, and that is said to be in it."""
    piece = Generation(torch.cat([phrase(2)[:94], phrase(80, 188)]), 282 * HOP / RATE, 0, Sampling(), RATE)
    after = Loop(piece, 94 * HOP + 500, 2 * RATE, 0.0)
    codes, _ = after.new_sound(model)
    assert torch.equal(codes, piece.codes[94:189])
    assert judge.judge(*after.new_sound(model)).share(Verdict.COPY) == 0
    assert judge.judge(*Loop(piece, 0, 2 * RATE, 0.0).new_sound(model)).share(Verdict.COPY) == 1


def test_silence_is_no_verdict(model: Model, judge: OriginalityJudge) -> None:
    silent = torch.zeros(141, 2, dtype=torch.int64)
    found = judge.judge(*heard(model, silent))
    assert {second.verdict for second in found.seconds} == {Verdict.SILENCE}
    assert found.share(Verdict.COPY) == 0
    assert found.percentile == 0
    assert found.summary() == "silent"


def test_a_long_piece_is_judged_to_its_end(
    model: Model, judge: OriginalityJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a second that is lost, or shifted, where one minute meets the next."""
    monkeypatch.setattr("distill.originality.judge._MINUTE", 2 * RATE)
    codes = torch.cat([phrase(50, 94), phrase(2)[94:235], phrase(51, 94)])
    found = judge.judge(*heard(model, codes))
    assert len(found.seconds) == 7
    assert found.seconds[3].recording == "take-2.wav"
    assert found.seconds[3].at_seconds == pytest.approx(3.0, abs=0.2)


def test_a_long_block_is_judged_a_minute_at_a_time(
    model: Model, judge: OriginalityJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against memory that grows with the length of what comes in one block."""
    monkeypatch.setattr("distill.originality.judge._MINUTE", 2 * RATE)
    seconds: list[float] = []
    nearest = Passages.nearest

    def counted(passages: Passages, blocks: list[np.ndarray]) -> Nearest:
        seconds.extend(block.shape[1] / RATE for block in blocks)
        return nearest(passages, blocks)

    monkeypatch.setattr(Passages, "nearest", counted)
    codes = phrase(50)
    found = judge.judge(codes, [np.concatenate(list(heard(model, codes)[1]), axis=1)])
    assert seconds == [2, 2, pytest.approx(2, abs=0.1)]
    assert len(found.seconds) == 6


def test_less_than_a_second_after_a_whole_minute_is_judged(
    model: Model, judge: OriginalityJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against the end of a long piece that is left out: a copy in it would go unnoticed."""
    monkeypatch.setattr("distill.originality.judge._MINUTE", 2 * RATE)
    codes = torch.cat([phrase(50, 84), phrase(2)[94:141]])  # 1.8 s, and 1 s of a recording
    last = judge.judge(*heard(model, codes)).seconds[2]
    assert (last.recording, last.verdict) == ("take-2.wav", Verdict.COPY)


def draw_until_original(
    draw: Callable[[range], list[Tensor]], model: Model, judge: OriginalityJudge, seeds: range, limit: float
) -> list[Drawn[Tensor]]:
    def excesses(_: Tensor, originality: Originality) -> tuple[float]:
        return (max(0.0, originality.percentile - limit),)

    return draw_until_fine(draw, lambda codes: judge.judge(*heard(model, codes)), excesses, seeds)


def test_drawing_again_until_it_is_original(model: Model, judge: OriginalityJudge) -> None:
    tried: list[range] = []

    def draw(seeds: range) -> list[Tensor]:
        tried.append(seeds)
        return [phrase(1) if seed < 12 else phrase(seed) for seed in seeds]

    first, second = draw_until_original(draw, model, judge, range(10, 12), 95)
    assert tried[:2] == [range(10, 12), range(12, 14)], "both at once, and no seed twice"
    assert first.together in tried
    assert first.is_fine
    assert first.originality.percentile <= 95
    assert second.is_fine


def test_when_it_cannot_be_original_the_least_alike_is_kept(model: Model, judge: OriginalityJudge) -> None:
    tried: list[range] = []

    def draw(seeds: range) -> list[Tensor]:
        tried.append(seeds)
        return [phrase(11) if len(tried) == 3 else phrase(3)]

    (kept,) = draw_until_original(draw, model, judge, range(10, 11), -1)
    assert not kept.is_fine
    assert len(tried) == MOST_TRIES
    assert torch.equal(kept.take, phrase(11)), "the others are a recording, code for code"


@pytest.mark.parametrize("rest", [470, 188])
def test_one_jingle_does_not_switch_copy_detection_off(rest: int) -> None:
    """Guards against a maximum over data that may hold one bad item: episodes of a show that share a jingle of 4 s, each with
    10 s of its own, or with 4 s, of which the jingle is more than half with the seconds it reaches into."""
    jingle = phrase(1, 188)
    episodes = [torch.cat([jingle, phrase(seed, rest)]) for seed in range(30, 35)]
    show = model_of(episodes[:4], episodes[4:])
    judge = OriginalityJudge(show)
    assert rest < 470 or judge.reference.natural_run(2) < 1
    assert judge.reference.percentile(0.9) > 95
    verbatim = judge.judge(*heard(show, torch.cat([phrase(90, 94), episodes[2][-188:], phrase(91, 94)])))
    assert [second.verdict for second in verbatim.seconds[2:6]].count(Verdict.COPY) >= 3
    assert judge.judge(*heard(show, phrase(92))).share(Verdict.COPY) == 0


def test_many_recordings_do_not_switch_copy_detection_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against many recordings of which one second each is compared, or only how they begin: a jingle of 5 s in all of
    them was their nature, and no copy was found."""
    monkeypatch.setattr("distill.originality.judge.MOST_REFERENCES", 24)
    jingle = phrase(1, 235)
    episodes = [torch.cat([jingle, phrase(seed, 470)]) for seed in range(30, 45)]
    show = model_of(episodes[:2], episodes[2:])
    judge = OriginalityJudge(show)
    assert len(judge.reference.similarity) < 40
    assert judge.reference.natural_run(2) < 1
    again = episodes[1][-282:].clone()
    again[::7, 1] = 1 + (again[::7, 1] + 2) % 63  # no run of codes gives it away
    assert judge.judge(*heard(show, again)).share(Verdict.COPY) > 0.7
    assert judge.judge(*heard(show, phrase(92))).share(Verdict.COPY) == 0


@pytest.mark.parametrize(
    ("shared", "own", "rest", "compared"), [(141, 234, 0, 8), (141, 281, 0, 5), (234, 141, 282, 8)]
)
def test_what_is_shared_is_left_out_if_five_seconds_remain(shared: int, own: int, rest: int, compared: int) -> None:
    """Guards against a comparison with four seconds, and against silence that makes what is shared the lesser part."""
    jingle = phrase(1, shared)
    aside = torch.cat([jingle, phrase(20, own), torch.zeros(rest, 2, dtype=torch.int64)])
    reference = OriginalityJudge(model_of([torch.cat([jingle, phrase(21)])], [aside])).reference
    assert len(reference.similarity) == compared
    assert (reference.natural_run(2) > 1) == (rest > 0)


def test_where_recordings_share_nearly_everything_that_is_their_nature() -> None:
    """Guards against cleaning everything away: bars of one sequence in every recording, held-out ones too."""
    bars = [phrase(seed, 94) for seed in range(4)]
    songs = [torch.cat([bars[index] for index in order]) for order in ((0, 1, 2), (2, 3, 0), (1, 3, 2), (3, 0, 1))]
    model = model_of(songs[:3], songs[3:])
    assert OriginalityJudge(model).reference.natural_run(2) > 1


def test_a_second_judge_of_a_model_takes_what_the_first_found_out() -> None:
    """Guards against every command decoding all recordings again before it says a word."""
    planted = model_of([phrase(seed) for seed in range(3)], [phrase(20)])
    planted.header = planted.header.model_copy(update={"digest": "c" * 64})
    first = OriginalityJudge(planted)
    piece = torch.cat([phrase(50, 94), phrase(2)[47:188]])
    found = first.judge(*heard(planted, piece))
    sound = list(heard(planted, piece)[1])
    planted.codec.decode = None
    again = OriginalityJudge(planted).judge(piece, sound)
    assert repr(again) == repr(found)
