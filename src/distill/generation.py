"""New audio: the prior draws codes, the codec makes them sound.

Any length: the prior sees the last ``context`` tokens. When the window is full it is moved on by half and its cache built anew
from the codes themselves, so each token is drawn exactly as a full forward pass over its window would draw it, memory
stays flat, and nothing ever starts over from silence.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from distill.codes.extract import decode_chunks
from distill.errors import SettingError
from distill.models.model_file import Model
from distill.models.prior import CodePrior
from distill.recall import Recall

MIN_SECONDS, MAX_SECONDS = 0.5, 600.0
MAX_COUNT = 64


@dataclass(frozen=True)
class Sampling:
    """How codes are drawn. ``top_k`` 0 and ``top_p`` 1 leave the distribution whole; ``temperature`` 0 takes the likeliest."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 0.95
    share: float = 0.5
    longest: float = 1.0
    jump: float = 0.05
    stay: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 5:
            raise SettingError(
                f"The temperature {self.temperature} is out of range.",
                "Choose one from 0 to 5; 1 is natural.",
            )
        if self.top_k < 0:
            raise SettingError(f"top-k {self.top_k} is out of range.", "Choose 0 (all codes) or more.")
        if not 0 < self.top_p <= 1:
            raise SettingError(
                f"top-p {self.top_p} is out of range.", "Choose a share above 0 and up to 1, such as 0.95."
            )


@dataclass(frozen=True)
class Generation:
    """One new piece: its codes ``[S, Q]``, and what is needed to make it again."""

    codes: Tensor
    seconds: float
    seed: int
    sampling: Sampling
    sample_rate: int

    def blocks(self, model: Model) -> Iterator[np.ndarray]:
        """The sound, float32 ``[C, n]`` a block, ``round(seconds · sample_rate)`` samples in all."""
        device = next(model.codec.parameters()).device
        left = round(self.seconds * self.sample_rate)
        for block in decode_chunks(model.codec, self.codes, device):
            yield block[:, :left]
            left -= block.shape[1]
            if left <= 0:
                return

    def audio(self, model: Model) -> np.ndarray:
        """The sound as one array, float32 ``[C, N]``."""
        return np.concatenate(list(self.blocks(model)), axis=1)


def check_request(seconds: float, count: int) -> None:
    """Refuses a length or a number of pieces that cannot be made.

    Raises:
        SettingError: if one of them is out of range.
    """
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise SettingError(
            f"{seconds:g} seconds cannot be made.", f"Ask for {MIN_SECONDS} to {MAX_SECONDS:.0f} seconds a piece."
        )
    if not 1 <= count <= MAX_COUNT:
        raise SettingError(f"{count} pieces cannot be made at once.", f"Ask for 1 to {MAX_COUNT}.")


