"""Editing codes: what is selected changes as it should, everything else stays, and what does not fit is refused in words."""

import subprocess
import sys

import numpy as np
import pytest

from distill.codes import edit
from distill.codes.edit import Clip, Selection, select
from distill.codes.history import History, step_between
from distill.errors import SettingError

K = 16
ROUNDS = range(40)


def drawn(seed: int) -> tuple[np.random.Generator, np.ndarray, Selection]:
    """Some grid and some selection in it."""
    draw = np.random.default_rng(seed)
    grid = draw.integers(0, K, (draw.integers(2, 30), draw.integers(2, 5)))
    first = int(draw.integers(0, len(grid)))
    stop = int(draw.integers(first + 1, len(grid) + 1))
    levels = draw.choice(grid.shape[1], draw.integers(1, grid.shape[1] + 1), replace=False)
    return draw, grid, select(grid, first, stop, levels.tolist())


def other_for(draw: np.random.Generator, grid: np.ndarray, selection: Selection) -> tuple[np.ndarray, int]:
    """Another grid, and where in it a stretch as long as the selection begins."""
    other = draw.integers(0, K, (selection.length + draw.integers(0, 9), grid.shape[1]))
    return other, int(draw.integers(0, len(other) - selection.length + 1))


@pytest.mark.parametrize("seed", ROUNDS)
def test_nothing_but_the_selection_changes_and_what_is_given_stays(seed: int) -> None:
    draw, grid, selection = drawn(seed)
    other, first = other_for(draw, grid, selection)
    before, other_before = grid.copy(), other.copy()
    clip = edit.copy(other, Selection(first, first + selection.length, selection.levels))
    books = draw.standard_normal((grid.shape[1], K, 3))
    results = {
        "fill": edit.fill(grid, selection, 3, K),
        "mirror": edit.mirror(grid, selection),
        "rotate": edit.rotate(grid, selection, int(draw.integers(-9, 9))),
        "paste": edit.paste(grid, clip, selection.first),
        "graft": edit.graft(grid, other, selection, first),
        "swap": edit.swap(grid, other, selection, first)[0],
        "blend": edit.blend(grid, edit.graft(grid, other, selection, first), selection, 0.3, books).grid,
    }
    outside = ~selection.mask(grid)
    for name, after in results.items():
        np.testing.assert_array_equal(after[outside], before[outside], name)
        assert after.shape == before.shape
    np.testing.assert_array_equal(grid, before)
    np.testing.assert_array_equal(other, other_before)


@pytest.mark.parametrize("seed", ROUNDS)
def test_edits_that_undo_each_other(seed: int) -> None:
    draw, grid, selection = drawn(seed)
    by = int(draw.integers(-40, 40))
    np.testing.assert_array_equal(edit.mirror(edit.mirror(grid, selection), selection), grid)
    np.testing.assert_array_equal(edit.rotate(edit.rotate(grid, selection, by), selection, -by), grid)
    np.testing.assert_array_equal(edit.rotate(grid, selection, selection.length), grid)
    np.testing.assert_array_equal(edit.paste(grid, edit.copy(grid, selection), selection.first), grid)
    other, first = other_for(draw, grid, selection)
    there = Selection(first, first + selection.length, selection.levels)
    swapped = edit.swap(grid, other, selection, first)
    back = edit.swap(*swapped, selection, first)
    np.testing.assert_array_equal(back[0], grid)
    np.testing.assert_array_equal(back[1], other)
    np.testing.assert_array_equal(swapped[0][selection.cells()], other[there.cells()])
    np.testing.assert_array_equal(swapped[1][there.cells()], grid[selection.cells()])


@pytest.mark.parametrize("seed", ROUNDS)
def test_what_is_inserted_can_be_deleted_again(seed: int) -> None:
    draw, grid, selection = drawn(seed)
    columns = edit.copy(grid, select(grid, selection.first, selection.stop))
    at = int(draw.integers(0, len(grid) + 1))
    longer = edit.insert(grid, columns, at)
    assert len(longer) == len(grid) + selection.length
    np.testing.assert_array_equal(edit.delete(longer, at, at + selection.length), grid)


