"""New audio on disk: pieces, loops and passages made anew, each judged for its originality and tagged with how it was made."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

from distill.errors import SettingError
from distill.files.atomic import ensure_writable
from distill.files.names import reserving, stem_of_model
from distill.formats.files import file_digest, probe
from distill.formats.writing import check_output_format, write_audio
from distill.making import loops
from distill.making.choice import Choice
from distill.making.drawing import Progress
from distill.making.given import read_prompt, read_recording
from distill.making.infill import Infill, infill, next_to
from distill.making.level import gain_to_meet
from distill.making.recordings import Replaced
from distill.making.request import Request
from distill.making.sampling import Generation, Voice, check_count, check_request, generate
from distill.making.sidecar import Quote, in_words, quotes, write_edit_list, write_sidecar
from distill.making.tries import MOST_TRIES, Drawn, draw_until_fine
from distill.making.voices import CodecVoice, RecordingsVoice, voice_of
from distill.models.model_file import Model
from distill.originality.judge import OriginalityJudge
from distill.originality.verdict import Originality, Verdict
from distill.runs.piece_notes import NewPiece, PieceNotes
from distill.training.metrics import MetricsCallback, Notice
from distill.training.notices import ignore

HEARD = (Verdict.ORIGINAL, Verdict.CLOSE, Verdict.COPY)

Take: TypeAlias = Generation | loops.Loop | Infill
"""What can be made with a model."""


@dataclass(frozen=True)
class Piece:
    """One new piece of audio on disk."""

    path: Path
    generation: Take
    originality: Originality
    number: int | None = None
    """Its number in the library; None where it is not noted there."""
    made_of: tuple[Quote, ...] = ()
    """The grains of recordings that are heard in it; none in the codec's voice."""
    sidecar: Path | None = None
    """The file that says where every moment comes from; none in the codec's voice."""
    edit_list: Path | None = None
    """The project in which a DAW shows the grains; none if it was not asked for."""

    def summary(self) -> str:
        """Where it came from, in a line for a person."""
        return "; ".join(filter(None, (in_words(self.made_of), self.originality.summary())))


def make(
    model: Model,
    out: Path,
    request: Request,
    seed: int = 0,
    count: int = 1,
    *,
    max_similarity: float | None = None,
    progress: Progress | None = None,
    callback: MetricsCallback | None = None,
) -> tuple[Piece, ...]:
    """Makes what is asked for, writes each piece to its own file in ``out``, and notes it in the library.

    Files are named after model and seed; none that is there already is touched.

    Args:
        seed: of the first piece; each further one has the next.
        max_similarity: draw up to eight times a piece, until its nearest second is at most at this percentile of
            what held-out recordings come to.
        callback: gets the notices. Without it, only that a piece cannot be noted is said, as a Python warning.

    Raises:
        MissingPriorError: if the model has no prior.
        SettingError: if a setting is out of range.
        AudioFileError: if the recordings' voice was asked for and none of them is there, or what is given cannot be read.
        OutputError: if ``out`` cannot be written to.
    """
    check_output_format(request.audio_format, request.bit_depth)
    model.require_prior()
    ensure_writable(out)
    check_similarity(max_similarity)
    check_count(count)
    if request.kind == "audio":
        check_request(request.seconds, count)
    request.sampling.check_levels(model.codec.num_quantizers)
    given_digest = None if request.given is None else file_digest(request.given)
    request = replace(request, max_similarity=max_similarity)
    tell = callback or ignore
    voice = voice_of(model, request.voice, tell, _replaced(request, given_digest))
    # What is noted is the voice that renders them, so that it can be made again.
    request = request.rendered_by(Choice.CODEC if voice is None else Choice.RECORDINGS)
    draw = _drawer(model, request, voice or CodecVoice(model), progress, tell)
    judged = _judged(model, draw, range(seed, seed + count), max_similarity, tell)
    pieces: list[Piece] = []
    notes = PieceNotes(model, callback)
    try:
        for one in judged:
            announced = partial(_announce, notes, request, given_digest, one.together)
            pieces.append(_written(model, out, request, one.take, one.originality, announced))
            notes.add(_noted(pieces[-1], request, given_digest, one.together))
    finally:  # what is on disk is noted, even if it was interrupted while it was
        notes.catch_up()
    return tuple(replace(piece, number=number) for piece, number in zip(pieces, notes.numbers, strict=True))


