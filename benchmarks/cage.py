"""A child process with little memory and little time, in which files meant to do harm are opened one after the other.

A crash, a hang, an open door (a program started, a file written, a pickle opened) and too much memory or time are all seen
from outside and told as that file's outcome; the next file gets a fresh child.
"""

import argparse
import collections
import multiprocessing
import os
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

MEMORY = 500 << 20
"""Bytes that a file may take beyond what the child has when everything is imported."""
SECONDS = 1.0
"""Of the child's own work; on a busy machine the clock on the wall says more about the others."""
SECONDS_A_SECOND = 0.05
"""Of work that each second of sound really in a file may take beyond that."""
HANG = 20.0
"""Of the child's own work after which it is ended."""
STUCK = 120.0
"""By the clock on the wall, while it asks for no processor: it waits for something that does not come. A child that a busy
machine gives no time to is not stuck."""
WELL = frozenset({"refused", "equal", "consistent"})
"""Outcomes as they should be; all others are findings."""

_DOORS = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.Popen",
    "pickle.find_class",
    "socket.connect",
)

Opened = tuple[str, str, float]
"""The outcome, its words, and the seconds of sound that were found."""
Attempt = Callable[[int], tuple[str, Callable[[], Opened], Callable[[], str]]]
"""File number to three things: what was done to the file; the opening of it; and, for what opens as "consistent", the proof
that it is: no words if so. The proof takes what time it needs."""


@dataclass(frozen=True)
class Outcome:
    """What came of one file."""

    number: int
    kind: str
    """What was done to the file."""
    verdict: str
    words: str
    seconds: float = 0.0
    memory: int = 0
    """Bytes the child has grown by at most since its beginning."""
    sound: float = 0.0
    """Seconds of it that were found."""


def outcomes(
    prepare: Callable[[Any], Attempt], given: Any, numbers: Iterable[int], may_write: str | None = None
) -> Iterator[Outcome]:
    """Runs the attempts in a child, where ``prepare(given)`` makes the function that does; they may write to one folder."""
    context = multiprocessing.get_context("spawn")
    child: Any = None
    for number in numbers:
        if child is None:
            ours, theirs = context.Pipe()
            child = context.Process(target=_work, args=(theirs, prepare, given, may_write), daemon=True)
            child.start()
            theirs.close()
            ours.recv()
        kind = "?"
        try:
            ours.send(number)
            kind = ours.recv()
            answer = _answer(ours, child.pid)
        except EOFError:
            child.join()
            answer = "crash", f"the child ended with {child.exitcode}", 0.0, 0, 0.0
        verdict, words, seconds, memory, sound = answer
        if verdict in WELL and seconds > SECONDS + SECONDS_A_SECOND * sound:
            verdict, words = "slow", f"{verdict}: {words}"
        if verdict in {"hang", "crash"}:
            child.kill()
            child.join()
            child = None
        yield Outcome(number, kind, verdict, words, seconds, memory, sound)
    if child is not None:
        child.kill()
        child.join()


def _answer(pipe: Connection, pid: int) -> tuple[str, str, float, int, float]:
    """What the child found, or that it hangs."""
    before = seen = _work_of(pid)
    waited_since = time.monotonic()
    while not pipe.poll(1.0):
        now = _work_of(pid)
        if now > seen or _wants_processor(pid):
            seen, waited_since = now, time.monotonic()
        worked, waited = now - before, time.monotonic() - waited_since
        if worked > HANG or waited > STUCK:
            return "hang", f"after {worked:.0f} s of work, and {waited:.0f} s of waiting", worked, 0, 0.0
    answer: tuple[str, str, float, int, float] = pipe.recv()
    return answer


