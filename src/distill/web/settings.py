"""What can be asked of a model on the page, and how a piece that is there was asked for."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from distill.audio.rate import SAMPLE_RATE
from distill.formats.suffixes import AudioFormat
from distill.originality.dial import NAMED, Dial

DIAL_STEPS = 20
"""The dial of the page stops at so many places."""


class Settings(BaseModel):
    """What is asked of a model; what is None is as ``distill generate`` has it."""

    kind: Literal["audio", "loop", "infill"] = "audio"
    seconds: float = Field(10.0, ge=0.5, le=600)
    count: int = Field(3, ge=1, le=64)
    originality: float = Field(0.5, ge=0, le=1)
    voice: Literal["auto", "recordings", "codec"] = "auto"
    temperature: list[float] = Field([1.0], min_length=1, max_length=4)
    """One for all levels, or one each."""
    top_k: int = Field(0, ge=0, le=1024)
    top_p: float | None = Field(None, gt=0, le=1)
    variety: float = Field(0.0, ge=0, le=5)
    max_similarity: float | None = Field(None, ge=0, le=100)
    seed: int | None = Field(None, ge=0, lt=2**31)
    """None draws another one each time."""
    beats: int | None = Field(None, ge=1, le=1000)
    bpm: float | None = Field(None, ge=20, le=400)
    given: str = Field("", max_length=2000)
    """A reference: the prompt that is gone on with, or the sound in which a passage is redrawn."""
    begin: float = Field(0.0, ge=0, le=86_400)
    end: float = Field(0.0, ge=0, le=86_400)
    format: AudioFormat = "wav"


def as_asked(request: Mapping[str, Any], seed: int, given: str = "") -> Settings:
    """The settings that ask for a piece once more.

    Args:
        request: what the library noted; other commands may have asked for what the page does not, so nothing is refused here.
        seed: where the request names none.
        given: the reference of its prompt or recording; empty where it has none.
    """
    sampling = request.get("sampling") or {}
    temperature, top_p = sampling.get("temperature", 1.0), sampling.get("top_p")
    originality, limit = _on_dial(request), request.get("max_similarity")
    dial = Dial.at(originality)
    samples, beats = request.get("samples", 0), request.get("beats")
    return Settings.model_construct(
        kind=request["kind"],
        seconds=round(samples / SAMPLE_RATE, 3) if samples else request.get("seconds") or 10.0,
        count=request.get("count", 1),
        originality=originality,
        voice=request.get("voice", "auto"),
        temperature=temperature if isinstance(temperature, list) else [temperature],
        top_k=sampling.get("top_k", 0),
        top_p=None if top_p is None or abs(top_p - dial.top_p) < 1e-6 else top_p,
        variety=sampling.get("variety", 0.0),
        max_similarity=None if limit == dial.max_similarity else limit,
        seed=request.get("first_seed", seed),
        beats=beats,
        bpm=round(60 * beats * SAMPLE_RATE / samples, 2) if beats and samples else None,
        given=given,
        begin=request.get("begin", 0.0),
        end=request.get("end", 0.0),
        format=request.get("audio_format", "wav"),
    )


def _on_dial(request: Mapping[str, Any]) -> float:
    """Where the dial stood, by the longest stretch of a recording that it allowed: each place has its own."""
    longest = request.get("longest_seconds")
    if longest is None:
        return NAMED["balanced"]
    places = [place / DIAL_STEPS for place in range(DIAL_STEPS + 1)]
    return min(places, key=lambda place: abs(Dial.at(place).longest_seconds - longest))
