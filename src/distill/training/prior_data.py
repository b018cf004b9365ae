"""The training data of a prior: a corpus as codes, encoded by the frozen codec of a model file."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from distill import awake
from distill.codes.extract import laid_out
from distill.codes.layout import flatten_codes
from distill.codes.views import is_transposed
from distill.counted import counted
from distill.durations import about, duration
from distill.errors import ModelFileError, SettingError
from distill.models import ranks
from distill.models.config import PriorConfig
from distill.models.model_file import Model, Source
from distill.recordings.corpus import Corpus
from distill.recordings.passages import Passage, Split
from distill.recordings.split import SPLIT_RULE, split_corpus
from distill.recordings.windows import spread
from distill.training.budget import CODEC_SHARE, LEAST_TO_LEARN
from distill.training.extraction import Extraction
from distill.training.metrics import ExtractionProgress, MetricsCallback, Notice
from distill.training.orders import order_extraction

if TYPE_CHECKING:
    from distill.training.plan import PriorPlan


MOST_POSITIONS = 1 << 22
"""Views are added until they hold so many positions: 24 hours of audio, 32 MiB."""

MOST_HELD_OUT = 1024
"""Held-out sequences to validate on at most, evenly spread: an hour and a half at the default sizes."""

WORTH_TELLING_S = 1200.0
"""Encoding more audio than this is announced beforehand."""

MOST_OF_THE_TIME = 0.4
"""Encoding the recordings once that takes more than this share of the minutes is warned of."""


class CodeViews:
    """The passages as codes, in a growing number of views (augmentations, ``codes/views.py``).

    The order is fixed, all passages in one view before the next view, so the number of encodings says which there are.

    Args:
        encode: ``encode(passage, view)`` returns the codes ``[S, Q]`` of one passage in one view.
        passages: number of passages.
        coded: encodings that exist already, int16 ``[S, Q]`` each.
    """

    def __init__(self, encode: Callable[[int, int], Tensor], passages: int, coded: Iterable[Tensor] = ()) -> None:
        self._encode, self.passages = encode, passages
        self.coded = list(coded)
        self._positions = sum(map(len, self.coded))

    def set_size(self, encodings: int, progress: Callable[[int, int], None] = lambda done, total: None) -> bool:
        """Drops the last encodings or adds further ones until there are ``encodings``, or ``MOST_POSITIONS`` are reached.

        Returns:
            Whether any were added.
        """
        before = len(self.coded)
        while len(self.coded) > encodings:
            self._positions -= len(self.coded.pop())
        while len(self.coded) < encodings and (self._positions < MOST_POSITIONS or not self.is_whole):
            view, passage = divmod(len(self.coded), self.passages)
            self.coded.append(self._encode(passage, view).short())
            self._positions += len(self.coded[-1])
            progress(len(self.coded), encodings)
        return len(self.coded) > before

    @property
    def is_whole(self) -> bool:
        """Whether every passage is there at least in view 0, the recordings as they are."""
        return len(self.coded) >= self.passages

    @property
    def number(self) -> int:
        """Number of views, an incomplete last one included."""
        return -(-len(self.coded) // self.passages)

    def first(self) -> list[Tensor]:
        """The passages in view 0, as they are: int64 ``[S, Q]`` each."""
        return [codes.long() for codes in self.coded[: self.passages]]

    @property
    def positions(self) -> int:
        """Positions of all passages in view 0."""
        return sum(map(len, self.coded[: self.passages]))

    def sequences(self, count: int, seq_len: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """``count`` random sequences of ``seq_len`` positions from all views, as tokens ``[count, T]``, and the number
        ``[count]`` of the view that each is of.

        The passages of a random view are concatenated in random order and cut into sequences from a random offset on, so a
        view gives other sequences each time. Sequences are shorter if a complete view is.
        """
        views = [self.coded[start : start + self.passages] for start in range(0, len(self.coded), self.passages)]
        lengths = torch.tensor([sum(map(len, view)) for view in views])
        whole = lengths[: len(self.coded) // self.passages]
        length = min(seq_len, int(whole.min()))
        # An incomplete view may be too short for a single sequence.
        shares = torch.where(lengths >= length, lengths, 0).double()
        parts: list[Tensor] = []
        numbers: list[int] = []
        while len(parts) < count:
            number = int(torch.multinomial(shares, 1, generator=generator))
            view = views[number]
            line = torch.cat([view[index] for index in torch.randperm(len(view), generator=generator).tolist()])
            start = int(torch.randint(min(length, len(line) - length + 1), (1,), generator=generator))
            parts += line[start : start + (len(line) - start) // length * length].split(length)
            numbers += [number] * (len(parts) - len(numbers))
        return flatten_codes(torch.stack(parts[:count]).long()), torch.tensor(numbers[:count])


@dataclass(frozen=True)
class PriorData:
    """Training and validation data of a prior; the same for the same codec, split, config and plan."""

    views: CodeViews
    """The passages to train on."""
    held_out_codes: tuple[Tensor, ...]
    """Codes ``[S, Q]`` of every held-out passage."""
    held_out: Tensor
    """The same as token sequences ``[n, T]``, at most ``MOST_HELD_OUT``, evenly spread."""
    sources: tuple[Source, ...]
    """The passages in view 0, for the model file."""
    seq_len: int
    """Positions of a training sequence."""

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
        epoch: int | None = None,
        kept: "KeptCodes | None" = None,
    ) -> "PriorData":
        """Encodes the held-out passages and the first views of the others with the frozen codec, shared among all ranks.

        Args:
            epoch: the one that a resumed run goes on in, counted from 0; its plan says how many views it began with. None of a
                new one: their number is decided now, by the plan and its minutes.
            kept: the encodings of an earlier run, used as they are. Where a resumed run has none, all that its epochs added is
                encoded again too.
        """
        codec = model.codec
        extraction = Extraction(codec, split.train, split.held_out, plan.transpose, device, is_shared=kept is None)
        held_out_s, train_s = _seconds(split.held_out), _seconds(split.train)
        if kept is None:
            if held_out_s + train_s > WORTH_TELLING_S:
                callback(Notice(_announced(extraction.pace(split.train[0]), held_out_s + train_s)))
            order_extraction(corpus, split, codec, plan)
        started = awake.seconds()
        held_out = kept.held_out if kept else extraction.held_out()
        seconds_a_view = (awake.seconds() - started) * train_s / held_out_s
        number = _views_to_encode(plan, seconds_a_view, callback) if epoch is None else plan.views
        in_all = len(split.train)

        def encode(passage: int, view: int) -> Tensor:
            def done(passages: int) -> None:
                callback(ExtractionProgress(view * in_all + passages, max(number, view + 1) * in_all))

            return extraction.passage(passage, view, done)

        def tell(done: int, total: int) -> None:
            callback(ExtractionProgress(done, total))

        views = CodeViews(encode, in_all, kept.coded if kept else ())
        if kept is None:
            views.set_size(number * views.passages, tell)
        seq_len = config.context_positions
        order = torch.Generator().manual_seed(plan.seed)
        sequences = flatten_codes(torch.stack(spread(laid_out(held_out, seq_len, order), MOST_HELD_OUT)))
        data = cls(views, held_out, sequences, _sources(split, views.first(), held_out, codec.sample_rate), seq_len)
        if kept is None and epoch is not None:
            data.grow(epoch, plan, tell)
        extraction.end_sharing()
        return data

    def grow(
        self, epoch: int, plan: "PriorPlan", progress: Callable[[int, int], None] = lambda done, total: None
    ) -> bool:
        """Adds the encodings that are new in ``epoch``, counted from 0, or drops those of later ones; returns whether any are.

        Each epoch adds ``plan.fresh_share`` of the positions that it trains on.
        """
        an_encoding = self.views.positions / self.views.passages
        fresh = math.ceil(plan.fresh_share * self.count(plan) * self.seq_len / an_encoding)
        return self.views.set_size(plan.views * self.views.passages + epoch * fresh, progress)

    def to_keep(self) -> "KeptCodes":
        """All encodings, to be saved for a resumed run."""
        return KeptCodes(tuple(self.views.coded), self.held_out_codes)

    def count(self, plan: "PriorPlan") -> int:
        """Sequences in an epoch: as many as one view holds, but enough for the plan's least steps."""
        return max(-(-self.views.positions // self.seq_len), plan.least_steps * ranks.world_size() * plan.batch_size)

    def epoch(self, epoch: int, plan: "PriorPlan") -> tuple[Tensor, Tensor]:
        """The token sequences ``[N, T]`` of an epoch, counted from 0, and which are transposed, bool ``[N]``; the same for the
        same views, epoch and seed."""
        generator = torch.Generator().manual_seed(plan.seed_of(epoch))
        tokens, views = self.views.sequences(self.count(plan), self.seq_len, generator)
        return tokens, torch.tensor([plan.transpose > 0 and is_transposed(view) for view in views.tolist()])


@dataclass(frozen=True)
class KeptCodes:
    """The encodings that an earlier run of the same training saved."""

    coded: tuple[Tensor, ...]
    """Those of :class:`CodeViews`, in its order."""
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
            name=passage.recording.name,
            start_seconds=passage.start / sample_rate,
            held_out=is_held_out,
            codes=codes,
            take=passage.recording.group,
            sha256=passage.recording.sha256,
            gain=passage.recording.gain,
            mix=passage.recording.mix,
        )
        for passage, codes, is_held_out in marked
    )


