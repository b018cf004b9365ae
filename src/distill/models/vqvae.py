"""The codec: a convolutional VQ-VAE that takes spectra as input and gives inverse-FFT frames.

    audio [B, C, N]
      │ log-mel at three time scales, fine pitch                   features   [B, S, *]
      │ ConvNeXt blocks; beside them a linear sketch               encoder    [B, S, H]      (sketch.py)
      │ residual vector quantisation                               codes      [B, S, Q]
      │ ConvNeXt blocks                                            decoder    [B, S, H]
      │ tones with continuous phases, noise with random ones       head       (tones.py, noise.py)
      ▼ inverse FFT, overlap-add
    audio [B, C, N]

All work between the spectra happens at the rate of the code positions, so a laptop can train it. The inverse-FFT head
is the idea of Vocos (Siuzdak 2023, arXiv:2306.00814), the blocks are those of ConvNeXt (Liu et al. 2022,
arXiv:2201.03545). Apart from the phases of tones, no output depends on more than ``context`` positions to either side: a
long file is coded in chunks with that much overlap, each chunk hands its phases to the next, and the result equals one
pass. Stereo needs no codes of its own: the encoder takes left, right and their difference; the head outputs mean and
difference of the *log-spectra*, so that panning is one number a bin.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.audio.distance import LogMel, Magnitude
from distill.models import peaks, ranks
from distill.models.config import VQVAEConfig
from distill.models.noise import NoiseHead
from distill.models.quantizer import ResidualQuantizer, nearest
from distill.models.sketch import SketchExamples, described, examples_of, fitted_maps
from distill.models.subsonic import SubsonicFilter
from distill.models.tones import Predicted, ToneHead, TonesAndNoise, ToneTargets


class VQVAEOutput(NamedTuple):
    """What one pass through the codec gives."""

    reconstruction: Tensor
    """``[B, C, N]``"""
    indices: Tensor
    """``[B, S, Q]``"""
    commitment_loss: Tensor
    """Scalar: summed over levels, mean over positions, not yet weighted."""


class DepthwiseConv(nn.Module):
    """Depthwise convolution along the positions, zero-padded: ``[B, S, H] → [B, S, H]``.

    It shifts and multiplies in the layout of the MLPs: for a short kernel that takes a fifth of the time of a grouped
    convolution with its two transpositions.
    """

    def __init__(self, hidden_size: int, kernel_size: int) -> None:
        super().__init__()
        reach = kernel_size**-0.5
        self.weight = nn.Parameter(torch.empty(kernel_size, hidden_size).uniform_(-reach, reach))
        self.bias = nn.Parameter(torch.empty(hidden_size).uniform_(-reach, reach))

    def forward(self, x: Tensor) -> Tensor:
        middle = len(self.weight) // 2
        total = x * self.weight[middle] + self.bias
        for place, weight in enumerate(self.weight.unbind()):
            shift = middle - place
            if 0 < abs(shift) < x.shape[1]:
                total = total + F.pad(x, (0, 0, shift, -shift)) * weight
        return total


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution over time, then a two-layer MLP per position: ``[B, S, H] → [B, S, H]``."""

    def __init__(self, hidden_size: int, kernel_size: int, expansion: int) -> None:
        super().__init__()
        self.depthwise = DepthwiseConv(hidden_size, kernel_size)
        self.norm = nn.LayerNorm(hidden_size)
        self.expand = nn.Linear(hidden_size, hidden_size * expansion)
        self.contract = nn.Linear(hidden_size * expansion, hidden_size)
        # Starting each branch small lets a deep stack train from the first step at a high learning rate.
        self.scale = nn.Parameter(torch.full((hidden_size,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.depthwise(x)
        h = self.contract(F.gelu(self.expand(self.norm(h))))
        return x + self.scale * h


class Features(nn.Module):
    """The input of the encoder: log-mel spectra with fine pitch (2048 samples), fine time (512) and finest time (128).

    ``[B, C, N] → [B, S, width]`` with ``S = N / hop``. In stereo it takes left, right and side: magnitudes of mid and side
    alone cannot tell left from right, those of left and right alone cannot tell whether the two add up or cancel. Windows of
    171 ms up to 4 kHz, bin by bin, tell pitches to about a hertz.
    """

    SCALES = ((2048, 512, 160), (512, 128, 40), (128, 32, 12))  # window, hop, mel bins
    _FINE_WINDOW, FINE_BINS = 8192, slice(4, 684)

    def __init__(self, config: VQVAEConfig) -> None:
        super().__init__()
        self.hop = config.hop
        self.log_mels = nn.ModuleList(
            LogMel(config.sample_rate, window, min(hop, config.hop), bins) for window, hop, bins in self.SCALES
        )
        inputs = 1 if config.channels == 1 else 3
        self.scale_widths = [bins * config.hop // min(hop, config.hop) for _, hop, bins in self.SCALES]
        """Features of each scale per position, for one channel."""
        self.fine = Magnitude(self.longest_window(config), config.hop, self.FINE_BINS)
        self.fine_width = self.FINE_BINS.stop - self.FINE_BINS.start
        self.width = config.channels * self.fine_width + inputs * sum(self.scale_widths)

    @classmethod
    def longest_window(cls, config: VQVAEConfig) -> int:
        """Samples in the longest window: a multiple of the hop."""
        return config.hop * -(-cls._FINE_WINDOW // config.hop)

    def forward(self, audio: Tensor) -> Tensor:
        positions = audio.shape[-1] // self.hop
        spectrum = self.fine(audio)[:, :, :positions].clamp(min=1e-5).log10() + 2
        parts = [spectrum.transpose(1, 2).flatten(2)]
        if audio.shape[1] == 2:
            audio = torch.cat([audio, swap_mid_side(audio)[:, 1:]], dim=1)
        for (_, hop, _), log_mel in zip(self.SCALES, self.log_mels, strict=True):
            spectrum = log_mel(audio) + 2  # [B, 1 or 3, F, bins], from -5..2 to about ±3
            frames = max(1, self.hop // hop)  # a position
            grouped = spectrum[:, :, : positions * frames].unflatten(2, (positions, frames))
            parts.append(grouped.transpose(1, 2).flatten(2))
        return torch.cat(parts, dim=-1)


class ConvVQVAE(nn.Module):
    """The codec; the prior, the editor and the command line need no more than its sizes, ``encode`` and ``decode_part``."""

    def __init__(self, config: VQVAEConfig) -> None:
        super().__init__()
        self.config = config
        self.sample_rate, self.hop, self.channels = config.sample_rate, config.hop, config.channels
        self.frame_rate = config.frame_rate
        self.codebook_size, self.num_quantizers = config.codebook_size, config.num_quantizers

        def blocks(count: int) -> nn.Sequential:
            return nn.Sequential(
                *(ConvNeXtBlock(config.hidden_size, config.kernel_size, config.expansion) for _ in range(count))
            )

        self.features = Features(config)
        self.encoder = nn.Sequential(
            nn.Linear(self.features.width, config.hidden_size),
            blocks(config.encoder_blocks),
            nn.LayerNorm(config.hidden_size),
            nn.Linear(config.hidden_size, config.latent_size),
        )
        self.quantizer = ResidualQuantizer(config.vector_size, config.num_quantizers, config.codebook_size)
        sizes = (config.hidden_size, config.channels, config.hop, config.sample_rate, config.bandwidth)
        self.decoder = nn.Sequential(
            nn.Linear(config.vector_size, config.hidden_size),
            blocks(config.decoder_blocks),
            TonesAndNoise(ToneHead(*sizes, sketch_size=config.sketch_size), NoiseHead(*sizes)),
        )
        self.sketch = None
        if config.sketch_size:
            self.sketch = nn.Linear(self.head.tones.description_size, config.sketch_size)
        self.subsonic = SubsonicFilter(config.sample_rate)

    @property
    def head(self) -> TonesAndNoise:
        """The decoder's last layer."""
        head = self.decoder[2]
        assert isinstance(head, TonesAndNoise)
        return head

    @property
    def context(self) -> int:
        """Positions to either side that a position's codes or audio depend on; chunks overlap by this much."""
        reach = self.config.kernel_size // 2  # of a block
        in_encoder, in_decoder = self.config.encoder_blocks * reach, self.config.decoder_blocks * reach
        window = math.ceil(Features.longest_window(self.config) / (2 * self.hop)) + 1
        return max(in_encoder + window, in_decoder + self._before)

    def latents(self, audio: Tensor) -> Tensor:
        """Audio ``[B, C, N] →`` vectors before quantisation ``[B, S, vector_size]``; zero-padded to whole positions."""
        return self._analyse(audio)[0]

    def _analyse(self, audio: Tensor) -> tuple[Tensor, ToneTargets | None]:
        """The latents, and the tones of the audio, of which the sketch is made; None without a sketch."""
        audio = F.pad(audio, (0, -audio.shape[-1] % self.hop))
        latents = self.encoder(self.features(audio))
        if self.sketch is None:
            return latents, None
        targets = self.head.tones.targets(audio)
        return torch.cat([latents, self.sketch(described(targets))], dim=-1), targets

    @torch.no_grad()
    def start_sketch(self, audio: Tensor) -> None:
        """Initialises both linear maps of the sketch from recordings ``[B, C, N]`` (sketch.py), which shortens training.

        Nothing changes if there is no sketch or the recordings are silent.
        """
        head = self.head
        if self.sketch is None or head.tones.read is None:
            return
        was_training = self.training
        self.eval()
        parts = []
        for part in audio.split(16):
            features = self.encoder(self.features(part))
            no_sketch = features.new_zeros(*features.shape[:2], self.config.sketch_size)
            tones = head.tones(self.decoder[:2](torch.cat([features, no_sketch], dim=-1)))
            parts.append(examples_of(head.tones.targets(part), tones, features))
        self.train(was_training)
        examples = SketchExamples(*(torch.cat(some) for some in zip(*parts, strict=True)))
        if len(examples.described) < 2:
            return
        maps = fitted_maps(examples, self.config.sketch_size, head.tones.channels * head.tones.bins)
        for layer, fitted in zip((self.sketch, head.tones.read), maps, strict=True):
            layer.weight.copy_(fitted.weight)
            layer.bias.copy_(fitted.bias)

    def encode(self, audio: Tensor) -> Tensor:
        """``[B, C, N] →`` codes ``[B, S, Q]`` (int64), ``S = ceil(N / hop)``. No codebook learns from it in any mode."""
        return nearest(self.latents(audio), self.quantizer.codebooks)[1]

    def decode(self, codes: Tensor) -> Tensor:
        """Codes ``[B, S, Q] →`` audio ``[B, C, S·hop]``, a complete sound that begins at position 0."""
        return self.decode_part(codes, 0, 0, codes.shape[1])[0]

    def decode_part(
        self,
        codes: Tensor,
        first: int,
        start: int,
        stop: int,
        held: Tensor | None = None,
        levels: Sequence[int] | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Decodes a part of a longer sound; joined, the parts equal :meth:`decode` of the whole.

        Args:
            codes: ``[B, S, Q]`` of the part and of up to ``context`` positions on either side, as many as there are.
            first: absolute position of ``codes[:, 0]``; the random phases depend on it.
            start, stop: the absolute positions wanted.
            held: phases ``[B, bins]`` that the call for the part before returned; without them, tones start at random phases.
            levels: quantizer levels to decode, as if the others added nothing; all if not given.

        Returns:
            Audio ``[B, C, (stop - start)·hop]`` and the phases that the part beginning at ``stop`` needs as ``held``.
        """
        held_at = start - self._before - 1 - first
        audio, phases, _ = self._synthesise(self.quantizer.decode(codes, levels), first, held, held_at)
        next_at = stop - self._before - 1 - first
        held = phases[:, next_at] if next_at >= 0 else None
        return audio[..., (start - first) * self.hop : (stop - first) * self.hop], held

    def decode_with_predicted(self, codes: Tensor) -> tuple[Tensor, Predicted]:
        """As :meth:`decode`, and what the decoder predicted, which its loss needs."""
        audio, _, predicted = self._synthesise(self.quantizer.decode(codes))
        return audio, predicted

    @property
    def _before(self) -> int:
        """How many positions before a part its phases matter: frames, filter and limiter reach back that far."""
        return self.head.reach + math.ceil(self.subsonic.reach / self.hop) + math.ceil(peaks.REACH / self.hop)

    def _synthesise(
        self, quantized: Tensor, first: int = 0, held: Tensor | None = None, held_at: int = -1
    ) -> tuple[Tensor, Tensor, Predicted]:
        """The sound of quantised vectors ``[B, S, vector_size]``, whose first is at the position ``first`` of the whole.

        Args:
            held: phases ``[B, bins]`` of the position ``held_at``, counted from the first; without them, tones start at random
                phases.

        Returns:
            Audio ``[B, C, S·hop]``, the phases of every position ``[B, S, bins]``, and what the head predicted.
        """
        positions = torch.arange(first, first + quantized.shape[1], device=quantized.device).expand(len(quantized), -1)
        is_training = self.decoder.training
        if is_training:  # no two windows share their random phases
            drawn = torch.randint(1 << 30, (ranks.world_size() * len(quantized), 1), device=quantized.device)
            positions = positions + ranks.own_part(drawn)
        sketch = quantized[..., self.config.latent_size :]
        audio, phases, predicted = self.head(self.decoder[:2](quantized), positions, held, held_at, sketch)
        # The filter would take a twentieth of a training step, and no loss measures what it removes.
        return peaks.held_down(audio if is_training else self.subsonic(audio)), phases, predicted

    def forward(self, audio: Tensor, quantize: bool = True) -> VQVAEOutput:
        """``[B, C, N] →`` reconstruction ``[B, C, N]``, indices ``[B, S, Q]``, commitment loss (scalar).

        Without ``quantize`` the latents are decoded unquantised, and indices and commitment loss are zero.
        """
        return self.forward_with_predicted(audio, quantize)[0]

    def forward_with_predicted(self, audio: Tensor, quantize: bool = True) -> tuple[VQVAEOutput, Predicted]:
        """As :meth:`forward`, and what the decoder predicted, which its loss needs."""
        latents, targets = self._analyse(audio)
        if quantize:
            quantized, codes, commitment = self.quantizer(latents)
        else:
            quantized, commitment = latents, latents.new_zeros(1)
            codes = torch.zeros(*latents.shape[:2], self.num_quantizers, dtype=torch.int64, device=latents.device)
        made, _, predicted = self._synthesise(quantized)
        return VQVAEOutput(made[..., : audio.shape[-1]], codes, commitment.sum()), predicted._replace(targets=targets)


def swap_mid_side(audio: Tensor) -> Tensor:
    """Left and right to mid and side, or back: ``[..., 2, N] → [..., 2, N]``. Its own inverse (scaled by 1/√2)."""
    left, right = audio.unbind(-2)
    return torch.stack([left + right, left - right], dim=-2) * 0.5**0.5
