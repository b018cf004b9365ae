"""Small models and short epochs, where a test is not about what is learned; and ``distill`` with both, as a process of its own.

python small_distill.py WORDS
python small_distill.py --narrow WORDS    # models as for the corpus, but narrow
"""

import dataclasses
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distill.models import CodePrior, ConvVQVAE, Model, Source, VQVAEConfig

CODEC_SIZES = {
    "hidden_size": 16, "encoder_blocks": 1, "decoder_blocks": 1, "latent_size": 4, "sketch_size": 4, "codebook_size": 32,
}  # fmt: skip


def codec_config(**changes: Any) -> "VQVAEConfig":
    """A small codec's sizes: 32 codes on each of four levels, unless changed."""
    from distill.models import VQVAEConfig

    return VQVAEConfig(**{**CODEC_SIZES, **changes})


def small_codec(seed: int = 0, **changes: Any) -> "ConvVQVAE":
    """An untrained codec, of which every code has a sound of its own; the same seed gives the same weights."""
    import torch

    from distill.models import ConvVQVAE

    torch.manual_seed(seed)
    config = codec_config(**changes)
    codec = ConvVQVAE(config)
    codec.quantizer.set_codebooks(torch.randn(config.num_quantizers, config.codebook_size, config.vector_size))
    torch.nn.init.normal_(codec.head.tones.spectrum.weight, std=0.4)
    return codec.eval().requires_grad_(False)


def small_prior(codec: "VQVAEConfig", **changes: Any) -> "CodePrior":
    """An untrained prior of one layer on the codes of such a codec, with eight positions of context unless changed. Its weights
    go on from the random state that making the codec left."""
    from distill.models import CodePrior, PriorConfig

    sizes = {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "context": 8 * codec.num_quantizers}
    return CodePrior(PriorConfig(codec.codebook_size, codec.num_quantizers, **{**sizes, **changes})).eval()


def small_model(
    codec: "ConvVQVAE",
    prior: "CodePrior | None" = None,
    sources: "Sequence[Source]" = (),
    *,
    name: str = "tiny",
    fingerprint: str = "0" * 64,
    file_count: int = 5,
    seconds: float = 5.0,
    **header: Any,
) -> "Model":
    """A model of these parts that says it learned from so many recordings, and used every code once.

    Args:
        header: further fields of its header.
    """
    import torch

    from distill.models import Model
    from distill.models.header import CorpusRecord, new_header
    from distill.recordings.split import SPLIT_RULE

    config = codec.config
    record = CorpusRecord(
        fingerprint=fingerprint, file_count=file_count, seconds=seconds, split_seed=0, split_rule=SPLIT_RULE
    )
    fields = {"codec_training": {}, "prior": None if prior is None else prior.config, **header}
    counts = torch.ones(config.num_quantizers, config.codebook_size, dtype=torch.int64)
    return Model(new_header(name, config, record, **fields), codec, counts, prior, tuple(sources))


def shortened() -> dict[str, object]:
    """What stands in the place of these names of Distill's: an epoch is a moment, its state is saved at once, and the sketch is
    initialised from eight seconds of windows."""
    from distill import pipeline

    @dataclasses.dataclass(frozen=True)
    class ShortCodec(pipeline.CodecPlan):
        least_steps: int = 3
        first_save_s: float = 0.0
        validation_windows: int = 2
        validation_positions: int = 24

    @dataclasses.dataclass(frozen=True)
    class ShortRefinement(pipeline.RefinementPlan):
        least_steps: int = 3
        first_save_s: float = 0.0
        batch_size: int = 4
        discriminator_width: int = 4
        window_positions: int = 16
        validation_windows: int = 2
        validation_positions: int = 24

    @dataclasses.dataclass(frozen=True)
    class ShortPrior(pipeline.PriorPlan):
        least_steps: int = 3
        first_save_s: float = 0.0
        views: int = 2

    plans = {
        f"distill.pipeline.{plan.__bases__[0].__name__}": plan for plan in (ShortCodec, ShortRefinement, ShortPrior)
    }
    return {**plans, "distill.training.codec_data._SKETCHED": 2}


def small_sizes() -> tuple[Any, Any]:
    """The sizes of a codec and of a prior."""
    from distill.models import PriorConfig

    return codec_config(codebook_size=16), PriorConfig(
        codebook_size=16, hidden_size=16, num_layers=1, num_heads=2, context=64
    )


def use_small_sizes() -> None:
    """Whatever the corpus, it suggests small models."""
    from distill import sizes

    codec, prior = small_sizes()

    def prior_config(model: Any, corpus: object, minutes: float | None = None) -> Any:
        return dataclasses.replace(prior, num_quantizers=model.codec.num_quantizers)

    sizes.codec_config_for = lambda corpus: dataclasses.replace(codec, channels=corpus.channels)
    sizes.prior_config_for = prior_config


def use_narrow_sizes() -> None:
    """The corpus suggests what it does suggest, but models of a sixth of the width."""
    from distill import sizes

    codec_for, prior_for = sizes.codec_config_for, sizes.prior_config_for

    def codec_config(corpus: Any) -> Any:
        return dataclasses.replace(codec_for(corpus), hidden_size=64, encoder_blocks=1, decoder_blocks=2)

    def prior_config(model: Any, corpus: Any, minutes: float | None = None) -> Any:
        return dataclasses.replace(prior_for(model, corpus, minutes), hidden_size=64, num_layers=2, num_heads=2)

    sizes.codec_config_for, sizes.prior_config_for = codec_config, prior_config


def python_with(command: str, folder: Path) -> Path:
    """A program in the place of Python whose ``-m distill`` is this command, for a server and the jobs that it starts.

    The runner of the jobs is the real one; only what it starts is not.
    """
    script = folder / "python"
    runs = f"import sys; sys.executable = {str(script)!r}; from pathlib import Path; from distill.web import runner"
    script.write_text(
        f"""#!/bin/sh
case "$2" in
distill.web.runner) exec {sys.executable} -c "{runs}; runner.run(Path(sys.argv[1]))" "$3" ;;
distill) shift 2; exec {command} "$@" ;;
esac
exec {sys.executable} "$@"
"""
    )
    script.chmod(0o755)
    return script


def main() -> None:
    """The command line, in which the plans are short and a corpus suggests small models."""
    from distill.cli.start import main as command

    for place, short in shortened().items():
        module, name = place.rsplit(".", 1)
        setattr(importlib.import_module(module), name, short)
    if sys.argv[1:2] == ["--narrow"]:
        del sys.argv[1]
        use_narrow_sizes()
    else:
        use_small_sizes()
    command()


if __name__ == "__main__":
    main()
