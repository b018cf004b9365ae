"""The worker: what it says, that it comes back when it died, and that it goes when the server does."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from distill.errors import CodesFileError, DistillError, ModelFileError, SettingError
from distill.web.frames import BrokenFrameError, receive, send
from distill.web.worker import Worker


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    one = Worker()
    yield one
    one.close()


def grid(columns: int = 60) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 32, (columns, 2)).astype("<i2")


def heard(wav: bytes) -> np.ndarray:
    audio, rate = soundfile.read(io.BytesIO(wav), dtype="float32", always_2d=True)
    assert rate == 48_000
    return audio.T


def test_recordings_become_codes_and_codes_sound(
    worker: Worker, tiny: Path, noise: Callable[..., Any], save: Any, tmp_path: Path
) -> None:
    audio = save(tmp_path / "a.wav", noise(1.5))
    said, body = worker.ask("encode", model=str(tiny), audio=str(audio))
    assert said["samples"] == 72_000
    assert len(body) == 71 * 2 * 2
    about, _ = worker.ask("about", model=str(tiny))
    assert about["codec"] == said["codec"]
    assert (about["levels"], about["entries"], about["hop"]) == (2, 32, 1024)
    assert [len(level) for level in about["colours"]] == [32, 32]
    words = {"model": str(tiny), "codec": said["codec"]}
    assert heard(worker.ask("stretch", body, first=10, stop=20, **words)[1]).shape == (1, 10 * 1024)
    alone = heard(worker.ask("stretch", body, first=10, stop=20, levels=[1], **words)[1])
    assert not np.array_equal(alone, heard(worker.ask("stretch", body, first=10, stop=20, **words)[1]))
    assert heard(worker.ask("held", body[:4], **words)[1]).shape[1] > 10_000
    assert heard(worker.ask("entry", level=1, code=3, **words)[1]).shape[1] > 10_000


def test_a_blend_and_proposals(worker: Worker, tiny: Path) -> None:
    one, other = grid(), grid()[::-1]
    both = np.concatenate([one, other]).tobytes()
    said, body = worker.ask("blend", both, model=str(tiny), columns=60, weight=1.0, levels=[0, 1])
    np.testing.assert_array_equal(np.frombuffer(body, "<i2").reshape(-1, 2), other)
    assert said["off"] == [0] * 60
    free = np.zeros_like(one)
    free[20:30, 1] = 1
    ask = {"columns": 60, "first": 18, "stop": 32, "count": 3, "temperature": 1.0, "model": str(tiny)}
    said, body = worker.ask("reimagine", np.concatenate([one, free]).tobytes(), seed=4, **ask)
    assert said["seeds"] == [4, 5, 6]
    proposals = np.frombuffer(body, "<i2").reshape(3, 14, 2)
    for proposal in proposals:
        np.testing.assert_array_equal(proposal[:, 0], one[18:32, 0])
        np.testing.assert_array_equal(proposal[[0, 1, 12, 13]], one[[18, 19, 30, 31]])
    again = worker.ask("reimagine", np.concatenate([one, free]).tobytes(), seed=5, **ask)[1]
    np.testing.assert_array_equal(np.frombuffer(again, "<i2").reshape(3, 14, 2)[0], proposals[1])


def test_where_an_entry_sounds(worker: Worker, tiny: Path) -> None:
    """Every place is one where the recording's codes have it, and none is missing."""
    codes = np.frombuffer(worker.ask("recording", model=str(tiny), index=0)[1], "<i2").reshape(-1, 2)
    code = int(codes[7, 1])
    said, _ = worker.ask("places", model=str(tiny), level=1, code=code)
    here = [place for place in said["places"] if place["recording"] == 0]
    found = np.zeros(len(codes), bool)
    for place in here:
        found[place["first"] : place["stop"]] = True
    np.testing.assert_array_equal(found, codes[:, 1] == code)
    assert said["count"] == len(said["places"])
    assert heard(worker.ask("place", model=str(tiny), index=0, first=2, stop=6)[1]).shape == (1, 4 * 1024)


