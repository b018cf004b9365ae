"""Recall: positions of the recordings found by what came before them, so that new audio can borrow short passages.

A prior trained on minutes of audio knows what may follow, but not how it sounds in every detail; the recordings do. At every
position the prior's own summary of what was played so far (the vector its next draw comes from) is compared with the same vector
at every position of the recordings; the nearest say, as one, what followed *there*. That is the datastore of kNN-LM (Khandelwal et al.
2020, arXiv:1911.00172) walked like a factor oracle (Assayag and Dubnov 2004): a stretch of one recording, then a jump to where another
one, or another place, stood in the same situation. How long a stretch may become is a limit that holds, not a tendency.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.models.prior import CodePrior

NEIGHBOURS = 16
"""Places a jump chooses among."""


class Recall:
    """Every position of the recordings with the prior's view of what came before it.

    Args:
        prior: gives the views.
        sources: codes of the recordings, ``[S, Q]`` each.
    """

    def __init__(self, prior: CodePrior, sources: Sequence[Tensor]) -> None:
        self.codes = torch.cat(list(sources))  # [M, Q]
        self.keys = F.normalize(torch.cat([situations(prior, codes) for codes in sources]), dim=-1)  # [M, H]
        lengths = torch.tensor([len(codes) for codes in sources])
        self.source = torch.repeat_interleave(torch.arange(len(sources)), lengths)  # [M]

    def candidates(self, hidden: Tensor, playing: Tensor, run: Tensor, longest: int) -> tuple[Tensor, Tensor]:
        """The nearest places for ``hidden [B, H]``: similarities and places ``[B, NEIGHBOURS]``.

        A stream that has borrowed ``run [B]`` positions up to place ``playing [B]`` (-1: none) may go on from there until its
        stretch is ``longest`` positions; then the surroundings of that place are closed to it.
        """
        similarity = F.normalize(hidden, dim=-1) @ self.keys.T  # [B, M]
        for stream in range(len(hidden)):
            place = int(playing[stream])
            if place >= 0 and int(run[stream]) >= longest:
                similarity[stream, max(0, place + 1 - longest) : place + 2 + longest] = -2
        return similarity.topk(min(NEIGHBOURS, similarity.shape[1]), dim=-1)


@torch.inference_mode()
def situations(prior: CodePrior, codes: Tensor) -> Tensor:
    """The vectors that each position of ``codes [S, Q]`` is drawn from, ``[S, H]``, each knowing half a context or more (or all)."""
    positions = prior.config.context // prior.config.num_quantizers
    half = max(1, positions // 2)
    parts = []
    for start in range(0, len(codes), half):
        first = max(0, start - half)
        hidden = prior.situations(codes[None, first : start + half])[0]
        parts.append(hidden[start - first :])
    return torch.cat(parts)
