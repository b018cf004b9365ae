"""The sections to listen to: new audio, and recordings beside their reconstructions."""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distill.audio.rate import SAMPLE_RATE
from distill.counted import counted
from distill.durations import duration, place
from distill.originality.verdict import REPEATED, Originality, Verdict
from distill.report.contents import NewAudio, Reconstruction
from distill.report.markup import Section, badge, name, section, text
from distill.report.sound import (
    data_url,
    flac_bytes,
    mel_picture,
    mel_position,
    picture_png,
    sound_url,
    waveform_path,
)

_ORIGINAL_SECONDS = 20
NEW_SECONDS = 60
"""Of a new piece on the page."""
_LOSSLESS_BYTES = 20_000_000
"""Of FLAC on a page, which takes a third more there; the page is to stay under 30 MB."""
_WAVE_COLUMNS = 600
_ORIGIN_KEYS = "".join(
    f'<span class="origin-key {verdict.value.lower()}">{verdict.value}</span>'
    for verdict in (Verdict.ORIGINAL, Verdict.CLOSE, Verdict.COPY)
)
_HERTZ_MARKS = {200: "200 Hz", 1000: "1 kHz", 2000: "2", 5000: "5", 10_000: "10", 20_000: "20 kHz"}


def new_audio_section(pieces: Sequence[NewAudio], beside: Path, is_small: bool) -> Section | None:
    """A card per generated piece; ``beside`` is the report's folder, from which pieces are pointed to.

    With ``is_small`` they are played as MP3, which is told.
    """
    if not pieces:
        return None
    cards = "".join(_new_card(piece, beside, is_small) for piece in pieces)
    across = "one" if len(pieces) == 1 else "three" if len(pieces) % 3 == 0 else "two"
    return section(
        "listen",
        "New audio",
        f"{counted(len(pieces), 'piece')} composed by the model, code by code. Each picture shows "
        "loudness above, and below it which pitches sound when, bright where they are strong. Click anywhere "
        "in it to listen from there."
        + (" To keep this page small, all it plays is MP3; the files themselves are unchanged." if is_small else ""),
        f'<div class="cards {across}">{cards}</div>',
    )


def is_much(pieces: Sequence[NewAudio], pairs: Sequence[Reconstruction]) -> bool:
    """Whether their sound would make the page too large as FLAC."""
    limit = _ORIGINAL_SECONDS * SAMPLE_RATE
    sounds = [sound[:, :limit] for pair in pairs for sound in (pair.original, pair.decoded)]
    for piece in pieces:
        sounds += [piece.audio[:, : NEW_SECONDS * SAMPLE_RATE], *([] if piece.places is None else [piece.places])]
    room = _LOSSLESS_BYTES
    for sound in sounds:
        if sound.shape[1]:
            room -= len(flac_bytes(sound))
        if room < 0:
            return True
    return False


def reconstruction_section(
    pairs: Sequence[Reconstruction], held_out: Collection[str], is_small: bool
) -> Section | None:
    """Original and decoded side by side on one scale."""
    if not pairs:
        return None
    return section(
        "reconstructions",
        "Reconstructions",
        "Each recording was encoded and decoded from its codes alone: new audio in the codec's "
        "voice can sound no better than that. The mel distance says how far the two are apart; 0 would be "
        "identical, and lower is closer.",
        "".join(
            comparison(
                pair.name,
                {"Original": pair.original, "Decoded from codes": pair.decoded},
                mel_measure(pair.mel_distance),
                pair.name in held_out,
                is_small=is_small,
            )
            for pair in pairs
        ),
    )


