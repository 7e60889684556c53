"""What every registered engine can do on a cpu, told without importing any."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from autotune.backends.inventory import EngineStatus, engine_statuses
from autotune.backends.registry import backends
from autotune.spec.configuration import PRECISIONS


def status(name: str, *flags: str) -> EngineStatus:
    return next(one for one in engine_statuses(frozenset(flags)) if one.name == name)


def test_every_registered_engine_is_there_once_and_those_of_real_models_come_first() -> None:
    names = [one.name for one in engine_statuses(frozenset())]
    assert sorted(names) == sorted(backends())
    assert names[-1] == "fake"


@pytest.mark.parametrize("flags", [(), ("avx2",), ("avx2", "avx512_vnni", "avx512_bf16")])
def test_every_precision_of_an_engine_is_either_offered_or_refused_in_words(flags: tuple[str, ...]) -> None:
    for one in engine_statuses(frozenset(flags)):
        assert {*one.precisions, *one.refused} == set(backends()[one.name].precisions) <= set(PRECISIONS)
        assert not set(one.precisions) & set(one.refused)
        assert all(reason.strip() for reason in one.refused.values())


def test_a_precision_is_offered_only_where_the_isa_has_it() -> None:
    assert "bf16" in status("pytorch", "avx512_bf16").precisions
    assert "bf16" in status("pytorch", "avx2").refused["bf16"]


def test_an_installed_engine_is_told_with_its_versions() -> None:
    found = status("onnxruntime")
    assert found.is_installed
    assert found.versions["onnxruntime"] == version("onnxruntime")


def test_an_engine_is_told_with_the_models_that_it_runs() -> None:
    assert {"random", "path", "hf"} <= set(status("pytorch").models)
    assert status("fake").models == ("fake",)
