"""Descriptions of what each code sounds like, comparable between codecs.

Codes of two codecs have nothing in common: entry 17 is a kick in one and a flute in the other. Their sounds can be compared,
though: the levels of bands and semitones at a position are nearly a linear function of the sum of its codebook vectors. That
linear map, fitted to a few minutes of recordings, gives every entry a description, so what was learned in the codes of one
codec can be used in those of another (``models/base_prior.py``). The same kind of map lets new audio keep a beat
(``making/beat.py``).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from distill.audio.distance import LogMel
from distill.audio.mixing import mono
from distill.audio.rate import SAMPLE_RATE
from distill.models.vqvae import ConvVQVAE
from distill.recordings.passages import Passage

HALVES = 2
"""Parts of a position that are described separately: whether a sound begins early or late in it."""
BANDS = 40
"""Mel bands of each part."""
LOWEST_HZ, SEMITONES = 65.4, 72
"""Lowest of the semitones whose levels are described, the C two octaves below middle C, and their number."""
LONG_WINDOW = 8192
"""Samples of the window for semitones: long enough to separate neighbours from two octaves below middle C on."""
SIZE = HALVES * BANDS + SEMITONES
"""Numbers that describe a position."""

MOST_SECONDS = 240.0
"""At most this much of the recordings is described."""
_SHRINKING = 0.01
_QUIET = 1e-3
_WIDTH = 0.5
"""Standard deviation, in semitones, of the Gaussian that weights the bins around a semitone."""


class Description:
    """Describes audio at each code position: log levels of mel bands in both halves of it, and of semitones around it."""

    def __init__(self, hop: int) -> None:
        self.hop = hop
        self._bands = LogMel(SAMPLE_RATE, 2 * hop, hop // HALVES, BANDS)
        hertz = torch.fft.rfftfreq(LONG_WINDOW, 1 / SAMPLE_RATE).clamp(min=1.0)
        centres = LOWEST_HZ * 2 ** (torch.arange(SEMITONES) / 12)
        bells = torch.exp(-0.5 * (12 * torch.log2(hertz[:, None] / centres) / _WIDTH).square())
        self._semitones = bells / bells.sum(dim=0)
        self._taper = torch.hann_window(LONG_WINDOW)

    def __call__(self, audio: Tensor) -> Tensor:
        """Mono audio ``[N] →`` a description of every whole position, ``[S, SIZE]``."""
        count = len(audio) // self.hop
        if not count:
            return audio.new_zeros(0, SIZE)
        bands = self._bands(audio[None, None])[0, 0, : HALVES * count].reshape(count, HALVES * BANDS)
        early = (LONG_WINDOW - self.hop) // 2
        around = torch.nn.functional.pad(audio, (early, LONG_WINDOW)).unfold(0, LONG_WINDOW, self.hop)[:count]
        semitones = torch.fft.rfft(around * self._taper).abs() @ self._semitones
        return torch.cat([bands, semitones.clamp(min=_QUIET).log()], dim=1)


def linear_map(
    codec: ConvVQVAE,
    passages: Sequence[Passage],
    codes: Sequence[Tensor],
    describe: Callable[[Tensor], Tensor],
) -> Tensor:
    """The affine map ``[C + 1, D]`` from the sum of a position's codebook vectors ``[C]`` to its description ``[D]``.

    Fitted to parts of the passages and their codes ``[S, Q]`` by :func:`least_squares`; empty if every passage is shorter than
    a position.

    Args:
        describe: returns the descriptions ``[S, D]`` of mono audio ``[N]``.
    """
    vectors, wanted = [], []
    share = min(1.0, MOST_SECONDS / sum(passage.seconds for passage in passages))
    for passage, coded in zip(passages, codes, strict=True):
        samples = min(passage.samples, max(codec.hop, round(share * passage.samples)))
        described = describe(torch.from_numpy(mono(passage.read(0, samples, codec.channels))[0]))
        count = min(len(described), len(coded), samples // codec.hop)
        vectors.append(summed(codec.quantizer.codebooks.cpu(), coded[:count]))
        wanted.append(described[:count])
    if not any(map(len, vectors)):
        return torch.zeros(0, 0)
    return least_squares(torch.cat(vectors), torch.cat(wanted))


def least_squares(vectors: Tensor, wanted: Tensor) -> Tensor:
    """Ridge regression: the affine map ``[C + 1, D]`` from ``[n, C]`` to ``[n, D]``, whose last row is the offset."""
    x, y = vectors.double(), wanted.double()
    x_mean, y_mean = x.mean(dim=0), y.mean(dim=0)
    square = (x - x_mean).T @ (x - x_mean)
    least = _SHRINKING * float(square.diagonal().mean()) + 1e-9
    slope = torch.linalg.solve(square + least * torch.eye(len(square)), (x - x_mean).T @ (y - y_mean))
    return torch.cat([slope, (y_mean - x_mean @ slope)[None]]).float()


def entry_descriptions(codebooks: Tensor, table: Tensor) -> Tensor:
    """What each entry of the codebooks ``[Q, K, C]`` adds to a description, relative to the mean of its level, by the map
    ``[C + 1, D]``: ``[Q, K, D]``."""
    return (codebooks - codebooks.mean(dim=1, keepdim=True)) @ table[:-1]


def summed(tables: Tensor, codes: Tensor) -> Tensor:
    """What the codes of each position add up to, by a table of what each entry adds: ``[Q, K, …]`` and codes ``[…, Q]`` of any
    integer type, on one device, give ``[…, …]``."""
    entries = tables[torch.arange(codes.shape[-1], device=codes.device), codes.long()]
    return entries.sum(dim=codes.ndim - 1)
