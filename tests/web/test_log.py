"""A log that is followed loses nothing, doubles nothing, and is read anew when it is not the one it was."""

import json
from pathlib import Path

from distill.runs.events import EventLog
from distill.training.metrics import Notice, VQStepMetrics
from distill.web.log import MOST_STEPS, Followed, follow


def step(number: int) -> VQStepMetrics:
    return VQStepMetrics(1, number, 9, 1.0 / number, 1.0, 0.1, 0.001, 0.1, 4.0, 0.5, 60.0)


def read_to_the_end(log: Path, place: Followed | None = None) -> tuple[list[int], Followed]:
    place = place or follow(log)
    return [event["step"] for event in place.events if "step" in event], place


def test_only_what_is_new_comes(tmp_path: Path) -> None:
    log = tmp_path / "codec.jsonl"
    with EventLog(log) as tell:
        tell(step(1))
        first = follow(log)
        assert first.is_new
        assert [event["step"] for event in first.events] == [1]
        tell(step(2))
        tell(Notice("so it is"))
        second = follow(log, first.after, first.check)
        assert not second.is_new
        assert [event["event"] for event in second.events] == ["VQStepMetrics", "Notice"]
        third = follow(log, second.after, second.check)
        assert (third.events, third.is_new, third.after) == ([], False, second.after)


def test_half_a_line_waits_for_its_other_half(tmp_path: Path) -> None:
    log = tmp_path / "codec.jsonl"
    log.write_bytes(b'{"event": "Notice", "text": "a"}\n{"event": "Not')
    first = follow(log)
    assert len(first.events) == 1
    with log.open("ab") as more:
        more.write(b'ice", "text": "b"}\n')
    second = follow(log, first.after, first.check)
    assert [event["text"] for event in second.events] == ["b"]


def test_a_log_that_was_cut_and_has_grown_again_is_read_anew(tmp_path: Path) -> None:
    """Guards against curves with a piece of an earlier training in them: a resumed stage cuts its log."""
    log = tmp_path / "codec.jsonl"
    with EventLog(log) as tell:
        for number in (1, 2, 3):
            tell(step(number))
    before = follow(log)
    cut = log.read_bytes().splitlines(keepends=True)[:1]
    log.write_bytes(b"".join(cut))
    with EventLog(log) as tell:
        for number in (20, 30, 40):
            tell(step(number))
    after = follow(log, before.after, before.check)
    assert after.is_new
    assert [event["step"] for event in after.events] == [1, 20, 30, 40]


def test_a_place_that_never_was_begins_anew(tmp_path: Path) -> None:
    log = tmp_path / "codec.jsonl"
    with EventLog(log) as tell:
        tell(step(1))
    places = (
        (5, "2-00000000"),
        (10**12, "3-ab"),
        (7, ""),
        (7, "x"),
        (7, "99-00000000"),
        (7, "-1-0"),
        (7, "9" * 5000),
        (99999, "3-00000000"),
    )
    for after, check in places:
        assert follow(log, after, check).is_new
    assert follow(tmp_path / "none.jsonl", 5, "1-0") == Followed([], 0, "", True)


def test_of_a_long_log_the_steps_are_thinned_and_nothing_else_is(tmp_path: Path) -> None:
    log = tmp_path / "codec.jsonl"
    with EventLog(log) as tell:
        for number in range(1, 3001):
            tell(step(number))
            if number % 100 == 0:
                tell(Notice(f"at {number}"))
    told = follow(log)
    steps = [event["step"] for event in told.events if event["event"] == "VQStepMetrics"]
    assert 900 < len(steps) <= MOST_STEPS + 1
    assert (steps[0], steps[-1]) == (1, 3000)
    assert sum(event["event"] == "Notice" for event in told.events) == 30


def test_figures_that_are_not_finite_become_null(tmp_path: Path) -> None:
    """Guards against an answer that no browser can read: JSON has no NaN."""
    log = tmp_path / "codec.jsonl"
    log.write_text('{"event": "VQEpochMetrics", "val_loss": NaN, "train_loss": Infinity}\n')
    (event,) = follow(log).events
    json.dumps(event, allow_nan=False)
    assert event["val_loss"] is None
