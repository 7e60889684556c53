"""Rule 13 of docs/architecture.md: a simulation runs the product's own code, its loops as a whole."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "studies" / "benchmarks"

PARTS = {
    "autotune.jobs.finalists",
    "autotune.rounds.contest",
    "autotune.rounds.duel",
    "autotune.rounds.posterior",
    "autotune.search.beliefs",
    "autotune.search.experience",
    "autotune.search.order",
    "autotune.search.second_stage",
    "autotune.statistics.shrinkage",
    "autotune.trial.collect",
    "autotune.trial.stopping",
}
"""Modules that hold the parts of the loops of `tune`, which call them in their own order."""

PART_FUNCTIONS = {"collect", "open_search", "needed_rounds", "search_s", "run_contest", "run_rounds"}
"""Parts that stand in modules of which a benchmark may use others."""

PART_METHODS = {"ask", "next_round", "sample_relative", "untried", "measure_block"}

ALLOWED = {
    "simulated_tune.py": {"autotune.rounds.contest.MARGIN"},
    "verification.py": {"autotune.rounds.duel.Duel", "autotune.search.experience.run_blocks"},
    "plain_loop.py": {"autotune.trial.stopping.goodness_of_blocks"},
}
"""Figures and pure functions, which decide nothing; and the match that an earlier rule decided by."""


def parts_used(path: Path) -> set[str]:
    """Every part of the product's loops that a module takes into its own hands."""
    used: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            used |= {
                f"{node.module}.{alias.name}"
                for alias in node.names
                if node.module in PARTS
                or (node.module.startswith("autotune.") and alias.name in PART_FUNCTIONS)
            }
        if isinstance(node, ast.Import):
            used |= {alias.name for alias in node.names if alias.name in PARTS}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            used |= {f".{node.func.attr}()"} if node.func.attr in PART_METHODS else set()
    return used - ALLOWED.get(path.name, set())


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.py")), ids=lambda path: path.stem)
def test_no_benchmark_has_a_loop_of_its_own_around_the_parts_of_the_product(path: Path) -> None:
    """Where this fails, put a `SimulatedHost` behind `tune`, or run `Searching` and `Confirming` whole."""
    assert parts_used(path) == set()


def test_the_parts_are_where_this_rule_looks_for_them() -> None:
    repository = BENCHMARKS.parents[1]
    missing = [part for part in PARTS if not (repository / f"{part.replace('.', '/')}.py").is_file()]
    assert missing == []


def test_a_loop_of_its_own_is_found(tmp_path: Path) -> None:
    path = tmp_path / "paraphrase.py"
    path.write_text(
        "from autotune.trial.collect import collect\n"
        "from autotune.jobs.finalists import choose_finalists\n"
        "from autotune.search.study import SearchStudy, open_search\n"
        "study.ask()\n"
    )
    assert parts_used(path) == {
        "autotune.trial.collect.collect",
        "autotune.jobs.finalists.choose_finalists",
        "autotune.search.study.open_search",
        ".ask()",
    }
