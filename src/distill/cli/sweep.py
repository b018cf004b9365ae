"""``distill sweep FOLDER --grid …``: several models of the same recordings, and one page to compare them on."""

import json
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from distill.cli import engines, options
from distill.cli.console import good, note, place, print_json, warn
from distill.cli.engines import Engine, end_all, here, on_ray
from distill.cli.interrupts import AskedToEnd
from distill.cli.outputs import a_folder
from distill.complaints import last_complaint, warnings_in
from distill.counted import counted
from distill.durations import duration
from distill.errors import CorpusError, DistillError, OutputError
from distill.evaluation.grid import Variant, variants
from distill.evaluation.progress import Progress
from distill.files.names import MODEL_SUFFIX, claimed
from distill.files.regular import absolute

_PATIENCE_S = 30.0
_HEARD_S = 0.3
"""What ends at once on Ctrl-C tidies up meanwhile; a training takes what comes then for the same request."""


@dataclass(frozen=True)
class _Trained:
    """What came of one variant."""

    variant: Variant
    model: Path
    wrong: str
    """Why there is no such model, in the words of the command that failed; empty where there is."""


def sweep(
    folder: options.FolderArgument,
    grid: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=A,B",
            help="Values to try of rvq-levels, codebook-size, commitment-weight, hidden-size, layers, heads or lr. Given "
            "several times, every combination is trained.",
            show_default=False,
        ),
    ],
    minutes: Annotated[
        float, typer.Option(help="How long to train each model, codec and prior together, in minutes.")
    ] = 8.0,
    at_once: Annotated[
        int | None,
        typer.Option(
            help="How many models to train at the same time.",
            min=1,
            max=64,
            show_default="1, or with --ray as many as there is room for",
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Train on a Ray cluster: HOST:PORT of its first machine, auto for the one that runs here, local to start one. "
            "FOLDER and --out must have the same path on all machines.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the models and the page.", show_default="FOLDER's name + -sweep", callback=a_folder
        ),
    ] = None,
    seed: options.SeedOption = 0,
    device: options.DeviceOption = "auto",
    as_json: options.JsonOption = False,
) -> None:
    """Train a model of FOLDER for every combination of options, and compare them on one page: sound, pitch, texture, bits."""
    from distill.files.atomic import ensure_writable
    from distill.recordings.corpus import ensure_usable
    from distill.settings import check_length
    from distill.training.device import choose_device

    # All that can be wrong for every model is said before the first is trained.
    tries = variants(grid)
    check_length(None, minutes)
    ensure_usable(folder)
    if ray is None:
        choose_device(device)
    out = out or Path(f"{absolute(folder).name or 'recordings'}-sweep")
    ensure_writable(out)
    kept = {"folder": str(absolute(folder)), "minutes": minutes, "seed": seed, "device": device}
    progress = Progress(out, kept)
    _check_free(folder, out, tries, progress)
    shared = ["--seed", str(seed), "--device", device]
    with nullcontext(here) if ray is None else on_ray(ray, device) as engine:
        at_once = at_once or (1 if ray is None else len(tries))
        where = f"{at_once} at a time" if ray is None else f"on the Ray cluster at {ray}"
        models = counted(len(tries), "model")
        note(f"{models}, {duration(60 * minutes)}{' each' if len(tries) > 1 else ''}, {where}.")
        if there := sum(progress.is_finished(_model_note(one)) for one in tries):
            note(f"{there} of them {'is' if there == 1 else 'are'} trained already, and kept.")
        goes_on = ray is None
        runner = _Runner(absolute(folder), absolute(out), minutes, shared, engine, progress, goes_on=goes_on)
        with _naming_what_is_kept(out, tries, progress, goes_on), claimed(out):
            ended = runner.all(tries, at_once)
            for one in ended:
                if one.wrong:
                    warn(f"{one.variant.words}: {one.wrong}")
            rows, page = _compared(folder, out, ended)
    if as_json:
        failed = {one.variant.name: one.wrong for one in ended if one.wrong}
        print_json({"page": page, "models": rows, "failed": failed})
    elif page is not None:
        good(f"{len(rows)} of {models} {'is' if len(rows) == 1 else 'are'} trained.")
        place("Compare", page, "open it in a browser")
    if page is None:
        raise typer.Exit(1)


@contextmanager
def _naming_what_is_kept(out: Path, tries: tuple[Variant, ...], progress: Progress, goes_on: bool) -> Iterator[None]:
    """After a Ctrl-C in the block or a disk that is full, which models are finished, and what becomes of the others."""
    try:
        yield
    except (KeyboardInterrupt, OutputError, OSError):
        finished = [one for one in tries if progress.is_finished(_model_note(one))]
        for one in finished:
            place("Kept", out / f"{one.name}{MODEL_SUFFIX}")
        if len(finished) == len(tries):
            note("All models are finished; the same command writes the page.")
        elif goes_on:
            note("The same command goes on with what is not finished, from where it was stopped.")
        else:
            note("The same command trains what is not finished again, from the start.")
        raise


