"""What a look at an engine showed, and its file in the cache."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

LOOK_FILE = "look.json"
FORMAT = "autotune.look/1"


@dataclass(frozen=True)
class Look:
    """What a look at one engine and precision showed, on a model reduced to few layers.

    Attributes:
        request_s: median cpu seconds of one request of the reduced model on one thread; for the whole model
            times `whole_layers / layers`, roughly.
        preparation_s: seconds that building, or quantising, the reduced artifact took in a process that had
            imported torch and transformers; what it was derived from is left out.
        layers: of the reduced model.
        whole_layers: of the model itself.
        took_s: seconds of the look in all.
    """

    request_s: float
    preparation_s: float
    layers: int
    whole_layers: int
    took_s: float


@dataclass(frozen=True)
class Refused:
    """An engine did not get as far as a timed request.

    Attributes:
        reason: in the engine's own words, or how its process ended.
        is_final: whether it says the same each time; a crash or a timeout may have passed by the next.
    """

    reason: str
    is_final: bool = True


def write_look(directory: Path, answer: Look | Refused) -> None:
    """Write what a look showed into `directory`."""
    kind = "look" if isinstance(answer, Look) else "refused"
    document = {"format": FORMAT, kind: asdict(answer)}
    (directory / LOOK_FILE).write_text(json.dumps(document, indent=2) + "\n")


def read_look(directory: Path) -> Look | Refused | None:
    """What a look showed; None where the file is not one of ours."""
    try:
        document = json.loads((directory / LOOK_FILE).read_bytes())
        if document["format"] != FORMAT:
            return None
        if "look" in document:
            return Look(**document["look"])
        return Refused(**document["refused"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
