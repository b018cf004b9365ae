"""Residual vector quantisation, and how well its codebooks are used.

The quantizer itself is ``vector-quantize-pytorch``'s: k-means start, moving-average codebooks, dead-code replacement,
gradients by the rotation trick (Fifty et al. 2024, arXiv:2410.06424). It detaches each level's residual from the level
before but keeps it attached to the encoder, so every level's commitment loss reaches the encoder.
"""

import torch
from torch import Tensor, nn
from vector_quantize_pytorch import ResidualVQ

DECAY = 0.98
DEAD_CODE_SHARE = 0.15
"""An entry is replaced when its moving-average use falls below this share of an even use of the codebook."""


class ResidualQuantizer(nn.Module):
    """Q codebooks of K entries each; level q quantises what levels 0..q-1 left over.

    Args:
        dim: width of the vectors, C.
        num_quantizers: levels, Q.
        codebook_size: entries a level, K.
    """

    def __init__(self, dim: int, num_quantizers: int, codebook_size: int) -> None:
        super().__init__()
        self.num_quantizers, self.codebook_size = num_quantizers, codebook_size
        self.residual_vq = ResidualVQ(
            dim=dim,
            num_quantizers=num_quantizers,
            codebook_size=codebook_size,
            kmeans_init=True,
            kmeans_iters=10,
            decay=DECAY,
            threshold_ema_dead_code=DEAD_CODE_SHARE,
            commitment_weight=1.0,
            rotation_trick=True,
        )

    def expect(self, vectors_per_step: int) -> None:
        """Says how many vectors each training step brings, which decides how rarely used an entry must be to count as dead.

        This is no part of the weights: whoever goes on training says it again.
        """
        dead_below = DEAD_CODE_SHARE * vectors_per_step / self.codebook_size
        for level in self.residual_vq.layers:
            level._codebook.threshold_ema_dead_code = dead_below
            level._codebook.reset_cluster_size = 2 * dead_below

    @torch.no_grad()
    def start(self, latents: Tensor, vectors_per_step: int) -> None:
        """Places the codebooks by k-means on many latents ``[B, S, C]`` at once, before the first training step.

        A single small batch would hold fewer vectors than the codebook has entries. ``vectors_per_step``: see :meth:`expect`.
        """
        self.expect(vectors_per_step)
        was_training = self.training
        self.train()
        self.residual_vq(latents)
        self.train(was_training)
        # k-means counts one large batch; later steps are smaller, and their averages must be on the same footing.
        shrink = vectors_per_step / (latents.shape[0] * latents.shape[1])
        for level in self.residual_vq.layers:
            level._codebook.cluster_size.mul_(shrink)
            level._codebook.embed_avg.mul_(shrink)

    @property
    def started(self) -> bool:
        """Whether the codebooks hold something yet."""
        return bool(self.residual_vq.layers[0]._codebook.initted)

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``[B, S, C] →`` quantised ``[B, S, C]``, codes ``[B, S, Q]``, commitment loss per level ``[Q]``.

        In training, latents that are not finite leave the codebooks and their averages as they are.
        """
        spoilt = self.training and not bool(torch.isfinite(latents).all())
        quantized, codes, commitment = self.residual_vq(latents, freeze_codebook=spoilt)
        return quantized, codes, commitment

    def decode(self, codes: Tensor) -> Tensor:
        """Codes ``[B, S, Q]`` (0..K-1) ``→`` the vectors they stand for ``[B, S, C]``."""
        levels = torch.arange(self.num_quantizers, device=codes.device)
        return self.codebooks[levels, codes].sum(dim=-2)

    @property
    def codebooks(self) -> Tensor:
        """``[Q, K, C]``"""
        return self.residual_vq.codebooks

    def set_codebooks(self, codebooks: Tensor) -> None:
        """Takes ``[Q, K, C]`` from a model file; no k-means start will happen after that."""
        for level, vectors in zip(self.residual_vq.layers, codebooks, strict=True):
            level._codebook.embed.copy_(vectors[None])
            level._codebook.embed_avg.copy_(vectors[None])
            level._codebook.cluster_size.fill_(1)
            level._codebook.initted.fill_(True)


def count_codes(codes: Tensor, codebook_size: int) -> Tensor:
    """How often each entry of each level occurs: codes ``[..., Q] →`` counts ``[Q, K]``."""
    levels = codes.reshape(-1, codes.shape[-1]).T
    return torch.stack([torch.bincount(level, minlength=codebook_size) for level in levels])