def _work_of(pid: int) -> float:
    """Seconds of processor time that a process has taken."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _wants_processor(pid: int) -> bool:
    """Whether it computes, or would if the machine had time, or waits for the disk."""
    return _stat(pid)[0] in {"R", "D"}


def _stat(pid: int) -> list[str]:
    """What the kernel says of a process, from its state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def open_many(prepare: Callable[[Any], Attempt], words: str, count: int, *, writes: bool = False) -> int:
    """The command line of a fuzzer: opens what is asked for and tells what came of it; gives the exit code.

    Args:
        prepare: gets the seed, a folder, and where to leave the file that was opened last.
        words: what the fuzzer does.
        count: of files, if not said otherwise.
        writes: whether opening them may write to that folder.
    """
    reader = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--count", type=int, default=count)
    reader.add_argument("--seed", type=int, default=0)
    reader.add_argument(
        "--first", type=int, default=0, help="the number of the first file, to go on where a run was stopped"
    )
    reader.add_argument("--only", type=int, help="the number of one file")
    reader.add_argument("--keep", help="where to leave the file that was opened last")
    asked = reader.parse_args()
    numbers = range(asked.first, asked.count) if asked.only is None else [asked.only]
    with tempfile.TemporaryDirectory() as folder:
        given = asked.seed, folder, asked.keep
        return tell(outcomes(prepare, given, numbers, may_write=folder if writes else None), "files")


def tell(found: Iterable[Outcome], what: str) -> int:
    """Prints every finding, how far it is by now and then, and a row a kind; 0 if nothing was found, else 1: the exit code."""
    table: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    reasons: collections.Counter[str] = collections.Counter()
    slowest, largest = Outcome(-1, "", "", ""), 0
    findings = 0
    begin = time.monotonic()
    for one in found:
        table[one.kind][one.verdict] += 1
        slowest, largest = max(slowest, one, key=lambda each: each.seconds), max(largest, one.memory)
        if one.verdict not in WELL:
            findings += 1
            print(f"FINDING {one.number} ({one.kind}): {one.verdict}: {one.words[:500]}", flush=True)
        elif one.verdict == "refused":
            reasons[re.sub(r"[0-9a-f]{8}|\d+|'[^']*'", "…", one.words)] += 1
        done = sum(row.total() for row in table.values())
        if done % 500 == 0:
            print(f"{done} {what} in {time.monotonic() - begin:.0f} s, {findings} findings so far", flush=True)
    columns = sorted(WELL | {verdict for row in table.values() for verdict in row})
    print(f"{'':36}" + "".join(f"{column:>12}" for column in columns))
    for kind, row in sorted(table.items()):
        print(f"{kind:36}" + "".join(f"{row[column]:12}" for column in columns))
    total = sum((row for row in table.values()), collections.Counter())
    print(f"{'in all':36}" + "".join(f"{total[column]:12}" for column in columns))
    print("refused because:")
    for reason, count in reasons.most_common():
        print(f"{count:8}  {reason[:150]}")
    print(
        f"{total.total()} {what} in {time.monotonic() - begin:.0f} s; {findings} findings; "
        f"the slowest, with {slowest.sound:.0f} s of sound in it, took {slowest.seconds:.2f} s, "
        f"the most memory was {largest / 2**20:.0f} MiB"
    )
    return 1 if findings else 0


def _work(pipe: Connection, prepare: Callable[[Any], Attempt], given: Any, may_write: str | None) -> None:
    attempt = prepare(given)
    opened: list[str] = []
    watching = False

    def watch(event: str, args: tuple[Any, ...]) -> None:
        if not watching:
            return
        writes = event == "open" and isinstance(args[1], str) and bool(set(args[1]) & set("wax+"))
        if event in _DOORS or (writes and not (may_write and str(args[0]).startswith(may_write))):
            opened.append(f"{event} {args[:2]}")

    sys.addaudithook(watch)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pages = Path("/proc/self/statm")
    if pages.exists():
        ceiling = int(pages.read_text().split()[0]) * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
    pipe.send("ready")
    while True:
        kind, opening, proof = attempt(pipe.recv())
        pipe.send(kind)
        start = time.process_time()
        seconds = sound = 0.0
        watching = True
        try:
            verdict, words, sound = opening()
            watching, seconds = False, time.process_time() - start
            if verdict == "consistent" and (words := proof()):
                verdict = "inconsistent"
        except MemoryError:
            verdict, words = "memory", f"more than {MEMORY >> 20} MiB"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            verdict, words = "error", f"{type(error).__name__}: {error}"
        watching = False
        if opened:
            verdict, words = "open door", "; ".join(opened)
            opened.clear()
        grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        pipe.send((verdict, words, seconds or time.process_time() - start, grown, sound))
