"""The stream of events."""

from pathlib import Path

from distill.training.metrics import (
    EventLog,
    LevelHealth,
    PriorEpochMetrics,
    PriorStepMetrics,
    VQEpochMetrics,
    read_events,
)

EVENTS = (
    VQEpochMetrics(1, 2, 1.5, 1.6, 1.6, (LevelHealth(0, 0.5, 12.0, 8),), "", 3.0, 1e-3),
    PriorStepMetrics(1, 1, 10, 5.0, 1e-3, 0.1),
    PriorEpochMetrics(1, 2, 5.0, 4.9, 134.3, 134.3, False, "", 3.0, 1e-3, (4.8, 5.0)),
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    with EventLog(tmp_path / "run" / "events.jsonl") as log:
        for event in EVENTS:
            log(event)
    assert tuple(read_events(tmp_path / "run" / "events.jsonl")) == EVENTS


def test_events_can_be_followed_while_they_are_written(tmp_path: Path) -> None:
    """Guards against events that sit in a buffer while a dashboard waits."""
    with EventLog(tmp_path / "events.jsonl") as log:
        log(EVENTS[1])
        assert list(read_events(tmp_path / "events.jsonl")) == [EVENTS[1]]


def test_a_line_cut_short_by_a_crash_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log:
        for event in EVENTS:
            log(event)
    path.write_text(path.read_text()[:-9])
    assert tuple(read_events(path)) == EVENTS[:2]
