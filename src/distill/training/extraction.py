"""Encoding the recordings with all ranks: each encodes its share, and the first gathers the codes.

    first rank     the recordings to encode ──▶ others      ``order_extraction``
                   view 0 ──▶ others, each encodes its share of the passages ──▶ all codes on the first rank
                   view 1 …
                   that is all ──▶ others

A passage is encoded by one rank exactly as a single process would encode it, so the codes are the same.
"""

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from distill import awake
from distill.codes.extract import encode_view
from distill.codes.views import View
from distill.models import ranks
from distill.models.vqvae import ConvVQVAE
from distill.recordings.passages import Passage

_HELD_OUT, _END = -1, -2


class Extraction:
    """Encodes passages in views; every rank builds one with the same passages.

    Args:
        transpose: three of four views are transposed by up to so many semitones.
        is_shared: whether the other ranks help (``order_extraction``).
    """

    def __init__(
        self,
        codec: ConvVQVAE,
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
        self._shares = is_shared and ranks.world_size() > 1

    def held_out(self) -> tuple[Tensor, ...]:
        """Codes ``[S, Q]`` of every held-out passage."""
        return self._all(_HELD_OUT, None)

    def passage(self, number: int, view: int, done: Callable[[int], None] | None = None) -> Tensor:
        """Codes ``[S, Q]`` of one training passage. While the other ranks help, all passages of a view are encoded at once.

        Args:
            number: index of the passage.
            view: number of the view.
            done: called with the number of passages of the view encoded so far.
        """
        if not self._shares:
            return self._encode(self._train[number], view)
        if self._view != view:
            self._view, self._codes = view, self._all(view, done)
        return self._codes[number]

    def end_sharing(self) -> None:
        """Lets the other ranks go; from here on this rank encodes alone."""
        if self._shares:
            ranks.broadcast([_END])
        self._shares, self._codes = False, ()

    def help(self) -> None:
        """What the other ranks do: encode their share of every view until the first rank calls :meth:`end_sharing`."""
        while (view := int(ranks.broadcast([0])[0])) != _END:
            self._own_share(view, None)

    def pace(self, passage: Passage) -> float:
        """Seconds that encoding a second of audio takes here, measured with up to ten seconds of a passage."""
        blocks = [passage.read(0, min(passage.samples, 10 * self._codec.sample_rate), self._codec.channels)] * 2
        encode_view(self._codec, blocks[:1], View(), self._device)
        started = time.monotonic()
        encode_view(self._codec, blocks, View(), self._device)
        return (time.monotonic() - started) * self._codec.sample_rate / sum(block.shape[1] for block in blocks)

    def _all(self, view: int, done: Callable[[int], None] | None) -> tuple[Tensor, ...]:
        if not self._shares:
            return tuple(self._encode(passage, 0) for passage in self._held_out)
        ranks.broadcast([view])
        return self._own_share(view, done)

    def _own_share(self, view: int, done: Callable[[int], None] | None) -> tuple[Tensor, ...]:
        """Encodes this rank's passages; returns all codes on the first rank, none on the others."""
        passages = self._held_out if view == _HELD_OUT else self._train
        shares = shared_out([passage.samples for passage in passages], ranks.world_size())
        coded = []
        with ranks.heartbeat():
            for number in shares[ranks.rank()]:
                coded.append(self._encode(passages[number], max(view, 0)).short())
                if done is not None:
                    done(min(len(passages), ranks.world_size() * len(coded)))
            ranks.barrier()
        lengths = [len(codes) for codes in coded]
        nothing = torch.zeros(0, self._codec.num_quantizers, dtype=torch.int16)
        all_lengths = ranks.gather(torch.tensor(lengths, dtype=torch.int64))
        all_codes = ranks.gather(torch.cat([nothing, *coded]))
        found: dict[int, Tensor] = {}
        for share, sizes, codes in zip(shares, all_lengths, all_codes, strict=False):
            found.update(zip(share, codes.split(sizes.tolist()), strict=True))
        return tuple(found[number].long() for number in range(len(found)))

    def _encode(self, passage: Passage, view: int) -> Tensor:
        how = View.numbered(view, self._codec.hop, self._transpose)
        awake.seconds()  # a clock that tells a sleep from work, if it is looked at often
        return encode_view(self._codec, passage.blocks(self._codec.channels), how, self._device)


def shared_out(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Assigns passages to ``size`` ranks: the longest first, each to the rank with the least so far."""
    shares: list[list[int]] = [[] for _ in range(size)]
    loads = [0] * size
    for number in sorted(range(len(lengths)), key=lambda one: (-lengths[one], one)):
        rank = loads.index(min(loads))
        shares[rank].append(number)
        loads[rank] += lengths[number]
    return shares
