"""How the minutes of a whole run are shared: reading, codec, prior, new audio and report are all inside them.

reading │ codec: 67 % of what is left to learn in │ encoding, prior, and what is heard of it │ audio and report

A codec of high quality shares its minutes once more, between its two stages.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

from distill import awake
from distill.durations import about, duration
from distill.models.config import ENCODED_A_SECOND
from distill.training.metrics import MetricsCallback, Notice
from distill.training.plan import PriorPlan

RUN_MINUTES, HIGH_RUN_MINUTES = 8.0, 45.0
"""Of a whole run for which none are asked: codec and prior; and where the codec is trained in two stages."""
CODEC_MINUTES, HIGH_CODEC_MINUTES, PRIOR_MINUTES = 5.0, 30.0, 3.0
"""The same of its parts on their own."""
CODEC_SHARE = 0.67
"""Of the time that is left to learn in, the part that trains the codec; the prior has what is left before the audio is made."""
REFINEMENT_SHARE = 0.6
"""The second stage's share of the minutes that a codec of high quality has."""
HIGH_PRIOR_SHARE = 0.2
"""The prior's share of the minutes of a training of high quality on the page: most of them are for the codec's two stages."""
LATER_PRIOR_SHARE = 0.5
"""Of a codec's minutes, what the prior gets that follows where it goes on: about as both share those of a whole run."""
MEASURING_SECONDS, HEARING_SECONDS = 57.0, 20.0
"""What it takes on two cores, after a prior is trained, to measure how firmly the beat is held (8 s), the balance (4 to 16 s),
the level (3 to 11 s), how evenly grains use the recordings (5 to 8 s) and both voices; and to hear a few epochs before that."""
MEASURING_SHARE = 0.16
"""The most of the prior's time that is left for either."""
LEAST_TO_MEASURE_S, LEAST_TO_HEAR_S, LEAST_TO_EVEN_S = 9.0, 19.0, 15.0
"""Where that is less, it is not done: a prior of under a minute needs all of it to learn, one of under two most. Balance and
grains are evened out where there is time for more than beat, level and voices."""
OVERRUN_S, OVERRUN_SHARE = 5.0, 0.1
"""A run that exceeds its minutes by more than both, so many seconds and this share of them, says what took how long."""
LEAST_TO_LEARN = 0.2
"""Of a prior's minutes, however long it took to encode: the learning rate of a single step is next to nothing."""
LEAST_SHARE = 0.1
"""Learning gets at least this share of the minutes, however long the rest takes."""


def minutes_of_stages(minutes: float | None, is_high: bool) -> tuple[float | None, float | None]:
    """The codec's minutes for its first and its second stage, which only one of high quality has; None where none are set."""
    if minutes is None:
        return None, None
    second = REFINEMENT_SHARE if is_high else 0.0
    return minutes * (1 - second), minutes * second


def minutes_left(seconds: float) -> float:
    """What is left of a run for its next stage, in minutes: at least a second or so, however long the stages before it took."""
    return max(seconds / 60, 0.02)


def making_seconds(seconds: float, count: int, corpus_seconds: float) -> float:
    """About what making ``count`` pieces of ``seconds``, judging them and the report take."""
    # Sampling runs at several times real time even on a slow laptop; judging goes through the whole corpus.
    return 8 + 0.15 * seconds * count + corpus_seconds / 60


def closing_seconds(minutes: float, seconds: float, count: int, corpus_seconds: float) -> float:
    """What of a whole run's minutes is kept for making its pieces, at most 30 %."""
    return min(0.3 * 60 * minutes, making_seconds(seconds, count, corpus_seconds))


def whole_seconds(minutes: float, seconds: float, count: int, corpus_seconds: float) -> float:
    """About what a whole run takes: its minutes, and what its pieces need beyond what is kept for them."""
    closing = closing_seconds(minutes, seconds, count, corpus_seconds)
    return 60 * minutes + making_seconds(seconds, count, corpus_seconds) - closing


