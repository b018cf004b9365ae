"""What a prior learns from: a corpus as codes, encoded by the frozen codec of a model file."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from distill.audio.corpus import Corpus
from distill.audio.split import Passage, Split
from distill.audio.windows import spread
from distill.codes.extract import laid_out
from distill.codes.layout import flatten_codes
from distill.durations import about, duration
from distill.errors import SettingError
from distill.models import ranks
from distill.models.model_file import Model, Source
from distill.models.prior import PriorConfig
from distill.training.extraction import Extraction
from distill.training.metrics import ExtractionProgress, MetricsCallback, Notice
from distill.training.orders import order_extraction

if TYPE_CHECKING:
    from distill.training.plan import PriorPlan


MOST_POSITIONS = 1 << 22
"""Views grow until they hold so many positions: 24 hours of sound, 32 MiB."""

MOST_HELD_OUT = 1024
"""Held-out sequences that a prior is validated on at most, evenly spread: an hour and a half at the default sizes."""

WORTH_TELLING_S = 1200.0
"""Encoding more sound than this is announced before it begins."""

MOST_OF_THE_TIME = 0.4
"""Where encoding the recordings once takes more of a time budget than this, it is said before it begins."""


class CodeViews:
    """Passages as codes, in more and more views (``codes/views.py``).

    They are encoded in one order, every passage in one view before the next view begins, so a number says which there are.

    Args:
        encode: gives the codes ``[S, Q]`` of passage ``i`` in view ``v``, as ``encode(i, v)``.
        passages: how many there are.
        coded: what is encoded already, int16 ``[S, Q]`` each.
    """

    def __init__(self, encode: Callable[[int, int], Tensor], passages: int, coded: Iterable[Tensor] = ()) -> None:
        self._encode, self.passages = encode, passages
        self.coded = list(coded)
        self._positions = sum(map(len, self.coded))

    def set_size(self, encodings: int, progress: Callable[[int, int], None] | None = None) -> bool:
        """Forgets the last ones or encodes further ones, until there are so many or memory's share is full; gives whether
        any were encoded."""
        before = len(self.coded)
        while len(self.coded) > encodings:
            self._positions -= len(self.coded.pop())
        while len(self.coded) < encodings and (self._positions < MOST_POSITIONS or not self.is_whole):
            view, passage = divmod(len(self.coded), self.passages)
            self.coded.append(self._encode(passage, view).short())
            self._positions += len(self.coded[-1])
            if progress is not None:
                progress(len(self.coded), encodings)
        return len(self.coded) > before

    @property
    def is_whole(self) -> bool:
        """Whether every passage is there, as it is."""
        return len(self.coded) >= self.passages

    @property
    def number(self) -> int:
        """How many views there are, the last of them perhaps of some passages only."""
        return -(-len(self.coded) // self.passages)

    def first(self) -> list[Tensor]:
        """The passages as they are, int64 ``[S, Q]`` each."""
        return [codes.long() for codes in self.coded[: self.passages]]

    @property
    def positions(self) -> int:
        """Positions of the passages as they are."""
        return sum(map(len, self.coded[: self.passages]))

    def sequences(self, count: int, seq_len: int, generator: torch.Generator) -> Tensor:
        """``count`` sequences drawn from all views, as tokens ``[count, T]``.

        Each line of passages is of one view, in random order and from a random place on: however often a view comes, its
        sequences are new ones. A sequence is shorter where the shortest whole view is.
        """
        views = [self.coded[start : start + self.passages] for start in range(0, len(self.coded), self.passages)]
        lengths = torch.tensor([sum(map(len, view)) for view in views])
        whole = lengths[: len(self.coded) // self.passages]
        length = min(seq_len, int(whole.min()))
        # Of a view that is not whole yet, a line may be too short.
        shares = torch.where(lengths >= length, lengths, 0).double()
        parts: list[Tensor] = []
        while len(parts) < count:
            view = views[int(torch.multinomial(shares, 1, generator=generator))]
            line = torch.cat([view[index] for index in torch.randperm(len(view), generator=generator).tolist()])
            start = int(torch.randint(min(length, len(line) - length + 1), (1,), generator=generator))
            parts += line[start : start + (len(line) - start) // length * length].split(length)
        return flatten_codes(torch.stack(parts[:count]).long())


@dataclass(frozen=True)
class PriorData:
    """What the prior trains on and what it is validated on; the same for the same codec, split, config and plan."""

    views: CodeViews
    """The passages to train on."""
    held_out_codes: tuple[Tensor, ...]
    """Codes ``[S, Q]`` of every held-out passage."""
    held_out: Tensor
    """The same as sequences ``[n, T]``, of many hours some that are spread evenly."""
    sources: tuple[Source, ...]
    """The passages as they are, unshifted, for the model file."""
    seq_len: int
    """Positions of a sequence to train on."""

    @classmethod
    def of(
        cls,
        model: Model,
        corpus: Corpus,
        split: Split,
        config: PriorConfig,
        plan: "PriorPlan",
        device: torch.device,
        callback: MetricsCallback,
        *,
        is_new: bool = True,
        kept: "KeptCodes | None" = None,
    ) -> "PriorData":
        """Encodes everything once, with the frozen codec, all ranks together; of the views as many as there are to be when
        training begins.

        Args:
            is_new: whether it is decided now how many these are: as many as the plan says and its minutes allow. An earlier
                run's plan says how many there were.
            kept: what an earlier run encoded, taken as it is.
        """
        codec = model.codec
        extraction = Extraction(codec, split.train, split.held_out, plan.transpose, device, is_shared=kept is None)
        held_out_s, train_s = _seconds(split.held_out), _seconds(split.train)
        if kept is None:
            if held_out_s + train_s > WORTH_TELLING_S:
                callback(Notice(_announced(extraction.pace(split.train[0]), held_out_s + train_s)))
            order_extraction(corpus, split, codec, plan)
        started = time.monotonic()
        held_out = kept.held_out if kept else extraction.held_out()
        seconds_a_view = (time.monotonic() - started) * train_s / held_out_s
        number = _views_to_encode(plan, seconds_a_view, callback) if is_new else plan.views
        in_all = len(split.train)

        def encode(passage: int, view: int) -> Tensor:
            def done(passages: int) -> None:
                callback(ExtractionProgress(view * in_all + passages, max(1, number) * in_all))

            return extraction.passage(passage, view, done)

        views = CodeViews(encode, in_all, kept.coded if kept else ())
        if kept is None:
            views.set_size(number * views.passages, lambda done, total: callback(ExtractionProgress(done, total)))
            extraction.end_sharing()
        seq_len = config.context // config.num_quantizers
        order = torch.Generator().manual_seed(plan.seed)
        sequences = flatten_codes(torch.stack(spread(laid_out(held_out, seq_len, order), MOST_HELD_OUT)))
        return cls(views, held_out, sequences, _sources(split, views.first(), held_out, codec.sample_rate), seq_len)

    def grow(self, epoch: int, plan: "PriorPlan") -> bool:
        """Encodes what is new in an epoch, counted from 0, or forgets what later epochs added; gives whether any was encoded.

        Every epoch adds as many positions as ``plan.fresh_share`` of those it takes.
        """
        an_encoding = self.views.positions / self.views.passages
        fresh = math.ceil(plan.fresh_share * self.count(plan) * self.seq_len / an_encoding)
        return self.views.set_size(plan.views * self.views.passages + epoch * fresh)

    def to_keep(self) -> "KeptCodes":
        """All that was encoded, to go on with another time."""
        return KeptCodes(tuple(self.views.coded), self.held_out_codes)

    def count(self, plan: "PriorPlan") -> int:
        """How many sequences an epoch takes: as many as one view has, but enough for the plan's least steps."""
        return max(-(-self.views.positions // self.seq_len), plan.least_steps * ranks.size() * plan.batch_size)

    def epoch(self, epoch: int, plan: "PriorPlan") -> Tensor:
        """The token sequences ``[N, T]`` of an epoch, counted from 0; the same for the same views, epoch and seed."""
        generator = torch.Generator().manual_seed(plan.seed_of(epoch))
        return self.views.sequences(self.count(plan), self.seq_len, generator)


@dataclass(frozen=True)
class KeptCodes:
    """What an earlier run of the same training encoded."""

    coded: tuple[Tensor, ...]
    """Of :class:`CodeViews`."""
    held_out: tuple[Tensor, ...]
    """Codes ``[S, Q]`` of every held-out passage."""


def _views_to_encode(plan: "PriorPlan", seconds_a_view: float, callback: MetricsCallback) -> int:
    """As many views as the plan asks for and its minutes allow, at least one; warns if even one takes most of them."""
    if plan.minutes is None:
        return plan.views
    if seconds_a_view > MOST_OF_THE_TIME * 60 * plan.minutes:
        callback(Notice(_too_long(seconds_a_view, plan.minutes), is_warning=True))
    allowed = plan.extraction_share * plan.minutes * 60
    return max(1, int(min(plan.views, allowed / max(seconds_a_view, 1e-6))))


def _sources(
    split: Split, trained_on: Sequence[Tensor], held_out: Sequence[Tensor], sample_rate: int
) -> tuple[Source, ...]:
    """Every passage with its codes ``[S, Q]``, for the model file."""
    marked = [(passage, codes, False) for passage, codes in zip(split.train, trained_on, strict=True)]
    if split.kind != "none":  # otherwise both are the same passages, and all were trained on
        marked += [(passage, codes, True) for passage, codes in zip(split.held_out, held_out, strict=True)]
    return tuple(
        Source(
            passage.recording.name,
            passage.start / sample_rate,
            is_held_out,
            codes,
            passage.recording.group,
            passage.recording.sha256,
            passage.recording.gain,
            passage.recording.mix,
        )
        for passage, codes, is_held_out in marked
    )


def _seconds(passages: Sequence[Passage]) -> float:
    return sum(passage.seconds for passage in passages)


def _announced(pace: float, seconds: float) -> str:
    together = f", {ranks.size()} ranks together" if ranks.size() > 1 else ""
    takes = about(pace * seconds / ranks.size())
    return (
        f"{about(seconds)} of recordings are encoded before the prior learns: about {takes}{together}, for each view of "
        "them. It happens once, and is kept with the saved state."
    )


def _too_long(seconds: float, minutes: float) -> str:
    learning, enough = max(0.0, 60 * minutes - seconds), about(60 * math.ceil(seconds / 20))
    return (
        f"Encoding the recordings takes about {about(seconds)} of the {duration(60 * minutes)} that the prior has, so it "
        f"learns for {about(learning)}: too little for new audio to hold together. {enough} for the prior, or "
        "fewer recordings, would do."
    )


def check_codebooks(config: PriorConfig, model: Model) -> None:
    """Refuses a prior whose codebooks are not of the codec's number and size.

    Raises:
        SettingError: with both numbers and sizes.
    """
    codec = model.header.codec
    if (config.codebook_size, config.num_quantizers) != (codec.codebook_size, codec.num_quantizers):
        raise SettingError(
            f"The prior's config has {config.num_quantizers} levels of {config.codebook_size} codes and the codec of "
            f"'{model.header.name}' has {codec.num_quantizers} of {codec.codebook_size}.",
            "Leave both to Distill, or set them to the codec's.",
        )


def other_corpus(corpus: Corpus, model: Model) -> str:
    """Plain words for a folder that is not the one the codec was trained on."""
    trained = model.header.corpus
    here, there = (f"{one.file_count} recording{'s' * (one.file_count != 1)}" for one in (corpus, trained))
    return (
        f"{corpus.folder} is not the folder the codec was trained on: it holds {here}, "
        f"{duration(corpus.seconds)} (fingerprint {corpus.fingerprint[:8]}), and the codec was trained on {there}, "
        f"{duration(trained.seconds)} (fingerprint {trained.fingerprint[:8]}). The prior will learn the new folder "
        "in the codec's codes; sounds the codec was not trained on may come out coarse."
    )
