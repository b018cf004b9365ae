"""The library: which models there are, how they were trained, and what was made with them.

A SQLite database in Distill's own folder. It is only an index: a model is its file, a run is the record in its folder,
generations are lines of a journal, and the trash is a folder. Whatever happens to the database, it can be rebuilt from these.
"""

from distill.library.catalogue import Library
from distill.library.records import GenerationRecord, ModelEntry, RunRecord

__all__ = ["GenerationRecord", "Library", "ModelEntry", "RunRecord"]
