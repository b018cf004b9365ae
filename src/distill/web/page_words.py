"""Rewords messages of the command line for the page: what to click instead of which option to give.

Jobs are commands and the library is the same for all, so their sentences name options and verbs. Where a sentence can be met on
the page, its other words are here; ``tests/web/test_page_words.py`` finds those that are not.
"""

import re
from typing import Any

_NOW_THERE = "add the folder where they are now under Recordings"
_MODEL_ALONE = "choose “The model” under Export"
_WORDS: tuple[tuple[str, str], ...] = (
    # Recordings that are elsewhere now: an import remembers them by their content, whatever they are called.
    (
        r"Put them back, say where they are with --recordings FOLDER, or leave out --with-recordings\.",
        f"Put them back, or {_NOW_THERE}, and export again; or {_MODEL_ALONE}.",
    ),
    (
        r"Say where they are with --recordings FOLDER, or make new audio with --voice codec\.",
        f"{_NOW_THERE[0].upper()}{_NOW_THERE[1:]}, or choose the voice Codec.",
    ),
    (r"--recordings FOLDER says where they are", _NOW_THERE),
    (r"or export it without --with-recordings", f"or {_MODEL_ALONE}"),
    (r"Export it without --with-recordings, and pass", f"{_MODEL_ALONE[0].upper()}{_MODEL_ALONE[1:]}, and pass"),
    (r"use: distill models export .* --with-recordings", "choose “With its recordings” under Export"),
    (r"If it was moved, say where: --given FILE", "Put it back where it was"),
    (
        r"If you have a copy of the original file, say where: --given FILE",
        "If you have a copy of the original file, put it there",
    ),
    # Models and pieces.
    (r"Put it back with: distill \S+ restore .*", "Restore it from the trash in Library"),
    (r"is in the trash: distill models restore .*", "is in the trash, in Library"),
    (r"See what is in it with: distill \S+ list --trash", "See what is in it in Library"),
    (r"If it was moved: distill models import ITS-FILE --in-place", "If it was moved, import its file in Library"),
    (r"\. If it is no longer wanted: distill models delete PATH", "; or delete it there."),
    (r": distill models import COPY --in-place", ", import that in Library"),
    (r"See all models with: distill models list\. Or .*", "See all models in Library."),
    (r"Give the path, or another name to one of them: distill .*", "Give one of them another name in Library."),
    (r"See the numbers with: distill pieces list", "Look again; it may have been made on another computer"),
    (r"make new audio with: distill generate MODEL", "make new audio"),
    (r"(Begin again with): distill .*", r"\1 New training."),
    (r"(Run|Begin one): distill train-prior .*", "Go on with its training, in Train"),
    (r"Name another folder with --out\.", "Make that folder again, and then restore it."),
    (r"Choose another --out, or move it away\.", "Move away what is there now, and try again."),
    (r"Choose another --name or --out, or move it away\.", "Choose another name, or move it away."),
    (r"Choose another --out\.", "Choose another name."),
    # Training.
    (r"Give the model where it is now: distill .*", "Put it back where it was, or import it in Library, and go on."),
    (r"Say where the recordings are now: distill .*", "Put them back where they were, and go on."),
    (r", or refine the sound of this one: distill train .*", "."),
    (r"--minutes (\d+) would give", r"\1 minutes would give"),
    (r"a smaller --codebook-size", "fewer codes per level"),
    (r"You can stop now \(Ctrl-C\)", "You can stop now"),
    (r"with another --seed", "with another seed"),
    (r"the prior again with a lower learning rate, such as --lr \S+, or", "again with another seed, or"),
    (r"recordings with distill check", "recordings in the table in Recordings"),
    (r"Use --device auto", "Choose (auto) as the device"),
    (r"Say how much further with --minutes or --epochs( \(.*\))?\.", "Say how many minutes further."),
    (r"with --quality high", "with the quality High"),
    (r"Name the folder: distill train FOLDER --resume …", "Add their folder under Recordings, and train again."),
    # New audio.
    (r"Choose --from and --to within the recording", "Mark a passage within the recording"),
    (r" \(--format wav --bit-depth 32 keeps it\)", ""),
    (r" --voice overrides this\.", " You can choose the voice in Generate."),
    (r"--temperature 0 always takes", "Temperature 0 always takes"),
    (
        r"--top-p and --max-similarity set what --originality stands for in the codec's voice\.",
        "Top-p and the similarity limit set what the dial stands for in the codec's voice.",
    ),
    (r"Leave out --top-[kp]( and --top-p)?\.", "Leave top-k at 0 and top-p empty."),
    (r"distill check says how", "the table in Recordings says how"),
    # The last net.
    (r"Run it again with --debug to see where; distill doctor checks", "In a terminal, distill doctor checks"),
    (r"(?<!terminal, )distill doctor checks", "in a terminal, distill doctor checks"),
)
_RULES = tuple((re.compile(pattern), words) for pattern, words in _WORDS)


def for_page(text: str) -> str:
    """A sentence, or several, without options and commands where the page has its own way."""
    for pattern, words in _RULES:
        text = pattern.sub(words, text)
    return text


def event_for_page(event: dict[str, Any]) -> dict[str, Any]:
    """An event of a training whose sentences are the page's."""
    return {name: for_page(told) if isinstance(told, str) else told for name, told in event.items()}
