"""What ``distill serve`` is asked and what it says: the interface's description is made of it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from distill.errors import SettingError
from distill.formats.suffixes import MEDIA, AudioFormat
from distill.making.operations import Operation, check
from distill.web.answers import Wrong

MOST_EDITS, MOST_OTHERS = 100, 8
Text = Annotated[str, Field(min_length=1, max_length=40)]
CodesFile = Annotated[str, Field(max_length=2_000_000, description="A .codes file, in base64.")]
CODES = "application/octet-stream"
BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {CODES: {"schema": {"type": "string", "format": "binary"}}}}
}
_WHY = {
    400: "It cannot be done, or is more than the limit.",
    401: "No token, or a wrong one.",
    404: "No such model here.",
    405: "Not so.",
    408: "The client stopped sending.",
    411: "No Content-Length.",
    413: "More bytes than are taken.",
    422: "Not what this description says.",
    500: "A fault in Distill or its machine.",
    503: "All places are taken; Retry-After says how many seconds to wait.",
    507: "The server's disk is full, or cannot be written to.",
}
WRONG: dict[int | str, dict[str, Any]] = {
    status: {"model": Wrong, "description": words} for status, words in _WHY.items()
}
GIVES_CODES: dict[int | str, dict[str, Any]] = {200: {"content": {CODES: {}}, "description": "A .codes file."}}
GIVES_SOUND: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind: {} for kind in MEDIA.values()}, "description": "An audio file, 24 bits where it has bits."}
}


class Served(BaseModel):
    """A model, and what its codes are like."""

    name: str
    sample_rate: int
    channels: int
    hop: int
    """Samples a position."""
    levels: int
    level_names: list[str]
    entries: int
    """Of each level's codebook."""
    has_prior: bool
    """Whether it can make new audio."""
    longest_seconds: float
    """The most that is taken at once. New audio is no longer either, nor longer than ``distill generate`` makes it."""


class GenerateRequest(BaseModel):
    """New audio, as ``distill generate`` makes it."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    seconds: float = Field(10.0, ge=0.5)
    seed: int | None = Field(None, ge=0, lt=2**31, description="Another one each time, if not given.")
    temperature: list[Annotated[float, Field(ge=0, le=5)]] = Field([1.0], min_length=1, max_length=4)
    """One for all levels, or one each, coarse to fine."""
    top_k: int = Field(0, ge=0, le=1024)
    top_p: float = Field(0.985, gt=0, le=1)
    variety: float = Field(0.0, ge=0, le=5)
    voice: Literal["codec", "recordings", "auto"] = Field(
        "codec", description="auto is the one that was measured to be nearer to the recordings."
    )
    format: AudioFormat = Field("wav", description="Only WAV in the codec's voice is sent while it is drawn.")

    def sampling(self) -> dict[str, Any]:
        """How codes are drawn, in the words of ``making.drawing.Sampling``."""
        return self.model_dump(include={"temperature", "top_k", "top_p", "variety"})


class Edit(BaseModel):
    """One change, in the words of ``distill edit``: what it does, and the options that follow it there."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    do: Literal["lock", "mirror", "rotate", "repeat", "fill", "copy", "insert", "delete", "graft", "blend", "reimagine"]
    span: Text | None = Field(None, description="2-4 or 2.5- (seconds), c94-c188 (columns) or all.")
    sound: Text | None = Field(None, description="Of graft and blend: one of the others.")
    over: Text | None = Field(None, description="Of graft and blend: a span.")
    levels: Text | None = Field(None, description="Such as 1-2, Structure or det; all if not given.")
    to: Text | None = Field(None, description="3.5 (seconds) or c164 (a column).")
    by: Text | None = Field(None, description="As to; negative is earlier.")
    times: int | None = Field(None, ge=2, le=10_000)
    code: Text | None = Field(None, description="One code, or one per level: 3,17.")
    weight: float | None = Field(None, ge=0, le=1)
    seed: int | None = Field(None, ge=0, lt=2**31)
    temperature: float | None = Field(None, ge=0, le=5)

    def operation(self, others: set[str]) -> Operation:
        """The same for ``making/editing.py``.

        Raises:
            SettingError: if it does not say on what.
        """
        is_across = self.do in ("graft", "blend")
        value, idle = (self.sound, self.span) if is_across else (self.span, self.sound)
        if value is None or idle is not None:
            wanted, out = ("sound (and over)", "span") if is_across else ("span", "sound")
            raise SettingError(f"{self.do} is done to {wanted}.", f"Give {wanted}, and no {out}.")
        if is_across and value not in others:
            known = ", ".join(sorted(others)) or "none"
            raise SettingError(f"There is no other sound '{value}'.", f"Send it in others; those that came: {known}.")
        rest = self.model_dump(exclude={"do", "span", "sound"}, exclude_none=True)
        return Operation(self.do, value, {name: str(given) for name, given in rest.items()})


class EditRequest(BaseModel):
    """A sound as codes, and what is to be done to it, in this order."""

    model_config = ConfigDict(extra="forbid")

    codes: CodesFile
    others: dict[Text, CodesFile] = Field(default={}, max_length=MOST_OTHERS)
    """Sounds to graft from or to blend with, under names of one's own."""
    edits: list[Edit] = Field(min_length=1, max_length=MOST_EDITS)

    def operations(self) -> list[Operation]:
        """All edits, checked as far as that is possible without the sound.

        Raises:
            SettingError: with the first that cannot be done.
        """
        found = [one.operation(set(self.others)) for one in self.edits]
        check(found)
        return found
