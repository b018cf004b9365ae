"""``distill doctor``: whether everything works on this computer."""

from typing import TYPE_CHECKING

import typer

from distill.cli import options
from distill.cli.console import complain, console, good, note, print_json, table, warn
from distill.counted import counted
from distill.errors import DistillError
from distill.files.installing import ANEW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distill.doctor import Finding


def doctor(as_json: options.JsonOption = False) -> None:
    """Check versions, devices (each with a self-test), disk space, speed, and Distill's own folder; takes a few seconds.

    Exit code 0 if all is well, 1 if something is wrong.
    """
    try:
        from distill.doctor import examine
    except (ImportError, OSError) as error:
        raise DistillError(
            f"A library that Distill needs cannot be loaded ({error}).",
            ANEW,
        ) from error
    with console.status("Checking") as status:
        findings = list(examine(lambda part: status.update(f"Checking {part}")))
    show(findings, as_json)


def show(findings: "Sequence[Finding]", as_json: bool) -> None:
    """Prints what was found.

    Raises:
        Exit: with 1 if something is wrong.
    """
    wrong = [finding for finding in findings if not finding.is_well]
    if as_json:
        print_json(
            {
                "well": not wrong,
                "findings": [
                    {
                        "section": finding.section,
                        "name": finding.name,
                        "well": finding.is_well,
                        "value": finding.value,
                        "number": finding.number,
                        "fix": finding.fix,
                    }
                    for finding in findings
                ],
            }
        )
    else:
        _page(findings)
    if wrong:
        raise typer.Exit(1)


def _page(findings: "Sequence[Finding]") -> None:
    for section in dict.fromkeys(finding.section for finding in findings):
        note(section, "bold")
        mine = [finding for finding in findings if finding.section == section]
        table(((("  " if one.is_well else "✗ ") + one.name, one.value) for one in mine), indent=0)
        note()
    wrong = [finding for finding in findings if not finding.is_well]
    for finding in wrong:
        complain(f"{finding.section}, {finding.name}: {finding.value.removesuffix('.')}.", finding.fix)
    if wrong:
        warn(f"{counted(len(wrong), 'problem was', 'problems were')} found.")
    else:
        good("Everything works.")
