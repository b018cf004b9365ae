"""The app behind ``distill serve``: encode, decode, generate and edit over HTTP, for other programs and other computers.

    client ──Gate (token, sizes)──▶ place in line ──▶ body to disk ──▶ worker's turn ──▶ file, or parts as they are made

No pages, no library, no paths: a client names one of the models that were given at the start, sends a sound and gets a sound.
Like the dashboard's server it never loads PyTorch; the workers do (``worker.py``, ``wholes.py``).
"""

import base64
import inspect
import logging
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from distill.durations import about, duration
from distill.errors import DistillError, LibraryError, ModelFileError, OutputError, SettingError
from distill.files.atomic import output_error
from distill.formats.suffixes import MEDIA, AudioFormat
from distill.models.header import read_header
from distill.models.health import LEVEL_NAMES
from distill.web.answers import Wrong
from distill.web.app import add_words
from distill.web.frames import Message
from distill.web.pool import Pool, TooManyError
from distill.web.service_words import (
    BODY,
    CODES,
    GIVES_CODES,
    GIVES_SOUND,
    MOST_OTHERS,
    WRONG,
    EditRequest,
    GenerateRequest,
    Served,
)
from distill.web.token import Gate
from distill.web.worker import Worker

_JSON_BYTES = (MOST_OTHERS + 1) * 2_000_000
_SECOND_BYTES = 192_000 * 2 * 4
"""A second of stereo at the highest usual rate, in 32 bits."""
Name = Annotated[str, PathParameter(max_length=255)]


@dataclass(frozen=True)
class Limits:
    """What one server does for its clients."""

    longest_seconds: float = 600.0
    """Of sound, taken or made at once; new audio has a limit of its own beside it."""
    workers: int = 1
    waiting: int = 16


class _Parts(StreamingResponse):
    """A sound as it is made; whatever becomes of the client, what was held for it is let go.

    What goes wrong from here on can only be seen by a client as a sound that was cut off; whoever runs the server reads why.
    """

    def __init__(self, content: AsyncIterator[bytes], headers: Mapping[str, str], media: str, pool: Pool) -> None:
        super().__init__(content, media_type=media, headers=headers)
        self.held = AsyncExitStack()
        self._pool = pool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self.held:
            try:
                await super().__call__(scope, receive, send)
            except DistillError as error:
                why = "the server is ending." if self._pool.is_closed else error.what
                logging.getLogger("distill").warning(f"A sound was cut off while it was sent: {why}")


class _Desk:
    """What all routes share: the models, the workers and the limits."""

    def __init__(self, models: Mapping[str, Path], limits: Limits) -> None:
        self.models, self.limits = models, limits
        self.pool = Pool(limits.workers, limits.waiting)
        self._told: dict[str, str] = {}
        """What was said last of each model that cannot be used."""

    def check(self, name: str) -> None:
        """Refuses a model that is not served, or whose file is not there any more.

        Raises:
            LibraryError: with those that are.
        """
        if name in self.models and self._look(name) is not None:
            return
        there = [served.name for served in self.served()]
        choose = f"Choose from: {', '.join(there)}." if there else "Ask whoever runs the server."
        if name in self.models:
            raise LibraryError(f"The model '{name}' cannot be used now: its file is gone or damaged.", choose)
        raise LibraryError(f"There is no model '{name[:60]}' here.", choose)

    def served(self) -> list[Served]:
        """The models that can be asked for now."""
        return [found for name in self.models if (found := self._look(name)) is not None]

    def _look(self, name: str) -> Served | None:
        """A model as its file tells it now, which may be moved or replaced while it is served; None where it cannot be used.

        Whoever runs the server is told of one that is lost, once.
        """
        try:
            found = _served(name, self.models[name], self.limits)
        except ModelFileError as error:
            if self._told.get(name) != error.what:
                logging.getLogger("distill").warning(f"The model '{name}' cannot be served now: {error.what}")
            self._told[name] = error.what
            return None
        self._told.pop(name, None)
        return found

    @asynccontextmanager
    async def place(self, request: Request, model: str) -> AsyncIterator[Path]:
        """A place, and a folder for what belongs to this request. Who is turned away is heard out: a client that is cut off
        while it still sends may never read why."""
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self.pool.place())
                folder = stack.enter_context(_own_folder())
            except (TooManyError, OutputError):
                async for _ in request.stream():
                    pass
                raise
            with _named({f"{folder}{os.sep}": "", str(self.models[model]): model}):
                yield Path(folder)

    @asynccontextmanager
    async def worker(self, request: Request) -> AsyncIterator[Worker]:
        """A worker, when it is this request's turn."""
        async with self.pool.worker() as one:
            if await request.is_disconnected():
                raise HTTPException(408, "The client went away")
            yield one

    async def ask(self, request: Request, do: str, model: str, **words: Any) -> Message:
        """Has a worker do one thing."""
        async with self.worker(request) as worker:
            longest = self.limits.longest_seconds
            asked = partial(worker.ask, do, model=str(self.models[model]), longest=longest, **words)
            return await anyio.to_thread.run_sync(asked)

    async def parts(
        self,
        request: Request,
        do: str,
        model: str,
        headers: Mapping[str, str],
        audio_format: AudioFormat,
        **words: Any,
    ) -> _Parts:
        """Has a worker do one thing whose answer is sent as it is made. What goes wrong before the first part is an error."""
        held: AsyncExitStack = request.state.held
        worker = await held.enter_async_context(self.worker(request))
        longest = self.limits.longest_seconds
        parts = worker.parts(do, model=str(self.models[model]), longest=longest, audio_format=audio_format, **words)
        held.callback(_close, parts)
        said, start = dict[str, Any](), b""
        while not start:  # a part without bytes is a sign of life
            first = await anyio.to_thread.run_sync(next, parts, None)
            if first is None:
                raise DistillError("Nothing came of it.", "This is a fault in Distill.")
            if await request.is_disconnected():
                raise HTTPException(408, "The client went away")
            said, start = first

        async def content() -> AsyncIterator[bytes]:
            yield start
            while (part := await anyio.to_thread.run_sync(next, parts, None)) is not None:
                yield part[1]

        # With the length told beforehand a client notices when the sound was cut off.
        return _Parts(content(), {**headers, "content-length": str(said["bytes"])}, MEDIA[audio_format], self.pool)


