"""``distill ui``: the dashboard, a page on this computer."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from distill.cli import options
from distill.cli.console import note, place, print_json
from distill.errors import SettingError
from distill.files.regular import first_line


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
            help="A file whose first line is the password; without it, you are asked when a password is needed.",
            show_default=False,
        ),
    ] = None,
    is_opened: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
    as_json: options.JsonOption = False,
) -> None:
    """Open the dashboard: import, train, listen, generate and keep, without a terminal.

    On a computer that others use too, give --password-file: without a password each of its users can do all that on your page.
    """
    from distill.web.app import create_app
    from distill.web.guard import LOOPBACK, Door, Lock
    from distill.web.server import address_of, check_free, listening

    known = frozenset(_host_name(name) for name in names or ())
    password = _password(password_file)
    check_free(host, port)  # before a password is asked for
    if password is None and host not in LOOPBACK:
        if not sys.stdin.isatty():
            raise SettingError(
                f"On {host} other computers can reach the page: it needs a password, and there is no terminal to ask in.",
                "Give it with --password-file FILE.",
            )
        password = typer.prompt("Password for the page", hide_input=True, confirmation_prompt=True, err=True)
    lock = None if password is None else Lock.of(password)
    door = Door(host, port, known, lock)
    server = listening(create_app(door), host, port)
    address = address_of(host, port)
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
        return first_line(file, "password")
    except FileNotFoundError as error:
        raise SettingError(
            f"There is no {file} to read the password from.", "Write the password into a text file and name that."
        ) from error


def _host_name(given: str) -> str:
    """What a browser would call the host by: in small letters, as it sends it."""
    from distill.web.guard import host_of

    name = given.strip().lower()
    if not name or " " in name or host_of(f"//[{name}]" if ":" in name else f"//{name}") != name:
        raise SettingError(
            f"--allow {given} is not a host name.",
            "Give the name alone, such as studio.local, without http:// and port.",
        )
    return name
