from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from autotune.backends.registry import package_versions
from autotune.errors import UnsupportedError
from autotune.placement.knobs import knob_environment
from autotune.placement.preloads import find_preload, preload_versions
from autotune.spec.known_knobs import known_knobs


def test_usual_values_need_no_variables() -> None:
    assert knob_environment({}) == {}
    assert knob_environment({"allocator": "glibc", "wait_policy": "default", "thp": "off"}) == {}


def test_knobs_of_the_engine_are_no_variables() -> None:
    assert knob_environment({"spinning": "off", "streams": "2"}) == {}


def test_variables_are_spelled_as_their_libraries_read_them() -> None:
    assert knob_environment({"wait_policy": "active", "thp": "on", "blocktime": "infinite"}) == {
        "OMP_WAIT_POLICY": "active",
        "THP_MEM_ALLOC_ENABLE": "1",
        "KMP_BLOCKTIME": "infinite",
    }


def test_a_library_at_a_path_is_preloaded(tmp_path: Path) -> None:
    library = tmp_path / "liballoc.so"
    library.write_bytes(Path(sys.executable).read_bytes()[:64])
    assert knob_environment({"allocator": str(library)}) == {"LD_PRELOAD": str(library)}


def test_a_library_that_is_not_there_is_told_in_one_sentence() -> None:
    with pytest.raises(UnsupportedError, match=r"allocator /nowhere/lib\.so is not on this host") as caught:
        knob_environment({"allocator": "/nowhere/lib.so"})
    assert "path of a library that is there" in caught.value.remedy


def test_a_library_is_known_by_what_is_in_its_file_unless_a_package_brings_it(tmp_path: Path) -> None:
    library = tmp_path / "liballoc.so"
    library.write_bytes(b"first build")
    knobs = [("allocator", str(library)), ("spinning", "off"), ("allocator", "glibc")]
    first = preload_versions(knobs)
    assert list(first) == [f"preloaded {library}"]
    library.write_bytes(b"second build")
    assert preload_versions(knobs) != first


def test_the_runtime_of_a_package_is_known_by_the_packages_version() -> None:
    if not package_versions(["intel-openmp"]):
        pytest.skip("intel-openmp is not installed")
    assert preload_versions([("openmp", "libiomp5")]) == {
        "preloaded libiomp5": f"intel-openmp {version('intel-openmp')}"
    }


@pytest.mark.parametrize(
    ("knob", "value"),
    [(knob.name, preload.value) for knob in known_knobs().values() for preload in knob.preloads],
)
def test_a_known_library_is_preloaded_from_where_it_lies_or_the_command_is_told(
    knob: str, value: str
) -> None:
    preload, found = known_knobs()[knob].preload(value), find_preload(knob, value)
    assert preload is not None
    if found is None:
        with pytest.raises(UnsupportedError) as caught:
            knob_environment({knob: value})
        assert caught.value.remedy == preload.install
    else:
        assert found.name.startswith(preload.stem)
        assert knob_environment({knob: value}) == {"LD_PRELOAD": str(found)}
