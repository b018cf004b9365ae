"""The whole way, from a folder of recordings to new audio. Read this file first.

    folder ──import──▶ corpus ──train──▶ codec ──freeze, encode once──▶ codes ──train──▶ prior ──sample, decode──▶ audio

Each step is a function here and a command of the command line; ``run`` does all of them in turn. Steps take and return plain
values and files, so each can be run alone, and the model file is all that they share.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from distill import awake
from distill.evaluation.remeasured import remeasured_and_saved
from distill.files.names import claimed, command, new_model_path, new_run_folder, reserving
from distill.library import trash
from distill.making.closing import closed_and_saved
from distill.making.pieces import Piece, make
from distill.making.sampling import check_request
from distill.models.config import PriorConfig, VQVAEConfig
from distill.models.header import UNMEASURED
from distill.models.model_file import Model, load_model, save_model
from distill.recordings.corpus import Corpus, import_corpus
from distill.recordings.passages import Split
from distill.recordings.split import split_corpus
from distill.report import write_refinement_report, write_report
from distill.report.gather import refinement_report, run_report
from distill.run_plan import RunPlan, RunResult
from distill.runs.events import events_file, read_run
from distill.runs.resume import forget_finished, refuse_with_prior, resume_command
from distill.runs.saved import RefinementRun, Stopped
from distill.runs.stage import recorded_stage
from distill.settings import Settings, codec_settings, run_settings
from distill.sizes import check_sizes, codec_config, prior_config, too_short_for_larger
from distill.training import budget
from distill.training.adversarial import RefinementResult, refine_decoder
from distill.training.device import choose_device, minutes_on_processor
from distill.training.headers import bundled_header, codec_header, reason_to_keep_prior, refined_header
from distill.training.metrics import MetricsCallback, Notice
from distill.training.notices import ignore, noticing
from distill.training.plan import CodecPlan as CodecPlan
from distill.training.plan import PriorPlan as PriorPlan
from distill.training.plan import RefinementPlan as RefinementPlan
from distill.training.plan import StageEnd
from distill.training.prior_loop import train_prior
from distill.training.vqvae_loop import train_vqvae


@dataclass(frozen=True)
class Refined:
    """The outcome of the codec's second stage."""

    model: Model
    """The model as it is in the file now; after a stop in the training, unchanged."""
    page: Path | None
    """HTML page to compare the codec before and after; None after a stop."""
    result: RefinementResult


def train_codec(
    corpus: Corpus,
    split: Split,
    model_path: Path,
    events: Path,
    plan: CodecPlan,
    *,
    config_changes: Mapping[str, Any] | None = None,
    resumed: Stopped | None = None,
    second_stage: StageEnd | None = None,
    whole_run: Mapping[str, Any] | None = None,
    callback: MetricsCallback | None = None,
    cancel_event: Event | None = None,
) -> Model:
    """Trains a codec on the corpus and writes it to ``model_path``, without a prior.

    Args:
        events: JSON-lines file for the events; the state to resume from is written beside it.
        resumed: a saved training to continue, with its own sizes. The plan must then be its own too, except for its end.
        second_stage: the one that is to follow, noted for whoever resumes this one (:func:`train_codec_in_stages`).
        whole_run: what :func:`run` was asked for, noted for whoever begins it again.

    Raises:
        SettingError: if the model that is to be trained further has a prior by now.
    """
    if resumed is None:
        config = codec_config(corpus, config_changes or {})
    else:
        refuse_with_prior(model_path, events.parent)
        config = resumed.config(VQVAEConfig)
    with recorded_stage(
        "codec",
        model_path,
        corpus,
        events,
        plan,
        callback,
        cancel_event,
        config=config,
        resumed=resumed,
        second_stage=second_stage,
        whole_run=whole_run,
    ) as (record, state_file):
        result = train_vqvae(corpus, config, record.tell, cancel_event, plan=plan, split=split, state_file=state_file)
        record.can_go_on = result.cancelled or second_stage is not None
        header = codec_header(model_path.stem, result, events.parent.name)
        model = Model(header, result.codec, result.code_counts)
        save_model(model_path, model)
    forget_finished()
    return model


