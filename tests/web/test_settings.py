"""What a piece was asked for comes back into the form as it was.

The last two need Debian's chromium (``apt-get install chromium``); ``-m "not browser"`` leaves them out.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from distill.files.atomic import make_folder
from distill.making.choice import Choice
from distill.making.drawing import Sampling
from distill.making.loops import loop_samples
from distill.making.request import Request
from distill.making.voices import VoiceSettings
from distill.originality.dial import Dial
from distill.web import places
from distill.web.routes import generate
from distill.web.settings import Settings, as_asked


def asked(originality: float, bpm: float | None = None) -> dict[str, Any]:
    """What the library notes of a piece that was asked for like this."""
    dial = Dial.at(originality)
    voice = VoiceSettings(Choice.CODEC, dial.longest_seconds, dial.join_factor)
    request = Request("audio", Sampling(top_p=dial.top_p), voice=voice, max_similarity=dial.max_similarity)
    if bpm is not None:
        request = Request("loop", request.sampling, samples=loop_samples(0, 8, bpm, 48_000), beats=8, voice=voice)
    return request.noted(None, 7, 2)


@pytest.mark.parametrize("originality", [place / 20 for place in range(21)])
def test_the_dial_is_where_it_was(originality: float) -> None:
    settings = as_asked(asked(originality), 9)
    assert (settings.originality, settings.top_p, settings.max_similarity) == (originality, None, None)
    assert (settings.seed, settings.count) == (7, 2)


@pytest.mark.parametrize("bpm", [20, 59.5, 124, 133.33, 400])
def test_a_loop_keeps_its_tempo(bpm: float) -> None:
    """Guards against every loop coming back at 120 BPM."""
    settings = as_asked(asked(0.5, bpm), 0)
    assert (settings.beats, settings.bpm) == (8, bpm)


def test_a_passage_is_asked_for_as_exactly_as_it_was() -> None:
    """Guards against an end that is rounded past that of the recording, which is then refused."""
    (make_folder(places.uploads()) / "a.wav").write_bytes(b"RIFF")
    words = generate._options(Settings(kind="infill", given="upload:a.wav", begin=0.123456, end=9.98765))
    assert [words[words.index(edge) + 1] for edge in ("--from", "--to")] == ["0.123456", "9.98765"]


def test_what_earlier_versions_noted_is_as_usual() -> None:
    settings = as_asked({"kind": "audio", "seconds": 0.2}, 3)
    assert (settings.seconds, settings.seed, settings.originality, settings.temperature) == (0.2, 3, 0.5, [1.0])


def test_presets_that_are_kept_at_once_are_all_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against the preset of one tab that is lost as another tab keeps its own at that moment."""
    write = generate.write_json

    def slowly(*words: Any) -> None:
        time.sleep(0.02)
        write(*words)

    monkeypatch.setattr(generate, "write_json", slowly)
    names = ["a", "b", "c", "d"]
    with ThreadPoolExecutor(len(names)) as tabs:
        list(tabs.map(lambda name: generate.keep_preset(generate.Preset(name=name, settings=Settings())), names))
        assert [one.name for one in generate.presets()] == names
        list(tabs.map(generate.forget_preset, names[1:]))
    assert [one.name for one in generate.presets()] == ["a"]


@pytest.fixture
def use(page: Page, note_piece: Callable[..., str]) -> Callable[..., None]:
    """Puts the settings of a piece that was asked for like this into the form."""

    def put(**request: Any) -> None:
        page.goto(f"/#/generate/{note_piece(**request)}")
        page.get_by_label("More to do with tiny-0").click()
        page.get_by_role("button", name="Use these settings").click()
        expect(page.get_by_text("Its settings and seed are in the form")).to_be_visible()

    return put


@pytest.mark.browser
def test_a_loop_comes_back_into_the_form(page: Page, use: Callable[..., None]) -> None:
    use(kind="loop", seconds=0.0, samples=185_806, beats=8, max_similarity=95.0)
    expect(page.locator(".how")).to_contain_text("loop, 8 beats at 124 BPM")
    expect(page.locator(".how")).to_contain_text("similarity limit 95 %")
    expect(page.get_by_label("Tempo, BPM")).to_have_value("124")
    expect(page.get_by_label("Similarity limit, %")).to_have_value("95")


@pytest.mark.browser
def test_a_redrawn_passage_comes_back_with_its_recording(
    page: Page, use: Callable[..., None], small_corpus: Path
) -> None:
    one = places.add_collection(small_corpus)
    use(kind="infill", given=str(small_corpus / "take-1.wav"), begin=0.2, end=0.5)
    begin, end, make = page.get_by_label("From, s"), page.get_by_label("To, s"), page.locator("[data-test=make]")
    expect(begin).to_have_value("0.2")
    expect(end).to_have_value("0.5")
    expect(page.get_by_label("Recording", exact=True)).to_have_value(f"recording:{one.id}/take-1.wav")
    expect(make).to_be_enabled()
    # Guards against "1.00" where 1 was typed over what was there, and 9.125 on its way; and against texts compared as texts.
    begin.select_text()
    begin.press_sequentially("9.125")
    expect(begin).to_have_value("9.125")
    expect(make).to_be_disabled()
    end.fill("10")
    page.route("**/api/generate", lambda route: route.fulfill(json={"state": "waiting"}))
    with page.expect_request("**/api/generate") as request:
        make.click()
    settings = request.value.post_data_json["settings"]
    assert (settings["begin"], settings["end"]) == (9.125, 10)
    places.forget_collection(one)
    page.reload()
    page.get_by_label("More to do with tiny-0").click()
    page.get_by_role("button", name="Use these settings").click()
    expect(page.get_by_text("take-1.wav is not where it was: choose it again")).to_be_visible()