def time_to_learn(minutes: float, reading_s: float, closing_s: float, tell: MetricsCallback) -> float:
    """Seconds of the minutes that are left to learn in once the recordings are read; that they are few is said.

    Args:
        closing_s: what making the audio will take; 0 where none is made.
    """
    left = 60 * minutes - reading_s - closing_s
    if left < 30 * minutes:
        making = f" and making the audio will take about {about(closing_s)}" if closing_s else ""
        tell(
            Notice(
                f"Reading the recordings took {duration(reading_s)}{making}, so {about(max(left, 0))} of "
                f"{duration(60 * minutes)} are left for training. --minutes {math.ceil((reading_s + closing_s) / 30)} would "
                "give training as much time as everything else; the recordings need not be read again.",
                is_warning=True,
            )
        )
    return max(left, LEAST_SHARE * 60 * minutes)


def codec_seconds(left: float, corpus_seconds: float) -> float:
    """The codec's seconds of those that are left; what encoding the recordings takes comes off first, half of them at most.

    The prior learns from codes of all recordings, so their encoding is time to learn in for neither.
    """
    return CODEC_SHARE * (left - min(corpus_seconds / ENCODED_A_SECOND, left / 2))


def charged_seconds(extraction_s: float, minutes: float | None) -> float:
    """How many of the seconds that encoding the recordings took come off the minutes that a prior begins with: not more than
    leave ``LEAST_TO_LEARN``, and none where no clock ends it. What is added to the minutes later is for learning alone."""
    return 0.0 if minutes is None else min(extraction_s, (1 - LEAST_TO_LEARN) * 60 * minutes)


class TimeTaken:
    """How long each part of a run takes, in seconds in which the computer is awake."""

    def __init__(self) -> None:
        self._begun = awake.seconds()
        self.parts: dict[str, float] = {}

    @property
    def seconds(self) -> float:
        """Of all parts so far."""
        return sum(self.parts.values())

    def by(self, part: str) -> None:
        """The part that now ends, and the next begins."""
        self.parts[part] = awake.seconds() - self._begun - self.seconds


def overrun(minutes: float, taken: Mapping[str, float]) -> str:
    """Why a whole run took longer than its minutes, in words; empty if it did not.

    Args:
        taken: seconds of each of its parts, by what they are called.
    """
    whole = sum(taken.values())
    if whole <= 60 * minutes + max(OVERRUN_S, OVERRUN_SHARE * 60 * minutes):
        return ""
    parts = ", ".join(f"{part} {duration(round(seconds))}" for part, seconds in taken.items() if round(seconds))
    return (
        f"It took {duration(round(whole))} instead of {duration(60 * minutes)}: {parts}. The codec and the prior "
        "each train for at least one epoch, and the audio and the report are always finished; other work on this "
        "computer slows all of it down."
    )


@dataclass(frozen=True)
class Closing:
    """What there is time for after a prior's training."""

    hears: bool
    """Whether the weights are chosen by what is heard."""
    measures: bool
    """Whether the beat, the level and both voices are measured."""
    evens: bool = False
    """Whether the balance and what grains cost are measured as well, so that new audio uses all of the recordings."""


WHOLE_CLOSING = Closing(hears=True, measures=True, evens=True)
"""With time for all of it."""


def leaves_time_to_close(plan: PriorPlan, spent: float = 0.0) -> tuple[Closing, PriorPlan]:
    """What there is time for after the training, and the plan that leaves time for it; nothing where it has no minutes.

    Args:
        spent: minutes of the plan that are spent already; the time is left of the others.
    """
    if plan.minutes is None:
        return Closing(hears=False, measures=False, evens=True), plan
    most = MEASURING_SHARE * 60 * (plan.minutes - spent)
    closing = Closing(most >= LEAST_TO_HEAR_S, most >= LEAST_TO_MEASURE_S, most >= LEAST_TO_EVEN_S)
    taken = closing.hears * min(HEARING_SECONDS, most) + closing.measures * min(MEASURING_SECONDS, most)
    return closing, dataclasses.replace(plan, minutes=plan.minutes - taken / 60)
