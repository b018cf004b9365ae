"""A folder for any static host: the model as ONNX, and a page that composes with it, decodes codes and plays.

onnxruntime-web is in ``player/ort`` as npm has it; :data:`VENDORED` says which version, and a test compares the digests."""

import shutil
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import torch

from distill.export.folder import folder_aside
from distill.export.onnx_files import null_test, require_runtime, write_graphs, write_table
from distill.export.outcome import LEFT_OUT, NO_COMPOSING, Outcome
from distill.files.names import command
from distill.making.drawing import Sampling
from distill.making.limits import Limits
from distill.making.openings import Openings
from distill.models.model_file import Model

VENDORED = {
    "onnxruntime-web 1.30.0, MIT, https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-1.30.0.tgz": (
        "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
    ),
    "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
"""What was taken from npm, and the SHA-256 of each."""
OPENINGS = 64
"""Single positions of recordings, of which a piece begins with one; no more of them is in the folder."""


def export_web(model: Model, folder: Path) -> Outcome:
    """Writes a folder with ``index.html``; its null test is that of its ONNX files.

    Raises:
        OutputError: if the folder is taken, or the file system refuses.
        SettingError: if onnx and onnxruntime are not installed.
    """
    require_runtime("web")
    with folder_aside(folder) as aside:
        _copy(Path(str(files("distill.export") / "player")), aside)
        table = write_graphs(model, aside, with_encoder=False)
        if model.prior is not None:
            openings, usual = Openings(model), Sampling()
            limits = Limits.of(model, openings.silent)
            table["sampling"] = {"temperature": usual.temperature, "top_p": usual.top_p}
            table["openings"] = openings.codes(range(OPENINGS)).tolist()
            table["longest"] = limits.longest.tolist()
            table["silent"] = torch.nonzero(limits.silent)[:, 0].tolist()
            table["pause"] = limits.pause
            balance = limits.balance if limits.balance is not None else torch.zeros(len(limits.longest))
            table["balance"] = balance.tolist()
        outcome = null_test(model, aside, table, folder)
        write_table(aside, table, outcome)
    to_try = command("python", "-m", "http.server", "--directory", folder)
    return replace(
        outcome,
        facts=(*outcome.facts, ("to try it", to_try)),
        remarks=(LEFT_OUT if model.prior is not None else NO_COMPOSING,),
    )


def _copy(source: Path, folder: Path) -> None:
    """Copies what is in a folder, but not its modes: of an installation that is only read, nothing could be added to them."""
    for path in source.rglob("*"):
        target = folder / path.relative_to(source)
        if path.is_dir():
            target.mkdir()
        else:
            shutil.copyfile(path, target)
