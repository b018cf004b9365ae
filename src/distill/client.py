"""A client of ``distill serve``, in the words of ``distill`` itself; without PyTorch, and it needs httpx.

    from distill.client import Client

    with Client("http://studio.local:8766", token) as studio:
        codes = studio.encode("mine", "take-0.wav")
        codes = studio.edit("mine", codes, [{"do": "mirror", "span": "0.2-0.4"}])
        Path("edited.wav").write_bytes(studio.decode("mine", codes))
        for part in studio.generate("mine", seconds=10):
            player.write(part)

Where the server says that all places are taken, the client waits as long as it is told and asks again.
"""

import base64
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from distill.errors import DistillError, InputError, LibraryError, SettingError
from distill.files.installing import installing_extra

if TYPE_CHECKING:
    import httpx

_KINDS: dict[int, type[DistillError]] = {
    400: InputError,
    401: SettingError,
    404: LibraryError,
    413: SettingError,
    422: SettingError,
}
_CODES, _SOUND = "application/octet-stream", "audio/"
Sound = bytes | Path | str
"""A file: its content, or where it is."""


class Client:
    """Asks one server.

    Args:
        address: such as ``http://127.0.0.1:8766``.
        token: as ``distill serve`` shows it or reads it from its ``--token-file``.
        patience: seconds to wait in all for a server whose places are taken, and for each answer to begin.

    Raises:
        DistillError: if httpx is not installed.
        SettingError: if this cannot be an address, or a token.
    """

    def __init__(self, address: str, token: str, patience: float = 300.0) -> None:
        try:
            import httpx
        except ImportError as error:
            raise DistillError(
                "The client needs httpx, which is not installed.", f"Install it: {installing_extra('client')}"
            ) from error
        address, token = address.strip(), token.strip()  # a file's first line has an end
        if not token.isascii() or not token.isprintable() or " " in token:
            raise SettingError("The token holds what cannot be sent.", "Give it as distill serve shows it.")
        self._address, self._patience, self._failed = address, patience, httpx.HTTPError
        known, timeout = {"authorization": f"Bearer {token}"}, httpx.Timeout(patience, connect=10)
        try:
            self._http = httpx.Client(base_url=address, headers=known, timeout=timeout)
        except httpx.InvalidURL as error:
            raise SettingError(
                f"{address!r} cannot be an address ({error}).",
                "Give it as distill serve shows it: http://127.0.0.1:8766",
            ) from error

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connections."""
        self._http.close()

    def models(self) -> list[dict[str, Any]]:
        """The models that are served: ``name``, ``sample_rate``, ``channels``, ``levels``, …

        Raises:
            DistillError: as everything here, with the words of the server, or that it cannot be reached.
        """
        with self._answer("GET", "/v1/models", "application/json") as answer:
            found: list[dict[str, Any]] = answer.json()
            return found

    def encode(self, model: str, audio: Sound) -> bytes:
        """An audio file as codes: the content of a ``.codes`` file."""
        with self._answer("POST", _route(model, "encode"), _CODES, content=_content(audio)) as answer:
            return answer.content

    def decode(self, model: str, codes: Sound, audio_format: str = "wav") -> bytes:
        """Codes as sound: the content of an audio file (``wav``, ``flac``, ``ogg`` or ``mp3``), exactly as long as what was
        encoded."""
        asked = {"format": audio_format}
        with self._answer("POST", _route(model, "decode"), _SOUND, content=_content(codes), params=asked) as answer:
            return answer.content

    def edit(
        self,
        model: str,
        codes: Sound,
        edits: Sequence[Mapping[str, Any]],
        others: Mapping[str, Sound] | None = None,
    ) -> bytes:
        """Codes, changed.

        Args:
            edits: each with ``do`` and the options of ``distill edit`` that belong to it: ``{"do": "mirror", "span": "2-4"}``,
                ``{"do": "graft", "sound": "rain", "over": "1-2", "levels": "det"}``.
            others: sounds as codes to graft from or to blend with, under names of one's own.
        """
        asked = {
            "codes": _text(codes),
            "edits": [dict(one) for one in edits],
            "others": {name: _text(one) for name, one in (others or {}).items()},
        }
        with self._answer("POST", _route(model, "edit"), _CODES, json=asked) as answer:
            return answer.content

    def generate(self, model: str, seconds: float = 10.0, **how: Any) -> Iterator[bytes]:
        """New audio: the parts of an audio file, as WAV in the codec's voice while it is drawn. Close the iterator to have no
        more drawn.

        Args:
            how: ``seed``, ``temperature`` (a list: one, or one a level), ``top_k``, ``top_p``, ``variety``; ``voice``
                (``codec``, ``recordings`` or ``auto``), ``format`` (``wav``, ``flac``, ``ogg`` or ``mp3``).
        """
        asked = {"seconds": seconds, **how}
        with self._answer("POST", _route(model, "generate"), _SOUND, json=asked, whole=False) as answer:
            yield from answer.iter_bytes()

    @contextmanager
    def _answer(
        self, method: str, path: str, kind: str, *, whole: bool = True, **told: Any
    ) -> "Iterator[httpx.Response]":
        until = time.monotonic() + self._patience
        try:
            while True:
                with self._http.stream(method, path, **told) as answer:
                    if answer.status_code != 503:
                        if whole or not answer.is_success:
                            answer.read()
                        self._check(answer, kind)
                        yield answer
                        return
                    # What stands between may say it as a date, or not at all.
                    said = answer.headers.get("retry-after", "")
                    wait = float(said) if said.isascii() and said.isdigit() else 1.0
                left = until - time.monotonic()
                if left <= 0:
                    raise DistillError(
                        f"All places of {self._address} are taken, and were for {self._patience:.0f} s.",
                        "Ask again later, or serve with more --workers.",
                    )
                time.sleep(min(wait, left))  # places are often free sooner than the server can say
        except self._failed as error:
            raise DistillError(
                f"{self._address} cannot be reached, or broke off ({type(error).__name__}: {error}).",
                "See whether distill serve runs there.",
            ) from error

    def _check(self, answer: "httpx.Response", kind: str) -> None:
        """Takes nothing for an answer that is none: a proxy may lead elsewhere, or answer in the server's place."""
        came = answer.headers.get("content-type", "nothing that it names")
        if answer.is_success and came.startswith(kind):
            return
        try:
            if answer.is_success:
                raise ValueError(came)
            told = answer.json()
            what, fix = str(told["what"]), str(told["fix"])
        except (ValueError, KeyError, TypeError) as error:
            leads = f", and leads to {answer.headers['location']}" if "location" in answer.headers else ""
            raise DistillError(
                f"{self._address} answered {answer.status_code} with {came}{leads}: not as distill serve does.",
                "Check the address.",
            ) from error
        raise _KINDS.get(answer.status_code, DistillError)(what, fix)


def _route(model: str, what: str) -> str:
    return f"/v1/models/{quote(model, safe='')}/{what}"


def _content(sound: Sound) -> bytes:
    if isinstance(sound, bytes):
        return sound
    try:
        return Path(sound).read_bytes()
    except OSError as error:
        raise InputError(f"{sound} cannot be read: {error.strerror}.", "Check its name and place.") from error


def _text(sound: Sound) -> str:
    return base64.b64encode(_content(sound)).decode()
