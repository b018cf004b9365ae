"""The codec as a stream says what the codec says in one pass, and its parts what PyTorch says."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from distill.export.dft import InverseDFT, RealDFT
from distill.export.listening import ListeningStream
from distill.export.outcome import decibels
from distill.export.prior_step import PriorStep
from distill.export.speaking import SpeakingStream
from distill.export.special import FittedSpecials, OwnSpecials
from distill.making.drawing import Sampling, continue_codes
from distill.models import ConvVQVAE, Model
from distill.models.draws import normal, uniform


def streamed(stream: SpeakingStream | ListeningStream, line: Tensor, count: int, size: int, axis: int) -> Tensor:
    """A whole sound (or its codes) through a stream, ``size`` values a position along ``axis``."""
    n, state, parts = stream.positions, torch.zeros(1, stream.kept.size), []
    for first in range(0, count + stream.latency, n):
        part = line.narrow(axis, first * size, n * size)
        given, state = stream(part, state, torch.tensor([first]), torch.tensor([count]))
        parts.append(given)
    return torch.cat(parts, dim=3 - axis if isinstance(stream, SpeakingStream) else 1)


@pytest.mark.parametrize(("channels", "hop", "kernel"), [(1, 1024, 3), (2, 512, 5), (1, 2048, 3), (1, 256, 5)])
@pytest.mark.parametrize("specials", [OwnSpecials(), FittedSpecials()], ids=["own", "fitted"])
def test_a_stream_is_the_codec_in_parts(
    channels: int, hop: int, kernel: int, specials: OwnSpecials, make_model: Callable[..., Model]
) -> None:
    """Guards against what only the ends, or the seams between calls, would show."""
    codec = make_model(channels, hop, kernel_size=kernel).codec
    count = 20
    codes = torch.randint(0, 32, (1, count, 3), generator=torch.Generator().manual_seed(3))
    whole = codec.decode(codes)
    speaking = SpeakingStream(codec, 3, specials)
    line = torch.nn.functional.pad(codes, (0, 0, 0, speaking.latency + 3), value=7)
    late = speaking.latency * hop
    spoken = streamed(speaking, line, count, 1, 1)[:, :, late : late + count * hop]
    assert decibels(spoken, whole) < -100
    assert float(whole.abs().max()) > 0.01

    listening = ListeningStream(codec, 3)
    audio = torch.nn.functional.pad(whole, (0, (listening.latency + 3) * hop))
    heard = streamed(listening, audio, count, hop, 2)[:, listening.latency :][:, :count]
    assert torch.equal(heard, codec.encode(whole))


def test_fourier_transforms() -> None:
    generator = torch.Generator().manual_seed(0)
    for samples, bins in ((4096, 426), (256, 129), (4608, 480)):
        spectrum = torch.randn(2, bins, dtype=torch.complex64, generator=generator)
        full = torch.nn.functional.pad(spectrum, (0, samples // 2 + 1 - bins))
        assert (
            decibels(InverseDFT(samples, bins)(spectrum.real, spectrum.imag), torch.fft.irfft(full, n=samples)) < -120
        )
        audio = torch.randn(2, samples, generator=generator)
        real, imaginary = RealDFT(samples, bins)(audio)
        wanted = torch.view_as_real(torch.fft.rfft(audio)[:, :bins])
        assert decibels(torch.stack([real, imaginary], dim=-1), wanted) < -120


def test_the_same_draws_without_shifts_and_exclusive_or() -> None:
    """Guards against noise and phases that are others in an export: not a bit of a draw may differ."""
    positions = torch.tensor([[-3, 0, 1, 77, 46_875, 1 << 31]])
    for stream in range(5):
        assert torch.equal(FittedSpecials().uniform(positions, 300, stream), uniform(positions, 300, stream))
    difference = FittedSpecials().normal(positions, 300, 0) - normal(positions, 300, 0)
    assert float(difference.abs().max()) < 2e-6


def test_fitted_functions() -> None:
    kappa = torch.cat([torch.linspace(1e-4, 50, 2000), torch.logspace(1, 6, 2000)])
    difference = FittedSpecials().resultant(kappa) - OwnSpecials().resultant(kappa)
    assert float(difference.abs().max()) < 2e-6
    nothing = torch.zeros(1)
    assert float(FittedSpecials().angle(nothing, nothing)) == 0


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(0.7, top_p=0.8), Sampling((0.0, 1.0, 1.3), top_p=1.0)])
def test_the_step_of_the_prior_draws_what_sampling_draws(sampling: Sampling, make_model: Callable[..., Model]) -> None:
    """The same numbers, the same codes, past the point where the context is full."""
    prior = make_model().prior
    assert prior is not None
    torch.nn.init.normal_(prior.heads, std=1.0)
    prompt = torch.tensor([[[3, 1, 4]]])
    wanted = continue_codes(prior, prompt, 30, sampling, [torch.Generator().manual_seed(5)])[0]
    numbers, step = torch.Generator().manual_seed(5), PriorStep(prior)
    temperature = torch.tensor([[sampling.temperature_of(level) for level in range(3)]])
    rest = (temperature, torch.tensor([sampling.top_p]))
    bias, half = torch.zeros(1, 32), torch.full((1, 3), 0.5)

    def heard(line: list[Tensor]) -> tuple[Tensor, int]:
        state = torch.zeros(1, step.size)
        for place, codes in enumerate([torch.full((1, 3), -1), *line]):
            _, _, state = step(codes, state, torch.tensor([place]), bias, half, *rest)
        return state, len(line) + 1

    line = [prompt[0]]
    state, place = heard([])
    for _ in range(30):
        if place == step.places:
            state, place = heard(line[-(step.places // 2) : -1])
        uniform = torch.rand(3, generator=numbers)[None]
        drawn, _, state = step(line[-1], state, torch.tensor([place]), bias, uniform, *rest)
        line.append(drawn)
        place += 1
    assert torch.equal(torch.cat(line[1:]), wanted)


@pytest.mark.parametrize("top_p", [0.0, -1.0])
def test_the_likeliest_code_is_always_left(top_p: float, make_model: Callable[..., Model]) -> None:
    """Guards against the least likely codes where a page has nothing, or 0, for top-p: place -1 of what is left is the last."""
    prior = make_model().prior
    assert prior is not None
    step, ones = PriorStep(prior), torch.ones(1, 3)
    state, bias = torch.zeros(1, step.size), torch.arange(32.0)[None]
    drawn, logits, _ = step(-ones.long(), state, torch.tensor([0]), bias, 0.5 * ones, ones, torch.tensor([top_p]))
    assert torch.equal(drawn, logits.argmax(dim=-1))


def test_a_codec_with_an_end_is_silent_after_it(make_model: Callable[..., Model]) -> None:
    codec: ConvVQVAE = make_model().codec
    speaking = SpeakingStream(codec, 16, OwnSpecials())
    state, codes = torch.zeros(1, speaking.kept.size), torch.ones(1, 16, 3, dtype=torch.int64)
    for first in (0, 16):
        audio, state = speaking(codes, state, torch.tensor([first]), torch.tensor([4]))
    silent_from = (4 + speaking.latency - 16) * codec.hop
    assert not audio[:, :, max(0, silent_from) :].any()
