"""What the command line writes of an error is read again as what was meant."""

import pytest

from distill.cli.console import complain, note, warn
from distill.complaints import Complaint, last_complaint, warnings_in


@pytest.mark.parametrize(
    "said",
    [
        Complaint("The folder is empty.", "Put recordings in it."),
        Complaint("There are two models 'loops'.", "Give the path of one.", ("a/loops.distill", "b/loops.distill")),
    ],
)
def test_what_is_written_is_read_again(said: Complaint, capsys: pytest.CaptureFixture[str]) -> None:
    complain("Something else went wrong before.", "Do something else.")
    complain(said.what, said.fix, said.among)
    assert last_complaint(capsys.readouterr().err) == said


def test_what_is_warned_of_is_read_again(capsys: pytest.CaptureFixture[str]) -> None:
    """Guards against warnings that whoever started a command takes for something else."""
    note("Begun")
    warn("The seam may be heard.")
    complain("It broke.", "Try again.")
    assert warnings_in(capsys.readouterr().err) == ["The seam may be heard."]


def test_lines_behind_the_advice_are_none_of_it() -> None:
    """Guards against a log that follows the error and is taken for what to do."""
    words = "✗ It broke.\n  Try again.\nsome library:\n  its own line\n"
    assert last_complaint(words) == Complaint("It broke.", "Try again.")


def test_what_is_no_complaint_is_none() -> None:
    assert last_complaint("Traceback:\n  a ✗ in a line\n") is None
    assert last_complaint("") is None


def test_in_one_sentence_nothing_is_left_out() -> None:
    assert str(Complaint("Which?", "Choose.", ("one", "two"))) == "Which? one two Choose."
