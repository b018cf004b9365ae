"""The progress of a sweep, saved in Distill's own folder, so that a stopped sweep can resume."""

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distill.errors import OutputError
from distill.files.atomic import written_aside
from distill.files.home import home
from distill.files.regular import absolute, digest_of_place

_NOTES = "sweeps"


class Progress:
    """What a sweep has begun and what of it is finished. Threads may note at once; two processes may not."""

    def __init__(self, out: Path, settings: Mapping[str, Any]) -> None:
        """Reads what an earlier sweep with the same settings noted of ``out``; of any other nothing is known.

        Raises:
            OutputError: if there is a note that cannot be read.
        """
        self._file = home() / _NOTES / f"{digest_of_place(out)[:32]}.json"
        self._settings, self._claim = {"out": str(absolute(out)), **settings}, threading.Lock()
        self._begun: list[str] = []
        self._finished: list[str] = []
        if not self._file.exists():
            return
        try:
            told = json.loads(self._file.read_bytes())
            if told["settings"] == self._settings:
                self._begun, self._finished = ([str(one) for one in told[name]] for name in ("begun", "finished"))
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise OutputError(
                f"The note of how far the sweep in {out} is, {self._file}, cannot be read.",
                "Remove it to train all of the sweep anew, into another --out.",
            ) from error

    def is_begun(self, what: str) -> bool:
        """Whether it was begun, now or before."""
        return what in self._begun

    def is_finished(self, what: str) -> bool:
        """Whether it was trained to its end, now or before."""
        return what in self._finished

    def begin(self, what: str) -> None:
        """Notes that it is worked at from now on, also if it was finished before.

        Raises:
            OutputError: if that cannot be written.
        """
        if what in self._finished:
            self._finished.remove(what)
        self._add(self._begun, what)

    def finish(self, what: str) -> None:
        """Notes that it is trained to its end.

        Raises:
            OutputError: if that cannot be written.
        """
        self._add(self._finished, what)

    def _add(self, to: list[str], what: str) -> None:
        with self._claim:
            if what not in to:
                to.append(what)
            told = {"settings": self._settings, "begun": self._begun, "finished": self._finished}
            with written_aside(self._file) as aside:
                aside.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
