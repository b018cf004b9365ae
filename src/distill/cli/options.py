"""Options that several commands share, with one wording."""

import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from distill.cli.console import waiting
from distill.cli.outputs import refusing
from distill.errors import MissingPriorError, SettingError
from distill.files.names import CODES_SUFFIX, command
from distill.making.choice import Choice
from distill.runs.watching import Mode, Watching
from distill.training.arithmetic import Device, Precision

if TYPE_CHECKING:
    from distill.models.model_file import Model
    from distill.originality.dial import Dial

_STARTED = ("WORLD_SIZE", "SLURM_NTASKS", "LOCAL_RANK")
"""In the environment of a process that torchrun, Slurm or the first rank has started."""

_OPTION_OF = {"show_all": "--all"}
"""What options are called whose parameters have other names."""

FOLDER_HELP = "Folder of your recordings; subfolders are read too."
FolderArgument = Annotated[
    Path,
    typer.Argument(metavar="FOLDER", help=FOLDER_HELP, show_default=False),
]
MODEL_HELP = "A .distill file, or the name of a model or the beginning of it."
ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help=MODEL_HELP, show_default=False)]
ResumeOption = Annotated[
    Path | None,
    typer.Option(
        metavar="RUN",
        help="Resume a stopped training: RUN is its model (file or name) or its run folder. --minutes or --epochs say how "
        "much longer; without them it continues to the planned end.",
        show_default=False,
    ),
]
DeviceOption = Annotated[Device, typer.Option(help="Where to compute; auto takes a GPU if there is one.")]
FromScratchOption = Annotated[
    bool,
    typer.Option("--from-scratch", help="Start from random weights, not from the base models that come with Distill."),
]
_SAME = "The same seed gives the same result on the same machine, on the CPU."
_SEEDS: dict[str, Any] = {"min": 0, "max": 2**31 - 1}
SeedOption = Annotated[
    int,
    typer.Option(help=f"{_SAME} A training limited by --minutes never takes exactly the same steps twice.", **_SEEDS),
]
SplitSeedOption = Annotated[
    int, typer.Option(help="What is held out is drawn with it, as in a training with the same seed.", **_SEEDS)
]
PromptsSeedOption = Annotated[int, typer.Option(help=f"What is prompted and drawn follows from it. {_SAME}", **_SEEDS)]
DrawnSeedOption = Annotated[
    int | None,
    typer.Option(
        help="The same seed, --count and model give the same piece on the same machine, on the CPU; each piece "
        "is shown with its seed.",
        show_default="a new one each time",
        **_SEEDS,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Machine-readable result on stdout, everything else on stderr.")
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", is_eager=True)]
ChannelsOption = Annotated[
    str, typer.Option(help="auto, 1 (mono) or 2 (stereo); auto follows the recordings.", metavar="auto|1|2")
]
LevelsOption = Annotated[
    int | None, typer.Option("--rvq-levels", help="Quantizer levels, 2 to 4.", show_default="auto")
]
CodebookOption = Annotated[
    int | None, typer.Option("--codebook-size", help="Codes per level, 16 to 1024.", show_default="auto")
]
NameOption = Annotated[
    str | None,
    typer.Option(help="Name of the new model; an existing one is never replaced.", show_default="the folder's"),
]
BitDepthOption = Annotated[int, typer.Option(help="16, 24, or 32 (float, WAV only).")]
VoiceOption = Annotated[
    Choice,
    typer.Option(
        help="How codes become sound: by grains of your recordings, or by the codec; auto is the one measured to be nearer to "
        "the recordings."
    ),
]
RecordingsOption = Annotated[
    Path | None,
    typer.Option(help="Where your recordings are now, if they were moved.", metavar="FOLDER", show_default=False),
]
EditListOption = Annotated[
    bool,
    typer.Option("--edl", help="Also write a Reaper project (.rpp) with every grain of a recording as an item."),
]
SecondsOption = Annotated[float, typer.Option(help="Length of each new piece, 0.5 to 600.")]
EpochsOption = Annotated[
    int | None,
    typer.Option(help="Train for this many epochs (with --minutes: whichever ends first).", show_default=False),
]


DevicesOption = Annotated[
    int,
    typer.Option(help="Devices of this machine to train on, each with a batch of its own.", min=1, max=1024),
]
NodesOption = Annotated[int, typer.Option(help="Machines to train on.", min=1, max=4096)]
PrecisionOption = Annotated[
    Precision,
    typer.Option(
        help="Floating-point precision. bf16 is faster where the hardware supports it; 16 is for GPUs without bf16; Apple GPUs "
        "train in 32 alone; auto takes bf16 on CPUs that support it, 32 elsewhere."
    ),
]
StrategyOption = Annotated[
    Literal["auto", "ddp"],
    typer.Option(help="How devices share the work: ddp averages gradients; auto takes ddp where there are several."),
]
TensorboardOption = Annotated[
    Path | None,
    typer.Option(
        "--tensorboard",
        metavar="DIR",
        help="Log the run for TensorBoard, in a folder of its own in DIR.",
        show_default=False,
    ),
]
WandbOption = Annotated[
    Mode | None,
    typer.Option(
        "--wandb",
        help="Log the run for Weights & Biases: offline writes it to ./wandb and sends nothing, online sends the figures.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class Training:
    """What is asked of every training, be it begun or resumed."""

    epochs: int | None
    minutes: float | None
    device: str
    as_json: bool
    watching: Watching


@contextmanager
def together(device: str, devices: int, nodes: int, strategy: str) -> Iterator[bool]:
    """While the block lasts all processes of a training work together; gives whether this one is to do what was asked for.

    Raises:
        DeviceError, RankError, SettingError: as ``distill.training.launch.together``.
    """
    if devices == nodes == 1 and strategy == "auto" and not any(name in os.environ for name in _STARTED):
        yield True
        return
    # What PyTorch warns of sockets, with the addresses of its functions, comes again as a sentence. Read when it is imported.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")
    from distill.training import launch

    with launch.together(device, devices, nodes, strategy) as leads:
        yield leads


def verb(function: Callable[..., None]) -> Callable[..., None]:
    """The function with a sign of life, flags that show no value in help, and one more option, ``--debug``, which it does
    not see: ``app.py`` looks for it once an error comes."""

    @functools.wraps(function)
    def without_debug(*words: Any, debug: bool, **options: Any) -> None:
        with nullcontext() if any(name in os.environ for name in _STARTED) else waiting.on(sys.stderr):
            function(*words, **options)

    own = inspect.signature(function)
    option = inspect.Parameter("debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=DebugOption)
    without_debug.__annotations__ = {**function.__annotations__, "debug": DebugOption}
    for hint in without_debug.__annotations__.values():
        for about in getattr(hint, "__metadata__", ()) if getattr(hint, "__origin__", None) is bool else ():
            about.metavar = ""  # a flag takes no value, and typer's <bool> would read as if it did
    without_debug.__signature__ = own.replace(parameters=[*own.parameters.values(), option])  # type: ignore[attr-defined]
    return without_debug


def given(value: Path | None, name: str) -> Path:
    """An argument that is required unless ``--resume`` is given.

    Raises:
        BadParameter: if it is missing.
    """
    if value is None:
        raise typer.BadParameter("it is required unless --resume is given.", param_hint=name)
    return value


def chosen(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the fields that the person set; the others are None."""
    return {name: value for name, value in fields.items() if value is not None}


def is_given(context: typer.Context, name: str) -> bool:
    """Whether the person gave the option, be it with its default value."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def refuse_idle(context: typer.Context, why: str, *names: str) -> None:
    """Refuses options that would do nothing beside others.

    Args:
        why: a sentence that says why they would.

    Raises:
        SettingError: with the ones that were given.
    """
    idle = [_OPTION_OF.get(name, f"--{name.replace('_', '-')}") for name in names if is_given(context, name)]
    if idle:
        raise SettingError(why, f"Leave out {' and '.join(idle)}.")


def refuse_with_resume(context: typer.Context, *names: str) -> None:
    """Refuses options that would do nothing with ``--resume``, as the run they belong to has begun.

    Raises:
        SettingError: with the ones that were given.
    """
    why = "--resume goes on with a training whose name, place, sizes, precision, learning rate and seed are settled."
    refuse_idle(context, why, *names)


def check_bit_depth(context: typer.Context, target: Path, bit_depth: int) -> None:
    """Refuses a bit depth for a file of a kind that has none, or not that one.

    Raises:
        SettingError: with those there are.
    """
    from distill.formats.writing import check_output_format

    ending = target.suffix.lower()
    if ending not in (".wav", ".flac"):
        refuse_idle(context, f"A {ending} file has no bit depth.", "bit_depth")
    if ending != CODES_SUFFIX:
        with refusing("--bit-depth"):
            check_output_format(ending.removeprefix("."), bit_depth)


def model_file(given: Path) -> Path:
    """The file of a MODEL: a path always wins, then names in the library.

    Raises:
        LibraryError: if no model is called so, or more than one.
    """
    from distill.cli.console import warn
    from distill.library import Library
    from distill.library.naming import path_of

    return path_of(Library(warn), given)


def run_or_model(given: Path) -> Path:
    """The folder of a RUN, or the file of a MODEL: a folder of recordings may have the name of their model.

    Raises:
        LibraryError: if it is no run, and no model is called so, or more than one.
    """
    from distill.runs.status import is_run

    return given if is_run(given) else model_file(given)


def require_prior(model: "Model", path: Path) -> None:
    """Refuses a model without a prior, with the command that trains one, ready to copy.

    Raises:
        MissingPriorError: with the folder of recordings, if the model was trained on this computer.
    """
    from distill.cli.console import warn
    from distill.library import Library
    from distill.library.records import origin_of

    try:
        model.require_prior()
    except MissingPriorError as error:
        runs = Library(warn).runs(origin_of(model.header))
        if not runs:
            raise
        words = command("distill", "train-prior", path, runs[-1].folder)
        raise MissingPriorError(error.what, f"Run: {words}") from error


def channels(text: str) -> int | None:
    """``auto``, ``1`` or ``2`` as a number, None for auto.

    Raises:
        SettingError: for anything else.
    """
    if text not in {"auto", "1", "2"}:
        raise SettingError(f"--channels {text} is out of range.", "Choose auto, 1 (mono) or 2 (stereo).")
    return None if text == "auto" else int(text)


def dial(text: str) -> "Dial":
    """The dial at ``close``, ``balanced``, ``original`` or a number.

    Raises:
        SettingError: if it is neither, or the number is out of range.
    """
    from distill.originality.dial import NAMED, Dial

    try:
        place = NAMED[text] if text in NAMED else float(text)
    except ValueError as error:
        raise SettingError(
            f"--originality {text} is neither a number nor a known setting.",
            f"Choose {', '.join(NAMED)}, or a number from 0 to 1.",
        ) from error
    with refusing("--originality"):
        return Dial.at(place)
