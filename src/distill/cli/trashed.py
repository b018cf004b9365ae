"""The trash as it is shown: the same words for models and for pieces."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from distill.cli.console import good, listing, moment, note, place, print_json
from distill.counted import bytes_in_words, counted
from distill.files.names import command

if TYPE_CHECKING:
    from distill.library.trash import Kind, Trashed


def show_trash(items: "Sequence[Trashed]", kind: "Kind", as_json: bool) -> None:
    """What can be restored with ``distill models restore`` or ``distill pieces restore``."""
    if as_json:
        print_json({"trash": [{"key": item.key, "name": item.name, **item.__dict__} for item in items]})
        return
    if not items:
        note("The trash is empty.")
        return
    rows = []
    for item in items:
        was = "no longer known" if item.was is None else str(item.was)
        rows.append((item.key, moment(item.deleted), bytes_in_words(item.size), was))
    listing(("name", "deleted", "size", "was"), rows)
    place("Undo", command("distill", f"{kind}s", "restore", items[0].key))


def empty_trash(kind: "Kind", as_json: bool) -> None:
    """Removes for good what is in the trash, and says what."""
    from distill.library import trash

    gone = trash.empty(kind)
    if as_json:
        print_json({"removed": [item.name for item in gone], "bytes": sum(item.size for item in gone)})
        return
    if not gone:
        note("The trash was empty.")
        return
    good(
        f"Emptied the trash: {counted(len(gone), kind)} gone for good, {bytes_in_words(sum(item.size for item in gone))}"
    )


def show_deleted(items: "Sequence[tuple[str, str, Trashed | None]]", kind: "Kind") -> None:
    """Each thing's name, where it was, and where it is in the trash; None where its file was already gone."""
    for name, was, item in items:
        if item is None:
            good(f"{name} was removed from the list; its file was already gone")
            continue
        good(f"{name} is in the trash")
        place("Was", was)
        if item.beside:
            place("With it", ", ".join(item.beside))
        place("Undo", command("distill", f"{kind}s", "restore", item.key))
