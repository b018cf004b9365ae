"""Nobody but the page itself may ask the server for anything, and the page may ask nobody else."""

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


def test_every_answer_forbids_other_places(client: Any) -> None:
    for path in ("/", "/static/app.js", "/api/about", "/nothing"):
        answer = client.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "http" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "access-control-allow-origin" not in answer.headers


def test_the_framework_shows_no_page_of_its_own(client: Any) -> None:
    """FastAPI's own documentation asks a foreign server for its scripts."""
    assert {client.get(path).status_code for path in ("/docs", "/redoc", "/openapi.json")} == {404}
    assert client.get("/api/openapi.json").status_code == 200


def test_a_body_says_how_long_it_is_and_is_not_too_long(client: Any) -> None:
    assert client.post("/api/collections", headers={"transfer-encoding": "chunked"}, content=b"").status_code == 411
    assert client.post("/api/collections", headers={"content-length": str(2**40)}, content=b"").status_code == 413
    assert client.post("/api/collections", headers={"content-length": "-1"}, content=b"").status_code == 413


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


def test_the_password_itself_is_kept_nowhere() -> None:
    lock = Lock.of("correct horse")
    assert "correct horse" not in repr(lock)
    assert not lock.opens("correct horse ")
    assert lock.opens("correct horse")


def test_a_host_that_was_not_named_stays_out_beyond_this_computer_too(locked: Any) -> None:
    assert locked.get("/", headers={"host": "evil.example"}).status_code == 421
