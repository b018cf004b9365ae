"""The ``distill`` command: gathers the verbs and turns every error into words and an exit code."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer
from rich.text import Text

from distill.cli import check, codes, demo, generate, info, reconstruct, run, train, train_prior
from distill.cli.console import console
from distill.errors import DistillError

app = typer.Typer(
    name="distill",
    help="Learn the sound of your own recordings and make new audio in it. Nothing leaves this computer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback(invoke_without_command=True)
def _main(
    show_version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)] = False,
) -> None:
    if show_version:
        print(f"distill {version('distill-audio')}")
        raise typer.Exit


app.command("run", rich_help_panel="The whole way")(run.run)
app.command("demo", rich_help_panel="The whole way")(demo.demo)
app.command("check", rich_help_panel="Step by step")(check.check)
app.command("train", rich_help_panel="Step by step")(train.train)
app.command("train-prior", rich_help_panel="Step by step")(train_prior.train_prior)
app.command("generate", rich_help_panel="Step by step")(generate.generate)
app.command("encode", rich_help_panel="The codec alone")(codes.encode)
app.command("decode", rich_help_panel="The codec alone")(codes.decode)
app.command("reconstruct", rich_help_panel="The codec alone")(reconstruct.reconstruct)
app.command("info", rich_help_panel="The codec alone")(info.info)


def main() -> None:
    """Runs the command line. Exit code 2: something you can mend; 1: ours or the machine's; 130: interrupted."""
    debug = "--debug" in sys.argv[1:]
    try:
        app()
    except DistillError as error:
        if debug:
            console.print_exception()
        _complain(error.what, error.fix)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _complain("Interrupted.", "Nothing half-written is left behind.")
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - the last net: no person ever meets a traceback unasked
        if debug:
            console.print_exception()
        _complain(
            f"Something went wrong that should not have ({type(error).__name__}: {error}).",
            "This is a fault of Distill's or the machine's. Run it again with --debug to see where.",
        )
        sys.exit(1)


def _complain(what: str, fix: str) -> None:
    console.print(Text.assemble(("✗ ", "bold red"), what))
    console.print(Text(f"  {fix}", style="cyan"))


if __name__ == "__main__":
    main()
