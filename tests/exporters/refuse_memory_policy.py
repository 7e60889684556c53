"""Becomes a program for which the kernel refuses every system call on memory policies: x86_64 only.

    python refuse_memory_policy.py ERRNO PROGRAM...

ERRNO is what the calls give: 1 (not permitted) as under Docker's usual seccomp profile, or 38 (no such call)
as where the kernel was built without NUMA, or stands behind a sandbox.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from typing import ClassVar

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, FILTER = 38, 22, 2
CALLS = (237, 238, 239, 256, 450)
"""mbind, set_mempolicy, get_mempolicy, migrate_pages, set_mempolicy_home_node.

Source: Linux, arch/x86/entry/syscalls/syscall_64.tbl.
"""
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, GIVE_ERRNO = 0x7FFF0000, 0x00050000


class Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_: ClassVar = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def refuse(errno: int) -> None:
    """Install the filter; it lasts through execve."""
    jumps = [(JUMP_IF_EQUAL, len(CALLS) - index, 0, call) for index, call in enumerate(CALLS)]
    code = [(LOAD_WORD, 0, 0, 0), *jumps, (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, GIVE_ERRNO | errno)]
    text = b"".join(struct.pack("HBBI", *instruction) for instruction in code)
    buffer = ctypes.create_string_buffer(text)
    program = Program(len(code), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, FILTER, ctypes.byref(program))):
        if libc.prctl(*arguments) != 0:
            raise SystemExit(f"prctl: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    refuse(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
