"""Where the page and the service listen: one process, plain HTTP, nothing said of itself."""

import socket
from typing import Any

import uvicorn

from distill.errors import OutputError


def listening(app: Any, host: str, port: int, shutdown_s: int | None = None) -> uvicorn.Server:
    """A server of an app (ASGI), which listens once it runs.

    Args:
        shutdown_s: seconds that requests have to end when it ends; as long as they need if not given.

    Raises:
        OutputError: if nothing can listen there.
    """
    check_free(host, port)
    return uvicorn.Server(
        uvicorn.Config(
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
    )


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
        except OSError as error:
            raise OutputError(
                f"Nothing can listen on {host}:{port} ({error.strerror}).",
                "Choose another --port, or close the program that uses it.",
            ) from error