def _seconds(passages: Sequence[Passage]) -> float:
    return sum(passage.seconds for passage in passages)


def _announced(pace: float, seconds: float) -> str:
    together = f", {ranks.world_size()} ranks together" if ranks.world_size() > 1 else ""
    takes = about(pace * seconds / ranks.world_size())
    return (
        f"{about(seconds)} of recordings are encoded before the prior trains, which takes about {takes}{together} for each "
        "view of them. This happens once; the codes are kept with the saved state."
    )


def _too_long(seconds: float, minutes: float) -> str:
    learning, enough = max(60 * minutes - seconds, LEAST_TO_LEARN * 60 * minutes), math.ceil(seconds / 20)
    how = f"for {about(learning)}: too" if learning >= 1 else "hardly at all: far too"
    return (
        f"The prior has {duration(60 * minutes)}, and encoding the recordings takes about {about(seconds)}, so it trains "
        f"{how} little for new audio to hold together. "
        f"Give it {about(60 * enough)}, which a whole run has in {about(60 * math.ceil(enough / (1 - CODEC_SHARE)))}, or fewer "
        "recordings."
    )


def check_codebooks(config: PriorConfig, model: Model) -> None:
    """Checks that the prior's config has the codec's number and size of codebooks.

    Raises:
        SettingError: if not, with the numbers of both.
    """
    codec = model.header.codec
    if (config.codebook_size, config.num_quantizers) != (codec.codebook_size, codec.num_quantizers):
        raise SettingError(
            f"The prior's config has {config.num_quantizers} levels of {config.codebook_size} codes and the codec of "
            f"'{model.header.name}' has {codec.num_quantizers} of {codec.codebook_size}.",
            "Leave both to Distill, or set them to the codec's.",
        )


