"""TorchScript for nn~, which runs models in Max and Pure Data (https://github.com/acids-ircam/nn_tilde).

What nn~ asks of a model was read from its ``python_tools`` and ``src/backend/backend.cpp``: ``get_methods``, and for each
method a tensor ``NAME_params`` (channels in, samples a value in, channels out, samples a value out) and labels of inlets and
outlets. It calls a method with float32 ``[batch, channels, values]``, and never with less than the largest ratio, the hop;
other hosts call with whatever their buffer is.

    encode    audio  [B, C, n] → codes [B, Q, (n + held) // hop]    a channel a level, the codebook entry as a float
    decode    codes  [B, Q, n] → audio [B, C, n·hop]
    forward   audio  [B, C, n] → audio [B, C, n]

Samples that do not fill a position are held until the next call. From the first such call on ``forward`` is one position
later, so that it always has as many samples as it is given:

    given   [~~~~~~|~~~~~~|~~~~~~      buffers, of any length
    held    |==hop==|==hop==|~~~       what fills positions goes through the codec, the rest waits
    ready   [0…hop…0|==hop==|==hop==|  goes out by the length of the buffer

The streams take one position a call and are traced; the loop over positions and all that is kept from call to call is in
here, scripted. Each of the batch is a voice of its own."""

import statistics
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.jit._trace import TracerWarning

from distill.export.listening import ListeningStream
from distill.export.outcome import ENDLESS, Outcome, codes_to_try, decibels
from distill.export.speaking import SpeakingStream
from distill.export.special import OwnSpecials
from distill.files.atomic import make_folder, written_aside
from distill.files.names import reserving_exactly
from distill.making.threads import one_thread
from distill.models.model_file import Model
from distill.models.vqvae import ConvVQVAE

SUFFIX = ".ts"
BUFFER = 2048
"""Samples a call for which real time is measured."""
TIMED_CALLS = 16


