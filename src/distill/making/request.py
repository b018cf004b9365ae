"""What a person asks of a model: enough to make the same sound again."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
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
    voice: VoiceSettings = field(default_factory=lambda: VoiceSettings(Choice.CODEC))
    max_similarity: float | None = None
    """Up to which percentile a second may be like a recording, or the piece is drawn again; noted for whoever asks for more."""

    @property
    def words(self) -> str:
        """What it is, for people."""
        if self.kind == "infill" and self.given is not None:
            return f"{self.begin:g} to {self.end:g} s of {readable(self.given.name)} replaced"
        return "loop" if self.kind == "loop" else "new audio"

    def rendered_by(self, choice: Choice) -> "Request":
        """The same in the voice that came of it, to be made again; the codec's uses no recordings and has no grains to list."""
        voice = replace(self.voice, choice=choice)
        if choice == Choice.CODEC:
            voice = replace(voice, recordings=None, edit_list=False)
        return replace(self, voice=voice)

    def noted(self, given_digest: str | None, first_seed: int, count: int) -> dict[str, Any]:
        """The request as the library keeps it, with the seeds that were drawn together and what identifies its input."""
        asked: dict[str, Any] = TypeAdapter(Request).dump_python(self, mode="json")
        voice = asked.pop("voice")
        recordings = self.voice.recordings
        return asked | {
            "voice": voice.pop("choice"),
            **voice,
            "given": None if self.given is None else str(absolute(self.given)),
            "recordings": None if recordings is None else str(absolute(recordings)),
            "given_digest": given_digest,
            "first_seed": first_seed,
            "count": count,
        }

    @classmethod
    def of_note(cls, note: Mapping[str, Any]) -> "Request":
        """The request that was :meth:`noted`; what an earlier version did not note is as usual.

        Raises:
            ValidationError: if it cannot be one.
        """
        voice = {one.name: note[one.name] for one in fields(VoiceSettings) if one.name in note}
        told = {**note, "voice": {**voice, "choice": note.get("voice", Choice.CODEC)}}
        return TypeAdapter(cls).validate_python(told)