@pytest.mark.parametrize("seed", ROUNDS)
def test_repeating_all_levels_makes_it_longer_and_some_levels_take_the_place_of_what_follows(seed: int) -> None:
    draw, grid, selection = drawn(seed)
    times = int(draw.integers(2, 5))
    whole = select(grid, selection.first, selection.stop)
    longer = edit.repeat(grid, whole, times)
    assert len(longer) == len(grid) + (times - 1) * whole.length
    for number in range(times):
        part = longer[whole.first + number * whole.length :][: whole.length]
        np.testing.assert_array_equal(part, grid[whole.first : whole.stop])
    np.testing.assert_array_equal(longer[whole.first + times * whole.length :], grid[whole.stop :])

    some = Selection(selection.first, selection.stop, (0,))
    if some.first + times * some.length > len(grid):
        with pytest.raises(SettingError, match="do not fit"):
            edit.repeat(grid, some, times)
        return
    over = edit.repeat(grid, some, times)
    np.testing.assert_array_equal(over[:, 1:], grid[:, 1:])
    expected = np.tile(grid[some.first : some.stop, 0], times)
    np.testing.assert_array_equal(over[some.first : some.first + len(expected), 0], expected)


@pytest.mark.parametrize("seed", ROUNDS)
def test_the_ends_of_a_blend_are_the_two_sounds(seed: int) -> None:
    """Guards against a slider that changes the sound before it is moved: a sum quantised anew need not give its codes again."""
    draw, grid, selection = drawn(seed)
    other, first = other_for(draw, grid, selection)
    books = draw.standard_normal((grid.shape[1], K, 3))
    expected = edit.graft(grid, other, selection, first)
    start, end = (edit.blend(grid, expected, selection, weight, books) for weight in (0, 1))
    np.testing.assert_array_equal(start.grid, grid)
    # Where both are the same sound by other codes, either may be taken.
    differ = (grid[selection.cells()] != other[first : first + selection.length, selection.levels]).any(axis=1)
    np.testing.assert_array_equal(end.grid, expected)
    assert not start.off.any()
    assert not end.off.any()
    assert (end.snapped[differ] == 1).all()


@pytest.mark.parametrize("seed", ROUNDS)
def test_a_blend_is_never_further_off_than_either_sound(seed: int) -> None:
    draw, grid, selection = drawn(seed)
    other, first = other_for(draw, grid, selection)
    books = draw.standard_normal((grid.shape[1], K, 3))
    weight = float(draw.uniform())
    mixed = edit.blend(grid, edit.graft(grid, other, selection, first), selection, weight, books)
    assert (mixed.off <= min(weight, 1 - weight) + 1e-9).all()


def test_a_blend_finds_the_sound_between_two() -> None:
    """Three entries on a line: half of the outer two is the middle one."""
    books = np.array([[[0.0], [5.0], [10.0]], [[0.0], [0.5], [-0.5]]])
    grid, other = np.array([[0, 0]]), np.array([[2, 0]])
    half = edit.blend(grid, other, select(grid), 0.5, books)
    assert half.grid.tolist() == [[1, 0]]
    assert half.snapped.tolist() == [2]
    assert half.off.tolist() == [0]
    fine = edit.blend(grid, other, select(grid), 0.55, books)
    assert fine.grid.tolist() == [[1, 1]]
    coarse = edit.blend(grid, other, select(grid, levels=(0,)), 0.4, books)
    assert coarse.grid.tolist() == [[1, 0]]
    assert coarse.off.tolist() == pytest.approx([0.1])


@pytest.mark.parametrize("seed", ROUNDS)
def test_locked_cells_stay(seed: int) -> None:
    draw, grid, selection = drawn(seed)
    locked = draw.random(grid.shape) < 0.3
    free_one = selection.first, selection.levels[0]  # where all that would change is locked, it is refused
    locked[free_one], grid[free_one] = False, 0
    after = edit.keep(grid, edit.fill(grid, selection, 3, K), locked)
    np.testing.assert_array_equal(after[locked], grid[locked])
    free = selection.mask(grid) & ~locked
    assert (after[free] == 3).all()
    with pytest.raises(SettingError, match="All that would change is locked"):
        edit.keep(grid, (grid + 1) % K, np.ones_like(locked))
    np.testing.assert_array_equal(edit.keep(grid, grid, np.ones_like(locked)), grid)