def _new_card(piece: NewAudio, beside: Path, is_small: bool) -> str:
    total = piece.audio.shape[1] / SAMPLE_RATE if piece.whole_seconds is None else piece.whole_seconds
    if piece.audio.shape[1] == 0:
        body = '<p class="note">This piece holds no sound.</p>'
    else:
        sound = piece.audio[:, : NEW_SECONDS * SAMPLE_RATE]
        strip = "" if piece.originality is None else _origin_strip(piece.originality, sound.shape[1] / SAMPLE_RATE)
        strip += _grain_strip(piece, sound.shape[1] / SAMPLE_RATE, is_small)
        label = f"new audio {piece.name}"
        body = track(sound, sound.shape[1], None, label, waveform=True, below=strip, is_small=is_small)
        if piece.originality is not None:
            found = piece.summary or piece.originality.summary()
            body += f'<p class="note">{_ORIGIN_KEYS}</p><p class="note">{text(found[:1].upper() + found[1:])}</p>'
    said = f'<p class="how">Seed {piece.seed}<span class="dot">·</span>{text(piece.settings)}</p>'
    where, is_beside = "", False
    if piece.path is not None:
        shown = piece.path.relative_to(beside) if piece.path.is_relative_to(beside) else piece.path
        where = f"<code>{name(shown)}</code>"
        is_beside = str(shown) == piece.name
    played = min(NEW_SECONDS, piece.audio.shape[1] / SAMPLE_RATE)
    if total > played + 0.5:
        whole = f"; the whole piece is in {where}" if where else ""
        said += f'<p class="note">The first {played:.0f} s of {duration(total)}{whole}.</p>'
    elif where and not is_beside:  # there the title says it
        said += f'<p class="note">{where}</p>'
    title = f'<header><h3>{name(piece.name)}</h3><span class="length">{duration(total)}</span></header>'
    return f'<article class="card">{title}{body}{said}</article>'


def _origin_strip(originality: Originality, shown: float) -> str:
    """One bar per second under the picture, the higher the nearer to a recording; its tooltip says which, and where in it."""
    bars = []
    for number, second in enumerate(originality.seconds):
        left, width = number / shown, min(1.0, shown - number) / shown
        if width <= 0:
            break
        words = f"{number} s: {second.verdict.value}"
        if second.recording:
            words += f", nearest {second.recording} at {place(second.at_seconds)}, similarity {second.similarity:.2f}"
            words += f"; {REPEATED}" if second.is_repeated else ""
        bars.append(
            f'<i class="{second.verdict.value.lower()}" style="left:{100 * left:.2f}%;width:{100 * width:.2f}%" '
            f'title="{text(words)}"></i>'
        )
    return (
        f'<div class="origin" role="img" aria-label="Originality: {text(originality.summary())}">{"".join(bars)}</div>'
    )


def _grain_strip(piece: NewAudio, shown: float, is_small: bool) -> str:
    """The grains a piece is made of, a bar each; a press plays the place of the recording that it was taken from."""
    if piece.places is None or not piece.grains:
        return ""
    bars = "".join(
        f'<i style="left:{100 * grain.at / shown:.2f}%;width:{100 * min(grain.seconds, shown - grain.at) / shown:.2f}%" '
        f'title="{text(grain.words)}" data-begin="{grain.begin:.4f}" data-seconds="{grain.seconds:.4f}"></i>'
        for grain in piece.grains
        if grain.at < shown
    )
    sound = sound_url(piece.places, is_small=is_small)
    label = f"{counted(len(piece.grains), 'grain')} of the recordings; press one to hear where it comes from"
    return (
        f'<div class="grains" role="img" aria-label="{text(label)}">{bars}'
        f'<audio preload="none" src="{sound}"></audio></div>'
    )


