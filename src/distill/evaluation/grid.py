"""What a sweep tries: every combination of the values of some options. Needs no PyTorch.

levels=2,4 layers=2,4   ▶   two codecs, and on each of them two priors: four models
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from distill.errors import SettingError

CODEC_OPTIONS = ("rvq-levels", "codebook-size", "commitment-weight")
PRIOR_OPTIONS = ("hidden-size", "layers", "heads", "lr")
_SHORT = {"levels": "rvq-levels", "codebook": "codebook-size", "hidden": "hidden-size"}
MOST_VARIANTS = 64


@dataclass(frozen=True)
class Variant:
    """One model of a sweep."""

    codec: tuple[tuple[str, str], ...]
    """Options of ``distill train`` and their values."""
    prior: tuple[tuple[str, str], ...]
    """The same of ``distill train-prior``."""

    @property
    def name(self) -> str:
        """Of its model file."""
        return _named((*self.codec, *self.prior))

    @property
    def codec_name(self) -> str:
        """Of the codec's model file, from which it goes on."""
        return _named(self.codec)

    @property
    def words(self) -> str:
        """For a person."""
        return ", ".join(f"{name} {value}" for name, value in (*self.codec, *self.prior)) or "as Distill chooses"


def variants(grid: Sequence[str]) -> tuple[Variant, ...]:
    """Every combination of ``name=value,value`` of several options, codec by codec.

    Raises:
        SettingError: if an option or a value cannot be tried, comes twice, sizes do not fit each other, or there are too many
            combinations.
    """
    chosen: dict[str, list[str]] = {}
    for text in grid:
        given, _, values = text.partition("=")
        name = _SHORT.get(given, given)
        known = (*CODEC_OPTIONS, *PRIOR_OPTIONS)
        if name not in known:
            raise SettingError(f"--grid {text} names nothing that can be tried.", f"Choose from {', '.join(known)}.")
        if name in chosen:
            raise SettingError(f"--grid {name} comes twice.", f"Write all its values together: --grid {name}=A,B.")
        chosen[name] = list(dict.fromkeys(value.strip() for value in values.split(",") if value.strip()))
        if not chosen[name]:
            raise SettingError(f"--grid {text} has no values.", f"Write --grid {given}=A,B.")
        for value in chosen[name]:
            _check(name, value)
    sides = [
        [tuple(zip(names, values, strict=True)) for values in itertools.product(*(chosen[name] for name in names))]
        for names in ([name for name in chosen if name in part] for part in (CODEC_OPTIONS, PRIOR_OPTIONS))
    ]
    found = tuple(Variant(codec, prior) for codec, prior in itertools.product(*sides))
    if len(found) > MOST_VARIANTS:
        raise SettingError(
            f"These are {len(found)} models, and at most {MOST_VARIANTS} are trained in one sweep.",
            "Try fewer values, or fewer options at once.",
        )
    for variant in found:
        _check_together(variant)
    return found


def _check(option: str, value: str) -> None:
    """Refuses what is found wrong otherwise only once the models before it are trained."""
    from distill.settings import check_learning_rate
    from distill.sizes import check_option

    if option != "lr":
        check_option(option, value)
        return
    try:
        rate = float(value)
    except ValueError as error:
        raise SettingError(
            f"--lr {value} is not a number.", "Choose 0.000001 to 0.1; 0.001 is a good start."
        ) from error
    check_learning_rate(rate)


def _check_together(variant: Variant) -> None:
    """Refuses sizes of a prior that do not fit each other; only a width that was given is known before the codec is trained."""
    from distill.models.config import PriorConfig
    from distill.sizes import OPTIONS, check_sizes

    given = dict(variant.prior)
    fields = ("hidden_size", "num_heads")
    check_sizes(PriorConfig, {field: given[OPTIONS[field]] for field in fields if OPTIONS[field] in given})


def _named(options: Sequence[tuple[str, str]]) -> str:
    return "-".join(f"{name.replace('-', '')}{value}" for name, value in options) or "auto"
