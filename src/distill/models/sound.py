"""The recordings' sound inside a model file that is given away: FLAC, one tensor of bytes a recording.

It comes from strangers like all else in the file. So before anything is decoded, what the FLAC stream says of itself must be
what the header says, and that must be bounded: a stream of a few kilobytes may stand for hours of silence. Decoding must give
exactly as many samples as were declared.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soundfile
import torch
from torch import Tensor

from distill.audio.rate import SAMPLE_RATE
from distill.files.tensors import UnusableError
from distill.models.header import SoundRecord

_SUBTYPES = {16: "PCM_16", 24: "PCM_24"}


@dataclass(frozen=True)
class Sound:
    """The sound of a recording as it was trained on."""

    sha256: str
    """Of the recording's file, by which sources name it."""
    channels: int
    samples: int
    """At 48 kHz."""
    flac: Tensor
    """``[bytes]`` uint8"""

    @property
    def record(self) -> SoundRecord:
        """What the header says of it."""
        return SoundRecord(sha256=self.sha256, channels=self.channels, samples=self.samples, bytes=self.flac.numel())

    def audio(self) -> np.ndarray:
        """Decodes it: float32 ``[C, N]`` at 48 kHz.

        Raises:
            UnusableError: if it is damaged, or not as long as it says.
        """
        try:
            with soundfile.SoundFile(io.BytesIO(self.flac.numpy().tobytes())) as file:
                _check(file, self)
                audio = file.read(self.samples + 1, dtype="float32", always_2d=True).T
        except (soundfile.LibsndfileError, OSError) as error:
            raise UnusableError("the sound of a recording in it is damaged") from error
        if audio.shape[1] != self.samples:
            raise UnusableError("the sound of a recording in it is damaged: it is shorter or longer than it says")
        return np.ascontiguousarray(audio)


def sound_from(sha256: str, audio: np.ndarray) -> Sound:
    """Encodes ``[C, N]`` at 48 kHz: with 16 bits where these hold every sample as it is, else with 24."""
    audio = np.asarray(audio, np.float32)
    is_16_bit = bool((np.rint(audio * 32768) == audio * 32768).all()) and float(audio.max(initial=0.0)) < 1.0
    buffer = io.BytesIO()
    soundfile.write(
        buffer, np.clip(audio.T, -1, 1), SAMPLE_RATE, format="FLAC", subtype=_SUBTYPES[16 if is_16_bit else 24]
    )
    flac = torch.frombuffer(bytearray(buffer.getvalue()), dtype=torch.uint8)
    return Sound(sha256, len(audio), audio.shape[1], flac)


def check_sounds(sounds: Sequence[Sound]) -> None:
    """Looks at the beginning of every stream; nothing is decoded.

    Raises:
        UnusableError: if one is no FLAC stream, or another one than the header declares.
    """
    for sound in sounds:
        try:
            with soundfile.SoundFile(io.BytesIO(sound.flac.numpy().tobytes())) as file:
                _check(file, sound)
        except (soundfile.LibsndfileError, OSError) as error:
            raise UnusableError("the sound of a recording in it is damaged") from error


def _check(file: soundfile.SoundFile, sound: Sound) -> None:
    is_ours = file.format == "FLAC" and file.subtype in _SUBTYPES.values() and file.samplerate == SAMPLE_RATE
    if not is_ours or (file.channels, file.frames) != (sound.channels, sound.samples):
        raise UnusableError("the sound of a recording in it is not what its header declares")
