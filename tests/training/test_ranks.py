"""Several processes that train one model: as one with the whole batch, to the same end, and with words where one is lost."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import one_of_several
import pytest
import safetensors.torch
import torch

from distill import awake
from distill.errors import CorpusError, DeviceError, RankError, SettingError
from distill.models import ConvVQVAE, ranks
from distill.recordings.corpus import import_corpus
from distill.recordings.passages import Split, whole_recordings
from distill.training import launch
from distill.training.follow import follow
from distill.training.orders import order_codec, order_refinement
from distill.training.plan import CodecPlan, RefinementPlan
from distill.training.state_file import load_state

SCRIPT = Path(__file__).with_name("one_of_several.py")

PROCESSES = get_context("forkserver")
"""One process imports PyTorch and the loops, which takes seconds; every rank is a copy of it."""
PROCESSES.set_forkserver_preload(["distill.training", "distill.training.adversarial", "lightning_fabric"])


@dataclass(frozen=True)
class Ended:
    """What is left of a process."""

    returncode: int | None
    stderr: str


Run = Callable[..., tuple[list[Ended], dict[str, Any]]]


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    """Lightning notes in it what it finds of Slurm."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def work(told: dict[str, str], task: str, folder: Path, out: Path, stderr: Path) -> None:
    """What a process of its own does, with that environment."""
    os.environ.clear()
    os.environ.update(told)
    with stderr.open("w") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
    one_of_several.main(task, folder, out)


@pytest.fixture
def run(small_corpus: Path, tmp_path: Path) -> Run:
    """``run(task, size, out)`` starts so many processes, as machines of one device each; gives them and the result."""

    def start(task: str, size: int = 2, out: str = "out") -> Any:
        folder = tmp_path / out
        folder.mkdir(exist_ok=True)
        (folder / "result.json").unlink(missing_ok=True)
        told = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "NODES": str(size)}
        said = [folder / f"rank-{number}.txt" for number in range(size)]
        processes = [
            PROCESSES.Process(
                target=work, args=({**told, "NODE_RANK": str(number)}, task, small_corpus, folder, said[number])
            )
            for number in range(size)
        ]
        try:
            for one in processes:
                one.start()
            for one in processes:
                one.join(300)
        finally:  # a rank that hangs would outlive the test, and all tests
            for one in processes:
                if one.is_alive():
                    one.kill()
        for one in processes:
            one.join()
        ended = [Ended(one.exitcode, text.read_text()) for one, text in zip(processes, said, strict=True)]
        result = folder / "result.json"
        return ended, json.loads(result.read_text()) if result.exists() else {}

    return start


def parts(path: Path, kind: str) -> dict[str, torch.Tensor]:
    state = load_state(path, kind)
    return {f"{part}/{name}": tensor for part, named in state.parts.items() for name, tensor in named.items()}


@pytest.mark.parametrize("kind", ["codec", "refinement", "prior"])
def test_two_ranks_take_the_steps_of_one_with_the_whole_batch(kind: str, run: Run, tmp_path: Path) -> None:
    """Gradients, as the optimizer's first moments hold them, codebooks and figures, to 1e-5."""
    saved = {"refinement": "codec refinement"}.get(kind, kind)
    ended, alone = run(kind, 1, "one")
    assert ended[0].returncode == 0, ended[0].stderr
    ended, both = run(kind, 2, "two")
    assert [one.returncode for one in ended] == [0, 0], ended[0].stderr + ended[1].stderr
    assert both["losses"] == pytest.approx(alone["losses"], abs=1e-5)
    assert both["held out"] == pytest.approx(alone["held out"], abs=1e-4)
    assert both.get("codes") == alone.get("codes")
    if kind == "prior":
        codes = [safetensors.torch.load_file(tmp_path / out / "prior.codes") for out in ("one", "two")]
        assert set(codes[0]) == {"lengths", "coded", "held_out"}
        for name, encoded in codes[0].items():
            assert torch.equal(codes[1][name], encoded), (
                "the ranks encoded the recordings otherwise than one process does"
            )
    here, there = parts(tmp_path / "one" / f"{kind}.state", saved), parts(tmp_path / "two" / f"{kind}.state", saved)
    assert set(here) == set(there)
    compared = [name for name in here if name.endswith("exp_avg") or "embed" in name]
    assert compared
    for name in compared:
        torch.testing.assert_close(there[name], here[name], atol=1e-5, rtol=1e-3, msg=name)


