"""``distill originality MODEL``: does it compose, or recite?"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from distill.cli import options
from distill.cli.console import console, note, percent, print_json, table
from distill.cli.training_view import TrainingView
from distill.counted import counted

if TYPE_CHECKING:
    from distill.evaluation.recital import NaturalRuns, Recital
    from distill.originality.reference import Reference


_WHAT = (
    "A match is a run of equal codes. With any recording, the first two levels are compared; with what really follows the "
    "beginning, the first level (coarse) and all levels. A match of a second or more with any recording counts as reciting, "
    "unless the recordings themselves repeat it, as silence."
)


def originality(
    model: options.ModelArgument,
    seed: options.PromptsSeedOption = 0,
    device: options.DeviceOption = "auto",
    as_json: options.JsonOption = False,
) -> None:
    """Prompt MODEL's prior with beginnings of the recordings it was trained on, and see whether it recites them."""
    import dataclasses

    import numpy as np

    from distill.evaluation.recital import extract, natural_runs
    from distill.models.model_file import load_model
    from distill.originality.judge import OriginalityJudge
    from distill.training.device import choose_device

    model = options.model_file(model)
    loaded = load_model(model, choose_device(device))
    options.require_prior(loaded, model)
    with TrainingView() as view:
        recitals = extract(loaded, seed, view.counting("Prompting"))
        reference = OriginalityJudge(loaded).reference
        natural = natural_runs(loaded)
    similarity = {
        str(share): float(np.percentile(reference.similarity, share)) if len(reference.similarity) else math.nan
        for share in (50, 95, 99)
    }
    said = _summary(recitals, natural)
    if as_json:
        print_json(
            {
                "similarity": similarity,
                "compared_seconds": len(reference.similarity),
                "is_widened": reference.is_widened,
                "held_out_runs": None if natural is None else dataclasses.asdict(natural),
                "recitals": [dataclasses.asdict(recital) for recital in recitals],
                "summary": said,
            }
        )
        return
    _show_reference(similarity, reference, natural, any(source.held_out for source in loaded.sources))
    note()
    _show_recitals(recitals)
    note()
    note(said)


def _show_reference(
    similarity: Mapping[str, float], reference: "Reference", natural: "NaturalRuns | None", is_held_out: bool
) -> None:
    from distill.evaluation.recital import CONTINUED_SECONDS

    note("How similar the recordings are to one another, which is not copying", "bold")
    compared = len(reference.similarity)
    others = _others(reference.is_widened, is_held_out)
    rows = [("compared", f"{counted(compared, 'second')}{others}")]
    rows += [
        (f"similarity that {share} % of the seconds stay below", f"{value:.2f}") for share, value in similarity.items()
    ]
    if natural is not None:
        length = f"{'up to ' if natural.is_short else ''}{CONTINUED_SECONDS:.0f} s"
        parts = f"{counted(natural.count, 'part')} of {length}"
        found = f"{natural.longest:.2f} s (mean {natural.mean:.2f} s, of {parts})"
        rows.append(("longest match of held-out recordings with another, two levels", found))
    table(rows)
    if natural is not None and natural.is_short:
        note(
            "The held-out recordings are all shorter than 5 s, so the matches are those of shorter sounds.", style="dim"
        )


def _show_recitals(recitals: "Sequence[Recital]") -> None:
    note("How the prior continues the beginnings of recordings that it learned from, for 5 s each", "bold")
    note(_WHAT, style="dim")
    console.print(_table([recital for recital in recitals if recital.count]))
    if short := [recital.prompt_seconds for recital in recitals if not recital.count]:
        note(f"No recording is long enough for a prompt of {min(short):.0f} s or more.", style="dim")


def _others(is_widened: bool, is_held_out: bool) -> str:
    """What is said behind the number of seconds that were compared."""
    if not is_widened:
        return ""
    if is_held_out:
        return ", including recordings that were trained on, as too few were held out"
    return " of recordings that were trained on, as nothing was held out"


def _table(recitals: "Sequence[Recital]") -> Table:
    shown = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    shown.add_column("beginning")
    headings = ("codes", "tries", "recite", "longest match, any recording", "its own, coarse", "its own, all codes")
    for heading in headings:
        shown.add_column(heading, justify="right")
    for recital in recitals:
        runs = (recital.anywhere, recital.own_coarse, recital.own_whole)
        shown.add_row(
            f"{recital.prompt_seconds:.0f} s" if recital.prompt_seconds else "nothing",
            "likeliest" if recital.is_greedy else "drawn",
            str(recital.count),
            percent(recital.share),
            *(f"{run.longest:.2f} s" for run in runs),
        )
    return shown


def _summary(recitals: "Sequence[Recital]", natural: "NaturalRuns | None") -> str:
    """One sentence: does it compose, or recite?"""
    count = sum(recital.count for recital in recitals)
    reciting = round(sum(recital.count * recital.share for recital in recitals))
    longest = max((recital.anywhere.longest for recital in recitals), default=0.0)
    beside = f"; held-out recordings share up to {natural.longest:.2f} s by nature" if natural is not None else ""
    if not count:
        return "No recording is long enough for a prompt."
    if reciting:
        found = f"It recites: {reciting} of {count} continuations repeat a second or more of a recording, up to"
    else:
        found = f"It composes: none of {count} continuations repeats a second of a recording; the longest match is"
    return f"{found} {longest:.2f} s{beside}."
