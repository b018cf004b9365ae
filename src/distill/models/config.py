"""Sizes of the two models, stored in the model file beside the weights. Imports no PyTorch."""

import itertools
import math
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from annotated_types import Ge, Le, Lt

from distill.audio.rate import SAMPLE_RATE

SMALLEST_HOP = 256
"""Samples per code position at least."""
BASE_DECODER_BLOCKS = 5
"""With this many the weights of the base codec fit into 16 MB."""
BASE_CREDITS = (
    "Distill's base: 34 minutes of sound in 726 clips, all CC0 or public domain (instruments, drums, speech, effects, "
    "noises). No clip can be played back from the weights: they hold only what the sounds have in common."
)
"""Origin of base codec and base prior (docs/base-codec.md), for whatever reports where a model comes from."""


@dataclass(frozen=True)
class VQVAEConfig:
    """Sizes of the codec. Stored in the model file beside the weights."""

    sample_rate: Annotated[int, Ge(SAMPLE_RATE), Le(SAMPLE_RATE)] = SAMPLE_RATE
    channels: Annotated[int, Ge(1), Le(2)] = 1
    hop: Annotated[int, Ge(SMALLEST_HOP), Le(8192)] = 1024
    """Samples per code position: 256, or a multiple of 512."""
    hidden_size: Annotated[int, Ge(8), Le(2048)] = 384
    encoder_blocks: Annotated[int, Ge(1), Le(32)] = 2
    decoder_blocks: Annotated[int, Ge(1), Le(32)] = BASE_DECODER_BLOCKS
    latent_size: Annotated[int, Ge(2), Le(512)] = 64
    sketch_size: Annotated[int, Ge(0), Le(512)] = 64
    """Further dimensions of a latent vector, which hold principal components of the tones (``models/sketch.py``,
    docs/codec.md); 0 for none, as in the base codec."""
    num_quantizers: Annotated[int, Ge(2), Le(4)] = 4
    codebook_size: Annotated[int, Ge(16), Le(1024)] = 256
    commitment_weight: Annotated[float, Ge(0.0), Le(10.0)] = 0.25
    kernel_size: Annotated[int, Ge(3), Le(15)] = 3
    expansion: Annotated[int, Ge(1), Le(8)] = 3
    bandwidth: Annotated[float, Ge(1000.0), Le(24_000.0)] = 24_000.0
    """Hz; the decoder is silent above it, as the recordings are."""
    voice: Literal["lobes"] = "lobes"
    """Kind of decoder head, by which a file with another kind is known."""

    def __post_init__(self) -> None:
        if self.hop % min(512, self.hop):
            raise ValueError(f"hop {self.hop} must be 256 or a multiple of 512")
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size {self.kernel_size} must be odd")

    @property
    def vector_size(self) -> int:
        """Dimensions of a codebook entry, C."""
        return self.latent_size + self.sketch_size

    @property
    def frame_rate(self) -> float:
        """Code positions per second."""
        return self.sample_rate / self.hop

    @property
    def bitrate(self) -> float:
        """Bits per second of audio, each code stored in a fixed number of bits."""
        return self.frame_rate * self.num_quantizers * (self.codebook_size - 1).bit_length()


@dataclass(frozen=True)
class PriorConfig:
    """Sizes of the prior. Stored in the model file beside the weights."""

    codebook_size: Annotated[int, Ge(2), Le(65_536)] = 256
    num_quantizers: Annotated[int, Ge(1), Le(16)] = 4
    hidden_size: Annotated[int, Ge(8), Le(4096)] = 128
    num_layers: Annotated[int, Ge(1), Le(48)] = 4
    num_heads: Annotated[int, Ge(1), Le(64)] = 4
    context: Annotated[int, Ge(8), Le(16_384)] = 1024
    """Tokens the prior can attend to; a multiple of ``num_quantizers``."""
    dropout: Annotated[float, Ge(0.0), Lt(1.0)] = 0.1
    """Costs one per cent in the first minutes of training and gains more in all later ones (docs/prior.md)."""

    @property
    def context_positions(self) -> int:
        """Code positions the prior can attend to."""
        return self.context // self.num_quantizers

    def __post_init__(self) -> None:
        if self.hidden_size % (2 * self.num_heads):
            raise ValueError(f"hidden_size {self.hidden_size} must be a multiple of twice num_heads {self.num_heads}")
        if self.context % self.num_quantizers or self.context < 2 * self.num_quantizers:
            raise ValueError(f"context {self.context} must be two or more times num_quantizers {self.num_quantizers}")

    @classmethod
    def for_corpus(
        cls,
        seconds: float,
        *,
        codebook_size: int,
        num_quantizers: int,
        frame_rate: float,
        minutes: float | None = None,
    ) -> "PriorConfig":
        """Sizes that grow with the seconds of audio, as a prior too large for its corpus recites it, and with the time for it.

        The context is about six seconds, rounded to whole positions, and never more than a third of the corpus.

        Args:
            minutes: that encoding and training have on a processor: a larger prior is taken where it gets :data:`PASSES` in
                them. None where that is not known, or a GPU computes.
        """
        codes = seconds * frame_rate * num_quantizers
        left_s = math.inf if minutes is None else 60 * minutes - seconds / ENCODED_A_SECOND
        sizes = _TIERS[0].sizes
        for smaller, tier in itertools.pairwise(_TIERS):
            if seconds >= smaller.most_seconds and left_s * tier.codes_a_second >= PASSES * codes:
                sizes = tier.sizes
        hidden_size, num_layers, num_heads = sizes
        positions = max(8, int(min(_CONTEXT_SECONDS, seconds / 3) * frame_rate))
        return cls(
            codebook_size=codebook_size,
            num_quantizers=num_quantizers,
            hidden_size=hidden_size,
            num_layers=num_layers,
            num_heads=num_heads,
            context=positions * num_quantizers,
        )


_CONTEXT_SECONDS = 6.0
PASSES = 2.0
"""How often a larger prior must go through all of the audio to sound better than the smallest, which starts from the base prior
(docs/prior.md)."""
ENCODED_A_SECOND = 100.0
"""Seconds of stereo that two cores encode in one (docs/measured.md)."""


class _Tier(NamedTuple):
    most_seconds: float
    """Of audio for which it is large enough."""
    sizes: tuple[int, int, int]
    """Width, layers, heads."""
    codes_a_second: float
    """That two cores train on."""


_TIERS = (
    _Tier(900, (128, 4, 4), 75_000),
    _Tier(3_600, (256, 6, 8), 22_000),
    _Tier(math.inf, (384, 8, 8), 12_000),
)