def check_similarity(highest: float | None) -> None:
    """Refuses a highest similarity that is no percentile.

    Raises:
        SettingError: with what it can be.
    """
    if highest is not None and not 0 <= highest <= 100:
        raise SettingError(f"The maximum similarity {highest:g} is out of range.", "Choose a percentile from 0 to 100.")


def _announce(notes: PieceNotes, request: Request, given_digest: str | None, together: range, piece: Piece) -> None:
    notes.announce(_noted(piece, request, given_digest, together), [] if piece.sidecar is None else [piece.sidecar])


def _noted(piece: Piece, request: Request, given_digest: str | None, together: range) -> NewPiece:
    """A piece as the library notes it.

    Args:
        given_digest: SHA-256 of the prompt or recording.
        together: seeds of the batch it was drawn in; to be drawn again as the same batch, since arithmetic in a batch need not
            be the same to the last bit.
    """
    return NewPiece(
        piece.path,
        piece.generation.seed,
        piece.summary(),
        {verdict.value.lower(): piece.originality.share(verdict) for verdict in HEARD},
        request.noted(given_digest, together.start, len(together)),
        piece.originality.seconds,
    )


def make_again(
    model: Model,
    out: Path,
    request: Request,
    seeds: range,
    seed: int,
    name: str,
    progress: Progress | None = None,
    callback: MetricsCallback = ignore,
) -> Piece:
    """Makes the piece of one seed as it was made before, and writes it under the name it had, if that is free.

    Args:
        seeds: those that were drawn together.
        name: of the file, without its ending.
    """
    check_output_format(request.audio_format, request.bit_depth)
    ensure_writable(out)
    given_digest = None if request.given is None else file_digest(request.given)
    voice = voice_of(model, request.voice, callback, _replaced(request, given_digest))
    takes = _drawer(model, request, voice or CodecVoice(model), progress, callback)(seeds)
    take = takes[seeds.index(seed)]
    return _written(model, out, request, take, OriginalityJudge(model).judge(*take.new_sound(model)), title=name)


def _replaced(request: Request, given_digest: str | None) -> Replaced | None:
    """The passage whose grains are left out.

    Args:
        given_digest: SHA-256 of the recording that it is in.
    """
    if given_digest is None or request.kind != "infill":
        return None
    return Replaced(given_digest, request.begin, request.end)


def _drawer(
    model: Model,
    request: Request,
    voice: Voice,
    progress: Progress | None,
    callback: MetricsCallback,
) -> Callable[[range], Sequence[Take]]:
    """What draws a take for each of some seeds, together; everything that the request names is read once, before."""
    sampling, given = request.sampling, request.given
    if request.kind == "loop":
        return lambda seeds: loops.make_loops(
            model, request.samples, len(seeds), sampling, seeds.start, progress, voice, request.beats
        )
    if request.kind == "infill" and given is not None:
        recording = read_recording(model, request, given, callback)
        around = next_to(recording, request.begin, request.end, model.codec.sample_rate)
        gain = gain_to_meet(model, around, given.name, callback)
        return lambda seeds: infill(
            model, recording, request.begin, request.end, len(seeds), sampling, seeds.start, progress, voice, gain=gain
        )
    prompt, gain = None, 1.0
    if given is not None:
        read = read_prompt(model, given, callback)
        prompt, gain = read.codes, read.gain
    return lambda seeds: generate(
        model, request.seconds, len(seeds), sampling, seeds.start, progress, prompt=prompt, gain=gain, voice=voice
    )


