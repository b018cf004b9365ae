"""ONNX: encoder, decoder and a step of the prior, three files, and a table of what goes in and comes out.

The streams are traced with all sizes fixed, for sixteen positions a call, and hold nothing but real numbers and whole ones of
64 bits: the draws' 32-bit arithmetic is done in those, and gives the same draws."""

import json
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distill.errors import SettingError
from distill.export.folder import folder_aside
from distill.export.listening import ListeningStream
from distill.export.outcome import NO_PRIOR, Outcome, codes_to_try, decibels
from distill.export.prior_step import PriorStep
from distill.export.speaking import SpeakingStream
from distill.export.special import FittedSpecials
from distill.files.installing import installing_extra
from distill.models.model_file import Model
from distill.models.prior import CodePrior

POSITIONS = 16
"""Positions a call: a third of a second."""
OPSET = 18
TABLE = "distill.json"
HOW = (
    "Encoder and decoder are streams. Give 'state' as zeros in the first call, then hand back what came out. 'first' is "
    "the number of the call times 'positions'; 'total' is how many positions the whole sound has. Outputs come 'latency' "
    "positions late: drop so many in the beginning, and go on with silence (or any codes) until they have come out. The prior "
    "gives one position a call: codes of -1 at place 0, then what it gave, place 1, 2, up to places - 1; then begin anew at "
    "place 0 with the second half of what you have. 'bias' is added to the logits of level 0, 'uniform' are random numbers "
    "from 0 to 1."
)


def export_onnx(model: Model, folder: Path) -> Outcome:
    """Writes a folder with ``encoder.onnx``, ``decoder.onnx``, ``prior.onnx`` where there is a prior, and ``distill.json``.

    Raises:
        OutputError: if the folder is taken, or the file system refuses.
        SettingError: if onnx and onnxruntime are not installed.
    """
    require_runtime("onnx")
    with folder_aside(folder) as aside:
        table = write_graphs(model, aside, with_encoder=True)
        outcome = null_test(model, aside, table, folder)
        write_table(aside, table, outcome)
    return outcome


def require_runtime(wanted: str) -> None:
    """Refuses where the packages for ONNX are not there.

    Raises:
        SettingError: with what installs them.
    """
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise SettingError(
            f"--format {wanted} takes two more packages, onnx and onnxruntime.",
            f"Install them: {installing_extra('export')}",
        ) from error
    del onnx, onnxruntime


def write_graphs(model: Model, folder: Path, *, with_encoder: bool) -> dict[str, Any]:
    """Writes the graphs into a folder and gives the table of them."""
    codec = model.codec
    table: dict[str, Any] = {
        "format": "distill-onnx",
        "major": 1,
        "name": model.header.name,
        "sample_rate": codec.sample_rate,
        "channels": codec.channels,
        "hop": codec.hop,
        "levels": codec.num_quantizers,
        "codebook_size": codec.codebook_size,
        "codec": model.codes_fingerprint,
        "how": HOW,
    }
    audio = torch.zeros(1, codec.channels, POSITIONS * codec.hop)
    codes = torch.zeros(1, POSITIONS, codec.num_quantizers, dtype=torch.int64)
    if with_encoder:
        listening = ListeningStream(codec, POSITIONS)
        table["encoder"] = _stream(folder / "encoder.onnx", listening, {"audio": audio}, "codes")
    speaking = SpeakingStream(codec, POSITIONS, FittedSpecials())
    table["decoder"] = _stream(folder / "decoder.onnx", speaking, {"codes": codes}, "audio")
    if model.prior is not None:
        table["prior"] = _prior(folder / "prior.onnx", model.prior)
    return table


def write_table(folder: Path, table: Mapping[str, Any], outcome: Outcome) -> None:
    """Writes the table, with what the null test gave."""
    figures = {"decoder_db": outcome.null_db, "equal_codes": outcome.equal_codes, "prior_db": outcome.prior_db}
    finite = {name: value for name, value in figures.items() if value is not None and np.isfinite(value)}
    (folder / TABLE).write_text(json.dumps({**table, "null_test": finite}, indent=1) + "\n", encoding="utf-8")


def null_test(model: Model, folder: Path, table: Mapping[str, Any], place: Path) -> Outcome:
    """Runs what was written with onnxruntime and compares it with Distill on the same codes."""
    codec, codes = model.codec, codes_to_try(model)
    with torch.inference_mode():
        whole = codec.decode(codes[None])
        known = codec.encode(whole)[0]
    spoken = decoded(folder, table, codes)
    equal = prior_db = None
    if "encoder" in table:
        equal = float((encoded(folder, table, whole) == known).float().mean())
    if model.prior is not None:
        prior_db = _prior_test(model.prior, folder, table["prior"], codes)
    delay = table["decoder"]["latency"] * codec.hop / codec.sample_rate
    return Outcome(
        place,
        decibels(spoken, whole),
        equal,
        prior_db,
        facts=(
            ("a call", f"{POSITIONS} positions, {POSITIONS * codec.hop} samples"),
            ("latency", f"decoder {1000 * delay:.0f} ms"),
        ),
        remarks=() if model.prior is not None else (NO_PRIOR,),
    )


