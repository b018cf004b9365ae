"""Gathers the contents of the pages on a run, a second stage and an evaluation. The pages need no PyTorch; this does."""

import dataclasses
import math
from collections.abc import Iterable
from importlib.metadata import version

import numpy as np
import torch
from torch import Tensor

from distill.audio.distance import MultiScaleMel
from distill.audio.mixing import as_trained, mono, mono_pair
from distill.codes.extract import decode_chunks, encode_blocks
from distill.durations import duration
from distill.evaluation.measure import Evaluation, beginning, distance_between, held_out_names, joined
from distill.evaluation.opus import through_opus
from distill.files.names import MODEL_SUFFIX
from distill.making.grains import Bank, Stretch
from distill.making.pieces import Piece
from distill.making.voices import RecordingsVoice, join_cost_of
from distill.models.health import LEVEL_NAMES
from distill.models.model_file import Model
from distill.recordings.corpus import Corpus
from distill.recordings.passages import Split, whole_recordings
from distill.report import EvaluationReport, NewAudio, Reconstruction, RefinementReport, RunReport
from distill.report.contents import QuotedPlace
from distill.report.listening import NEW_SECONDS
from distill.settings import Settings, prior_settings
from distill.training.adversarial import RefinementResult
from distill.training.metrics import TrainingEvent
from distill.training.overfitting import memorization_threshold

HEARD_OPUS = 12
"""The rate of Opus on the page, in kilobits per second."""
_SHOWN_IN_ALL = 240.0
"""Seconds of all pieces together, so that the page stays under 30 MB and its sound fits into memory."""
SHOWN_RECORDINGS = 4
SHOWN_SECONDS = 10.0


def run_report(
    model: Model,
    corpus: Corpus,
    split: Split,
    events: list[TrainingEvent],
    pieces: Iterable[Piece],
    *,
    settings: Settings,
    seconds_taken: float,
) -> RunReport:
    """The page of a whole run: new audio, reconstructions, curves, settings."""
    config, held_out = model.header.codec, held_out_names(split)
    prior, made = model.header.prior, list(pieces)
    return RunReport(
        title=model.header.name,
        settings={**settings, **({} if prior is None else prior_settings(prior, model.codec.frame_rate))},
        files=corpus.files,
        split=split.explanation,
        held_out=held_out,
        events=events,
        code_counts=model.code_counts.numpy(),
        level_names=LEVEL_NAMES[config.num_quantizers],
        bitrate=config.bitrate,
        memorization_threshold=memorization_threshold(corpus.file_count),
        reconstructions=reconstructions(model, corpus, held_out),
        new_audio=[_new_audio(model, piece, min(NEW_SECONDS, _SHOWN_IN_ALL / len(made))) for piece in made],
        facts={
            "Recordings": f"{corpus.file_count}, {duration(corpus.seconds)}",
            "Time taken": duration(seconds_taken),
            "Device": str(model.device),
            "Seed": str(model.header.codec_training["seed"]),
            "Model": _called(model),
            "Versions": f"Distill {version('distill-audio')}, PyTorch {torch.__version__}",
        },
    )


def _new_audio(model: Model, piece: Piece, seconds: float) -> NewAudio:
    grains, parts, begin = [], [], 0.0
    for quote in piece.made_of:
        if quote.at < seconds:
            grains.append(QuotedPlace(quote.at, quote.seconds, quote.words, begin))
            parts.append(quote.original(model.codec.channels))
            begin += parts[-1].shape[1] / model.codec.sample_rate
    # Never more of its sound at once than the page plays, however many pieces there are and however long.
    blocks, wanted, total = [], round(seconds * model.codec.sample_rate), 0
    for block in piece.generation.blocks(model):
        blocks.append(block[:, : max(0, wanted - total)].copy())
        total += block.shape[1]
    return NewAudio(
        name=piece.path.name,
        path=piece.path,
        audio=np.concatenate(blocks, axis=1),
        seed=piece.generation.seed,
        settings=piece.generation.sampling.describe(),
        originality=piece.originality,
        summary=piece.summary(),
        grains=grains,
        places=np.concatenate(parts, axis=1) if parts else None,
        whole_seconds=total / model.codec.sample_rate,
    )


def refinement_report(
    refined: Model, before: Model, corpus: Corpus, split: Split, result: RefinementResult
) -> RefinementReport:
    """The page of the codec's second stage: what it did to a few recordings."""
    held_out = held_out_names(split)
    called = "Held-out mel distance" if split.is_held_out else "Mel distance, trained on"
    return RefinementReport(
        title=refined.header.name,
        before=reconstructions(before, corpus, held_out),
        after=reconstructions(dataclasses.replace(refined, codec=result.refined), corpus, held_out),
        held_out=held_out,
        is_kept=result.is_kept,
        facts={
            called: f"{result.mel_before:.3f} before, {result.mel_after:.3f} after",
            **_changed("Partials kept", result, "kept", ".2f"),
            **_changed("Movement", result, "movement", ".1f", " dB off"),
            "Second stage": f"{result.steps} steps, {duration(result.seconds_taken)}",
            "Model": _called(refined),
        },
    )