@pytest.mark.parametrize("seed", ROUNDS)
def test_what_moves_codes_around_a_lock_loses_none(seed: int) -> None:
    """Guards against a code that came twice and another that was lost, where one was moved onto a locked cell."""
    draw, grid, selection = drawn(seed)
    grid = np.arange(grid.size).reshape(grid.shape)  # so that each can be told from all others
    locked = draw.random(grid.shape) < 0.3
    free = selection.mask(grid) & ~locked
    for move, slow in (
        (lambda: edit.mirror(grid, selection, locked), lambda codes: codes[::-1]),
        (
            lambda: edit.rotate(grid, selection, 2, locked),
            lambda codes: codes[-2 % len(codes) :] + codes[: -2 % len(codes)],
        ),
    ):
        expected = grid.copy()
        for level in range(grid.shape[1]):
            if free[:, level].any():
                expected[free[:, level], level] = slow(grid[free[:, level], level].tolist())
        if (expected == grid).all() and selection.length > 2:
            with pytest.raises(SettingError, match="All that would change is locked"):
                move()
        elif selection.length > 2:
            np.testing.assert_array_equal(move(), expected)


def test_a_swap_around_locks_loses_none() -> None:
    """Guards against a code that both sounds have after a swap, as one of them kept a locked one, and one that none has."""
    grid, other = np.arange(12).reshape(6, 2), 100 + np.arange(12).reshape(6, 2)
    locked, other_locked = np.zeros((6, 2), bool), np.zeros((6, 2), bool)
    locked[1, 0] = other_locked[4, 1] = True
    here, there = edit.swap(grid, other, select(grid, 0, 4), 2, locked, other_locked)
    stays = np.zeros((4, 2), bool)
    stays[1, 0] = stays[2, 1] = True
    np.testing.assert_array_equal(here[:4], np.where(stays, grid[:4], other[2:]))
    np.testing.assert_array_equal(there[2:], np.where(stays, other[2:], grid[:4]))
    with pytest.raises(SettingError, match="All that would change is locked"):
        edit.swap(grid, other, select(grid, 0, 4), 2, np.ones_like(locked), other_locked)


def test_locks_move_with_their_columns_and_are_not_deleted() -> None:
    locked = np.zeros((6, 2), bool)
    locked[4, 1] = True
    assert np.argwhere(edit.insert_unlocked(locked, 3, 2)).tolist() == [[6, 1]]
    assert np.argwhere(edit.insert_unlocked(locked, 5, 2)).tolist() == [[4, 1]]
    assert np.argwhere(edit.delete_unlocked(locked, 1, 3)).tolist() == [[2, 1]]
    with pytest.raises(SettingError, match="locked"):
        edit.delete_unlocked(locked, 4, 5)


GRID = np.arange(20).reshape(5, 4) % K


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (lambda: select(GRID, -1, 2), "not within the 5"),
        (lambda: select(GRID, 3, 3), "not within the 5"),
        (lambda: select(GRID, 3, 6), "not within the 5"),
        (lambda: select(GRID, 0, 2, ()), "none; there are 4"),
        (lambda: select(GRID, 0, 2, (1, 4)), "2, 5; there are 4"),
        (lambda: edit.fill(GRID, select(GRID), K, K), "no code 16"),
        (lambda: edit.fill(GRID, select(GRID), -1, K), "no code -1"),
        (lambda: edit.fill(GRID, select(GRID), (1, 2), K), "2 codes were given for 4 levels"),
        (lambda: edit.fill(GRID, select(GRID, 0, 2, (1,)), (1, 2), K), "2 codes were given for 1 level\\."),
        (lambda: edit.paste(GRID, edit.copy(GRID, select(GRID, 0, 1)), 5), "^1 column does not fit at column 5 of 5"),
        (lambda: edit.paste(GRID, edit.copy(GRID, select(GRID, 0, 2)), 4), "do not fit at column 4 of 5"),
        (lambda: edit.paste(GRID, edit.copy(GRID, select(GRID, 0, 2)), -1), "not within"),
        (lambda: edit.insert(GRID, edit.copy(GRID, select(GRID, 0, 2, (0,))), 1), "whole columns"),
        (lambda: edit.insert(GRID, edit.copy(GRID, select(GRID, 0, 2)), 6), "no column 6"),
        (lambda: edit.delete(GRID, 0, 5), "every column"),
        (lambda: edit.repeat(GRID, select(GRID, 0, 2), 1), "at least 2 times; 1 was given"),
        (lambda: edit.repeat(GRID, select(GRID, 0, 2, (0,)), 3), "do not fit"),
        (lambda: edit.repeat(GRID, select(GRID, 0, 2, (0,)), 2**40), "do not fit"),  # before they take any memory
        (lambda: edit.graft(GRID, GRID[:, :2], select(GRID)), "4 levels and the other 2"),
        (lambda: edit.graft(GRID, GRID[:3], select(GRID, 2, 4)), "3 columns, and 2 from column 2"),
        (lambda: edit.graft(GRID, GRID[:1], select(GRID, 2, 4)), "has 1 column, and 2 from column 2"),
        (lambda: edit.swap(GRID, GRID, select(GRID, 2, 4), 4), "5 columns, and 2 from column 4"),
        (lambda: edit.blend(GRID, GRID, select(GRID), 1.5, np.zeros((4, K, 2))), "1.5 is out of range"),
        (lambda: edit.levels_named("Bass", 4), "no level 'Bass'"),
        (lambda: edit.levels_named("5", 4), "no level '5'"),
        (lambda: edit.levels_named("t", 4), "no level 't'"),
        (lambda: edit.levels_named("3-1", 4), "end before they begin"),
    ],
)
def test_what_does_not_fit_is_refused(refused: object, words: str) -> None:
    with pytest.raises(SettingError, match=words):
        refused()  # type: ignore[operator]