def create_service(models: Mapping[str, Path], token: str, limits: Limits | None = None) -> FastAPI:
    """The whole app.

    Args:
        models: by the names under which clients ask for them.
    """
    limits = limits or Limits()
    desk = _Desk(models, limits)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        await anyio.to_thread.run_sync(desk.pool.close)  # not in this loop: a job that holds a worker is let go in it

    app = FastAPI(
        lifespan=life,
        title="Distill",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        responses=WRONG,
        dependencies=[Depends(HTTPBearer(auto_error=False))],  # for the description; the gate is what holds
    )
    app.state.desk, app.state.pool = desk, desk.pool
    _add_routes(app, desk)
    add_words(app, "See /v1/openapi.json.")
    app.add_exception_handler(TooManyError, _too_many)
    app.add_exception_handler(OutputError, _no_room)
    audio = int(limits.longest_seconds * _SECOND_BYTES) + 2**20
    app.add_middleware(
        Gate, token=token, longest={"encode": audio, "decode": 2_000_000, "edit": _JSON_BYTES, "": 2**16}
    )
    return app


class _Placed(APIRoute):
    """A route that takes a place, and a folder, before it reads the body. All that is held for the request is let go when it is
    answered; for an answer in parts, when the last has been sent."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request; the route's own function finds ``folder`` and ``held`` in the request's state."""
        handle = super().get_route_handler()

        async def placed(request: Request) -> Response:
            desk, model = request.app.state.desk, request.path_params["model"]
            await anyio.to_thread.run_sync(desk.check, model)
            async with AsyncExitStack() as held:
                request.state.held = held
                request.state.folder = await held.enter_async_context(desk.place(request, model))
                answer = await handle(request)
                if isinstance(answer, _Parts):
                    answer.held = held.pop_all()
                return answer

        return placed


