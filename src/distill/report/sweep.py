"""The page that compares the models of a sweep: the same recordings through every codec, and their figures side by side."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distill.durations import duration
from distill.evaluation.measure import Evaluation, held_out_names
from distill.models.model_file import Model
from distill.recordings.corpus import Corpus
from distill.recordings.passages import Split
from distill.report import EvaluationReport
from distill.report.gather import reconstructions


@dataclass(frozen=True)
class SweptModel:
    """A model of a sweep, and how good its codec is."""

    words: str
    """What is special about it."""
    model: Model
    evaluation: Evaluation

    def figures(self) -> dict[str, float]:
        """What the models of a sweep are compared by; NaN where it is not known."""
        header = self.model.header
        perplexity = math.nan if header.perplexity is None else header.perplexity
        tokens = header.codec.frame_rate * header.codec.num_quantizers
        judged = self.evaluation.judged["held_out" if self.evaluation.is_own_corpus else "all"]
        if math.isnan(judged["mel"]):  # nothing was held out
            judged = self.evaluation.judged["all"]
        return {
            **judged,
            "mel of all": self.evaluation.mean("mel"),
            "codec bits a second": self.evaluation.bits_per_second,
            "prior bits a second": tokens * math.log2(perplexity) if perplexity > 0 else math.nan,
            "weights": float(sum(weights.numel() for weights in self.model.codec.parameters())),
        }


SWEEP_COLUMNS = {
    "mel": ("mel", ".3f"),
    "mel of all": ("mel, all", ".3f"),
    "kept": ("partials kept", ".2f"),
    "cents": ("cents off", ".1f"),
    "invented": ("invented", ".2f"),
    "movement": ("movement, dB", ".1f"),
    "line": ("buzz, dB", ".1f"),
    "grain": ("grain, dB", "+.1f"),
    "codec bits a second": ("codec, bit/s", ".0f"),
    "prior bits a second": ("prior, bit/s", ".0f"),
}
"""Figures of a sweep as the page calls and writes them; of held-out recordings where there are any."""


def sweep_report(title: str, models: Sequence[SweptModel], corpus: Corpus, split: Split | None) -> EvaluationReport:
    """The page of a sweep: the same recordings through every codec, and a row of figures for each model."""
    held_out = held_out_names(split)
    sounds = [reconstructions(one.model, corpus, held_out) for one in models]
    others = {one.words: [pair.decoded for pair in pairs] for one, pairs in zip(models, sounds, strict=True)}
    first, *_ = others
    return EvaluationReport(
        title=title,
        pairs=sounds[0],
        others={words: made for words, made in others.items() if words != first},
        held_out=held_out,
        headings=("model", *(called for called, _ in SWEEP_COLUMNS.values()), "prior starts from"),
        rows=[
            (one.words, *_cells(one.figures()), "the base" if one.model.header.is_prior_from_base else "nothing")
            for one in models
        ],
        facts={
            "recordings": f"{corpus.file_count}, {duration(corpus.seconds)}",
            "figures": "of held-out recordings, where some were held out; mel, all: of all of them",
            "prior, bit/s": "what a second of sound (held out, where some was) takes once the prior has heard what came "
            "before; lower is better",
            "prior starts from": "the base that comes with Distill, as only the usual sizes can; from nothing it takes longer "
            "to learn as much",
        },
        decoded_as=first,
        distances={one.words: [pair.mel_distance for pair in pairs] for one, pairs in zip(models, sounds, strict=True)},
        over="Distill, models compared",
    )


def _cells(figures: Mapping[str, float]) -> list[str]:
    columns = [(figures[name], form) for name, (_, form) in SWEEP_COLUMNS.items()]
    return ["–" if math.isnan(value) else f"{value:{form}}" for value, form in columns]
