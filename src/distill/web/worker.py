"""The server's end of its one PyTorch process: started on first use, restarted if it dies, ended with the server.

    route ──ask──▶ Worker ──stdin──▶ worker_process.py (PyTorch, the last models)
                          ◀──stdout──

One question at a time. What the process says in words of ``errors.py`` is raised here as the same error. Its standard input
ends when the server does, however that ends, and then so does it.
"""

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import suppress
from typing import IO, Any

from distill import errors
from distill.errors import DistillError
from distill.web.frames import ENOUGH, MORE, BrokenFrameError, Message, receive, send

PATIENCE_S = 300.0
"""So long may one question take; then the process is taken for stuck and is ended."""
_BYE_S = 2.0


class Worker:
    """Asks the process, and keeps it alive.

    Args:
        patience: seconds after which a question is given up.
    """

    def __init__(self, patience: float = PATIENCE_S) -> None:
        self._patience = patience
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._answers: queue.Queue[Message | None] = queue.Queue()

    @property
    def pid(self) -> int | None:
        """Of the process; None where there is none now."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def ask(self, do: str, body: bytes = b"", **words: Any) -> Message:
        """Has one thing done: what is said of the result, and its bytes.

        Raises:
            DistillError: what the process says is wrong, or that it ended or was stuck.
        """
        with self._turn:
            return self._said(do, body, words)

    def parts(self, do: str, body: bytes = b"", **words: Any) -> Generator[Message, None, None]:
        """Has one thing done whose answer comes in parts, each made when it is asked for; closed early, the rest is not made.

        Raises:
            DistillError: as :meth:`ask`, with any part.
        """
        with self._turn:
            said, part = self._said(do, body, words)
            is_heard = False
            try:
                while said["more"]:
                    yield said, part
                    said, part = self._said(MORE, b"", {})
                is_heard = True
            except DistillError:
                is_heard = True  # the process has ended its answer, or itself
                raise
            finally:
                if not is_heard:
                    try:
                        self._say(ENOUGH, b"", {})
                    except BrokenFrameError:  # it reads nothing any more; the next question starts it anew
                        self._end()

    def _said(self, do: str, body: bytes, words: dict[str, Any]) -> Message:
        if do != MORE and self.pid is None:
            self._start()
        try:
            self._say(do, body, words)
            answer = self._answers.get(timeout=self._patience)
        except queue.Empty as error:
            self._end()
            raise DistillError(
                f"This took longer than {self._patience:.0f} s and was given up.",
                "Try it with a shorter stretch. Nothing that was edited is lost.",
            ) from error
        except BrokenFrameError:  # nobody reads any more
            answer = None
        if answer is None:
            self._end()
            raise DistillError(
                "The process that makes sound ended unexpectedly; memory may have run out.",
                "Try again: it is started anew. Nothing that was edited is lost.",
            )
        if "what" in answer[0]:
            raise _error(answer[0])
        return answer

    def _say(self, do: str, body: bytes, words: dict[str, Any]) -> None:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        send(process.stdin, {"do": do, **words}, body)

    def close(self, *, at_once: bool = False) -> None:
        """Ends the process, if there is one; where it need not be at once, when it has done what it was asked."""
        process = self._process
        if at_once and process is not None:
            process.kill()
        with self._turn:
            self._end()

    def _start(self) -> None:
        self._end()
        self._answers = queue.Queue()
        # `-c` and not `-m`: where the package is found is where this one was found.
        code = "import sys; sys.path[:] = sys.argv[1:]; from distill.web.worker_process import main; main()"
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # Threads that spin for long while they wait are slow on a busy machine (docs/how-it-works.md).
                env={"GOMP_SPINCOUNT": "2000", **os.environ},
            )
        except OSError as error:
            raise DistillError(
                f"The process that makes sound cannot be started ({error.strerror}).", "Free some memory and try again."
            ) from error
        self._reader = threading.Thread(target=_read, args=(self._process.stdout, self._answers), daemon=True)
        self._reader.start()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError):  # it has ended by itself
            process.stdin.close()
        try:
            process.wait(timeout=_BYE_S if process.poll() is None else 0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._reader is not None:  # it meets the end now
            self._reader.join(timeout=_BYE_S)
        process.stdout.close()


def _read(stream: IO[bytes], answers: "queue.Queue[Message | None]") -> None:
    """Puts every answer in line, and None at the end, whatever the end was."""
    while True:
        try:
            answer = receive(stream)
        except (BrokenFrameError, OSError, ValueError):  # no answer will come: whoever asked is told
            answer = None
        answers.put(answer)
        if answer is None:
            return


def _error(head: dict[str, Any]) -> DistillError:
    kind = getattr(errors, str(head.get("kind")), DistillError)
    is_ours = isinstance(kind, type) and issubclass(kind, DistillError)
    return (kind if is_ours else DistillError)(str(head["what"]), str(head["fix"]))