@pytest.mark.parametrize(
    ("do", "words", "kind", "said"),
    [
        ("stretch", {"first": 0, "stop": 61}, SettingError, "not within the 60"),
        ("stretch", {"first": 0, "stop": 6, "levels": [2]}, SettingError, "there are 2"),
        ("stretch", {"first": 0, "stop": 6, "codec": "f" * 64}, CodesFileError, "another one"),
        ("entry", {"level": 0, "code": 32}, SettingError, "no code 32"),
        ("entry", {"level": 5, "code": 3}, SettingError, "there are 2"),
        ("place", {"index": 99, "first": 0, "stop": 1}, SettingError, "keeps 3 recordings"),
        ("about", {"model": "nowhere.distill"}, ModelFileError, "nowhere"),
        ("write", {"samples": 1, "out": "a.wav"}, SettingError, "do not take 60"),
        ("nothing", {}, DistillError, "KeyError"),
    ],
)
def test_errors_come_in_words_and_the_worker_goes_on(
    worker: Worker, tiny: Path, do: str, words: dict[str, Any], kind: type[DistillError], said: str
) -> None:
    with pytest.raises(DistillError, match=said) as refused:
        worker.ask(do, grid().tobytes(), **{"model": str(tiny), **words})
    assert type(refused.value) is kind
    assert worker.ask("about", model=str(tiny))[0]["levels"] == 2


def test_codes_the_model_does_not_have(worker: Worker, tiny: Path) -> None:
    for body in (b"", b"12", (grid() + 30).tobytes()):
        with pytest.raises(SettingError, match=r"codes that the model does not have|no columns"):
            worker.ask("stretch", body, model=str(tiny), first=0, stop=1)


def test_a_model_that_changed_is_read_again(worker: Worker, tiny: Path, model_files: Path) -> None:
    """Guards against sounds of a model that is no longer there."""
    before = worker.ask("about", model=str(tiny))[0]["codec"]
    tiny.write_bytes((model_files / "other.distill").read_bytes())
    assert worker.ask("about", model=str(tiny))[0]["codec"] != before


def test_it_comes_back_when_it_died(tiny: Path) -> None:
    worker = Worker()
    try:
        worker.ask("about", model=str(tiny))
        first = worker.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        # Where the system has not noticed yet that it is gone, the question says so; else it is started anew without a word.
        with suppress(DistillError):
            worker.ask("about", model=str(tiny))
        assert worker.ask("about", model=str(tiny))[0]["levels"] == 2
        assert worker.pid != first
    finally:
        worker.close()
    assert worker.pid is None


def test_a_question_that_takes_too_long_is_given_up(tiny: Path) -> None:
    worker = Worker(patience=0.05)
    with pytest.raises(DistillError, match="given up"):
        worker.ask("about", model=str(tiny))
    assert worker.pid is None


def test_many_ask_at_once_and_each_gets_its_own_answer(worker: Worker, tiny: Path) -> None:
    lengths: dict[int, int] = {}

    def ask(columns: int) -> None:
        wav = worker.ask("stretch", grid().tobytes(), model=str(tiny), first=0, stop=columns)[1]
        lengths[columns] = heard(wav).shape[1]

    threads = [threading.Thread(target=ask, args=(columns,)) for columns in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lengths == {columns: 1024 * columns for columns in range(1, 9)}


def test_it_ends_with_the_server(tiny: Path, start_process: Callable[..., "subprocess.Popen[str]"]) -> None:
    """Guards against processes that stay behind and hold a model in memory: the server is killed, not asked to end."""
    code = f"""
from distill.web.worker import Worker
worker = Worker()
worker.ask("about", model={str(tiny)!r})
print(worker.pid, flush=True)
import time
time.sleep(60)
"""
    server = start_process([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert server.stdout is not None
    pid = int(server.stdout.readline())
    server.kill()
    server.wait()
    ends = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and _state(pid) != "Z":
        assert time.monotonic() < ends, "the worker is still there"
        time.sleep(0.05)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_frames() -> None:
    stream = io.BytesIO()
    send(stream, {"do": "ä"}, b"\0\1")
    send(stream, {})
    stream.seek(0)
    assert receive(stream) == ({"do": "ä"}, b"\0\1")
    assert receive(stream) == ({}, b"")
    assert receive(stream) is None


@pytest.mark.parametrize(
    "content", [b"\1\0", b"\2\0\0\0\0\0\0\0{", b"\xff" * 8, b"\2\0\0\0\0\0\0\0[]", b"\2\0\0\0\1\0\0\0{}"]
)
def test_a_broken_message(content: bytes) -> None:
    with pytest.raises(BrokenFrameError):
        receive(io.BytesIO(content))


def test_the_server_imports_no_pytorch() -> None:
    code = "import sys, distill.web.worker, distill.web.frames; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
