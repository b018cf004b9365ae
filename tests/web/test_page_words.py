"""The page says what to click: no sentence that can be met there names an option or a verb of the command line."""

import re
from typing import Any

import pytest

from distill.complaints import last_complaint
from distill.library.moving import leaves_sound
from distill.web.page_words import event_for_page, for_page
from distill.web.routes.generate import _options
from distill.web.settings import Settings

NEVER_ON_THE_PAGE = (
    "cli", "client.py", "doctor.py", "report", "evaluation", "export", "api.py", "settings.py",
    "web/token.py", "web/service.py", "web/wholes.py", "web/guard.py", "web/server.py", "web/page_words.py",
    "models/ranks.py", "training/device.py", "training/launch.py", "runs/watching.py", "making/editing.py",
    "making/operations.py", "making/loops.py", "codes/codes_file.py", "models/header.py",
)  # fmt: skip
"""Verbs that the page does not run, and options that it never gives or always gives right."""
ONLY_WITH_OPTIONS = (
    "--edl", "edit list", "--recordings has no effect", "needs no recordings", "Leave out --given", "--precision",
    "so it needs no", "Leave out --recordings",
)  # fmt: skip
"""Sentences about options that the page never gives."""
COMMAND = re.compile(r"(?<![\w-])--[a-z]|(?<!terminal, )\bdistill (?!file)[a-z-]+ ")


@pytest.fixture
def sentences(source_texts: list[Any]) -> list[tuple[str, str]]:
    """(place, text) of every text in the source that names a command or an option and can be met on the page."""
    return [
        (one.place, one.text)
        for one in source_texts
        if not one.file.startswith(NEVER_ON_THE_PAGE)
        and " " in one.text
        and COMMAND.search(one.text)
        and not any(words in one.text for words in ONLY_WITH_OPTIONS)
    ]


def test_there_are_sentences_to_look_at(sentences: list[tuple[str, str]]) -> None:
    assert len(sentences) > 20


def test_no_sentence_of_the_page_names_an_option(sentences: list[tuple[str, str]]) -> None:
    """Guards against "say where they are with --recordings FOLDER" on a page that has no such thing."""
    assert [(place, for_page(text)) for place, text in sentences if COMMAND.search(for_page(text))] == []


def test_a_failed_export_says_what_to_click() -> None:
    said = "Put them back, say where they are with --recordings FOLDER, or leave out --with-recordings."
    words = f"✗ take.wav is gone.\n  {said}\n"
    complaint = last_complaint(words)
    assert complaint is not None
    what, fix = for_page(complaint.what), for_page(complaint.fix)
    assert what == "take.wav is gone."
    assert fix == (
        "Put them back, or add the folder where they are now under Recordings, and export again; "
        "or choose “The model” under Export."
    )


def test_a_copy_without_the_sound_says_what_to_click() -> None:
    """Guards against a command in what is said of a folder for Hugging Face, which names the model since it can be typed."""
    said = for_page(leaves_sound("my drums"))
    assert said.endswith("To give it away too, choose “With its recordings” under Export")


def test_what_a_training_says_is_said_in_the_page_s_words() -> None:
    event = {"event": "Notice", "text": "You can stop now (Ctrl-C) and keep the best weights so far.", "step": 3}
    assert event_for_page(event) == {**event, "text": "You can stop now and keep the best weights so far."}


def test_a_run_of_which_nothing_was_saved_is_begun_again_on_the_page() -> None:
    said = "There is nothing to go on from. Begin again with: distill train '/my sounds'"
    assert for_page(said) == "There is nothing to go on from. Begin again with New training."


@pytest.mark.parametrize(
    ("settings", "left_out"),
    [({"temperature": [0.0]}, "--top-k"), ({"voice": "codec", "top_p": 0.9, "max_similarity": 50.0}, "--originality")],
)
def test_the_page_never_gives_an_option_that_the_command_refuses(settings: dict[str, Any], left_out: str) -> None:
    """Guards against a temperature of 0, or the codec's voice with its own limits, that always failed."""
    assert left_out not in _options(Settings(**settings))
