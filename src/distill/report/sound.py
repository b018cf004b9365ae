"""Sound for the page: a mel spectrogram, the outline of a waveform, and FLAC bytes."""

import base64
import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soundfile

from distill.audio.mixing import mono
from distill.audio.rate import SAMPLE_RATE
from distill.audio.rounding import rounded

_WINDOW = 2048
_BANDS = 160
_LOWEST_HZ = 30.0
_HIGHEST_HZ = 20_000.0
_RANGE_DB = 80.0
_STRIP_COLOUR = (20, 148, 136)
_SILENCE_POWER = 1e-10
_FRAMES_AT_ONCE = 512


@dataclass(frozen=True)
class MelPicture:
    """Level per band and column."""

    decibels: npt.NDArray[np.float64]
    """[bands, columns], lowest band first, dB re. full scale."""

    @property
    def loudest(self) -> float:
        return float(self.decibels.max())


def mel_position(hertz: float | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Where a frequency stands on the pictures' axis: 0 at the bottom, 1 at the top."""
    low, high = _mel(_LOWEST_HZ), _mel(_HIGHEST_HZ)
    return (_mel(hertz) - low) / (high - low)


def mel_picture(audio: npt.NDArray[np.float32], samples: int, columns: int = 900) -> MelPicture:
    """Mel spectrogram of ``audio`` [C, N], mixed to mono and padded or cut to ``samples``.

    A band's power is the area under the power spectrum between its edges over its width, so bands narrower
    than a bin still hold a value:

        area(edge) = integral of power from 0 to edge      band = (area(right) - area(left)) / (right - left)
    """
    mixed = mono(_finite(audio))[0, :samples]
    # The first and last columns are centred on the first and last samples.
    padded = np.pad(mixed, (_WINDOW // 2, samples - mixed.size + _WINDOW // 2))
    hop = int(np.clip(samples // columns, 32, _WINDOW // 2))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::hop]
    taper = np.hanning(_WINDOW + 1)[:-1]

    ends = _hertz(np.linspace(_mel(_LOWEST_HZ), _mel(_HIGHEST_HZ), _BANDS + 1))
    bin_edges = (np.arange(_WINDOW // 2 + 2) - 0.5) * (SAMPLE_RATE / _WINDOW)
    blocks = []
    for start in range(0, len(frames), _FRAMES_AT_ONCE):
        spectrum = np.fft.rfft(frames[start : start + _FRAMES_AT_ONCE] * taper, axis=1)
        power = np.square(np.abs(spectrum) / (taper.sum() / 2))
        area = np.pad(np.cumsum(power, axis=1), ((0, 0), (1, 0))) * (SAMPLE_RATE / _WINDOW)
        at_ends = np.stack([np.interp(ends, bin_edges, row) for row in area])
        blocks.append(np.diff(at_ends, axis=1) / np.diff(ends))
    bands = np.concatenate(blocks).T

    if bands.shape[1] > columns:
        firsts = np.linspace(0, bands.shape[1], columns, endpoint=False).astype(np.int64)
        widths = np.diff(np.append(firsts, bands.shape[1]))
        bands = np.add.reduceat(bands, firsts, axis=1) / widths
    return MelPicture(10 * np.log10(np.maximum(bands, _SILENCE_POWER)))


def picture_png(picture: MelPicture, loudest: float) -> bytes:
    """The picture in colour, 80 dB deep below ``loudest``, so that two pictures can share a scale."""
    import matplotlib  # takes a second to import, so only whoever draws pays for it

    depth = np.clip((picture.decibels - loudest) / _RANGE_DB + 1, 0, 1)
    # 64 shades are more than the eye tells apart here, and halve the file.
    shades = np.round(depth[::-1] * 63) / 63
    return _png((matplotlib.colormaps["magma"](shades)[..., :3] * 255).round().astype(np.uint8))


def strip_png(strength: npt.NDArray[np.float64]) -> bytes:
    """One row of pixels, [K] strengths 0 to 1 as the opacity of one colour; for light and dark alike."""
    pixels = np.zeros((1, strength.size, 4), dtype=np.uint8)
    pixels[0, :, :3] = _STRIP_COLOUR
    pixels[0, :, 3] = np.round(np.clip(strength, 0, 1) * 255)
    return _png(pixels)


def waveform_path(audio: npt.NDArray[np.float32], columns: int) -> str:
    """An SVG path, ``columns`` wide and 200 high, around the extremes of ``audio`` [C, N] in each column."""
    sound = _finite(audio)
    firsts = np.linspace(0, sound.shape[1], min(columns, sound.shape[1]), endpoint=False).astype(np.int64)
    highest = np.maximum.reduceat(sound.max(axis=0), firsts)
    lowest = np.minimum.reduceat(sound.min(axis=0), firsts)
    scale = 99 / max(float(np.abs(sound).max()), 1e-6)
    across = np.linspace(0, columns, firsts.size)
    # Silence is drawn as a hairline instead of nothing.
    top = [f"{x:.1f} {100 - max(y * scale, 0.4):.1f}" for x, y in zip(across, highest, strict=True)]
    bottom = [f"{x:.1f} {100 - min(y * scale, -0.4):.1f}" for x, y in zip(across, lowest, strict=True)]
    return f"M{'L'.join(top + bottom[::-1])}Z"


def flac_bytes(audio: npt.NDArray[np.float32]) -> bytes:
    """16-bit FLAC of ``audio`` [C, N]; beyond full scale is clipped, as every player would."""
    buffer = io.BytesIO()
    soundfile.write(buffer, rounded(_finite(audio).T, 16), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def sound_url(audio: npt.NDArray[np.float32], *, is_small: bool) -> str:
    """``audio`` [C, N] as an address that holds it: FLAC, or MP3 at about 19 kB a second where there is much of it."""
    if not is_small:
        return data_url("audio/flac", flac_bytes(audio))
    buffer = io.BytesIO()
    sound = np.clip(_finite(audio), -1, 1).astype(np.float32)
    soundfile.write(buffer, sound.T, SAMPLE_RATE, format="MP3", subtype="MPEG_LAYER_III")
    return data_url("audio/mpeg", buffer.getvalue())


def data_url(kind: str, content: bytes) -> str:
    """``content`` as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    import matplotlib.image

    buffer = io.BytesIO()
    matplotlib.image.imsave(buffer, pixels, format="png", metadata={"Software": "Distill"})
    return buffer.getvalue()


def _finite(audio: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    return np.nan_to_num(np.asarray(audio, dtype=np.float64), nan=0.0, posinf=1.0, neginf=-1.0)


def _mel(hertz: float | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    # O'Shaughnessy's formula (Speech Communication: Human and Machine, 1987).
    return np.asarray(2595 * np.log10(1 + np.asarray(hertz) / 700))


def _hertz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))
