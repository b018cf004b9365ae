"""A device that lacks what Apple's MPS lacks, on any computer."""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

DEVICE = torch.device("meta")
"""Tensors there have shapes and no numbers; what is copied from it to the CPU is ones."""
_MISSING = ("_linalg_eigh", "_linalg_svd", "linalg_eig", "linalg_lstsq")


class LikeMPS(TorchDispatchMode):
    """Refuses on :data:`DEVICE` what PyTorch refuses on MPS: 64 bits, and the decompositions of a matrix."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [one for one in args if isinstance(one, torch.Tensor)]
        if any(one.device == DEVICE for one in tensors):
            if func is torch.ops.aten._to_copy.default and kwargs.get("device") == torch.device("cpu"):
                return torch.ones(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
            if kwargs.get("dtype") == torch.float64:
                raise TypeError("Cannot convert a MPS Tensor to float64 dtype.")
            if func.overloadpacket._qualified_op_name.removeprefix("aten::") in _MISSING:
                raise NotImplementedError(f"The operator '{func}' is not currently implemented for the MPS device.")
        return func(*args, **kwargs)
