"""The rules of the layout that a program can check."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args

import autotune
from autotune.spec.model_kind import MODEL_KINDS
from autotune.spec.scenario import SCENARIOS, Scenario

PACKAGE = Path(autotune.__file__).parent
REPOSITORY = PACKAGE.parent

MAP = REPOSITORY / "docs" / "architecture.md"

ROW = re.compile(r"^\| `(?P<room>[a-z_]+)(?:\.py|/)` \|.*\|(?P<imports>[^|]*)\|$")


@dataclass(frozen=True)
class House:
    """The rooms of docs/architecture.md, from the ground up.

    Attributes:
        ground: rooms of the first table, which every other room may import.
        imports: of each room, those that its row names.
    """

    ground: tuple[str, ...]
    imports: Mapping[str, frozenset[str]]

    @property
    def rooms(self) -> tuple[str, ...]:
        return tuple(self.imports)


def read_map(text: str) -> House:
    section = re.split(r"^## ", text.split("\n## The rooms\n")[1], maxsplit=1, flags=re.MULTILINE)[0]
    tables = [
        [match for line in table[0].splitlines() if (match := ROW.match(line))]
        for table in re.finditer(r"(?:^\|.*\n)+", section, re.MULTILINE)
    ]
    return House(
        ground=tuple(row["room"] for row in tables[0]),
        imports={
            row["room"]: frozenset(re.findall(r"`([a-z_]+)`", row["imports"]))
            for table in tables
            for row in table
        },
    )


HOUSE = read_map(MAP.read_text(encoding="utf-8"))

ENGINES = {"torch", "transformers", "onnxruntime", "onnx", "onnxscript", "safetensors", "huggingface_hub"}

BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}

MAX_LINES = 400
MAX_MODULES = 32
"""In one folder."""
MAX_FUNCTION_LINES = 50
"""Without the docstring."""
MAX_PARAMETERS = 8


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
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (name for name in map(spelled_module, node.args) if name)


def spelled_module(argument: ast.expr) -> str:
    """The name of a module that is imported by call, as far as it is spelled out."""
    first = argument.values[0] if isinstance(argument, ast.JoinedStr) else argument
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def imported_rooms(path: Path) -> set[str]:
    own = (name.split(".") for name in imported(runtime_statements(tree(path).body)))
    return {parts[1] for parts in own if parts[0] == "autotune" and len(parts) > 1}


def imported_on_import(path: Path) -> set[str]:
    """Top-level packages that importing this module imports: nothing inside functions."""
    top = (node for node in tree(path).body if not is_type_checking(node))
    return {name.split(".")[0] for name in imported(iter(top))}


def test_the_map_has_every_room_and_no_other() -> None:
    entries = {"__init__", "__main__"}
    assert {room(path) for path in modules()} - entries == set(HOUSE.rooms)


def test_the_map_leads_downwards_only() -> None:
    upwards = {
        name: above
        for index, name in enumerate(HOUSE.rooms)
        if (above := HOUSE.imports[name] - set(HOUSE.rooms[:index]))
    }
    assert upwards == {}


def test_rooms_import_what_the_map_says() -> None:
    """Where this fails, change the import, or the room's row in docs/architecture.md."""
    drawn: dict[str, set[str]] = {name: set() for name in HOUSE.rooms}
    for path in modules():
        if room(path) in HOUSE.rooms:
            drawn[room(path)] |= imported_rooms(path) - {room(path)}
    allowed = {
        name: HOUSE.imports[name] | (set() if name in HOUSE.ground else set(HOUSE.ground))
        for name in HOUSE.rooms
    }
    not_on_the_map = {name: sorted(drawn[name] - allowed[name]) for name in HOUSE.rooms}
    no_longer_imported = {name: sorted(HOUSE.imports[name] - drawn[name]) for name in HOUSE.rooms}
    assert {name: rooms for name, rooms in not_on_the_map.items() if rooms} == {}
    assert {name: rooms for name, rooms in no_longer_imported.items() if rooms} == {}


def test_a_map_is_read_from_its_tables() -> None:
    text = (
        "# Map\n\n| `not` | a room | |\n\n## The rooms\n\n| room | holds | may import |\n|---|---|---|\n"
        "| `errors.py` | errors | |\n\nMore:\n\n| `spec/` | `YAML` | |\n| `cli/` | words | `spec` |\n"
        "\n## Rules\n\n| `neither` | is this | |\n"
    )
    house = read_map(text)
    assert house.ground == ("errors",)
    assert house.imports == {"errors": frozenset(), "spec": frozenset(), "cli": frozenset({"spec"})}


def test_modules_import_each_other_in_no_circle() -> None:
    paths = {dotted(path): path for path in modules()}
    graph = {name: set(imported_modules(path, paths)) - {name} for name, path in paths.items()}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError with the circle


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")


def imported_modules(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """Modules of the package that the module imports when it runs, inside functions too."""
    for node in runtime_statements(tree(path).body):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.module in known:
            inside = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in known else node.module for name in inside)


