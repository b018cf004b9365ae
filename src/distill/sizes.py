"""How large the two models are: what the corpus suggests, and what the person wants instead."""

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from annotated_types import Ge, Le

from distill.durations import duration
from distill.errors import SettingError
from distill.models.config import PriorConfig, VQVAEConfig
from distill.recordings.corpus import Corpus

if TYPE_CHECKING:
    from distill.models.model_file import Model

C = TypeVar("C", VQVAEConfig, PriorConfig)
USES_PER_CODE = 12
LARGEST_CODEBOOK = 256
"""Already from 32 to 256 the prior's bits per second grow faster than the sound improves (docs/codec.md)."""
OPTIONS = {
    "num_quantizers": "rvq-levels",
    "codebook_size": "codebook-size",
    "commitment_weight": "commitment-weight",
    "hidden_size": "hidden-size",
    "num_layers": "layers",
    "num_heads": "heads",
}
"""What the fields of the configs are called on the command line."""
OF_PRIOR = ("hidden_size", "num_layers", "num_heads")
"""Those of the prior; the codec has a width, too, which nobody is asked for."""


def codec_config(corpus: Corpus, changes: Mapping[str, Any]) -> VQVAEConfig:
    """The codec's sizes for this corpus with the person's changes.

    Raises:
        SettingError: if a change is out of range.
    """
    return _changed(codec_config_for(corpus), changes)


def prior_config(
    model: "Model", corpus: Corpus, changes: Mapping[str, Any], minutes: float | None = None
) -> PriorConfig:
    """The prior's sizes for this corpus and codec with the person's changes.

    Args:
        minutes: as in ``PriorConfig.for_corpus``.

    Raises:
        SettingError: if a change is out of range.
    """
    return _changed(prior_config_for(model, corpus, minutes), changes)


