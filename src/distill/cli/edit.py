"""``distill edit``: sound changed as codes, one operation after another in the order in which they are written."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

from distill.cli import options
from distill.cli.console import good, note, print_json
from distill.errors import SettingError

if TYPE_CHECKING:
    import numpy as np

    from distill.codes.edit import Clip, Selection
    from distill.models.model_file import Model

OPERATIONS = {
    "lock": ("levels",),
    "mirror": ("levels",),
    "rotate": ("by", "levels"),
    "repeat": ("times", "levels"),
    "fill": ("code", "levels"),
    "copy": ("to", "levels"),
    "insert": ("to",),
    "delete": (),
    "graft": ("over", "levels"),
    "blend": ("weight", "over", "levels"),
    "reimagine": ("seed", "temperature", "levels"),
}
"""The operations, and the options (details) of each, which are written after it."""
NEEDED = {"rotate": "by", "repeat": "times", "fill": "code", "copy": "to", "insert": "to", "blend": "weight"}
_ORDER = "distill.order"


class InOrder(typer.core.TyperCommand):
    """A command that knows in which order its options were written."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses as usual, and notes the options' names in the context, one per occurrence."""
        order = self.make_parser(ctx).parse_args(args=list(args))[2]
        ctx.meta[_ORDER] = [parameter.name for parameter in order]
        return super().parse_args(ctx, args)


@dataclass
class Operation:
    """One thing to be done, as it was written."""

    name: str
    value: str
    details: dict[str, str] = field(default_factory=dict)


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
        list[str] | None, _many("Move it later, --by so much; what leaves at the end comes in at the beginning.", SPAN)
    ] = None,
    repeat: Annotated[
        list[str] | None,
        _many("Repeat it, --times in all: on all levels inserted, on some levels written over what follows.", SPAN),
    ] = None,
    fill: Annotated[list[str] | None, _many("Fill it with one --code, or one per level: 3,17.", SPAN)] = None,
    copy: Annotated[list[str] | None, _many("Write a copy of it over what is at --to.", SPAN)] = None,
    insert: Annotated[list[str] | None, _many("Insert a copy of it at --to; what was there moves later.", SPAN)] = None,
    delete: Annotated[list[str] | None, _many("Remove it; what follows moves earlier.", SPAN)] = None,
    graft: Annotated[list[str] | None, _many("Take --levels from another sound, --over a SPAN.", "SOUND")] = None,
    blend: Annotated[list[str] | None, _many("Mix in another sound by --weight, --over a SPAN.", "SOUND")] = None,
    reimagine: Annotated[
        list[str] | None, _many("Let the prior draw it anew, --seed and --temperature as in generate.", SPAN)
    ] = None,
    lock: Annotated[list[str] | None, _many("Protect it from the operations that follow.", SPAN)] = None,
    levels: Annotated[
        list[str] | None,
        _many("Levels for the operation before it, such as 1-2, Structure or det; all if not given.", "LEVELS"),
    ] = None,
    over: Annotated[
        list[str] | None, _many("Where to --graft or --blend; as far as both sounds go if not given.", SPAN)
    ] = None,
    to: Annotated[list[str] | None, _many("Where to --copy or --insert it.", "PLACE")] = None,
    by: Annotated[list[str] | None, _many("How far to --rotate; negative moves it earlier.", "PLACE")] = None,
    times: Annotated[list[str] | None, _many("How often --repeat plays it in all, 2 or more.", "N")] = None,
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
    device: options.DeviceOption = options.Device.AUTO,
    as_json: options.JsonOption = False,
) -> None:
    """Change SOUND as MODEL's codes: operations are done in the order they are written, each followed by its own options.

    A SPAN is in seconds (2-4, or 2.5- to the end), in columns (c94-c188), or all.
    A PLACE is in seconds (3.5) or a column (c164).
    """
    given = {name: list(value) for name, value in locals().copy().items() if isinstance(value, list)}
    operations = in_order(context.meta[_ORDER], given)

    from distill.codes.codes_file import save_codes
    from distill.evaluation.codec_files import decode_file, read_sound
    from distill.files.names import output_file
    from distill.models.model_file import load_model
    from distill.training.launch import choose_device

    model = options.model_file(model)
    others = [Path(one.value) for one in operations if one.name in ("graft", "blend")]
    with output_file(out, Path(f"{sound.stem}-edited.codes"), sound, model, *others) as target:
        if target.suffix != ".codes":
            from distill.audio.writing import check_output_format

            check_output_format(target.suffix.lower().removeprefix("."), bit_depth)
        loaded = load_model(model, choose_device(device))
        read = read_sound(loaded, sound)
        editing = Editing(loaded, read.codes.numpy(), lambda path: read_sound(loaded, path).codes.numpy())
        said = [editing.apply(operation) for operation in operations]
        edited = editing.as_codes(read)
        if target.suffix == ".codes":
            save_codes(target, edited)
        else:
            decode_file(loaded, edited, target, bit_depth)
    if as_json:
        positions, count = edited.codes.shape
        print_json(
            {"out": target.resolve(), "did": said, "positions": positions, "levels": count, "samples": edited.samples}
        )
        return
    for sentence in said:
        note(f"  {sentence}", style="dim")
    good(f"{target}: {edited.samples / edited.sample_rate:.2f} s")


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
    for operation in operations:
        needed = NEEDED.get(operation.name)
        if needed is not None and needed not in operation.details:
            raise SettingError(f"--{operation.name} needs --{needed}.", f"Write it after --{operation.name}.")
    if all(operation.name == "lock" for operation in operations):
        raise SettingError(
            "There is nothing to do.", "Add an operation, such as --mirror 2-4; see distill edit --help."
        )
    return operations


