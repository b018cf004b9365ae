"""Two voices: which one a person gets, what is told of it, and what each remembers."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from distill.errors import AudioFileError, SettingError
from distill.making import voices
from distill.making.choice import Choice
from distill.making.grains import JOIN_COST, Bank, Stretch
from distill.making.joins import ROOM
from distill.making.recordings import Found
from distill.making.voices import CodecVoice, RecordingsVoice, VoiceSettings, join_cost_of, voice_of
from distill.models import Model
from distill.training import Notice

RATE, HOP = 48_000, 1024


@pytest.fixture(scope="module")
def bank() -> Bank:
    """Two seconds of noise, each position with codes of its own."""
    draw = torch.Generator().manual_seed(0)
    stretches = []
    for number in range(2):
        audio = 0.1 * torch.randn(1, 94 * HOP, generator=draw).numpy()
        codes = torch.randint(0, 16, (94, 2), generator=draw)
        stretches.append(Stretch(f"{number}.wav", audio, 0, codes))
    return Bank(torch.randn(2, 16, 4, generator=draw), stretches, HOP)


def drawn(positions: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, 16, (positions, 2), generator=torch.Generator().manual_seed(seed))


def learned(bank: Bank, **header: Any) -> Model:
    """What a voice asks of a model."""
    quantizer = SimpleNamespace(codebooks=bank._codebooks)
    codec = SimpleNamespace(quantizer=quantizer, channels=1, sample_rate=RATE, hop=HOP)
    said = SimpleNamespace(**{"name": "mine", "nearer_voice": "codec", "voices": {}, "bands": []} | header)
    return cast(Model, SimpleNamespace(codec=codec, header=said))


def given(
    monkeypatch: pytest.MonkeyPatch, found: Found, model: Model, asked: VoiceSettings
) -> tuple[RecordingsVoice | None, str]:
    """The voice where these recordings are found, and what was told."""
    told: list[str] = []

    def tell(event: object) -> None:
        assert isinstance(event, Notice)
        assert event.is_warning
        told.append(event.text)

    monkeypatch.setattr(voices, "find_recordings", lambda *_, **__: found)
    return voice_of(model, asked, tell), " ".join(told)


@pytest.mark.parametrize(
    ("choice", "nearer", "by_recordings"),
    [
        (Choice.AUTO, "codec", False),
        (Choice.AUTO, "recordings", True),
        (Choice.CODEC, "recordings", False),
        (Choice.RECORDINGS, "codec", True),
    ],
)
def test_which_voice_renders(
    monkeypatch: pytest.MonkeyPatch, bank: Bank, choice: Choice, nearer: str, by_recordings: bool
) -> None:
    found = Found(bank.stretches, ())
    voice, told = given(monkeypatch, found, learned(bank, nearer_voice=nearer), VoiceSettings(choice))
    assert (voice is not None) == by_recordings
    assert told == ""


@pytest.mark.parametrize("choice", [Choice.AUTO, Choice.CODEC])
def test_what_does_nothing_for_the_codecs_voice_is_told(
    monkeypatch: pytest.MonkeyPatch, bank: Bank, choice: Choice
) -> None:
    """Guards against an edit list that is asked for, never written and not spoken of."""
    asked = VoiceSettings(choice, recordings=Path("mine"), edit_list=choice == Choice.AUTO)
    voice, told = given(monkeypatch, Found((), ()), learned(bank), asked)
    assert voice is None
    assert "--recordings has no effect" in told
    assert ("there is no edit list; --voice recordings writes one" in told) == asked.edit_list
    with pytest.raises(SettingError, match="no grains to list"):
        given(monkeypatch, Found((), ()), learned(bank), VoiceSettings(Choice.CODEC, edit_list=True))


def test_where_no_recording_is_left(monkeypatch: pytest.MonkeyPatch, bank: Bank) -> None:
    """The codec renders, unless the recordings were asked for by name."""
    nearer = learned(bank, nearer_voice="recordings")
    voice, told = given(monkeypatch, Found((), ("0.wav",)), nearer, VoiceSettings())
    assert voice is None
    assert "None of the recordings that 'mine' learned from" in told
    assert "The codec's voice is used instead" in told
    assert "edit list" not in told
    with pytest.raises(AudioFileError, match="'mine' learned from"):
        given(monkeypatch, Found((), ("0.wav",)), nearer, VoiceSettings(Choice.RECORDINGS))


def test_an_edit_list_that_there_cannot_be_is_told(monkeypatch: pytest.MonkeyPatch, bank: Bank) -> None:
    """Guards against a project that was asked for, never written and not spoken of, as no recording is there."""
    asked = VoiceSettings(edit_list=True)
    _, told = given(monkeypatch, Found((), ("0.wav",)), learned(bank, nearer_voice="recordings"), asked)
    assert "The codec's voice is used instead, so there is no edit list;" in told


def test_those_that_are_missing_are_told_and_the_others_are_used(monkeypatch: pytest.MonkeyPatch, bank: Bank) -> None:
    asked = VoiceSettings(Choice.RECORDINGS)
    voice, told = given(monkeypatch, Found(bank.stretches[:1], ("1.wav",)), learned(bank), asked)
    assert voice is not None
    assert [one.name for one in voice.bank.stretches] == ["0.wav"]
    assert told.startswith("1.wav is gone or changed")


def test_an_edit_list_of_recordings_that_were_not_found_as_files_is_told(
    monkeypatch: pytest.MonkeyPatch, bank: Bank
) -> None:
    """Guards against a Reaper project of empty items, without a word, where the sound is in the cache or in the model."""
    asked = VoiceSettings(Choice.RECORDINGS, edit_list=True)
    _, told = given(monkeypatch, Found(bank.stretches, ()), learned(bank), asked)
    assert told.startswith(
        "No file of 0.wav and 1.wav was found, so the grains from there are silent in the Reaper project"
    )
    there = tuple(replace(one, path=Path(one.name)) for one in bank.stretches)
    assert given(monkeypatch, Found(there, ()), learned(bank), asked)[1] == ""


def test_joins_cost_what_was_measured_for_the_model(monkeypatch: pytest.MonkeyPatch, bank: Bank) -> None:
    """Guards against a measured figure that nothing reads."""
    codes = drawn(120)
    counts = []
    for figures in ({"join_cost": 0.0}, {}, {"join_cost": JOIN_COST}):
        model = learned(bank, voices=figures)
        voice, _ = given(monkeypatch, Found(bank.stretches, ()), model, VoiceSettings(Choice.RECORDINGS, 2.0))
        assert voice is not None
        counts.append(len(voice.grains(codes)))
    assert counts[0] > 2 * counts[1] == 2 * counts[2]
    dear, _ = given(monkeypatch, Found(bank.stretches, ()), model, VoiceSettings(Choice.RECORDINGS, 2.0))
    cheap, _ = given(
        monkeypatch, Found(bank.stretches, ()), model, VoiceSettings(Choice.RECORDINGS, 2.0, join_factor=0.1)
    )
    assert dear is not None
    assert cheap is not None
    assert len(cheap.grains(codes)) > len(dear.grains(codes)), "the dial's part"


@pytest.mark.parametrize(
    ("said", "cost"),
    [("cheap", JOIN_COST), ("nan", JOIN_COST), (float("nan"), JOIN_COST), (-1e300, 0.0), (1e300, 1e3), (7, 7.0)],
)
def test_a_measured_cost_that_is_none_is_not_believed(said: object, cost: float, bank: Bank) -> None:
    """Guards against a stranger's file whose grains end as a fault in Distill: its cost is text, or no number."""
    assert join_cost_of(learned(bank, voices={"nearer": "recordings", "join_cost": said})) == cost
    assert RecordingsVoice(bank, 1, RATE, 1.0, cost).grains(drawn(60))


