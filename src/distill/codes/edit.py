"""Editing sound as codes: pure functions on grids, torch-free and quick.

A grid is ``[S, Q]`` int64: S positions (columns, a fiftieth of a second each) of Q quantizer levels (rows, coarse to fine).
What is edited is a *selection*, a stretch of columns on some of the levels. No function changes what it is given; every one
gives a new grid and refuses, in words, what does not fit.

    same length    fill paste mirror rotate graft swap blend
    other length   insert delete repeat
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from distill.counted import counted
from distill.errors import SettingError
from distill.models.health import LEVEL_NAMES


@dataclass(frozen=True)
class Selection:
    """Columns ``first`` up to, not including, ``stop`` on some levels (ascending)."""

    first: int
    stop: int
    levels: tuple[int, ...]

    @property
    def length(self) -> int:
        """Columns."""
        return self.stop - self.first

    def cells(self) -> tuple[np.ndarray, ...]:
        """An index of these cells in a grid."""
        return np.ix_(np.arange(self.first, self.stop), np.array(self.levels))

    def in_seconds(self, rate: float, end: float, dash: str = "-") -> str:
        """``0.00-2.00 s``, of columns at ``rate`` a second; the last may reach beyond the sound's ``end``, no time does."""
        return f"{min(self.first / rate, end):.2f}{dash}{min(self.stop / rate, end):.2f} s"

    def in_words(self, of: int, rate: float, end: float, dash: str = "-") -> str:
        """As :meth:`in_seconds`, and ``on Structure, Timbre`` where it is not on all of the ``of`` levels of a grid."""
        names = LEVEL_NAMES[of]
        on = "" if len(self.levels) == of else f" on {', '.join(names[level] for level in self.levels)}"
        return f"{self.in_seconds(rate, end, dash)}{on}"

    def mask(self, grid: np.ndarray) -> np.ndarray:
        """Which cells of a grid are selected: bool ``[S, Q]``."""
        chosen = np.zeros(grid.shape, bool)
        chosen[self.cells()] = True
        return chosen


@dataclass(frozen=True)
class Clip:
    """Cells that were copied."""

    codes: np.ndarray
    """``[n, number of levels]``"""
    levels: tuple[int, ...]


@dataclass(frozen=True)
class Blend:
    """Two selections mixed, as the codebooks can say it."""

    grid: np.ndarray
    """The first grid with the mix in it: ``[S, Q]``."""
    off: np.ndarray
    """How far each column's codes are from the mix that was asked for, as a share of how far the two are apart: float ``[n]``.
    0 where the two are the same; 0.5 where a column snapped to one of two sounds while half of each was asked for."""
    snapped: np.ndarray
    """What each column became: 0 the first's codes, 1 the other's, 2 codes between them. int ``[n]``."""


def select(grid: np.ndarray, first: int = 0, stop: int | None = None, levels: Sequence[int] | None = None) -> Selection:
    """A stretch of a grid on some levels; without them, all of it.

    Raises:
        SettingError: if it is empty or reaches beyond the grid.
    """
    columns, rows = grid.shape
    stop = columns if stop is None else stop
    chosen = tuple(range(rows)) if levels is None else tuple(sorted(set(levels)))
    if not 0 <= first < stop <= columns:
        raise SettingError(
            f"Columns {first} to {stop} are not within the {columns} that there are.",
            f"Choose a beginning from 0 to {columns - 1} and an end after it, up to {columns}.",
        )
    if not chosen or not 0 <= chosen[0] <= chosen[-1] < rows:
        named = ", ".join(str(level + 1) for level in chosen) or "none"
        raise SettingError(
            f"Levels that were chosen: {named}; there are {rows}.", f"Choose one or more from 1 to {rows}."
        )
    return Selection(first, stop, chosen)


def fill(grid: np.ndarray, selection: Selection, code: int | Sequence[int], codebook_size: int) -> np.ndarray:
    """Puts one code into every cell, or one a level.

    Raises:
        SettingError: if there is no such code, or not one a level.
    """
    codes = np.atleast_1d(np.asarray(code, np.int64))
    if len(codes) not in (1, len(selection.levels)):
        levels = counted(len(selection.levels), "level")
        raise SettingError(f"{len(codes)} codes were given for {levels}.", "Give one code, or one per level.")
    if not 0 <= codes.min() <= codes.max() < codebook_size:
        raise SettingError(
            f"There is no code {codes[(codes < 0) | (codes >= codebook_size)][0]}.",
            f"Choose one from 0 to {codebook_size - 1}.",
        )
    return _with(grid, selection, codes)