def possible_sizes(config: C) -> C:
    """The same sizes as plain numbers, if a model file can hold them. A config by itself checks only what must fit together.

    Raises:
        SettingError: if one is out of range.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(type(config)).validate_python(dataclasses.asdict(config))
    except ValidationError as error:
        field = str(error.errors()[0]["loc"][0])
        value = getattr(config, field)
        raise SettingError(f"The config's {field} {value!r} is out of range.", _range(type(config), field)) from error


def check_sizes(config: type[VQVAEConfig] | type[PriorConfig], changes: Mapping[str, Any]) -> None:
    """Refuses the person's changes that are impossible whatever the recordings are, so before these are read.

    Raises:
        SettingError: if one is out of range, or two do not fit each other.
    """
    for field, value in changes.items():
        _check(config, field, str(value))
    if config is PriorConfig and "hidden_size" in changes:
        _changed(PriorConfig(num_heads=1), changes)  # as many as are chosen, else as few as there may be


def check_option(option: str, text: str) -> None:
    """Refuses a value of an option, as a person wrote it, that no model can have whatever it learns.

    Raises:
        SettingError: if it is no number, or out of range.
    """
    field = next(field for field, name in OPTIONS.items() if name == option)
    _check(PriorConfig if field in OF_PRIOR else VQVAEConfig, field, text)


def _check(config: type[VQVAEConfig] | type[PriorConfig], field: str, text: str) -> None:
    from pydantic import TypeAdapter, ValidationError

    try:
        TypeAdapter(get_type_hints(config, include_extras=True)[field]).validate_python(text)
    except ValidationError as error:
        what = {"int_parsing": "is not a whole number", "float_parsing": "is not a number"}
        wrong = what.get(error.errors()[0]["type"], "is out of range")
        raise SettingError(f"--{OPTIONS.get(field, field)} {text} {wrong}.", _range(config, field)) from error


def codec_config_for(corpus: Corpus) -> VQVAEConfig:
    """Sizes that follow how much audio there is.

    The codebooks grow until a recording of every second would give each entry fewer than a dozen uses: an entry seen less
    often is neither placed well by the quantizer nor learned by the prior. Where the recordings have no highs (MP3, low
    sample rates), the decoder makes none: a whole number of steps of 250 Hz, so that the edge itself is kept.
    """
    bandwidth = min(24_000.0, max(1000.0, 250.0 * math.ceil(corpus.bandwidth / 250)))
    codebook_size = 32
    positions = corpus.seconds * VQVAEConfig().frame_rate
    while codebook_size < LARGEST_CODEBOOK and positions >= USES_PER_CODE * 2 * codebook_size:
        codebook_size *= 2
    return VQVAEConfig(channels=corpus.channels, codebook_size=codebook_size, bandwidth=bandwidth)


def explain_codec(corpus: Corpus, config: VQVAEConfig) -> str:
    """Why the codec is as large as it is, in a few sentences."""
    positions = round(corpus.seconds * config.frame_rate)
    uses = round(positions / config.codebook_size)
    often = "less than once" if uses < 1 else "once" if uses == 1 else f"{uses} times"
    further = (
        f"More sound gets larger codebooks, up to {LARGEST_CODEBOOK} entries, as long as each entry is used {USES_PER_CODE} "
        "times or more."
        if config.codebook_size < LARGEST_CODEBOOK
        else "Codebooks get no larger than that by themselves."
    )
    return (
        f"{duration(corpus.seconds)} of sound is {positions} positions of {1000 / config.frame_rate:.0f} ms. Each position has "
        f"{config.num_quantizers} codes, one from each of {config.num_quantizers} codebooks of {config.codebook_size} entries, "
        f"so each entry is used {often} on average. {further}"
    )


def prior_config_for(model: "Model", corpus: Corpus, minutes: float | None = None) -> PriorConfig:
    """Sizes that follow the corpus, and the minutes as in ``PriorConfig.for_corpus``."""
    config = model.header.codec
    return PriorConfig.for_corpus(
        corpus.seconds,
        codebook_size=config.codebook_size,
        num_quantizers=config.num_quantizers,
        frame_rate=config.frame_rate,
        minutes=minutes,
    )


def too_short_for_larger(model: "Model", corpus: Corpus, minutes: float | None) -> str:
    """Why the prior is smaller than so much sound suggests, in a sentence; empty where it is not."""
    suggested, taken = prior_config_for(model, corpus), prior_config_for(model, corpus, minutes)
    if minutes is None or suggested.hidden_size == taken.hidden_size:
        return ""
    return (
        f"So much sound could teach a larger prior (width {suggested.hidden_size}), but not in "
        f"{duration(60 * minutes)}, so it has width {taken.hidden_size}; more minutes would give it time."
    )


def suggested_sizes(corpus: Corpus, config: VQVAEConfig | PriorConfig, minutes: float | None = None) -> list[str]:
    """The fields with an option of their own in which a config is what the corpus suggests, and a prior's minutes."""
    suggested: VQVAEConfig | PriorConfig = codec_config_for(corpus)
    if isinstance(config, PriorConfig):
        suggested = PriorConfig.for_corpus(
            corpus.seconds,
            codebook_size=config.codebook_size,
            num_quantizers=config.num_quantizers,
            frame_rate=VQVAEConfig().frame_rate,  # moves the context, which has no option, and hardly the sizes
            minutes=minutes,
        )
    names = [
        name for name in OPTIONS if hasattr(config, name) and (name in OF_PRIOR) == isinstance(config, PriorConfig)
    ]
    found = [name for name in names if getattr(config, name) == getattr(suggested, name)]
    is_own = isinstance(config, VQVAEConfig) and config.channels == corpus.own_channels
    return [*found, "channels"] if is_own else found


def _changed(config: C, changes: Mapping[str, Any]) -> C:
    if not changes:
        return config
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(type(config)).validate_python(dataclasses.asdict(config) | dict(changes))
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"]:
            field = str(first["loc"][0])
            raise SettingError(
                f"--{OPTIONS.get(field, field)} {changes.get(field)} is out of range.", _range(type(config), field)
            ) from error
        given = " with ".join(f"--{OPTIONS.get(field, field)} {value}" for field, value in changes.items())
        reason = first["msg"].removeprefix("Value error, ")
        for field, option in OPTIONS.items():
            reason = reason.replace(field, option)
        raise SettingError(f"{given} is not possible.", f"Choose sizes that fit each other: {reason}.") from error


def _range(config: type, field: str) -> str:
    hint = get_type_hints(config, include_extras=True)[field]
    if get_origin(hint) is Literal:
        return f"Choose one of {', '.join(map(repr, get_args(hint)))}."
    limits = hint.__metadata__
    lowest = next(limit.ge for limit in limits if isinstance(limit, Ge))
    highest = next(f"{limit.le:g}" if isinstance(limit, Le) else f"under {limit.lt:g}" for limit in limits[1:])
    return f"Choose {lowest:g} to {highest}."
