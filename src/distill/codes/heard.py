"""The former name of :mod:`distill.codes.descriptions`, until ``making/loudness.py`` no longer asks for it."""

from distill.codes.descriptions import entry_descriptions as entries_heard

__all__ = ["entries_heard"]