def test_ranks_that_end_by_the_clock_end_together(run: Run, tmp_path: Path) -> None:
    """Guards against a clock of each one's own: the ranks would wait for each other for ever."""
    ended, _ = run("minutes")
    assert [one.returncode for one in ended] == [0, 0], ended[0].stderr + ended[1].stderr
    steps = [json.loads((tmp_path / "out" / f"rank-{number}.json").read_text())["steps"] for number in (0, 1)]
    assert steps[0] == steps[1] > 1


def test_codebooks_that_have_become_others_are_the_first_ranks_again(run: Run, tmp_path: Path) -> None:
    """Guards against machines whose processors round differently, and codebooks that are further apart with every step."""
    ended, _ = run("drifted")
    assert [one.returncode for one in ended] == [0, 0], ended[0].stderr + ended[1].stderr
    first, second = (json.loads((tmp_path / "out" / f"rank-{number}.json").read_text()) for number in (0, 1))
    assert first["codebooks"], "there was no second epoch"
    assert second["codebooks"] == first["codebooks"]


def test_a_rank_that_is_killed_is_named_and_another_number_goes_on(run: Run, tmp_path: Path) -> None:
    ended, result = run("killed")
    assert (ended[0].returncode, ended[1].returncode, result) == (1, 9, {})
    assert f"The training lost rank 1 of 2 ({socket.gethostname()}, process" in ended[0].stderr
    state = load_state(tmp_path / "out" / "codec.state", "codec")
    assert state.value("schedule.step", int) == 4
    assert all(bool(torch.isfinite(tensor).all()) for tensor in state.parts["weights"].values())
    shutil.copytree(tmp_path / "out", tmp_path / "again")
    ended, result = run("resume", 1)
    assert ended[0].returncode == 0, ended[0].stderr
    assert result["epochs"] == 3
    ended, result = run("resume", 2, "again")
    assert [one.returncode for one in ended] == [0, 0], ended[0].stderr + ended[1].stderr
    assert result["epochs"] == 3


def test_of_a_first_rank_that_is_killed_nobody_names_another(run: Run) -> None:
    """Guards against "lost rank 0 and rank 1", as rank 1 itself said: what all ranks find each other by ends with the first."""
    ended, _ = run("first killed", 3)
    assert [one.returncode for one in ended] == [9, 1, 1]
    for one in ended[1:]:
        assert f"The training lost rank 0 of 3 ({socket.gethostname()}, process" in one.stderr
        assert ") and rank" not in one.stderr


def test_a_rank_that_never_comes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "JOIN_S", 0.5)
    port = free_port()
    for name, value in {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "NODE_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RankError) as told, launch.together("cpu", nodes=2):
        pytest.fail("it began alone")
    assert f"Rank 1 of 2 did not come to 127.0.0.1:{port}" in told.value.what
    assert socket.gethostname() in told.value.fix
    monkeypatch.setenv("NODE_RANK", "1")
    monkeypatch.setenv("MASTER_PORT", free_port())  # where nobody is
    with pytest.raises(RankError, match="first rank cannot be reached"), launch.together("cpu", nodes=2):
        pytest.fail("it began alone")


@pytest.mark.usefixtures("hears_ctrl_c")
@pytest.mark.parametrize("node", ["0", "1"])
def test_ctrl_c_is_heard_while_ranks_are_waited_for(
    node: str, monkeypatch: pytest.MonkeyPatch, strike_in: Callable[[float, int], None]
) -> None:
    """Guards against waiting inside PyTorch, where Python looks for no signals until the time is over."""
    monkeypatch.setattr(launch, "JOIN_S", 30.0)
    for name, value in {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "NODE_RANK": node}.items():
        monkeypatch.setenv(name, value)
    strike_in(0.5, signal.SIGINT)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), launch.together("cpu", nodes=2):
        pytest.fail("it began alone")
    assert time.monotonic() - began < launch.JOIN_S


def test_two_first_ranks_on_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for name, value in {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "NODE_RANK": "0"}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(RankError, match=f"cannot listen on port {port}"), launch.together("cpu", nodes=2):
            pytest.fail("it began")


