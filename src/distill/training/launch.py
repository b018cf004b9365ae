"""Where training runs: device and precision, by way of Lightning Fabric."""

from typing import TYPE_CHECKING

import torch

from distill.errors import DeviceError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

DEVICES = ("auto", "cpu", "mps", "cuda")


def choose_device(device: str = "auto") -> torch.device:
    """The device by name; ``auto`` takes CUDA, then Apple's MPS, then the CPU. With ``cpu`` no other device is looked for.

    Raises:
        DeviceError: if it is not on this machine.
    """
    if device == "cpu":
        return torch.device("cpu")
    available = {"cpu": True, "mps": torch.backends.mps.is_available(), "cuda": torch.cuda.is_available()}
    if device == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if available[name]))
    if device not in available:
        raise DeviceError(f"The device '{device}' is unknown.", f"Choose one of {', '.join(DEVICES)}.")
    if not available[device]:
        present = [name for name, there in available.items() if there]
        raise DeviceError(
            f"The device '{device}' is not on this machine (found: {', '.join(present)}).",
            "Use --device auto, or install the build of PyTorch made for that device.",
        )
    return torch.device(device)


def make_fabric(device: str = "auto") -> "Fabric":
    """A Fabric on one device of the asked-for kind, in full precision."""
    from lightning_fabric import Fabric  # takes seconds to import, so only training pays for it

    return Fabric(accelerator=choose_device(device).type, devices=1, precision="32-true")
