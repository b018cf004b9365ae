"""How a new prior begins: from the base prior where it fits, from the codec's codebooks otherwise."""

import torch
from torch import Tensor

from distill.audio.split import Passage
from distill.codes.heard import Description, entries_heard, linear_map
from distill.models.base_prior import base_prior_path, start_from_base_prior
from distill.models.prior import CodePrior, PriorConfig
from distill.models.vqvae import ConvVQVAE
from distill.training.plan import PriorPlan


def new_prior(
    config: PriorConfig, plan: PriorPlan, codec: ConvVQVAE, passages: tuple[Passage, ...], codes: list[Tensor]
) -> tuple[CodePrior, bool]:
    """A prior that has not learned anything of these recordings yet, on the CPU, and whether it started from the base.

    Args:
        passages, codes: what is trained on and its codes ``[S, Q]``, by which the codec's codes are heard.
    """
    torch.manual_seed(plan.seed)
    prior = CodePrior(config)
    codebooks = codec.quantizer.codebooks.cpu()
    base = None if plan.from_scratch else base_prior_path(config)
    if base is not None:
        table = linear_map(codec, passages, codes, Description(codec.hop))
        if len(table):
            start_from_base_prior(prior, base, entries_heard(codebooks, table))
            return prior, True
    prior.start_from_codebooks(codebooks)
    return prior, False
