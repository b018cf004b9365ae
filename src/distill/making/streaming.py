"""Streams new audio while it is drawn: playback starts before the prior has finished.

    codes     ████████████████████░░░░░░      drawn so far; the prior goes on
    sound     ██████████████~~~~              what lies a codec's context behind the newest code is settled

It is the sound that :func:`distill.making.sampling.generate` makes of the same seed in the codec's voice.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from distill.codes.extract import decode_parts
from distill.codes.layout import positions_in
from distill.making.beat import beat_of_openings
from distill.making.drawing import Drawing, Sampling, Steering
from distill.making.openings import Openings
from distill.making.sampling import Generation, check_request, positions_for
from distill.making.threads import one_thread_on_cpu
from distill.models.model_file import Model

PART_SECONDS = 0.51
"""How much is given at once."""


def stream(
    model: Model, seconds: float, sampling: Sampling | None = None, seed: int = 0, part: int | None = None
) -> Iterator[np.ndarray]:
    """One new piece in parts, float32 ``[C, n]``, ``round(seconds · sample_rate)`` samples in all.

    Args:
        part: positions that are given at once; half a second's if not given.

    Raises:
        MissingPriorError: if the model has no prior; as everything here, with the first part.
        SettingError: if a setting is out of range.
    """
    codec, sampling = model.codec, sampling or Sampling()
    part = part or positions_in(PART_SECONDS, codec.frame_rate)
    positions = positions_for(model, seconds)
    piece = Generation(torch.zeros(0, codec.num_quantizers), seconds, seed, sampling, codec.sample_rate)
    total, done, decoded = round(seconds * codec.sample_rate), 0, 0
    held: Tensor | None = None
    for codes in drawn(model, seconds, sampling, seed, part):
        stop = positions if len(codes) == positions else max(decoded, len(codes) - codec.context)
        while decoded < stop:
            end = min(stop, decoded + part)
            origin = max(0, decoded - codec.context)
            parts = decode_parts(
                codec, codes[origin:], decoded, end, model.device, max(1, end - decoded), origin=origin, held=held
            )
            ((audio, held),) = parts
            audio = audio[:, : total - done]
            yield audio * piece.fades(done, done + audio.shape[1], total)
            done, decoded = done + audio.shape[1], end


def drawn(model: Model, seconds: float, sampling: Sampling, seed: int = 0, part: int | None = None) -> Iterator[Tensor]:
    """The codes of one new piece drawn so far ``[S, Q]`` on the CPU, longer each time, whole at last.

    Args:
        part: by how many positions longer; half a second's if not given.

    Raises:
        MissingPriorError: if the model has no prior; as everything here, with the first codes.
        SettingError: if a setting is out of range.
    """
    check_request(seconds, 1)
    device = next(model.require_prior().parameters()).device
    part = part or positions_in(PART_SECONDS, model.codec.frame_rate)
    sampling.check_levels(model.codec.num_quantizers)
    positions = positions_for(model, seconds)
    generator = torch.Generator().manual_seed(seed)
    with torch.inference_mode(), one_thread_on_cpu(device):
        openings = Openings(model)
        before = openings.before(seed)
        prompt = torch.cat([before, openings.codes([seed])])[None].to(device)
        beat = beat_of_openings(model, openings, [seed], positions)
        steering = Steering.of(model, beat, openings.silent).after(len(before))
        drawing = Drawing(model.require_prior(), prompt, positions - 1, sampling, steering, unheard=len(before))
        drawing.begin(None)
    while True:
        with torch.inference_mode(), one_thread_on_cpu(device):
            for _ in range(min(part, len(before) + positions - drawing.done)):
                drawing.next_position([generator])
        yield drawing.codes[0, len(before) : drawing.done].cpu()
        if drawing.done == len(before) + positions:
            return
