"""``distill sweep --ray`` on a cluster that the test starts on this machine, with two cores and little memory."""

import contextlib
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from distill.models import load_model

# Ray reads these when it is imported. Its own patience, twenty seconds, is too short where other tests have the cores.
os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "60")
os.environ.setdefault("RAY_gcs_server_request_timeout_seconds", "120")

ray = pytest.importorskip("ray", reason="Ray is not installed here: make ray")
pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.alone]  # Ray has warnings of its own
MIB = 1 << 20
PORTS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
"""Where Ray is not told these, its agents look for some; if that takes more than 15 s, the cluster never comes up."""


def at_work(folder: str) -> list[str]:
    """The processes of a cluster that keeps its files in this folder, as far as this machine tells."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:  # it ended meanwhile, or is another person's
            continue
        if os.fsencode(folder) in told:
            found.append(told.partition(b"\0")[0].decode())
    return found


def free_ports() -> dict[str, int]:
    """One for each of ``PORTS``."""
    with contextlib.ExitStack() as held:
        taken = [held.enter_context(socket.socket()) for _ in PORTS]
        for one in taken:
            one.bind(("", 0))
        return {name: one.getsockname()[1] for name, one in zip(PORTS, taken, strict=True)}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a cluster of one machine; nothing of it is left afterwards."""
    from ray.cluster_utils import Cluster

    folder = tempfile.mkdtemp(prefix="ray-")  # pytest's own is too long a name for the sockets in it
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", f"{folder}/token")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_agent_register_timeout_ms", "300000")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # of 15, as Ray has it, they come to nothing beside other tests
    started = Cluster()
    try:
        started.add_node(
            wait=False,  # Distill waits for it
            num_cpus=2,
            memory=1024 * MIB,
            object_store_memory=80 * MIB,
            include_dashboard=False,
            temp_dir=folder,
            **free_ports(),
        )
        yield started.address
    finally:
        started.shutdown()
        ends = time.monotonic() + 60
        while at_work(folder) and time.monotonic() < ends:
            time.sleep(0.2)
        left = at_work(folder)
        shutil.rmtree(folder)
    assert not left


def test_a_sweep_on_a_cluster(
    cluster: str, distill: Callable[..., Any], small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the cluster's processes are somewhere else: what is relative here must not stay so
    words = ["--grid", "heads=1,7", "--minutes", "0.2", "--out", "out", "--ray", cluster, "--json"]
    answer = distill("sweep", os.path.relpath(small_corpus, tmp_path), *words)
    assert answer.code == 0, answer.err
    assert f"on the Ray cluster at {cluster}" in answer.err
    assert [one["model"] for one in answer.json["models"]] == ["heads 1"]
    assert "--heads 7 is not possible" in answer.json["failed"]["heads7"]
    assert Path(answer.json["page"]).exists()
    assert load_model(tmp_path / "out" / "heads1.distill").require_prior()
    assert not ray.is_initialized()


def test_a_cluster_that_is_started_here_tells_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster begun by ``--ray local`` would report its use to Ray's makers, which Distill promises not to do."""
    from ray._common.usage import usage_lib

    from distill.cli.engines import on_ray

    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ray, "init", lambda **_: None)
    monkeypatch.setattr(ray, "cluster_resources", dict)
    with on_ray("local", "cpu"):
        assert not usage_lib.usage_stats_enabled()
