"""How the minutes of a whole run are shared: reading, codec, prior, new audio and report are all inside them.

reading │ codec: 67 % of what is left to learn in │ prior, its beat and both voices │ audio and report

A codec of high quality shares its minutes once more, between its two stages.
"""

import dataclasses
import math

from distill.durations import about, duration
from distill.training.metrics import MetricsCallback, Notice
from distill.training.plan import PriorPlan

CODEC_SHARE = 0.67
"""Of the time that is left to learn in, the part that trains the codec; the prior has what is left before the audio is made."""
REFINEMENT_SHARE = 0.6
"""The second stage's share of the minutes that a codec of high quality has."""
MEASURING_SECONDS, MEASURING_SHARE = 25.0, 0.08
"""What measuring how firmly the beat is held (8 s) and comparing both voices take after a prior is trained, on two cores, and
the most of its time that they may have."""
LEAST_TO_MEASURE_S = 4.5
"""Where that is less than this, neither is done: a prior of under a minute needs all of it to learn."""
LEAST_SHARE = 0.1
"""Of the minutes, what learning gets however long the rest takes."""


def minutes_of_stages(minutes: float | None, is_high: bool) -> tuple[float | None, float | None]:
    """The codec's minutes for its first and its second stage, which only one of high quality has; None where none are set."""
    if minutes is None:
        return None, None
    second = REFINEMENT_SHARE if is_high else 0.0
    return minutes * (1 - second), minutes * second


def closing_seconds(minutes: float, seconds: float, count: int, corpus_seconds: float) -> float:
    """About what making ``count`` pieces of ``seconds``, judging them and the report take, at most 30 % of the minutes."""
    # Sampling runs at several times real time even on a slow laptop; judging goes through the whole corpus.
    return min(0.3 * 60 * minutes, 8 + 0.15 * seconds * count + corpus_seconds / 60)


def time_to_learn(minutes: float, reading_s: float, closing_s: float, tell: MetricsCallback) -> float:
    """Seconds of the minutes that are left to learn in once the recordings are read; that they are few is said."""
    left = 60 * minutes - reading_s - closing_s
    if left < 30 * minutes:
        tell(
            Notice(
                f"Reading the recordings took {duration(reading_s)} and making the audio will take about "
                f"{about(closing_s)}, so {about(max(left, 0))} of {duration(60 * minutes)} are left to learn in. --minutes "
                f"{math.ceil((reading_s + closing_s) / 30)} gives as much time to learning as to all else; what was read is "
                "remembered.",
                is_warning=True,
            )
        )
    return max(left, LEAST_SHARE * 60 * minutes)


def leaves_time_to_measure(plan: PriorPlan) -> tuple[bool, PriorPlan]:
    """Whether the beat and both voices are measured after the training, and the plan that leaves time for it."""
    if plan.minutes is None or plan.minutes * 60 * MEASURING_SHARE < LEAST_TO_MEASURE_S:
        return False, plan
    taken = min(MEASURING_SECONDS / 60, MEASURING_SHARE * plan.minutes)
    return True, dataclasses.replace(plan, minutes=plan.minutes - taken)
