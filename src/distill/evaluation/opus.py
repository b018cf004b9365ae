"""Opus, a general codec, for comparison; through opus-tools where they are installed."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from distill.audio.rate import SAMPLE_RATE
from distill.audio.rounding import rounded
from distill.errors import AudioFileError
from distill.files.regular import native

HOW_TO_GET_IT = "Install opus-tools (apt install opus-tools, brew install opus-tools) to compare with Opus."
_PATIENCE_S = 120.0


def has_opus() -> bool:
    """Whether ``opusenc`` and ``opusdec`` can be called."""
    return shutil.which("opusenc") is not None and shutil.which("opusdec") is not None


def through_opus(audio: np.ndarray, kilobits: int) -> tuple[np.ndarray, float]:
    """Mono float32 ``[1, N]`` at 48 kHz through Opus, aligned and of the same length, and the bits per second it took.

    The bits are those of the Opus packets, without the Ogg container and the tags around them.

    Raises:
        AudioFileError: if one of the tools fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        plain, packed, back = (str(Path(folder) / name) for name in ("in.wav", "in.opus", "out.wav"))
        soundfile.write(native(Path(plain)), rounded(audio.T, 16), SAMPLE_RATE, subtype="PCM_16")
        _call("opusenc", "--quiet", "--bitrate", str(kilobits), "--hard-cbr", plain, packed)
        _call("opusdec", "--quiet", "--rate", str(SAMPLE_RATE), packed, back)
        decoded = soundfile.read(native(Path(back)), dtype="float32", always_2d=True)[0].T
        bits = 8 * _packet_bytes(Path(packed).read_bytes())
    samples = audio.shape[1]
    whole = np.zeros((1, samples), np.float32)
    length = min(samples, decoded.shape[1])
    whole[:, :length] = decoded[:1, :length]
    return whole, bits / (samples / SAMPLE_RATE)


def _call(tool: str, *words: str) -> None:
    try:
        subprocess.run([tool, *words], check=True, capture_output=True, timeout=_PATIENCE_S)
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip()
        raise AudioFileError(
            f"{tool} failed: {said or error}.", "Reinstall opus-tools, or evaluate with --no-opus."
        ) from error


def _packet_bytes(ogg: bytes) -> int:
    """Payload of every Ogg page after the two of the headers; the layout is that of RFC 3533."""
    total = page = place = 0
    while place + 27 <= len(ogg):
        segments = ogg[place + 26]
        payload = sum(ogg[place + 27 : place + 27 + segments])
        total += payload if page >= 2 else 0
        page += 1
        place += 27 + segments + payload
    return total