def comparison(
    called: str,
    sides: Mapping[str, npt.NDArray[np.float32]],
    measure: str | Mapping[str, str],
    is_held_out: bool,
    *,
    is_small: bool = False,
) -> str:
    """A card of several versions ``[C, N]`` of one recording, the original first, each up to 20 s of it.

    All pictures have the original's scale, or a louder version would look like a better one.

    Args:
        measure: finished HTML, of the recording or of each version that has one; empty where nothing was measured.
        is_small: plays MP3 in place of FLAC.
    """
    limit = _ORIGINAL_SECONDS * SAMPLE_RATE
    shown = {side: sound[:, :limit] for side, sound in sides.items()}
    original = next(iter(shown.values()))
    samples = max(sound.shape[1] for sound in shown.values())
    marks = badge("held out: never trained on", "aside") if is_held_out else ""
    heads = {side: text(side) for side in shown}
    if isinstance(measure, Mapping):
        heads |= {side: f'{heads[side]} <span class="measure">{one}</span>' for side, one in measure.items()}
    elif measure:
        marks += f'<span class="measure">{measure}</span>'
    if samples == 0:
        body = '<p class="note">This recording holds no sound.</p>'
    else:
        loudest = mel_picture(original, samples).loudest
        tracks = "".join(
            f"<div><h4>{heads[side]}</h4>{track(sound, samples, loudest, f'{side}: {called}', is_small=is_small)}</div>"
            for side, sound in shown.items()
        )
        body = f'<div class="pair">{tracks}</div>'
    total = next(iter(sides.values())).shape[1] / SAMPLE_RATE
    cut = ""
    if total > _ORIGINAL_SECONDS:
        cut = f'<p class="note">The first {_ORIGINAL_SECONDS} s of {duration(total)}.</p>'
    title = f'<header><h3>{name(called)}</h3><div class="marks">{marks}</div></header>'
    return f'<article class="card">{title}{body}{cut}</article>'


def mel_measure(distance: float) -> str:
    """A mel distance, for :func:`comparison`; empty where it was not measured."""
    return f"mel distance <b>{distance:.2f}</b>" if math.isfinite(distance) else ""


def track(
    audio: npt.NDArray[np.float32],
    samples: int,
    loudest: float | None,
    label: str,
    *,
    waveform: bool = False,
    below: str = "",
    is_small: bool = False,
) -> str:
    """Picture and player of ``audio`` [C, N]; the picture spans ``samples``, 80 dB down from ``loudest``.

    Args:
        below: finished HTML between the two, on the picture's scale of time.
        is_small: plays MP3 in place of FLAC.
    """
    picture = mel_picture(audio, samples)
    image = data_url("image/png", picture_png(picture, picture.loudest if loudest is None else loudest))
    wave = ""
    if waveform:
        wave = (
            f'<svg class="wave" viewBox="0 0 {_WAVE_COLUMNS} 200" preserveAspectRatio="none" '
            f'aria-hidden="true"><path d="{waveform_path(audio, _WAVE_COLUMNS)}"/></svg>'
        )
    span = samples / SAMPLE_RATE
    player = ""
    if audio.shape[1]:
        sound = sound_url(audio, is_small=is_small)
        player = f'<audio controls preload="metadata" aria-label="{text(label)}" src="{sound}"></audio>'
    return (
        f'<div class="track" data-span="{span:.6f}"><div class="picture">{_hertz_axis()}'
        f'<div class="pane">{wave}<img alt="Spectrogram, {text(label)}" src="{image}">'
        f'<i class="playhead"></i></div>'
        f"{_seconds_axis(span)}</div>{below}{player}</div>"
    )


def _hertz_axis() -> str:
    marks = "".join(
        f'<span style="bottom:{float(mel_position(hertz)) * 100:.1f}%">{shown}</span>'
        for hertz, shown in _HERTZ_MARKS.items()
    )
    return f'<div class="hertz" aria-hidden="true">{marks}</div>'


def _seconds_axis(span: float) -> str:
    steps = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
    step = next((step for step in steps if span / step <= 6), steps[-1])
    # A mark at the very end would stick out of the picture.
    marks = "".join(
        f'<span style="left:{position * step / span * 100:.2f}%">{position * step:g} s</span>'
        for position in range(int(span / step) + 1)
        if position * step < 0.97 * span
    )
    return f'<div class="seconds" aria-hidden="true">{marks}</div>'
