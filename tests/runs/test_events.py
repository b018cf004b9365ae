"""The stream of events."""

from collections.abc import Callable
from pathlib import Path

from distill.models.health import LevelHealth
from distill.runs.events import EventLog, events_file, read_events, read_run
from distill.training.metrics import Notice, PriorEpochMetrics, PriorStepMetrics, VQEpochMetrics

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


def test_a_run_that_goes_on_reports_nothing_twice(tmp_path: Path) -> None:
    """What came after the saved state will come again; a line that a crash cut short is no line."""
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log:
        log(Notice("first"))
        saved = log.position
        log(Notice("lost with the process"))
    path.write_bytes(path.read_bytes()[:-5])
    with EventLog(path, saved) as log:
        log(Notice("second"))
    path.write_bytes(path.read_bytes() + b'{"event": "Not')
    with EventLog(path) as log:
        log(Notice("third"))
    assert [event.text for event in read_events(path)] == ["first", "second", "third"]


def test_a_full_disk_loses_no_event(tmp_path: Path, full_disk: Callable[[int | None], None]) -> None:
    with EventLog(tmp_path / "events.jsonl") as log:
        full_disk(100)
        for number in range(10):
            log(Notice(f"number {number}"))
        assert log.refused is not None
        position = log.position
        full_disk(None)
        assert (tmp_path / "events.jsonl").stat().st_size == 100
        log(Notice("there is room again"))
        assert log.refused is None
    events = list(read_events(tmp_path / "events.jsonl"))
    assert [event.text for event in events] == [*(f"number {number}" for number in range(10)), "there is room again"]
    assert position == sum(len(line) for line in (tmp_path / "events.jsonl").read_bytes().splitlines(True)[:-1])


def test_an_event_of_a_newer_version_is_skipped_and_kept(tmp_path: Path) -> None:
    """Guards against a reader that dies of what it does not know, and a writer that throws it away."""
    path = tmp_path / "codec.jsonl"
    newer = b'{"event": "MoodMetrics", "mood": 3}\n'
    fuller = b'{"event": "Notice", "text": "known", "is_warning": false, "colour": "red"}\n'
    poorer = b'{"event": "PriorStepMetrics", "epoch": 1}\n'
    path.write_bytes(newer + fuller + poorer + b"[1, 2]\n" + b"no JSON\n")
    assert list(read_events(path)) == [Notice("known")]
    with EventLog(path) as log:
        log(Notice("went on"))
    assert path.read_bytes().startswith(newer + fuller + poorer)
    assert list(read_events(path)) == [Notice("known"), Notice("went on")]


def test_a_stage_that_goes_on_cuts_no_other(tmp_path: Path) -> None:
    for stage, event in zip(("codec", "prior"), EVENTS[:2], strict=True):
        with EventLog(events_file(tmp_path, stage)) as log:
            log(event)
    with EventLog(events_file(tmp_path, "prior"), keep=0) as log:
        log(EVENTS[2])
    assert list(read_run(tmp_path)) == [EVENTS[0], EVENTS[2]]
