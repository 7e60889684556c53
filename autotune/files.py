"""What helps where a file cannot be written."""

from __future__ import annotations

import errno


def is_out_of_space(error: OSError) -> bool:
    """Whether a disk, or the user's share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def write_remedy(error: OSError, otherwise: str) -> str:
    """What helps against an error of writing: space where that has run out.

    Args:
        otherwise: what helps against every other error, such as another place to write to.
    """
    return f"free some space on its disk, or {otherwise}" if is_out_of_space(error) else otherwise
