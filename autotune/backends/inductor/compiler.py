"""The C++ compiler that Inductor compiles with, if there is one."""

from __future__ import annotations

import shutil

COMPILERS = ("g++", "clang++")
"""Programs that Inductor can compile with, best first."""


def refuse_compiling() -> str | None:
    """Why nothing can be compiled here: there is no compiler; None if there is."""
    if find_compiler() is not None:
        return None
    return (
        f"inductor needs a C++ compiler, and neither {' nor '.join(COMPILERS)} is on PATH:"
        " apt-get install g++ (Debian, Ubuntu) or dnf install gcc-c++ (Fedora, RHEL)"
    )


def find_compiler() -> str | None:
    """The compiler's path."""
    return next((found for found in map(shutil.which, COMPILERS) if found), None)
