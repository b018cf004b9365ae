"""``distill serve``: encode, decode, generate and edit over HTTP."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from distill.cli import options
from distill.cli.console import note, place, print_json
from distill.errors import SettingError
from distill.files.regular import absolute


def serve(
    models: Annotated[
        list[Path],
        typer.Argument(metavar="MODEL...", help="Models to serve: .distill files or names.", show_default=False),
    ],
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8766,
    host: Annotated[
        str,
        typer.Option(help="Address to listen on; 0.0.0.0 for other computers.", show_default="this computer only"),
    ] = "127.0.0.1",
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="A file whose first line is the token that clients must send; created if it does not exist. Without "
            "it, DISTILL_TOKEN from the environment, or a new token that is shown.",
            show_default=False,
        ),
    ] = None,
    longest: Annotated[float, typer.Option(help="Longest sound per request, in seconds.", min=1, max=3600)] = 600.0,
    workers: Annotated[int, typer.Option(help="Jobs at the same time, each a process of its own.", min=1, max=64)] = 1,
    waiting: Annotated[
        int, typer.Option(help="Clients that may wait in line; others are told when to retry.", min=0, max=10_000)
    ] = 16,
    as_json: options.JsonOption = False,
) -> None:
    """Serve MODELs to other programs and computers: encode, decode, generate (streamed as it is drawn) and edit."""
    from distill.web.guard import LOOPBACK
    from distill.web.server import address_of, check_free, listening
    from distill.web.service import Limits, create_service
    from distill.web.token import token_from

    served = _named([options.model_file(one) for one in models])
    check_free(host, port)  # before a file for the token is made
    token, is_new = token_from(token_file)
    service = create_service(served, token, Limits(longest, workers, waiting))
    server = listening(service, host, port, shutdown_s=5)
    address = address_of(host, port)
    shown = token if token_file is None and is_new else None
    if as_json:
        print_json({"address": address, "models": list(served), "token": shown, "token_file": token_file})
        sys.stdout.flush()
    else:
        place("Address", address, f"Ctrl-C ends it; models: {', '.join(served)}")
        if shown is not None:
            place("Token", shown, "a new one each time; --token-file FILE keeps one")
        elif token_file is not None:
            place("Token", absolute(token_file), "made just now" if is_new else "")
    if host not in LOOPBACK:
        note("There is no encryption: outside a network that you trust, put a reverse proxy with TLS in front of it.")
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn has closed everything by then, and hands it on
        server.run()
    note("The server has stopped.")


def _named(paths: list[Path]) -> dict[str, Path]:
    """The models by the names of their files, as in the library.

    Raises:
        ModelFileError: if one cannot be used.
        SettingError: if two have the same name.
    """
    from distill.models.header import read_header

    found: dict[str, Path] = {}
    for path in paths:
        read_header(path)  # refuses what is no model
        name = path.stem
        if name in found:
            raise SettingError(
                f"{found[name]} and {path} are both called '{name}', and clients ask by name.",
                "Serve one of them, or rename one: distill models rename",
            )
        found[name] = absolute(path)
    return found
