"""Nobody but the page itself may ask the server for anything, and the page may ask nobody else."""

from types import SimpleNamespace
from typing import Any

import pytest

from distill.errors import SettingError
from distill.web.app import create_app
from distill.web.guard import Door, Lock, length_refusal

PAGE = "http://127.0.0.1:8765"


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1.evil.example", "", "[::ffff:1.2.3.4]:8765", "a b"])
def test_a_foreign_host_is_refused(client: Any, name: str) -> None:
    """Guards against DNS rebinding: a foreign name that is made to lead to this computer."""
    answer = client.get("/api/about", headers={"host": name})
    assert answer.status_code == 421
    assert "fix" in answer.json()


@pytest.mark.parametrize("name", ["127.0.0.1:8765", "localhost:8765", "localhost:9000", "[::1]:8765"])
def test_this_computer_is_known_by_all_its_names(client: Any, name: str) -> None:
    assert client.get("/api/about", headers={"host": name}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:8765", "http://[", ""]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_a_foreign_origin_is_refused(client: Any, origin: str, method: str) -> None:
    assert client.request(method, "/api/presets", headers={"origin": origin}).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_page_may_link_here_and_nothing_else(client: Any, site: str) -> None:
    """Guards against forms, images and scripts of other pages; ``same-site`` is another port of this computer."""
    asked = {"sec-fetch-site": site}
    assert client.get("/api/models", headers=asked).status_code == 403
    assert client.post("/api/collections/demo", headers=asked).status_code == 403
    assert client.get("/", headers={**asked, "sec-fetch-mode": "no-cors"}).status_code == 403
    assert client.get("/", headers={**asked, "sec-fetch-mode": "navigate"}).status_code == 200


def test_the_page_itself_is_let_in(client: Any) -> None:
    own = {"origin": PAGE, "sec-fetch-site": "same-origin"}
    assert client.get("/api/models", headers=own).json() == []


HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
NOTHING_ELSE = {"default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"}
PAGES = NOTHING_ELSE | {
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "media-src 'self' blob:",
    "connect-src 'self'",
}
REPORTS = NOTHING_ELSE | {
    "script-src 'unsafe-inline'",
    "style-src 'unsafe-inline'",
    "img-src data:",
    "media-src data:",
    "sandbox allow-scripts",
}
OF_THE_ANSWER_ITSELF = {"content-type", "content-length", "etag", "last-modified", "accept-ranges", "allow"}


def dressed_in(answer: Any) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in OF_THE_ANSWER_ITSELF}


@pytest.mark.parametrize(
    ("path", "policy", "kept"),
    [
        ("/", PAGES, "no-store"),
        ("/static/app.js", PAGES, "no-cache"),
        ("/api/about", PAGES, "no-store"),
        ("/nothing", PAGES, "no-store"),
        ("/api/reports/none/none.html", REPORTS, "no-store"),
    ],
)
def test_every_answer_forbids_other_places(client: Any, path: str, policy: set[str], kept: str) -> None:
    """Guards against a directive or a header that is lost or widened, such as "connect-src *"."""
    told = dressed_in(client.get(path))
    directives = told.pop("content-security-policy").split("; ")
    assert set(directives) == policy
    assert len(directives) == len(policy), "of two of one name the first counts"
    assert told == HEADERS | {"cache-control": kept}


def test_a_refusal_forbids_other_places_too(client: Any, locked: Any) -> None:
    for answer in (client.get("/", headers={"host": "evil.example"}), locked.get("/api/models")):
        assert answer.is_client_error
        assert dressed_in(answer) == HEADERS


def test_the_framework_shows_no_page_of_its_own(client: Any) -> None:
    """FastAPI's own documentation asks a foreign server for its scripts."""
    assert {client.get(path).status_code for path in ("/docs", "/redoc", "/openapi.json")} == {404}
    assert client.get("/api/openapi.json").status_code == 200


def test_a_body_says_how_long_it_is_and_is_not_too_long(client: Any) -> None:
    assert client.post("/api/collections", headers={"transfer-encoding": "chunked"}, content=b"").status_code == 411
    assert client.post("/api/collections", headers={"content-length": str(2**40)}, content=b"").status_code == 413
    assert client.post("/api/collections", headers={"content-length": "-1"}, content=b"").status_code == 413


