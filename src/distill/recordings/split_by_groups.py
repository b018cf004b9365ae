"""The first rule of splitting a corpus, for the models and stopped runs that were split by it.

Near-copies of whole recordings, in groups, were held out together; a stretch that comes back in another recording was not.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from distill.counted import counted
from distill.recordings.corpus import Corpus, Recording
from distill.recordings.passages import (
    HELD_OUT_SHARE,
    SHORTEST_PASSAGE,
    SHORTEST_TO_CUT,
    Passage,
    Split,
    drawn,
    gap_beside,
    nothing_held_out,
    seconds_of,
    whole_recordings,
)

_FEWEST_RECORDINGS = 5


def split_by_groups(corpus: Corpus, seed: int) -> Split:
    """About 15 % of the seconds kept aside: whole groups of near-copies, or with few groups a stretch of one of each."""
    groups = _groups_in_drawn_order(corpus.recordings, seed)
    return _split_by_recording(groups) if len(groups) >= _FEWEST_RECORDINGS else _split_by_passage(groups, seed)


def _groups_in_drawn_order(recordings: Iterable[Recording], seed: int) -> list[list[Recording]]:
    members: dict[int, list[Recording]] = defaultdict(list)
    for recording in recordings:
        members[recording.group].append(recording)
    # Longest first, then by content: nothing here may hang on a name.
    groups = [sorted(group, key=lambda one: (-one.samples, one.sha256)) for group in members.values()]
    return sorted(groups, key=lambda group: drawn(seed, *sorted(one.sha256 for one in group)))


def _split_by_recording(groups: Sequence[list[Recording]]) -> Split:
    sizes = [sum(one.samples for one in group) for group in groups]
    most = 1.7 * HELD_OUT_SHARE * sum(sizes)
    wanted = max(1, round(HELD_OUT_SHARE * len(groups)))
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
        f"{len(kept)} of {len(kept) + len(train)} recordings ({seconds_of(kept)} of {seconds_of(kept + train)}) "
        f"{'is' if len(kept) == 1 else 'are'} held out to check what was learned."
    )
    return Split(train, kept, "recordings", explanation)


def _split_by_passage(groups: Sequence[list[Recording]], seed: int) -> Split:
    train: list[Passage] = []
    kept: list[Passage] = []
    cut = 0
    # A near-copy would give away in training what its twin holds out, and adds no sound of its own.
    for recording in (group[0] for group in groups):
        whole = recording.samples
        if whole < SHORTEST_TO_CUT:
            train.append(Passage(recording, 0, whole))
            continue
        cut += 1
        length = round(HELD_OUT_SHARE * whole)
        gap = gap_beside(whole)
        first = max(gap + SHORTEST_PASSAGE, round(0.05 * whole))
        draw = np.random.default_rng(int(drawn(seed, recording.sha256)[:16], 16))
        start = int(draw.integers(first, whole - length - first, endpoint=True))
        kept.append(Passage(recording, start, start + length))
        train.append(Passage(recording, 0, start - gap))
        train.append(Passage(recording, start + length + gap, whole))
    if not kept:
        return nothing_held_out(one for group in groups for one in group)
    copies = sum(len(group) - 1 for group in groups)
    explanation = (
        f"A stretch of {counted(cut, 'recording') if cut == 1 else f'each of {cut} recordings'} ({seconds_of(kept)} of "
        f"{seconds_of(train + kept)}) is held out to check what was learned"
        + (f", and {counted(copies, 'near-copy is', 'near-copies are')} left out." if copies else ".")
    )
    return Split(tuple(train), tuple(kept), "passages", explanation)