def copy(grid: np.ndarray, selection: Selection) -> Clip:
    """The cells, to be pasted or inserted."""
    return Clip(grid[selection.cells()], selection.levels)


def paste(grid: np.ndarray, clip: Clip, column: int) -> np.ndarray:
    """Puts a clip over what is there, on the levels it was copied from.

    Raises:
        SettingError: if it does not fit there.
    """
    room = len(grid) - column
    if not 0 < len(clip.codes) <= room:
        do_not_fit = counted(len(clip.codes), "column does not fit", "columns do not fit")
        raise SettingError(
            f"{do_not_fit} at column {column} of {len(grid)}.",
            "Paste it further to the front, copy less, or insert it.",
        )
    return _with(grid, select(grid, column, column + len(clip.codes), clip.levels), clip.codes)


def insert(grid: np.ndarray, clip: Clip, column: int) -> np.ndarray:
    """Puts whole columns in between: what was from ``column`` on comes later.

    Raises:
        SettingError: if the clip has not all levels, or there is no such place.
    """
    if clip.levels != tuple(range(grid.shape[1])):
        raise SettingError(
            f"Only whole columns can be inserted, and this copy has {len(clip.levels)} of {grid.shape[1]} levels.",
            "Copy all levels, or paste it over what is there.",
        )
    if not 0 <= column <= len(grid):
        raise SettingError(f"There is no column {column}.", f"Choose one from 0 to {len(grid)}.")
    return np.concatenate([grid[:column], clip.codes, grid[column:]])


def delete(grid: np.ndarray, first: int, stop: int) -> np.ndarray:
    """Takes whole columns out: what was from ``stop`` on comes earlier.

    Raises:
        SettingError: if nothing would be left.
    """
    gone = select(grid, first, stop)
    if gone.length == len(grid):
        raise SettingError("That would delete every column.", "Leave at least one.")
    return np.concatenate([grid[: gone.first], grid[gone.stop :]])


def mirror(grid: np.ndarray, selection: Selection, locked: np.ndarray | None = None) -> np.ndarray:
    """Turns the selection around in time. Cells that are locked (bool ``[S, Q]``) stay, and the others change places.

    Raises:
        SettingError: if only locked cells would change.
    """
    return _moved(grid, selection, locked, lambda codes: codes[::-1])


def rotate(grid: np.ndarray, selection: Selection, by: int, locked: np.ndarray | None = None) -> np.ndarray:
    """Moves the selection's codes later by so many columns, or earlier; those that leave it come in at the other end. Cells
    that are locked (bool ``[S, Q]``) stay, and the others move past them.

    Raises:
        SettingError: if only locked cells would change.
    """
    return _moved(grid, selection, locked, lambda codes: np.roll(codes, by, axis=0))


def repeat(grid: np.ndarray, selection: Selection, times: int) -> np.ndarray:
    """Lets the selection come ``times`` times in a row.

    On all levels its copies are inserted, and the sound gets longer. On some levels only they take the place of what follows,
    since the other levels go on.

    Raises:
        SettingError: if it is not repeated, or there is no room.
    """
    if times < 2:
        raise SettingError(f"Repeating needs at least 2 times; {times} was given.", "Choose 2 or more.")
    on_all_levels = len(selection.levels) == grid.shape[1]
    if not on_all_levels and selection.first + times * selection.length > len(grid):
        raise SettingError(
            f"{times} times {selection.length} columns do not fit from column {selection.first} on; there are {len(grid)}.",
            "Repeat it fewer times, or on all levels, which makes the sound longer.",
        )
    clip = copy(grid, selection)
    copies = Clip(np.tile(clip.codes, (times - 1, 1)), clip.levels)
    return insert(grid, copies, selection.stop) if on_all_levels else paste(grid, copies, selection.stop)


