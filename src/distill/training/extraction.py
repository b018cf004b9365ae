"""The recordings as codes, encoded by all ranks together: each its share, gathered and kept by the first.

    first rank     the recordings to encode ──▶ others      ``order_extraction``
                   view 0 ──▶ others, each encodes its share of the passages ──▶ all codes on the first rank
                   view 1 …
                   that is all ──▶ others

A passage is encoded whole by one rank, in the very way in which one process encodes it, so the codes are the same.
"""

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from distill.audio.split import Passage
from distill.codes.extract import Codec, encode_view
from distill.codes.views import View
from distill.models import ranks

_HELD_OUT, _END = -1, -2


class Extraction:
    """Encodes passages in views; every rank makes one of its own, with the same passages.

    Args:
        transpose: semitones up to which views are transposed.
        is_shared: whether the other ranks have been asked to help (``order_extraction``).
    """

    def __init__(
        self,
        codec: Codec,
        train: Sequence[Passage],
        held_out: Sequence[Passage],
        transpose: float,
        device: torch.device | str,
        *,
        is_shared: bool = True,
    ) -> None:
        self._codec, self._transpose, self._device = codec, transpose, device
        self._train, self._held_out = tuple(train), tuple(held_out)
        self._view = _END
        self._codes: tuple[Tensor, ...] = ()
        self._shares = is_shared and ranks.size() > 1

    def held_out(self) -> tuple[Tensor, ...]:
        """Codes ``[S, Q]`` of every passage that is held out."""
        return self._all(_HELD_OUT, None)

    def passage(self, number: int, view: int, done: Callable[[int], None] | None = None) -> Tensor:
        """Codes ``[S, Q]`` of one passage to train on. While the other ranks help, all passages of a view are encoded at once.

        Args:
            done: called with how many passages of the view are encoded.
        """
        if not self._shares:
            return self._encode(self._train[number], view)
        if self._view != view:
            self._view, self._codes = view, self._all(view, done)
        return self._codes[number]

    def end_sharing(self) -> None:
        """From here on this rank encodes alone; the others go on to the training."""
        if self._shares:
            ranks.from_first([_END])
        self._shares, self._codes = False, ()

    def help(self) -> None:
        """What the other ranks do: their share of every view, until the first one says that it is enough."""
        while (view := int(ranks.from_first([0])[0])) != _END:
            self._own_share(view, None)

    def pace(self, passage: Passage) -> float:
        """Seconds that encoding a second of sound takes here, tried with a little of a passage."""
        blocks = [passage.read(0, min(passage.samples, 10 * self._codec.sample_rate), self._codec.channels)] * 2
        encode_view(self._codec, blocks[:1], View(), self._device)
        started = time.monotonic()
        encode_view(self._codec, blocks, View(), self._device)
        return (time.monotonic() - started) * self._codec.sample_rate / sum(block.shape[1] for block in blocks)

    def _all(self, view: int, done: Callable[[int], None] | None) -> tuple[Tensor, ...]:
        if not self._shares:
            return tuple(self._encode(passage, 0) for passage in self._held_out)
        ranks.from_first([view])
        return self._own_share(view, done)

    def _own_share(self, view: int, done: Callable[[int], None] | None) -> tuple[Tensor, ...]:
        """Encodes this rank's passages; gives all codes on the first rank, and none on the others."""
        passages = self._held_out if view == _HELD_OUT else self._train
        shares = shared_out([passage.samples for passage in passages], ranks.size())
        coded = []
        with ranks.at_work():
            for number in shares[ranks.rank()]:
                coded.append(self._encode(passages[number], max(view, 0)).short())
                if done is not None:
                    done(min(len(passages), ranks.size() * len(coded)))
            ranks.meet()
        lengths = [len(codes) for codes in coded]
        nothing = torch.zeros(0, self._codec.num_quantizers, dtype=torch.int16)
        all_lengths = ranks.gathered(torch.tensor(lengths, dtype=torch.int64))
        all_codes = ranks.gathered(torch.cat([nothing, *coded]))
        found: dict[int, Tensor] = {}
        for share, sizes, codes in zip(shares, all_lengths, all_codes, strict=False):
            found.update(zip(share, codes.split(sizes.tolist()), strict=True))
        return tuple(found[number].long() for number in range(len(found)))

    def _encode(self, passage: Passage, view: int) -> Tensor:
        how = View.numbered(view, self._codec.hop, self._transpose)
        return encode_view(self._codec, passage.blocks(self._codec.channels), how, self._device)


def shared_out(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Which of the passages each of ``size`` ranks takes: the longest first, to who has least so far."""
    shares: list[list[int]] = [[] for _ in range(size)]
    loads = [0] * size
    for number in sorted(range(len(lengths)), key=lambda one: (-lengths[one], one)):
        rank = loads.index(min(loads))
        shares[rank].append(number)
        loads[rank] += lengths[number]
    return shares
