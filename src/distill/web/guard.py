"""Who may talk to the server: without a password every user of this computer, with one whoever knows it.

A local server is reachable from every page that is open in the person's browser. So a request must name a host that is
allowed (a foreign name that is made to lead here is refused), must come from this very page (``Origin``, and
``Sec-Fetch-Site`` where a browser sends it; only a plain visit may come from elsewhere), and must say how long its body is.
Every answer carries a policy by which the page can neither run nor load nor send anything from or to another place.
"""

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urlsplit

from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from distill.errors import SettingError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
LONGEST_BODY = 2**20
"""Bytes of an ordinary request."""
LONGEST_UPLOAD = 4 * 2**30
"""Bytes of one audio file that is dropped on the page."""
SHORTEST_PASSWORD = 8
_LONGEST_LENGTH = 20
"""Digits of a Content-Length that are still read: a number of any length is a way to keep a server busy."""
LOGGED_IN_S = 30 * 24 * 3600
"""So long a password that was given counts."""
_TRIES, _WAIT_S = 5, 30.0
_OPEN = frozenset({"/login", "/static/style.css", "/static/login.js", "/static/api.js", "/static/icon.svg"})
"""What is answered without a password where one is set, beside the page that asks for it."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; media-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-scripts"
)
"""Of a report: a page that holds everything it shows, as an origin of its own that may ask this server for nothing."""
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass
class Lock:
    """A password, kept as a hash, and who has given it. Nothing of it is written to disk."""

    salt: bytes
    digest: bytes
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    """Signs cookies; another one each time the server starts."""
    failed: list[float] = field(default_factory=list)
    """When wrong passwords came lately."""

    @classmethod
    def of(cls, password: str) -> "Lock":
        """The lock that this password opens.

        Raises:
            SettingError: if it is too short.
        """
        if len(password) < SHORTEST_PASSWORD:
            raise SettingError(
                f"A password of {len(password)} characters is too short.", f"Choose one of {SHORTEST_PASSWORD} or more."
            )
        salt = secrets.token_bytes(16)
        return cls(salt, _hashed(password, salt))

    def waits(self) -> float:
        """Seconds until another try is allowed; 0 if it is now."""
        now = time.monotonic()
        self.failed = [when for when in self.failed if now - when < _WAIT_S]
        return _WAIT_S - (now - self.failed[0]) if len(self.failed) >= _TRIES else 0.0

    def opens(self, password: str) -> bool:
        """Whether this is the password; a wrong one is remembered."""
        is_right = hmac.compare_digest(_hashed(password, self.salt), self.digest)
        if not is_right:
            self.failed.append(time.monotonic())
        return is_right

    def ticket(self) -> str:
        """What the cookie of somebody holds who gave the password."""
        until = str(int(time.time()) + LOGGED_IN_S)
        return f"{until}.{self._signed(until)}"

    def admits(self, ticket: str) -> bool:
        """Whether a cookie holds a ticket of this lock that still counts."""
        until, _, signature = ticket.partition(".")
        is_ours = hmac.compare_digest(signature.encode(), self._signed(until).encode())
        return is_ours and until.isdigit() and int(until) > time.time()

    def _signed(self, text: str) -> str:
        return hmac.new(self.key, text.encode(), "sha256").hexdigest()


def _hashed(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)


@dataclass(frozen=True)
class Door:
    """Where the server listens and whom it lets in."""

    host: str = "127.0.0.1"
    port: int = 8765
    names: frozenset[str] = frozenset()
    """Further names and addresses under which it may be asked for, beside this computer's own."""
    lock: Lock | None = None

    def __post_init__(self) -> None:
        if not self.is_local and self.lock is None:
            raise SettingError(
                f"On {self.host} others could reach this computer's recordings and start trainings.",
                "Set a password, or leave --host out.",
            )

    @property
    def is_local(self) -> bool:
        """Whether only this computer can reach it."""
        return self.host in LOOPBACK

    @property
    def cookie(self) -> str:
        """Cookies do not tell ports apart, so the name does."""
        return f"distill-{self.port}"

    def knows(self, name: str) -> bool:
        """Whether a request may name this host."""
        return name in LOOPBACK or name in self.names or (name == self.host.lower() and not self.is_local)

    def admits(self, cookies: str) -> bool:
        """Whether who sends these cookies may see more than the page that asks for the password, if there is one."""
        return self.lock is None or self.lock.admits(cookie_parser(cookies).get(self.cookie, ""))


