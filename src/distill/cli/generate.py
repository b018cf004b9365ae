"""``distill generate MODEL``: new audio."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distill.cli import options
from distill.cli.console import good, print_json
from distill.cli.outputs import a_folder, can_be_written, naming_what_is_kept, new_sounds, refusing
from distill.cli.pieces import pieces_json, show_pieces
from distill.cli.training_view import TrainingView
from distill.durations import duration
from distill.errors import SettingError
from distill.files.regular import absolute
from distill.formats.suffixes import AudioFormat
from distill.making.choice import Choice

if TYPE_CHECKING:
    from distill.making.drawing import Sampling
    from distill.making.pieces import Piece
    from distill.making.request import Request

DEFAULT_SECONDS = 10.0


@dataclass(frozen=True)
class _Asked:
    """Which piece is asked for, as its options say it: new audio, with a prompt or without, a loop, or a passage made anew."""

    seconds: float | None
    prompt: Path | None
    loop: bool
    beats: int | None
    bpm: float | None
    infill: Path | None
    begin: float | None
    end: float | None

    def check_together(self) -> None:
        """Refuses options that contradict each other, before anything is loaded."""
        if (self.prompt is not None) + self.loop + (self.infill is not None) > 1:
            raise SettingError(
                "--prompt, --loop and --infill are three different things.", "Ask for one of them at a time."
            )
        if not self.loop and (self.beats is not None or self.bpm is not None):
            raise SettingError("--beats and --bpm set the length of a loop.", "Add --loop, or give --seconds.")
        given = (self.begin is not None) + (self.end is not None)
        if given and self.infill is None:
            raise SettingError("--from and --to mark a passage of a recording.", "Name the recording with --infill.")
        if self.infill is not None and given < 2:
            raise SettingError("--infill needs to know which passage to replace.", "Give --from and --to, in seconds.")
        if self.infill is not None and self.seconds is not None:
            raise SettingError("--from and --to set the length of what --infill makes.", "Leave out --seconds.")
        if self.beats is not None and self.seconds is not None:
            raise SettingError(
                "--beats and --seconds both set the length of a loop.", "Give --beats with --bpm, or --seconds."
            )

    def check_length(self, count: int) -> None:
        """Refuses a length that no model can make, before one is loaded."""
        from distill.making.infill import check_order
        from distill.making.loops import loop_seconds
        from distill.making.sampling import check_request

        if self.loop:
            with refusing("--seconds" if self.beats is None and self.bpm is None else "--beats and --bpm"):
                loop_seconds(self._seconds, self.beats, self.bpm)
        elif self.begin is not None and self.end is not None:
            with refusing("--from and --to"):
                check_order(self.begin, self.end)
        else:
            with refusing("--seconds"):
                check_request(self._seconds, count)

    def request(
        self, sampling: "Sampling", audio_format: str, bit_depth: int, sample_rate: int
    ) -> "tuple[Request, float]":
        """The request to a model, and how many seconds of each piece are new."""
        from distill.making.loops import loop_samples
        from distill.making.request import Request

        if self.loop:
            samples = loop_samples(self._seconds, self.beats, self.bpm, sample_rate)
            loop = Request("loop", sampling, audio_format, bit_depth, samples=samples, beats=self.beats)
            return loop, samples / sample_rate
        if self.infill is not None and self.begin is not None and self.end is not None:
            passage = Request(
                "infill", sampling, audio_format, bit_depth, begin=self.begin, end=self.end, given=self.infill
            )
            return passage, self.end - self.begin
        return Request("audio", sampling, audio_format, bit_depth, self._seconds, given=self.prompt), self._seconds

    @property
    def _seconds(self) -> float:
        return DEFAULT_SECONDS if self.seconds is None else self.seconds


def generate(
    context: typer.Context,
    model: options.ModelArgument,
    wanted_seconds: Annotated[
        float | None,
        typer.Option("--seconds", help="Length of each new piece, 0.5 to 600; a loop at most 300.", show_default="10"),
    ] = None,
    count: Annotated[int, typer.Option(help="How many pieces, 1 to 64.")] = 1,
    prompt: Annotated[
        Path | None, typer.Option(help="An audio file to continue; the piece begins where it ends.", show_default=False)
    ] = None,
    loop: Annotated[
        bool, typer.Option("--loop", help="A seamless loop of exactly --seconds, or of --beats at --bpm.")
    ] = False,
    beats: Annotated[int | None, typer.Option(help="Length of a loop in beats.", show_default=False)] = None,
    bpm: Annotated[float | None, typer.Option(help="Tempo of a loop, beats a minute.", show_default=False)] = None,
    infill: Annotated[
        Path | None,
        typer.Option(
            help="A recording in which the passage --from to --to is replaced by new audio.", show_default=False
        ),
    ] = None,
    begin: Annotated[
        float | None,
        typer.Option("--from", help="Where in --infill the passage begins, in seconds.", show_default=False),
    ] = None,
    end: Annotated[
        float | None, typer.Option("--to", help="Where in --infill the passage ends, in seconds.", show_default=False)
    ] = None,
    originality: Annotated[
        str, typer.Option(help="How far from your recordings: close, balanced, original, or a number from 0 to 1.")
    ] = "balanced",
    temperature: Annotated[
        str,
        typer.Option(
            help="Below 1 safer, above 1 wilder, 0 always the likeliest code; one value, or one per level: 0.8,0.9,1,1."
        ),
    ] = "1",
    top_k: Annotated[int, typer.Option(help="Draw from the k likeliest codes only; 0 draws from all.")] = 0,
    top_p: Annotated[
        float | None,
        typer.Option(
            help="Nucleus sampling: draw from the smallest set of codes with this share of the probability.",
            show_default="by --originality",
        ),
    ] = None,
    variety: Annotated[float, typer.Option(help="How strongly to avoid the sounds of the last seconds, 0 to 5.")] = 0.0,
    max_similarity: Annotated[
        float | None,
        typer.Option(
            help="Draw up to eight times, until a piece is no nearer to your recordings than this percentile of "
            "held-out seconds.",
            show_default="by --originality",
        ),
    ] = None,
    seed: options.DrawnSeedOption = None,
    audio_format: Annotated[AudioFormat, typer.Option("--format", help="File format.")] = "wav",
    bit_depth: options.BitDepthOption = 24,
    out: Annotated[Path, typer.Option(help="Folder for the audio.", callback=a_folder)] = Path(),
    voice: options.VoiceOption = Choice.AUTO,
    recordings: options.RecordingsOption = None,
    edl: options.EditListOption = False,
    device: options.DeviceOption = "auto",
    as_json: options.JsonOption = False,
) -> None:
    """Make new audio with MODEL. Existing files are never overwritten."""
    import secrets
    import time

    from distill.formats.writing import check_output_format
    from distill.making.pieces import check_similarity, make
    from distill.making.sampling import check_count
    from distill.making.voices import VoiceSettings
    from distill.models.model_file import load_model
    from distill.settings import temperatures
    from distill.training.device import choose_device

    asked = _Asked(wanted_seconds, prompt, loop, beats, bpm, infill, begin, end)
    asked.check_together()
    warmth = temperatures(temperature)
    _refuse_idle(context, warmth, audio_format, voice, top_p is not None and max_similarity is not None)
    dial = options.dial(originality)
    sampling = _sampling(temperature=warmth, top_k=top_k, top_p=dial.top_p if top_p is None else top_p, variety=variety)
    with refusing("--count"):
        check_count(count)
    asked.check_length(count)
    with refusing("--max-similarity"):
        check_similarity(max_similarity)
    with refusing("--bit-depth"):
        check_output_format(audio_format, bit_depth)
    can_be_written(out)
    model = options.model_file(model)
    loaded = load_model(model, choose_device(device))
    options.require_prior(loaded, model)
    request, seconds = asked.request(sampling, audio_format, bit_depth, loaded.codec.sample_rate)
    started = time.monotonic()
    with TrainingView() as view, naming_what_is_kept(new_sounds(out)):
        pieces = make(
            loaded,
            out,
            replace(request, voice=VoiceSettings(voice, dial.longest_seconds, dial.join_factor, recordings, edl)),
            secrets.randbelow(2**31 - 1_000_000) if seed is None else seed,
            count,
            max_similarity=dial.max_similarity if max_similarity is None else max_similarity,
            progress=view.counting("Composing"),
            callback=view,
        )
    taken = time.monotonic() - started
    if as_json:
        _print_json(pieces, seconds, taken)
        return
    show_pieces(pieces)
    good(f"{duration(count * seconds)} of audio in {duration(taken)}")


def _sampling(**settings: Any) -> "Sampling":
    """How codes are drawn; a setting that is refused is named as its option."""
    from distill.making.drawing import Sampling

    sampling = Sampling()
    for field, value in settings.items():  # one after the other, so that what is refused has a name
        with refusing(f"--{field.replace('_', '-')}"):
            sampling = replace(sampling, **{field: value})
    return sampling


def _print_json(pieces: Sequence["Piece"], seconds: float, taken: float) -> None:
    from distill.making.loops import Loop

    seams = [round(piece.generation.seam, 3) for piece in pieces if isinstance(piece.generation, Loop)]
    print_json(
        {
            **pieces_json(pieces),
            "seconds": seconds,
            "voices": ["recordings" if piece.made_of else "codec" for piece in pieces],
            "edit_lists": [piece.edit_list and absolute(piece.edit_list) for piece in pieces],
            "sidecars": [piece.sidecar and absolute(piece.sidecar) for piece in pieces],
            **({"seams": seams} if seams else {}),
            "seconds_taken": round(taken, 2),
            "real_time_factor": round(len(pieces) * seconds / taken, 2),
        }
    )


def _refuse_idle(
    context: typer.Context,
    temperatures: float | tuple[float, ...],
    audio_format: AudioFormat,
    voice: Choice,
    sets_dial: bool,
) -> None:
    """Refuses options that would do nothing beside others, before anything is loaded."""
    if not any(temperatures if isinstance(temperatures, tuple) else (temperatures,)):
        options.refuse_idle(context, "--temperature 0 always takes the likeliest code.", "top_k", "top_p")
    if audio_format in ("ogg", "mp3"):
        options.refuse_idle(context, f"{audio_format} has no bit depth.", "bit_depth")
    if voice is Choice.CODEC:
        options.refuse_idle(context, "The codec's voice needs no recordings.", "recordings")
        options.refuse_idle(
            context, "--edl lists the grains of your recordings, and the codec's voice has none.", "edl"
        )
        if sets_dial:
            why = "--top-p and --max-similarity set what --originality stands for in the codec's voice."
            options.refuse_idle(context, why, "originality")
