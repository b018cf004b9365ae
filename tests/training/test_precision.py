"""Half precision: the same losses but for rounding, in all three loops."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

import small_distill
from distill.errors import DeviceError, SettingError
from distill.models import ConvVQVAE, PriorConfig
from distill.recordings.corpus import import_corpus
from distill.settings import resumed_settings, run_settings
from distill.training import device, train_prior, train_vqvae
from distill.training.adversarial import refine_decoder
from distill.training.codec_loss import CodecLoss
from distill.training.loop_state import gradients
from distill.training.plan import CodecPlan, Plan, PriorPlan, RefinementPlan

CONFIG = small_distill.codec_config(codebook_size=16)
PRIOR = PriorConfig(codebook_size=32, hidden_size=16, num_layers=1, num_heads=2, context=64)
PLANS: dict[str, Plan] = {
    "codec": CodecPlan(
        epochs=1,
        batch_size=8,  # of two windows, the few codes that rounding changes move the loss by a fifth
        least_steps=4,
        continuous_steps=2,
        validation_windows=1,
        device="cpu",
        from_scratch=True,
    ),
    "refinement": RefinementPlan(
        epochs=1,
        batch_size=1,
        least_steps=3,
        discriminator_width=4,
        window_positions=16,
        validation_windows=1,
        device="cpu",
    ),
    "prior": PriorPlan(epochs=1, batch_size=4, least_steps=3, views=1, device="cpu"),
}


def losses(kind: str, precision: str, folder: Path, model_path: Path) -> list[float]:
    found: list[float] = []

    def tell(event: Any) -> None:
        if type(event).__name__.endswith("StepMetrics"):
            found.append(getattr(event, "train_loss", None) or event.mel_loss)

    plan: Any = dataclasses.replace(PLANS[kind], precision=precision)
    if kind == "codec":
        train_vqvae(folder, CONFIG, tell, plan=plan)
    elif kind == "refinement":
        torch.manual_seed(0)
        codec = ConvVQVAE(CONFIG).eval()
        codec.quantizer.set_codebooks(torch.randn(4, 16, 8) * 0.3)
        refine_decoder(codec, import_corpus(folder), plan, tell)
    else:
        train_prior(model_path, folder, PRIOR, tell, plan=plan)
    return found


@pytest.fixture(scope="module")
def in_32_bits() -> dict[str, list[float]]:
    """The losses that each kind of training had in 32 bits; both kinds of half precision are compared with the same ones."""
    return {}


@pytest.mark.parametrize("precision", ["bf16", "16"])
@pytest.mark.parametrize("kind", PLANS)
def test_half_precision_trains_as_32_bits_do(
    kind: str,
    precision: str,
    in_32_bits: dict[str, list[float]],
    small_corpus: Path,
    model_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On the CPU for once: 16 bits are slow there and are offered on GPUs alone, but the arithmetic is the same."""
    monkeypatch.setattr(device, "HALF_DEVICES", ("cpu",))
    if kind not in in_32_bits:
        in_32_bits[kind] = losses(kind, "32", small_corpus, model_path)
    whole, half = in_32_bits[kind], losses(kind, precision, small_corpus, model_path)
    assert half == pytest.approx(whole, rel=0.1)
    assert half != whole, "it was computed in 32 bits"


