"""``distill originality MODEL``: does it compose, or recite?"""

import math

from rich.table import Table

from distill.cli import options
from distill.cli.console import console, note, percent, print_json, table
from distill.cli.training_view import TrainingView


def originality(
    model: options.ModelArgument,
    seed: options.SeedOption = 0,
    device: options.DeviceOption = options.Device.AUTO,
    as_json: options.JsonOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Prompt MODEL's prior with beginnings of the recordings it learned from, and tell whether it recites them."""
    import dataclasses

    import numpy as np

    from distill.extraction import CONTINUED_SECONDS, RECITED_SECONDS, extract, natural_runs
    from distill.models.model_file import load_model
    from distill.originality import OriginalityJudge
    from distill.training.launch import choose_device

    loaded = load_model(model, choose_device(device))
    loaded.require_prior()
    with TrainingView() as view:
        recitals = extract(loaded, seed, view.counting("Prompting"))
        reference = OriginalityJudge(loaded).reference
        mean_run, longest_run = natural_runs(loaded)
    levels = {
        str(share): float(np.percentile(reference, share)) if len(reference) else math.nan for share in (50, 90, 99)
    }
    if as_json:
        print_json(
            {
                "held_out_similarity": levels,
                "held_out_runs": {"mean": mean_run, "longest": longest_run},
                "recitals": [dataclasses.asdict(recital) for recital in recitals],
            }
        )
        return
    note("How near held-out recordings come to the others by nature", "bold")
    rows = [(f"similarity, {share} % of seconds are below", f"{value:.2f}") for share, value in levels.items()]
    table([*rows, ("longest run of equal coarse codes", f"{longest_run:.2f} s (mean {mean_run:.2f} s)")])
    note(f"\nWhat the prior makes of beginnings, {CONTINUED_SECONDS:.0f} s each", "bold")
    shown = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    shown.add_column("prompt")
    for heading in ("drawn", "pieces", f"hold {RECITED_SECONDS:.0f} s of a recording", "mean run", "longest run"):
        shown.add_column(heading, justify="right")
    for recital in recitals:
        drawn = "greedily" if recital.is_greedy else "by chance"
        cells = [f"{recital.prompt_seconds:.0f} s", drawn, str(recital.count)]
        if recital.count:
            cells += [percent(recital.share), f"{recital.mean_run:.2f} s", f"{recital.longest_run:.2f} s"]
        shown.add_row(*cells)
    console.print(shown)