def graft(grid: np.ndarray, other: np.ndarray, selection: Selection, other_first: int | None = None) -> np.ndarray:
    """The first grid with the other's cells in the selection: A's structure with B's detail.

    Args:
        other_first: the column of the other where these begin; without it, the same one.

    Raises:
        SettingError: if the other has not so many columns or levels.
    """
    return paste(grid, copy(other, _across(grid, other, selection, other_first)), selection.first)


def swap(
    grid: np.ndarray,
    other: np.ndarray,
    selection: Selection,
    other_first: int | None = None,
    locked: np.ndarray | None = None,
    other_locked: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Both grids, with the cells of the selection exchanged, but for those that are locked in either (bool ``[S, Q]``, of each
    grid); see :func:`graft`.

    Raises:
        SettingError: also if only locked cells would change.
    """
    there = _across(grid, other, selection, other_first)
    mine, theirs = grid[selection.cells()], other[there.cells()]
    stays = np.zeros(mine.shape, bool)
    for one, cells in ((locked, selection.cells()), (other_locked, there.cells())):
        stays |= False if one is None else one[cells]
    return (
        _with(grid, selection, keep(mine, theirs, stays)),
        _with(other, there, keep(theirs, mine, stays)),
    )


def blend(grid: np.ndarray, other: np.ndarray, selection: Selection, weight: float, codebooks: np.ndarray) -> Blend:
    """Mixes the selected cells of two sounds where the codebooks' vectors live, and says the mix in codes again.

    What the selected levels of each column stand for is added up, mixed by ``weight`` (0 is the first grid, 1 the other), and
    quantised anew level by level, each taking the entry nearest to what those before it left over. Where the codes of one of
    the two are nearer to the mix than what that finds, they are taken: so 0 and 1 give exactly the two.

    Args:
        codebooks: ``[Q, K, C]``.

    Raises:
        SettingError: if the weight is out of range, or the other grid has not so many columns or levels.
    """
    if not 0 <= weight <= 1:
        raise SettingError(f"The weight {weight:g} is out of range.", "Choose one from 0 (the first) to 1 (the other).")
    here = grid[selection.cells()]  # [n, L]
    there = other[_across(grid, other, selection).cells()]
    books = codebooks[list(selection.levels)].astype(np.float64)  # [L, K, C]
    a, b = _vectors(here, books), _vectors(there, books)  # [n, C]
    target = (1 - weight) * a + weight * b
    found = _quantised(target, books)
    candidates = np.stack([here, there, found])  # [3, n, L]
    distances = np.stack([np.linalg.norm(_vectors(one, books) - target, axis=1) for one in candidates])
    snapped = distances.argmin(axis=0)  # the first of several that are as near
    snapped = np.where((snapped == 2) & (found == there).all(axis=1), 1, snapped)
    apart = np.linalg.norm(a - b, axis=1)
    chosen = np.arange(len(here))
    off = np.divide(distances[snapped, chosen], apart, out=np.zeros(len(here)), where=apart > 0)
    return Blend(_with(grid, selection, candidates[snapped, chosen]), off, snapped)


def keep(before: np.ndarray, after: np.ndarray, locked: np.ndarray) -> np.ndarray:
    """An edit that leaves the length as it was, but for the cells that are locked (bool ``[S, Q]``).

    Raises:
        SettingError: if only locked cells would change.
    """
    kept = np.where(locked, before, after)
    _check_free(before, after, kept)
    return kept


def said_of_locked(selection: Selection, locked: np.ndarray) -> str:
    """What is said behind an edit of a selection: in how many of its columns locked cells (bool ``[S, Q]``) stay, if in any."""
    count = int(locked[selection.cells()].any(axis=1).sum())
    if not count:
        return ""
    return f"; locked cells in {counted(count, 'column')} stay"


def insert_unlocked(locked: np.ndarray, column: int, count: int) -> np.ndarray:
    """The locks of a grid in which so many columns were inserted: those behind move along."""
    return np.concatenate([locked[:column], np.zeros((count, locked.shape[1]), bool), locked[column:]])


def samples_with(samples: int, columns: int, column: int, count: int, hop: int) -> int:
    """Of a sound into which columns were inserted. Its last one may be partly filled; where others follow it, it is whole."""
    return (columns * hop if column == columns else samples) + count * hop


def samples_left(samples: int, columns: int, first: int, stop: int, hop: int) -> int:
    """Of a sound from which columns were deleted. Its last one may be partly filled; without that, all are whole."""
    return first * hop if stop == columns else samples - (stop - first) * hop


def delete_unlocked(locked: np.ndarray, first: int, stop: int) -> np.ndarray:
    """The locks of a grid from which these columns were deleted.

    Raises:
        SettingError: if a cell in them is locked.
    """
    if locked[first:stop].any():
        raise SettingError("Cells that are locked would be deleted.", "Unlock them first, or delete others.")
    return np.concatenate([locked[:first], locked[stop:]])


def levels_named(text: str, count: int) -> tuple[int, ...]:
    """Levels by number, by name or its beginning: ``1-2``, ``Structure,Detail``, ``det``.

    Raises:
        SettingError: if there is no such level.
    """
    names = LEVEL_NAMES[count]
    chosen: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        ends = [_level(end, names) for end in (first, last or first)]
        if ends[0] > ends[1]:
            raise SettingError(f"The levels {part.strip()} end before they begin.", "Give the lower number first.")
        chosen |= set(range(ends[0], ends[1] + 1))
    return tuple(sorted(chosen))


def _level(text: str, names: Sequence[str]) -> int:
    word = text.strip().casefold()
    meant = [level for level, name in enumerate(names) if word and name.casefold().startswith(word)]
    if len(meant) == 1:
        return meant[0]
    if word.isascii() and word.isdigit() and 1 <= int(word) <= len(names):
        return int(word) - 1
    known = ", ".join(f"{number} {name}" for number, name in enumerate(names, 1))
    raise SettingError(f"There is no level '{text.strip()}'.", f"Choose from: {known}.")


def _across(grid: np.ndarray, other: np.ndarray, selection: Selection, other_first: int | None = None) -> Selection:
    """The selection in the other grid."""
    first = selection.first if other_first is None else other_first
    if grid.shape[1] != other.shape[1]:
        raise SettingError(
            f"One sound has {grid.shape[1]} levels and the other {other.shape[1]}.", "Use two of the same model."
        )
    if not 0 <= first <= len(other) - selection.length:
        raise SettingError(
            f"The other sound has {counted(len(other), 'column')}, and {selection.length} from column {first} on "
            f"{'is' if selection.length == 1 else 'are'} needed.",
            "Choose a shorter stretch, or another place in it.",
        )
    return Selection(first, first + selection.length, selection.levels)


def _moved(
    grid: np.ndarray, selection: Selection, locked: np.ndarray | None, order: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """The selection in another order, level by level, in which only the cells take part that are not locked."""
    plain = _with(grid, selection, order(grid[selection.cells()]))
    if locked is None:
        return plain
    moved = grid.copy()
    for level in selection.levels:
        columns = selection.first + np.flatnonzero(~locked[selection.first : selection.stop, level])
        moved[columns, level] = order(grid[columns, level])
    _check_free(grid, plain, moved)
    return moved


def _check_free(before: np.ndarray, wanted: np.ndarray, after: np.ndarray) -> None:
    """Refuses an edit of which the locks left nothing."""
    if (after == before).all() and (wanted != before).any():
        raise SettingError("All that would change is locked.", "Unlock it first, or select other cells.")


def _with(grid: np.ndarray, selection: Selection, codes: np.ndarray) -> np.ndarray:
    changed = grid.copy()
    changed[selection.cells()] = codes
    return changed


def _vectors(codes: np.ndarray, books: np.ndarray) -> np.ndarray:
    """What codes ``[n, L]`` stand for: ``[n, C]``."""
    total: np.ndarray = books[np.arange(len(books)), codes].sum(axis=1)
    return total


def _quantised(target: np.ndarray, books: np.ndarray) -> np.ndarray:
    """``[n, C] →`` codes ``[n, L]``, level by level."""
    residual, codes = target, []
    for book in books:
        distances = (book**2).sum(axis=1) - 2 * residual @ book.T
        codes.append(distances.argmin(axis=1))
        residual = residual - book[codes[-1]]
    return np.stack(codes, axis=1)