def test_a_clip_keeps_its_levels() -> None:
    clip = edit.copy(GRID, select(GRID, 1, 3, (1, 3)))
    assert isinstance(clip, Clip)
    after = edit.paste(GRID, clip, 0)
    assert after[:2].tolist() == [[0, 5, 2, 7], [4, 9, 6, 11]]


@pytest.mark.parametrize(
    ("text", "levels"),
    [("1", (0,)), ("1-2", (0, 1)), ("Detail,Structure", (0, 3)), ("det", (3,)), ("timbre-detail", (1, 2, 3)), ("2, 2", (1,))],
)  # fmt: skip
def test_levels_by_number_and_name(text: str, levels: tuple[int, ...]) -> None:
    assert edit.levels_named(text, 4) == levels


@pytest.mark.parametrize("seed", ROUNDS)
def test_everything_can_be_undone_and_redone(seed: int) -> None:
    draw = np.random.default_rng(seed)
    grid = draw.integers(0, 3, (8, 4))
    history, seen = History(grid), [grid]
    for number in range(20):
        first = int(draw.integers(0, len(history.grid)))
        stop = int(draw.integers(first + 1, len(history.grid) + 1))
        chosen = select(history.grid, first, stop)
        match draw.integers(3):
            case 0:
                after = edit.repeat(history.grid, chosen, 2)
            case 1 if chosen.length < len(history.grid):
                after = edit.delete(history.grid, first, stop)
            case _:
                after = edit.mirror(history.grid, chosen)
        history = history.do(step_between(str(number), history.grid, after))
        np.testing.assert_array_equal(history.grid, after)
        seen.append(after)
    for before in seen[-2::-1]:
        history = history.undo()
        np.testing.assert_array_equal(history.grid, before)
    assert history.undo() is history
    for after in seen[1:]:
        history = history.redo()
        np.testing.assert_array_equal(history.grid, after)
    assert history.redo() is history


def test_a_step_keeps_no_more_than_what_changed() -> None:
    """Guards against a history that keeps the whole sound for every cell."""
    grid = np.zeros((1000, 4), np.int64)
    step = step_between("set", grid, edit.fill(grid, select(grid, 500, 501, (2,)), 1, K))
    assert (step.first, len(step.before), len(step.after)) == (500, 1, 1)


def test_a_new_edit_forgets_what_was_undone() -> None:
    grid = np.zeros((4, 2), np.int64)
    history = History(grid).do(step_between("one", grid, grid + 1)).undo()
    history = history.do(step_between("two", grid, grid + 2))
    assert history.future == ()
    assert [step.words for step in history.past] == ["two"]


def test_editing_needs_no_pytorch() -> None:
    """The dashboard's server edits without it."""
    code = "import sys, distill.codes.edit, distill.codes.history; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
