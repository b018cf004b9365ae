"""A small corpus made by arithmetic: one key, one tempo, many timbres, so that learning it makes sense."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from distill.audio.rate import SAMPLE_RATE
from distill.files.atomic import make_folder, written_aside
from distill.files.regular import native
from distill.formats.writing import write_audio

_BEAT = 60 / 96  # seconds, at 96 beats a minute
_BAR = 4 * _BEAT
_ROOT = 55.0  # Hz: the A that everything rests on
_SCALE = (0, 3, 5, 7, 10)  # A minor pentatonic: whatever sounds together agrees
_PEAK = 0.7

Draw = np.random.Generator
Make = Callable[[Draw, int], np.ndarray]  # (draw, samples a second) to [C, N]
Voice = Callable[[float, float, int, Draw], np.ndarray]  # (Hz, seconds, samples a second, draw) to [N]


@dataclass(frozen=True)
class _Piece:
    name: str
    make: Make
    rate: int = SAMPLE_RATE
    file_format: str = "wav"
    bit_depth: int = 24


def write_demo_corpus(folder: Path, seed: int = 0) -> list[Path]:
    """Writes 21 recordings (about 88 s) below ``folder``: strings, bells, drum loops, pads and a bass.

    Mono and stereo, at 44.1, 48 and 96 kHz, as WAV (16 bit, 24 bit, float), FLAC and OGG. The same ``seed``
    gives the same bytes on the same machine. Returns the paths; raises OutputError when ``folder`` cannot be
    written.
    """
    folder = Path(folder)
    paths = []
    for number, piece in enumerate(_PIECES):
        sound = piece.make(np.random.default_rng((seed, number)), piece.rate)
        sound = (_faded(sound, piece.rate) * (_PEAK / np.abs(sound).max())).astype(np.float32)
        path = folder / f"{piece.name}.{piece.file_format}"
        make_folder(path.parent)
        if piece.rate == SAMPLE_RATE:
            write_audio(path, sound, format=piece.file_format, bit_depth=piece.bit_depth, channels=len(sound))
        else:
            _write_at(path, sound, piece)
        paths.append(path)
    return paths


def _write_at(path: Path, sound: np.ndarray, piece: _Piece) -> None:
    """``write_audio`` knows 48 kHz only; the corpus should also hold what has to be resampled."""
    with written_aside(path) as aside:
        soundfile.write(
            native(aside), sound.T, piece.rate, subtype=f"PCM_{piece.bit_depth}", format=piece.file_format.upper()
        )


def _sine(turns: np.ndarray) -> np.ndarray:
    # Whole turns go before the precision does: single precision takes a quarter of the time.
    return np.sin((2 * np.pi * (turns - np.floor(turns))).astype(np.float32))


def _exp(exponent: np.ndarray) -> np.ndarray:
    return np.exp(exponent.astype(np.float32))


def _plucked(hertz: float, seconds: float, rate: int, draw: Draw) -> np.ndarray:
    """A Karplus-Strong string, computed one period at a time instead of one sample at a time."""
    period = max(2, round(rate / hertz))
    string = np.convolve(draw.uniform(-1, 1, period + 4), np.ones(5) / 5, mode="valid")
    string -= string.mean()
    loss = 0.5 * 0.5 ** (1 / (hertz * 0.6))  # half as loud after 0.6 s, whatever the pitch
    periods = np.empty((int(seconds * rate) // period + 1, period))
    periods[0] = string
    for before, row in itertools.pairwise(periods):
        np.add(before[1:], before[:-1], out=row[1:])
        row[0] = before[0] + before[-1]
        row *= loss
    return periods.ravel()[: int(seconds * rate)]


def _bell(hertz: float, seconds: float, rate: int, draw: Draw) -> np.ndarray:
    """Partials at a bell's inharmonic ratios; the high ones fade first."""
    ratios = np.array([0.5, 1.0, 1.19, 1.5, 2.0, 2.51, 2.66, 3.01, 4.16]) * draw.uniform(0.997, 1.003, 9)
    ratios = ratios[ratios * hertz < 0.45 * rate, None]
    time = np.arange(int(seconds * rate)) / rate
    level = _exp(-time * (0.8 + 1.1 * ratios)) / (1 + ratios)
    return (level * _sine(hertz * ratios * time)).sum(axis=0) * np.minimum(1, time / 0.002)


