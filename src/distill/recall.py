"""Recall: positions of the recordings found by what came before them, so that new audio can borrow short passages.

A prior trained on minutes of audio knows what may follow, but not how it sounds in every detail; the recordings do. At every
position the prior's own summary of what was played so far (the vector its next draw comes from) is compared with the same
vector at every position of the recordings; the nearest say what followed *there*, all levels at once. That is the datastore of
kNN-LM (Khandelwal et al. 2020, arXiv:1911.00172), walked like a factor oracle (Assayag and Dubnov 2004): a stretch of one
recording, then a jump to where another place stood in the same situation, or back to what the prior draws by itself. How long a
stretch may become is a limit that holds, not a tendency.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.errors import SettingError
from distill.models.prior import CodePrior

NEIGHBOURS = 16
"""Places that a jump chooses among."""
_SHARPNESS = 20.0
"""How much likelier a place is for a cosine similarity that is higher by one, as a power of e."""


@dataclass(frozen=True)
class Borrowing:
    """How much new audio may take from the recordings."""

    share: float
    """Of the stretches, 0 to 1; the prior draws the others by itself."""
    longest: int
    """Positions that a stretch may take from one place before it must leave."""

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1 or self.longest < 1:
            raise SettingError(
                f"A share of {self.share} in stretches of {self.longest} positions cannot be borrowed.",
                "Choose a share from 0 to 1 and at least one position.",
            )


@dataclass
class Loan:
    """Where each of ``B`` streams is borrowing from."""

    place: Tensor
    """``[B]``: the position played last, -1 where the prior drew it."""
    length: Tensor
    """``[B]``: positions of the present stretch, borrowed or the prior's own."""


class Recall:
    """Every position of the recordings with the prior's view of what came before it.

    Args:
        prior: gives the views.
        sources: codes of the recordings, ``[S, Q]`` each, at least one position in all.
    """

    def __init__(self, prior: CodePrior, sources: Sequence[Tensor]) -> None:
        device = prior.heads.device
        sources = [codes.to(device) for codes in sources if len(codes)]
        self.codes = torch.cat(sources)  # [M, Q]
        self._keys = F.normalize(torch.cat([situations(prior, codes) for codes in sources]), dim=-1)  # [M, H]
        ends = torch.tensor([len(codes) for codes in sources]).cumsum(0) - 1
        self._is_last = torch.zeros(len(self.codes), dtype=torch.bool)
        self._is_last[ends] = True

    def nothing_borrowed(self, streams: int) -> Loan:
        """How a stream begins."""
        return Loan(torch.full((streams,), -1), torch.zeros(streams, dtype=torch.int64))

    def borrow(self, hidden: Tensor, loan: Loan, borrowing: Borrowing, generators: Sequence[torch.Generator]) -> Tensor:
        """The next position's codes ``[B, Q]``, -1 where the prior is to draw it; ``loan`` moves on.

        ``hidden [B, H]`` is what the prior makes of each stream so far. A stream goes on where it is until its stretch is over,
        then leaves for one of the nearest places outside of the surroundings it comes from, or for the prior.
        """
        codes = self.codes.new_full((len(hidden), self.codes.shape[1]), -1)
        similarity = F.normalize(hidden, dim=-1) @ self._keys.T  # [B, M]
        for stream, generator in enumerate(generators):
            chance = torch.rand(
                3, generator=generator
            )  # always three: what one stream does must not shift its later draws
            place, length = int(loan.place[stream]), int(loan.length[stream])
            # Stretches end at random, at the limit at the latest, so that no pulse of equal lengths is heard.
            over = length == 0 or length >= borrowing.longest or float(chance[0]) < 1 / borrowing.longest
            if place >= 0 and (over or bool(self._is_last[place])):
                nearby = slice(max(0, place - 2 * borrowing.longest), place + 2 * borrowing.longest + 2)
                similarity[stream, nearby] = -1
                over = True
            if not over:
                place = place + 1 if place >= 0 else -1
                length += 1
            elif float(chance[1]) < borrowing.share:
                nearest, places = similarity[stream].topk(min(NEIGHBOURS, similarity.shape[1]))
                weights = (_SHARPNESS * nearest).softmax(dim=0).cumsum(dim=0)
                chosen = int((weights < chance[2] * weights[-1]).sum())
                place, length = int(places[min(chosen, len(places) - 1)]), 1
            else:
                place, length = -1, 1
            loan.place[stream], loan.length[stream] = place, length
            if place >= 0:
                codes[stream] = self.codes[place]
        return codes


@torch.inference_mode()
def situations(prior: CodePrior, codes: Tensor) -> Tensor:
    """The vectors that each position of ``codes [S, Q]`` is drawn from, ``[S, H]``; each knows half a context or more."""
    half = max(1, prior.config.context // prior.config.num_quantizers // 2)
    parts = []
    for start in range(0, len(codes), half):
        first = max(0, start - half)
        parts.append(prior.situations(codes[None, first : start + half])[0, start - first :])
    return torch.cat(parts)
