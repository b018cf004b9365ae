"""Notices beside the events of a loop, such as those about the recordings, and the callback that is used if none is given."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from distill.training.metrics import MetricsCallback, Notice, TrainingEvent

if TYPE_CHECKING:
    from distill.recordings.corpus import Corpus


def ignore(event: TrainingEvent) -> None:
    """The callback that is used if none is given."""


def noticing(callback: MetricsCallback, *, is_warning: bool = False) -> Callable[[str], None]:
    """A function that reports a text to the callback as a notice."""
    return lambda words: callback(Notice(words, is_warning=is_warning))


def tell_of_corpus(corpus: "Corpus", callback: MetricsCallback) -> None:
    """Reports which files of a corpus are left out, and its warnings."""
    for sentence in corpus.left_out:
        callback(Notice(sentence))
    for warning in corpus.warnings:
        callback(Notice(warning, is_warning=True))