def test_importing_a_module_imports_no_engine() -> None:
    found = {names(path): engines for path in modules() if (engines := imported_on_import(path) & ENGINES)}
    assert found == {}


def test_modules_are_split_before_400_lines() -> None:
    lengths = {names(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert {name: length for name, length in lengths.items() if length >= MAX_LINES} == {}


def test_folders_are_split_before_they_hide_something() -> None:
    sizes = {
        names(folder): len([path for path in folder.glob("*.py") if path.stem != "__init__"])
        for folder in {path.parent for path in modules()}
    }
    assert {name: size for name, size in sizes.items() if size > MAX_MODULES} == {}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def lines_without_docstring(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    docstring = function.body[0] if ast.get_docstring(function) is not None else None
    described = range(docstring.lineno, (docstring.end_lineno or 0) + 1) if docstring else range(0)
    return (function.end_lineno or 0) - function.lineno + 1 - len(described)


def is_option(annotation: str) -> bool:
    """Whether it makes an option of a command, in its own words or by the name of one that commands share."""
    return "typer." in annotation or annotation in shared_options()


@cache
def shared_options() -> set[str]:
    assigned = [
        node
        for path in modules()
        if room(path) == "cli"
        for node in tree(path).body
        if isinstance(node, ast.Assign) and "typer." in ast.unparse(node.value)
    ]
    return {ast.unparse(target) for node in assigned for target in node.targets}


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many the caller sees; the options of a command do not count."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    counted = [
        argument
        for argument in named
        if argument.arg not in ("self", "cls")
        and not (argument.annotation and is_option(ast.unparse(argument.annotation)))
    ]
    return len(counted) + bool(arguments.vararg) + bool(arguments.kwarg)


def test_functions_fit_a_screen() -> None:
    long = {
        (names(path), function.name)
        for path in modules()
        for function in functions(path)
        if lines_without_docstring(function) > MAX_FUNCTION_LINES
    }
    assert long == set()


def test_functions_take_few_parameters() -> None:
    many = {
        (names(path), function.name)
        for path in modules()
        for function in functions(path)
        if parameters(function) > MAX_PARAMETERS
    }
    assert many == set()


def test_modules_are_named_for_what_they_hold() -> None:
    assert [names(path) for path in modules() if path.stem in BANNED_NAMES] == []


def public_names(path: Path) -> Iterator[tuple[str, str]]:
    """Names of classes and of types that the module defines, and what tells two meanings apart.

    A class has a meaning of its own wherever it stands; types that are spelled alike are the same.
    """
    for node in tree(path).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name, f"class of {path}"
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, spelled = node.targets[0].id, ast.unparse(node.value)
            if name[0].isupper() and not name.isupper() and not spelled.startswith("TypeVar("):
                yield name, spelled


def doubles(paths: Iterable[Path]) -> dict[str, list[str]]:
    """Names with more than one meaning, and the modules that use them."""
    meanings: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path in paths:
        for name, meaning in public_names(path):
            meanings[name][meaning].append(names(path) if path.is_relative_to(PACKAGE) else path.name)
    return {
        name: sorted(module for modules in spelled.values() for module in modules)
        for name, spelled in sorted(meanings.items())
        if len(spelled) > 1
    }


def test_no_two_ideas_share_a_name() -> None:
    assert doubles(modules()) == {}


def test_a_name_that_two_ideas_share_is_found(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("class Run: ...\nclass _Own: ...\nArray = list[float]\nMost = int\n")
    (tmp_path / "two.py").write_text("Run = int\nclass _Own: ...\nArray = list[float]\nMost = float\n")
    expected = {"Most": ["one.py", "two.py"], "Run": ["one.py", "two.py"]}
    assert doubles(sorted(tmp_path.iterdir())) == expected


def test_only_the_command_lines_print() -> None:
    """One module of the command line, the conductor that launch scripts start, and what starts a server."""
    printing = {"print", "typer.echo", "sys.stdout.write", "click.echo"}
    assert callers(printing) <= {"cli/output.py", "trial/conduct.py", "runtime/start.py"}


def test_a_service_can_start_any_job_and_write_its_document_without_the_command_line() -> None:
    """And without a word from them: nothing outside `cli/` knows a terminal."""
    jobs = [path for path in modules() if room(path) in {"jobs", "series", "documents"}]
    program = "import sys\n" + "".join(
        f"import autotune.{names(path).removesuffix('.py').replace('/', '.')}\n" for path in jobs
    )
    program += "print([name for name in sys.modules if name.startswith(('autotune.cli', 'typer', 'rich'))])"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("[]\n", "")


def test_only_the_command_line_knows_a_terminal() -> None:
    knowing = {
        names(path)
        for path in modules()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr in {"isatty", "get_terminal_size"}
    }
    assert {name for name in knowing if not name.startswith("cli/")} == set()


def test_the_library_never_exits_the_process() -> None:
    assert callers({"sys.exit", "exit", "quit"}) == set()


def test_only_the_edge_knows_ctrl_c() -> None:
    """Jobs ask a `Stop` and give a value; signals, and Python's word for one, are the caller's."""
    knowing = {
        names(path)
        for path in modules()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Name) and node.id == "KeyboardInterrupt"
    }
    assert {name for name in knowing if not name.startswith("cli/")} == {"__init__.py"}


def callers(functions: set[str]) -> set[str]:
    return {
        names(path)
        for path in modules()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in functions
    }


OF_THE_HOST = {"host_lock", "end_fork_server", "rest_fork_server", "read_machine"}
"""What one owner has: the right to measure, the process that prepares, and what the machine is."""


def test_only_the_bench_locks_reads_and_clears_the_host() -> None:
    """Who wants anything of this machine asks `LocalHost`; doubles read it for their plug-ins' sake."""
    calling = {name for name in callers(OF_THE_HOST) if not name.startswith("testing/")}
    assert calling == {"bench/here.py", "bench/local.py", "bench/changes.py"}


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


def names_asked(path: Path, asked: set[str]) -> Iterator[str]:
    """Comparisons and patterns that hold one of these words: `scenario == "server"`, `case "server":`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Compare | ast.MatchValue):
            words = {inside.value for inside in ast.walk(node) if isinstance(inside, ast.Constant)}
            if words & asked:
                yield ast.unparse(node)


def test_nobody_asks_for_a_scenarios_name() -> None:
    """What depends on the scenario is one of its traits, or lies in a module that is found by its name."""
    asking = {names(path): asked for path in modules() if (asked := list(names_asked(path, {*SCENARIOS})))}
    assert asking == {}


def test_every_scenario_has_its_folder_beside_the_instances_and_its_module_in_them() -> None:
    for name in SCENARIOS:
        assert (PACKAGE / "trial" / name / "scenario.py").is_file()
        assert (PACKAGE / "worker" / "scenarios" / f"{name}.py").is_file()
    assert {*SCENARIOS} == {*get_args(Scenario)}


def test_a_question_for_a_scenarios_name_is_found(tmp_path: Path) -> None:
    module = tmp_path / "asking.py"
    module.write_text(
        'def asking(plan, spec):\n    if plan.scenario != "server":\n        return {"scenario": "server"}\n'
        '    if spec.scenario in ("offline", "server"):\n        return "offline"\n'
        '    match spec.scenario:\n        case "single_stream":\n            return "server"\n',
        encoding="utf-8",
    )
    assert len(list(names_asked(module, {*SCENARIOS}))) == 3


OTHERS_OF_THESE_NAMES = {"plan/make.py"}
"""Where `random` is what answers were compared on, and no model's kind."""


def kinds_asked(path: Path) -> Iterator[str]:
    """Questions for the name of a model's kind: `kind == "fake"`, `source.startswith("onnx:")`, tables."""
    prefixes = {f"{name}:" for name in MODEL_KINDS}
    yield from names_asked(path, {*MODEL_KINDS} - {"path"})
    asked: object
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Compare):
            asked = "kind" in ast.unparse(node) and {*constants(node)} & {"path"}
        elif isinstance(node, ast.Call):
            asked = (
                ast.unparse(node.func).endswith((".removeprefix", ".startswith"))
                and {*constants(node)} & prefixes
            )
        elif isinstance(node, ast.Dict):
            asked = sum(isinstance(key, ast.Constant) and key.value in MODEL_KINDS for key in node.keys) > 1
        elif isinstance(node, ast.Set):
            asked = len({*constants(node)} & {*MODEL_KINDS}) > 1
        else:
            looked_up = isinstance(node, ast.Subscript) and ast.unparse(node.value) != "Literal"
            asked = looked_up and {*constants(node)} & {*MODEL_KINDS} - {"path"}
        if asked:
            yield ast.unparse(node)


def constants(node: ast.AST) -> Iterator[object]:
    return (inside.value for inside in ast.walk(node) if isinstance(inside, ast.Constant))


def test_only_the_list_of_sources_asks_for_the_name_of_a_models_kind() -> None:
    """What depends on a model's kind is a trait of it; the doubles, which are of one kind, know its name."""
    asking = {names(path): asked for path in modules() if (asked := list(kinds_asked(path)))}
    found = {name for name in asking if not name.startswith("testing/")}
    assert found == {"model/sources.py", *OTHERS_OF_THESE_NAMES}


def test_a_question_for_the_name_of_a_models_kind_is_found(tmp_path: Path) -> None:
    module = tmp_path / "asking.py"
    module.write_text(
        'def asking(model, source):\n    if model.kind in ("path", "hf"):\n        return "onnx"\n'
        '    if source.startswith(("onnx:", "hf:")) or MODEL_KINDS["fake"]:\n'
        '        return {"fake": 1, "onnx": 2}\n'
        '    return {"random", "path"} if model.kind == "path" else {"random": "path"}\n',
        encoding="utf-8",
    )
    assert len(list(kinds_asked(module))) == 7