def train_codec_in_stages(
    corpus: Corpus,
    split: Split,
    model_path: Path,
    run_folder: Path,
    plan: CodecPlan,
    second_stage: StageEnd | None,
    *,
    ends_at: float | None = None,
    config_changes: Mapping[str, Any] | None = None,
    resumed: Stopped | None = None,
    callback: MetricsCallback | None = None,
    cancel_event: Event | None = None,
) -> tuple[Model, Refined | None]:
    """The codec's first stage, as :func:`train_codec`, and then its second one, if there is to be one and no stop comes before.

    Args:
        run_folder: the events and states of both go into it.
        plan: of the first stage; the second has its seed, device and precision.
        second_stage: the end of the second one, in its share of the minutes; None to train in one stage.
        ends_at: by ``awake.seconds()``, when both are to be done: then the second stage has whatever the first one leaves.
    """
    model = train_codec(
        corpus,
        split,
        model_path,
        events_file(run_folder, "codec"),
        plan,
        config_changes=config_changes,
        resumed=resumed,
        second_stage=second_stage,
        callback=callback,
        cancel_event=cancel_event,
    )
    if second_stage is None or (cancel_event is not None and cancel_event.is_set()):
        return model, None
    minutes = second_stage.minutes if ends_at is None else budget.minutes_left(ends_at - awake.seconds())
    second = RefinementPlan(
        second_stage.epochs,
        minutes,
        seed=plan.seed,
        device=plan.device,
        precision=plan.precision,
    )
    refined = refine_codec(
        model_path, corpus, split, RefinementRun(run_folder, second), callback=callback, cancel_event=cancel_event
    )
    return refined.model, refined


def refine_codec(
    model_path: Path,
    corpus: Corpus,
    split: Split,
    refinement_run: RefinementRun,
    *,
    callback: MetricsCallback | None = None,
    cancel_event: Event | None = None,
) -> Refined:
    """Trains the decoder of the codec in ``model_path`` further and writes it to the same file, with a page to compare both.

    Codes keep their meaning, so an existing prior stays valid. A stop leaves the file unchanged and saves a state to resume.
    One that comes after the training leaves the measures and the page that follow to whoever resumes it.
    """
    cancel_event = cancel_event or Event()
    model = load_model(model_path)
    events, plan = events_file(refinement_run.run_folder, "refinement"), refinement_run.plan
    with recorded_stage(
        "refinement", model_path, corpus, events, plan, callback, cancel_event, resumed=refinement_run
    ) as (record, state_file):
        result = refine_decoder(
            model.codec, corpus, plan, record.tell, cancel_event, split=split, state_file=state_file
        )
        record.can_go_on = result.cancelled
        if result.cancelled:
            return Refined(model, None, result)
        header = refined_header(model.header, result, refinement_run.run_folder.name)
        refined = dataclasses.replace(model, header=header, codec=result.codec)
        record.can_go_on = True
        refined, is_measured = remeasured_and_saved(refined, model_path, corpus, record.tell, cancel_event.is_set)
        if not is_measured:
            return Refined(refined, None, result)
        with reserving(model_path.with_name(f"{model_path.stem}-refined.html")) as page:
            before = dataclasses.replace(model, codec=result.first)
            write_refinement_report(page, refinement_report(refined, before, corpus, split, result))
        record.can_go_on = False
    return Refined(refined, page, result)


def add_prior(
    model_path: Path,
    corpus: Corpus,
    split: Split,
    events: Path,
    plan: PriorPlan,
    *,
    config_changes: Mapping[str, Any] | None = None,
    resumed: Stopped | None = None,
    callback: MetricsCallback | None = None,
    cancel_event: Event | None = None,
) -> Model:
    """Trains a prior on the codec in ``model_path`` and bundles both into the same file.

    A prior that the model already has, of the same corpus, is only replaced by one with a lower held-out perplexity, or by
    its own continuation; a copy goes on with that of the model it was copied from.

    Args:
        split: the one the codec was trained with.
        resumed: a saved training to continue, with its own sizes. The plan must then be its own too, except for its end.
    """
    cancel_event = cancel_event or Event()
    model = load_model(model_path)
    minutes = minutes_on_processor(plan)
    config = (
        prior_config(model, corpus, config_changes or {}, minutes) if resumed is None else resumed.config(PriorConfig)
    )
    closing, shorter = budget.leaves_time_to_close(plan) if resumed is None else resumed.closing(plan)
    with recorded_stage(
        "prior",
        model_path,
        corpus,
        events,
        plan,
        callback,
        cancel_event,
        config=config,
        resumed=resumed,
        closing=closing,
    ) as (record, state_file):
        if resumed is None and not config_changes and (words := too_short_for_larger(model, corpus, minutes)):
            record.tell(Notice(words))
        trained = train_prior(
            model_path, corpus, config, record.tell, cancel_event, plan=shorter, split=split, state_file=state_file
        )
        record.can_go_on = bool(trained["prior_metadata"]["cancelled"])
        before, after = model.header.prior_training or {}, trained["prior_metadata"] | {"run": events.parent.name}
        is_continued = resumed is not None and before.get("run") in (after["run"], resumed.branched_from)
        if before and not is_continued:
            if reason := reason_to_keep_prior(model_path, before, after, is_stopped=cancel_event.is_set()):
                record.tell(Notice(reason))
                return model
            back = command("distill", "models", "restore", trash.keep_copy(model_path).key)
            record.tell(Notice(f"The model with the prior it had is in the trash: {back}"))
        if is_continued and before.get(UNMEASURED):
            closing = dataclasses.replace(closing, measures=True)
        header = bundled_header(model.header, trained, after)
        return closed_and_saved(
            dataclasses.replace(model, header=header, prior=trained["prior_model"], sources=trained["sources"]),
            model_path,
            split.train,
            record,
            cancel_event,
            trained["candidates"],
            closing,
            before=model,
            is_timed=plan.minutes is not None,
            is_cut_short=record.can_go_on,
        )


