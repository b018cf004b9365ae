"""Converts states that earlier versions saved, so that their runs can be resumed.

Format 1 (until November 2026) had one layout for the codec and the prior and another for the second stage.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

Parts: TypeAlias = "dict[str, dict[str, Tensor]]"

_RENAMED = {"critic": "discriminator", "critic-optimizer": "discriminator-optimizer"}
# Format 1 held these in the code alone; the defaults of today's plans are others.
_CODEC_CONSTANTS = {
    "continuous_steps": 30,
    "window_positions": 8,
    "silenced": 1 / 16,
    "scales_per_step": 2,
    "least_steps": 100,
    "validation_windows": 16,
    "validation_positions": 94,
    "good_every": 25,
}
_PRIOR_CONSTANTS = {"infill_share": 0.25, "extraction_share": 0.2, "least_steps": 50, "good_every": 25}
_STAGE_CONSTANTS = {
    "discriminator_first_steps": 100,
    "discriminator_first_share": 0.1,
    "mel_weight": 15.0,
    "feature_weight": 2.0,
    "adversarial_weight": 1.0,
    "window_positions": 47,
    "silenced": 1 / 16,
    "scales_per_step": 2,
    "least_steps": 50,
    "validation_windows": 16,
    "validation_positions": 94,
    "average_decay": 0.999,
    "max_bad_steps": 20,
}
_STAGE_LOSSES = ("mel_loss", "feature_loss", "adversarial_loss", "discriminator_loss")


def parts_of_format_1(parts: Parts) -> Parts:
    """The tensors of a state in format 1 under the names of format 2."""
    named = {_RENAMED.get(name, name): part for name, part in parts.items()}
    if "discriminator" in named:
        weights = named["discriminator"].items()
        named["discriminator"] = {name.replace("critics.", "spectra.", 1): tensor for name, tensor in weights}
    return named


def values_of_format_1(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a state in format 1, of any loop, as format 2 has them.

    Raises:
        KeyError, TypeError: if it is no such state.
    """
    if "decoder_steps" in values:
        return _stage(values)
    if "train_losses" not in values:
        return dict(values)
    now = {name: value for name, value in values.items() if name not in ("train_losses", "val_losses", "views")}
    sums = values["sums"]
    now["sums"] = {"step": sums["step"], "totals": {"loss": sums["loss"]}, "count": sums["count"]}
    now["curves"] = {"train_loss": values["train_losses"], "val_loss": values["val_losses"]}
    now["figures"] = {}
    if "views" in values:
        now["plan"] = {**_PRIOR_CONSTANTS, **values["plan"], "views": values["views"], "split_rule": 1}
    else:
        now["plan"] = {**_CODEC_CONSTANTS, **values["plan"], "split_rule": 1}
    return now


def _stage(values: Mapping[str, Any]) -> dict[str, Any]:
    given = {name.replace("critic", "discriminator"): value for name, value in values["plan"].items()}
    plan = {**_STAGE_CONSTANTS, **given}
    plan["split_rule"] = 1
    return {
        "codec": values["alphabet"],
        "folder of recordings": values["corpus"],
        "plan": plan,
        "about": values["about"],
        "finished": values["finished"],
        "schedule": {"step": values["step"], "elapsed_s": values["elapsed_s"]},
        "epoch": values["epoch"],
        "sums": {
            "step": values["index"],
            "totals": {name: values["sums"][name] for name in _STAGE_LOSSES},
            "count": int(values["sums"]["steps"]),
        },
        "curves": values["curves"],
        "figures": {"decoder_steps": values["decoder_steps"], "mel_before": values["mel_before"]},
        "best_score": float("inf"),
        "best_loss": float("inf"),
        "watch": _UNUSED_WATCH,
        "good_step": 0,
        "rollbacks": 0,
    }


_UNUSED_WATCH = {
    "healthy_steps": 0,
    "measured": 0,
    "smoothed": float("nan"),
    "level": float("nan"),
    "codes": [],
    "most_codes": [],
    "last_codes": [],
}
