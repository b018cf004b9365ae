"""``distill edit``: operations in the order they are written, on codes or audio, into codes or audio."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from distill.codes.codes_file import Codes, load_codes, save_codes
from distill.models import load_model

Distill = Callable[..., Any]
RATE = 48_000 / 1024


@pytest.fixture
def grid() -> np.ndarray:
    """Five seconds less a bit: 234 columns of 2 levels, every cell another than its neighbours."""
    return (np.arange(234)[:, None] * (1, 3) + (0, 5)) % 32


@pytest.fixture
def sound(tiny: Path, tmp_path: Path, grid: np.ndarray) -> Path:
    model = load_model(tiny)
    codes = Codes(torch.from_numpy(grid), model.codes_fingerprint, 234 * 1024 - 100, 48_000)
    return save_codes(tmp_path / "a.codes", codes)


@pytest.fixture
def edited(distill: Distill, tiny: Path, sound: Path, tmp_path: Path) -> Callable[..., np.ndarray]:
    """The grid after these operations on ``a.codes``."""

    def call(*words: object) -> np.ndarray:
        out = tmp_path / "b.codes"
        answer = distill("edit", tiny, sound, *words, "--out", out)
        assert answer.code == 0, answer.err
        model = load_model(tiny)
        return load_codes(out, model.codes_fingerprint, model.codec).codes.numpy()

    return call


def test_seconds_and_columns_and_levels_by_name(edited: Callable[..., np.ndarray], grid: np.ndarray) -> None:
    expected = grid.copy()
    expected[94:188, 0] = grid[94:188, 0][::-1]
    for span in ("2-4", "2-4.01", "c94-c188"):
        for level in ("1", "Structure", "str"):
            after = edited("--mirror", span, "--levels", level)
            np.testing.assert_array_equal(after, expected)
    np.testing.assert_array_equal(edited("--mirror", "all"), grid[::-1])
    np.testing.assert_array_equal(edited("--mirror", "4-")[188:], grid[188:][::-1])
    np.testing.assert_array_equal(edited("--delete", "2-2.001"), np.delete(grid, 94, axis=0))  # less than a column


def test_operations_come_in_the_order_they_are_written(edited: Callable[..., np.ndarray], grid: np.ndarray) -> None:
    """Guards against a command line that sorts operations by kind."""
    first = edited(
        "--fill", "c0-c10", "--code", "7", "--rotate", "c0-c20", "--by", "c5", "--fill", "c0-c3", "--code", "1,2"
    )
    assert first[:3].tolist() == [[1, 2]] * 3
    expected = np.roll(np.concatenate([np.full((10, 2), 7), grid[10:20]]), 5, axis=0)
    expected[:3] = (1, 2)
    np.testing.assert_array_equal(first[:20], expected)
    second = edited("--rotate", "c0-c20", "--by", "c5", "--fill", "c0-c10", "--code", "7")
    assert (second[:10] == 7).all()


def test_longer_and_shorter(
    edited: Callable[..., np.ndarray], distill: Distill, tiny: Path, sound: Path, grid: np.ndarray
) -> None:
    """Guards against a length in samples that no longer fits the columns."""
    assert len(edited("--repeat", "1-2", "--times", "3")) == 234 + 2 * 47
    np.testing.assert_array_equal(edited("--delete", "c10-c20"), np.delete(grid, slice(10, 20), axis=0))
    longer = edited("--insert", "c0-c5", "--to", "c100", "--copy", "c0-c5", "--levels", "det", "--to", "c200")
    np.testing.assert_array_equal(longer[100:105], grid[:5])
    np.testing.assert_array_equal(longer[200:205, 1], grid[:5, 1])
    answer = distill("edit", tiny, sound, "--delete", "c0-c233", "--json")
    assert answer.json["samples"] == 1024 - 100
    answer = distill("edit", tiny, sound, "--delete", "c200-c234", "--json")
    assert answer.json["samples"] == 200 * 1024, (
        "the last column, partly filled, is gone, so the last one left is whole"
    )


@pytest.mark.parametrize(
    ("words", "samples"),
    [
        (("--insert", "c0-c5", "--to", "c234"), 239 * 1024),
        (("--repeat", "c230-c234", "--times", "2"), 238 * 1024),
        (("--repeat", "all", "--times", "3"), 3 * 234 * 1024),
        (("--insert", "c0-c5", "--to", "c233"), 239 * 1024 - 100),
        (("--repeat", "c230-c233", "--times", "2"), 237 * 1024 - 100),
    ],
)
def test_what_is_inserted_at_the_end_is_heard_to_its_end(
    distill: Distill, tiny: Path, sound: Path, words: tuple[str, ...], samples: int
) -> None:
    """Guards against an end that is cut by what a column lacks that is the last one no more."""
    assert distill("edit", tiny, sound, *words, "--json").json["samples"] == samples


def test_a_graft_and_a_blend_of_another_sound(
    edited: Callable[..., np.ndarray], tiny: Path, tmp_path: Path, grid: np.ndarray
) -> None:
    model = load_model(tiny)
    other = (grid[:100] + 9) % 32
    path = save_codes(
        tmp_path / "other.codes", Codes(torch.from_numpy(other), model.codes_fingerprint, 100 * 1024, 48_000)
    )
    after = edited("--graft", path, "--levels", "Detail")
    np.testing.assert_array_equal(after[:100, 1], other[:, 1])
    np.testing.assert_array_equal(after[:, 0], grid[:, 0])
    np.testing.assert_array_equal(after[100:], grid[100:])
    np.testing.assert_array_equal(edited("--blend", path, "--weight", "1", "--over", "c10-c20")[10:20], other[10:20])
    np.testing.assert_array_equal(edited("--blend", path, "--weight", "0"), grid)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--mirror", "c30-c60"), "Mirrored 0.64-1.28 s; locked cells in 10 columns stay."),
        (("--rotate", "c49-c60", "--by", "c1"), "Rotated 1.05-1.28 s by 1 column; locked cells in 1 column stay."),
        (("--fill", "c30-c60", "--code", "1", "--levels", "2"), "Filled 0.64-1.28 s on Detail with 1."),
        (("--copy", "c30-c60", "--to", "c35"), "to column 35; locked cells in 10 columns stay."),
        (("--repeat", "c30-c34", "--levels", "1", "--times", "2"), "2 times in all."),
        (("--repeat", "c30-c38", "--levels", "1", "--times", "3"), "3 times in all; locked cells in 10 columns stay."),
        (("--reimagine", "c30-c60", "--seed", "7"), "with seed 7; locked cells in 10 columns stay."),
        (("--graft", "b.codes"), "from b.codes; locked cells in 10 columns stay."),
        (
            ("--blend", "b.codes", "--weight", "1", "--over", "c38-c60", "--levels", "1"),
            "12 took the other's; their mean distance to the mix is 0.00 of that between the two sounds; locked cells in 10 "
            "columns stay.",
        ),
    ],
)
def test_what_is_locked_is_not_said_to_be_done(
    words: tuple[str, ...], said: str, distill: Distill, tiny: Path, sound: Path, grid: np.ndarray
) -> None:
    """Guards against sentences that count cells which the lock kept as they were: "234 took the other's", and none had."""
    model = load_model(tiny)
    shutil.copy(sound, "a.codes")
    other = Codes(torch.from_numpy((grid + 9) % 32), model.codes_fingerprint, 234 * 1024, 48_000)
    save_codes(Path("b.codes"), other)
    answer = distill(
        "edit", tiny, "a.codes", "--lock", "c40-c50", "--levels", "1", *words, "--out", "c.codes", "--json"
    )
    assert answer.json["did"][-1].endswith(said), answer.json["did"]


def test_reimagining_keeps_what_is_locked(edited: Callable[..., np.ndarray], grid: np.ndarray) -> None:
    words = ("--lock", "c40-c50", "--levels", "1", "--reimagine", "c30-c60", "--seed", "7")
    after = edited(*words)
    np.testing.assert_array_equal(after[40:50, 0], grid[40:50, 0])
    np.testing.assert_array_equal(np.delete(after, slice(30, 60), axis=0), np.delete(grid, slice(30, 60), axis=0))
    assert (after[40:50, 1] != grid[40:50, 1]).mean() > 0.5
    np.testing.assert_array_equal(edited(*words), after)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--mirror", "all"), "Mirrored 0.00-2.00 s"),
        (("--lock", "1-", "--levels", "1", "--fill", "c93-", "--code", "1"), "Filled 1.98-2.00 s"),
        (("--graft", "a.codes"), "Took 0.00-2.00 s from a.codes"),
        (("--blend", "a.codes", "--weight", "0"), "into 0.00-2.00 s:"),
        (("--repeat", "all", "--times", "2", "--mirror", "all"), "Mirrored 0.00-4.01 s"),
        (("--mirror", "3-4"), "not within the sound, which lasts 2.00 s (94 columns)"),
        (("--copy", "0-1", "--to", "3"), "not within the sound, which lasts 2.00 s (94 columns)"),
    ],
)
def test_no_time_is_told_past_the_end(
    distill: Distill,
    tiny: Path,
    grid: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: Any,
    said: str,
) -> None:
    """The last column of two seconds ends 5 ms after them."""
    monkeypatch.chdir(tmp_path)
    codes = Codes(torch.from_numpy(grid[:94]), load_model(tiny).codes_fingerprint, 96_000, 48_000)
    answer = distill("edit", tiny, save_codes(Path("a.codes"), codes), *words)
    assert said in answer.err.replace("\n", " ")


def test_audio_in_and_audio_out(
    distill: Distill, tiny: Path, noise: Callable[..., np.ndarray], save: Callable[..., Path], tmp_path: Path
) -> None:
    audio = save(tmp_path / "a.wav", noise(1.0))
    answer = distill(
        "edit", tiny, audio, "--mirror", "all", "--repeat", "c0-c10", "--times", 2, "--out", tmp_path / "b.flac"
    )
    assert answer.code == 0, answer.err
    assert "Mirrored 0.00-1.00 s" in answer.err
    assert soundfile.info(tmp_path / "b.flac").frames == 48_000 + 10 * 1024
    default = distill("edit", tiny, audio, "--mirror", "all", "--json").json["out"]
    assert Path(default).name == "a-edited.codes"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), ("nothing to do",)),
        (("--lock", "1-2"), ("nothing to do",)),
        (("--levels", "1", "--mirror", "1-2"), ("--levels comes first", "--mirror")),
        (("--mirror", "1-2", "--times", "2"), ("after --mirror, which does not take it", "--repeat")),
        (("--repeat", "1-2"), ("needs --times",)),
        (("--mirror", "1-2", "--levels", "1", "--levels", "2"), ("twice",)),
        (("--mirror", "1"), ("is not a SPAN", "2-4")),
        (("--mirror", "one-2"), ("'one' is not a place", "2.5- (to the end)")),
        (("--mirror", "2-1000"), ("The span 2-1000 is not within the sound, which lasts 4.99 s (234 columns)",)),
        (("--mirror", "2-1"), ("The span 2-1 is not within",)),
        (("--mirror", "c2-c2"), ("The span c2-c2 is not within",)),
        (("--delete", "c2-c2"), ("The span c2-c2 is not within",)),
        (("--repeat", "all", "--times", "1000000000000"), ("10800 s are the limit", "Repeat or insert less")),
        (("--copy", "1-2", "--to", "40"), ("The place 40 is not within the sound, which lasts 4.99 s (234 columns)",)),
        (("--mirror", "1-2", "--levels", "Bass"), ("no level 'Bass'", "Detail")),
        (("--fill", "1-2", "--code", "99"), ("no code 99", "31")),
        (("--reimagine", "1-2", "--seed", "-1"), ("seed -1",)),
        (("--repeat", "1-2", "--times", "2.7"), ("needs a whole number, not '2.7'", "--times")),
        (("--fill", "1-2", "--code", "3.7"), ("needs a whole number, not '3.7'", "--code")),
        (("--reimagine", "1-2", "--seed", "1.5"), ("needs a whole number, not '1.5'", "--seed")),
        (("--mirror", "c1.5-c3"), ("needs a whole number, not '1.5'",)),
        (("--lock", "1-2", "--delete", "1.5-3"), ("locked",)),
        (("--graft", "nowhere.codes"), ("nowhere.codes",)),
        (("--mirror", "1-2", "--out", "b.aac"), ("aac",)),
    ],
)
def test_what_cannot_be_done_is_refused(
    distill: Distill, tiny: Path, sound: Path, words: tuple[str, ...], said: tuple[str, ...]
) -> None:
    """Guards, too, against a span of no columns that takes one, and a slip of the keyboard that ends as a fault in Distill."""
    distill("edit", tiny, sound, *words).refused(*said)
    assert list(Path().iterdir()) == []
