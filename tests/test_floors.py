"""The structure of the package: folders import downwards only, Spark and HTTP keep to theirs, and files are small."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "spark_klaviyo"
# A folder imports only from itself and from the floors above it in this list, type annotations included.
FLOORS = [
    "core errors",
    "http templates",
    "options ratelimit",
    "plan report",
    "deliver arrow datasets",
    "screen state",
    "encode account",
    "batching",
    "task",
    "runs",
    "modes",
    "preview check",
    "entrypoints",
    "cli",
    "__main__ __init__",
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms.split()}
SIMULATOR = "simulator"  # a local Klaviyo, which shares no code with the writer and so no mistake
SIMULATOR_HOST = "cli"  # starts it
SPARK = re.compile(r"(runs|modes|preview|check|entrypoints|cli|datasets/spark_storage|core/identifiers)")
ONLY_WITH_SPARK = re.compile(r"modes/|runs/(execute|interrupt|run|send_from_driver|session_outputs)\.py")
FILES = sorted(PACKAGE.rglob("*.py"))
WRITER = [file for file in FILES if SIMULATOR not in file.relative_to(PACKAGE).parts]
MAX_LINES, MAX_CODE_LINES, MAX_DEPTH, MAX_BROAD, MAX_FILES = 350, 50, 3, 2, 12


def place(file: Path) -> str:
    """Where a file stands in the package, with slashes."""
    return file.relative_to(PACKAGE).as_posix()


def room_of(file: Path) -> str:
    """The folder, or the file that is a room of its own."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def running(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from running(child)


def imports(nodes: Iterator[ast.AST]) -> Iterator[str]:
    """Dotted names of the modules, and of the names in them, that these nodes import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module
            yield from (f"{module}.{name.name}" for name in node.names)


def imported_by(file: Path, *, types: bool = False) -> set[str]:
    """What a file imports when it runs, and with `types` what only its annotations need."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return set(imports(ast.walk(tree) if types else running(tree)))


def rooms_imported_by(file: Path) -> set[str]:
    """The folders of this package, or files beside them, that a file imports from."""
    names = (name.split(".") for name in imported_by(file, types=True))
    rooms = {name[1] for name in names if name[0] == "spark_klaviyo" and len(name) > 1}
    return {room for room in rooms if (PACKAGE / room).is_dir() or (PACKAGE / f"{room}.py").is_file()}


def module_of(file: Path) -> str:
    """The dotted name of a file."""
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(file): file for file in WRITER}


def circle(group: Callable[[Path], str]) -> list[str]:
    """A circle of imports between groups of files; empty where there is none."""
    graph: dict[str, set[str]] = {}
    for file in WRITER:
        others = {group(MODULES[name]) for name in imported_by(file, types=True) if name in MODULES}
        graph.setdefault(group(file), set()).update(others - {group(file)})
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.parametrize("file", WRITER, ids=place)
def test_a_file_imports_only_from_its_own_folder_and_the_floors_below(file: Path) -> None:
    room = room_of(file)
    rooms = rooms_imported_by(file) - ({SIMULATOR} if room == SIMULATOR_HOST else set())
    assert {other for other in rooms if other != room and FLOOR.get(other, 99) >= FLOOR[room]} == set()


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circle(place) == []


def test_no_folders_import_each_other_in_a_circle() -> None:
    assert circle(lambda file: place(file.parent) if file.parent != PACKAGE else place(file)) == []


def test_a_folder_holds_at_most_a_dozen_files() -> None:
    folders = {file.parent for file in FILES}
    counts = {place(folder): sum(file.name != "__init__.py" for file in folder.glob("*.py")) for folder in folders}
    assert {folder: count for folder, count in counts.items() if count > MAX_FILES and folder != "templates"} == {}


@pytest.mark.parametrize("file", WRITER, ids=place)
def test_imports_inside_functions_are_for_start_up_time_and_say_so(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    inside = [node for function in functions for node in ast.walk(function) if isinstance(node, ast.ImportFrom)]
    ours = [node for node in inside if (node.module or "").startswith("spark_klaviyo")]
    assert not ours or "start-up" in text


def test_the_simulator_and_the_writer_share_nothing() -> None:
    guests = {place(file) for file in FILES if file not in WRITER and rooms_imported_by(file) - {SIMULATOR}}
    assert guests == set()


def test_only_the_rooms_that_meet_spark_import_it() -> None:
    users = {place(file) for file in FILES if any(name.split(".")[0] == "pyspark" for name in imported_by(file))}
    assert {user for user in users if not SPARK.match(user)} == set()


def test_spark_is_imported_late_or_with_care_but_where_nothing_works_without_a_dataframe() -> None:
    early = set()
    for file in WRITER:
        body = ast.parse(file.read_text(encoding="utf-8")).body
        plainly: list[ast.stmt] = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
        if any(name.startswith("pyspark") for name in imports(iter(plainly))):
            early.add(place(file))
    assert {file for file in early if not ONLY_WITH_SPARK.match(file)} == set()


def test_only_the_transport_knows_the_http_library() -> None:
    http = {"requests", "urllib3", "http.client", "urllib.request"}
    users = {
        place(file) for file in WRITER if any(name in http or name.split(".")[0] in http for name in imported_by(file))
    }
    assert users <= {"http/transport.py", "http/connections.py"}


def test_nothing_is_imported_relatively() -> None:
    assert {place(file) for file in FILES if any(name.startswith(".") for name in imported_by(file))} == set()


def code_lines(node: ast.AST) -> int:
    """Lines that hold a statement or a part of one; docstrings, comments and blank lines are none."""
    plain = (
        part.value for part in ast.walk(node) if isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
    )
    texts = {id(text) for text in plain}
    parts = (part for part in ast.walk(node) if isinstance(part, ast.expr) and id(part) not in texts)
    return len({line for part in parts for line in (part.lineno, part.end_lineno)})


def depth(node: ast.AST) -> int:
    """How deep loops, branches and blocks nest inside."""
    blocks = ast.If | ast.For | ast.While | ast.With | ast.Try
    inside = [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.FunctionDef)]
    deeper = max((depth(child) for child in inside), default=0)
    chained = isinstance(node, ast.If) and len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If)
    if chained and isinstance(node, ast.If):  # elif is no deeper than its if
        deeper = max(max((depth(child) for child in node.body), default=0), depth(node.orelse[0]) - 1)
    return deeper + isinstance(node, blocks)


@pytest.mark.parametrize("file", FILES, ids=place)
def test_files_and_functions_stay_readable(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    assert len(text.splitlines()) <= MAX_LINES
    assert [node.name for node in functions if code_lines(node) > MAX_CODE_LINES] == []
    assert [node.name for node in functions if depth(node) > MAX_DEPTH] == []


def test_broad_excepts_are_few() -> None:
    broad = [
        f"{place(file)}:{node.lineno}"
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
    ]
    assert len(broad) <= MAX_BROAD, broad


def test_no_file_speaks_of_one_machine_or_of_unfinished_work() -> None:
    ours = [PACKAGE, PACKAGE.parent / "tests", PACKAGE.parent / "notebooks", PACKAGE.parent / ".ci"]
    files = [PACKAGE.parent / "pyproject.toml", *PACKAGE.parent.glob("*.md")]
    files += [
        file for folder in ours for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts
    ]
    unwanted = re.compile(r"(?<![\w.:/-])/(?:root|work|Users|opt)/\w|\b(?:TO[D]O|FIX[M]E|XX[X])\b")
    found = [
        str(file.relative_to(PACKAGE.parent)) for file in files if unwanted.search(file.read_text("utf-8", "ignore"))
    ]
    assert found == []
