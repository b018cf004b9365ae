"""The process of a job: it waits for its turn, then runs its commands one after the other.

    python -m distill.web.runner FOLDER

It lives on when the page and the server are gone. Ctrl-C is for the command at work alone, which keeps what it has.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from distill.complaints import FIX, MARK
from distill.errors import OutputError
from distill.files.atomic import output_error, write_json
from distill.files.home import PROGRESS, home
from distill.files.process import process_of
from distill.web import jobs

_LOOK_S = 0.25


def run(folder: Path) -> None:
    """Runs the job in this folder to its end, and notes how it ended."""
    signal.signal(signal.SIGINT, lambda *_: None)  # a handler, unlike SIG_IGN, is not handed on to the commands
    one = jobs.job(folder.name)
    while not one.was_stopped and not jobs.first_of_its_lane(folder):
        time.sleep(_LOOK_S)
    codes: list[int] = []
    for at, words in enumerate(one.commands):
        if one.was_stopped:
            break
        try:
            codes.append(_command(folder, at, words))
        except (OSError, OutputError) as error:
            refusal = error if isinstance(error, OutputError) else output_error(folder, error)
            with suppress(OSError):  # where there is no room for words either, it is still told that it failed
                _complain(folder / f"{at}.err", refusal)
            codes.append(refusal.exit_code)
        if codes[-1]:
            break
    write_json(folder / "ended.json", {"codes": codes, "stopped": one.was_stopped})


def _command(folder: Path, at: int, words: list[str]) -> int:
    """Runs a command to its end. Where its process cannot be noted it is interrupted, as nobody else could do it then."""
    # The command is run in another folder, and there a DISTILL_HOME that does not begin at the root would be another one.
    own = {"DISTILL_HOME": str(home()), PROGRESS: str(folder / "progress.json"), "COLUMNS": "200"}
    with (folder / f"{at}.out").open("wb") as out, (folder / f"{at}.err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "distill", *words],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd=folder,
            env={**os.environ, **own},
        )
        try:
            with suppress(OSError):  # the page reads it just now (Windows): the command soon tells its own
                (folder / "progress.json").unlink(missing_ok=True)
            write_json(folder / "running.json", {"at": at, "process": process_of(process.pid)})
            if (folder / "stop").exists():  # asked between the last look and now
                jobs.interrupt(process_of(process.pid))
            return process.wait()
        except BaseException:
            jobs.interrupt(process_of(process.pid))
            process.wait()
            raise


def _complain(err: Path, refusal: OutputError) -> None:
    with err.open("a", encoding="utf-8") as words:
        words.write(f"\n{MARK}{refusal.what}\n{FIX}{refusal.fix}\n")


if __name__ == "__main__":
    run(Path(sys.argv[1]))
