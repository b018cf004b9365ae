"""Where the page and the service listen: one process, plain HTTP, no server header."""

import errno
import logging
import socket
from typing import Any

import uvicorn

from distill.errors import OutputError
from distill.web.guard import LOOPBACK


def listening(app: Any, host: str, port: int, shutdown_s: int | None = None) -> uvicorn.Server:
    """A server of an app (ASGI), which listens once it runs.

    Args:
        shutdown_s: seconds that requests have to end when it ends; as long as they need if not given.

    Raises:
        OutputError: if nothing can listen there.
    """
    check_free(host, port)
    config = uvicorn.Config(
        app,
        host,
        port,
        http="h11",
        ws="none",
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=shutdown_s,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_a_fault)  # the same one is added once
    return uvicorn.Server(config)


def _is_a_fault(record: logging.LogRecord) -> bool:
    """Whether it is more than that the server was asked to end, or that an answer was cut off, which its client sees."""
    words = record.getMessage().rstrip()
    return not words.endswith(("CancelledError", "timeout graceful shutdown exceeded", "without completing response."))


def check_free(host: str, port: int) -> None:
    """Refuses a place where nothing can listen.

    Raises:
        OutputError: with why.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else "no such name"
            raise OutputError(f"Nothing can listen on {host}:{port} ({why}).", _instead(error)) from error


def _instead(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError | socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "Choose another --host: an address of this computer, without http://; 0.0.0.0 is all of them."
    if error.errno in (errno.EACCES, errno.EPERM):
        return "Choose another --port, of 1024 or more."
    return "Choose another --port, or close the program that uses it."


def address_of(host: str, port: int) -> str:
    """Where a person or a program on this computer finds what listens there."""
    name = "127.0.0.1" if host in LOOPBACK and ":" not in host else host
    return f"http://{f'[{name}]' if ':' in name else name}:{port}"