class _NnTilde(nn.Module):
    """What TorchScript is made of; only its own attributes and methods are in the file."""

    encode_state: Tensor
    decode_state: Tensor
    forward_in_state: Tensor
    forward_out_state: Tensor
    encode_held: Tensor
    forward_held: Tensor
    forward_ready: Tensor
    _methods: list[str]
    _attributes: list[str]

    def __init__(self, codec: ConvVQVAE) -> None:
        super().__init__()
        listening, speaking = ListeningStream(codec, 1), SpeakingStream(codec, 1, OwnSpecials())
        self.hop, self.levels, self.channels = codec.hop, codec.num_quantizers, codec.channels
        self.endless, self.encoder_latency, self.decoder_latency = ENDLESS, listening.latency, speaking.latency
        audio, codes = torch.zeros(1, codec.channels, codec.hop), torch.zeros(1, 1, codec.num_quantizers).long()
        with _quietly():
            self.listening = _traced(listening, audio)
            self.speaking = _traced(speaking, codes)
        self.listening_size, self.speaking_size = listening.kept.size, speaking.kept.size
        for name in ("encode", "forward_in"):
            self.register_buffer(f"{name}_state", torch.zeros(1, self.listening_size))
        for name in ("decode", "forward_out"):
            self.register_buffer(f"{name}_state", torch.zeros(1, self.speaking_size))
        for name in ("encode_held", "forward_held", "forward_ready"):
            self.register_buffer(name, torch.zeros(1, codec.channels, 0))
        self.encode_at, self.decode_at, self.forward_at = 0, 0, 0
        self.forward_waits = False
        sides = [""] if codec.channels == 1 else [" left", " right"]
        sound = [f"(signal) audio{side}" for side in sides]
        numbers = [f"(signal) code of level {level + 1}" for level in range(codec.num_quantizers)]
        self._methods = []
        self._attributes = []
        self._offer("encode", sound, 1, numbers, codec.hop)
        self._offer("decode", numbers, codec.hop, sound, 1)
        self._offer("forward", sound, 1, sound, 1)

    def _offer(self, name: str, inlets: list[str], in_ratio: int, outlets: list[str], out_ratio: int) -> None:
        self.register_buffer(f"{name}_params", torch.tensor([len(inlets), in_ratio, len(outlets), out_ratio]))
        setattr(self, f"{name}_input_labels", inlets)
        setattr(self, f"{name}_output_labels", outlets)
        self._methods.append(name)

    @torch.jit.export
    def get_methods(self) -> list[str]:
        return self._methods

    @torch.jit.export
    def get_attributes(self) -> list[str]:
        return self._attributes

    @torch.jit.export
    def encode(self, x: Tensor) -> Tensor:
        if self.encode_state.shape[0] != x.shape[0]:
            self.encode_state, self.encode_at = torch.zeros(x.shape[0], self.listening_size), 0
            self.encode_held = torch.zeros(x.shape[0], self.channels, 0)
        x, self.encode_held = self._filled(self.encode_held, x)
        codes, self.encode_state = self._listened(x, self.encode_state, self.encode_at)
        self.encode_at += codes.shape[2]
        return codes

    @torch.jit.export
    def decode(self, x: Tensor) -> Tensor:
        if self.decode_state.shape[0] != x.shape[0]:
            self.decode_state, self.decode_at = torch.zeros(x.shape[0], self.speaking_size), 0
        audio, self.decode_state = self._spoken(x, self.decode_state, self.decode_at)
        self.decode_at += x.shape[2]
        return audio

    def forward(self, x: Tensor) -> Tensor:
        if self.forward_in_state.shape[0] != x.shape[0]:
            self.forward_in_state = torch.zeros(x.shape[0], self.listening_size)
            self.forward_out_state = torch.zeros(x.shape[0], self.speaking_size)
            self.forward_held = torch.zeros(x.shape[0], self.channels, 0)
            self.forward_ready = torch.zeros(x.shape[0], self.channels, 0)
            self.forward_at, self.forward_waits = 0, False
        count = x.shape[2]
        x, self.forward_held = self._filled(self.forward_held, x)
        codes, self.forward_in_state = self._listened(x, self.forward_in_state, self.forward_at)
        # The first codes are of before the beginning; the decoder is told so and is silent there.
        at = self.forward_at - self.encoder_latency
        audio, self.forward_out_state = self._spoken(codes, self.forward_out_state, at)
        self.forward_at += codes.shape[2]
        if self.forward_held.shape[2] > 0 and not self.forward_waits:
            self.forward_ready = torch.zeros(audio.shape[0], self.channels, self.hop)
            self.forward_waits = True
        ready = torch.cat([self.forward_ready, audio], dim=2)
        self.forward_ready = ready[:, :, count:].clone()
        return ready[:, :, :count]

    def _filled(self, held: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """What was held and what is new, ``[B, C, n]`` each: as much as fills positions, and the rest, to be held."""
        both = torch.cat([held, x], dim=2)
        end = both.shape[2] - both.shape[2] % self.hop
        return both[:, :, :end], both[:, :, end:].clone()

    def _listened(self, x: Tensor, state: Tensor, at: int) -> tuple[Tensor, Tensor]:
        """Audio ``[B, C, n·hop]`` to codes as floats ``[B, Q, n]``, and the states ``[B, size]``."""
        rows, states = [], []
        total = torch.full([1], self.endless, dtype=torch.long)
        for voice in range(x.shape[0]):
            own, row = state[voice : voice + 1], [torch.zeros(1, 0, self.levels, dtype=torch.long)]
            for place in range(x.shape[2] // self.hop):
                audio = x[voice : voice + 1, :, place * self.hop : (place + 1) * self.hop]
                first = torch.full([1], at + place, dtype=torch.long)
                codes, own = self.listening(audio, own, first, total)
                row.append(codes)
            rows.append(torch.cat(row, dim=1))
            states.append(own)
        return torch.cat(rows).transpose(1, 2).to(torch.float32), torch.cat(states)

    def _spoken(self, x: Tensor, state: Tensor, at: int) -> tuple[Tensor, Tensor]:
        """Codes as floats ``[B, Q, n]`` to audio ``[B, C, n·hop]``, and the states ``[B, size]``."""
        rows, states = [], []
        total = torch.full([1], self.endless, dtype=torch.long)
        codes = torch.round(x).to(torch.long).transpose(1, 2)
        for voice in range(x.shape[0]):
            own, row = state[voice : voice + 1], [torch.zeros(1, self.channels, 0)]
            for place in range(x.shape[2]):
                first = torch.full([1], at + place, dtype=torch.long)
                audio, own = self.speaking(codes[voice : voice + 1, place : place + 1], own, first, total)
                row.append(audio)
            rows.append(torch.cat(row, dim=2))
            states.append(own)
        return torch.cat(rows), torch.cat(states)


def export_nn_tilde(model: Model, path: Path) -> Outcome:
    """Writes one ``.ts`` file.

    Raises:
        OutputError: if ``path`` is taken, or the file system refuses.
    """
    codec = model.codec
    with torch.no_grad(), _quietly():
        scripted = torch.jit.script(_NnTilde(codec).eval())
    lateness = {"encode": scripted.encoder_latency, "decode": scripted.decoder_latency}
    lateness["forward"] = lateness["encode"] + lateness["decode"]
    make_folder(path.parent)
    with reserving_exactly(path), written_aside(path) as aside, torch.inference_mode():
        # Before it is tried: what it keeps from call to call is in the file. PyTorch, left to write it by itself, ends the
        # process where the disk is full, and takes no name that is not UTF-8.
        aside.write_bytes(scripted.save_to_buffer())
        null_db, equal = _null_test(scripted, codec, codes_to_try(model), lateness)
        spent, buffer = _milliseconds_a_buffer(scripted, codec)
    position, sounding = 1000 * codec.hop / codec.sample_rate, 1000 * buffer / codec.sample_rate
    return Outcome(
        path,
        null_db,
        equal,
        facts=(
            ("methods", "encode, decode, forward"),
            ("latency", ", ".join(f"{name} {count * position:.0f} ms" for name, count in lateness.items())),
            ("buffer", f"any; forward is {position:.0f} ms later where it is no multiple of {codec.hop} samples"),
            (
                "real time",
                f"forward takes {spent:.1f} ms of one core for {buffer} samples, which last {sounding:.1f} ms",
            ),
        ),
    )


def _null_test(scripted: Any, codec: ConvVQVAE, codes: Tensor, lateness: dict[str, int]) -> tuple[float, float]:
    """The difference of decoded sound in dB, and the share of equal codes.

    Its sounds have no end, so what is compared is the beginning of a sound that goes on.
    """
    count, hop = len(codes), codec.hop
    line = torch.cat([codes, codes.flip(0)])
    line = line.repeat(-(-(count + lateness["forward"]) // len(line)), 1)[: count + lateness["forward"]]
    whole = codec.decode(line[None])
    heard = scripted.encode(whole)[0, :, lateness["encode"] :].long()
    spoken = scripted.decode(line.T[None].float())[:, :, lateness["decode"] * hop :]
    known = codec.encode(whole)[0].T[:, :count]
    equal = float((heard[:, :count] == known).float().mean())
    return decibels(spoken[:, :, : count * hop], whole[:, :, : count * hop]), equal


def _milliseconds_a_buffer(scripted: Any, codec: ConvVQVAE) -> tuple[float, int]:
    """The middle one of many calls of ``forward``, on one core, and how many samples a call had."""
    samples = codec.hop * max(1, BUFFER // codec.hop)
    audio = 0.1 * torch.randn(1, codec.channels, samples, generator=torch.Generator().manual_seed(0))
    with one_thread():
        spent = []
        for _ in range(TIMED_CALLS):
            started = time.thread_time()  # of this core alone, whatever else the machine does
            scripted.forward(audio)
            spent.append(time.thread_time() - started)
    return 1000 * statistics.median(spent), samples


def _traced(stream: ListeningStream | SpeakingStream, given: Tensor) -> Any:
    """A stream for inputs of this shape alone."""
    state, first, total = torch.zeros(1, stream.kept.size), torch.tensor([0]), torch.tensor([ENDLESS])
    with torch.no_grad():
        return torch.jit.trace(stream.eval(), (given, state, first, total), check_trace=False)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the warnings that every shape is taken as it is, which is meant, and that TorchScript is no longer developed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=TracerWarning)
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        yield
