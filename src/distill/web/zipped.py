"""Files as one ZIP archive that is sent while it is written, so that none of it lies on the disk and little in memory."""

import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

_BLOCK = 2**20


class _Outlet(io.RawIOBase):
    """What was written since it was last emptied; an archive that cannot go back in its file needs no more."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._written += data
        return len(data)

    def emptied(self) -> bytes:
        """What was written, once."""
        written = bytes(self._written)
        self._written.clear()
        return written


def zipped(paths: Iterable[Path]) -> Iterator[bytes]:
    """The archive in blocks. Files of one name get a number; they are stored as they are, as audio hardly becomes smaller."""
    outlet = _Outlet()
    names: set[str] = set()
    with zipfile.ZipFile(outlet, "w") as archive:
        for path in paths:
            name, number = path.name, 2
            while name in names:
                name, number = f"{path.stem}-{number}{path.suffix}", number + 1
            names.add(name)
            info = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)
            with path.open("rb") as source, archive.open(info, "w") as target:
                while block := source.read(_BLOCK):
                    target.write(block)
                    yield outlet.emptied()
    yield outlet.emptied()
