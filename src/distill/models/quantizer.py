"""Residual vector quantisation (SoundStream: Zeghidour et al. 2021, arXiv:2107.03312), and how often codebook entries are used.

While it trains, the quantizer is ``vector-quantize-pytorch``'s: codebooks initialised by k-means and updated as moving averages
(van den Oord et al. 2017, arXiv:1711.00937), dead entries replaced, gradients by the rotation trick (Fifty et al. 2024,
arXiv:2410.06424). It detaches each level's residual from the level before but keeps it attached to the encoder, so every
level's commitment loss reaches the encoder. In evaluation only the codebooks and a nearest-entry search are needed, so a model
opens without that library.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from distill.models import ranks

if TYPE_CHECKING:
    from vector_quantize_pytorch import ResidualVQ

DECAY = 0.98
DEAD_CODE_SHARE = 0.15
"""An entry counts as dead, and is replaced, when its moving-average use falls below this share of uniform use."""
_LEAST_SQUARE = 1e-8
"""Lower bound of a squared distance before its root is taken: rounding may make it negative."""


class ResidualQuantizer(nn.Module):
    """Q codebooks of K entries each; level q quantises the remainder of levels 0..q-1.

    Args:
        dim: width of the vectors, C.
        num_quantizers: levels, Q.
        codebook_size: entries a level, K.
    """

    residual_vq: "ResidualVQ | None"
    """The library's quantizer; None until :meth:`begin_training`."""
    settled: Tensor | None
    """Codebooks ``[Q, K, C]`` of a quantizer that does not train; None once there is the library's."""

    def __init__(self, dim: int, num_quantizers: int, codebook_size: int) -> None:
        super().__init__()
        self.dim, self.num_quantizers, self.codebook_size = dim, num_quantizers, codebook_size
        self.register_module("residual_vq", None)
        self.register_buffer("settled", torch.zeros(num_quantizers, codebook_size, dim))
        self._holds_something = False
        self.register_load_state_dict_pre_hook(_take_the_form_of)

    def begin_training(self) -> "ResidualVQ":
        """The library's quantizer, made from the present codebooks on the first call."""
        if self.residual_vq is None:
            from vector_quantize_pytorch import ResidualVQ  # takes a second to import, so only training pays for it

            codebooks = self.codebooks
            self.residual_vq = ResidualVQ(
                dim=self.dim,
                num_quantizers=self.num_quantizers,
                codebook_size=self.codebook_size,
                kmeans_init=True,
                kmeans_iters=10,
                decay=DECAY,
                threshold_ema_dead_code=DEAD_CODE_SHARE,
                commitment_weight=1.0,
                rotation_trick=True,
                sync_codebook=False,  # every rank moves its codebooks by the whole batch (ranks.py)
            ).to(codebooks.device)
            self.residual_vq.train(self.training)
            self.settled = None
            if self._holds_something:
                self.set_codebooks(codebooks)
        return self.residual_vq

    def expect(self, vectors_per_step: int) -> None:
        """Sets the threshold for dead entries by the number of vectors in each training step.

        It is not saved with the weights: set it again when training is resumed.
        """
        dead_below = DEAD_CODE_SHARE * vectors_per_step / self.codebook_size
        for level in self.begin_training().layers:
            level._codebook.threshold_ema_dead_code = dead_below
            level._codebook.reset_cluster_size = 2 * dead_below

    @torch.no_grad()
    def start(self, latents: Tensor, vectors_per_step: int) -> None:
        """Places the codebooks by k-means on many latents ``[B, S, C]`` at once, before the first training step.

        A single small batch would hold fewer vectors than the codebook has entries. ``vectors_per_step``: see :meth:`expect`.
        """
        self.expect(vectors_per_step)
        quantizer, was_training = self.begin_training(), self.training
        self.train()
        quantizer(latents)
        self.train(was_training)
        # k-means counts one large batch; later steps are smaller, and their averages must be on the same footing.
        shrink = vectors_per_step / (latents.shape[0] * latents.shape[1])
        for level in quantizer.layers:
            level._codebook.cluster_size.mul_(shrink)
            level._codebook.embed_avg.mul_(shrink)
        ranks.broadcast_tensors(quantizer.buffers())

    @property
    def started(self) -> bool:
        """Whether the codebooks hold something yet."""
        if self.residual_vq is None:
            return self._holds_something
        return bool(self.residual_vq.layers[0]._codebook.initted)

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Latents ``[B, S, C] →`` quantised ``[B, S, C]``, codes ``[B, S, Q]``, commitment loss per level ``[Q]``.

        In training, a batch with latents that are not finite leaves codebooks and averages unchanged. In evaluation the
        commitment loss is zero.
        """
        if not self.training:
            quantized, codes = nearest(latents, self.codebooks)
            return quantized, codes, quantized.new_zeros(self.num_quantizers)
        with _exactly(latents):
            whole = ranks.all_gather(latents.float())
            spoilt = not bool(torch.isfinite(whole).all())
            quantized, codes, commitment = self.begin_training()(whole, freeze_codebook=spoilt)
        # The loss is a mean over the whole batch, but only this rank's part passes gradients back: averaged over ranks, they
        # would be too small by a factor of ranks.world_size().
        commitment = commitment + (ranks.world_size() - 1) * (commitment - commitment.detach())
        return ranks.own_part(quantized), ranks.own_part(codes), commitment

    def decode(self, codes: Tensor, levels: Sequence[int] | None = None) -> Tensor:
        """Codes ``[B, S, Q]`` (0..K-1) ``→`` sums of their codebook vectors ``[B, S, C]``, of all levels or ``levels`` only."""
        wanted = torch.arange(self.num_quantizers, device=codes.device)
        if levels is not None:
            wanted = wanted[list(levels)]
        return self.codebooks[wanted, codes[..., wanted]].sum(dim=-2)

    @property
    def codebooks(self) -> Tensor:
        """``[Q, K, C]``"""
        if self.residual_vq is not None:
            return self.residual_vq.codebooks
        assert self.settled is not None
        return self.settled

    @torch.no_grad()
    def set_codebooks(self, codebooks: Tensor) -> None:
        """Takes codebooks ``[Q, K, C]``, as from a model file; k-means will not initialise them after that."""
        self._holds_something = True
        if self.settled is not None:
            self.settled.copy_(codebooks)
            return
        for level, vectors in zip(self.begin_training().layers, codebooks, strict=True):
            level._codebook.embed.copy_(vectors[None])
            level._codebook.embed_avg.copy_(vectors[None])
            level._codebook.cluster_size.fill_(1)
            level._codebook.initted.fill_(True)


def nearest(latents: Tensor, codebooks: Tensor) -> tuple[Tensor, Tensor]:
    """Residual quantisation: at each level the entry nearest to the residual, the lowest index among equals.

    Latents ``[B, S, C]`` and codebooks ``[Q, K, C] →`` quantised ``[B, S, C]``, codes ``[B, S, Q]``. The arithmetic is exactly
    the library's, including rounding, so that codes are the same in training and afterwards; in single precision, whatever the
    precision around it.
    """
    residual = latents.float().reshape(1, -1, latents.shape[-1])
    quantized, codes = torch.zeros_like(residual), []
    with _exactly(latents):
        for entries in codebooks[:, None]:  # [1, K, C]
            squares = residual.square().sum(-1)[..., None] + entries.square().sum(-1)[:, None]
            distances = (squares + torch.einsum("bic,bjc->bij", residual, entries) * -2).clamp(min=_LEAST_SQUARE).sqrt()
            codes.append((-distances).argmax(dim=-1))  # [1, B·S]
            chosen = entries[0, codes[-1]]
            residual, quantized = residual - chosen, quantized + chosen
    return quantized.view(latents.shape), torch.stack(codes, dim=-1).view(*latents.shape[:-1], -1)


def _exactly(latents: Tensor) -> torch.autocast:
    """In the block, distances are not rounded to half precision, which would find another entry for one vector in twenty."""
    return torch.autocast(latents.device.type, enabled=False)


def _take_the_form_of(quantizer: ResidualQuantizer, state: Mapping[str, Any], prefix: str, *_: object) -> None:
    """Before a state is loaded: takes the form, training or settled, that the state was saved in."""
    if any(name.startswith(f"{prefix}residual_vq.") for name in state):
        quantizer.begin_training()
    elif f"{prefix}settled" in state:
        quantizer.residual_vq, quantizer.settled = None, torch.empty_like(quantizer.codebooks)
        quantizer._holds_something = True


def count_codes(codes: Tensor, codebook_size: int) -> Tensor:
    """How often each entry of each level occurs: codes ``[..., Q] →`` counts ``[Q, K]``."""
    levels = codes.reshape(-1, codes.shape[-1]).T
    return torch.stack([torch.bincount(level, minlength=codebook_size) for level in levels])
