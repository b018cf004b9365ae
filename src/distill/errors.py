"""Every error a person can meet, in one tree.

DistillError                 exit code 1: ours, or the machine's
├── InputError               exit code 2: the person can correct what they gave
│   ├── CorpusError          the folder is missing, empty, or holds nothing usable
│   ├── AudioFileError       one audio file cannot be read or used
│   ├── ModelFileError       a .distill file is damaged, foreign or from a newer version
│   ├── MissingPriorError    the model has a codec but no prior yet
│   ├── StateFileError       a saved training state is damaged, foreign or missing
│   ├── CodesFileError       a .codes file is damaged or belongs to another model
│   ├── SettingError         an option is out of its range
│   ├── DeviceError          the asked-for device is not on this machine
│   ├── OutputError          the result cannot be written where it was asked for
│   └── LibraryError         the library has no such thing, more than one, or cannot be used
├── TrainingError            training cannot go on (a loss that is not finite, again and again)
└── RankError                one of the processes that train together is gone, or never came
"""

from collections.abc import Sequence


class DistillError(Exception):
    """Says in words what was found and what was needed (``what``), and what to do about it (``fix``).

    ``among`` are the things that could be meant, where ``what`` says that there are several.
    """

    exit_code = 1

    def __init__(self, what: str, fix: str, among: Sequence[str] = ()) -> None:
        super().__init__(" ".join([what, *(f"{one};" for one in among[:-1]), *(f"{one}." for one in among[-1:]), fix]))
        self.what = what
        self.fix = fix
        self.among = tuple(among)


class InputError(DistillError):
    """Something the person can correct."""

    exit_code = 2


class CorpusError(InputError):
    """The folder is missing, empty, or holds nothing usable."""


class AudioFileError(InputError):
    """One audio file cannot be read or used."""


class ModelFileError(InputError):
    """A .distill file is damaged, foreign or from a newer version."""


class MissingPriorError(InputError):
    """The model has a codec but no prior yet."""


class StateFileError(InputError):
    """A saved training state is damaged, foreign or missing."""


class CodesFileError(InputError):
    """A .codes file is damaged or belongs to another model."""


class SettingError(InputError):
    """An option is out of its range."""


class DeviceError(InputError):
    """The asked-for device is not on this machine."""


class OutputError(InputError):
    """The result cannot be written where it was asked for."""


class LibraryError(InputError):
    """The library has no such thing, more than one, or cannot be used."""


class TrainingError(DistillError):
    """Training cannot go on."""


class RankError(DistillError):
    """One of the processes that train together is gone, or never came."""


def unforeseen(error: Exception, fix: str) -> DistillError:
    """What nobody thought of, as an error with words; ``fix`` says what to do about it where it came up."""
    return DistillError(f"Something went wrong that should not have ({type(error).__name__}: {error}).", fix)
