"""What is decided before a run begins and stays when it is resumed: the part that the plans of the three loops share.

A plan is frozen, checked field by field when it is made, and saved as JSON in the state, so that a saved state explains itself
and a resumed run needs no setting given again.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self, get_args, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from pydantic import TypeAdapter, ValidationError

from distill.audio.split import SPLIT_RULE
from distill.errors import SettingError, StateFileError

_SIGNS = {Ge: ("at least", "ge"), Gt: ("above", "gt"), Le: ("at most", "le"), Lt: ("below", "lt")}


@dataclass(frozen=True)
class Plan:
    """The settings of one run of a training loop.

    Raises:
        SettingError: if a value is out of its field's range.
    """

    DEFAULT_EPOCHS: ClassVar[int]
    """How long a run lasts when neither epochs nor minutes are given."""

    epochs: Annotated[int, Ge(1)] | None = None
    """Epochs after which the run ends, counted from its very beginning."""
    minutes: Annotated[float, Gt(0), Lt(math.inf)] | None = None
    """Minutes after which the run ends, counted from its very beginning; with epochs too, whichever comes first."""
    batch_size: Annotated[int, Ge(1)] = 1
    learning_rate: Annotated[float, Gt(0), Le(100.0)] = 1e-3
    """Peak learning rate, reached after the warm-up."""
    seed: Annotated[int, Ge(0), Lt(1 << 63)] = 0
    """Every random choice of the run derives from it."""
    split_rule: Annotated[int, Ge(1), Le(SPLIT_RULE)] = SPLIT_RULE
    """The rule by which the recordings are split (``distill.audio.split``)."""
    device: str = "auto"
    """The device to compute on: ``auto``, ``cpu``, ``mps`` or ``cuda``."""
    least_steps: Annotated[int, Ge(1)] = 100
    """Steps of an epoch at least: on a tiny corpus, validation would otherwise take most of the time."""
    save_every_s: Annotated[float, Ge(0)] = 60.0
    """Seconds between two saved states."""
    first_save_s: Annotated[float, Ge(0)] = 10.0
    """Seconds until the first saved state."""

    def __post_init__(self) -> None:
        for name, hint in _hints(type(self)).items():
            value = getattr(self, name)
            try:
                _adapter(hint).validate_python(value, strict=True)
            except ValidationError as error:
                what = name.replace("_", " ")
                raise SettingError(
                    f"A plan to train with {what} {value!r} cannot be followed.", _range(type(self), name)
                ) from error

    @property
    def end(self) -> tuple[int | None, float | None]:
        """Epochs and minutes after which the run ends, the default epochs where neither is given."""
        return (
            (self.DEFAULT_EPOCHS, None) if self.epochs is None and self.minutes is None else (self.epochs, self.minutes)
        )

    def values(self) -> dict[str, Any]:
        """All fields as JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The plan that :meth:`values` gave; what an earlier version did not say has its default.

        Raises:
            StateFileError: if it holds what this version does not know or cannot follow.
        """
        try:
            return cls(**values)
        except (TypeError, SettingError) as error:
            raise StateFileError(
                "The plan of the saved training does not fit this version of Distill or was changed.",
                "Train that stage again from its beginning.",
            ) from error


def _hints(kind: type[Plan]) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


@functools.cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint)


def _range(kind: type[Plan], name: str) -> str:
    hint = _hints(kind)[name]
    choices = [hint, *get_args(hint)]
    limits = next((choice.__metadata__ for choice in choices if hasattr(choice, "__metadata__")), ())
    words = [f"{_SIGNS[type(limit)][0]} {getattr(limit, _SIGNS[type(limit)][1]):g}" for limit in limits]
    return f"Give a number {' and '.join(words)}." if words else "Give a value of its type."
