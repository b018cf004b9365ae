"""What nn~ does with the file: loads it without Distill, asks it for its methods, and calls them buffer by buffer."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from distill.errors import OutputError
from distill.export import nn_tilde
from distill.export.nn_tilde import export_nn_tilde
from distill.models import Model

HOST = """
import json, sys
import torch
torch.set_num_threads(1)
model = torch.jit.load(sys.argv[1]).eval()
given = 0.1 * torch.randn(1, 1, 24 * 1024, generator=torch.Generator().manual_seed(0))
found = {"methods": model.get_methods(), "attributes": model.get_attributes(), "distill": "distill" in sys.modules}
for name in model.get_methods():
    found[name] = getattr(model, f"{name}_params").tolist()
    found[f"{name} labels"] = [getattr(model, f"{name}_input_labels"), getattr(model, f"{name}_output_labels")]
with torch.inference_mode():
    whole, all_codes = model.forward(given), model.encode(given)
    # As nn~ does where the size of the batch changes: everything begins anew.
    model.forward(torch.zeros(2, given.shape[1], 2048))
    parts, at = [], 0
    for samples in (1024, 3072, 2048, 4096, given.shape[2]):
        parts.append(model.forward(given[:, :, at : at + samples]))
        at += samples
        if at >= given.shape[2]:
            break
    found["equal"] = bool(torch.allclose(torch.cat(parts, dim=2), whole, atol=1e-5))
    # Each list of buffers begins anew; of the last, the first two are whole positions.
    found["odd"], found["odd codes"] = [], []
    for sizes in ([64], [441], [512], [1000, 37, 1, 0, 4099], [1024, 2048, 700]):
        for method in (model.forward, model.encode):
            method(torch.zeros(2, given.shape[1], 100))
        heard, codes, at, call = [], [], 0, 0
        while at < given.shape[2]:
            buffer = given[:, :, at : at + sizes[call % len(sizes)]]
            heard.append(model.forward(buffer))
            codes.append(model.encode(buffer))
            assert heard[-1].shape == buffer.shape
            at, call = at + buffer.shape[2], call + 1
        heard, begun = torch.cat(heard, dim=2), sum(sizes[:2]) if sizes[0] == 1024 else 0
        late = torch.cat([whole[:, :, :begun], torch.zeros(1, 1, 1024), whole[:, :, begun:-1024]], dim=2)
        error = (heard - late).square().sum() / late.square().sum()
        found["odd"].append(float(10 * (error + 1e-30).log10()))
        found["odd codes"].append(bool(torch.equal(torch.cat(codes, dim=2), all_codes)))
    found["peak"] = float(whole.abs().max())
    found["shapes"] = [list(all_codes.shape), list(model.decode(torch.zeros(3, 3, 4)).shape)]
print(json.dumps(found))
"""


def test_the_file_runs_without_distill(tmp_path: Path, make_model: Callable[..., Model]) -> None:
    """Guards against a file that needs our code, forgets between calls, or depends on the size of the buffer."""
    path = tmp_path / "tiny.ts"
    outcome = export_nn_tilde(make_model(), path)
    assert outcome.path == path
    assert outcome.null_db < -80
    assert outcome.equal_codes == 1
    facts = dict(outcome.facts)
    # 2 blocks, 2 positions of frames, 7 of the filter; 3 of the longest window and 1 block before that.
    assert facts["latency"] == "encode 85 ms, decode 256 ms, forward 341 ms"
    assert facts["buffer"] == "any; forward is 21 ms later where it is no multiple of 1024 samples"
    assert "of one core for 2048 samples" in facts["real time"]

    words = [sys.executable, "-I", "-c", HOST, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert not found["distill"]
    assert found["methods"] == ["encode", "decode", "forward"]
    assert found["attributes"] == []
    assert (found["encode"], found["decode"], found["forward"]) == ([1, 1, 3, 1024], [3, 1024, 1, 1], [1, 1, 1, 1])
    assert found["encode labels"][1] == [f"(signal) code of level {level}" for level in (1, 2, 3)]
    assert found["equal"]
    assert max(found["odd"]) < -100, found["odd"]
    assert all(found["odd codes"])
    assert found["peak"] > 0.01
    assert found["shapes"] == [[1, 3, 24], [3, 1, 4096]]


def test_a_stereo_codec_without_a_prior(tmp_path: Path, make_model: Callable[..., Model]) -> None:
    model = make_model(channels=2, with_prior=False)
    outcome = export_nn_tilde(model, tmp_path / "wide.ts")
    assert outcome.null_db < -80
    assert outcome.equal_codes == 1
    assert outcome.remarks == ()  # of a prior nothing is exported in any case


def test_a_full_disk_is_said_and_nothing_stays(
    tmp_path: Path, make_model: Callable[..., Model], full_disk: Callable[[int | None], None]
) -> None:
    """Guards against the end of the whole process, with a page of C++: PyTorch's own writer finds the full disk at its end."""
    model = make_model()
    full_disk(20_000)
    with pytest.raises(OutputError, match=r"tiny\.ts cannot be written"):
        export_nn_tilde(model, tmp_path / "tiny.ts")
    assert not list(tmp_path.iterdir())


def test_a_folder_whose_name_is_no_text(
    tmp_path: Path, make_model: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a TypeError where an old disk, or a locale of before Unicode, has names that are no UTF-8."""
    monkeypatch.setattr(nn_tilde, "_null_test", lambda *_: (-100.0, 1.0))
    path = tmp_path / os.fsdecode(b"nl\xff") / "tiny.ts"
    assert export_nn_tilde(make_model(), path).path == path
    assert path.read_bytes()[:2] == b"PK"


def test_a_file_that_is_there_stays(tmp_path: Path, make_model: Callable[..., Model]) -> None:
    path = tmp_path / "mine.ts"
    path.write_text("mine")
    with pytest.raises(OutputError, match="already exists"):
        export_nn_tilde(make_model(), path)
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]
