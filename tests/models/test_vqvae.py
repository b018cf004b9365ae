"""The codec: shapes, losslessness where it is promised, gradients."""

import math

import pytest
import torch

from distill.audio.distance import Magnitude, MultiScaleMel, overlap_add
from distill.models import ConvVQVAE, VQVAEConfig
from distill.models.vqvae import swap_mid_side


def tiny(**changes: int) -> ConvVQVAE:
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 24,
        "encoder_blocks": 1,
        "decoder_blocks": 1,
        "latent_size": 4,
        "codebook_size": 32,
        "sketch_size": 4,
    }
    model = ConvVQVAE(VQVAEConfig(**(sizes | changes)))
    model.quantizer.set_codebooks(torch.randn(model.num_quantizers, model.codebook_size, 8) * 0.3)
    return model


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("samples", [1, 1024, 5000])
def test_forward_keeps_the_length(channels: int, samples: int) -> None:
    model = tiny(channels=channels).eval()
    reconstruction, indices, commitment = model(torch.randn(2, channels, samples))
    assert reconstruction.shape == (2, channels, samples)
    assert indices.shape == (2, math.ceil(samples / 1024), 4)
    assert commitment.shape == ()


def test_decode_of_encode_is_the_forward_pass() -> None:
    """Guards against a preview that takes another path than the real output."""
    model = tiny().eval()
    audio = torch.randn(1, 1, 9 * 1024) * 0.1
    output = model(audio)
    assert torch.equal(model.encode(audio), output.indices)
    torch.testing.assert_close(model.decode(output.indices), output.reconstruction)


def test_commitment_reaches_the_encoder_from_every_level() -> None:
    """Guards against residuals that are not detached: then only level 1's loss reaches the encoder."""
    model = tiny().train()
    latents = torch.randn(2, 20, 8, requires_grad=True)
    _, _, commitment = model.quantizer(latents)
    for level in range(4):
        (gradient,) = torch.autograd.grad(commitment[level], latents, retain_graph=True)
        assert gradient.norm() > 1e-6, f"level {level}"


def test_reconstruction_loss_reaches_the_encoder() -> None:
    model = tiny().train()
    model(torch.randn(1, 1, 8 * 1024)).reconstruction.square().mean().backward()
    assert model.encoder[0].weight.grad is not None
    assert model.encoder[0].weight.grad.norm() > 0


def test_mid_side_is_its_own_inverse() -> None:
    audio = torch.randn(3, 2, 50)
    torch.testing.assert_close(swap_mid_side(swap_mid_side(audio)), audio)


def test_overlap_add_makes_constant_frames_constant() -> None:
    """Guards against amplitude ripple or fades at the ends from a wrong overlap-add."""
    taper = torch.hann_window(32)
    frames = taper.expand(2, 12, 32)
    summed = overlap_add(frames * taper, 8)
    assert summed.shape == (2, 11 * 8 + 32)
    inner = (summed / overlap_add(frames[0] * taper, 8).clamp(min=1e-6))[:, 12:-12]
    torch.testing.assert_close(inner, torch.ones(2, 12 * 8))
    # Frame f begins at sample 8 f, and no other frame is touched.
    one = torch.zeros(1, 12, 32)
    one[0, 3] = torch.arange(1.0, 33.0)
    assert torch.equal(overlap_add(one, 8)[0, 24:56], one[0, 3])
    assert overlap_add(one, 8).count_nonzero() == 32


@pytest.mark.parametrize("window", [32, 256])
def test_the_gradient_of_the_magnitudes_is_that_of_autograd(window: int) -> None:
    """Guards against a mistake in the hand-written gradient; the length is no multiple of the hop on purpose."""
    torch.manual_seed(0)
    magnitude = Magnitude(window, window // 4)
    audio = torch.randn(2, 2, 3 * window + 5, requires_grad=True)
    weights = torch.rand(2, 2, 1 + audio.shape[-1] // (window // 4), window // 2 + 1)
    (ours,) = torch.autograd.grad((magnitude(audio) * weights).sum(), audio)
    spectrum = torch.stft(
        audio.flatten(0, 1),
        window,
        window // 4,
        window=torch.hann_window(window),
        pad_mode="constant",
        return_complex=True,
    )
    plain = (spectrum.abs().square() + 1e-12).sqrt().transpose(1, 2).unflatten(0, (2, 2))
    torch.testing.assert_close(magnitude(audio), plain)
    (theirs,) = torch.autograd.grad((plain * weights).sum(), audio)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_distance_is_finite_in_silence() -> None:
    """Guards against NaN gradients from the root of zero in digital silence."""
    distance = MultiScaleMel(48_000)
    estimate = torch.zeros(1, 1, 4096, requires_grad=True)
    distance(estimate, torch.zeros(1, 1, 4096)).backward()
    assert estimate.grad is not None
    assert torch.isfinite(estimate.grad).all()


def test_random_scales_are_unbiased() -> None:
    """Guards against a loss weight applied twice: the mean over all pairs must be the full distance."""
    distance = MultiScaleMel(48_000)
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 1, 1, 8192, generator=generator)
    pairs = [(i, j) for i in range(7) for j in range(i)]
    mean = sum(float(distance(a, b, pair)) for pair in pairs) / len(pairs)
    assert mean == pytest.approx(float(distance(a, b)), rel=1e-4)


@pytest.mark.parametrize(("window", "bins"), [(32, 5), (512, 80), (2048, 320)])
def test_mel_filters_are_slaneys(window: int, bins: int) -> None:
    """Against librosa's, whose filters the published distance is defined with."""
    import librosa

    from distill.audio.distance import mel_filterbank

    theirs = torch.from_numpy(librosa.filters.mel(sr=48_000, n_fft=window, n_mels=bins)).T
    torch.testing.assert_close(mel_filterbank(48_000, window, bins), theirs, atol=1e-7, rtol=1e-5)


def test_nothing_sounds_above_the_bandwidth() -> None:
    torch.manual_seed(0)
    for bandwidth, above in ((6000.0, 1e-6), (24_000.0, 1e-3)):
        config = VQVAEConfig(
            hidden_size=16,
            encoder_blocks=1,
            decoder_blocks=1,
            latent_size=4,
            bandwidth=bandwidth,
            sketch_size=4,
        )
        codec = ConvVQVAE(config)
        codec.quantizer.set_codebooks(torch.randn(4, config.codebook_size, 8))
        audio = codec.decode(torch.randint(config.codebook_size, (1, 20, 4)))[0, 0].detach()
        power = torch.fft.rfft(audio * torch.hann_window(len(audio))).abs().square()
        share = power[round(6500 / 24_000 * len(power)) :].sum() / power.sum()  # bins of noise reach 375 Hz further
        assert (share < above) == (bandwidth == 6000.0)


def test_config_refuses_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="multiple"):
        VQVAEConfig(hop=1000)
