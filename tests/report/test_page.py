"""The report: what it shows, what it leaves out, and that it never breaks, leaks or half-writes."""

import base64
import hashlib
import io
import math
import os
import re
import time
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.image
import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from distill.audio.rate import SAMPLE_RATE
from distill.durations import duration
from distill.errors import OutputError
from distill.models.health import LevelHealth
from distill.originality.verdict import Originality, Second
from distill.originality.verdict import Verdict as Said
from distill.recordings.verdicts import FileReport, FileVerdict
from distill.report import NewAudio, Reconstruction, RunReport, listening, write_report
from distill.report.contents import QuotedPlace
from distill.report.learning import learning_section
from distill.report.sound import flac_bytes, mel_picture, mel_position, picture_png, waveform_path
from distill.training.metrics import PriorChosenEvent, PriorEpochMetrics, TrainingEvent, VQEpochMetrics, VQStepMetrics

_VOID = {"meta", "img", "br", "link"}
HOSTILE = "a<script>alert(1)</script>\"'&\n\u202e\udcff.wav"


class Page(HTMLParser):
    """A page taken apart: elements in order, the text between them, and tags that do not match."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.mismatched: list[str] = []
        self._open: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.mismatched.append(tag)

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] not in ("style", "script"):
            self.words += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for kind, attributes in self.elements if kind == tag]

    @property
    def sections(self) -> list[str]:
        return [attributes["id"] for attributes in self.all("section")]


def tone(seconds: float, hertz: float = 440.0, channels: int = 1) -> npt.NDArray[np.float32]:
    wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE)
    return np.tile(wave.astype(np.float32), (channels, 1))


def codec_epoch(epoch: int, loss: float, val_loss: float, warning: str = "") -> VQEpochMetrics:
    return VQEpochMetrics(epoch, 9, loss, val_loss, val_loss, (LevelHealth(0, 1.0, 4.0, 0),), warning, 1.0, 1e-3)


def codec_step(epoch: int, step: int, loss: float, distance: float) -> VQStepMetrics:
    return VQStepMetrics(epoch, step, 90, loss, distance, 0.1, 1e-3, 0.1, 4.0, 0.5, 1.0)


def prior_epoch(epoch: int, loss: float, val_loss: float, message: str = "") -> PriorEpochMetrics:
    perplexity = math.exp(min(val_loss, 20.0))
    return PriorEpochMetrics(epoch, 9, loss, val_loss, perplexity, perplexity, bool(message), message, 1.0, 1e-3)


def a_file(name: str, verdict: FileVerdict = FileVerdict.USED, reason: str = "", fix: str = "") -> FileReport:
    return FileReport(name, verdict, reason, fix, 3.5, 44_100, 2, -1.5, 0.1)


EVENTS: list[TrainingEvent] = [
    *(codec_epoch(epoch, 5 / epoch, 6 / epoch) for epoch in range(1, 6)),
    *(prior_epoch(epoch, 5 / epoch, 2 + abs(epoch - 3)) for epoch in range(1, 6)),
]
FULL = RunReport(
    title="Kitchen",
    settings={"codebook_size": ("64", "auto"), "minutes": ("20", "set")},
    files=[
        a_file("one.wav"),
        a_file("two.wav"),
        a_file("bad.wav", FileVerdict.UNREADABLE, "It is text.", "Leave it out."),
    ],
    split="One of two recordings is held out.",
    held_out=frozenset({"two.wav"}),
    events=EVENTS,
    code_counts=np.array([[4, 4, 4, 4], [0, 9, 0, 0]]),
    level_names=("Structure", "Detail"),
    bitrate=750.0,
    memorization_threshold=2.0,
    reconstructions=[Reconstruction("two.wav", tone(0.4, channels=2), tone(0.41, channels=2), 1.234)],
    new_audio=[NewAudio("First light", None, tone(0.5), 7, "temperature 0.9")],
    facts={"Device": "CPU"},
)
EMPTY = RunReport(
    title="Nothing yet",
    settings={},
    files=[],
    split="",
    held_out=frozenset(),
    events=[],
    code_counts=np.zeros((0, 0), dtype=np.int64),
    level_names=(),
    bitrate=0.0,
    memorization_threshold=None,
    reconstructions=[],
    new_audio=[],
    facts={},
)


@pytest.fixture(scope="module")
def full_page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return page_of(tmp_path_factory.mktemp("full"), FULL)


def page_of(tmp_path: Path, report: RunReport) -> Page:
    return Page(write_report(tmp_path / "report.html", report))


def test_the_page_is_whole_and_asks_for_nothing_outside(full_page: Page) -> None:
    """Guards against a page that needs a network or a neighbour file, and against unbalanced HTML."""
    assert not full_page.mismatched
    assert full_page.sections == [
        "listen",
        "reconstructions",
        "learning",
        "codebooks",
        "recordings",
        "settings",
        "facts",
    ]
    ids = [attributes["id"] for _, attributes in full_page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert "://" not in full_page.source
    for _, attributes in full_page.elements:
        for key in ("src", "href"):
            if key in attributes:
                assert attributes[key].startswith("data:") or attributes[key].removeprefix("#") in ids


def test_every_sound_and_picture_can_be_opened(full_page: Page) -> None:
    """Guards against data addresses that hold something no browser can show or play."""
    lengths = []
    for player in full_page.all("audio"):
        content = base64.b64decode(player["src"].removeprefix("data:audio/flac;base64,"))
        info = soundfile.info(io.BytesIO(content))
        assert (info.format, info.subtype, info.samplerate) == ("FLAC", "PCM_16", SAMPLE_RATE)
        sound, _ = soundfile.read(io.BytesIO(content))
        lengths.append((len(sound), sound.ndim))
    assert lengths == [(24_000, 1), (19_200, 2), (19_680, 2)]
    pictures = [
        matplotlib.image.imread(io.BytesIO(base64.b64decode(image["src"].split(",")[1])))
        for image in full_page.all("img")
    ]
    assert len(pictures) == 3 + 2
    assert all(picture.size > 0 for picture in pictures)


def test_names_cannot_become_markup(tmp_path: Path) -> None:
    """Guards against a file name that runs as a script, breaks an attribute, or cannot be encoded at all."""
    hostile = replace(
        FULL,
        title=HOSTILE,
        settings={HOSTILE: (HOSTILE, HOSTILE)},
        files=[FileReport(HOSTILE, FileVerdict.DUPLICATE, HOSTILE, HOSTILE, 1, 48_000, 1, -1, 0, "other" + HOSTILE)],
        split=HOSTILE,
        held_out=frozenset({HOSTILE}),
        events=[*EVENTS, codec_epoch(6, 1, 1, HOSTILE), prior_epoch(6, 1, 1, HOSTILE)],
        level_names=(HOSTILE, HOSTILE),
        reconstructions=[Reconstruction(HOSTILE, tone(0.1), tone(0.1), 1.0)],
        new_audio=[NewAudio(HOSTILE, tmp_path / "new" / HOSTILE, tone(0.1), 1, HOSTILE)],
        facts={HOSTILE: HOSTILE},
    )
    page = page_of(tmp_path, hostile)
    assert not page.mismatched
    assert len(page.all("script")) == 1
    assert not any(key.startswith("on") for _, attributes in page.elements for key in attributes)
    # title, heading; setting x3; file's name, reason, fix; split; two warnings; levels; names, path; facts
    assert page.words.count("a<script>alert(1)</script>\"'&\n\N{REPLACEMENT CHARACTER}?") >= 18
    assert "\u202e" not in page.source, "it turns round what is read after it: exe.wav, and it is vaw.exe"


def test_only_our_own_script_may_run(full_page: Page) -> None:
    """Guards against a policy whose digest is not the script's, which silently loses the playhead."""
    script = re.search(r"<script>(.*)</script>", full_page.source, re.DOTALL)
    policy = next(
        meta["content"] for meta in full_page.all("meta") if "content" in meta and "script-src" in meta["content"]
    )
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_same_run_same_bytes_and_nothing_global_changes(
    tmp_path: Path, full_page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against dates, random ids, and figure settings that leak into or out of the caller's own plots."""
    monkeypatch.setitem(matplotlib.rcParams, "svg.hashsalt", "the caller's own")
    before = dict(matplotlib.rcParams)
    assert write_report(tmp_path / "again.html", FULL).read_text(encoding="utf-8") == full_page.source
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_keeps_the_old_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """Guards against half a page under the report's name, or a temporary left behind."""
    path = tmp_path / "report.html"
    path.write_text("the old one")

    def fail(_: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError if isinstance(error, OSError) else KeyboardInterrupt) as caught:
        write_report(path, EMPTY)
    if isinstance(caught.value, OutputError):
        assert "disk is full" in caught.value.what
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
    assert path.read_text() == "the old one"


def test_a_place_that_cannot_be_written_is_said_in_words(tmp_path: Path) -> None:
    """Guards against a bare OSError reaching the person, from a folder in the way or a file as a folder."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="folder"):
        write_report(tmp_path / "folder", EMPTY)
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"report\.html"):
        write_report(tmp_path / "file" / "report.html", EMPTY)


def test_missing_parts_leave_their_section_out(tmp_path: Path) -> None:
    """Guards against empty axes, empty tables and links to sections that are not there."""
    page = page_of(tmp_path, EMPTY)
    assert page.sections == []
    assert page.all("a") == []
    page = page_of(tmp_path, replace(EMPTY, events=[codec_step(1, 1, 3.0, 2.0), codec_epoch(1, 3.0, math.nan)]))
    assert page.sections == ["learning"]
    assert len(page.all("svg")) == 1
    assert "held out" not in page.words
    assert "Prior loss" not in page.words


@pytest.mark.parametrize(
    "losses",
    [[(2.0, 2.0)], [(1.0, 1.0)] * 3, [(0.0, 0.0)] * 2, [(math.inf, math.nan), (1.0, 1.0)], [(1.0, 25.0)] * 2],
)
def test_odd_curves_still_draw(tmp_path: Path, losses: list[tuple[float, float]]) -> None:
    """Guards against a run of one epoch, a flat line, a zero or a broken epoch stopping the report."""
    events: list[TrainingEvent] = [prior_epoch(1 + index, *pair) for index, pair in enumerate(losses)]
    page = page_of(tmp_path, replace(EMPTY, events=events, memorization_threshold=2.0))
    assert len(page.all("svg")) == 2
    assert not re.search(r"\b(nan|inf)\b", page.words)


def test_perplexity_shows_alarm_and_kept_epoch(tmp_path: Path) -> None:
    """Guards against an alarm line off the axes, and a kept epoch from before a resume."""
    again: list[TrainingEvent] = [
        prior_epoch(2, 2.0, 1.5),
        prior_epoch(2, 2.0, 4.0),
        prior_epoch(7, 1.0, math.nan),
    ]
    page = page_of(tmp_path, replace(EMPTY, events=[*EVENTS, *again], memorization_threshold=2.0))
    assert "memorisation alarm, below 2" in page.words
    heights = re.findall(r'd="M [\d.]+ (-?[\d.]+) \nL[^"]*"[^>]*stroke: var\(--warn\)', page.source)
    assert len(heights) == 1
    assert 0 < float(heights[0]) < 270
    label = re.search(r'y="([\d.]+)"[^>]*>memorisation alarm', page.source)
    assert label is not None
    assert float(label[1]) == pytest.approx(float(heights[0]) - 5)
    assert "kept: 7.39 in epoch 3" in page.words
    heard = PriorChosenEvent(epoch=2, val_perplexity=54.6, text="")
    page = page_of(tmp_path, replace(EMPTY, events=[*EVENTS, *again, heard], memorization_threshold=2.0))
    assert "kept: 54.6 in epoch 2" in page.words, "what is heard has the last word"
    page = page_of(tmp_path, replace(EMPTY, events=[heard, *EVENTS, *again], memorization_threshold=2.0))
    assert "kept: 7.39 in epoch 3" in page.words, "until training goes on"
    page = page_of(tmp_path, replace(EMPTY, events=EVENTS))
    assert "memorisation alarm" not in page.words


def test_curves_take_the_pages_colours(full_page: Page) -> None:
    """Guards against black text on a dark page: a colour no style sheet can reach."""
    drawn = "".join(re.findall(r'<svg class="curve".*?</svg>', full_page.source, re.DOTALL))
    assert "var(--soft)" in drawn
    assert not re.search(r"#[0-9a-f]{6}\b", drawn.replace("url(#", "").replace('href="#', ""))


def test_long_sounds_are_cut_and_say_so(tmp_path: Path) -> None:
    """Guards against a page of hundreds of megabytes, and against a cut nobody is told of."""
    quiet = np.zeros((1, 61 * SAMPLE_RATE), dtype=np.float32)
    report = replace(
        EMPTY,
        reconstructions=[Reconstruction("long.wav", quiet, quiet, math.nan)],
        new_audio=[NewAudio("Long", tmp_path / "new" / "long.flac", quiet, 7, "")],
    )
    page = page_of(tmp_path, report)
    seconds = [
        soundfile.info(io.BytesIO(base64.b64decode(player["src"].split(",")[1]))).duration
        for player in page.all("audio")
    ]
    assert seconds == [60, 20, 20]
    assert "The first 60 s of 1 min 1 s; the whole piece is in new/long.flac." in page.words
    assert "The first 20 s of 1 min 1 s." in page.words
    assert "nan" not in page.words


def test_a_sound_without_samples_is_named_not_dropped(tmp_path: Path) -> None:
    """Guards against an empty piece crashing the page or vanishing from it."""
    nothing = np.zeros((1, 0), dtype=np.float32)
    report = replace(
        EMPTY,
        reconstructions=[Reconstruction("none.wav", nothing, nothing, 0.0)],
        new_audio=[NewAudio("Silence itself", None, nothing, 1, "")],
    )
    page = page_of(tmp_path, report)
    assert page.all("audio") == []
    assert "Silence itself" in page.words
    assert "none.wav" in page.words


def test_what_is_said_of_a_piece_is_said_once_and_in_a_line_of_its_own(tmp_path: Path) -> None:
    """Guards against "Copy made of 24 grains", keys and words in one line, and a file's name under the same name."""
    second = Second(Said.ORIGINAL, 0.5, 10.0, "a.wav", 1.0, 0.0, 1.0)
    found, summary = Originality((second,), ()), "made of 24 grains of a.wav"
    pieces = [
        NewAudio("new-0.wav", tmp_path / folder / "new-0.wav", tone(1.0), 0, "", found, summary)
        for folder in (".", "new")
    ]
    page = page_of(tmp_path, replace(EMPTY, new_audio=pieces))
    assert not page.mismatched
    assert page.source.count('<p class="note">Made of 24 grains of a.wav</p>') == 2
    assert len(page.all("code")) == 1, "the place of the one that lies elsewhere"
    assert "new/new-0.wav" in page.words


def test_three_hundred_files_fold_away_and_odd_ones_stay_in_sight(tmp_path: Path) -> None:
    """Guards against a wall of rows that hides the one file something is wrong with."""
    files = [a_file(f"loop {index}.wav") for index in range(300)]
    files.insert(150, a_file("broken.wav", FileVerdict.UNREADABLE, "It is text.", "Leave it out."))
    page = page_of(tmp_path, replace(EMPTY, new_audio=FULL.new_audio, files=files, held_out=frozenset({"loop 3.wav"})))
    assert len(page.all("tr")) == 301 + 2
    assert ["open" in details for details in page.all("details")] == [True, False]
    assert "It is text. Leave it out." in page.words
    assert "learned from 300 recordings, 17 min 30 s" in page.words
    assert page.source.count('<bdi>loop 3.wav</bdi> <span class="badge aside">') == 1


def test_what_is_odd_about_a_file_that_is_used_is_said(tmp_path: Path) -> None:
    """Guards against a recording of which half is lost, and a report that calls it whole."""
    odd = replace(a_file("odd.wav"), remark="Its header says 6 s; all 3 s that are in it are used.")
    twin = replace(odd, name="twin.wav", verdict=FileVerdict.DUPLICATE, reason="It is the same sound as odd.wav.")
    page = page_of(tmp_path, replace(EMPTY, new_audio=FULL.new_audio, files=[a_file("plain.wav"), odd, twin]))
    assert page.words.count("Its header says 6 s") == 1
    assert "2 files with a remark" in page.words
    assert "1 file without a remark" in page.words


def test_codebook_numbers(tmp_path: Path) -> None:
    """Guards against utilisation, perplexity and dead entries that disagree, and a level nothing used."""
    report = replace(
        EMPTY,
        level_names=FULL.level_names,
        code_counts=np.array([[4, 4, 4, 4], [0, 9, 0, 0], [0, 0, 0, 0], [2, 0, 6, 0]]),
    )
    page = page_of(tmp_path, report)
    rows = page.source.split('<div class="level">')[1:]
    numbers = [re.findall(r"<b>(.*?)</b>", row)[:3] for row in rows]
    assert numbers == [["100 %", "4", "0"], ["25 %", "1", "3"], ["0 %", "–", "4"], ["50 %", "1.75", "2"]]
    assert ["under 30 %" in row for row in rows] == [False, True, True, False]
    assert "Level 3" in rows[2]


@pytest.mark.parametrize("hertz", [100.0, 1000.0, 9000.0])
def test_a_tone_stands_at_its_pitch(hertz: float) -> None:
    """Guards against a frequency axis that does not belong to the picture."""
    bands = mel_picture(tone(0.5, hertz), SAMPLE_RATE // 2).decibels.mean(axis=1)
    assert abs((int(bands.argmax()) + 0.5) / bands.size - float(mel_position(hertz))) < 1.5 / bands.size


def test_bands_narrower_than_a_bin_are_not_empty() -> None:
    """Guards against black stripes at the bottom, where mel bands are narrower than the transform's bins."""
    noise = np.random.default_rng(0).standard_normal((1, SAMPLE_RATE)).astype(np.float32)
    bands = mel_picture(noise, SAMPLE_RATE).decibels.mean(axis=1)
    assert bands.max() - bands.min() < 6


def test_a_click_stands_at_its_time() -> None:
    """Guards against a time axis shifted by half a window or stretched by pooling."""
    seconds = 30
    click = np.zeros((2, seconds * SAMPLE_RATE), dtype=np.float32)
    click[:, 18 * SAMPLE_RATE] = 1
    picture = mel_picture(click, click.shape[1]).decibels
    assert abs(int(picture.mean(axis=0).argmax()) / picture.shape[1] - 18 / seconds) < 0.003


def test_pictures_share_one_scale() -> None:
    """Guards against a decoded sound that is normalised until it looks as loud as the original."""
    sound = tone(0.3)
    loud, soft = mel_picture(sound, sound.shape[1]), mel_picture(sound * 0.01, sound.shape[1])
    shades = [
        matplotlib.image.imread(io.BytesIO(picture_png(picture, loud.loudest)))[..., :3].max()
        for picture in (loud, soft)
    ]
    assert shades[0] > shades[1] + 0.1


def test_flac_clips_instead_of_wrapping() -> None:
    """Guards against overshoot turned into full-scale crackle, and against a NaN read as a random number."""
    sound = np.array([[1.5, -1.5, np.nan, 0.25]], dtype=np.float32)
    heard, _ = soundfile.read(io.BytesIO(flac_bytes(sound)))
    np.testing.assert_allclose(heard, [1, -1, 0, 0.25], atol=1e-4)


def test_waveform_keeps_single_peaks() -> None:
    """Guards against an outline made by skipping samples, which loses the drum hits."""
    sound = np.zeros((1, SAMPLE_RATE), dtype=np.float32)
    sound[0, 12_345] = 0.8
    heights = [float(y) for y in re.findall(r"[\d.]+ ([\d.]+)", waveform_path(sound, 600))]
    assert min(heights) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.42, "0.42 s"),
        (12.34, "12.3 s"),
        (59.97, "1 min"),
        (157, "2 min 37 s"),
        (3599.8, "1 h"),
        (math.nan, "–"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    """Guards against "60 s" and "59 min 60 s"."""
    assert duration(seconds) == words


def test_where_new_audio_came_from_is_told_without_colour(tmp_path: Path) -> None:
    """Guards against a strip that only those see who tell red from green, and against names that break out of it."""
    seconds = (
        Second(Said.ORIGINAL, 0.5, 10.0, "a.wav", 1.0, 0.0, 1.0),
        Second(Said.CLOSE, 0.92, 97.0, "b.wav", 2.0, 0.0, 1.0, is_repeated=True),
        Second(Said.COPY, 0.99, 100.0, HOSTILE, 3.25, 0.0, 1.0),
        Second(Said.SILENCE, math.nan, math.nan, "", 0.0, 0.0, 1.0),
    )
    piece = NewAudio("new", None, tone(3.5), 7, "", Originality(seconds, ()))
    page = Page(write_report(tmp_path / "r.html", replace(FULL, new_audio=[piece])))
    assert not page.mismatched
    assert len(page.all("script")) == 1
    bars = [mark for mark in page.all("i") if mark.get("class") in {"original", "close", "copy", "silence"}]
    assert [mark["class"] for mark in bars] == ["original", "close", "copy", "silence"]
    titles = [mark["title"] for mark in bars]
    assert titles[0] == "0 s: Original, nearest a.wav at 1.0 s, similarity 0.50"
    assert titles[1].endswith("similarity 0.92; the recordings themselves repeat this nearly as closely")
    assert "alert(1)" in titles[2]
    assert titles[2].endswith("at 3.2 s, similarity 0.99")
    assert titles[3] == "3 s: Silence"
    assert "width:14.29%" in bars[3]["style"], "half a second is left"
    (strip,) = [part for part in page.all("div") if part.get("class") == "origin"]
    assert "33 % original, 33 % close, 33 % copy" in strip["aria-label"]
    assert all(verdict in page.words for verdict in ("Original", "Close", "Copy"))


def once_for_each_sound(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose result for the same samples and words is kept."""
    kept: dict[object, Any] = {}

    def call(audio: np.ndarray, *more: object, **words: object) -> Any:
        key = (audio.shape, hashlib.sha256(audio.tobytes()).digest(), *more, *words.items())
        if key not in kept:
            kept[key] = function(audio, *more, **words)
        return kept[key]

    return call


def test_a_page_of_much_noise_stays_under_thirty_megabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a page of 93 MB for eight pieces of a minute: noise is what FLAC makes least of."""
    # The page has the same noise many times.
    for name in ("flac_bytes", "mel_picture", "sound_url", "waveform_path"):
        monkeypatch.setattr(listening, name, once_for_each_sound(getattr(listening, name)))
    noise = 0.1 * np.random.default_rng(0).standard_normal((2, 60 * SAMPLE_RATE)).astype(np.float32)
    ten, thirty = noise[:, : 10 * SAMPLE_RATE], noise[:, : 30 * SAMPLE_RATE]
    pairs = [Reconstruction(f"{number}.wav", ten, ten, 1.0) for number in range(4)]
    pieces = [
        NewAudio(f"new {number}", None, thirty, 7, "", grains=(QuotedPlace(0, 1, "a.wav", 0),), places=thirty)
        for number in range(8)
    ]
    report = replace(EMPTY, reconstructions=pairs, new_audio=pieces)
    page = write_report(tmp_path / "a.html", report)
    assert page.stat().st_size < 30_000_000
    assert "all it plays is MP3" in page.read_text(encoding="utf-8")
    small = replace(report, new_audio=[NewAudio("new", None, ten, 7, "")])
    assert "all it plays is MP3" not in write_report(tmp_path / "b.html", small).read_text(encoding="utf-8")


def test_the_codec_s_curves_are_of_one_measure(tmp_path: Path) -> None:
    """Guards against the loss of training, which holds more than that, drawn beside the held-out mel distance."""
    told: list[TrainingEvent] = []
    for epoch in (1, 2):
        told += [
            codec_step(epoch, 2 * epoch + at, 9.0, distance) for at, distance in enumerate((1.0 / epoch, 2.0 / epoch))
        ]
        told.append(codec_epoch(epoch, 9.0, 1.5 / epoch))
    page = page_of(tmp_path, replace(EMPTY, events=told))
    lines = re.findall(r'<path d="(M [^"]+)"[^>]*stroke: var\(--(train|held)\)', page.source)
    drawn = {role: path for path, role in lines}
    assert drawn["train"] == drawn["held"], "1.5 and 0.75 both"
    assert "mel distance" in page.words


def test_a_long_training_is_gathered_in_one_pass() -> None:
    """Guards against minutes for a night of short epochs: each of them looked for its steps among all there were."""
    events: list[TrainingEvent] = []
    for epoch in range(1, 2001):
        events += [codec_step(epoch, 30 * epoch + number, 3.0, 1.0) for number in range(30)]
        events.append(codec_epoch(epoch, 3.0, 4.0))
    begun = time.process_time()
    found = learning_section(events, None, 0)
    assert time.process_time() - begun < 1.5
    assert found is not None
