"""The house rules that no other test would miss: who may know whom, and what may not stand anywhere."""

import ast
import functools
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
PACKAGE = SRC / "distill"
FILES = sorted(PACKAGE.rglob("*.py"))

FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "durations", "counted", "complaints", "awake"}),
    frozenset({"files", "given"}),
    frozenset({"audio"}),
    frozenset({"formats"}),
    frozenset({"recordings"}),
    frozenset({"models"}),
    frozenset({"codes"}),
    frozenset({"originality"}),
    frozenset({"sizes", "library"}),
    frozenset({"training"}),
    frozenset({"runs", "settings"}),
    frozenset({"making"}),
    frozenset({"evaluation"}),
    frozenset({"report", "doctor", "export"}),
    frozenset({"run_plan"}),
    frozenset({"pipeline"}),
    frozenset({"api"}),
    frozenset({"web", "client"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
)
"""From the ground up. A room is a folder or a file of ``src/distill``; it may know the floors below it and itself alone."""

WRITES_ONLY = {"torch.jit.script", "torch.jit.trace"}
"""They make what others run; nothing of it is ever read."""

DOOR = "distill/__init__.py"
"""The public API: it opens onto every floor but the top two, and nothing inside goes through it."""


def name_of(path: Path) -> str:
    return path.relative_to(SRC).as_posix()


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module", autouse=True)
def _parsed_once() -> Iterator[None]:
    """Every file is parsed for all rules together, and no tree outlives them."""
    yield
    parsed.cache_clear()


def room(module: str) -> str:
    """``distill.formats.files`` is in the room ``formats``."""
    return module.split(".")[1]


def floor(room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def imported(path: Path) -> Iterator[str]:
    """Every module of our own that the file imports, be it in a function or for type checking only; of what it imports from a
    folder, the file in it."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "distill")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: a relative import hides where it goes"
            if node.module == "distill":
                yield from (f"distill.{alias.name}" for alias in node.names)
            elif (node.module or "").startswith("distill."):
                module = node.module or ""
                folder = SRC.joinpath(*module.split("."))
                yield from (
                    f"{module}.{alias.name}" if (folder / f"{alias.name}.py").exists() else module
                    for alias in node.names
                )


def test_every_room_has_a_floor() -> None:
    for path in FILES:
        if name_of(path) != DOOR:
            first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
            assert any(first in rooms for rooms in FLOORS), f"{first} is on no floor"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_knows_lower_floors_and_its_own_room(path: Path) -> None:
    """Guards against the ways back up that turn a house into a knot."""
    if name_of(path) == DOOR:
        assert all(floor(room(module)) < floor("web") for module in imported(path))
        return
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module in imported(path):
        assert module.count("."), f"{name_of(path)} goes through the public door"
        assert room(module) == own or floor(room(module)) < floor(own), f"{name_of(path)} imports {module}"


def test_no_two_files_need_each_other() -> None:
    """Guards against circles within a room, for types alone too: to read one file, one would have to read the other first."""
    by_name = {name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in FILES}
    after = {name: set(imported(path)) & by_name.keys() - {name} for name, path in by_name.items()}
    try:
        list(TopologicalSorter(after).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_file_can_run_what_it_reads(path: Path) -> None:
    """Guards against pickle in any disguise: opening somebody's model must never run code."""
    for node in ast.walk(parsed(path)):
        where = f"{name_of(path)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            risky = {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
            assert not risky & {part for name in names for part in name.split(".")}, where
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"eval", "exec", "compile", "__import__", "torch.load", "torch.save"}, where
            is_risky = called.startswith(("torch.jit.", "torch.hub.", "torch.package.", "torch.export."))
            assert not is_risky or (called in WRITES_ONLY and name_of(path).startswith("distill/export/")), where
            for keyword in node.keywords:
                given = ast.unparse(keyword.value)
                assert (keyword.arg, given) not in {
                    ("weights_only", "False"),
                    ("allow_pickle", "True"),
                    ("shell", "True"),
                }, where


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_word_of_opening_pickles(path: Path) -> None:
    """Guards against what the tree of the code hides: a name in a string, a setting handed on in a dictionary."""
    text = path.read_text(encoding="utf-8").lower()
    for word in ("pickle.load", "unpickl", "weights_only", "import_module(name", "allow_pickle=true", "import pickle"):
        assert word not in text, f"{name_of(path)}: {word}"


@pytest.mark.parametrize("path", [path for path in FILES if not path.stem.startswith("_")], ids=name_of)
def test_what_is_public_says_what_it_is(path: Path) -> None:
    tree = parsed(path)
    assert ast.get_docstring(tree), f"{name_of(path)} does not say what it is for"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{name_of(path)}: {node.name}"


def names_in(path: Path) -> set[str]:
    """What a file defines: its functions, classes, methods (``method`` and ``Class.method``) and values."""
    found: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
            if isinstance(node, ast.ClassDef):
                found |= {f"{node.name}.{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_what_a_docstring_points_at_is_there(path: Path) -> None:
    """Guards against words about a function that has moved or got another name."""
    nodes = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.Import | ast.ImportFrom)]
    given = {(alias.asname or alias.name).split(".")[0] for node in nodes for alias in node.names}
    for named in re.findall(r":(?:func|class|meth|attr|mod|data):`~?([\w.]+)`", path.read_text(encoding="utf-8")):
        parts = named.split(".")
        ends = range(len(parts), 1, -1) if parts[0] == "distill" else ()
        files = [(SRC.joinpath(*parts[:end]).with_suffix(".py"), parts[end:]) for end in ends]
        file, rest = next(((file, rest) for file, rest in files if file.exists()), (path, parts))
        is_elsewhere = file == path and parts[0] in given
        assert is_elsewhere or not rest or ".".join(rest) in names_in(file), f"{name_of(path)}: {named}"