@pytest.mark.parametrize(
    ("name", "value", "most"),
    [("NODE_RANK", "first", 1), ("NODE_RANK", "2", 1), ("NODE_RANK", "-1", 1), ("DISTILL_LOCAL_RANK", "3", 1)]
    + [("MASTER_PORT", port, 65535) for port in ("", "port", "0", "99999")],
)
def test_an_environment_that_cannot_be_is_named(
    name: str, value: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "JOIN_S", 0.5)
    told = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": free_port(),
        "NODE_RANK": "0",
        "DISTILL_LOCAL_RANK": "0",
        name: value,
    }
    for one, word in told.items():
        monkeypatch.setenv(one, word)
    wanted = f"{name} in the environment is {value!r}, and must be a whole number from . to {most}"
    with pytest.raises(SettingError, match=wanted), launch.together("cpu", devices=2, nodes=2):
        pytest.fail("it began")


def test_what_other_programs_left_in_the_environment_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against ``--devices 2`` that starts no other process and waits for one, on a machine that is not even its own."""
    left = {"MASTER_ADDR": "10.0.0.9", "MASTER_PORT": "29500", "NODE_RANK": "1", "LOCAL_RANK": "1", "RANK": "1"}
    for name, value in left.items():
        monkeypatch.setenv(name, value)
    for devices in (1, 2):
        place = launch.find_place(devices, 1)
        assert (place.rank, place.size, place.local_rank, place.is_started) == (0, devices, 0, False)
        assert place.address.startswith("127.0.0.1:")
        assert not place.address.endswith(":29500")
    place = launch.find_place(2, 2)
    assert (place.rank, place.address, place.is_started) == (2, "10.0.0.9:29500", False)


def test_who_is_started_knows_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against the same with a process that Distill itself has started: it is to come to where the first one is."""
    started: list[dict[str, str]] = []
    monkeypatch.setattr("subprocess.Popen", lambda *_, env, **__: started.append(env))
    with launch._environment_kept():
        launch._start_others(launch.Place(0, 2, 0, "127.0.0.1:4321", False), 2)
    (told,) = started
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    place = launch.find_place(2, 1)
    assert (place.rank, place.local_rank, place.address, place.is_started) == (1, 1, "127.0.0.1:4321", True)


def test_more_devices_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    with pytest.raises(DeviceError, match="this machine has: 1 processor core"), launch.together("cpu", devices=8):
        pytest.fail("it began")