def _judged(
    model: Model,
    draw: Callable[[range], Sequence[Take]],
    seeds: range,
    max_similarity: float | None,
    callback: MetricsCallback,
) -> list[Drawn[Take]]:
    """A take a seed, and where each of them came from; what is too alike, or a loop with a seam, is drawn again."""
    judge = OriginalityJudge(model)

    def judged(take: Take) -> Originality:
        return judge.judge(*take.new_sound(model))

    def excesses(take: Take, originality: Originality) -> tuple[float, float]:
        alike = 0.0 if max_similarity is None else originality.percentile - max_similarity
        seam = take.seam - loops.AUDIBLE_SEAM if isinstance(take, loops.Loop) else 0.0
        return max(0.0, alike), max(0.0, seam)

    drawn = draw_until_fine(draw, judged, excesses, seeds)
    over = sum(one.excesses[0] > 0 for one in drawn)
    seams = [one.take.seam for one in drawn if isinstance(one.take, loops.Loop)]
    for words in (_too_alike(over, len(seeds), max_similarity), loops.seam_warning(seams)):
        if words:
            callback(Notice(words, is_warning=True))
    return drawn


def _too_alike(over: int, count: int, max_similarity: float | None) -> str:
    """A sentence if some pieces are not as original as was asked for; else empty."""
    if not over or max_similarity is None:
        return ""
    pieces = "The piece was" if count == 1 else f"{over} of {count} pieces were"
    of_each = "" if count == 1 else " of each"
    return (
        f"{pieces} above percentile {max_similarity:g} in all {MOST_TRIES} tries; the most original try{of_each} is kept. "
        "A higher temperature or originality helps."
    )


def _written(
    model: Model,
    out: Path,
    request: Request,
    take: Take,
    originality: Originality,
    announce: Callable[[Piece], None] | None = None,
    title: str | None = None,
) -> Piece:
    """Writes a piece and all that belongs beside it, each under a free name; where one of them fails, none stays.

    The audio comes after the list of its grains, so that a piece that is there has all it needs, whenever the process ends.
    """
    made_of = _made_of(model, take)
    with ExitStack() as reserved:
        path = reserved.enter_context(
            reserving(out / f"{title or f'{stem_of_model(model.header.name)}-{take.seed}'}.{request.audio_format}")
        )
        piece = Piece(path, take, originality, made_of=made_of)
        about = f"{request.words}, seed {take.seed}, {take.sampling.describe()}, model {model.fingerprint[:12]}"
        tags = {
            "title": title or path.stem,
            "software": f"Distill {version('distill-audio')}",
            "comment": f"{about}; {piece.summary()}",
        }
        if made_of:
            piece = replace(piece, sidecar=reserved.enter_context(reserving(path.with_suffix(".json"))))
        if announce is not None:
            announce(piece)
        if piece.sidecar is not None:
            write_sidecar(piece.sidecar, path.name, made_of, about)
        write_audio(
            path,
            take.blocks(model),
            format=request.audio_format,
            bit_depth=request.bit_depth,
            channels=model.codec.channels,
            tags=tags,
        )
        if made_of and request.voice.edit_list:
            edit_list = reserved.enter_context(reserving(path.with_suffix(".rpp")))
            write_edit_list(edit_list, path.name, made_of, probe(path).seconds, model.codec.sample_rate)
            piece = replace(piece, edit_list=edit_list)
    return piece


def _made_of(model: Model, take: Take) -> tuple[Quote, ...]:
    """The grains that are heard in a take, where the recordings' voice renders it."""
    match take:
        case loops.Loop(piece=piece):
            voice, codes, gain, skip, samples, at = piece.voice, piece.codes, piece.gain, take.start, take.samples, 0
        case Infill():
            voice, codes, gain, at = take.voice, take.codes, take.gain, take.start
            skip, samples = take.start - take.first, take.stop - take.start
        case _:
            voice, codes, gain, skip, at = take.voice, take.codes, take.gain, take.lead * model.codec.hop, 0
            samples = round(take.seconds * take.sample_rate)
    if not isinstance(voice, RecordingsVoice):
        return ()
    return quotes(voice.placed(codes), voice.bank.stretches, model.codec.sample_rate, skip, samples, at, gain)
