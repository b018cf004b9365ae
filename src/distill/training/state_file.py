"""Everything that changes while training, in one file, so that a run can go on exactly where it stopped.

    parts    tensors, as name to tensor within named parts: weights, optimizers, random state
    values   plain JSON: the plan, how far the data and the schedule are, curves so far

Written whole or not at all, as safetensors with the values as JSON in its header. Opening one can never run code. The values
alone are read without PyTorch.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from pydantic import TypeAdapter, ValidationError

from distill.errors import StateFileError
from distill.files.atomic import written_aside
from distill.models.config import PriorConfig, VQVAEConfig
from distill.training.plan import MAY_CHANGE, Plan

if TYPE_CHECKING:
    from torch import Tensor

KEPT_SUFFIX = ".codes"
"""Beside the state of a prior lie the codes it learns from (``training/kept_codes.py``)."""

_FORMAT = 2
_KEY = "distill-state"

Part: TypeAlias = "Mapping[str, Tensor]"
V = TypeVar("V")
P = TypeVar("P", bound=Plan)
C = TypeVar("C", VQVAEConfig, PriorConfig)
B = TypeVar("B", bound=Plan | VQVAEConfig | PriorConfig)


@dataclass(frozen=True)
class SavedState:
    """A training loop's state (``training/loop_state.py``) as it is saved: one moment of a run."""

    parts: Mapping[str, Part]
    values: Mapping[str, Any]

    def value(self, name: str, kind: type[V]) -> V:
        """One of the values, as the kind it must be; ``plan.seed`` is the seed in the plan.

        Raises:
            StateFileError: if it is not there or something else.
        """
        found: Any = self.values
        for key in name.split("."):
            found = found.get(key) if isinstance(found, Mapping) else None
        if kind is float and type(found) is int:
            found = float(found)
        if not isinstance(found, kind):
            raise StateFileError(
                f"The saved training does not say its {name}, or not as this version of Distill does.",
                "Train that stage again.",
            )
        return found

    def check_belongs(self, belongs_to: Mapping[str, Any]) -> None:
        """Refuses to go on with something else than it began with; to be asked before anything is spent on it.

        Args:
            belongs_to: values that it must have, by name: what it was trained on, mostly as fingerprints.

        Raises:
            StateFileError: if one differs.
        """
        for name, wanted in belongs_to.items():
            if self.values.get(name) != wanted:
                raise StateFileError(
                    f"The saved training belongs to another {name}.",
                    "Give the recordings and model that it began with, resume it on the computer where it began, or train "
                    "again.",
                )

    def plan(self, kind: type[P], given: P | None = None) -> P:
        """The plan that it goes on with: its own, or the given one, which may differ from it in :data:`MAY_CHANGE`.

        Raises:
            StateFileError: if the given one differs in anything else, or the saved one does not fit this version.
        """
        return _as_begun(kind.of(self.value("plan", dict)), given)

    def config(self, kind: type[C], given: C | None = None) -> C:
        """The sizes that it goes on with: its own, which the given ones must equal.

        Raises:
            StateFileError: if they do not, or the saved ones are not possible.
        """
        try:
            return _as_begun(TypeAdapter(kind).validate_python(self.value("config", dict)), given)
        except ValidationError as error:
            raise StateFileError(
                "The saved training has sizes that are not possible.", "Train that stage again from its beginning."
            ) from error

    def ends_as(self, plan: Plan) -> bool:
        """Whether a plan has the end that the saved training was to come to."""
        saved = self.value("plan", dict)
        return (plan.epochs, plan.minutes) == (saved.get("epochs"), saved.get("minutes"))

    @property
    def charged_s(self) -> float:
        """Seconds of its minutes that went into encoding the recordings; 0 for a codec, which learns from them as they are."""
        return float(self.values.get("extraction_s", 0.0))

    @property
    def minutes_spent(self) -> float:
        """How many of its minutes are spent."""
        return (self.value("schedule.elapsed_s", float) + self.charged_s) / 60