class _Runner:
    """Trains in processes of their own, so that one that fails spoils nothing, and Ctrl-C reaches each.

    Args:
        goes_on: whether what was stopped is gone on with; its state is on this machine, as its training has to be then.
    """

    def __init__(
        self,
        folder: Path,
        out: Path,
        minutes: float,
        shared: list[str],
        engine: Engine,
        progress: Progress,
        *,
        goes_on: bool = True,
    ) -> None:
        from distill.training.budget import CODEC_SHARE

        self._progress, self._goes_on = progress, goes_on
        self._then = f"the same command {'goes on with it' if goes_on else 'trains it again'}"
        self._stopped = f"it was stopped; {self._then}"
        self._folder, self._out, self._shared, self._engine = folder, out, shared, engine
        self._codec_minutes, self._prior_minutes = CODEC_SHARE * minutes, (1 - CODEC_SHARE) * minutes
        self._codecs: dict[str, tuple[threading.Lock, list[str]]] = {}
        self._claim = threading.Lock()
        self._is_over = threading.Event()

    def all(self, tries: tuple[Variant, ...], at_once: int) -> list[_Trained]:
        """Every variant, so many at a time."""
        with ThreadPoolExecutor(at_once) as pool:
            try:
                return list(pool.map(self._one, tries))
            except KeyboardInterrupt as ending:
                self._is_over.set()
                try:
                    if not isinstance(ending, AskedToEnd):  # Ctrl-C has reached them already, kill -INT has not
                        time.sleep(_HEARD_S)
                        if not engines.CAN_ASK:
                            pool.shutdown()  # until they have stopped, or Ctrl-C comes again
                finally:
                    end_all()
                raise

    def _one(self, variant: Variant) -> _Trained:
        model = self._out / f"{variant.name}{MODEL_SUFFIX}"
        if self._progress.is_finished(_model_note(variant)) and model.is_file():
            return _Trained(variant, model, "")
        wrong = self._codec(variant) or self._prior(variant, model)
        if not wrong:
            note(f"  {variant.words}", style="dim")
        return _Trained(variant, model, wrong)

    def _prior(self, variant: Variant, model: Path) -> str:
        """Trains a prior, where several share the codec in a copy of its own; gives what went wrong."""
        codec, what = self._out / f"{variant.codec_name}{MODEL_SUFFIX}", _model_note(variant)
        went_on = self._went_on("train-prior", model, what, self._prior_minutes)
        if went_on is not None:
            return went_on
        # Where no option of the prior varies, it is added to the codec's own file.
        begun = self._noted(self._progress.begin, what) if model == codec else self._new(what, model)
        if wrong := begun or _copied(codec, model):
            return wrong
        minutes = f"{self._prior_minutes:g}"
        words = ["train-prior", str(model), str(self._folder), "--minutes", minutes, *_flags(variant.prior)]
        return self._run([*words, *self._shared], what)

    def _codec(self, variant: Variant) -> str:
        """Trains the codec, once for all variants that share it."""
        with self._claim:
            lock, said = self._codecs.setdefault(variant.codec_name, (threading.Lock(), []))
        with lock:
            if not said:
                said.append(self._codec_now(variant))
        return said[0]

    def _codec_now(self, variant: Variant) -> str:
        codec, what = self._out / f"{variant.codec_name}{MODEL_SUFFIX}", _codec_note(variant)
        if self._progress.is_finished(what) and codec.is_file():
            return ""
        went_on = self._went_on("train", codec, what, self._codec_minutes)
        if went_on is not None:
            return went_on
        minutes, where = f"{self._codec_minutes:g}", ["--name", variant.codec_name, "--out", str(self._out)]
        words = ["train", str(self._folder), "--minutes", minutes, *where, *_flags(variant.codec), *self._shared]
        return self._new(what, codec) or self._run(words, what)

    def _went_on(self, verb: str, model: Path, what: str, minutes: float) -> str | None:
        """Goes on with a training of this sweep that was stopped, to the end it was begun with; gives what went wrong.

        Returns:
            None if it is to be begun anew: nothing is saved of it, or it is of other recordings or another codec.
        """
        from distill.recordings.corpus import import_corpus
        from distill.runs.resume import saved_at

        if self._is_over.is_set() or not (self._goes_on and self._progress.is_begun(what)):
            return None
        try:
            recordings = import_corpus(self._folder).fingerprint
            stopped = saved_at(model, "codec" if verb == "train" else "prior", recordings)
        except (CorpusError, OutputError) as error:  # no training could begin, or it would replace another model
            return str(error)
        except DistillError as error:
            note(f"  {what} is trained from the start: {error.what}", style="dim")
            return None
        if stopped is None or not stopped.is_within(minutes):
            return None
        if stopped.is_finished:
            return self._noted(self._progress.finish, what)
        _wait_for_the_last(stopped.run_folder)
        note(f"  {what} goes on from where it was stopped.", style="dim")
        device = self._shared[self._shared.index("--device") :]
        return self._run([verb, "--resume", str(stopped.run_folder), *device], what)

    def _new(self, what: str, model: Path) -> str:
        """Notes what is begun; what a stopped sweep left in its place goes into the trash. Gives what went wrong."""
        from distill.library import Library, trash

        if self._is_over.is_set():
            return self._stopped
        try:
            if model.exists():
                library = Library(warn)
                trash.delete(library, library.note_model(model))
        except DistillError as error:
            return str(error)
        return self._noted(self._progress.begin, what)

    def _noted(self, note: Callable[[str], None], what: str) -> str:
        """Notes how far it is; gives what went wrong."""
        try:
            note(what)
        except DistillError as error:
            return str(error)
        return ""

    def _run(self, words: list[str], what: str) -> str:
        """Has it trained, and notes that it is; gives what went wrong."""
        from distill.models.header import UNMEASURED

        if self._is_over.is_set():
            return self._stopped
        code, out, err = self._engine([*words, "--json"])
        for said in warnings_in(err):
            warn(f"{what}: {said}")
        if code == 0:
            told = json.loads(out)
            if told.get("cancelled") or told.get(UNMEASURED):
                return self._stopped
            return self._noted(self._progress.finish, what)
        if code < 0:
            name = next((one.name for one in signal.Signals if one == -code), f"signal {-code}")
            return f"its process was killed ({name}); {self._then}"
        complaint = last_complaint(err)
        return str(complaint) if complaint is not None else f"it failed with exit code {code}"