@pytest.mark.parametrize("seconds", [0.001, 0.1, 0.5, 1.0])
def test_a_grain_is_no_longer_than_was_asked_and_hardly_shorter(bank: Bank, seconds: float) -> None:
    """With its fades; where so little is asked for that nothing is left between them, it is one position."""
    voice = RecordingsVoice(bank, 1, RATE, seconds)
    room = seconds * RATE - 2 * ROOM
    assert voice.longest_positions == max(1, room // HOP)
    codes = bank.stretches[0].codes
    placed = voice.placed(codes)
    assert max(one.positions for one in voice.grains(codes)) == voice.longest_positions
    assert len(placed) == len(voice.grains(codes))
    if room > HOP:
        assert max(one.length for one in placed) <= seconds * RATE
    blocks = list(voice.blocks(codes))
    assert {block.dtype for block in blocks} == {np.dtype(np.float32)}
    assert sum(block.shape[1] for block in blocks) == len(codes) * HOP


def test_the_grains_of_the_last_pieces_are_remembered(monkeypatch: pytest.MonkeyPatch, bank: Bank) -> None:
    """Guards against a choice that is made three times for one piece, and against a memory that grows for ever."""
    chosen: list[int] = []
    choose = voices.choose

    def counted(*given: Any, **more: Any) -> Any:
        chosen.append(1)
        return choose(*given, **more)

    monkeypatch.setattr(voices, "choose", counted)
    monkeypatch.setattr(voices, "_REMEMBERED", 2)
    voice = RecordingsVoice(bank, 1, RATE, 1.0)
    first, second, third = (bank.stretches[0].codes[start : start + 20] for start in (0, 30, 60))
    was = voice.grains(first)
    voice.grains(second)
    assert voice.grains(first.clone()) == was
    assert voice.grains(second) != was
    assert len(chosen) == 2
    voice.grains(third)
    voice.grains(second)
    assert len(chosen) == 3
    assert voice.grains(first) == was
    assert len(chosen) == 4, "the oldest was forgotten"


def test_codes_that_are_looked_up_in_parts_are_rendered_as_one(monkeypatch: pytest.MonkeyPatch, bank: Bank) -> None:
    codes = drawn(40)
    whole = RecordingsVoice(bank, 1, RATE, 1.0).grains(codes)
    monkeypatch.setattr(voices, "_PART", 7)
    assert RecordingsVoice(bank, 1, RATE, 1.0).grains(codes) == whole


def test_the_codec_keeps_the_newest_minute_of_what_it_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a long piece that fills the memory, one that is cut where the memory is full, and old pieces that keep out
    all that come after them."""
    decoded: list[int] = []

    def decode(_codec: object, codes: torch.Tensor, _device: object) -> Any:
        decoded.append(len(codes))
        return iter([codes[:, :1].T.numpy().astype(np.float32)])

    monkeypatch.setattr(voices, "decode_chunks", decode)
    voice = CodecVoice(cast(Model, SimpleNamespace(codec=SimpleNamespace(frame_rate=0.5), device="cpu")))
    first, filling, newest, too_long = drawn(10), drawn(20, 2), drawn(1, 3), drawn(31, 4)

    def render(*pieces: torch.Tensor) -> list[int]:
        """How many positions of each piece had to be decoded."""
        decoded.clear()
        for codes in pieces:
            (block,) = voice.blocks(codes)
            assert block.tolist() == [codes[:, 0].tolist()]
        return decoded.copy()

    assert render(first, first, filling, filling) == [10, 20], "60 seconds at two seconds a position"
    assert render(first, newest) == [1]
    assert render(newest, filling) == [], "the oldest made room"
    assert render(first, first, filling, newest) == [10, 10], "what comes back does not push out what is still to come"
    assert render(too_long, too_long, filling) == [31, 31]