def _as_begun(begun: B, given: B | None) -> B:
    for name in (field.name for field in fields(begun)):
        was, now = getattr(begun, name), getattr(given or begun, name)
        if was != now and name not in MAY_CHANGE:
            raise StateFileError(
                f"The saved training began with {name} {was}, and now {now} is given to go on with.",
                "Leave it out, as what it began with is saved with it, or train again.",
            )
    return given or begun


def save_state(path: Path, kind: str, state: SavedState) -> Path:
    """Writes the state whole or not at all; ``kind`` says which loop it belongs to.

    Raises:
        OutputError: if the file system refuses.
    """
    import safetensors.torch  # takes seconds with PyTorch, so only whoever needs tensors pays for it

    tensors = _whole(state.parts)
    about = {"format": _FORMAT, "kind": kind, "digest": _digest(tensors, state.values), "values": dict(state.values)}
    with written_aside(path) as temporary:
        # In one piece: safetensors' own writing to files reports a full disk as an error of its own kind.
        temporary.write_bytes(safetensors.torch.save(tensors, {_KEY: json.dumps(about)}))
    return path


def packed(state: SavedState) -> bytes:
    """A state as bytes, to be sent to another process of the same training."""
    import safetensors.torch

    tensors = _whole(state.parts)
    return safetensors.torch.save(tensors, {_KEY: json.dumps(dict(state.values))})


def unpacked(content: bytes) -> SavedState:
    """What :func:`packed` made bytes of."""
    import safetensors.torch

    table = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return SavedState(_in_parts(safetensors.torch.load(content)), json.loads(table["__metadata__"][_KEY]))


def load_state(path: Path, kind: str) -> SavedState:
    """Reads and checks a state; its tensors lie on the CPU.

    Raises:
        StateFileError: if it is missing, damaged, or no state of this kind.
    """
    import safetensors.torch

    about = _about(path, kind)
    try:
        tensors = safetensors.torch.load(path.read_bytes())  # load_file would map the file, which is to be replaced
    except (OSError, safetensors.SafetensorError) as error:
        raise _unusable(path, "its tensors cannot be read") from error
    if _digest(tensors, about["values"]) != about["digest"]:
        raise _unusable(path, "its content does not match its checksum")
    return SavedState(_in_parts(tensors), about["values"])


def read_values(path: Path, kind: str) -> Mapping[str, Any]:
    """The values alone, without reading a tensor.

    Raises:
        StateFileError: as :func:`load_state`, but for damage to the tensors.
    """
    values: dict[str, Any] = _about(path, kind)["values"]
    return values


def _whole(parts: Mapping[str, Part]) -> "dict[str, Tensor]":
    """The inverse of :func:`_in_parts`, on the CPU."""
    return {
        f"{part}/{name}": tensor.detach().cpu().contiguous()
        for part, named in parts.items()
        for name, tensor in named.items()
    }


def _in_parts(tensors: "Mapping[str, Tensor]") -> "dict[str, dict[str, Tensor]]":
    parts: dict[str, dict[str, Tensor]] = {}
    for whole, tensor in tensors.items():
        part, _, name = whole.partition("/")
        parts.setdefault(part, {})[name] = tensor
    return parts


def _about(path: Path, kind: str) -> dict[str, Any]:
    try:
        with path.open("rb") as file:  # bytes of the table, the table, the tensors
            length = min(int.from_bytes(file.read(8), "little"), path.stat().st_size)
            about = json.loads(json.loads(file.read(length))["__metadata__"][_KEY])
        known = about["format"], about["kind"]
        complete = isinstance(about["digest"], str) and isinstance(about["values"], dict)
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise _unusable(path, "it is missing, damaged or something else") from error
    if known != (_FORMAT, kind) or not complete:
        raise _unusable(
            path, f"it holds '{known[1]}' in format {known[0]}, and '{kind}' in format {_FORMAT} was needed"
        )
    return about


def _digest(tensors: "Mapping[str, Tensor]", values: Mapping[str, Any]) -> str:
    import torch

    digest = hashlib.sha256(json.dumps(dict(values)).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _unusable(path: Path, reason: str) -> StateFileError:
    return StateFileError(
        f"{path} cannot be resumed from: {reason}.", "Move it away, and train that stage again from its beginning."
    )
