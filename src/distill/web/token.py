"""The token of ``distill serve``: every request without it is answered 401, whatever it asks for.

Beside it stand the bounds that hold before a route is even looked for: how long a body may be, and how long a client may take
to send or to read a little.
"""

import asyncio
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from distill.counted import counted
from distill.errors import OutputError, SettingError
from distill.files.atomic import discard
from distill.files.regular import first_line
from distill.web.guard import Before, length_refusal, refuse

VARIABLE = "DISTILL_TOKEN"
SHORTEST = 16
"""Characters. Nothing slows guesses down, so a token must be beyond guessing; those made here have 43."""
PATIENCE_S = 30.0
"""So long may a client take to send or to read one part before it is cut off: a worker waits for it."""


def token_from(file: Path | None) -> tuple[str, bool]:
    """The token, and whether it is a new one: from a file, which is made where there is none, or from the environment, or
    drawn.

    Raises:
        OutputError: if the file cannot be written.
        SettingError: if it cannot be read, or the token is too short or holds what a header cannot.
    """
    if file is None:
        given = os.environ.get(VARIABLE)
        return (secrets.token_urlsafe(32), True) if given is None else (_checked(given, VARIABLE), False)
    try:
        line = first_line(file, "token")
    except FileNotFoundError:
        return _written(file), True
    return _checked(line.strip(), str(file)), False


def _written(file: Path) -> str:
    token = secrets.token_urlsafe(32)
    try:
        number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(number, "w", encoding="utf-8") as out:
                out.write(f"{token}\n")
        except OSError:  # half of it would be no token
            discard(file)
            raise
    except OSError as error:
        raise OutputError(
            f"The new token cannot be written to {file} ({error.strerror}).", "Choose another --token-file."
        ) from error
    return token


def _checked(token: str, where: str) -> str:
    odd = not token.isascii() or not token.isprintable() or " " in token
    if odd or len(token) < SHORTEST:
        have = counted(len(token), "character")
        found = "it holds what cannot be sent, such as a blank or an accented letter" if odd else have
        raise SettingError(
            f"The token in {where} is no token: {found}.",
            f"It needs {SHORTEST} or more of A to Z, digits and signs; a --token-file that is not there yet gets a good one.",
        )
    return token


class Gate(Before):
    """Stands before the whole service.

    Args:
        longest: bytes of a request's body, by the end of its path; ``""`` is the end of every other.
    """

    def __init__(self, app: ASGIApp, token: str, longest: dict[str, int]) -> None:
        super().__init__(app)
        self._digest, self._longest = hashlib.sha256(token.encode()).digest(), longest

    async def _decide(self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        if refusal := self._refusal(scope["path"], headers):
            status, what, fix = refusal
            await refuse(send, status, what, fix, {"www-authenticate": "Bearer"} if status == 401 else {})
            return

        is_whole = False

        async def received() -> Message:
            nonlocal is_whole
            if is_whole:  # what comes next is that the client goes away, and that may take as long as it likes
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), PATIENCE_S)
            except TimeoutError as error:
                raise HTTPException(408, f"Nothing came for {PATIENCE_S:.0f} s") from error
            is_whole = not message.get("more_body", False)
            return message

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    (b"cache-control", b"no-store"),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await asyncio.wait_for(send(message), PATIENCE_S)

        await self._app(scope, received, sent)

    def _refusal(self, path: str, headers: dict[str, str]) -> tuple[int, str, str] | None:
        kind, _, given = headers.get("authorization", "").partition(" ")
        is_known = hmac.compare_digest(hashlib.sha256(given.strip().encode("latin-1")).digest(), self._digest)
        if kind.lower() != "bearer" or not is_known:
            return 401, "This needs a token.", "Send it as the header Authorization: Bearer TOKEN."
        return length_refusal(headers, self._longest.get(path.rpartition("/")[2], self._longest[""]))
