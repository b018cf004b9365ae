"""What is trained on and what is held out to check the learning: by recording or by stretch, never by window.

What sounds alike is held out together or not at all: of a piece whose bars come back, a bar is held out wherever it
comes, and all the others are trained on. So the bars chosen are those that come back least. Of a mix and its tracks the same
seconds are held out.
"""

from collections.abc import Sequence

import numpy as np

from distill.audio.rate import SAMPLE_RATE
from distill.counted import counted
from distill.recordings.corpus import Corpus, Recording
from distill.recordings.held_out import CELL, KeptAside
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
from distill.recordings.typical import Typical

SPLIT_RULE = 5
"""How the split is drawn. Another rule keeps other recordings aside, so models and states note theirs: of what was trained by
another it cannot be told any more what it held out."""
_FEWEST_RECORDINGS = 5
_MOST = 1.7  # times the share wished for
_ENOUGH = 0.6
_LONGEST_CUT = 0.3  # of a recording
_LEAST_CUT = SAMPLE_RATE
_TRIES = 12  # places for a stretch, where sound comes back
_DRAWS = 12  # twice as many bring nothing (docs/prior.md)


def split_corpus(corpus: Corpus, seed: int = 0, draws: int = _DRAWS) -> Split:
    """Keeps about 15 % of the seconds aside: the same for the same sound and seed, whatever names and order.

    From five recordings on whole recordings are held out; where that makes too little or too much (one long recording
    among hits; bars that come back everywhere), and with fewer recordings, stretches of recordings of at least 4 s, with
    a gap on both sides that is neither trained on nor checked with; with nothing that long, nothing. What sounds like
    something held out is held out too. Of several draws the one is taken that leaves the most typical sound to train on.

    Args:
        draws: how many there are, of which one is taken.
    """
    kept = [one for draw in range(draws) if (one := _drawn(corpus, seed, draw)).chosen]
    is_weak = not kept
    if is_weak:  # everything comes back everywhere
        kept = [one for draw in range(draws) if (one := _drawn_stretches(corpus, seed, draw)).chosen]
    if not kept:
        return nothing_held_out(corpus.recordings)
    chosen = _most_typical(kept, corpus)
    train, held_out = chosen.passages()
    is_by_recording = all(one.samples == one.recording.samples for one in train + held_out)
    explanation = _explanation(chosen, held_out, corpus)
    if is_weak:
        explanation += " What is held out comes back in what is trained on, so the check is weak."
    return Split(train, held_out, "recordings" if is_by_recording else "passages", explanation)


def _most_typical(kept: Sequence[KeptAside], corpus: Corpus) -> KeptAside:
    """The one that leaves to train on what sounds most like the whole corpus; of equals, the first."""
    if len(kept) == 1:
        return kept[0]
    heard = Typical(corpus.recordings)
    return min(kept, key=lambda one: heard.distance(one.passages()[0]))


def _drawn(corpus: Corpus, seed: int, draw: int) -> KeptAside:
    """What one draw keeps aside: recordings, then stretches if those are too little."""
    kept = KeptAside(corpus)
    goal = HELD_OUT_SHARE * kept.all_samples
    if corpus.file_count >= _FEWEST_RECORDINGS:
        _keep_recordings(kept, goal, seed, draw)
    if kept.samples < _ENOUGH * goal:
        _keep_stretches(kept, goal, seed, draw)
    return kept


def _drawn_stretches(corpus: Corpus, seed: int, draw: int) -> KeptAside:
    """What one draw keeps aside, whatever comes back elsewhere."""
    kept = KeptAside(corpus, comes_back=False)
    _keep_stretches(kept, HELD_OUT_SHARE * kept.all_samples, seed, draw)
    return kept


def _digest(recording: Recording, seed: int, draw: int) -> str:
    return drawn(seed, *([str(draw)] if draw else []), recording.sha256)


def _in_order(kept: KeptAside, seed: int, draw: int) -> list[int]:
    """The recordings' numbers in an order that hangs on no name."""
    return sorted(range(len(kept.recordings)), key=lambda number: _digest(kept.recordings[number], seed, draw))


def _keep_recordings(kept: KeptAside, goal: float, seed: int, draw: int) -> None:
    """Whole recordings, in drawn order, first of those that share nothing with others."""
    order = _in_order(kept, seed, draw)
    wanted = max(1, round(HELD_OUT_SHARE * len(order)))
    for number in sorted(order, key=kept.shares_sound):
        enough = len(kept.chosen) >= wanted and kept.samples >= 0.75 * goal
        if enough or len(kept.chosen) >= 2 * wanted:
            return
        whole = kept.recordings[number].samples
        if kept.with_it(number, 0, whole) <= _MOST * goal:
            kept.add(number, 0, whole)


def _keep_stretches(kept: KeptAside, goal: float, seed: int, draw: int) -> None:
    """A stretch of each recording that is long enough; where sound comes back, of those where it comes back least."""
    long = [
        number
        for number in _in_order(kept, seed, draw)
        if number not in kept.chosen and kept.recordings[number].samples >= SHORTEST_TO_CUT
    ]
    part = (goal - kept.samples) / max(1, sum(kept.recordings[number].samples for number in long))
    candidates = []
    for place, number in enumerate(long):
        whole = kept.recordings[number].samples
        length = round(min(part, _LONGEST_CUT) * whole)
        if kept.shares_sound(number):  # a piece of a bar would take the same piece of all its kin with it
            length = max(length, min(2 * SAMPLE_RATE, whole // 3))
        first = max(gap_beside(whole) + SHORTEST_PASSAGE, round(0.05 * whole))
        random = np.random.default_rng(int(_digest(kept.recordings[number], seed, draw)[:16], 16))
        starts = random.integers(first, whole - length - first, size=_TRIES, endpoint=True).tolist()
        tried = starts if kept.shares_sound(number) else starts[:1]
        costs = [kept.with_it(number, start, start + length) - kept.samples for start in tried]
        best = int(np.argmin(costs))
        candidates.append((round(4 * costs[best] / length), place, number, tried[best], length))
    for _, _, number, start, length in sorted(candidates):
        while length:
            with_it = kept.with_it(number, start, start + length)
            nearly = 1.2 if kept.shares_sound(number) else 1.0
            if with_it <= _MOST * goal and (kept.samples + with_it) / 2 <= nearly * goal + CELL:
                kept.add(number, start, start + length)
                break
            length = length // 2 if length >= 2 * _LEAST_CUT else 0


def _explanation(kept: KeptAside, held_out: Sequence[Passage], corpus: Corpus) -> str:
    recordings = [corpus.recordings[number] for number in kept.chosen]
    whole = sum(kept.chosen[number] == (0, corpus.recordings[number].samples) for number in kept.chosen)
    cut = len(recordings) - whole
    others = " others" if whole else " recordings"
    stretches = (
        ("a stretch of 1 " + ("other" if whole else "recording")) if cut == 1 else f"a stretch of each of {cut}{others}"
    )
    parts = [f"{whole} of {counted(corpus.file_count, 'recording')}"] * (whole > 0) + [stretches] * (cut > 0)
    what = " and ".join(parts)
    also = ", with all that sounds like it" if len(held_out) > len(recordings) else ""
    also += " or sounds together with it in a mix" if also and kept.has_mixdowns else ""
    return (
        f"{what[0].upper()}{what[1:]} ({seconds_of(held_out)} of {seconds_of(whole_recordings(corpus.recordings))}) "
        f"{'is' if whole + (cut > 0) == 1 else 'are'} held out to check what was learned{also}."
    )
