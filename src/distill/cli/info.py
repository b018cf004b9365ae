"""``distill info MODEL``: what a model file says about itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.audio.rate import SAMPLE_RATE
from distill.cli import options
from distill.cli.console import figure, levels_table, moment, note, place, print_json, table
from distill.counted import counted
from distill.durations import duration
from distill.files.names import command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distill.models.config import PriorConfig
    from distill.models.header import Header
    from distill.models.model_file import Model


def info(model: options.ModelArgument, as_json: options.JsonOption = False) -> None:
    """Show MODEL's sizes, training and codebook use, and check the whole file."""
    from distill.models.health import level_health, named_levels
    from distill.models.model_file import load_model

    model = options.model_file(model)
    loaded = load_model(model)
    header = loaded.header
    levels = named_levels(level_health(loaded.code_counts))
    if as_json:
        print_json(
            {
                **header.model_dump(mode="json", exclude={"curves", "digest"}),
                "has_prior": header.has_prior,
                "codec_fingerprint": loaded.fingerprint,
                "codes_fingerprint": loaded.codes_fingerprint,
                "levels": levels,
            }
        )
        return
    _show_origin(header)
    _show_codec(loaded)
    note()
    note("Codebook use over all recordings", "bold")
    levels_table(levels)
    note()
    note("Prior", "bold")
    if header.prior is None or header.prior_training is None:
        note("  none yet")
        place("Next", command("distill", "train-prior", model, "FOLDER"))
        return
    _show_prior(header, header.prior, header.prior_training)
    _show_voice(header, model)


def _show_origin(header: "Header") -> None:
    corpus = header.corpus
    note(header.name, "bold")
    table(
        [
            ("made", f"{moment(header.created)} with Distill {header.distill_version}"),
            (
                "learned from",
                f"{counted(corpus.file_count, 'recording')}, {duration(corpus.seconds)} "
                f"(fingerprint {corpus.fingerprint[:12]})",
            ),
            *([("holds the sound of", _sounds(header))] if header.sounds else []),
        ]
    )


def _show_codec(model: "Model") -> None:
    from distill.settings import codec_settings
    from distill.training.metrics import checked

    header = model.header
    note()
    note("Codec", "bold")
    table(
        [
            ("fingerprint", model.fingerprint[:12]),
            ("fingerprint of its codes", model.codes_fingerprint[:12]),
            (checked("distance", header.is_codec_held_out), figure(header.codec_training.get("best_val_loss"), 2)),
            ("epochs", figure(header.codec_training.get("epochs_trained"), 0)),
            ("training started from", "the base codec" if header.is_codec_from_base else "random weights"),
            *((name, value) for name, (value, _) in codec_settings(header.codec).items()),
        ]
    )


def _show_prior(header: "Header", config: "PriorConfig", training: "Mapping[str, Any]") -> None:
    from distill.settings import prior_settings
    from distill.training.metrics import checked

    table(
        [
            (checked("perplexity", header.is_prior_held_out), figure(header.perplexity, 1)),
            ("epochs", figure(training.get("epochs_trained"), 0)),
            ("training started from", "the base prior" if header.is_prior_from_base else "the codec's codebooks"),
            *((name, value) for name, (value, _) in prior_settings(config, header.codec.frame_rate).items()),
        ]
    )


def _show_voice(header: "Header", model: Path) -> None:
    """Which voice new audio is in, and how firmly it keeps the beat."""
    from distill.making import strength
    from distill.models.header import UNMEASURED

    note()
    note("New audio", "bold")
    why = "as it was not measured which is nearer"
    if header.voices:
        measured = "was measured to be" if header.is_voice_measured else "after a short training is usually"
        why = f"which {measured} nearer to the recordings"
    if header.codec_training.get(UNMEASURED):
        why += " before the codec's second stage"
    note(f"  In the {header.nearer_voice}'{'s' * (header.nearer_voice == 'codec')} voice, {why}; --voice chooses.")
    if header.codec_training.get(UNMEASURED):
        note("  Which voice is nearer now has not been measured yet:")
        place("Go on", command("distill", "train", "--resume", model))
    if header.bands:
        note(f"  {strength.in_words(header.beat_strength)}")


def _sounds(header: "Header") -> str:
    seconds = sum(sound.samples for sound in header.sounds) / SAMPLE_RATE
    return f"{counted(len(header.sounds), 'recording')}, {duration(seconds)}: whoever has the file has them"
