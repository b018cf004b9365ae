"""Audio to codes and back in bounded memory, and codes cut into sequences.

A convolutional codec sees at most ``context`` positions to either side. So a long file is processed in chunks that overlap by
that much, and only the middle of each chunk is kept:

    chunk 1   [=============|~~]
    chunk 2           [~~|=============|~~]          ~ context, computed and thrown away
    chunk 3                        [~~|=========]    = kept

Everything takes this path, short files as a single chunk, so a preview never differs from the final output.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from distill.codes.views import View
from distill.errors import CorpusError, SettingError
from distill.models.vqvae import ConvVQVAE

CHUNK_POSITIONS = 512
"""Positions kept per chunk: about 11 s at the default rate."""


def encode_blocks(
    codec: ConvVQVAE,
    blocks: Iterable[np.ndarray],
    device: torch.device | str = "cpu",
    chunk: int = CHUNK_POSITIONS,
) -> Tensor:
    """Encodes audio in blocks of any size, float32 ``[C, n]``, into codes int64 ``[S, Q]`` on the CPU.

    The result equals ``codec.encode`` of the whole; apart from the codes, memory does not grow with the length.
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
    codec: ConvVQVAE, codes: Tensor, device: torch.device | str = "cpu", chunk: int = CHUNK_POSITIONS
) -> Iterator[np.ndarray]:
    """Decodes codes ``[S, Q]`` into blocks of audio, float32 ``[C, n]``, ``S·hop`` samples in all."""
    for audio, _ in decode_parts(codec, codes, 0, len(codes), device, chunk):
        yield audio


def decode_parts(
    codec: ConvVQVAE,
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
    """Decodes positions ``begin`` to ``end`` of a longer sound, exactly as they sound within it.

    Args:
        codes: ``[S, Q]`` of the sound, or of these positions and ``context`` around them.
        origin: the position of ``codes[0]``.
        held: phases that came with the last block of the part before; without them, tones start at random phases.
        levels: quantizer levels to decode, as if the others added nothing; all if not given.

    Yields:
        Audio, float32 ``[C, n]``, and the phases ``held`` for a part that begins at its end.
    """
    context = codec.context
    for start in range(begin, end, chunk):
        first, stop = max(origin, start - context), min(end, start + chunk)
        with torch.no_grad():
            part = codes[None, first - origin : stop + context - origin].to(device)
            audio, held = codec.decode_part(part, first, start, stop, held, levels)
        yield audio[0].cpu().numpy(), held


def extract_code_sequences(
    codec: ConvVQVAE,
    recordings: Sequence[Callable[[], Iterable[np.ndarray]]],
    seq_len: int,
    *,
    views: int = 1,
    transpose: float = 0.0,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Encodes every recording once per view and cuts the codes into sequences, for a model of one's own that learns from codes.

    (``train_prior`` keeps the codes instead, and cuts them anew in every epoch: ``training/prior_data.py``.)

    Args:
        recordings: for each recording, a function that returns its audio in blocks, float32 ``[C, n]``.
        seq_len: positions of a sequence; fewer if there are fewer in all.
        views: number of views (augmentations, ``views.py``); the first is the recordings as they are.
        transpose: three of four views are transposed by up to so many semitones, up or down.
        generator: decides the order of the recordings in each view.
        progress: called with (encodings done, total).

    Returns:
        int64 ``[views · ceil(S / seq_len), seq_len, Q]`` with S positions in a view.

    Raises:
        SettingError: if sequences have no position, or there is no view.
        CorpusError: if there is no recording, or no sound in any.
    """
    if seq_len < 1 or views < 1:
        raise SettingError(
            f"There are no sequences of {seq_len} positions in {views} views.", "Ask for 1 or more of both."
        )
    generator = generator or torch.Generator().manual_seed(0)
    sequences: list[Tensor] = []
    for number in range(views):
        coded: list[Tensor] = []
        for recording, blocks in enumerate(recordings):
            coded.append(encode_view(codec, blocks(), View.numbered(number, codec.hop, transpose), device))
            if progress is not None:
                progress(number * len(recordings) + recording + 1, views * len(recordings))
        if not any(map(len, coded)):
            raise CorpusError("There is no sound to encode.", "Add recordings, or longer ones.")
        sequences += laid_out(coded, seq_len, generator)
    # Shift and transposition change a view's length, so a very short corpus can give sequences of different lengths.
    shortest = min(len(sequence) for sequence in sequences)
    return torch.stack([sequence[:shortest] for sequence in sequences])


def encode_view(
    codec: ConvVQVAE, blocks: Iterable[np.ndarray], view: View, device: torch.device | str = "cpu"
) -> Tensor:
    """The codes ``[S, Q]`` of one view of a recording, whose audio comes in blocks, float32 ``[C, n]``."""
    return encode_blocks(codec, view.of(blocks, codec.channels, codec.sample_rate), device)


def laid_out(coded: Sequence[Tensor], seq_len: int, generator: torch.Generator) -> list[Tensor]:
    """Concatenates recordings, as codes ``[S, Q]``, in random order and cuts them into sequences ``[seq_len, Q]``.

    So the prior also learns what may follow an ending. Nothing is dropped: the last sequence overlaps the one before if the
    length is not a multiple of ``seq_len``, and too few positions make one shorter sequence.
    """
    line = torch.cat([coded[index] for index in torch.randperm(len(coded), generator=generator).tolist()])
    length = min(seq_len, len(line))
    starts = range(0, len(line), length) if length else range(0)
    return [line[start : start + length] for start in (min(start, len(line) - length) for start in starts)]
