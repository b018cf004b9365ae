"""What each code sounds like, in terms that no codec needs to be known for.

Codes of two codecs have nothing in common: entry 17 is a kick in one and a flute in the other. What they *stand for* can be
compared: the codebook vectors of a position, added up, say nearly linearly how loud its bands and semitones are. So the map
from the one to the other, fitted to a few minutes of recordings, gives every entry a description, and what was learned about
sounds in the codes of one codec can be used in those of another (``models/base_prior.py``). By the same kind of map new audio
keeps a beat (``making/beat.py``).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from distill.audio.distance import LogMel
from distill.audio.files import SAMPLE_RATE
from distill.audio.split import Passage
from distill.models.vqvae import ConvVQVAE

HALVES = 2
"""A position is described in so many parts: whether a sound begins early or late in it."""
BANDS = 40
"""Mel bands of each part."""
LOWEST_HZ, SEMITONES = 65.4, 72
"""The semitones whose levels are heard, from the C two octaves below the middle one on."""
LONG_WINDOW = 8192
"""Samples in which two neighbouring semitones can be told apart from two octaves below the middle C on."""
SIZE = HALVES * BANDS + SEMITONES
"""Numbers that describe a position."""

MOST_SECONDS = 240.0
"""So much of the recordings is listened to at most."""
_SHRINKING = 0.01
_QUIET = 1e-3
_WIDTH = 0.5
"""Of the bell with which a semitone's neighbourhood is weighed, in semitones."""


class Description:
    """How a sound sounds at each code position: the levels of mel bands in both halves of it, and of semitones around it."""

    def __init__(self, hop: int) -> None:
        self.hop = hop
        self._bands = LogMel(SAMPLE_RATE, 2 * hop, hop // HALVES, BANDS)
        hertz = torch.fft.rfftfreq(LONG_WINDOW, 1 / SAMPLE_RATE).clamp(min=1.0)
        centres = LOWEST_HZ * 2 ** (torch.arange(SEMITONES) / 12)
        bells = torch.exp(-0.5 * (12 * torch.log2(hertz[:, None] / centres) / _WIDTH).square())
        self._semitones = bells / bells.sum(dim=0)
        self._taper = torch.hann_window(LONG_WINDOW)

    def __call__(self, audio: Tensor) -> Tensor:
        """Mono audio ``[N] →`` one description for every whole position in it, ``[S, SIZE]``."""
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
    """The linear map from a position's codebook vectors ``[C]``, added up, to a description of it ``[D]``: ``[C + 1, D]``.

    Fitted to parts of the passages and their codes ``[S, Q]`` (:func:`least_squares`). Empty where no passage is as long as a
    position.

    Args:
        describe: gives the descriptions ``[S, D]`` of mono audio ``[N]``.
    """
    vectors, wanted = [], []
    share = min(1.0, MOST_SECONDS / sum(passage.seconds for passage in passages))
    for passage, coded in zip(passages, codes, strict=True):
        samples = min(passage.samples, max(codec.hop, round(share * passage.samples)))
        described = describe(torch.from_numpy(passage.read(0, samples, codec.channels).mean(axis=0)))
        count = min(len(described), len(coded), samples // codec.hop)
        vectors.append(_vectors(codec, coded[:count]))
        wanted.append(described[:count])
    if not any(map(len, vectors)):
        return torch.zeros(0, 0)
    return least_squares(torch.cat(vectors), torch.cat(wanted))


def least_squares(vectors: Tensor, wanted: Tensor) -> Tensor:
    """The linear map ``[C + 1, D]`` from ``[n, C]`` to ``[n, D]``, a little shrunk. The last row is added."""
    x, y = vectors.double(), wanted.double()
    x_mean, y_mean = x.mean(dim=0), y.mean(dim=0)
    square = (x - x_mean).T @ (x - x_mean)
    least = _SHRINKING * float(square.diagonal().mean()) + 1e-9
    slope = torch.linalg.solve(square + least * torch.eye(len(square)), (x - x_mean).T @ (y - y_mean))
    return torch.cat([slope, (y_mean - x_mean @ slope)[None]]).float()


def entries_heard(codebooks: Tensor, table: Tensor) -> Tensor:
    """What each entry of the codebooks ``[Q, K, C]`` adds to a description, beside its level's others, by the linear map
    ``[C + 1, D]``: ``[Q, K, D]``."""
    return (codebooks - codebooks.mean(dim=1, keepdim=True)) @ table[:-1]


def _vectors(codec: ConvVQVAE, codes: Tensor) -> Tensor:
    """The codebook vectors of the codes ``[S, Q]``, added up: ``[S, C]``."""
    codebooks = codec.quantizer.codebooks.cpu()
    return torch.stack([codebooks[level][codes[:, level].long()] for level in range(codes.shape[1])]).sum(dim=0)
