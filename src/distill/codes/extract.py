"""Audio to codes and back in bounded memory, and the code tensors that the prior trains on.

A convolutional codec looks at most ``context`` positions to either side. So a long file is coded in chunks that overlap by
that much, and of each chunk only the middle is kept:

    chunk 1   [=============|~~]
    chunk 2           [~~|=============|~~]          ~ context, computed and thrown away
    chunk 3                        [~~|=========]    = kept

Everything takes this path, short files as one chunk, so a preview and the real thing can never differ.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from distill.codes.views import View

CHUNK_POSITIONS = 512
"""Positions kept per chunk: about 11 s at the default rate."""


class Codec(Protocol):
    """What the prior, the editor and the command line need of a codec, and nothing else."""

    sample_rate: int
    hop: int
    frame_rate: float
    channels: int
    codebook_size: int
    num_quantizers: int

    @property
    def context(self) -> int:
        """Positions to either side that can change a position's codes or sound."""

    def encode(self, audio: Tensor) -> Tensor:
        """``[B, C, N] → [B, S, Q]``, ``S = ceil(N / hop)``."""

    def decode(self, codes: Tensor) -> Tensor:
        """``[B, S, Q] → [B, C, S·hop]``."""

    def decode_part(
        self,
        codes: Tensor,
        first: int,
        start: int,
        stop: int,
        held: Tensor | None = None,
        levels: Sequence[int] | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Positions ``start`` to ``stop`` of a longer sound, from codes ``[B, S, Q]`` that begin at ``first``; with ``levels``,
        of these alone."""


def encode_blocks(
    codec: Codec,
    blocks: Iterable[np.ndarray],
    device: torch.device | str = "cpu",
    chunk: int = CHUNK_POSITIONS,
) -> Tensor:
    """Encodes audio that comes in blocks of any size, float32 ``[C, n]``, into codes ``[S, Q]`` on the CPU.

    The result equals ``codec.encode`` of the whole; memory does not grow with the length (but for the codes themselves).
    """
    hop, context = codec.hop, codec.context
    pending = np.zeros((codec.channels, 0), np.float32)
    behind = 0  # positions at the start of `pending` that are context, already coded
    parts: list[Tensor] = []

    def code(audio: np.ndarray, keep: slice) -> None:
        batch = torch.from_numpy(np.ascontiguousarray(audio))[None].to(device)
        parts.append(codec.encode(batch)[0, keep].cpu())

    with torch.no_grad():
        for block in blocks:
            pending = np.concatenate([pending, block], axis=1)
            while pending.shape[1] > (behind + chunk + context) * hop:
                code(pending[:, : (behind + chunk + context) * hop], slice(behind, behind + chunk))
                kept_back = min(context, behind + chunk)
                pending = pending[:, (behind + chunk - kept_back) * hop :]
                behind = kept_back
        if pending.shape[1] > behind * hop:
            code(pending, slice(behind, None))
    return torch.cat(parts) if parts else torch.zeros(0, codec.num_quantizers, dtype=torch.int64)


def decode_chunks(
    codec: Codec, codes: Tensor, device: torch.device | str = "cpu", chunk: int = CHUNK_POSITIONS
) -> Iterator[np.ndarray]:
    """Decodes codes ``[S, Q]`` into blocks of audio, float32 ``[C, n]``, ``S·hop`` samples in all."""
    for audio, _ in decode_parts(codec, codes, 0, len(codes), device, chunk):
        yield audio


def decode_parts(
    codec: Codec,
    codes: Tensor,
    begin: int,
    end: int,
    device: torch.device | str = "cpu",
    chunk: int = CHUNK_POSITIONS,
    *,
    origin: int = 0,
    held: Tensor | None = None,
    levels: Sequence[int] | None = None,
) -> Iterator[tuple[np.ndarray, Tensor | None]]:
    """Decodes the positions ``begin`` to ``end`` of a sound, as they sound among the others.

    Args:
        codes: ``[S, Q]`` of the sound, or of as much of it as lies around these positions.
        origin: the position at which ``codes`` begin.
        held: what came with the last block of the part that ends at ``begin``; without it the phases of tones begin anew.
        levels: only these quantizer levels, as if the others added nothing.

    Yields:
        Audio, float32 ``[C, n]``, and what a part that begins at its end needs as ``held``.
    """
    context = codec.context
    for start in range(begin, end, chunk):
        first, stop = max(origin, start - context), min(end, start + chunk)
        with torch.no_grad():
            part = codes[None, first - origin : stop + context - origin].to(device)
            audio, held = codec.decode_part(part, first, start, stop, held, levels)
        yield audio[0].cpu().numpy(), held


def extract_code_sequences(
    codec: Codec,
    recordings: Sequence[Callable[[], Iterable[np.ndarray]]],
    seq_len: int,
    *,
    views: int = 1,
    transpose: float = 0.0,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Encodes every recording once per view and lays the codes out in sequences.

    Args:
        recordings: per recording a function that gives its audio in blocks, float32 ``[C, n]``.
        seq_len: positions a sequence; shortened when there are fewer in all.
        views: how many there are (``views.py``); the first is the recordings as they are.
        transpose: semitones up to which views are transposed, up and down.
        generator: decides the order of the recordings in each view.
        progress: called with (encodings done, encodings in all).

    Returns:
        int64 ``[views · ceil(S / seq_len), seq_len, Q]``, S being the positions of one view.
    """
    generator = generator or torch.Generator().manual_seed(0)
    sequences: list[Tensor] = []
    for number in range(views):
        coded: list[Tensor] = []
        for recording, blocks in enumerate(recordings):
            coded.append(encode_view(codec, blocks(), View.numbered(number, codec.hop, transpose), device))
            if progress is not None:
                progress(number * len(recordings) + recording + 1, views * len(recordings))
        sequences += laid_out(coded, seq_len, generator)
    # Views differ in length by what shift and pitch make of it, so a very short corpus can give different lengths.
    shortest = min(len(sequence) for sequence in sequences)
    return torch.stack([sequence[:shortest] for sequence in sequences])


def encode_view(codec: Codec, blocks: Iterable[np.ndarray], view: View, device: torch.device | str = "cpu") -> Tensor:
    """The codes ``[S, Q]`` of a recording, float32 ``[C, n]`` a block, as a view hears it."""
    return encode_blocks(codec, view.of(blocks, codec.channels, codec.sample_rate), device)


def laid_out(coded: Sequence[Tensor], seq_len: int, generator: torch.Generator) -> list[Tensor]:
    """Recordings as codes ``[S, Q]``, one after another in random order, cut into sequences ``[seq_len, Q]``.

    So the prior also learns what may follow an ending. Nothing is dropped: where the length is not a multiple, the last
    sequence overlaps the one before. Fewer positions in all than a sequence has are one shorter sequence.
    """
    line = torch.cat([coded[index] for index in torch.randperm(len(coded), generator=generator).tolist()])
    length = min(seq_len, len(line))
    starts = range(0, len(line), length) if length else range(0)
    return [line[start : start + length] for start in (min(start, len(line) - length) for start in starts)]
