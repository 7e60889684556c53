from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autotune import errors
from autotune.cli import exits, main, output
from autotune.errors import AutotuneError
from autotune.store.records import StudyRecord
from autotune.store.store import open_store
from autotune.testing.plans import build_plan

COMMANDS = ("machine", "engines", "tune", "plans", "show", "export", "verify", "compare", "cache", "schema")


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "autotune", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


def subclasses(cls: type[AutotuneError]) -> Iterator[type[AutotuneError]]:
    yield cls
    for below in cls.__subclasses__():
        yield from subclasses(below)


def from_the_tree() -> list[type[AutotuneError]]:
    return [cls for cls in subclasses(AutotuneError) if cls.__module__ == errors.__name__]


@pytest.mark.parametrize("cls", from_the_tree())
def test_every_error_has_an_exit_code_with_a_meaning(cls: type[AutotuneError]) -> None:
    assert exits.EXIT_CODES[cls] in exits.MEANINGS


def test_every_error_is_drawn_in_the_tree() -> None:
    assert errors.__doc__ is not None
    assert all(cls.__name__ in errors.__doc__ for cls in from_the_tree())


def test_an_error_outside_the_map_has_the_code_of_its_nearest_base() -> None:
    class NewerStoreError(errors.StoreError):
        pass

    assert exits.exit_code(NewerStoreError("new")) == exits.EXIT_CODES[errors.StoreError]


def test_no_error_looks_like_success_or_a_wrong_command_line() -> None:
    assert not {0, 2} & set(exits.EXIT_CODES.values())


def test_help_names_every_command_and_every_exit_code() -> None:
    ended = run("--help", env={**os.environ, "COLUMNS": "200", "TERM": "dumb"})
    assert ended.returncode == 0
    assert all(f" {name} " in ended.stdout for name in COMMANDS)
    assert all(
        f"{code} {meaning}" in " ".join(ended.stdout.split()) for code, meaning in exits.MEANINGS.items()
    )


def test_help_loads_no_engine_and_no_optuna() -> None:
    code = (
        "import sys; sys.argv = ['autotune', '--help']\n"
        "from autotune.cli.main import run\n"
        "status = run()\n"
        "heavy = {'torch', 'transformers', 'onnxruntime', 'onnx', 'optuna', 'numpy'} & set(sys.modules)\n"
        "sys.exit(f'{status} {heavy}' if status or heavy else 0)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


READING = frozenset(
    {
        *("torch", "transformers", "onnxruntime", "onnx", "openvino", "ctranslate2", "jax", "tokenizers"),
        *("optuna", "alembic", "numpy", "scipy", "matplotlib", "jinja2", "psutil", "yaml", "hdrh", "rich"),
        *("autotune.jobs", "autotune.search", "autotune.rounds", "autotune.trial", "autotune.worker"),
        *("autotune.preparation", "autotune.preflight", "autotune.report", "autotune.store.ranking"),
        *("autotune.placement.place", "autotune.machine.read"),
    }
)
"""Modules that reading a stored plan has no use for, and that are slow to import or lead to such."""
LISTING = READING | {
    *("autotune.backends", "autotune.placement"),
    *("autotune.plan.document", "autotune.plan.describe", "autotune.plan.evidence"),
    *("autotune.measurement.measurement", "autotune.measurement.codec", "autotune.spec.study"),
}
"""Modules that a list of plans has no use for: it reads no document and no result."""


@pytest.mark.parametrize(
    ("command", "unused"),
    [
        (("plans",), LISTING),
        (("plans", "--json"), LISTING),
        (("show", "latest"), READING),
        (("show", "latest", "--json"), READING),
    ],
)
def test_commands_that_read_plans_import_nothing_that_they_do_not_need(
    command: tuple[str, ...], unused: frozenset[str], tmp_path: Path
) -> None:
    with open_store(f"sqlite:///{tmp_path}/autotune.db") as store:
        store.create_study(StudyRecord("quickstart", 0.0, {}, {}, {}, "d", "m"))
        store.save_plan(build_plan())
    code = (
        f"import sys; sys.argv = {['autotune', *command]!r}\n"
        "from autotune.cli.main import run\n"
        f"sys.exit(run() or ' '.join(sorted({set(unused)!r} & set(sys.modules))) or 0)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "quickstart-7f3a9c" in ended.stdout


def test_the_version_is_printed_on_stdout() -> None:
    from importlib.metadata import version

    assert run("--version").stdout == f"autotune {version('autotune')}\n"


def test_a_wrong_command_line_exits_with_2() -> None:
    ended = run("tune", "--no-such-option")
    assert ended.returncode == 2
    assert ended.stdout == ""


def test_an_error_prints_problem_and_remedy_and_no_traceback(tmp_path: object) -> None:
    ended = run("tune", "no-such-study.yaml", cwd=tmp_path)
    assert ended.returncode == exits.EXIT_CODES[errors.StudyFileError]
    assert ended.stderr.startswith("error: ")
    assert "no-such-study.yaml" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_an_unexpected_exception_prints_a_traceback_and_asks_for_a_report() -> None:
    code = (
        "import sys\n"
        "from autotune.cli import main\n"
        "@main.app.command('broken')\n"
        "def broken() -> None:\n"
        "    raise ZeroDivisionError('boom')\n"
        "sys.argv = ['autotune', 'broken']\n"
        "main.main()"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == exits.BUG
    assert "ZeroDivisionError: boom" in ended.stderr
    assert "report" in ended.stderr


def test_ctrl_c_while_the_command_line_is_imported_is_no_traceback() -> None:
    """The interrupt comes as soon as the command line's own module is looked for."""
    code = (
        "import os, signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'autotune.cli.main':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from autotune.cli.start import main\n"
        "main()"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (exits.INTERRUPTED, "", "interrupted\n")


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    command = f"{sys.executable} -m autotune schema | true"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert ended.stderr == ""


def test_a_plain_table_is_aligned_and_never_cut() -> None:
    long = "x" * 300
    text = output.plain_table("title", ("a", "wide column"), [("1", long), ("22", "y")])
    assert text.splitlines() == ["title", "a   wide column", f"1   {long}", "22  y"]


def test_a_status_line_is_for_terminals_only(capsys: pytest.CaptureFixture[str]) -> None:
    output.status("measuring")
    output.message("measured")
    assert capsys.readouterr().err == "measured\n"


def test_text_from_outside_cannot_drive_the_terminal() -> None:
    assert output.printable("a\x1b[2Jb\tc\nd\x9b") == "a\\x1b[2Jb\tc\nd\\x9b"


def test_every_command_uses_the_same_store_unless_told_otherwise() -> None:
    import typer.main

    from autotune.store.store import DEFAULT_URL

    commands = getattr(typer.main.get_command(main.app), "commands", {})
    options = [option for command in commands.values() for option in command.params if option.name == "store"]
    assert len(options) >= 2
    assert {option.default for option in options} == {DEFAULT_URL}
