"""``distill info MODEL``: what a model file says of itself."""

from rich.table import Table
from rich.text import Text

from distill.cli import options
from distill.cli.console import console, note, print_json


def info(model: options.ModelArgument, as_json: options.JsonOption = False, debug: options.DebugOption = False) -> None:
    """Show MODEL's sizes, training and codebook health; checks the whole file on the way."""
    from distill.models.model_file import load_model
    from distill.settings import codec_settings, model_health, prior_settings

    loaded = load_model(model)
    header = loaded.header
    levels = model_health(loaded)
    if as_json:
        print_json(
            {
                **header.model_dump(mode="json", exclude={"curves", "digest"}),
                "has_prior": header.has_prior,
                "codec_fingerprint": loaded.fingerprint,
                "levels": levels,
            }
        )
        return
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    rows = {
        "name": header.name,
        "made": f"{header.created} with Distill {header.distill_version}",
        "corpus": f"{header.corpus.file_count} recordings, {header.corpus.seconds:.0f} s ({header.corpus.fingerprint[:12]})",
        "codec": f"{loaded.fingerprint[:12]}, held-out distance {header.codec_training['best_val_loss']:.2f}",
        **{name: value for name, (value, _) in codec_settings(header.codec).items()},
        **{
            f"{row['name']}": f"{row['utilisation']:.0%} used, perplexity {row['perplexity']:.0f}, {row['dead']} dead"
            for row in levels
        },
    }
    if header.prior is not None and header.prior_training is not None:
        sizes = prior_settings(header.prior, loaded.codec.frame_rate)
        rows |= {name: value for name, (value, _) in sizes.items()}
        rows["prior"] = f"perplexity {header.prior_training['best_perplexity']:.1f}"
    for name, value in rows.items():
        table.add_row(Text(name, style="dim"), Text(str(value)))
    console.print(table)
    if not header.has_prior:
        note(f"It has no prior yet: distill train-prior {model} DATASET_DIR")
