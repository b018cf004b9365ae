"""The voice of tones and noise: pitch that lasts, noise that is no buzz, the same samples however they are decoded."""

import numpy as np
import pytest
import torch
from torch import Tensor

from distill.codes.extract import decode_chunks, encode_blocks
from distill.models import ConvVQVAE, VQVAEConfig
from distill.models.draws import normal, uniform
from distill.models.noise import Noise, NoiseHead
from distill.models.subsonic import SubsonicFilter
from distill.models.tones import ToneHead, Tones, von_mises_loss

RATE, HOP = 48_000, 1024


def tiny(channels: int = 1, hop: int = HOP) -> ConvVQVAE:
    torch.manual_seed(0)
    config = VQVAEConfig(
        channels=channels, hop=hop, hidden_size=24, encoder_blocks=1, decoder_blocks=2, latent_size=8,
        sketch_size=0, codebook_size=32,
    )  # fmt: skip
    codec = ConvVQVAE(config)
    codec.quantizer.set_codebooks(torch.randn(4, 32, 8))
    torch.nn.init.normal_(codec.decoder[2].tones.spectrum.weight, std=0.4)
    return codec.eval()


def sine(hertz: float, seconds: float = 1.5, level: float = 0.1) -> Tensor:
    return (
        level * torch.sin(2 * torch.pi * hertz * torch.arange(int(seconds * RATE) // HOP * HOP).double() / RATE).float()
    )


def taught(audio: Tensor, surely: float) -> tuple[ToneHead, Tones]:
    """The head, and what a perfect network would say of the sound ``[C, N]``."""
    head = ToneHead(8, len(audio), HOP, RATE, 24_000.0).eval()
    heard = head.frames(audio[None])
    now, before = heard[:, :, 1:], heard[:, :, :-1]
    advance = (now * before.conj()).sum(1).angle() - head.get_buffer("own_advance")
    difference = None
    if len(audio) == 2:
        ahead = (now[:, 0] * now[:, 1].conj()).angle()
        difference = surely * torch.stack([ahead.cos(), ahead.sin()], dim=1)
    level = now.abs().clamp(min=1e-6).log()
    gain = torch.zeros(1, 2, level.shape[2] * 16)
    return head, Tones(level, surely * torch.stack([advance.cos(), advance.sin()], dim=1), difference, gain)


def spoken(head: ToneHead, tones: Tones) -> Tensor:
    positions = torch.arange(tones.log_magnitude.shape[2])[None]
    return head.synthesise(tones, positions)[0][0].detach()


def pitch_of(audio: Tensor) -> float:
    spectrum = torch.fft.rfft(audio * torch.hann_window(len(audio)), n=1 << 20).abs()
    return float(spectrum.argmax()) * RATE / (1 << 20)


@pytest.mark.parametrize("hertz", [110.0, 440.0, 1003.7, 3520.0])
def test_a_tone_keeps_its_pitch_to_a_cent(hertz: float) -> None:
    """Guards against tones bent to multiples of the position rate, 46.9 Hz."""
    out = spoken(*taught(sine(hertz)[None], surely=1e4))[0, RATE // 4 : -RATE // 4]
    assert abs(1200 * np.log2(pitch_of(out) / hertz)) < 1
    assert abs(float(out.square().mean().sqrt()) / (0.1 * 0.5**0.5) - 1) < 0.1


def test_what_is_unsure_becomes_noise_as_loud() -> None:
    torch.manual_seed(1)
    noise = 0.1 * torch.randn(1, 3 * RATE // HOP * HOP)
    out = spoken(*taught(noise, surely=0.0))[0]
    low = torch.fft.rfft(noise[0])
    low[int(5000 / RATE * len(noise[0])) :] = 0
    loudness = torch.fft.irfft(low).square().mean()
    assert 0.6 < float(out.square().mean() / loudness) < 1.7
    moves = out.unfold(0, 240, 120).square().mean(1).log()
    spectrum = torch.fft.rfft((moves - moves.mean()) * torch.hann_window(len(moves))).abs().square()
    place = round(46.9 * len(moves) * 120 / RATE)
    assert spectrum[place - 2 : place + 3].mean() < 3 * spectrum[place - 40 : place + 40].median()


def test_stereo_tones_stand_where_they_stood() -> None:
    """Left at 440 Hz, right at 660 Hz, and each side's own level."""
    audio = torch.stack([sine(440.0), 0.3 * sine(660.0)])
    out = spoken(*taught(audio, surely=1e4))[:, RATE // 4 : -RATE // 4]
    assert abs(pitch_of(out[0]) - 440) < 0.5
    assert abs(pitch_of(out[1]) - 660) < 0.5
    assert 2.5 < float(out[0].norm() / out[1].norm()) < 4


def test_a_closed_gain_silences() -> None:
    head, tones = taught(sine(440.0)[None], surely=1e4)
    gain = tones.log_gain.clone()
    gain[..., : gain.shape[-1] // 2] = -20
    out = spoken(head, tones._replace(log_gain=gain))[0]
    middle = len(out) // 2
    assert out[: middle - 96].abs().max() < 0.01 * out[middle + 96 :].abs().max()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("chunk", [1, 5, 16, 33])
def test_decoding_in_chunks_is_decoding_whole(channels: int, chunk: int) -> None:
    """Guards against tones that begin anew, and draws that repeat, with every chunk."""
    codec = tiny(channels)
    codes = torch.randint(0, 32, (60, 4), generator=torch.Generator().manual_seed(3))
    whole = codec.decode(codes[None])[0].detach().numpy()
    parts = np.concatenate(list(decode_chunks(codec, codes, chunk=chunk)), axis=1)
    np.testing.assert_allclose(parts, whole, atol=1e-4)
    assert np.abs(whole).max() > 0.05


@pytest.mark.parametrize("hop", [256, 512, 2048])
def test_other_hops_decode_in_chunks_too(hop: int) -> None:
    codec = tiny(hop=hop)
    codes = torch.randint(0, 32, (90, 4), generator=torch.Generator().manual_seed(3))
    whole = codec.decode(codes[None])[0].detach().numpy()
    assert whole.shape == (1, 90 * hop)
    np.testing.assert_allclose(np.concatenate(list(decode_chunks(codec, codes, chunk=11)), axis=1), whole, atol=1e-4)
    audio = 0.1 * torch.randn(1, 90 * hop, generator=torch.Generator().manual_seed(1))
    assert torch.equal(encode_blocks(codec, [audio.numpy()], chunk=13), codec.encode(audio[None])[0])


def test_the_same_codes_give_the_same_samples() -> None:
    """Whatever was drawn before: a piece decoded again must match its copy on disk."""
    codec = tiny()
    codes = torch.randint(0, 32, (1, 20, 4))
    first = codec.decode(codes)
    torch.manual_seed(99)
    torch.rand(7)
    assert torch.equal(codec.decode(codes), first)


def test_one_position_can_be_decoded_alone() -> None:
    assert tiny().decode(torch.zeros(1, 1, 4, dtype=torch.int64)).shape == (1, 1, HOP)


def test_draws_hang_on_their_place_alone() -> None:
    whole = uniform(torch.arange(100), 50, stream=2)
    assert torch.equal(uniform(torch.arange(40, 60), 50, stream=2), whole[40:60])
    assert not torch.equal(uniform(torch.arange(100), 50, stream=3), whole)
    assert whole.min() > 0
    assert whole.max() < 1
    drawn = normal(torch.arange(400), 500, stream=0)
    assert abs(float(drawn.mean())) < 0.01
    assert abs(float(drawn.std()) - 1) < 0.01
    centred = (drawn - drawn.mean()) / drawn.std()
    assert abs(float((centred[1:] * centred[:-1]).mean())) < 0.01
    assert abs(float((centred[:, 1:] * centred[:, :-1]).mean())) < 0.01


@pytest.mark.parametrize("bits", [0, -1])
def test_no_draw_is_infinite(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against the largest of the numbers rounded up to 1: training met it once in two hundred steps."""
    monkeypatch.setattr("distill.models.draws._mixed", lambda keys: torch.full_like(keys, bits))
    assert torch.isfinite(normal(torch.arange(3), 2, stream=0)).all()


def test_noise_of_silent_levels_is_silent() -> None:
    head = NoiseHead(8, 1, HOP, RATE, 24_000.0)
    torch.nn.init.constant_(head.levels.bias, -14.0)
    assert head.synthesise(head(torch.zeros(1, 20, 8)), torch.arange(20)[None]).abs().max() < 1e-6


def test_noise_of_both_channels_is_as_alike_as_said() -> None:
    head = NoiseHead(8, 2, HOP, RATE, 24_000.0)
    assert head.alike is not None
    for said, wanted in ((9.0, 1.0), (-1.0, 0.0), (-9.0, -1.0)):
        torch.nn.init.constant_(head.alike.bias, said)
        left, right = head.synthesise(head(torch.zeros(1, 60, 8)), torch.arange(60)[None]).detach()[0]
        alike = float((left * right).sum() / (left.norm() * right.norm()))
        assert abs(alike - wanted) < 0.05


@pytest.mark.parametrize("channels", [1, 2])
def test_told_levels_of_noise_are_compared_with_the_recording(channels: int) -> None:
    """Guards against a buzz: by spectra alone the network told levels that rose and fell at fixed places of each position."""
    torch.manual_seed(0)
    head = NoiseHead(8, channels, HOP, RATE, 24_000.0)
    noise = head(torch.zeros(1, 80, 8))
    noise = Noise(
        torch.full_like(noise.log_level, -1.0), None if channels == 1 else torch.zeros_like(noise.correlation)
    )
    recording = head.synthesise(noise, torch.arange(500, 580)[None])
    exact = float(head.losses(noise, recording))
    flutter = torch.ones(noise.log_level.shape[2])
    flutter[::4] = -3.0
    buzz = float(head.losses(noise._replace(log_level=noise.log_level + flutter[:, None]), recording))
    assert exact < 0.6 < buzz


def test_likelihood_is_best_at_the_truth_and_surer_where_it_is_sure() -> None:
    angle = torch.full((1, 50), 0.7)

    def loss(at: float, kappa: float) -> float:
        eta = kappa * torch.tensor([np.cos(at), np.sin(at)], dtype=torch.float32)[None, :, None].expand(1, 2, 50)
        return float(von_mises_loss(eta, angle).mean())

    assert loss(0.7, 10.0) < loss(0.7, 1.0) < loss(0.0, 0.0) < loss(2.0, 10.0)


def test_nothing_below_hearing_is_left_and_music_stays() -> None:
    """Guards against decoded audio with an offset: `distill check` complained about Distill's own output."""
    subsonic = SubsonicFilter(RATE)
    time = torch.arange(4 * RATE // 256 * 256) / RATE
    for hertz, low, high in ((0.0, 0, 1e-3), (10.0, 0, 0.02), (19.0, 0, 0.03), (30.0, 0.95, 1.05), (200.0, 0.99, 1.01)):
        out = subsonic(torch.cos(2 * torch.pi * hertz * time)[None])[0, RATE:-RATE]
        scale = 1.0 if hertz == 0 else 0.5**0.5
        assert low <= float(out.square().mean().sqrt()) / scale <= high, hertz


def test_a_sine_is_as_loud_everywhere_in_a_frame() -> None:
    """Guards against bins around a peak that are flatter than a sine's: in one phase they swell in the middle of each frame."""
    audio = sine(1003.0, level=0.3)[None]
    head, tones = taught(audio, 100.0)
    flat = tones.log_magnitude.amax(dim=-1, keepdim=True).expand_as(tones.log_magnitude)
    near = (torch.arange(head.bins) - round(1003.0 * head.window / RATE)).abs() <= 2
    told = tones._replace(log_magnitude=torch.where(near, flat, tones.log_magnitude))
    told.log_magnitude[..., round(1003.0 * head.window / RATE)] += 0.01
    middle = spoken(head, told)[0, 8 * HOP : -8 * HOP].unflatten(0, (-1, HOP // 8)).square().mean(dim=1)
    head.shaped = lambda level, *_: level  # type: ignore[method-assign]
    before = spoken(head, told)[0, 8 * HOP : -8 * HOP].unflatten(0, (-1, HOP // 8)).square().mean(dim=1)
    assert 10 * float((middle.max() / middle.min()).log10()) < 1.2
    assert 10 * float((before.max() / before.min()).log10()) > 1.5