def split_of(model: Model, corpus: Corpus) -> Split:
    """The split of these recordings by which a model's codec was trained, drawn again; of others than its own, one by its seed.

    Raises:
        ModelFileError: if its own were split by another rule than today's, so that it cannot be told what it held out.
    """
    trained = model.header.corpus
    if trained.split_rule != SPLIT_RULE and trained.fingerprint == corpus.fingerprint:
        raise ModelFileError(
            f"The codec of '{model.header.name}' held out recordings by another rule than this version of Distill, so which "
            "they were cannot be told any more.",
            "It still plays and makes new audio. For anything that needs what was held out, train it again.",
        )
    return split_corpus(corpus, seed=trained.split_seed)


def other_corpus(corpus: Corpus, model: Model) -> str:
    """The warning about a folder that is not the one the codec was trained on."""
    trained = model.header.corpus
    here, there = (counted(one.file_count, "recording") for one in (corpus, trained))
    return (
        f"{corpus.folder} is not the folder the codec was trained on: it holds {here}, "
        f"{duration(corpus.seconds)} (fingerprint {corpus.fingerprint[:8]}), and the codec was trained on {there}, "
        f"{duration(trained.seconds)} (fingerprint {trained.fingerprint[:8]}). The prior will learn the new folder "
        "in the codec's codes; sounds the codec was not trained on may come out coarse."
    )
