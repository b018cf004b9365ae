"""On which device training runs, and in which precision (Lightning Fabric)."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

import torch

from distill.errors import DeviceError, SettingError
from distill.models import ranks
from distill.training.arithmetic import Precision
from distill.training.plan import PriorPlan

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed"}
"""And ``16``, for which the loss is scaled (:func:`_half`)."""
HALF_DEVICES = ("cuda",)
"""Where ``16`` is computed. On a CPU, Lightning Fabric has bf16 alone."""
_GO_ON = {"bf16": "Go on with --device cpu.", "16": "Go on with --device cuda, where there is a GPU."}
"""What to do where a precision that is settled is not computed."""
_FIRST_SCALE = 2.0**14


def choose_device(device: str | torch.device = "auto") -> torch.device:
    """The device by name; ``auto`` takes CUDA, then Apple's MPS, then the CPU. With ``cpu`` no other device is looked for.

    One of PyTorch's devices is taken as its kind: which of several GPUs it is, is for each rank to say.

    Raises:
        DeviceError: if it is not on this machine.
    """
    kind = device.type if isinstance(device, torch.device) else device
    if kind == "cpu":
        return torch.device("cpu")
    available = {"cpu": True, "mps": torch.backends.mps.is_available(), "cuda": torch.cuda.is_available()}
    if kind == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if available[name]))
    if not isinstance(kind, str) or kind not in available:
        raise DeviceError(f"The device '{kind}' is unknown.", f"Choose one of {', '.join(['auto', *available])}.")
    if not available[kind]:
        present = [name for name, there in available.items() if there]
        raise DeviceError(
            f"The device '{kind}' is not on this machine (found: {', '.join(present)}).",
            "Use --device auto, or install the build of PyTorch made for that device.",
        )
    return torch.device(device)


def minutes_on_processor(plan: PriorPlan) -> float | None:
    """How long a prior trains on a processor, which decides how large it is to be; None on a GPU, or where no clock ends it."""
    return plan.minutes if choose_device(plan.device).type == "cpu" else None


def automatic_precision(device: str) -> Precision:
    """``bf16`` on a processor that multiplies in it (AVX512-BF16, AMX), where a training takes a fifth to a quarter more steps
    in the same time and each teaches as much (docs/scaling.md); 32 bits elsewhere."""
    if device != "cpu":
        return "32"
    # Older versions of PyTorch do not tell.
    capabilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return "bf16" if any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16")) else "32"


def make_fabric(device: str = "auto", precision: Precision = "32") -> "Fabric":
    """A Fabric on this rank's device of the asked-for kind.

    Raises:
        DeviceError: if the device is not on this machine, or does not compute in this precision.
        SettingError: if there is no such precision.
    """
    from lightning_fabric import Fabric  # takes seconds to import, so only training pays for it

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it would say on stderr which precision it uses
    kind = choose_device(device).type
    precision = precision_on(kind, precision)
    devices: Any = [ranks.own_device()] if kind == "cuda" and ranks.world_size() > 1 else 1
    if precision == "16":
        return Fabric(accelerator=kind, devices=devices, plugins=[_half(kind)])
    return Fabric(accelerator=kind, devices=devices, precision=PRECISIONS[precision])


def precision_on(kind: str, precision: Precision, *, is_settled: bool = False) -> Precision:
    """The precision that a device of this kind trains in when it is asked for this one.

    Args:
        is_settled: whether it is that of a training that goes on: then only another device can be chosen.

    Raises:
        DeviceError: if it does not compute in it.
        SettingError: if there is no such precision.
    """
    if precision not in (known := get_args(Precision)):
        raise SettingError(f"The precision {precision!r} is unknown.", f"Choose one of {', '.join(map(repr, known))}.")
    if precision == "auto":
        return automatic_precision(kind)
    if precision != "32" and kind == "mps":
        fix = _GO_ON[precision] if is_settled else "Use --precision 32."
        raise DeviceError(f"The device 'mps' does not train in {precision}.", fix)
    if precision == "16" and kind not in HALF_DEVICES:
        raise DeviceError(
            f"The device '{kind}' does not train in 16; of half precision it has bf16.",
            _GO_ON[precision] if is_settled else "Use --precision bf16, or --device cuda where there is a GPU.",
        )
    return precision


def _half(kind: str) -> Any:
    """16 bits with few of them for the exponent: the loss is scaled up, so that small gradients are not lost, and a step whose
    gradients overflow is left out and halves the scale. A training that is resumed finds the scale anew."""
    from lightning_fabric.plugins.precision import MixedPrecision

    class Half(MixedPrecision):  # type: ignore[misc]
        is_unscaled = False

        def backward(self, tensor: torch.Tensor, model: torch.nn.Module | None, *args: Any, **kwargs: Any) -> None:
            if self.is_unscaled:  # the last gradients made no step, of which the scaler has to be told before the next
                self.scaler.update()
                self.is_unscaled = False
            super().backward(tensor, model, *args, **kwargs)

        def unscale_gradients(self, optimizer: torch.optim.Optimizer) -> None:
            # Fabric's own refuses fused optimizers, which since PyTorch 2.1 know that gradients are unscaled already.
            self.scaler.unscale_(optimizer)
            self.is_unscaled = True

        def optimizer_step(self, optimizer: Any, **kwargs: Any) -> Any:
            self.is_unscaled = False
            return super().optimizer_step(optimizer, **kwargs)

    return Half("16-mixed", kind, torch.amp.GradScaler(kind, init_scale=_FIRST_SCALE))
