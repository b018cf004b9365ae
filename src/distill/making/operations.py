"""The edits of sound as codes, parsed from words before anything is loaded; ``editing.py`` applies them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from distill.errors import SettingError

OPERATIONS = {
    "lock": ("levels",),
    "mirror": ("levels",),
    "rotate": ("by", "levels"),
    "repeat": ("times", "levels"),
    "fill": ("code", "levels"),
    "copy": ("to", "levels"),
    "insert": ("to",),
    "delete": (),
    "graft": ("over", "levels"),
    "blend": ("weight", "over", "levels"),
    "reimagine": ("seed", "temperature", "levels"),
}
"""The operations, and the details of each."""
NEEDED = {"rotate": "by", "repeat": "times", "fill": "code", "copy": "to", "insert": "to", "blend": "weight"}


@dataclass
class Operation:
    """One thing to be done, as it was written."""

    name: str
    value: str
    details: dict[str, str] = field(default_factory=dict)


def check(operations: Sequence[Operation], mark: str = "") -> None:
    """Refuses operations that cannot be done, whatever the sound.

    Args:
        mark: how the person writes a name: ``--`` on the command line.

    Raises:
        SettingError: if a detail is missing or has no effect, or nothing would be changed.
    """
    for operation in operations:
        for name in operation.details:
            if name not in OPERATIONS[operation.name]:
                raise SettingError(f"{mark}{operation.name} does not take {mark}{name}.", f"Leave out {mark}{name}.")
        needed = NEEDED.get(operation.name)
        if needed is not None and needed not in operation.details:
            raise SettingError(
                f"{mark}{operation.name} needs {mark}{needed}.", f"Write it after {mark}{operation.name}."
            )
    if all(operation.name == "lock" for operation in operations):
        raise SettingError(
            "There is nothing to do.", f"Add an operation, such as {mark}mirror 2-4; see distill edit --help."
        )
