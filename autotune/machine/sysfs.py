"""Reads the kernel's small text files below a root folder: the running machine's, or a recording's.

A file that is missing, empty or unreadable is `None`: old kernels, containers and recordings lack many.
A file that is there but holds something else than it must is a `MachineError` that names the file.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from autotune.errors import MachineError
from autotune.machine.cpus import MAX_CPU, parse_cpu_list

MAX_FILE_BYTES = 64 << 20
"""Most that is read of one file; /proc/cpuinfo of 8,192 cpus takes about 13 MB."""

MAX_ENTRY = MAX_CPU
"""Directory entries such as `cpu7` are followed up to this number."""

_REMEDY = "give the root folder of a Linux machine or of a recording of one (its sys and proc folders)"


class Tree:
    """The files below one root folder; nothing outside it is read, symbolic links included."""

    def __init__(self, root: Path) -> None:
        """Check the root folder.

        Raises:
            MachineError: the root is not a folder that can be listed.
        """
        try:
            self._root = os.path.realpath(root, strict=True)
            os.listdir(self._root)  # noqa: PTH208 - the folder is opened, not walked
        except (OSError, ValueError, RecursionError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise MachineError(
                f"cannot read a machine from {str(root)!r}: {reason}", remedy=_REMEDY
            ) from error

    @property
    def is_host(self) -> bool:
        """Whether this is the running machine, so that system calls may be asked as well."""
        return self._root == "/"

    def text(self, path: str) -> str | None:
        """Give the file's text without surrounding blanks; None when missing, empty or unreadable."""
        try:
            raw = self._read(path)
        except (OSError, ValueError):
            return None
        return raw.decode("utf-8", errors="replace").strip(" \t\r\n\0") or None

    def integer(self, path: str) -> int | None:
        """Give the decimal number that starts the file (`10`, `-1`, `4096K`); None when there is none."""
        found = re.match(r"-?[0-9]{1,20}", self.text(path) or "")
        return int(found[0]) if found else None

    def cpu_list(self, path: str) -> frozenset[int] | None:
        """Give the numbers of a kernel list (`0-3,8`); None when the file is missing or empty.

        Raises:
            MachineError: the file holds something else.
        """
        text = self.text(path)
        if text is None:
            return None
        try:
            return parse_cpu_list(text)
        except MachineError as error:
            raise self._garbage(path, text, "cpu list") from error

    def keyed_list(self, path: str, key: str) -> frozenset[int] | None:
        """Give the kernel list on the line `KEY:` of a file; None when there is no such line.

        Raises:
            MachineError: the line holds something else.
        """
        found = re.search(rf"^{re.escape(key)}:(.*)$", self.text(path) or "", re.MULTILINE)
        if found is None:
            return None
        try:
            return parse_cpu_list(found[1]) or None
        except MachineError as error:
            raise self._garbage(path, found[1], f"cpu list ({key})") from error

    def cpu_mask(self, path: str) -> frozenset[int] | None:
        """Give the numbers of a kernel mask (`00000000,000000ff`); None when the file is missing or empty.

        Raises:
            MachineError: the file holds something else.
        """
        text = self.text(path)
        if text is None:
            return None
        cpus = parse_cpu_mask(text)
        if cpus is None:
            raise self._garbage(path, text, "cpu mask")
        return cpus

    def numbered(self, path: str, prefix: str) -> tuple[int, ...]:
        """Give N of every entry named PREFIX + N in a folder, ascending; empty without such a folder."""
        pattern = re.compile(re.escape(prefix) + r"(0|[1-9][0-9]{0,5})")
        found = (pattern.fullmatch(name) for name in self.names(path))
        return tuple(sorted(number for match in found if match and (number := int(match[1])) <= MAX_ENTRY))

    def names(self, path: str) -> tuple[str, ...]:
        """Give the names in a folder, sorted; empty when there is no such folder."""
        try:
            return tuple(sorted(os.listdir(self._inside(path))))  # noqa: PTH208 - names are all we need
        except (OSError, ValueError):
            return ()

    def has(self, path: str) -> bool:
        """Whether there is such a file or folder below the root."""
        try:
            return os.path.exists(self._inside(path))  # noqa: PTH110 - resolved already
        except (OSError, ValueError):
            return False

    def _read(self, path: str) -> bytes:
        # A pipe or a device among the files must neither block nor be drained.
        descriptor = os.open(self._inside(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return b""
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(MAX_FILE_BYTES)
        finally:
            os.close(descriptor)

    def _inside(self, path: str) -> str:
        joined = os.path.join(self._root, path.lstrip("/"))  # noqa: PTH118 - thousands of calls per machine
        if self.is_host:
            return joined
        try:
            resolved = os.path.realpath(joined)
        except RecursionError:  # a long chain of links, at which the kernel would give up long before
            raise FileNotFoundError(path) from None
        if not resolved.startswith(self._root + "/"):
            raise FileNotFoundError(path)
        return resolved

    def _garbage(self, path: str, text: str, what: str) -> MachineError:
        shown = text if len(text) <= 60 else text[:60] + "..."
        return MachineError(
            f"{self._root.rstrip('/')}/{path.lstrip('/')} holds {shown!r}, which is not a {what}",
            remedy=_REMEDY,
        )


def parse_cpu_mask(text: str) -> frozenset[int] | None:
    """Read a kernel bitmap: hexadecimal words of 32 bits, the highest first, commas between.

    Returns None when it is not one, or names a cpu above `MAX_CPU`.
    """
    words = text.strip().split(",")
    if not all(re.fullmatch(r"(0[xX])?[0-9a-fA-F]{1,16}", word) for word in words):
        return None
    if len(words) * 32 > 2 * (MAX_CPU + 1):
        return None
    bits = 0
    for word in words:
        bits = bits << 32 | int(word, 16)
    if bits.bit_length() > MAX_CPU + 1:
        return None
    return frozenset(_set_bits(bits))


def _set_bits(bits: int) -> list[int]:
    return [index for index, bit in enumerate(reversed(f"{bits:b}")) if bit == "1"]
