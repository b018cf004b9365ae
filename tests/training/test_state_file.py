"""A saved training state: what goes in comes out, and what is damaged is refused in words."""

from pathlib import Path

import pytest
import torch

from distill.errors import StateFileError
from distill.training.device import choose_device
from distill.training.loop_state import optimizer_tensors, random_state, restore_optimizer, restore_random_state
from distill.training.state_file import SavedState, load_state, read_values, save_state


@pytest.fixture
def path(tmp_path: Path) -> Path:
    parts = {"weights": {"0.weight": torch.randn(3, 2), "bias": torch.tensor(1.5)}, "counts": {"n": torch.arange(5)}}
    return save_state(tmp_path / "run" / "state", "test", SavedState(parts, {"step": 3, "sums": [0.1, 1 / 3]}))


def test_round_trip(path: Path) -> None:
    state = load_state(path, "test")
    assert state.values == read_values(path, "test") == {"step": 3, "sums": [0.1, 1 / 3]}
    assert set(state.parts) == {"weights", "counts"}
    assert torch.equal(state.parts["counts"]["n"], torch.arange(5))
    assert state.parts["weights"]["bias"] == 1.5
    assert list(path.parent.iterdir()) == [path]


def test_a_state_that_is_loaded_leaves_its_file_alone(path: Path) -> None:
    """Guards against tensors that lie in a memory map of the file: on Windows it could not be replaced while they live, and a
    training that was resumed would never be saved again."""
    state = load_state(path, "test")
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert torch.equal(state.parts["counts"]["n"], torch.arange(5))


def test_an_optimizer_goes_on_as_if_never_stopped() -> None:
    def make() -> tuple[torch.nn.Linear, torch.optim.AdamW]:
        torch.manual_seed(0)
        layer = torch.nn.Linear(3, 3)
        return layer, torch.optim.AdamW(layer.parameters(), lr=0.1, fused=True)

    def step(layer: torch.nn.Linear, optimizer: torch.optim.AdamW, sound: float) -> None:
        optimizer.zero_grad()
        (layer(torch.full((1, 3), sound)) ** 2).sum().backward()
        optimizer.step()

    layer, optimizer = make()
    step(layer, optimizer, 1.0)
    kept = {name: tensor.clone() for name, tensor in optimizer_tensors(optimizer).items()}
    again, fresh = make()
    again.load_state_dict(layer.state_dict())
    restore_optimizer(fresh, kept)
    step(layer, optimizer, 2.0)
    step(again, fresh, 2.0)
    assert torch.equal(layer.weight, again.weight)


def test_random_numbers_go_on() -> None:
    kept = random_state([torch.device("cpu")])
    first = torch.rand(4)
    restore_random_state(kept, [torch.device("cpu")])
    assert torch.equal(first, torch.rand(4))


def test_only_devices_that_compute_are_asked_for_random_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a training on the CPU that opens the GPU, which takes half a gigabyte of it, and against a second GPU
    whose random numbers begin anew: the ranks would replace dead codes by other vectors each."""
    asked: list[torch.device] = []

    def state(device: torch.device) -> torch.Tensor:
        asked.append(device)
        return torch.tensor([7], dtype=torch.uint8)

    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_rng_state", state)
    monkeypatch.setattr("torch.cuda.set_rng_state", lambda _, device: asked.append(device))
    cpu, first, second = torch.device("cpu"), torch.device("cuda", 0), torch.device("cuda", 1)
    assert random_state([cpu]).keys() == {"cpu"}
    kept = random_state([cpu, first])
    assert asked == [first]
    restore_random_state(kept, [cpu])
    assert asked == [first]
    restore_random_state(kept, [cpu, first])
    restore_random_state(kept, [cpu, second])
    assert asked == [first, first, second]


def test_who_asks_for_the_cpu_asks_no_other_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def touched() -> bool:
        pytest.fail("looked for a GPU")

    monkeypatch.setattr("torch.cuda.is_available", touched)
    monkeypatch.setattr("torch.backends.mps.is_available", touched)
    assert choose_device("cpu") == torch.device("cpu")


def test_a_state_of_another_format_is_refused_in_words(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a state of an earlier day that is called damaged, or read as what it is not."""
    state = load_state(path, "test")
    monkeypatch.setattr("distill.training.state_file._FORMAT", 1)
    save_state(path, "test", state)
    monkeypatch.undo()
    for read in (load_state, read_values):
        with pytest.raises(StateFileError, match="'test' in format 1, and 'test' in format 2") as refused:
            read(path, "test")
        assert "train that stage again from its beginning" in refused.value.fix


def test_damage_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    with pytest.raises(StateFileError, match="'test' in format 2, and 'other'"):
        load_state(path, "other")
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(StateFileError, match="checksum"):
        load_state(path, "test")
    path.write_bytes(whole.replace(b"step", b"stop", 1))
    with pytest.raises(StateFileError, match="checksum"):
        load_state(path, "test")
    for content in (b"", whole[:40], whole[:-8], b"\x80\x04pickle", b"RIFF" + bytes(100)):
        path.write_bytes(content)
        with pytest.raises(StateFileError, match="train that stage again"):
            load_state(path, "test")
    path.unlink()
    with pytest.raises(StateFileError, match="missing"):
        load_state(path, "test")
