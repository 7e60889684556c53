"""The rules of the layout that a program can check."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import autotune

PACKAGE = Path(autotune.__file__).parent
REPOSITORY = PACKAGE.parent

ROOMS = (
    "errors",
    "units",
    "files",
    "locks",
    "statistics",
    "machine",
    "spec",
    "objectives",
    "measurement",
    "model",
    "backends",
    "preparation",
    "placement",
    "worker",
    "trial",
    "rounds",
    "search",
    "preflight",
    "plan",
    "exporters",
    "store",
    "jobs",
    "report",
    "series",
    "cli",
)
"""From the ground up: a room imports from itself and from those before it."""

DOUBLES = "testing"
"""May import whatever a plug-in may, and is imported by nobody: it comes in through its entry point."""
DOUBLES_MAY_IMPORT = ROOMS[: ROOMS.index("exporters") + 1]

ENGINES = {"torch", "transformers", "onnxruntime", "onnx", "onnxscript", "safetensors", "huggingface_hub"}

BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}

MAX_LINES = 400


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def names(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def runtime_statements(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Every node that can run, functions' bodies included, blocks for type checkers left out."""
    for statement in body:
        if not is_type_checking(statement):
            yield from ast.walk(statement)


def imported(nodes: Iterator[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module


def imported_rooms(path: Path) -> set[str]:
    own = (name.split(".") for name in imported(runtime_statements(tree(path).body)))
    return {parts[1] for parts in own if parts[0] == "autotune" and len(parts) > 1}


def imported_on_import(path: Path) -> set[str]:
    """Top-level packages that importing this module imports: nothing inside functions."""
    top = (node for node in tree(path).body if not is_type_checking(node))
    return {name.split(".")[0] for name in imported(iter(top))}


def test_every_module_lies_in_a_room() -> None:
    entries = {"__init__", "__main__"}
    assert {room(path) for path in modules()} <= {*ROOMS, *entries, DOUBLES}


def test_imports_run_downwards_only() -> None:
    upwards = {
        names(path): above
        for path in modules()
        if room(path) in ROOMS and (above := imported_rooms(path) - set(ROOMS[: ROOMS.index(room(path)) + 1]))
    }
    assert upwards == {}


def test_the_doubles_import_what_a_plug_in_may() -> None:
    doubles = {path: imported_rooms(path) for path in modules() if room(path) == DOUBLES}
    assert doubles
    assert set().union(*doubles.values()) <= {*DOUBLES_MAY_IMPORT, DOUBLES}


def test_importing_a_module_imports_no_engine() -> None:
    found = {names(path): engines for path in modules() if (engines := imported_on_import(path) & ENGINES)}
    assert found == {}


def test_modules_are_split_before_400_lines() -> None:
    lengths = {names(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert {name: length for name, length in lengths.items() if length >= MAX_LINES} == {}


def test_modules_are_named_for_what_they_hold() -> None:
    assert [names(path) for path in modules() if path.stem in BANNED_NAMES] == []


def test_only_the_command_lines_print() -> None:
    """One module of the command line, and the conductor that launch scripts start as a program."""
    printing = {"print", "typer.echo", "sys.stdout.write", "click.echo"}
    assert callers(printing) <= {"cli/output.py", "trial/conduct.py"}


def test_the_library_never_exits_the_process() -> None:
    assert callers({"sys.exit", "exit", "quit"}) == set()


def callers(functions: set[str]) -> set[str]:
    return {
        names(path)
        for path in modules()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in functions
    }


def test_an_import_inside_a_function_counts_as_an_import_of_a_room_only(tmp_path: Path) -> None:
    module = tmp_path / "late.py"
    module.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import onnx\n    from autotune.service import jobs\n"
        "def late():\n    import torch\n    from autotune.cli import output\n",
        encoding="utf-8",
    )
    assert imported_rooms(module) == {"cli"}
    assert imported_on_import(module) == {"typing"}


OBJECTIVES = {"throughput", "latency", "cost"}
"""Names that only their room compares with anything."""
WRITTEN = {"spec/shorthand.py", "plan/upgrade.py"}
"""Where these words are keys of a file or of an old document, and no objective's name."""


def questions(path: Path) -> Iterator[str]:
    """Comparisons with an objective's name, and names taken apart: `kind == "throughput"`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Compare):
            words = {inside.value for inside in ast.walk(node) if isinstance(inside, ast.Constant)}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith((".removeprefix", ".startswith")):
            words = {str(one.value).rstrip("_p") for one in node.args if isinstance(one, ast.Constant)}
        else:
            continue
        if words & OBJECTIVES:
            yield ast.unparse(node)


def test_only_its_room_asks_for_an_objectives_name() -> None:
    """What depends on the objective is a call of it: direction, unit, words, percentile, score."""
    asking = {names(path): asked for path in modules() if (asked := list(questions(path)))}
    assert {name for name in asking if not name.startswith("objectives/")} == WRITTEN


def test_a_question_for_an_objectives_name_is_found(tmp_path: Path) -> None:
    module = tmp_path / "asking.py"
    module.write_text(
        'def asking(plan, spec):\n    if plan.objective != "throughput":\n'
        '        return plan.objective.removeprefix("latency_p")\n'
        '    return "throughput" if spec.objective.kind in ("latency", "throughput") else plan.objective\n',
        encoding="utf-8",
    )
    assert len(list(questions(module))) == 3