def _changed(called: str, result: RefinementResult, key: str, form: str, unit: str = "") -> dict[str, str]:
    """A figure before and after the second stage; none where it could not be measured, as of sound without a tone."""
    before, after = result.figures_before[key], result.figures_after[key]
    if not (math.isfinite(before) and math.isfinite(after)):
        return {}
    return {called: f"{before:{form}}{unit} before, {after:{form}} after"}


def evaluation_report(model: Model, corpus: Corpus, split: Split | None, evaluation: Evaluation) -> EvaluationReport:
    """The page of an evaluation, with a few recordings to listen to, beside Opus at 12 kbit/s where it is installed."""
    held_out = held_out_names(split)
    pairs = reconstructions(model, corpus, held_out)
    others = {"The same codes, as grains of the other recordings": as_grains_of_others(model, corpus, pairs)}
    if not all(sound.shape[1] for sides in others.values() for sound in sides):
        others = {}
    if evaluation.opus:
        called = f"Opus, {HEARD_OPUS} kbit/s, in mono"
        others |= {called: [through_opus(mono(pair.original), HEARD_OPUS)[0] for pair in pairs]}
    return EvaluationReport(
        title=model.header.name,
        pairs=pairs,
        others=others,
        held_out=held_out,
        headings=("recording", "seconds", "held out", "mel", "partials kept", "movement", "STFT"),
        rows=[
            (
                score.name,
                f"{score.seconds:.1f}",
                "yes" if score.is_held_out else "",
                f"{score.mel:.3f}",
                "–" if math.isnan(score.kept) else f"{score.kept:.2f}",
                "–" if math.isnan(score.movement) else f"{score.movement:.1f} dB",
                f"{score.stft:.3f}",
            )
            for score in evaluation.scores
        ],
        facts=dict(evaluation.summary()),
    )


def reconstructions(model: Model, corpus: Corpus, held_out: frozenset[str]) -> list[Reconstruction]:
    """Up to four recordings beside what the codec makes of them, held-out ones first; the first ten seconds of each."""
    by_interest = sorted(corpus.recordings, key=lambda one: (one.name not in held_out, -one.seconds))
    unknown = [one for one in by_interest if one.name in held_out][: SHOWN_RECORDINGS // 2]
    trained = [one for one in by_interest if one.name not in held_out]
    mel, device = MultiScaleMel(model.codec.sample_rate), model.device
    shown = []
    for passage in whole_recordings(unknown + trained[: SHOWN_RECORDINGS - len(unknown)]):
        original = beginning(passage, SHOWN_SECONDS, model.codec.channels)
        codes = encode_blocks(model.codec, [original], device)
        decoded = joined(decode_chunks(model.codec, codes, device), original.shape[1])
        wanted, rebuilt = mono_pair(original, decoded)
        distance = distance_between(mel, rebuilt, wanted)
        shown.append(Reconstruction(passage.recording.name, original, decoded, distance))
    return shown


def as_grains_of_others(model: Model, corpus: Corpus, pairs: Iterable[Reconstruction]) -> list[np.ndarray]:
    """Each recording's codes as grains of all recordings but itself and its near-copies: float32 ``[C, N]``, as long as the
    original, or ``[C, 0]`` where there are no others."""
    codec, join_cost = model.codec, join_cost_of(model)
    groups = {one.name: one.group for one in corpus.recordings}
    codes = _codes_of(model, corpus)
    found = []
    for pair in pairs:
        stretches = [
            Stretch(
                name=one.name,
                audio=as_trained(one.audio, codec.channels, one.gain, one.mix),
                begin=0,
                codes=codes[one.name],
                take=one.group,
                sha256=one.sha256,
            )
            for one in corpus.recordings
            if one.group != groups[pair.name]
        ]
        if not stretches:
            found.append(np.zeros((codec.channels, 0), np.float32))
            continue
        voice = RecordingsVoice(Bank.of(model, stretches), codec.channels, codec.sample_rate, 1.0, join_cost)
        positions = -(-pair.original.shape[1] // codec.hop)
        found.append(joined(voice.blocks(codes[pair.name][:positions]), pair.original.shape[1]))
    return found


def _codes_of(model: Model, corpus: Corpus) -> dict[str, Tensor]:
    """The codes ``[S, Q]`` of each recording, by its name. Those that the model file keeps of it need not be encoded again."""
    kept = {one.sha256: one for one in model.sources if one.start_seconds == 0}
    codes = {}
    for whole in whole_recordings(corpus.recordings):
        one, source = whole.recording, kept.get(whole.recording.sha256)
        is_known = source is not None and (source.gain, source.mix) == (one.gain, one.mix)
        if source is not None and is_known and len(source.codes) == -(-one.samples // model.codec.hop):
            codes[one.name] = source.codes
        else:
            codes[one.name] = encode_blocks(model.codec, whole.blocks(model.codec.channels), model.device)
    return codes


def _called(model: Model) -> str:
    return f"{model.header.name}{MODEL_SUFFIX}, codec {model.fingerprint[:12]}"
