"""Parts of a file and new bytes, read as one file: how files with a wrong header are read."""

import io
from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

Part = bytes | tuple[int, int]
"""New bytes, or from where to where in the file."""


class Links(NamedTuple):
    """What a file is read as."""

    parts: Sequence[Sequence[Part]] = ()
    """One list of parts for each sound in it; none where it is best read as it is."""
    claim: float | None = None
    """The seconds its header claims where that is wrong; infinite where it claims none, but the file breaks off."""
    lost: tuple[float, ...] = ()
    """The seconds of sound before each place at which some is damaged and left out."""
    lost_seconds: float = 0.0
    """How much is left out at those places, about."""
    is_unreadable: bool = False
    """Whether nothing of it can be read, as what describes the sound is damaged."""
    end: int = 0
    """Where its sound ends, and another file may begin; 0 where that is not known."""
    remark: str = ""
    """What else a person should know of it."""
    unread: str = ""
    """What of it is not read; empty, or a sentence."""


AS_IT_IS = Links()
"""Nothing has to be put right."""


class Spliced(io.RawIOBase):
    """New bytes and stretches of a file, read as one file."""

    def __init__(self, file: BinaryIO, parts: Sequence[Part]) -> None:
        self._file = file
        self._parts = [part for part in parts if (len(part) if isinstance(part, bytes) else part[1] - part[0]) > 0]
        self._begins = [0]
        for part in self._parts:
            self._begins.append(self._begins[-1] + (len(part) if isinstance(part, bytes) else part[1] - part[0]))
        self._at = self._index = 0

    def close(self) -> None:
        """Closes the file itself."""
        self._file.close()
        super().close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._begins[-1]}[whence])
        self._index = 0
        return self._at

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view) and self._at < self._begins[-1]:
            while self._begins[self._index + 1] <= self._at:
                self._index += 1
            part, inside = self._parts[self._index], self._at - self._begins[self._index]
            wanted = min(len(view) - done, self._begins[self._index + 1] - self._at)
            if isinstance(part, bytes):
                piece = part[inside : inside + wanted]
            else:
                self._file.seek(part[0] + inside)
                piece = self._file.read(wanted)
            if not piece:
                break
            view[done : done + len(piece)] = piece
            done += len(piece)
            self._at += len(piece)
        return done
