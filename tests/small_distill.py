"""``distill`` with short epochs and small models, as a process of its own, where a test is not about what is learned.

python small_distill.py WORDS
python small_distill.py --narrow WORDS    # models as for the corpus, but narrow
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any


def short_plans() -> dict[str, type]:
    """In the place of the plans of that name in ``distill.pipeline``: an epoch is a moment, and its state is saved at once."""
    from distill import pipeline

    @dataclasses.dataclass(frozen=True)
    class ShortCodec(pipeline.CodecPlan):
        least_steps: int = 3
        first_save_s: float = 0.0
        validation_windows: int = 2

    @dataclasses.dataclass(frozen=True)
    class ShortRefinement(pipeline.RefinementPlan):
        least_steps: int = 3
        first_save_s: float = 0.0
        batch_size: int = 1
        discriminator_width: int = 4
        window_positions: int = 16
        validation_windows: int = 2

    @dataclasses.dataclass(frozen=True)
    class ShortPrior(pipeline.PriorPlan):
        least_steps: int = 3
        first_save_s: float = 0.0
        views: int = 2

    return {plan.__bases__[0].__name__: plan for plan in (ShortCodec, ShortRefinement, ShortPrior)}


def small_sizes() -> tuple[Any, Any]:
    """The sizes of a codec and of a prior."""
    from distill.models import PriorConfig, VQVAEConfig

    codec = VQVAEConfig(hidden_size=16, encoder_blocks=1, decoder_blocks=1, latent_size=8, codebook_size=16)
    return codec, PriorConfig(codebook_size=16, hidden_size=16, num_layers=1, num_heads=2, context=64)


def use_small_sizes() -> None:
    """Whatever the corpus, it suggests small models."""
    from distill import sizes

    codec, prior = small_sizes()

    def prior_config(model: Any, corpus: object) -> Any:
        return dataclasses.replace(prior, num_quantizers=model.codec.num_quantizers)

    sizes.codec_config_for = lambda corpus: codec
    sizes.prior_config_for = prior_config


def use_narrow_sizes() -> None:
    """The corpus suggests what it does suggest, but models of a sixth of the width."""
    from distill import sizes

    codec_for, prior_for = sizes.codec_config_for, sizes.prior_config_for

    def codec_config(corpus: Any) -> Any:
        return dataclasses.replace(codec_for(corpus), hidden_size=64, encoder_blocks=1, decoder_blocks=2)

    def prior_config(model: Any, corpus: Any) -> Any:
        return dataclasses.replace(prior_for(model, corpus), hidden_size=64, num_layers=2, num_heads=2)

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
    from distill import pipeline
    from distill.cli.start import main as command

    for name, plan in short_plans().items():
        setattr(pipeline, name, plan)
    if sys.argv[1:2] == ["--narrow"]:
        del sys.argv[1]
        use_narrow_sizes()
    else:
        use_small_sizes()
    command()


if __name__ == "__main__":
    main()
