"""``distill edit``: sound changed as codes, one operation after another in the order in which they are written."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

from distill.cli import options
from distill.cli.console import good, note, print_json
from distill.cli.outputs import refusing
from distill.errors import SettingError
from distill.files.regular import absolute
from distill.making.operations import OPERATIONS, Operation, check

if TYPE_CHECKING:
    from distill.codes.codes_file import Codes

_ORDER = "distill.order"


class InOrder(typer.core.TyperCommand):
    """A command that knows in which order its options were written."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses as usual, and notes the options' names in the context, one per occurrence."""
        order = self.make_parser(ctx).parse_args(args=list(args))[2]
        ctx.meta[_ORDER] = [parameter.name for parameter in order]
        return super().parse_args(ctx, args)


def _many(text: str, metavar: str) -> Any:
    return typer.Option(help=text, metavar=metavar, show_default=False)


SPAN = "SPAN"


def edit(
    context: typer.Context,
    model: options.ModelArgument,
    sound: Annotated[
        Path, typer.Argument(metavar="SOUND", help="A .codes file, or an audio file.", show_default=False)
    ],
    mirror: Annotated[list[str] | None, _many("Reverse it in time.", SPAN)] = None,
    rotate: Annotated[
        list[str] | None, _many("Move it later, by --by; what leaves at the end comes in at the beginning.", SPAN)
    ] = None,
    repeat: Annotated[
        list[str] | None,
        _many(
            "Play it --times in all. On all levels the repeats are inserted; on some they replace what follows.", SPAN
        ),
    ] = None,
    fill: Annotated[list[str] | None, _many("Fill it with one --code, or one per level: 3,17.", SPAN)] = None,
    copy: Annotated[list[str] | None, _many("Copy it to --to, replacing what is there.", SPAN)] = None,
    insert: Annotated[list[str] | None, _many("Insert a copy of it at --to; what was there moves later.", SPAN)] = None,
    delete: Annotated[list[str] | None, _many("Remove it; what follows moves earlier.", SPAN)] = None,
    graft: Annotated[list[str] | None, _many("Take --levels from another sound, --over a SPAN.", "SOUND")] = None,
    blend: Annotated[list[str] | None, _many("Mix in another sound by --weight, --over a SPAN.", "SOUND")] = None,
    reimagine: Annotated[
        list[str] | None, _many("Let the prior redraw it; --seed and --temperature as in generate.", SPAN)
    ] = None,
    lock: Annotated[list[str] | None, _many("Protect it from later operations.", SPAN)] = None,
    levels: Annotated[
        list[str] | None,
        _many("Levels for the operation before it, such as 1-2, Structure or det; all if not given.", "LEVELS"),
    ] = None,
    over: Annotated[
        list[str] | None, _many("Where to --graft or --blend; the length that both sounds share if not given.", SPAN)
    ] = None,
    to: Annotated[list[str] | None, _many("Where to --copy or --insert it.", "PLACE")] = None,
    by: Annotated[list[str] | None, _many("How far to --rotate; negative moves it earlier.", "PLACE")] = None,
    times: Annotated[list[str] | None, _many("How many times --repeat plays it in all, 2 or more.", "N")] = None,
    code: Annotated[list[str] | None, _many("What to --fill it with.", "N")] = None,
    weight: Annotated[
        list[str] | None, _many("Share of the other sound in --blend: 0 is SOUND alone, 1 the other alone.", "0..1")
    ] = None,
    seed: Annotated[
        list[str] | None, _many("Seed of --reimagine; a different one each time if not given.", "N")
    ] = None,
    temperature: Annotated[list[str] | None, _many("Temperature of --reimagine; 1 is natural.", "T")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="A .codes file, or audio (wav, flac, ogg, mp3).", show_default="SOUND's name + -edited.codes"
        ),
    ] = None,
    bit_depth: options.BitDepthOption = 24,
    device: options.DeviceOption = "auto",
    as_json: options.JsonOption = False,
) -> None:
    """Edit SOUND as MODEL's codes: operations run in the order they are written, each followed by its own options.

    A SPAN is in seconds (2-4, or 2.5- to the end), in columns (c94-c188), or all; a column is one position of the codes.
    A PLACE is in seconds (3.5) or a column (c164).
    """
    given = {name: list(value) for name, value in locals().copy().items() if isinstance(value, list)}
    operations = in_order(context.meta[_ORDER], given)
    target, edited, did = _edited(context, model, sound, operations, out, bit_depth, device)
    if as_json:
        positions, count = edited.codes.shape
        print_json(
            {"out": absolute(target), "did": did, "positions": positions, "levels": count, "samples": edited.samples}
        )
        return
    for sentence in did:
        note(f"  {sentence}", style="dim")
    good(f"{target}: {edited.samples / edited.sample_rate:.2f} s")


def _edited(
    context: typer.Context,
    model: Path,
    sound: Path,
    operations: list[Operation],
    out: Path | None,
    bit_depth: int,
    device: str,
) -> "tuple[Path, Codes, list[str]]":
    """Does the operations one after the other, and writes the sound; gives the file, its codes, and what was done in words."""
    from distill.codes.codes_file import save_codes
    from distill.evaluation.codec_files import decode_file, read_sound
    from distill.files.names import CODES_SUFFIX, SOUND_SUFFIXES, output_file
    from distill.making.drawing import Sampling
    from distill.making.editing import Editing
    from distill.models.model_file import load_model
    from distill.settings import temperatures
    from distill.training.device import choose_device

    for warmth in [temperatures(one.details.get("temperature", "1")) for one in operations]:
        with refusing("--temperature"):
            Sampling(warmth)
    model = options.model_file(model)
    others = [Path(one.value) for one in operations if one.name in ("graft", "blend")]
    endings = [CODES_SUFFIX, *SOUND_SUFFIXES]
    with output_file(out, Path(f"{sound.stem}-edited{CODES_SUFFIX}"), sound, model, *others, endings=endings) as target:
        options.check_bit_depth(context, target, bit_depth)
        loaded = load_model(model, choose_device(device))
        read = read_sound(loaded, sound, note)
        editing = Editing(loaded, read, lambda name: read_sound(loaded, Path(name), note))
        did = [editing.apply(operation) for operation in operations]
        edited = editing.as_codes()
        if target.suffix.lower() == CODES_SUFFIX:
            save_codes(target, edited)
        else:
            decode_file(loaded, edited, target, bit_depth)
    return target, edited, did


def in_order(order: list[str], given: dict[str, list[str]]) -> list[Operation]:
    """The operations as they were written, each with the details that follow it.

    Raises:
        SettingError: if there is none, or a detail does not belong where it stands, or one is missing.
    """
    left = {name: iter(values) for name, values in given.items()}
    operations: list[Operation] = []
    for name in order:
        if name not in left:
            continue
        value = next(left[name])
        if name in OPERATIONS:
            operations.append(Operation(name, value))
            continue
        fitting = [f"--{one}" for one, details in OPERATIONS.items() if name in details]
        if not operations or name not in OPERATIONS[operations[-1].name]:
            where = "first" if not operations else f"after --{operations[-1].name}, which does not take it"
            raise SettingError(f"--{name} comes {where}.", f"Write it after {' or '.join(fitting)}.")
        if name in operations[-1].details:
            raise SettingError(f"--{operations[-1].name} has --{name} twice.", "Give it once per operation.")
        operations[-1].details[name] = value
    check(operations, "--")
    return operations
