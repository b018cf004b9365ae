"""The app behind ``distill ui``: the page, and beside it the HTTP interface that the page stands on.

    browser ──guard──▶ routes ──▶ files on disk ◀── jobs: processes of their own (python -m distill …)

The server only reads and starts; it never imports PyTorch. What is true is on disk (``jobs.py``, ``runs/``, ``library/``), and
nothing is kept in Python for a tab, so reloading, a second tab, a server that was started anew and a run that was begun in a
terminal are one and the same case.

**To add a tab**: a module ``static/NAME.js`` that exports ``tab``, an object ``{ id, title, view }``, where ``view`` is a
preact component that gets ``{ path }``, the parts of the address after ``#/NAME/``; a ``NAME.css`` beside it with the styles of
its own; and a line in ``TABS`` of ``static/app.js``. Both are loaded when the tab is first opened. Shared parts: ``store.js``
(``usePolled``, ``go``, ``say``), ``api.js`` (``get``, ``post``, …), ``parts.js`` (buttons, fields, empty states).

**To add routes**: an ``APIRouter`` called ``router`` in ``routes/NAME.py``, all of whose answers are pydantic models, and a
line in ``ROUTERS`` below. Errors of ``errors.py`` become answers by themselves. Sounds are named by references (``places.py``).
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from distill.durations import duration
from distill.errors import DistillError, InputError, LibraryError, unforeseen
from distill.web.answers import Done, Wrong
from distill.web.guard import LOGGED_IN_S, Door, Guard
from distill.web.page_words import for_page
from distill.web.routes import about, codes, generate, heard, library, measure, recordings, runs, sounds, train, work
from distill.web.worker import Worker

_THREADS = 8
STATIC = Path(__file__).parent / "static"
ROUTERS: tuple[APIRouter, ...] = (
    about.router,
    recordings.router,
    runs.router,
    train.router,
    measure.router,
    generate.router,
    library.router,
    sounds.router,
    work.router,
    codes.router,
    heard.router,
)
WRONG: dict[int | str, dict[str, Any]] = {
    status: {"model": Wrong, "description": "Why not, in plain words."}
    for status in (400, 403, 404, 405, 413, 422, 500)
}


_SAID = {
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "greater_than": "must be more than {gt}",
    "less_than": "must be less than {lt}",
    **dict.fromkeys(("int_parsing", "int_parsing_size", "int_type", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_parsing", "float_type", "finite_number"), "must be a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "must be true or false"),
    "string_type": "must be text",
    "string_too_long": "must be at most {max_length} letters long",
    "string_too_short": "must be at least {min_length} letters long",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have {min_length} or more entries",
    **dict.fromkeys(("list_type", "tuple_type"), "must be a list"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "must be an object: names with a value each"),
    **dict.fromkeys(("enum", "literal_error"), "must be {expected}"),
    "union_tag_invalid": "must have as {discriminator} one of {expected_tags}",
    "union_tag_not_found": "must have {discriminator}",
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "json_invalid": "is not valid JSON",
}
"""What pydantic says of a value, said as all else here."""


class Password(BaseModel):
    """What the page that asks for the password sends."""

    password: str


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    """At most so many requests at once read files: more would only be slower, and each takes memory. At the end the worker
    goes too."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
    yield
    app.state.worker.close()


def create_app(door: Door) -> FastAPI:
    """The whole app; it keeps nothing but the door it stands behind, and the process that has PyTorch while it is warm."""
    app = FastAPI(
        lifespan=_life,
        title="Distill",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        responses=WRONG,
    )
    app.state.worker = Worker()
    for router in ROUTERS:
        app.include_router(router, prefix="/api")
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/", include_in_schema=False)
    def page(request: Request) -> FileResponse:
        shown = "index.html" if door.admits(request.headers.get("cookie", "")) else "login.html"
        return FileResponse(STATIC / shown, headers={"cache-control": "no-store"})

    @app.post("/login", include_in_schema=False)
    def login(given: Password) -> Response:
        if door.lock is None:
            return _told(404, "There is no password here.", "Open the page.")
        if (waits := door.lock.waits()) > 0:
            return _told(429, "Too many wrong passwords came in a short time.", f"Try again in {duration(waits)}.")
        if not door.lock.opens(given.password):
            return _told(403, "That is not the password.", "Try again.")
        answer = JSONResponse(Done().model_dump())
        answer.set_cookie(door.cookie, door.lock.ticket(), max_age=LOGGED_IN_S, httponly=True, samesite="strict")
        return answer

    add_words(app, "Go back to the page.", for_page)
    app.add_middleware(Guard, door=door)
    return app


def add_words(app: FastAPI, way_out: str, said: Callable[[str], str] = str) -> None:
    """Has every error of an app answered in the words of ``errors.py``.

    Args:
        way_out: what to do about a request that no route answers.
        said: gives a sentence of ``errors.py`` as it is said here.
    """

    def distill_error(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, DistillError)
        status = 404 if isinstance(error, LibraryError) else 400 if isinstance(error, InputError) else 500
        return _told(status, said(" ".join([error.what, "; ".join(error.among)]).rstrip()), said(error.fix))

    def http_error(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        answer = _told(error.status_code, f"{error.detail}.", way_out)
        answer.headers.update(error.headers or {})
        return answer

    app.add_exception_handler(DistillError, distill_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(Exception, _unforeseen)


def _told(status: int, what: str, fix: str) -> JSONResponse:
    return JSONResponse(Wrong(what=what, fix=fix).model_dump(), status)


def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    path = first["loc"][1:] if first["type"] != "json_invalid" else ()  # the place in the text says nothing
    where = ".".join(str(part) for part in path) or "The request"
    told = first.get("ctx", {}).items()
    bounds = {name: int(one) if isinstance(one, float) and one.is_integer() else one for name, one in told}
    said = _SAID.get(first["type"], "cannot be used as it is")
    what = f"{where} {said.format(**bounds)}."
    return _told(422, what, "Change it and try again.")


def _unforeseen(_: Request, error: Exception) -> JSONResponse:
    told = unforeseen(error, "This is a fault in Distill or the machine; distill doctor checks the machine.")
    return _told(500, told.what, told.fix)
