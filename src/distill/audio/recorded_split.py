"""The split of versions until November 2026, for the models and states they left behind.

Whoever asks what such a model was trained on, or goes on with its training, must get the recordings that were kept aside then.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from distill.audio.corpus import Corpus, Recording
from distill.audio.files import SAMPLE_RATE
from distill.audio.split import SHORTEST_PASSAGE, Passage, Split, split_corpus, whole_recordings

SPLIT_VERSION = 2
"""Of the split that new models are trained with."""
_FEWEST_GROUPS = 5
_SHORTEST_TO_CUT = 4 * SAMPLE_RATE


def recorded_split(corpus: Corpus, seed: int, version: int) -> Split:
    """The split that a model was trained with.

    Args:
        seed: as the model or the state has it.
        version: of the split, as the model or the state has it; 1 where it has none.
    """
    if version >= SPLIT_VERSION:
        return split_corpus(corpus, seed=seed)
    groups = _groups_in_drawn_order(corpus.recordings, seed)
    if len(groups) >= _FEWEST_GROUPS:
        return _split_by_recording(groups, 0.15)
    return _split_by_passage(groups, seed, 0.15)


def _groups_in_drawn_order(recordings: Iterable[Recording], seed: int) -> list[list[Recording]]:
    members: dict[int, list[Recording]] = defaultdict(list)
    for recording in recordings:
        members[recording.group].append(recording)
    # Longest first, then by content: nothing here may hang on a name.
    groups = [sorted(group, key=lambda one: (-one.samples, one.sha256)) for group in members.values()]
    return sorted(groups, key=lambda group: _draw(seed, *sorted(one.sha256 for one in group)))


def _draw(seed: int, *digests: str) -> str:
    return hashlib.sha256(":".join((str(seed), *digests)).encode()).hexdigest()


def _split_by_recording(groups: Sequence[list[Recording]], share: float) -> Split:
    sizes = [sum(one.samples for one in group) for group in groups]
    most = 1.7 * share * sum(sizes)
    wanted = max(1, round(share * len(groups)))
    chosen: list[int] = []
    taken = 0
    for index, size in enumerate(sizes):
        if len(chosen) < wanted and taken + size <= most:
            chosen.append(index)
            taken += size
    if not chosen:
        chosen = [min(range(len(sizes)), key=sizes.__getitem__)]
    kept = whole_recordings(one for index in chosen for one in groups[index])
    train = whole_recordings(one for index, group in enumerate(groups) if index not in chosen for one in group)
    explanation = (
        f"{len(kept)} of {len(kept) + len(train)} recordings ({_seconds(kept)} of {_seconds(kept + train)}) "
        f"{'is' if len(kept) == 1 else 'are'} kept aside to check what was learnt."
    )
    return Split(train, kept, "recordings", explanation)


def _split_by_passage(groups: Sequence[list[Recording]], seed: int, share: float) -> Split:
    train: list[Passage] = []
    kept: list[Passage] = []
    cut = 0
    # A near-copy would give away in training what its twin keeps aside, and adds no sound of its own.
    for recording in (group[0] for group in groups):
        whole = recording.samples
        if whole < _SHORTEST_TO_CUT:
            train.append(Passage(recording, 0, whole))
            continue
        cut += 1
        length = round(share * whole)
        gap = min(SAMPLE_RATE, round(0.02 * whole))
        first = max(gap + SHORTEST_PASSAGE, round(0.05 * whole))
        draw = np.random.default_rng(int(_draw(seed, recording.sha256)[:16], 16))
        start = int(draw.integers(first, whole - length - first, endpoint=True))
        kept.append(Passage(recording, start, start + length))
        train.append(Passage(recording, 0, start - gap))
        train.append(Passage(recording, start + length + gap, whole))
    if not kept:
        everything = whole_recordings(one for group in groups for one in group)
        return Split(
            everything,
            everything,
            "none",
            f"Nothing could be kept aside from so little sound ({_count(len(everything))}, "
            f"{_seconds(everything)}), so the check is weak: it listens to what was trained on.",
        )
    copies = sum(len(group) - 1 for group in groups)
    explanation = (
        f"A stretch of {_count(cut) if cut == 1 else f'each of {cut} recordings'} ({_seconds(kept)} of "
        f"{_seconds(train + kept)}) is kept aside to check what was learnt"
        + (f", and {copies} near-{'copy is' if copies == 1 else 'copies are'} left out." if copies else ".")
    )
    return Split(tuple(train), tuple(kept), "passages", explanation)


def _count(recordings: int) -> str:
    return "1 recording" if recordings == 1 else f"{recordings} recordings"


def _seconds(passages: Sequence[Passage]) -> str:
    seconds = sum(passage.seconds for passage in passages)
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
