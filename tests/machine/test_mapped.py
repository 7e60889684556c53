from __future__ import annotations

import ctypes
from pathlib import Path

from autotune.machine.mapped import home_of, read_mapped_files


def test_the_c_library_of_this_process_is_found_by_a_function_of_its() -> None:
    mapped = tuple(read_mapped_files())
    assert all(file.start < file.end and Path(file.path).is_absolute() for file in mapped)
    home = home_of("getpid", mapped)
    assert Path(home).name.startswith("libc")
    address = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p).value or 0
    (file,) = (file for file in mapped if file.start <= address < file.end)
    assert (file.path, file.name) == (home, Path(home).name)


def test_a_function_that_is_nowhere_has_no_home() -> None:
    assert home_of("autotune_has_no_such_function", tuple(read_mapped_files())) == ""
    assert home_of("getpid", ()) == ""