def _chime(hertz: float, seconds: float, rate: int, draw: Draw) -> np.ndarray:
    """Frequency modulation whose depth fades: glassy at first, then nearly a sine."""
    time = np.arange(int(seconds * rate)) / rate
    depth = draw.uniform(0.3, 0.6) * _exp(-4 * time)
    turns = hertz * time + depth * _sine(3.5 * hertz * time)
    return _exp(-2.2 * time) * _sine(turns) * np.minimum(1, time / 0.001)


def _bass(hertz: float, seconds: float, rate: int, draw: Draw) -> np.ndarray:
    """A sawtooth whose overtones close within a moment."""
    time = np.arange(int(seconds * rate)) / rate
    overtone = np.arange(1, 9)[:, None]
    level = _exp(-time * overtone * draw.uniform(1.0, 2.5)) / overtone
    return (level * _sine(hertz * overtone * time)).sum(axis=0) * np.minimum(1, time / 0.004)


def _hertz(step: int, octave: int) -> float:
    return _ROOT * 2 ** (octave + step // len(_SCALE) + _SCALE[step % len(_SCALE)] / 12)


def _phrase(
    voice: Voice, octave: int, rhythm: str, bars: float, wide: bool = False, chord: tuple[int, ...] = (0,)
) -> Make:
    """A walk over the scale in small steps, one note on every ``x`` of ``rhythm`` (sixteenths, repeated)."""

    def make(draw: Draw, rate: int) -> np.ndarray:
        sound = np.zeros((2 if wide else 1, round(bars * _BAR * rate)))
        step = 0
        for sixteenth in range(int(16 * bars)):
            if rhythm[sixteenth % len(rhythm)] != "x":
                continue
            for place, interval in enumerate(chord):
                note = voice(_hertz(step + interval, octave), 1.6, rate, draw) * draw.uniform(0.6, 1)
                # A chord is strummed, 15 ms from string to string.
                _add(sound, note, sixteenth * _BEAT / 4 + 0.015 * place, rate, draw.uniform(-0.7, 0.7))
            step = int(np.clip(step + draw.choice([-2, -1, -1, 1, 1, 2]), 0, 7))
        return sound

    return make


def _drums(kick: str, snare: str, hat: str, bars: float, wide: bool = False) -> Make:
    """A loop of three drums from patterns in sixteenths; every loop is tuned a little differently."""

    def make(draw: Draw, rate: int) -> np.ndarray:
        sound = np.zeros((2 if wide else 1, round(bars * _BAR * rate)))
        tuning = draw.uniform(0.85, 1.2)
        for sixteenth in range(int(16 * bars)):
            at = sixteenth * _BEAT / 4
            time = np.arange(int(0.35 * rate)) / rate
            noise = draw.standard_normal(len(time))
            if kick[sixteenth % len(kick)] == "x":
                sweep = 2 * np.pi * tuning * (48 * time + 4.5 * (1 - np.exp(-28 * time)))
                _add(sound, 1.1 * np.exp(-9 * time) * np.sin(sweep), at, rate, 0)
            if snare[sixteenth % len(snare)] == "x":
                body = np.sin(2 * np.pi * 185 * tuning * time) * np.exp(-22 * time)
                _add(sound, 0.5 * body + 0.22 * noise * np.exp(-16 * time), at, rate, 0.15)
            if hat[sixteenth % len(hat)] != ".":
                fade = 12 if hat[sixteenth % len(hat)] == "o" else 60  # open or closed
                bright = np.diff(noise, n=2, append=[0, 0])
                _add(sound, draw.uniform(0.05, 0.09) * bright * np.exp(-fade * time), at, rate, -0.4)
        return sound

    return make


def _pad(steps: tuple[int, ...], octave: int, overtones: int, wide: bool) -> Make:
    """Two bars of a held chord of detuned voices under a filter that opens and closes once."""

    def make(draw: Draw, rate: int) -> np.ndarray:
        length = round(2 * _BAR * rate)
        time = np.arange(length) / rate
        opening = 1.5 + 0.7 * overtones * np.sin(np.pi * time / time[-1]) ** 2
        sound = np.zeros((2 if wide else 1, length))
        for channel in sound:
            for step in steps:
                hertz = _hertz(step, octave) * draw.uniform(0.997, 1.003)
                drift = draw.uniform(0.1, 0.3)
                turns = hertz * time + 0.25 * _sine(drift * time)
                for overtone in range(1, overtones + 1):
                    level = _exp(-((overtone / opening) ** 2)) / overtone
                    channel += level * _sine(overtone * turns + draw.uniform())
        return sound * np.minimum(1, np.minimum(time, time[-1] - time) / 0.6)

    return make


def _add(sound: np.ndarray, note: np.ndarray, seconds: float, rate: int, pan: float) -> None:
    """Mixes ``note`` [N] into ``sound`` [C, N]; ``pan`` runs from -1 (left) to 1 (right)."""
    start = round(seconds * rate)
    note = note[: sound.shape[1] - start]
    sides = np.sqrt([[1 - pan], [1 + pan]]) if len(sound) == 2 else np.ones((1, 1))
    sound[:, start : start + len(note)] += sides * note


def _faded(sound: np.ndarray, rate: int) -> np.ndarray:
    """The last 20 ms fade, so that what still rings does not end in a click."""
    length = rate // 50
    sound[:, -length:] *= np.linspace(1, 0, length)
    return sound


_FOUR = "x...x...x...x..."
_BACKBEAT = "....x.......x..."
_PIECES = (
    _Piece("strings/low walk", _phrase(_plucked, 1, "x.x.x..x", 2), file_format="flac"),
    _Piece("strings/low slow", _phrase(_plucked, 1, "x...x...", 1), bit_depth=16),
    _Piece("strings/high run", _phrase(_plucked, 3, "x.xxx.x.", 2, wide=True), rate=44_100, bit_depth=16),
    _Piece("strings/high call", _phrase(_plucked, 2, "x..x..x.", 1), rate=96_000),
    _Piece("strings/chords", _phrase(_plucked, 2, "x.....x.", 2, wide=True, chord=(0, 2, 4)), file_format="flac"),
    _Piece("bells/tower", _phrase(_bell, 2, "x.......x...x...", 2, wide=True)),
    _Piece("bells/small", _phrase(_bell, 3, "x...x.x.", 2), file_format="flac", bit_depth=16),
    _Piece("bells/glass", _phrase(_chime, 3, "x..x....", 1, wide=True), rate=96_000),
    _Piece("bells/music box", _phrase(_chime, 3, "x.x.", 2), rate=44_100, file_format="flac", bit_depth=16),
    _Piece("drums/four", _drums(_FOUR, _BACKBEAT, "..x.", 2), bit_depth=16),
    _Piece("drums/broken", _drums("x.....x...x.....", _BACKBEAT, "x.x.", 2, wide=True), file_format="flac"),
    _Piece("drums/half", _drums("x.........x.....", "........x.......", "x.xx", 1), rate=44_100),
    _Piece("drums/open", _drums(_FOUR, "............x...", "x.o.", 1, wide=True)),
    _Piece("drums/bare", _drums("x..x..x...x.....", "....x..x....x...", ".", 1), file_format="ogg"),
    _Piece("pads/dawn", _pad((0, 2, 4), 2, 8, wide=True), bit_depth=32),
    _Piece("pads/dusk", _pad((0, 3, 6), 1, 10, wide=True), rate=44_100, bit_depth=16),
    _Piece("pads/air", _pad((0, 4, 7), 3, 5, wide=True), file_format="flac"),
    _Piece("pads/drone", _pad((0, 5), 0, 14, wide=False), file_format="ogg"),
    _Piece("bass/walk", _phrase(_bass, 0, "x..x..x.x...x.x.", 2), file_format="flac"),
    _Piece("bass/pulse", _phrase(_bass, 0, "x.x.x.xx", 1), bit_depth=16),
    _Piece("bass/long", _phrase(_bass, 0, "x.......", 2), bit_depth=32),
)