def decoded(folder: Path, table: Mapping[str, Any], codes: Tensor) -> Tensor:
    """Codes ``[S, Q]`` through ``decoder.onnx``: audio ``[1, C, S·hop]``."""
    run, late = _session(folder / "decoder.onnx"), table["decoder"]["latency"]
    state, parts = np.zeros((1, table["decoder"]["state"]), np.float32), []
    line = np.pad(codes.numpy(), ((0, late + POSITIONS), (0, 0)))
    for first in range(0, len(codes) + late, POSITIONS):
        given = {"codes": line[None, first : first + POSITIONS], **_clock(first, len(codes))}
        audio, state = run.run(None, {**given, "state": state})
        parts.append(torch.from_numpy(audio))
    return torch.cat(parts, dim=2)[:, :, late * table["hop"] :][:, :, : len(codes) * table["hop"]]


def encoded(folder: Path, table: Mapping[str, Any], audio: Tensor) -> Tensor:
    """Audio ``[1, C, N]`` through ``encoder.onnx``: codes ``[ceil(N / hop), Q]``."""
    run, late, hop = _session(folder / "encoder.onnx"), table["encoder"]["latency"], table["hop"]
    count = -(-audio.shape[2] // hop)
    line = np.pad(audio.numpy(), ((0, 0), (0, 0), (0, (count + late + POSITIONS) * hop - audio.shape[2])))
    state, parts = np.zeros((1, table["encoder"]["state"]), np.float32), []
    for first in range(0, count + late, POSITIONS):
        given = {"audio": line[:, :, first * hop : (first + POSITIONS) * hop], **_clock(first, count)}
        codes, state = run.run(None, {**given, "state": state})
        parts.append(torch.from_numpy(codes))
    return torch.cat(parts, dim=1)[0, late:][:count]


def _clock(first: int, total: int) -> dict[str, np.ndarray]:
    return {"first": np.array([first]), "total": np.array([total])}


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])


def _prior_test(prior: CodePrior, folder: Path, about: Mapping[str, Any], codes: Tensor) -> float:
    """The difference of the logits of some positions, each knowing the ones before, in dB."""
    count = min(len(codes), about["places"] - 1, 48)
    run, state, scores = _session(folder / "prior.onnx"), np.zeros((1, about["state"]), np.float32), []
    line = torch.cat([torch.full_like(codes[:1], -1), codes[:count]])
    size, levels = prior.config.codebook_size, prior.config.num_quantizers
    rest = {
        "bias": np.zeros((1, size), np.float32),
        "uniform": np.full((1, levels), 0.5, np.float32),
        "temperature": np.ones((1, levels), np.float32),
        "top_p": np.ones(1, np.float32),
    }
    for place in range(count):
        given = {"codes": line[place : place + 1].numpy(), "place": np.array([place]), "state": state, **rest}
        _, logits, state = run.run(None, given)
        scores.append(torch.from_numpy(logits[:, 0]))
    with torch.inference_mode():
        tokens = torch.cat([codes[:count].flatten(), codes[:1, 0]])[None, : prior.config.context]
        known = prior(tokens)[0]
    # The coarsest level of each position but the first knows the same in both; the others know what each has drawn.
    return decibels(torch.cat(scores)[1:], known[levels - 1 :: levels][: count - 1])


def _stream(
    path: Path, stream: ListeningStream | SpeakingStream, given: Mapping[str, Tensor], gives: str
) -> dict[str, Any]:
    state = torch.zeros(1, stream.kept.size)
    inputs = {**given, "state": state, "first": torch.tensor([0]), "total": torch.tensor([POSITIONS])}
    about = _write(path, stream, inputs, (gives, "next_state"))
    return {**about, "positions": POSITIONS, "latency": stream.latency, "state": stream.kept.size}


def _prior(path: Path, prior: CodePrior) -> dict[str, Any]:
    step, levels = PriorStep(prior), prior.config.num_quantizers
    inputs = {
        "codes": torch.full((1, levels), -1),
        "state": torch.zeros(1, step.size),
        "place": torch.tensor([0]),
        "bias": torch.zeros(1, prior.config.codebook_size),
        "uniform": torch.full((1, levels), 0.5),
        "temperature": torch.ones(1, levels),
        "top_p": torch.ones(1),
    }
    about = _write(path, step, inputs, ("next_codes", "logits", "next_state"))
    return {**about, "places": step.places, "state": step.size}


def _write(path: Path, module: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str]) -> dict[str, Any]:
    import onnx

    with torch.no_grad(), warnings.catch_warnings(), redirect_stdout(StringIO()):
        # Every shape is meant as it is; and the older exporter is the one that takes a traced module.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            path,
            input_names=list(inputs),
            output_names=list(outputs),
            opset_version=OPSET,
            dynamo=False,
        )
    onnx.checker.check_model(path.read_bytes(), full_check=True)  # by name it takes none that is not UTF-8
    shapes = {name: [str(tensor.dtype).removeprefix("torch."), *tensor.shape] for name, tensor in inputs.items()}
    return {"file": path.name, "inputs": shapes, "outputs": list(outputs)}
