"""What the header of a safetensors file says of its tensors; none of them is read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from autotune.errors import ModelError
from autotune.model.folders.stand_ins import AGAIN, refuse_stand_in

MAX_HEADER_BYTES = 100_000_000
"""Source: safetensors, MAX_HEADER_SIZE."""

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of a file: its element type as safetensors names it, such as `F32`, and its dimensions."""

    dtype: str
    shape: tuple[int, ...]


def stored_tensors(files: Iterable[Path]) -> dict[str, StoredTensor]:
    """The tensors of several files by name.

    Raises:
        ModelError: one of them is no safetensors file, or not all of one.
        OSError: one cannot be read.
    """
    return {name: tensor for file in files for name, tensor in _read_header(file).items()}


def _read_header(file: Path) -> dict[str, StoredTensor]:
    """Read what a file holds, and make sure that it is as long as its header says.

    Source: the safetensors format: 8 bytes of header length, little-endian; the header, JSON; the tensors.
    """
    refuse_stand_in(file)
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = stream.read(length) if length <= min(size, MAX_HEADER_BYTES) else b""
    try:
        entries = json.loads(header)
        described = {name: entry for name, entry in entries.items() if name != "__metadata__"}
        whole = 8 + length + max((entry["data_offsets"][1] for entry in described.values()), default=0)
        tensors = {
            name: StoredTensor(str(entry["dtype"]), tuple(map(int, entry["shape"])))
            for name, entry in described.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ModelError(f"{file} is not a safetensors file", remedy=AGAIN) from error
    if whole != size:
        raise ModelError(
            f"{file} is damaged: it has {size} bytes, its header speaks of {whole}", remedy=AGAIN
        )
    return tensors
