"""``distill.client`` where no ``distill serve`` answers, and what it takes for a token."""

import httpx
import pytest

from distill.client import Client
from distill.errors import DistillError, SettingError


def test_a_server_that_is_not_there(token: str) -> None:
    with Client("http://127.0.0.1:9", token) as studio, pytest.raises(DistillError, match="cannot be reached"):
        studio.models()


def test_a_client_waits_as_long_as_it_was_told_to(token: str) -> None:
    """Guards against "taken, and were for 60 s" after three seconds, because the server named a wait that is longer."""
    answers = [httpx.Response(503, headers={"retry-after": "90"}), httpx.Response(200, json=[])]

    with Client("http://there", token, patience=0.5) as studio:
        studio._http = httpx.Client(base_url="http://there", transport=httpx.MockTransport(lambda _: answers.pop(0)))
        assert studio.models() == []


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (308, {"location": "https://there/"}, "answered 308 with .*leads to https://there/"),
        (200, {"content-type": "text/html"}, "answered 200 with text/html"),
        (404, {}, "answered 404"),
        (503, {"retry-after": "Wed, 21 Oct 2027 07:28:00 GMT"}, "All places"),
        (503, {"retry-after": "-1"}, "All places"),
    ],
)
def test_an_answer_from_elsewhere_is_none(status: int, headers: dict[str, str], words: str, token: str) -> None:
    """Guards against a proxy's page that is taken for codes or for sound, and against a traceback of what it says."""

    def answered(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=headers, content=b"<html>")

    with Client("http://there", token, patience=0.5) as studio:
        studio._http = httpx.Client(base_url="http://there", transport=httpx.MockTransport(answered))
        for asks in (
            studio.models,
            lambda: studio.encode("tiny", b"a"),
            lambda: studio.decode("tiny", b"a"),
            lambda: studio.edit("tiny", b"a", [{"do": "mirror", "span": "all"}]),
            lambda: next(studio.generate("tiny")),
        ):
            with pytest.raises(DistillError, match=words):
                asks()


def test_a_token_as_a_file_holds_it(address: str, token: str) -> None:
    with Client(address, f"{token}\n") as studio:
        assert studio.models()
    for odd in ("kä" * 20, "a b" * 20, "a\nb" * 20):
        with pytest.raises(SettingError, match="The token holds"):
            Client(address, odd)


@pytest.mark.parametrize("odd", ["http://[::1", "http://a\nb", "http://there:port"])
def test_what_cannot_be_an_address(odd: str, token: str) -> None:
    """Guards against httpx's own error, which is none of ours."""
    with pytest.raises(SettingError, match="cannot be an address"):
        Client(odd, token)


def test_an_address_as_a_file_holds_it(address: str, token: str) -> None:
    with Client(f" {address}\n", token) as studio:
        assert studio.models()
