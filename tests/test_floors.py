"""The house stands: rooms import downwards only, Spark and HTTP stay in their rooms, and nothing grows out of hand."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "spark_klaviyo"
FLOORS = [
    "errors records",
    "options batch wire ledger report templates",
    "plan deliver",
    "encode",
    "pipeline",
    "ask",
    "runs",
    "doors",
    "cli",
    "__main__ __init__",
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms.split()}
APART = "simulator"  # a local Klaviyo, which shares no line with the writer and so no mistake
HOST = "cli"  # starts the simulator
SPARK = re.compile(r"encode/jvm|runs/|doors/|ask/")
FILES = sorted(PACKAGE.rglob("*.py"))
HOUSE = [file for file in FILES if APART not in file.relative_to(PACKAGE).parts]
MOST_LINES, MOST_CODE_LINES, MOST_DEPTH, MOST_BROAD = 350, 50, 3, 3


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


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names of all modules that are imported when the code runs."""
    for node in running(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
            if node.module == "spark_klaviyo":
                yield from (f"spark_klaviyo.{name.name}" for name in node.names)


def imported_by(file: Path) -> set[str]:
    """What a file imports."""
    return set(imports(ast.parse(file.read_text(encoding="utf-8"))))


def rooms_imported_by(file: Path) -> set[str]:
    """The rooms of this package that a file imports from."""
    names = (name.split(".") for name in imported_by(file))
    return {name[1] for name in names if name[0] == "spark_klaviyo" and len(name) > 1}


@pytest.mark.parametrize("file", HOUSE, ids=place)
def test_a_file_imports_only_from_its_own_room_and_the_floors_below(file: Path) -> None:
    room = room_of(file)
    rooms = rooms_imported_by(file) - ({APART} if room == HOST else set())
    assert {other for other in rooms if other != room and FLOOR.get(other, 99) >= FLOOR[room]} == set()


def test_the_simulator_and_the_writer_share_nothing() -> None:
    guests = {place(file) for file in FILES if file not in HOUSE and rooms_imported_by(file) - {APART}}
    assert guests == set()


def test_only_the_rooms_that_meet_spark_import_it() -> None:
    users = {place(file) for file in FILES if any(name.split(".")[0] == "pyspark" for name in imported_by(file))}
    assert {user for user in users if not SPARK.match(user)} == set()


def test_spark_is_imported_late_or_with_care() -> None:
    early = set()
    for file in HOUSE:
        body = ast.parse(file.read_text(encoding="utf-8")).body
        plainly: list[ast.stmt] = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
        if any(name.startswith("pyspark") for name in imports(ast.Module(plainly, []))):
            early.add(place(file))
    assert early == set()


def test_only_the_transport_knows_the_http_library() -> None:
    http = {"requests", "urllib3", "http.client", "urllib.request"}
    users = {
        place(file) for file in HOUSE if any(name in http or name.split(".")[0] in http for name in imported_by(file))
    }
    assert users <= {"wire/transport.py"}


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
    assert len(text.splitlines()) <= MOST_LINES
    assert [node.name for node in functions if code_lines(node) > MOST_CODE_LINES] == []
    assert [node.name for node in functions if depth(node) > MOST_DEPTH] == []


def test_broad_excepts_are_few() -> None:
    broad = [
        f"{place(file)}:{node.lineno}"
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
    ]
    assert len(broad) <= MOST_BROAD, broad


def test_no_file_speaks_of_one_machine_or_of_unfinished_work() -> None:
    ours = [PACKAGE, PACKAGE.parent / "tests", PACKAGE.parent / "notebooks", PACKAGE.parent / ".ci"]
    files = [PACKAGE.parent / "pyproject.toml", *PACKAGE.parent.glob("*.md")]
    files += [
        file for folder in ours for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts
    ]
    unwanted = re.compile(r"(?<![\w.:/-])/(?:root|work|Users|opt)/\w|\b(?:TO[D]O|FIX[M]E|XX[X])\b")
    told = [
        str(file.relative_to(PACKAGE.parent)) for file in files if unwanted.search(file.read_text("utf-8", "ignore"))
    ]
    assert told == []