def run(
    folder: Path,
    out: Path,
    plan: RunPlan | None = None,
    *,
    callback: MetricsCallback | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    on_settings: Callable[[Settings], None] | None = None,
    on_begin: Callable[[Path, Path], None] | None = None,
    cancel_event: Event | None = None,
) -> RunResult:
    """The whole pipeline: import, codec, prior, new audio, report, all inside the plan's minutes.

    Args:
        folder: of the recordings.
        out: folder for the model, the new audio and the report.
        plan: the defaults if not given.
        progress: called with (name of the step, done, total) in the steps other than training.
        on_settings: called once with the settings in use, before training begins.
        on_begin: called once, then, with the model file that is to be written and the run's folder.

    Raises:
        DistillError: anything in the tree of ``errors.py``, before much is spent where that can be known.
    """
    started, taken, plan = awake.seconds(), budget.TimeTaken(), plan or RunPlan()
    cancel_event = cancel_event or Event()
    notify, tell = callback or ignore, progress or (lambda step, done, total: None)
    check_request(plan.seconds, plan.count)
    chosen = run_settings(None, plan.minutes, plan.device, budget.RUN_MINUTES, plan.precision)
    check_sizes(VQVAEConfig, plan.config_changes)
    minutes = budget.RUN_MINUTES if plan.minutes is None else plan.minutes
    with claimed(new_model_path(out, plan.name, folder)) as model_path:
        corpus = import_corpus(
            folder,
            channels=plan.channels,
            progress=lambda done, total, _: tell("Reading", done, total),
            ahead=noticing(notify),
        )
        settings = {**chosen, **codec_settings(codec_config(corpus, plan.config_changes), plan.chosen_sizes)}
        if on_settings is not None:
            on_settings(settings)
        run_folder = new_run_folder(model_path.stem)
        if on_begin is not None:
            on_begin(model_path, run_folder)

        def result(pieces: tuple[Piece, ...], report: Path | None, next_command: str, resume: str = "") -> RunResult:
            seconds_taken, cancelled = awake.seconds() - started, cancel_event.is_set()
            return RunResult(model_path, pieces, report, seconds_taken, cancelled, next_command, resume)

        split = split_corpus(corpus, seed=plan.seed)
        taken.by("reading")
        making_s = budget.closing_seconds(minutes, plan.seconds, plan.count, corpus.seconds)
        left_s = budget.time_to_learn(minutes, taken.seconds, making_s, notify)
        codec = train_codec(
            corpus,
            split,
            model_path,
            events_file(run_folder, "codec"),
            plan.of_stage(CodecPlan, budget.codec_seconds(left_s, corpus.seconds) / 60),
            config_changes=plan.config_changes,
            whole_run={"minutes": minutes, **plan.of_pieces},
            callback=callback,
            cancel_event=cancel_event,
        )
        if cancel_event.is_set():
            resume = resume_command("train", model_path, codec.header.codec_training)
            return result((), None, command("distill", "train-prior", model_path, folder), resume)

        taken.by("the codec")
        left_s -= taken.parts["the codec"]
        bundled = add_prior(
            model_path,
            corpus,
            split,
            events_file(run_folder, "prior"),
            plan.of_stage(PriorPlan, budget.minutes_left(left_s)),
            callback=callback,
            cancel_event=cancel_event,
        )
        if cancel_event.is_set():
            resume = resume_command("train-prior", model_path, bundled.header.prior_training or {})
            return result((), None, command("distill", "generate", model_path), resume)

        taken.by("the prior")
        tell("Composing", 0, 1)
        model = load_model(model_path, choose_device(plan.device))
        composing = partial(tell, "Composing")
        pieces = make(model, out, plan.request, plan.seed, plan.count, progress=composing, callback=callback)
        tell("Writing the report", 0, 1)
        seconds_taken, events = awake.seconds() - started, list(read_run(run_folder))
        contents = run_report(model, corpus, split, events, pieces, settings=settings, seconds_taken=seconds_taken)
        with reserving(out / f"{model_path.stem}-report.html") as report:
            write_report(report, contents)
        tell("Writing the report", 1, 1)
        taken.by("audio and report")
        if words := budget.overrun(minutes, taken.parts):
            notify(Notice(words))
        return result(pieces, report, command("distill", "generate", model_path, "--count", "5", "--seconds", "20"))