_LATER = MappingProxyType({"retry-after": "5"})


class Before(ABC):
    """Stands before a whole app (ASGI) and decides about every request; nothing else than HTTP comes through."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the beginning and end of the app."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            has_begun = False

            async def noted(message: Message) -> None:
                nonlocal has_begun
                has_begun = has_begun or message["type"] == "http.response.start"
                await send(message)

            try:
                await self._decide(scope, headers, receive, noted)
            except asyncio.CancelledError:
                # The server ends, and with it this task; raised again, uvicorn would tell it as a fault.
                if not has_begun:
                    await refuse(send, 503, "The server is ending.", "Ask again when it runs again.", _LATER)

    @abstractmethod
    async def _decide(self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        """Hands the request on, or refuses it."""


class Guard(Before):
    """Stands before the page: refuses what is foreign and dresses what goes out."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        super().__init__(app)
        self._door = door

    async def _decide(self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        if refusal := self._refusal(scope["method"], scope["path"], headers):
            await refuse(send, *refusal)
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                policy = REPORT_POLICY if scope["path"].startswith("/api/reports/") else POLICY
                wanted = {**_HEADERS, "content-security-policy": policy}
                if b"cache-control" not in given:
                    is_static = scope["path"].startswith("/static/")
                    wanted["cache-control"] = "no-cache" if is_static else "no-store"
                message["headers"] = [
                    *message["headers"],
                    *((name.encode(), value.encode()) for name, value in wanted.items()),
                ]
            await send(message)

        await self._app(scope, receive, dressed)

    def _refusal(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str, str] | None:
        host = headers.get("host", "")
        name, origin = host_of(f"//{host}"), headers.get("origin")
        if not self._door.knows(name):
            shown = name[:100] or "nothing"
            return (
                421,
                f"This is Distill's own server, and it was asked for as '{shown}'.",
                "Open it by its own address.",
            )
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return 403, "Another page asked Distill for something.", "Open Distill's own page and do it there."
        site = headers.get("sec-fetch-site", "same-origin")
        is_visit = method == "GET" and path == "/" and headers.get("sec-fetch-mode") == "navigate"
        if site not in ("same-origin", "none") and not is_visit:
            return 403, "Another page asked Distill for something.", "Open Distill's own page and do it there."
        if too_long := length_refusal(headers, LONGEST_UPLOAD if path.startswith("/api/uploads/") else LONGEST_BODY):
            return too_long
        if path not in _OPEN and not self._door.admits(headers.get("cookie", "")):
            if path == "/" and method == "GET":
                return None  # app.py shows the page that asks for the password
            return 401, "This needs the password.", "Open Distill's page and give it."
        return None


def length_refusal(headers: Mapping[str, str], most: int) -> tuple[int, str, str] | None:
    """Status and words for a request whose body does not say how long it is, or is longer than ``most`` bytes; else None."""
    if "transfer-encoding" in headers:
        return 411, "The request does not say how long it is.", "Send it with a Content-Length."
    length = headers.get("content-length", "0")
    is_number = length.isascii() and length.isdigit() and len(length) <= _LONGEST_LENGTH
    if not is_number or int(length) > most:
        return (
            413,
            f"{length[:_LONGEST_LENGTH]} bytes are more than the {most} that are taken here.",
            "Send less at once.",
        )
    return None


def host_of(address: str) -> str:
    """The host in an address, as a request names it; empty where there is none."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:  # brackets without an address in them
        return ""


async def refuse(send: Send, status: int, what: str, fix: str, more: Mapping[str, str] = MappingProxyType({})) -> None:
    """Answers with an error, in the shape of ``answers.Wrong``.

    Args:
        more: headers beside the usual ones.
    """
    body = json.dumps({"what": what, "fix": fix}).encode()
    headers = {
        **_HEADERS,
        "content-type": "application/json",
        "content-length": str(len(body)),
        "cache-control": "no-store",
        **more,
    }
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
