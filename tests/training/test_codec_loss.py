"""What a codec is trained by: each part reaches what it is meant for."""

import numpy as np
import pytest
import torch

from distill.models import ConvVQVAE, VQVAEConfig
from distill.training.codec_loss import CodecLoss

SIZES = {
    "hidden_size": 16,
    "encoder_blocks": 1,
    "decoder_blocks": 1,
    "latent_size": 4,
    "sketch_size": 4,
    "codebook_size": 16,
}


def parts_of(codec: ConvVQVAE, audio: torch.Tensor) -> dict[str, torch.Tensor]:
    output, predicted = codec.forward_with_predicted(audio, quantize=False)
    return CodecLoss(48_000)(codec, output.reconstruction, predicted, audio, np.random.default_rng(0))


@pytest.mark.parametrize("channels", [1, 2])
def test_the_likelihood_teaches_how_phases_advance(channels: int) -> None:
    """Guards against phases that no loss reaches: they are drawn, and a draw has no gradient."""
    torch.manual_seed(0)
    codec = ConvVQVAE(VQVAEConfig(channels=channels, **SIZES)).train()
    head, bins = codec.decoder[2].tones, codec.decoder[2].tones.bins
    audio = 0.1 * torch.randn(2, channels, 8 * 1024)
    parts_of(codec, audio)["phases"].backward()
    gradient = head.spectrum.weight.grad.unflatten(0, (-1, bins)).abs().sum(dim=(1, 2))
    assert (gradient[:channels] == 0).all()  # magnitudes are the spectra's business
    assert (gradient[channels:] > 0).all()
    assert codec.encoder[0].weight.grad.norm() > 0


def test_spectra_teach_magnitudes_and_gains() -> None:
    torch.manual_seed(0)
    codec = ConvVQVAE(VQVAEConfig(**SIZES)).train()
    parts = parts_of(codec, 0.1 * torch.randn(2, 1, 8 * 1024))
    assert set(parts) == {"reconstruction", "bins", "phases", "noise"}
    parts["reconstruction"].backward()
    head = codec.decoder[2]
    for weight in (head.tones.spectrum.weight, head.tones.gain.weight, head.noise.levels.weight):
        assert weight.grad.norm() > 0
    assert torch.isfinite(head.tones.spectrum.weight.grad).all()


@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_told_of_each_bin_is_compared_with_the_recording(channels: int) -> None:
    """Guards against partials that blur: spectra of drawn phases are too noisy to learn from where a partial stands."""
    codec = ConvVQVAE(VQVAEConfig(channels=channels, **SIZES)).train()
    head = codec.decoder[2].tones
    audio = 0.1 * torch.randn(1, channels, 8 * 1024)
    _, predicted = codec.forward_with_predicted(audio, quantize=False)
    truth = head.frames(audio)[:, :, 1:].abs().log()
    exact, _ = head.losses(predicted.tones._replace(log_magnitude=truth), head.targets(audio))
    louder, _ = head.losses(predicted.tones._replace(log_magnitude=truth + 0.5), head.targets(audio))
    assert float(exact) < 1e-4
    assert abs(float(louder) - 0.5) < 1e-4


def test_silence_gives_finite_gradients() -> None:
    """Guards against angles and logarithms of nothing."""
    codec = ConvVQVAE(VQVAEConfig(channels=2, **SIZES)).train()
    torch.stack(list(parts_of(codec, torch.zeros(1, 2, 8 * 1024)).values())).sum().backward()
    gradients = {name: weight.grad for name, weight in codec.named_parameters() if weight.grad is not None}
    assert {"decoder.2.tones.spectrum.weight", "decoder.2.noise.levels.weight"} <= gradients.keys()
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