def _wait_for_the_last(run_folder: Path) -> None:
    """Lets a training end whose sweep was killed: it notices that within a second, and ends after a step."""
    from distill.runs.status import look

    until = time.monotonic() + _PATIENCE_S
    while look(run_folder).state == "running" and time.monotonic() < until:
        time.sleep(0.2)


def _copied(codec: Path, model: Path) -> str:
    """Copies a codec to where its prior is added, if that is another file; gives what went wrong."""
    from distill.files.atomic import written_aside

    if model == codec:
        return ""
    try:
        with written_aside(model, codec) as aside:
            shutil.copyfile(codec, aside)
    except DistillError as error:
        return str(error)
    return ""


def _codec_note(variant: Variant) -> str:
    """What its codec is called in the note of how far the sweep is."""
    return f"codec {variant.codec_name}"


def _model_note(variant: Variant) -> str:
    """The same of the whole model."""
    return f"model {variant.name}"


def _check_free(folder: Path, out: Path, tries: tuple[Variant, ...], progress: Progress) -> None:
    """Refuses a folder that holds a model of such a name that is not of this sweep, or is finished and of other recordings than
    there are now: it is not replaced, nor compared."""
    from distill.models.header import read_header
    from distill.recordings.corpus import import_corpus

    finished: list[Path] = []
    wanted = {
        name: what for one in tries for name, what in ((one.name, _model_note(one)), (one.codec_name, _codec_note(one)))
    }
    for name, what in wanted.items():
        model = out / f"{name}{MODEL_SUFFIX}"
        if model.exists() and not progress.is_begun(what):
            raise OutputError(
                f"{model} exists already, and is not from a sweep with this folder, time, seed and device.",
                "Choose another --out, or move it away.",
            )
        if model.is_file() and progress.is_finished(what):
            finished.append(model)
    now = import_corpus(folder).fingerprint if finished else ""
    for model in finished:
        header = read_header(model)
        if {header.corpus.fingerprint, (header.prior_training or {}).get("corpus_fingerprint", now)} != {now}:
            raise OutputError(
                f"{model} learned from other recordings than there are in {folder} now, so what learns from these cannot be "
                "compared with it.",
                "Choose another --out, or move it away.",
            )


def _flags(chosen: tuple[tuple[str, str], ...]) -> list[str]:
    return [word for name, value in chosen for word in (f"--{name}", value)]


def _compared(folder: Path, out: Path, ended: list[_Trained]) -> tuple[list[dict[str, Any]], Path | None]:
    """Figures of every model, and the page; no page where there is no model."""
    from distill.evaluation.measure import evaluate, own_split
    from distill.files.names import reserving
    from distill.models.model_file import load_model
    from distill.recordings.corpus import import_corpus
    from distill.report import write_evaluation_report
    from distill.report.sweep import SweptModel, sweep_report

    models = [(one.variant.words, load_model(one.model)) for one in ended if not one.wrong]
    if not models:
        return [], None
    _, first = models[0]  # no sweep varies the channels, or how the recordings are split
    corpus = import_corpus(folder, channels=first.codec.channels)
    for words, model in models:
        if model.header.corpus.fingerprint != corpus.fingerprint:
            warn(f"{words}: it learned from other recordings than there are now, so its figures are not comparable.")
    found = [
        SweptModel(words, model, evaluate(model, corpus, own_split(model, corpus), with_opus=False))
        for words, model in models
    ]
    report = sweep_report(absolute(folder).name, found, corpus, own_split(first, corpus))
    with reserving(out / "comparison.html") as page:
        write_evaluation_report(page, report)
    rows = [
        {"model": one.words, **one.figures(), "is_prior_from_base": one.model.header.is_prior_from_base}
        for one in found
    ]
    return rows, absolute(page)