@pytest.mark.parametrize(
    ("starter", "there", "own"), [("Slurm", 1, 0), ("Slurm", 4, 3), ("torchrun", 4, 3), ("torchrun", 1, None)]
)
def test_which_gpu_is_whose(starter: str, there: int, own: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against ``srun --gpus-per-task 1`` that is refused, since each process is shown one GPU, which is its own; where
    torchrun started too many, all of them see the same one."""
    monkeypatch.setattr("torch.cuda.device_count", lambda: there)
    place = launch.Place(3, 4, 3, "10.0.0.1:29400", True, 4, starter)
    if own is None:
        with pytest.raises(DeviceError, match="Process 4 of this machine finds 1 CUDA device"):
            launch.find_device("cuda", place)
    else:
        assert launch.find_device("cuda", place) == own


def test_torchrun_and_slurm_say_who_this_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards, too, against processes of which the first takes all threads of the machine and the last a part of them."""
    torchrun = {"TORCHELASTIC_RUN_ID": "a", "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    where = {"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29400"}
    with monkeypatch.context() as patched:
        for name, value in {**torchrun, **where}.items():
            patched.setenv(name, value)
        assert launch.find_place(1, 1) == launch.Place(3, 4, 1, "10.0.0.1:29400", True, 2, "torchrun")
        with pytest.raises(SettingError, match="torchrun started 4 processes"):
            launch.find_place(2, 1)
    names = {"SLURM_JOB_ID": "12345", "SLURM_JOB_NAME": "distill", "SLURM_NTASKS_PER_NODE": "2"}
    slurm = {"SLURM_NTASKS": "4", "SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_NODELIST": "host1,host2"}
    for name, value in {**slurm, **names, "SLURM_NODEID": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    monkeypatch.delenv("MASTER_PORT", raising=False)
    place = launch.find_place(2, 2)
    assert (place.rank, place.size, place.local_rank, place.is_started, place.local_size) == (3, 4, 1, True, 2)
    assert place.address.startswith("host1:")


@pytest.mark.parametrize("missing", ["MASTER_ADDR", "MASTER_PORT", "NODE_RANK"])
def test_several_machines_need_an_address(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK"):
        monkeypatch.setenv(name, "1")
    monkeypatch.delenv(missing)
    with pytest.raises(SettingError, match=f"where the first machine is.*: {missing}\\."):
        launch.find_place(1, 2)


def test_torchrun_starts_it_too(small_corpus: Path, tmp_path: Path) -> None:
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(SCRIPT)]
    done = subprocess.run(
        [sys.executable, *words, "codec", str(small_corpus), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "result.json").read_text())["epochs"] == 1


def test_ranks_that_torchrun_starts_anew_find_nothing_of_the_attempt_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against ranks that follow the orders of a run that was lost: torchrun keeps one store for all its attempts."""
    kept = torch.distributed.TCPStore("127.0.0.1", 0, None, True, wait_for_workers=False)
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    place = launch.Place(0, 1, 0, f"127.0.0.1:{kept.port}", True)
    for attempt in ("0", "1"):
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", attempt)
        store, _ = launch._met(place)
        assert not store.check(["order/0"]), f"attempt {attempt} begins with an order"
        store.set("order/0", "end")


def test_ranks_meet_on_windows_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against ``--devices 2`` that cannot work there: PyTorch asks for a library that it is built without."""

    def built_without(*_: Any, use_libuv: bool = True, **__: Any) -> Any:
        if use_libuv:
            raise RuntimeError("use_libuv was requested but PyTorch was built without libuv support")
        return torch.distributed.HashStore()

    monkeypatch.setattr(launch, "TCPStore", built_without)
    monkeypatch.setattr(launch, "sys", SimpleNamespace(platform="win32"))
    _, addresses = launch._met(launch.Place(0, 1, 0, f"127.0.0.1:{free_port()}", True))
    assert addresses == [ranks.own_address()]


def test_a_rank_that_sees_other_recordings_says_so(small_corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against machines that train one model on different sound."""
    order = {"do": "codec", "folder": str(small_corpus), "channels": 1, "fingerprint": "0" * 64}
    plan = CodecPlan(epochs=1, device="cpu").values()
    orders = iter([{**order, "plan": plan, "config": {"hidden_size": 16}}])
    monkeypatch.setattr("distill.models.ranks.next_order", lambda: next(orders))
    with pytest.raises(CorpusError, match="holds other recordings here"):
        follow()


@pytest.mark.parametrize("kind", ["codec", "refinement"])
def test_what_the_first_rank_holds_out_no_other_trains_on(
    kind: str, small_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a split that is given to the first rank alone, while every other draws one of its own."""
    corpus, orders, sent = import_corpus(small_corpus), list[Any](), list[bytes]()
    whole = whole_recordings(corpus.recordings)
    split = Split(whole[2:], whole[:2], "recordings", "by hand")
    monkeypatch.setattr(ranks, "world_size", lambda: 2)
    with monkeypatch.context() as first:
        first.setattr(ranks, "rank", lambda: 0)
        first.setattr(ranks, "give_order", lambda do, **told: orders.append(json.loads(json.dumps({"do": do, **told}))))
        first.setattr(ranks, "broadcast_bytes", sent.append)
        if kind == "codec":
            order_codec(corpus, split, one_of_several.CONFIG, CodecPlan(epochs=1, device="cpu"), None)
        else:
            codec = ConvVQVAE(one_of_several.CONFIG)
            order_refinement(corpus, split, codec, RefinementPlan(epochs=1, device="cpu"), None)
    taken: list[Split] = []
    for loop in ("train_vqvae", "refine_decoder"):
        monkeypatch.setattr(f"distill.training.follow.{loop}", lambda *_, split, **__: taken.append(split))
    orders.append({"do": "end"})
    monkeypatch.setattr(ranks, "next_order", lambda: orders.pop(0))
    monkeypatch.setattr(ranks, "broadcast_bytes", lambda _: sent.pop(0))
    follow()
    (there,) = taken
    for part in ("train", "held_out"):
        assert [one.content for one in getattr(there, part)] == [one.content for one in getattr(split, part)]
    assert there.is_held_out


def test_ddp_makes_a_group_even_of_one() -> None:
    names = ("MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK")
    before = [os.environ.get(name) for name in names]
    with launch.together("cpu") as leads:
        assert leads
        assert not torch.distributed.is_initialized()
    with launch.together("cpu", strategy="ddp") as leads:
        assert leads
        assert torch.distributed.get_world_size() == 1
    assert not torch.distributed.is_initialized()
    assert [os.environ.get(name) for name in names] == before, (
        "what is started next would wait for ranks that nobody starts"
    )


def test_ranks_of_another_machine_may_end_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against ranks of all machines but the first, which are killed by who started them while they say goodbye."""
    for name, value in {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "NODE_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    children = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.3)"])]
    monkeypatch.setattr(launch, "_start_others", lambda *_: children)
    monkeypatch.setattr(launch, "_met", lambda place: (torch.distributed.HashStore(), ["somewhere"] * place.size))
    monkeypatch.setattr(launch, "_follow", lambda place: None)
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda *_, **__: None)
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: None)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    with launch.together("cpu", devices=2, nodes=2) as leads:
        assert not leads
    assert children[0].returncode == 0


def test_a_rank_that_does_not_end_is_said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Guards against a wait that ends in silence, and against one without an end."""
    monkeypatch.setattr(ranks._Group, "store", torch.distributed.HashStore())
    monkeypatch.setattr(ranks._Group, "addresses", ("first, process 1", "second, process 2"))
    ranks.wait_for_goodbyes(0.05)
    assert "second, process 2 did not end" in caplog.text
    caplog.clear()
    ranks._Group.store.set("bye/1", "1")
    ranks.wait_for_goodbyes(5.0)
    assert not caplog.text


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What this process, as the first of two ranks, meets the other one in; the other one is the test."""
    monkeypatch.setattr(ranks, "LIFE_S", 0.6)
    monkeypatch.setattr(ranks, "_LOOK_S", 0.02)
    monkeypatch.setattr(ranks, "rank", lambda: 0)
    kept = torch.distributed.HashStore()
    with ranks.joined(kept, ["here, process 1", "there, process 2"], 0):
        yield kept


def test_a_rank_at_work_is_waited_for_however_long_it_takes(store: Any) -> None:
    """Guards against a limit on what ranks do each on its own: one reads a hundred hours that the other has read already."""
    over = threading.Event()

    def work() -> None:
        for _ in range(8):
            store.add("life/1", 1)
            over.wait(0.25)
        store.set("met/1/1", "1")

    other = threading.Thread(target=work)
    started = time.monotonic()
    other.start()
    ranks.barrier()
    assert time.monotonic() - started > 2 * ranks.LIFE_S
    other.join()


def test_a_wait_for_a_rank_at_work_is_no_sleep(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against minutes that are overrun by as long as the first rank waits for another: a wait computes nothing, and was
    taken for a machine that stood still."""
    now = [0.0]

    def look(seconds: float) -> None:
        now[0] += seconds
        store.add("life/1", 1)
        if now[0] > 100.0:
            store.set("met/1/1", "1")

    machine = SimpleNamespace(monotonic=lambda: now[0], process_time=lambda: 0.0, sleep=look)
    monkeypatch.setattr(awake, "time", machine)
    monkeypatch.setattr(ranks, "time", machine)
    monkeypatch.setattr(ranks, "_LOOK_S", 5.0)
    monkeypatch.setattr(awake, "seconds", awake.Awake())
    ranks.barrier()
    assert awake.seconds() == pytest.approx(now[0])


def test_a_rank_without_a_sign_of_life_is_named(store: Any) -> None:
    with pytest.raises(RankError, match=r"lost rank 1 of 2 \(there, process 2\): no sign of life for 1 s"):
        ranks.barrier()


def test_a_rank_that_says_why_it_goes_is_not_waited_for(store: Any) -> None:
    store.set("gone/1", "It holds other recordings here.")
    with pytest.raises(RankError, match=r"lost rank 1 of 2 \(there, process 2\): It holds other recordings here"):
        ranks.barrier()


def test_a_rank_at_work_gives_signs_of_life(store: Any) -> None:
    with ranks.heartbeat():
        time.sleep(0.4)
    assert store.add("life/0", 0) >= 3
