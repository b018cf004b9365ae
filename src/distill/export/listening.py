"""The encoder as a stream: sound in, codes out, some positions later. See :mod:`distill.export.speaking`."""

from typing import Any

import torch
from torch import Tensor, nn

from distill.audio.distance import LogMel
from distill.export.dft import RealDFT
from distill.export.stream import Blocks, Kept, exists, window
from distill.models.quantizer import nearest
from distill.models.sketch import description
from distill.models.tones import ToneHead
from distill.models.vqvae import ConvVQVAE, swap_mid_side


class ListeningStream(nn.Module):
    """Audio ``[1, C, n·hop]`` of the positions from ``first`` on to codes ``[1, n, Q]`` (int64) of those ``latency`` before.

    Args:
        positions: n, the same in every call.
    """

    def __init__(self, codec: ConvVQVAE, positions: int) -> None:
        super().__init__()
        self.positions, self.hop, self.channels = positions, codec.hop, codec.channels
        self.kept = Kept()
        features = codec.features
        log_mels = [log_mel for log_mel in features.log_mels if isinstance(log_mel, LogMel)]
        self.filters = nn.ParameterList(
            nn.Parameter(log_mel.get_buffer("filters"), requires_grad=False) for log_mel in log_mels
        )
        magnitudes = [(log_mel.magnitude, log_mel.get_buffer("filters").shape[0]) for log_mel in log_mels]
        self.scales = nn.ModuleList(_Magnitude(m.get_buffer("taper"), m.hop, bins, codec.hop) for m, bins in magnitudes)
        self.fine_bins = features.FINE_BINS
        self.fine = _Magnitude(features.fine.get_buffer("taper"), codec.hop, self.fine_bins.stop, codec.hop)
        scales: list[Any] = [*self.scales, self.fine]
        self.sketch = None
        if codec.sketch is not None:
            self.sketch = _Sketch(codec.sketch, codec.head.tones, self.kept)
            scales.append(self.sketch)
        self.before = max(scale.before for scale in scales)
        self.ahead = max(scale.ahead for scale in scales)
        self.kept.add("heard", 1, codec.channels, (self.before + self.ahead) * codec.hop)
        self.enter, self.norm, self.leave = codec.encoder[0], codec.encoder[2], codec.encoder[3]
        self.blocks = Blocks(codec.encoder[1], self.kept)
        self.latency = self.ahead + self.blocks.latency
        if codec.sketch is not None:
            self.kept.add("sketch", 1, self.blocks.latency, codec.config.sketch_size)
        self.register_buffer("codebooks", codec.quantizer.codebooks.detach().clone())

    def forward(self, audio: Tensor, state: Tensor, first: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        """Codes, and the state for the next call; arguments as :meth:`distill.export.speaking.SpeakingStream.forward`.

        The last position is filled up with silence, and silence follows it until ``latency`` more positions are given.
        """
        kept = self.kept.unpacked(state)
        around = window(kept, "heard", audio, 2)
        first = first - self.ahead
        x = self.enter(self._features(around)) * exists(first, self.positions, total)[None, :, None]
        latents = self.leave(self.norm(self.blocks(x, first, total, kept)))
        if self.sketch is not None:
            sketch = self.sketch(around, self.before, self.positions, kept)
            latents = torch.cat([latents, window(kept, "sketch", sketch, 1)[:, : self.positions]], dim=-1)
        codes = nearest(latents, self.get_buffer("codebooks"))[1]
        return codes, self.kept.packed(kept)

    def _features(self, audio: Tensor) -> Tensor:
        """What :class:`distill.models.vqvae.Features` gives, of the n positions after the first ``before``."""
        spectrum = self.fine(audio, self.before, self.positions)[..., self.fine_bins].clamp(min=1e-5).log10() + 2
        parts = [spectrum[:, :, :, 0].transpose(1, 2).flatten(2)]
        if audio.shape[1] == 2:
            audio = torch.cat([audio, swap_mid_side(audio)[:, 1:]], dim=1)
        for scale, filters in zip(self.scales, self.filters, strict=True):
            spectrum = (scale(audio, self.before, self.positions) @ filters).clamp(min=1e-5).log10() + 2
            parts.append(spectrum.transpose(1, 2).flatten(2))
        return torch.cat(parts, dim=-1)


class _Magnitude(nn.Module):
    """Magnitudes of the frames of some positions: ``[1, C, N] → [1, C, positions, frames a position, bins]``."""

    def __init__(self, taper: Tensor, frame_hop: int, bins: int, hop: int) -> None:
        super().__init__()
        self.frame_hop, self.hop, self.margin = frame_hop, hop, len(taper) // 2
        self.per = max(1, hop // frame_hop)
        self.before = -(-self.margin // hop)
        self.ahead = max(0, -(-(self.margin - frame_hop) // hop))
        self.register_buffer("taper", taper.clone())
        self.transform = RealDFT(len(taper), bins)

    def forward(self, audio: Tensor, before: int, positions: int) -> Tensor:
        frames, skip = positions * self.per, before * self.hop - self.margin
        grid = audio[..., skip : skip + (frames - 1) * self.frame_hop + 2 * self.margin].unflatten(
            -1, (-1, self.frame_hop)
        )
        pieces = 2 * self.margin // self.frame_hop
        framed = torch.cat([grid[:, :, place : place + frames] for place in range(pieces)], dim=-1)
        real, imaginary = self.transform(framed * self.get_buffer("taper"))
        return (real.square() + imaginary.square() + 1e-12).sqrt().unflatten(2, (positions, self.per))


class _Sketch(nn.Module):
    """:func:`distill.models.sketch.described` along a stream, and its projection: ``[1, C, N] → [1, positions, size]``."""

    def __init__(self, project: nn.Linear, head: ToneHead, kept: Kept) -> None:
        super().__init__()
        self.project, self.source = project, head
        self.margin, self.pieces = (head.window - head.hop) // 2, head.window // head.hop
        self.before = self.ahead = -(-self.margin // head.hop)
        self.transform = RealDFT(head.window, head.bins)
        kept.add("frame before", 1, head.channels, 1, 2 * head.bins)

    def forward(self, audio: Tensor, before: int, positions: int, kept: dict[str, Tensor]) -> Tensor:
        head = self.source
        skip = before * head.hop - self.margin
        grid = audio[..., skip : skip + (positions - 1) * head.hop + head.window].unflatten(-1, (-1, head.hop))
        framed = torch.cat([grid[:, :, place : place + positions] for place in range(self.pieces)], dim=-1)
        real, imaginary = self.transform(framed * head.get_buffer("taper"))  # [1, C, positions, K]
        own = head.get_buffer("own_advance")
        frames = window(kept, "frame before", torch.cat([real, imaginary], dim=-1), 2)
        real_before, imaginary_before = frames[:, :, :positions, : head.bins], frames[:, :, :positions, head.bins :]
        along = (real * real_before + imaginary * imaginary_before).sum(dim=1)
        across = (imaginary * real_before - real * imaginary_before).sum(dim=1)
        product = (along.square() + across.square()).sqrt()
        # The angle of nothing is 0.
        cosine = torch.where(product > 0, along / product.clamp(min=1e-30), 1.0)
        sine = across / product.clamp(min=1e-30)
        ahead = cosine * own.cos() + sine * own.sin(), sine * own.cos() - cosine * own.sin()
        return self.project(description((real.square() + imaginary.square()).sqrt(), product, *ahead))