class Editing:
    """A grid as it is changed.

    Args:
        read: gives the grid ``[S, Q]`` of another sound.
    """

    def __init__(self, model: "Model", grid: "np.ndarray", read: "Callable[[Path], np.ndarray]") -> None:
        import numpy as np

        self._model, self.grid, self._read = model, grid, read
        self._locked = np.zeros(grid.shape, bool)

    def as_codes(self, read: Any) -> Any:
        """What was read, as it is now; a sound that has grown by a column is longer by a column."""
        import dataclasses

        import torch

        samples = read.samples + (len(self.grid) - len(read.codes)) * self._model.codec.hop
        return dataclasses.replace(read, codes=torch.from_numpy(self.grid), samples=samples)

    def apply(self, operation: Operation) -> str:
        """Does one operation, and says what was done.

        Raises:
            SettingError: if it cannot be done.
        """
        from distill.codes import edit

        details, grid = operation.details, self.grid
        other = self._read(Path(operation.value)) if operation.name in ("graft", "blend") else None
        if other is None:
            chosen = self._selection(operation.value, details.get("levels"))
        else:
            chosen = self._selection(details.get("over"), details.get("levels"), min(len(grid), len(other)))
        where = self._words(chosen)
        match operation.name:
            case "lock":
                self._locked |= chosen.mask(grid)
                return f"Locked {where}."
            case "mirror":
                return self._take(edit.mirror(grid, chosen), f"Mirrored {where}.")
            case "rotate":
                by = self._column("by", details["by"])
                return self._take(edit.rotate(grid, chosen, by), f"Rotated {where} by {by} columns.")
            case "repeat":
                times = int(_number("times", details["times"]))
                after = edit.repeat(grid, chosen, times)
                if len(after) == len(grid):
                    return self._take(after, f"Repeated {where}, {times} times in all.")
                copies = edit.Clip(after[chosen.stop : chosen.first + times * chosen.length], chosen.levels)
                return self._insert(copies, chosen.stop, f"Repeated {where}, {times} times in all.")
            case "fill":
                codes = [int(_number("code", part)) for part in details["code"].split(",")]
                filled = edit.fill(grid, chosen, codes, self._model.codec.codebook_size)
                return self._take(filled, f"Filled {where} with {details['code']}.")
            case "copy":
                to = self._column("to", details["to"])
                return self._take(edit.paste(grid, edit.copy(grid, chosen), to), f"Copied {where} to column {to}.")
            case "insert":
                to = self._column("to", details["to"])
                return self._insert(edit.copy(grid, chosen), to, f"Inserted {where} at column {to}.")
            case "delete":
                self._locked = edit.delete_unlocked(self._locked, chosen.first, chosen.stop)
                self.grid = edit.delete(grid, chosen.first, chosen.stop)
                return f"Deleted {where}."
            case "graft":
                assert other is not None
                return self._take(edit.graft(grid, other, chosen), f"Took {where} from {Path(operation.value).name}.")
            case "blend":
                assert other is not None
                return self._blend(other, chosen, operation)
        return self._reimagine(chosen, details)

    def _blend(self, other: "np.ndarray", chosen: "Selection", operation: Operation) -> str:
        from distill.codes import edit

        weight = _number("weight", operation.details["weight"])
        codebooks = self._model.codec.quantizer.codebooks.cpu().numpy()
        mixed = edit.blend(self.grid, other, chosen, weight, codebooks)
        name, snapped = Path(operation.value).name, [int((mixed.snapped == kind).sum()) for kind in range(3)]
        return self._take(
            mixed.grid,
            f"Blended {weight:g} of {name} into {self._words(chosen)}: {snapped[2]} columns have codes between "
            f"the two, {snapped[0]} kept their own, {snapped[1]} took the other's; their mean distance to the mix is "
            f"{mixed.off.mean():.2f} of that between the two sounds.",
        )

    def _reimagine(self, chosen: "Selection", details: dict[str, str]) -> str:
        import secrets

        import torch

        from distill.making.reimagine import reimagine
        from distill.making.sampling import Sampling

        seed = int(_number("seed", details["seed"])) if "seed" in details else secrets.randbelow(2**31)
        if not 0 <= seed < 2**31:
            raise SettingError(f"The seed {seed} is out of range.", f"Choose one from 0 to {2**31 - 1}.")
        sampling = Sampling(options.temperatures(details.get("temperature", "1")))
        free = torch.from_numpy(chosen.mask(self.grid) & ~self._locked)
        drawn = reimagine(self._model, torch.from_numpy(self.grid), free, 1, sampling, seed)[0].numpy()
        return self._take(drawn, f"Re-imagined {self._words(chosen)} with seed {seed}.")

    def _take(self, after: "np.ndarray", words: str) -> str:
        from distill.codes import edit

        self.grid = edit.keep(self.grid, after, self._locked)
        return words

    def _insert(self, clip: "Clip", column: int, words: str) -> str:
        from distill.codes import edit

        self.grid = edit.insert(self.grid, clip, column)
        self._locked = edit.insert_unlocked(self._locked, column, len(clip.codes))
        return words

    def _selection(self, span: str | None, levels: str | None, columns: int | None = None) -> "Selection":
        from distill.codes import edit

        first, stop = self._span(span, len(self.grid) if columns is None else columns)
        chosen = None if levels is None else edit.levels_named(levels, self._model.codec.num_quantizers)
        return edit.select(self.grid, first, stop, chosen)

    def _span(self, text: str | None, columns: int) -> tuple[int, int]:
        if text is None or text == "all":
            return 0, columns
        begin, dash, end = text.partition("-")
        if not dash:
            raise SettingError(
                f"'{text}' is not a SPAN.", "Write 2-4 (seconds), 2.5- (to the end), c94-c188 (columns) or all."
            )
        first = self._column("span", begin)
        return first, columns if not end else max(first + 1, self._column("span", end))

    def _column(self, name: str, text: str) -> int:
        """``3.5`` (seconds) or ``c164``."""
        if text[:1] == "c":
            return int(_number(name, text[1:]))
        return round(_number(name, text) * self._model.codec.frame_rate)

    def _words(self, chosen: "Selection") -> str:
        from distill.models.health import LEVEL_NAMES

        rate, names = self._model.codec.frame_rate, LEVEL_NAMES[self._model.codec.num_quantizers]
        on = "" if len(chosen.levels) == len(names) else f" on {', '.join(names[level] for level in chosen.levels)}"
        return f"{chosen.first / rate:.2f}-{chosen.stop / rate:.2f} s{on}"


def _number(name: str, text: str) -> float:
    import math

    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise SettingError(
            f"'{text}' is not a number, as --{name} needs.", "See distill edit --help for how it is written."
        )
    return number
