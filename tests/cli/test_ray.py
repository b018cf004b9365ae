"""``distill sweep --ray`` on a cluster that the test starts on this machine, with two cores and no more."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from distill.models import load_model

ray = pytest.importorskip("ray", reason="Ray is not installed here: pip install 'distill-audio[ray]'")
pytestmark = pytest.mark.filterwarnings("default")  # Ray has warnings of its own


@pytest.fixture
def cluster() -> Iterator[str]:
    """The address of a cluster of one machine."""
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    yield started.address
    started.shutdown()


def test_a_sweep_on_a_cluster(
    cluster: str, distill: Callable[..., Any], small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the cluster's processes are somewhere else: what is relative here must not stay so
    words = ["--grid", "rvq-levels=2,9", "--minutes", "0.2", "--out", "out", "--ray", cluster, "--json"]
    answer = distill("sweep", os.path.relpath(small_corpus, tmp_path), *words)
    assert answer.code == 0, answer.err
    assert f"on the Ray cluster at {cluster}" in answer.err
    assert [one["model"] for one in answer.json["models"]] == ["rvq-levels 2"]
    assert "--rvq-levels 9 is out of range" in answer.json["failed"]["rvqlevels9"]
    assert Path(answer.json["page"]).exists()
    assert load_model(tmp_path / "out" / "rvqlevels2.distill").require_prior()
    assert not ray.is_initialized()