def is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_docstring_stands_below_what_it_is_of(path: Path) -> None:
    """Guards against a value that was put between another and its docstring, which then reads as the new one's."""
    bodies = [getattr(node, "body", ()) for node in ast.walk(parsed(path))]
    pairs = [pair for body in bodies if isinstance(body, list) for pair in pairwise(body)]
    assert [second.lineno for first, second in pairs if is_text(first) and is_text(second)] == []


@pytest.mark.parametrize("path", [path for path in FILES if path.name == "__init__.py"], ids=name_of)
def test_every_folder_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(parsed(path))


@pytest.mark.parametrize(
    "path",
    [path for folder in ("src", "tests", "benchmarks") for path in sorted((SRC.parent / folder).rglob("*.py"))],
    ids=lambda path: path.relative_to(SRC.parent).as_posix(),
)
def test_a_name_is_imported_from_where_it_is_defined(path: Path) -> None:
    """Guards against names handed on by a second file: a reader would look for them in the wrong place."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("distill."):
            source = SRC.joinpath(*(node.module or "").split(".")).with_suffix(".py")
            if source.exists():  # a folder is a door: it hands on what its files define
                assert {alias.name for alias in node.names} <= names_in(source), f"{path}: {node.module}"


def test_no_room_for_odds_and_ends() -> None:
    assert not {"utils", "helpers", "common", "misc"} & {path.stem for path in PACKAGE.rglob("*")}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_is_printed_past_the_console(path: Path) -> None:
    """Guards against a stray print that breaks ``--json``."""
    calls = {ast.unparse(node.func) for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)}
    assert not {"print", "breakpoint"} & calls


def test_lengths_of_time_have_one_home() -> None:
    """Guards against "0.5 minutes" and "It lasts 6 hours; at most 6": a length of time is worded in durations.py alone."""
    own = re.compile(r"/ (?:60|3600)(?::[^}\"]*)?\}|\} ?(?:minutes?|hours?|min|h)\b")
    repeats_what_was_typed = {"distill/settings.py"}
    found = {name_of(path) for path in FILES if own.search(path.read_text(encoding="utf-8"))}
    assert found == {"distill/durations.py"} | repeats_what_was_typed


def test_numbers_of_things_have_one_home() -> None:
    """Guards against "1 recordings", and against each file forming its own plurals: ``counted`` does."""
    own = re.compile(
        r"""['"]s['"]\ \*\ \(.*!=\ 1                           # {'s' * (n != 1)}
        |['"]1\ [\w ]+['"]\ if                              # '1 file' if
        |(['"])(\w*)\1\ if\ [^'"]*\ ==\ 1\ else\ \1\2s\1    # 'file' if n == 1 else 'files'""",
        re.VERBOSE,
    )
    found = {name_of(path) for path in FILES if own.search(path.read_text(encoding="utf-8"))}
    assert not found


def test_every_error_is_raised_and_drawn() -> None:
    """Guards against errors that are promised in the tree and never come."""
    tree = parsed(PACKAGE / "errors.py")
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    parents = {ast.unparse(base) for node in classes.values() for base in node.bases}
    made = {ast.unparse(node.func) for path in FILES for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)}
    drawing = ast.get_docstring(tree) or ""
    for name in classes:
        assert name in drawing, f"{name} is not in the tree at the top of errors.py"
        assert name in parents or name in made, f"{name} is never raised"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_where_a_path_leads_has_one_home(path: Path) -> None:
    """Guards against ``Path.resolve``, which raises a RuntimeError at a link that leads back to itself (Python 3.11, 3.12)."""
    assert ".resolve(" not in path.read_text(encoding="utf-8").replace("``Path.resolve``", ""), (
        "distill.files.regular.absolute"
    )
