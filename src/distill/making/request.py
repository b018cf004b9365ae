"""What a person asks of a model: enough to make the same sound again."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from distill.files.names import readable
from distill.files.regular import absolute
from distill.making.choice import Choice
from distill.making.drawing import Sampling
from distill.making.voices import VoiceSettings


@dataclass(frozen=True)
class Request:
    """What is asked of a model, but for the seed: with it, and with the same model, the same sound is made again."""

    kind: Literal["audio", "loop", "infill"]
    sampling: Sampling
    audio_format: str = "wav"
    bit_depth: int = 24
    seconds: float = 0.0
    """The length of new audio, in seconds."""
    samples: int = 0
    """The length of a loop, in samples."""
    beats: int | None = None
    """How many beats a loop is counted in, where its length was given in beats."""
    begin: float = 0.0
    """Where the passage that is made anew begins, in seconds."""
    end: float = 0.0
    given: Path | None = None
    """The prompt, or the recording in which a passage is made anew."""
    voice: Choice = Choice.CODEC
    longest_seconds: float = 1.0
    """The longest stretch of one recording that the recordings' voice may use, in seconds."""
    join_factor: float = 1.0
    """Factor on the cost of a join that suits the model, in the recordings' voice."""
    recordings: Path | None = None
    """Where the recordings are, if they were moved."""
    max_similarity: float | None = None
    """Up to which percentile a second may be like a recording, or the piece is drawn again; noted for whoever asks for more."""
    edit_list: bool = False
    """Whether a project for a DAW is written beside the piece."""

    @property
    def voice_settings(self) -> VoiceSettings:
        """The voice that is asked for."""
        return VoiceSettings(self.voice, self.longest_seconds, self.join_factor, self.recordings, self.edit_list)

    @property
    def words(self) -> str:
        """What it is, for people."""
        if self.kind == "infill" and self.given is not None:
            return f"{self.begin:g} to {self.end:g} s of {readable(self.given.name)} replaced"
        return "loop" if self.kind == "loop" else "new audio"

    def in_voice(self, settings: VoiceSettings) -> "Request":
        """The same in another voice."""
        return replace(
            self,
            voice=settings.choice,
            longest_seconds=settings.longest_seconds,
            join_factor=settings.join_factor,
            recordings=settings.recordings,
            edit_list=settings.edit_list,
        )

    def rendered_by(self, voice: Choice) -> "Request":
        """The same in the voice that came of it, to be made again; the codec's uses no recordings and has no grains to list."""
        if voice == Choice.CODEC:
            return replace(self, voice=voice, recordings=None, edit_list=False)
        return replace(self, voice=voice)

    def noted(self, given_digest: str | None, first_seed: int, count: int) -> dict[str, Any]:
        """The request as the library keeps it, with the seeds that were drawn together and what identifies its input."""
        asked: dict[str, Any] = TypeAdapter(Request).dump_python(self, mode="json")
        return asked | {
            "given": None if self.given is None else str(absolute(self.given)),
            "recordings": None if self.recordings is None else str(absolute(self.recordings)),
            "given_digest": given_digest,
            "first_seed": first_seed,
            "count": count,
        }
