"""``distill ui``: the dashboard, a page on this computer."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from distill.cli import options
from distill.cli.console import note, place, print_json
from distill.errors import SettingError


def ui(
    port: Annotated[int, typer.Option(help="Port of the page.", min=1, max=65535)] = 8765,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on; one that other computers can reach requires a password.",
            show_default="this computer only",
        ),
    ] = "127.0.0.1",
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--allow", metavar="HOST", help="Another host name under which the page may be opened.", show_default=False
        ),
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(
            help="A file whose first line is the password; if not given, the password is asked for when it is needed.",
            show_default=False,
        ),
    ] = None,
    is_opened: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
    as_json: options.JsonOption = False,
) -> None:
    """Open the dashboard: import, train, listen, generate and keep, without a terminal."""
    from distill.web.app import create_app
    from distill.web.guard import LOOPBACK, Door, Lock
    from distill.web.listen import listening

    password = _password(password_file)
    if password is None and host not in LOOPBACK:
        password = typer.prompt("Password for the page", hide_input=True, confirmation_prompt=True, err=True)
    lock = None if password is None else Lock.of(password)
    door = Door(host, port, frozenset(names or ()), lock)
    server = listening(create_app(door), host, port)
    address = f"http://{'127.0.0.1' if door.is_local else host}:{port}"
    if as_json:
        print_json({"page": address})
        sys.stdout.flush()
    else:
        place("Page", address, "Ctrl-C ends it; trainings go on")
    if is_opened and not as_json:
        typer.launch(address)
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn has closed everything by then, and hands it on
        server.run()
    note("The page is closed. What is being trained goes on: distill status")


def _password(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            f"The password in {file} cannot be read ({error}).", "Give a text file that you can read."
        ) from error
    return lines[0] if lines else ""
