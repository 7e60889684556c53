from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from autotune.machine.libraries import LDCONFIG, find_library

pytestmark = pytest.mark.skipif(not Path(LDCONFIG).exists(), reason="this system has no ldconfig")


def test_a_library_is_found_where_it_can_be_loaded_from() -> None:
    found = find_library(["libc.so.6"])
    assert found is not None
    assert found.is_absolute()
    ctypes.CDLL(str(found))


def test_the_first_name_that_is_there_counts() -> None:
    assert find_library(["libnowhere.so.1", "libc.so.6"]) == find_library(["libc.so.6"])


def test_a_library_that_is_not_there_is_not_found() -> None:
    assert find_library(["libnowhere.so.1"]) is None
