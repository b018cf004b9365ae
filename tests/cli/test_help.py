"""Help that lists what there is, and a command that answers at once."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

VERBS = {
    "run": "--minutes --seconds --count --out --name --rvq-levels --codebook-size --channels --device --seed --voice "
    "--from-scratch --devices --nodes --precision --strategy --tensorboard --wandb",
    "ui": "--port --host --allow --password-file --open",
    "demo": "--minutes --out --device --seed",
    "check": "--channels --seed",
    "train": "--quality --resume --minutes --epochs --name --out --from-scratch"
    " --rvq-levels --codebook-size --commitment-weight --channels --device --seed "
    "--devices --nodes --precision --strategy --tensorboard --wandb",
    "train-prior": "--resume --epochs --minutes --hidden-size --layers --heads --lr --patience --from-scratch --device --seed "
    "--devices --nodes --precision --strategy --tensorboard --wandb",
    "sweep": "--grid --minutes --at-once --ray --out --seed --device",
    "status": "--all",
    "generate": "--seconds --count --prompt --loop --beats --bpm --infill --from --to --originality --temperature "
    "--top-k --top-p --variety --max-similarity --seed --format --bit-depth --out --voice --recordings --edl --device",
    "originality": "--seed --device",
    "encode": "--out --device",
    "decode": "--out --bit-depth --device",
    "edit": "--mirror --rotate --repeat --fill --copy --insert --delete --graft --blend --reimagine --lock --levels --over "
    "--to --by --times --code --weight --seed --temperature --out --bit-depth --device",
    "reconstruct": "--out --device",
    "info": "",
    "export": "--format --out",
    "serve": "--port --host --token-file --longest --workers --waiting",
    "regenerate": "--given --recordings --out --device",
    "models list": "--trash",
    "models search": "",
    "models info": "",
    "models rename": "",
    "models delete": "--empty-trash",
    "models restore": "--out",
    "models export": "--out --recordings --with-recordings",
    "models import": "--in-place",
    "pieces list": "--trash",
    "pieces delete": "--empty-trash",
    "pieces restore": "--out",
    "doctor": "",
}


def test_help_lists_every_verb(distill: Callable[..., Any]) -> None:
    pages = {group: distill(*group.split(), "--help").out for group in ("", "models", "pieces")}
    for verb in VERBS:
        group, _, name = verb.rpartition(" ")
        assert re.search(rf"│ {name} ", pages[group]), verb


def test_help_of_the_page_says_who_else_can_open_it(distill: Callable[..., Any]) -> None:
    """Guards against a shared computer on which others train, listen and delete unknown to the person whose page it is."""
    said = " ".join(distill("ui", "--help").out.split("╭")[0].split())
    assert "that others use too" in said
    assert "--password-file" in said


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_lists_its_options(verb: str, distill: Callable[..., Any]) -> None:
    answer = distill(*verb.split(), "--help")
    assert answer.code == 0
    assert set(re.findall(r"│ [* ]*(--[a-z-]+)", answer.out)) == {*VERBS[verb].split(), "--json", "--debug", "--help"}


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_a_flag_takes_no_value(verb: str, distill: Callable[..., Any]) -> None:
    """Guards against ``--json <bool>``, which reads as if true or false had to follow."""
    lines = [line for line in distill(*verb.split(), "--help").out.splitlines() if "--help" not in line]
    assert not re.search("(?i)<bool|boolean", "".join(lines))


def told(verb: str, distill: Callable[..., Any]) -> str:
    """The whole help of a verb as running text."""
    return " ".join(re.sub("[^ -~]", " ", distill(*verb.split(), "--help").out).split())


@pytest.mark.parametrize("verb", ["check", "originality"])
def test_the_seed_of_what_trains_nothing_speaks_of_no_training(verb: str, distill: Callable[..., Any]) -> None:
    """Guards against words about --minutes on a command that has no such option."""
    assert "--minutes" not in told(verb, distill)


def test_help_promises_no_more_than_holds(distill: Callable[..., Any]) -> None:
    """Guards against half the memory by bf16, a loop of ten minutes, and "nothing leaves" beside a log that can be sent."""
    assert "halves the memory" not in told("train", distill)
    assert "Apple" in told("train", distill)
    assert "a loop at most 300" in told("generate", distill)
    assert "unless you ask" in told("", distill)
    assert "name of a model" in told("train-prior", distill)


def test_short_help(distill: Callable[..., Any]) -> None:
    assert distill("train", "-h").out == distill("train", "--help").out


def test_version(distill: Callable[..., Any]) -> None:
    assert re.fullmatch(r"distill \d+\.\d+\.\d+\n", distill("--version").out)


def test_a_mistyped_verb_is_answered_with_the_right_one(distill: Callable[..., Any]) -> None:
    distill("trian").refused("trian", "train")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["train"], "FOLDER"),
        (["generate"], "MODEL"),
        (["reconstruct", "m", "f"], "--out"),
        (["check", "f", "--seed", "-1"], "--seed"),
        (["check", "f", "--fast"], "--fast"),
        (["generate", "m", "--count", "many"], "--count"),
        (["generate", "m", "--format", "aac"], "flac"),
        (["models", "rename", "m"], "NEW-NAME"),
    ],
)
def test_a_call_that_cannot_be_understood(words: list[str], named: str, distill: Callable[..., Any]) -> None:
    distill(*words).refused(named, "-h")


def test_import_and_help_do_not_wait_for_pytorch() -> None:
    """Guards against an import at the top of a file that makes ``distill --help`` take seconds."""
    code = """
import json, sys
import distill
sys.argv = ["distill", "train", "--help"]
from distill.cli.app import main
try:
    main()
except SystemExit:
    pass
heavy = {"torch", "numpy", "lightning_fabric", "matplotlib", "soundfile", "distill.api"} & set(sys.modules)
print(json.dumps(sorted(heavy)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert "--codebook-size" in done.stdout
    assert json.loads(done.stderr) == []


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        ("generate x --format foo", "'foo' is not one of 'wav', 'flac', 'ogg', 'mp3'"),
        ("generate x --seconds foo", "a number is needed"),
        ("pieces list --foo", "No such option"),
        ("train x --rvq-levels 1.5", "a whole number is needed"),
        ("run x --device foo", "'foo' is not one of 'auto', 'cpu', 'mps', 'cuda'"),
    ],
)
def test_a_value_that_cannot_be_read_is_refused_in_plain_words(
    words: str, needed: str, distill: Callable[..., Any]
) -> None:
    """Not in those of the library that checks it: "Value error", "Input should be", "unable to parse string"."""
    ended = distill(*words.split())
    said = " ".join(re.sub("[^ -~]", " ", ended.out + ended.err).split())
    assert ended.code == 2
    assert needed in said
    assert not re.search("Value error|Input should|parse", said), said