def generate(
    model: Model,
    seconds: float = 10.0,
    count: int = 1,
    sampling: Sampling | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Generation]:
    """``count`` new pieces of ``seconds`` each, drawn as one batch; piece ``i`` has seed ``seed + i``.

    Args:
        progress: called with (positions drawn, positions in all).

    Raises:
        MissingPriorError: if the model has no prior.
        SettingError: if a setting is out of range.
    """
    check_request(seconds, count)
    prior, openings = model.require_prior()
    sampling = sampling or Sampling()
    codec = model.codec
    positions = -(-round(seconds * codec.sample_rate) // codec.hop)
    seeds = [seed + index for index in range(count)]
    codes = sample_codes(prior, openings, positions, sampling, seeds, progress)
    return [
        Generation(piece, seconds, piece_seed, sampling, codec.sample_rate)
        for piece, piece_seed in zip(codes, seeds, strict=True)
    ]


@torch.inference_mode()
def sample_codes(
    prior: CodePrior,
    openings: Tensor,
    positions: int,
    sampling: Sampling,
    seeds: Sequence[int],
    progress: Callable[[int, int], None] | None = None,
    recall: Recall | None = None,
) -> Tensor:
    """Draws codes ``[B, positions, Q]``, one stream a seed, each with its own generator.

    A stream opens with the first position of a random recording (``openings [n, Q]``): a fiftieth of a second that makes it begin
    as a recording begins, not anywhere.
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    first = [openings[torch.randint(len(openings), (), generator=generator)] for generator in generators]
    opening = torch.stack(first)[:, None]
    new = continue_codes(prior, opening, positions - 1, sampling, generators, progress, recall)
    return torch.cat([opening.cpu(), new], dim=1)


@torch.inference_mode()
def continue_codes(
    prior: CodePrior,
    prompt: Tensor,
    positions: int,
    sampling: Sampling,
    generators: Sequence[torch.Generator],
    progress: Callable[[int, int], None] | None = None,
    recall: Recall | None = None,
) -> Tensor:
    """What follows the codes ``prompt [B, P, Q]``: ``[B, positions, Q]``, each stream drawn with its own generator."""
    q, context = prior.config.num_quantizers, prior.config.context // prior.config.num_quantizers
    device = next(prior.parameters()).device
    b, given, _ = prompt.shape
    codes = torch.cat([prompt, prompt.new_zeros(b, positions, q)], dim=1).to(device)
    run, playing = torch.zeros(b, dtype=torch.int64), torch.full((b,), -1)
    longest = max(1, round(sampling.longest * 46.875))
    with _one_thread(device):
        start = max(0, given - context // 2)
        cache = prior.new_cache(b)
        logits = prior(codes[:, start:given].flatten(1), cache)[:, -1]
        for index in range(given, given + positions):
            uniform = torch.stack([torch.rand(q + 2, generator=generator) for generator in generators]).to(device)
            borrowed = None
            if recall is not None:
                borrowed, place = _borrow(recall, cache.hidden, playing, run, longest, sampling, uniform[:, q:])
            for level in range(q):
                drawn = draw(logits, sampling, uniform[:, level])
                if borrowed is not None:
                    drawn = torch.where(borrowed, recall.codes[place, level], drawn)
                codes[:, index, level] = drawn
                if level == q - 1 and index + 1 - start == context:
                    # Full: keep the newest half, and look at it anew as windows are looked at in training.
                    start = index + 1 - context // 2
                    cache = prior.new_cache(b)
                    logits = prior(codes[:, start : index + 1].flatten(1), cache)[:, -1]
                else:
                    logits = prior(drawn[:, None], cache)[:, -1]
            if borrowed is not None:
                run = torch.where(borrowed, torch.where(place == playing + 1, run + 1, 1), 0)
                playing = torch.where(borrowed, place, -1)
            if progress is not None:
                progress(index + 1, given + positions)
    return codes[:, given:].cpu()


def _borrow(recall, hidden, playing, run, longest, sampling, uniform):
    similarity, places = recall.candidates(hidden, playing, run, longest)
    weight = (similarity / sampling.jump).softmax(dim=-1)
    chosen = torch.searchsorted(weight.cumsum(-1), uniform[:, :1] * weight.sum(-1, keepdim=True)).clamp(max=weight.shape[1] - 1)
    place = places.gather(1, chosen)[:, 0]
    # going on is free where allowed
    onward = (playing >= 0) & (run < longest) & (playing + 1 < len(recall.codes))
    onward = onward & (recall.source[(playing + 1).clamp(max=len(recall.codes) - 1)] == recall.source[playing.clamp(min=0)])
    stay = onward & (uniform[:, 0] < sampling.stay)
    place = torch.where(stay, playing + 1, place)
    return uniform[:, 1] < sampling.share, place


@contextmanager
def _one_thread(device: torch.device) -> Iterator[None]:
    """One token at a time is too little work to share: on a CPU two threads are slower than one (measured, up to 10 times)."""
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def draw(logits: Tensor, sampling: Sampling, uniform: Tensor) -> Tensor:
    """One token a stream from logits ``[B, K]``, by the numbers ``uniform [B]`` in 0..1: ``[B]``.

    Top-k keeps the k likeliest, top-p (nucleus sampling, Holtzman et al. 2020, arXiv:1904.09751) the fewest that hold p of
    the probability. The draw inverts the cumulative distribution, so one number decides it, the same in any batch.
    """
    if sampling.temperature == 0:
        return logits.argmax(dim=-1)
    probability, order = (logits / sampling.temperature).softmax(dim=-1).sort(dim=-1, descending=True)
    if sampling.top_k:
        probability[:, sampling.top_k :] = 0
    if sampling.top_p < 1:
        total = probability.sum(dim=-1, keepdim=True)
        before = probability.cumsum(dim=-1) - probability
        probability = probability.masked_fill(before >= sampling.top_p * total, 0)
    cumulative = probability.cumsum(dim=-1)
    target = uniform[:, None] * cumulative[:, -1:]
    # Rounding may carry the target past the last code that is left; it must not land on one that was cut off.
    last = (probability > 0).sum(dim=-1, keepdim=True) - 1
    chosen = torch.minimum(torch.searchsorted(cumulative, target, right=True), last)
    return order.gather(1, chosen)[:, 0]
