"""The models as Fabric wraps them, typed by what the loops call. ``Fabric.setup`` itself returns Any.

A wrapped module computes in the run's precision when it is called, and gives its results in 32 bits. Any other method of it is
that of the module itself: it runs as it stands, and in the run's precision within ``Fabric.autocast`` alone, after which the
precision's ``convert_output`` makes 32 bits of the results.
"""

from typing import Protocol, TypeVar

from torch import Tensor, nn

from distill.models.discriminator import Discriminator, Judgement
from distill.models.prior import CodePrior
from distill.models.tones import Predicted
from distill.models.vqvae import ConvVQVAE, VQVAEOutput

M_co = TypeVar("M_co", bound=nn.Module, covariant=True)


class Wrapped(Protocol[M_co]):
    """Any module that a loop trains."""

    @property
    def module(self) -> M_co:
        """The module itself."""

    def train(self, mode: bool = True) -> object:
        """Sets training mode."""

    def eval(self) -> object:
        """Sets evaluation mode."""

    def requires_grad_(self, requires_grad: bool = True) -> object:
        """Whether its parameters get gradients."""


class WrappedPrior(Wrapped[CodePrior], Protocol):
    """A prior that is trained."""

    def __call__(self, tokens: Tensor, *, known_from: int | None = None, transposed: Tensor | None = None) -> Tensor:
        """As :meth:`CodePrior.forward`: ``[B, T] → [B, T, K]``."""


class Reconstructing(Protocol):
    """A codec, wrapped or not, as far as validation is concerned."""

    def eval(self) -> object:
        """Sets evaluation mode."""

    def __call__(self, audio: Tensor) -> VQVAEOutput:
        """As :meth:`ConvVQVAE.forward`, quantised."""


class WrappedCodec(Wrapped[ConvVQVAE], Protocol):
    """A codec that is trained, in either stage; the methods are those of :class:`ConvVQVAE`."""

    def __call__(self, audio: Tensor, quantize: bool = True) -> VQVAEOutput:
        """``[B, C, N] →`` reconstruction ``[B, C, N]``, indices ``[B, S, Q]``, commitment loss (scalar)."""

    def latents(self, audio: Tensor) -> Tensor:
        """``[B, C, N] → [B, S, vector_size]``."""

    def encode(self, audio: Tensor) -> Tensor:
        """``[B, C, N] → [B, S, Q]``."""

    def forward_with_predicted(self, audio: Tensor, quantize: bool = True) -> tuple[VQVAEOutput, Predicted]:
        """As a call, and what the decoder predicted."""

    def decode_with_predicted(self, codes: Tensor) -> tuple[Tensor, Predicted]:
        """``[B, S, Q] → [B, C, S·hop]``, and what the decoder predicted."""


class WrappedDiscriminator(Wrapped[Discriminator], Protocol):
    """The discriminator of the codec's second stage."""

    def __call__(self, audio: Tensor) -> list[Judgement]:
        """``[B, C, N] →`` a judgement of each window length."""