def _add_routes(app: FastAPI, desk: _Desk) -> None:
    @app.get("/v1/models")
    def models() -> list[Served]:
        """What can be asked for."""
        return desk.served()

    placed = APIRouter(prefix="/v1/models/{model}", route_class=_Placed)

    @placed.post("/encode", responses=GIVES_CODES, response_class=Response, openapi_extra=BODY)
    async def encode(model: Name, request: Request) -> Response:
        """An audio file of any kind that Distill reads, as codes."""
        audio = await _body(request, request.state.folder / "sound")
        out = request.state.folder / "out.codes"
        await desk.ask(request, "encode whole", model, audio=str(audio), out=str(out))
        return Response(out.read_bytes(), media_type=CODES)

    @placed.post("/decode", responses=GIVES_SOUND, response_class=Response, openapi_extra=BODY)
    async def decode(
        model: Name, request: Request, audio_format: Annotated[AudioFormat, Query(alias="format")] = "wav"
    ) -> Response:
        """Codes as sound, exactly as long as what was encoded."""
        codes = await _body(request, request.state.folder / "sound.codes")
        return await desk.parts(request, "decode whole", model, {}, audio_format, codes=str(codes))

    @placed.post("/generate", responses=GIVES_SOUND, response_class=Response)
    async def generate(model: Name, wanted: GenerateRequest, request: Request) -> Response:
        """New audio, as WAV in the codec's voice sent while it is drawn. The header X-Distill-Seed says with which seed it is
        made again."""
        seed = secrets.randbelow(2**31) if wanted.seed is None else wanted.seed
        if wanted.seconds > (longest := desk.limits.longest_seconds):
            raise SettingError(
                f"{duration(wanted.seconds)} are more than the {duration(longest)} that are made at once here.",
                "Ask for less, or several times.",
            )
        words = {"seconds": wanted.seconds, "seed": seed, "sampling": wanted.sampling(), "voice": wanted.voice}
        return await desk.parts(request, "draw whole", model, {"x-distill-seed": str(seed)}, wanted.format, **words)

    @placed.post("/edit", responses=GIVES_CODES, response_class=Response)
    async def edit(model: Name, asked: EditRequest, request: Request) -> Response:
        """Codes, changed."""
        operations = [vars(one) for one in asked.operations()]
        folder: Path = request.state.folder
        codes = _unpacked(asked.codes, folder / "sound.codes")
        others = {
            name: str(_unpacked(text, folder / f"other-{number}.codes"))
            for number, (name, text) in enumerate(asked.others.items())
        }
        out = folder / "out.codes"
        await desk.ask(request, "edit whole", model, codes=str(codes), others=others, edits=operations, out=str(out))
        return Response(out.read_bytes(), media_type=CODES)

    app.include_router(placed)


def _own_folder() -> "tempfile.TemporaryDirectory[str]":
    try:
        return tempfile.TemporaryDirectory(prefix="distill-")
    except OSError as error:
        raise output_error(Path(error.filename or "the folder for temporary files"), error) from error


async def _body(request: Request, path: Path) -> Path:
    """Writes what the client sends to disk; where that cannot be, it is heard out all the same."""
    parts = request.stream()
    try:
        with path.open("wb") as file:
            async for part in parts:
                await anyio.to_thread.run_sync(file.write, part)
    except OSError as error:
        async for _ in parts:  # the client reads no answer before it has sent everything
            pass
        raise output_error(path, error) from error
    return path


def _unpacked(text: str, path: Path) -> Path:
    try:
        path.write_bytes(base64.b64decode(text, validate=True))
    except ValueError as error:
        raise SettingError("A .codes file that was sent is not in base64.", "Send it as base64 in one line.") from error
    except OSError as error:
        raise output_error(path, error) from error
    return path


@contextmanager
def _named(names: Mapping[str, str]) -> Iterator[None]:
    """Where files lie on the server is nothing to the client: in what is said, names stand for paths."""
    try:
        yield
    except DistillError as error:
        what, fix = error.what, error.fix
        for path, name in names.items():
            what, fix = what.replace(path, name), fix.replace(path, name)
        raise type(error)(what, fix) from error


def _close(parts: Generator[Message, None, None]) -> None:
    """Has no more parts made. Where a thread is still at work on one, as when the server ends, it ends with its worker."""
    if inspect.getgeneratorstate(parts) != inspect.GEN_RUNNING:
        parts.close()


def _served(name: str, path: Path, limits: Limits) -> Served:
    header = read_header(path)
    codec = header.codec
    return Served(
        name=name,
        sample_rate=codec.sample_rate,
        channels=codec.channels,
        hop=codec.hop,
        levels=codec.num_quantizers,
        level_names=list(LEVEL_NAMES[codec.num_quantizers]),
        entries=codec.codebook_size,
        has_prior=header.has_prior,
        longest_seconds=limits.longest_seconds,
    )


def _too_many(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, TooManyError)
    told = Wrong(what="All places are taken.", fix=f"Ask again in about {about(error.seconds)}.")
    return JSONResponse(told.model_dump(), 503, {"retry-after": str(error.seconds)})


def _no_room(_: Request, error: Exception) -> JSONResponse:
    """A client names no file that is written, so it is the server's disk; whoever runs the server reads why."""
    assert isinstance(error, OutputError)
    logging.getLogger("distill").warning(f"A request was refused: {error.what}")
    what = "The server has no room for this: its disk is full, or cannot be written to."
    told = Wrong(what=what, fix="Try again later, or ask whoever runs the server.")
    return JSONResponse(told.model_dump(), 507)