@pytest.mark.parametrize("kind", ["codec", "refinement"])
def test_losses_are_computed_in_32_bits(
    kind: str, small_corpus: Path, model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against squares and roots of what the decoder predicts in 16 bits, with two digits of the phases' likelihood."""
    given: set[torch.dtype] = set()
    compute = CodecLoss.forward

    def seen(self: CodecLoss, codec: Any, estimate: torch.Tensor, predicted: Any, *rest: Any) -> Any:
        numbers = [estimate, *predicted.tones, *predicted.noise, *(predicted.targets or ())]
        given.update(one.dtype for one in numbers if one is not None)
        return compute(self, codec, estimate, predicted, *rest)

    monkeypatch.setattr(CodecLoss, "forward", seen)
    losses(kind, "bf16", small_corpus, model_path)
    assert given == {torch.float32}


def test_16_bits_on_a_device_that_has_bf16_alone() -> None:
    with pytest.raises(DeviceError, match="'cpu' does not train in 16; of half precision it has bf16"):
        device.make_fabric("cpu", "16")


@pytest.mark.parametrize(
    ("kind", "precision", "where"),
    [("mps", "bf16", "--device cpu"), ("mps", "16", "--device cuda"), ("cpu", "16", "--device cuda")],
)
def test_what_goes_on_elsewhere_is_told_where_it_can(
    kind: str, precision: Any, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against the advice to give --precision, which --resume refuses."""
    monkeypatch.setattr(device, "choose_device", lambda *_: torch.device(kind))
    with pytest.raises(DeviceError) as begun:
        run_settings(None, 1.0, "auto", 1.0, precision)
    assert "--precision" in begun.value.fix
    with pytest.raises(DeviceError) as resumed:
        resumed_settings(3, None, 1.0, "auto", precision)
    assert where in resumed.value.fix
    assert "--precision" not in resumed.value.fix


def test_a_gradient_that_overflows_is_left_out_and_halves_the_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a roll-back for every scale that was tried too high."""
    monkeypatch.setattr(device, "HALF_DEVICES", ("cpu",))
    fabric = device.make_fabric("cpu", "16")
    layer = torch.nn.Linear(1, 1)
    model, optimizer = fabric.setup(layer, torch.optim.AdamW(layer.parameters(), fused=True))
    before, scale = layer.weight.detach().clone(), fabric.strategy.precision.scaler.get_scale()
    loss = 1e36 * model(torch.ones(1, 1)).float().sum()
    assert gradients(loss, model, optimizer, fabric), "it was taken for a loss that is not finite"
    optimizer.step()
    assert torch.equal(layer.weight, before)
    assert fabric.strategy.precision.scaler.get_scale() == scale / 2
    assert gradients(model(torch.ones(1, 1)).float().sum(), model, optimizer, fabric)
    optimizer.step()
    assert not torch.equal(layer.weight, before)


@pytest.mark.parametrize(("factor", "halved"), [(1.0, 1), (1e36, 2)])
def test_16_bits_go_on_after_a_step_that_is_left_out(
    factor: float, halved: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a training that the first roll-back ends with "unscale_() has already been called"."""
    monkeypatch.setattr(device, "HALF_DEVICES", ("cpu",))
    fabric = device.make_fabric("cpu", "16")
    layer = torch.nn.Linear(1, 1, bias=False)
    model, optimizer = fabric.setup(layer, torch.optim.SGD(layer.parameters(), lr=1.0))
    before, scale = layer.weight.detach().clone(), fabric.strategy.precision.scaler.get_scale()
    gradients(factor * model(torch.ones(1, 1)).float().sum(), model, optimizer, fabric)  # and training goes back
    assert gradients(model(torch.full((1, 1), 0.5)).float().sum(), model, optimizer, fabric)
    optimizer.step()
    assert fabric.strategy.precision.scaler.get_scale() == scale / halved
    assert (before - layer.weight).item() == pytest.approx(0.5), "the gradient is in another scale than the loss"


@pytest.mark.parametrize(
    ("kind", "capabilities", "bits"),
    [
        ("cpu", {"avx512_bf16": True}, "bf16"),
        ("cpu", {"amx_bf16": True, "avx512_bf16": False}, "bf16"),
        ("cpu", {"avx512_f": True, "avx512_bf16": False}, "32"),
        ("cpu", {}, "32"),
        ("mps", {"avx512_bf16": True}, "32"),
        ("cuda", {"avx512_bf16": True}, "32"),
    ],
)
def test_auto_takes_bf16_where_the_processor_multiplies_in_it(
    kind: str, capabilities: dict[str, bool], bits: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere a processor computes bf16 by way of 32 bits, and takes longer."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert device.automatic_precision(kind) == bits


def test_auto_is_32_bits_where_pytorch_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert device.automatic_precision("cpu") == "32"


def test_auto_trains_in_what_it_takes(small_corpus: Path, model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "automatic_precision", lambda kind: "bf16")
    chosen, asked_for = (losses("prior", bits, small_corpus, model_path) for bits in ("auto", "bf16"))
    assert chosen == asked_for


def test_half_precision_says_nothing_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    """Guards against a line of the library's on stderr, between those of the command."""
    caplog.set_level(logging.INFO)
    logging.getLogger("lightning_fabric").setLevel(logging.INFO)  # as it is when it has just been imported
    device.make_fabric("cpu", "bf16")
    assert not caplog.records


def test_a_precision_that_there_is_not() -> None:
    """Guards against a KeyError, and against a 16 that is no text."""
    for odd in ("fp16", 16):
        with pytest.raises(
            SettingError, match=f"precision {odd!r} is unknown. Choose one of 'auto', '32', 'bf16', '16'"
        ):
            device.make_fabric("cpu", odd)  # type: ignore[arg-type]
