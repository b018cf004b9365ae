"""The ``distill`` command: gathers its subcommands and turns every error into words and an exit code."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import typer.core

from distill.cli import (
    check,
    codes,
    demo,
    doctor,
    edit,
    engines,
    evaluate,
    export,
    generate,
    info,
    models,
    options,
    originality,
    pieces,
    reconstruct,
    regenerate,
    run,
    serve,
    status,
    sweep,
    train,
    train_prior,
    ui,
)
from distill.cli.console import complain, console, warn
from distill.cli.interrupts import ending_in_order
from distill.errors import DistillError, InputError, SettingError, unforeseen
from distill.files.atomic import NO_ROOM, output_error
from distill.files.leftovers import announced_folder, clear_held
from distill.files.names import MODEL_SUFFIX, command
from distill.files.regular import is_folder

INTERRUPTED = 130
"""What Typer ends with after Ctrl-C, and every shell knows."""
_PYDANTICS = {
    "Value error, ": "",
    "Input should be a valid number, unable to parse string as a number": "a number is needed.",
    "Input should be greater than or equal to ": "the minimum is ",
    "Input should be less than or equal to ": "the maximum is ",
    "Input should be a valid integer, unable to parse string as an integer": "a whole number is needed.",
}
"""What Typer passes on from the library that it checks values with, and what a person reads instead."""


class _InWords(typer.core.TyperGroup):
    """All commands, with what is said of an option's value in plain words, and of a folder or a model in place of a command."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command of that name.

        Raises:
            SettingError: if it is a folder or a model, with the command that takes one.
        """
        word = args[0]
        if self.get_command(ctx, word) is None:
            if is_folder(Path(word)):
                raise SettingError(
                    f"{word} is a folder, not a command.", f"To learn its sound: {command('distill', 'run', word)}"
                )
            if word.endswith(MODEL_SUFFIX):
                raise SettingError(
                    f"{word} is a model, not a command.",
                    f"To make new audio with it: {command('distill', 'generate', word)}",
                )
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command that was asked for."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            for said, plain in _PYDANTICS.items():
                error.message = error.message.replace(said, plain)
            raise


app = typer.Typer(
    name="distill",
    cls=_InWords,
    help="Learn the sound of your own recordings and make new audio in it. Nothing leaves this computer unless you ask for it.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback(invoke_without_command=True)
@options.verb
def _main(
    show_version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)] = False,
) -> None:
    if show_version:
        from importlib.metadata import version

        typer.echo(f"distill {version('distill-audio')}")
        raise typer.Exit


_COMMANDS: Sequence[tuple[str, Sequence[Callable[..., None]]]] = (
    ("From start to finish", (run.run, demo.demo, ui.ui)),
    ("Step by step", (check.check, train.train, train_prior.train_prior, sweep.sweep, status.status)),
    ("Step by step", (generate.generate, regenerate.regenerate, originality.originality)),
    ("The codec on its own", (codes.encode, codes.decode, edit.edit, reconstruct.reconstruct)),
    ("The codec on its own", (evaluate.evaluate, info.info)),
    ("For other tools", (export.export, serve.serve)),
    ("When something is wrong", (doctor.doctor,)),
)
"""By the panel that help shows them in; each is called as its function is."""
for _panel, _functions in _COMMANDS:
    for _function in _functions:
        _kind = edit.InOrder if _function is edit.edit else None
        _name = _function.__name__.replace("_", "-")
        app.command(_name, cls=_kind, rich_help_panel=_panel)(options.verb(_function))
app.add_typer(models.app, name="models", rich_help_panel="The library")
app.add_typer(pieces.app, name="pieces", rich_help_panel="The library")


def main(words: Sequence[str] | None = None) -> None:
    """Runs the command line. Exit code 2: the person can correct it; 1: ours or the machine's fault; 130: interrupted.

    Args:
        words: what follows ``distill``; the arguments of this process if not given.
    """
    words = sys.argv[1:] if words is None else words
    debug = "--debug" in words
    if _has_empty_word(words):
        complain(
            "One of the words of the command is empty.", "Was it a variable that is not set? Write . for this folder."
        )
        sys.exit(InputError.exit_code)
    try:
        with ending_in_order():
            engines.end_with_sweep()
            _tidy()
            app(list(words), prog_name="distill")
    except DistillError as error:
        _end(error, debug)
    except OSError as error:
        if error.errno not in NO_ROOM:
            _end(_unforeseen(error), debug)
        _end(output_error(Path(error.filename or "The result"), error), debug)
    except KeyboardInterrupt:  # before a command began, or after it
        _interrupted()
    except SystemExit as ending:
        if ending.code == INTERRUPTED:
            _interrupted()
        raise
    except Exception as error:  # noqa: BLE001 - the last net: no person ever meets a traceback unasked
        _end(_unforeseen(error), debug)


def _tidy() -> None:
    """Clears up after processes that were killed: names that they held, pieces that they could not note any more."""
    clear_held()
    if any(announced_folder().glob("*.json")):
        from distill.runs.piece_notes import note_what_was_left

        note_what_was_left(warn)


def _has_empty_word(words: Sequence[str]) -> bool:
    """Whether a word is empty: of a path that would be the folder that one stands in, of --host every network there is.

    New names are judged where they are used, in words of their own.
    """
    empty = [at for at, word in enumerate(words) if word == "" or (word.startswith("--") and word.endswith("="))]
    return any(words[at] != "--name=" and words[at - 1] != "--name" and not _is_new_name(words, at) for at in empty)


def _is_new_name(words: Sequence[str], at: int) -> bool:
    """Whether the word there is the second that ``rename`` is given."""
    before = [word for word in words[:at] if not word.startswith("--")]
    return len(before) == 3 and before[1] == "rename"


def _end(error: DistillError, debug: bool) -> NoReturn:
    if debug:
        console.print_exception(width=None)
    complain(error.what, error.fix, error.among)
    sys.exit(error.exit_code)


def _interrupted() -> NoReturn:
    complain("Interrupted.", "No half-written file is left behind; what was finished before is kept.")
    sys.exit(INTERRUPTED)


def _unforeseen(error: Exception) -> DistillError:
    return unforeseen(
        error,
        "This is a fault in Distill or the machine. Run it again with --debug to see where; distill doctor checks the "
        "machine.",
    )
