"""``--devices 2`` on a real command line: it starts the other process itself, and Ctrl-C stops both."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import small_distill
from distill.files.home import home
from distill.models import load_model


def test_ctrl_c_stops_all_of_them_and_keeps_the_model(small_corpus: Path, tmp_path: Path) -> None:
    words = ["train", str(small_corpus), "--name", "two", "--minutes", "9", "--devices", "2", "--device", "cpu"]
    with subprocess.Popen(
        [sys.executable, "-P", small_distill.__file__, *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        try:
            until = time.monotonic() + 200
            while not any(b"VQStepMetrics" in log.read_bytes() for log in (home() / "runs").glob("*/codec.jsonl")):
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < until
                time.sleep(0.2)
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to all
            _, err = process.communicate(timeout=200)
        except BaseException:
            with suppress(ProcessLookupError):  # where all have ended
                os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == 0, err
    assert "distill train --resume two.distill" in err
    assert "Traceback" not in err
    assert load_model(tmp_path / "two.distill").header.codec_training["cancelled"] == 1
    assert len(list((home() / "runs").iterdir())) == 1, "the other process kept a run of its own"