@pytest.mark.parametrize(("path", "most"), [("/api/collections", 2**20), ("/api/uploads/sounds/a.wav", 4 * 2**30)])
def test_how_much_is_taken(client: Any, path: str, most: int) -> None:
    """Guards against a request that fills the memory, an upload that fills the disk, and a long recording that is refused."""
    method = "PUT" if "uploads" in path else "POST"
    assert client.request(method, path, headers={"content-length": str(most + 1)}, content=b"").status_code == 413
    assert client.request(method, path, headers={"content-length": str(most)}, content=b"").status_code in (400, 422)


@pytest.mark.parametrize("length", ["0" * 20 + "9999999", "9" * 5000, "²", "", "+1", " 1"])
def test_a_length_that_is_none_is_refused(length: str) -> None:
    """Guards against zeros that hide a long body, and against digits that only look like a number."""
    told = length_refusal({"content-length": length}, 100)
    assert told is not None
    assert told[0] == 413
    assert length_refusal({"content-length": "100"}, 100) is length_refusal({}, 100) is None


def test_beyond_this_computer_it_needs_a_password() -> None:
    with pytest.raises(SettingError, match="others could reach"):
        Door("0.0.0.0")
    with pytest.raises(SettingError, match="too short"):
        Lock.of("short")


@pytest.fixture
def locked(ask: Any) -> Any:
    door = Door("0.0.0.0", 8765, frozenset({"studio.local"}), Lock.of("correct horse"))
    return ask(create_app(door), "http://studio.local:8765")


def test_without_the_password_there_is_only_the_page_that_asks_for_it(locked: Any) -> None:
    assert locked.get("/api/models").status_code == 401
    assert locked.get("/static/app.js").status_code == 401
    page = locked.get("/")
    assert 'type="password"' in page.text
    assert "app.js" not in page.text


def test_the_password_opens_and_the_cookie_is_for_this_server_alone(locked: Any) -> None:
    assert locked.post("/login", json={"password": "wrong horse"}).status_code == 403
    answer = locked.post("/login", json={"password": "correct horse"})
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("distill-8765=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert locked.get("/api/models").status_code == 200
    assert "app.js" in locked.get("/").text


@pytest.mark.parametrize("ticket", ["", "9999999999.", "9999999999.abc", "x.y", "9999999999.é"])
def test_a_made_up_cookie_opens_nothing(locked: Any, ticket: str) -> None:
    headers = {"cookie": f"distill-8765={ticket}".encode()}
    assert locked.get("/api/models", headers=headers).status_code == 401


def test_guessing_is_slowed_down(locked: Any) -> None:
    told = [locked.post("/login", json={"password": f"guess {number}"}).status_code for number in range(7)]
    assert told == [403] * 5 + [429] * 2
    assert locked.post("/login", json={"password": "correct horse"}).status_code == 429


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What time it is for the guard: ``clock.now``, in seconds."""
    clock = SimpleNamespace(now=1e9)
    clock.time = clock.monotonic = lambda: clock.now
    monkeypatch.setattr("distill.web.guard.time", clock)
    return clock


def test_guessing_goes_on_after_half_a_minute(locked: Any, clock: SimpleNamespace) -> None:
    """Guards against a lock that stays shut for whoever knows the password, one that opens at once, and one that shuts once."""

    def guess() -> int:
        clock.now += 1
        return int(locked.post("/login", json={"password": "wrong horse"}).status_code)

    assert [guess() for _ in range(6)] == [403] * 5 + [429]
    clock.now += 24.9  # since the first guess 29.9
    assert locked.post("/login", json={"password": "correct horse"}).status_code == 429
    clock.now += 0.2
    assert locked.post("/login", json={"password": "correct horse"}).status_code == 200
    clock.now += 30
    assert [guess() for _ in range(6)] == [403] * 5 + [429]


def test_a_password_that_was_given_counts_for_thirty_days(locked: Any, clock: SimpleNamespace) -> None:
    """Guards against a cookie that opens for ever, on a computer that was given away."""
    assert locked.post("/login", json={"password": "correct horse"}).status_code == 200
    clock.now += 30 * 24 * 3600 - 1
    assert locked.get("/api/models").status_code == 200
    clock.now += 1
    assert locked.get("/api/models").status_code == 401


def test_the_password_itself_is_kept_nowhere() -> None:
    lock = Lock.of("correct horse")
    assert "correct horse" not in repr(lock)
    assert not lock.opens("correct horse ")
    assert lock.opens("correct horse")


def test_a_host_that_was_not_named_stays_out_beyond_this_computer_too(locked: Any) -> None:
    assert locked.get("/", headers={"host": "evil.example"}).status_code == 421
