"""The settings of a run as they are shown to the person: what Distill chose, and what the person chose."""

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from distill.counted import counted
from distill.durations import duration
from distill.errors import SettingError
from distill.models.config import PriorConfig, VQVAEConfig
from distill.sizes import OPTIONS

if TYPE_CHECKING:
    from distill.training.arithmetic import Precision

Settings = Mapping[str, tuple[str, str]]
"""Name to (value, "auto" or "set"): what Distill chose and what the person chose."""


def check_length(epochs: int | None, minutes: float | None) -> None:
    """Refuses a run with no epochs or no time.

    Raises:
        SettingError: if there is less than one epoch, or the minutes are not a number above 0.
    """
    if epochs is not None and epochs < 1:
        raise SettingError(f"{epochs} epochs are too few to train.", "Ask for 1 or more with --epochs.")
    if minutes is not None and not 0 < minutes < math.inf:
        raise SettingError(f"Training cannot take {minutes:g} minutes.", "Ask for more than 0 with --minutes.")


def check_learning_rate(rate: float) -> None:
    """Refuses a learning rate that cannot train anything.

    Raises:
        SettingError: if it is out of range or not a number.
    """
    if not 1e-6 <= rate <= 0.1:
        raise SettingError(f"--lr {rate:g} is out of range.", "Choose 0.000001 to 0.1; 0.001 is a good start.")


def temperatures(text: str) -> float | tuple[float, ...]:
    """``0.9``, or one a level: ``0.8,0.9,1,1``.

    Raises:
        SettingError: if one is not a number.
    """
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise SettingError(
            f"--temperature {text} is not a number.", "Give one, such as 0.9, or one per level, such as 0.8,0.9,1,1."
        ) from error
    return numbers[0] if len(numbers) == 1 else numbers


def run_settings(
    epochs: int | None,
    minutes: float | None,
    device: str,
    default_minutes: float,
    precision: "Precision",
    *,
    is_settled: bool = False,
) -> Settings:
    """How long a run lasts, where it computes, and how precisely; checks all three.

    Without epochs or minutes it takes the default minutes.

    Args:
        is_settled: whether the precision is that of a training that goes on, and cannot be chosen any more.

    Raises:
        SettingError: as :func:`check_length`.
        DeviceError: if the device is not on this machine, or does not compute in this precision.
    """
    from distill.training.device import choose_device, precision_on  # the one thing here that needs PyTorch

    check_length(epochs, minutes)
    rows = {"minutes": (f"{default_minutes:g}", "auto")} if epochs is None and minutes is None else {}
    if epochs is not None:
        rows["epochs"] = (str(epochs), "set")
    if minutes is not None:
        rows["minutes"] = (f"{minutes:g}", "set")
    place = choose_device(device)
    bits = precision_on(place.type, precision, is_settled=is_settled)
    return rows | {
        "device": (str(place), "auto" if device == "auto" else "set"),
        "precision": (bits, "auto" if precision == "auto" else "set"),
    }


def resumed_settings(
    step: int, epochs: int | None, minutes: float | None, device: str, precision: "Precision"
) -> Settings:
    """Where a training goes on, how much further, and where and how precisely it computes; checks as :func:`run_settings`.

    Raises:
        SettingError, DeviceError: as :func:`run_settings`.
    """
    rows = run_settings(epochs, minutes, device, 0.0, precision, is_settled=True)
    if epochs is None and minutes is None:
        rows = {**rows, "minutes": ("what is left of the plan", "auto")}
    return {"resumed": (f"at step {step}", "set"), **rows}


def stage_settings(epochs: int | None, first_minutes: float | None, minutes: float | None) -> Settings:
    """How the time of a codec in high quality is divided between its two stages."""
    each = [] if epochs is None else [counted(epochs, "epoch")]
    shares = (None, None) if first_minutes is None or minutes is None else (first_minutes, minutes - first_minutes)
    spans = [", at most ".join([*each, *([] if share is None else [duration(60 * share)])]) for share in shares]
    return {
        "first-stage": (f"{spans[0]}: encoder, codes and decoder", "auto"),
        "second-stage": (f"{spans[1]}: the decoder alone, against a discriminator", "auto"),
    }


def codec_settings(config: VQVAEConfig, chosen: Iterable[str] = ()) -> Settings:
    """The codec's sizes; ``chosen`` names the fields the person set."""
    return _marked(
        {
            "channels": str(config.channels),
            "codec-hidden-size": str(config.hidden_size),
            "positions-per-second": f"{config.frame_rate:.1f}",
            "num_quantizers": str(config.num_quantizers),
            "codebook_size": str(config.codebook_size),
            "bitrate": f"{config.bitrate / 1000:.2f} kbit/s",
            "bandwidth": f"{config.bandwidth / 1000:g} kHz",
            "commitment_weight": f"{config.commitment_weight:g}",
        },
        chosen,
    )


def prior_settings(config: PriorConfig, frame_rate: float, chosen: Iterable[str] = ()) -> Settings:
    """The prior's sizes; ``chosen`` names the fields the person set."""
    return _marked(
        {
            "hidden_size": str(config.hidden_size),
            "num_layers": str(config.num_layers),
            "num_heads": str(config.num_heads),
            "context": f"{config.context / config.num_quantizers / frame_rate:.1f} s",
            "dropout": f"{config.dropout:g}",
        },
        chosen,
    )


def _marked(rows: Mapping[str, str], chosen: Iterable[str]) -> Settings:
    fields = set(chosen)
    return {OPTIONS.get(field, field): (value, "set" if field in fields else "auto") for field, value in rows.items()}
