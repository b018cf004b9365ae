"""The bytes of a file, to be looked through as if they were all in memory.

They are read, not mapped: where another program shortens the file meanwhile (a recorder, a synchronised folder), the next look
at a mapped byte that is gone would end the whole process.
"""

import io
import re
from collections.abc import Iterator
from typing import BinaryIO, TypeAlias, overload

_AHEAD, _BEHIND = 2**17, 2**15
"""Bytes that are held ahead of what was asked for last, and behind it."""
_AT_ONCE = 2**20
_LONGEST_MATCH = 64


class FileContent:
    """``size`` bytes of an open file from ``first`` on, or all, indexed, cut and searched like ``bytes``, in little memory.

    It stays as long as the file was; what is gone of it by now reads as zeros. An OSError means that it cannot be read.
    """

    def __init__(self, file: BinaryIO, size: int | None = None, first: int = 0) -> None:
        self._file, self._first = file, first
        self._size = file.seek(0, io.SEEK_END) - first if size is None else size
        self._begin, self._held = 0, b""

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, place: int) -> int: ...

    @overload
    def __getitem__(self, place: slice) -> bytes: ...

    def __getitem__(self, place: int | slice) -> int | bytes:
        if isinstance(place, int):
            place = range(self._size)[place]
            return self._read(place, place + 1)[0]
        begin, stop, _ = place.indices(self._size)
        return self._read(begin, max(begin, stop))

    def find(self, wanted: bytes, begin: int = 0, stop: int | None = None) -> int:
        """Where it is first found between two bytes; -1 if it is not."""
        stop = self._size if stop is None else min(stop, self._size)
        while begin + len(wanted) <= stop:
            self._hold(begin, begin + len(wanted))
            at = self._held.find(wanted, begin - self._begin, stop - self._begin)
            if at >= 0:
                return self._begin + at
            begin = self._begin + len(self._held) - len(wanted) + 1
        return -1

    def _read(self, begin: int, stop: int) -> bytes:
        if stop - begin > _AHEAD:
            self._file.seek(self._first + begin)
            return self._file.read(stop - begin).ljust(stop - begin, b"\0")
        self._hold(begin, stop)
        return self._held[begin - self._begin : stop - self._begin]

    def _hold(self, begin: int, stop: int) -> None:
        """Has these bytes, of which there are no more than it holds at once, at hand."""
        if begin < self._begin or stop > self._begin + len(self._held):
            start = max(0, begin - _BEHIND)
            size = min(begin + _AHEAD, self._size) - start
            self._file.seek(self._first + start)
            self._begin, self._held = start, self._file.read(size).ljust(size, b"\0")


Content: TypeAlias = FileContent | bytes
"""What is in a file."""


def places_of(pattern: re.Pattern[bytes], content: Content, begin: int, stop: int) -> Iterator[int]:
    """Where a pattern is found between two bytes of a file, in order; what it finds is no longer than 64 bytes."""
    stop = min(stop, len(content))
    while begin < stop:
        part = content[begin : min(begin + _AT_ONCE, stop)]
        searched = len(part) if begin + len(part) == stop else len(part) - _LONGEST_MATCH
        for match in pattern.finditer(part):
            if match.start() >= searched:  # it may be cut off here, and is found in the next part
                break
            yield begin + match.start()
            searched = max(searched, match.end())
        begin += searched
