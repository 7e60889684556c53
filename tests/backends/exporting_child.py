"""Goes made-up ways of export with a small module; see `test_exporting.py`.

    python exporting_child.py FOLDER [CASE]

Writes FOLDER/found.json: by case the export that was taken, or the error; of all but `DEADLY`, or of one.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from autotune.backends.protocol import EngineReport, Shape
from autotune.backends.torch.exporting import Tracing, Way, Ways, export_model
from autotune.errors import AutotuneError
from autotune.model.exported import read_export
from autotune.model.inputs import InputsDescription, write_inputs

Array = np.ndarray[Any, Any]
OWN = (4, 12)


class Embeds(torch.nn.Module):  # type: ignore[misc]
    """Looks tokens up and adds how far along they are, as a model with positions does."""

    def __init__(self, fewest: int = 1) -> None:
        super().__init__()
        self.config = SimpleNamespace(_attn_implementation="eager")
        self.table = torch.nn.Embedding(50, 8)
        self.fewest = fewest

    def forward(self, ids: Any, mask: Any) -> Any:
        if ids.shape[1] < self.fewest:
            raise IndexError(f"{ids.shape[1]} tokens are too few")
        return (self.table(ids) + torch.arange(ids.shape[1])[:, None] / ids.shape[1]) * mask[..., None]


class Positional(torch.nn.Module):  # type: ignore[misc]
    """What `positional_model` makes of it."""

    def __init__(self, model: Embeds) -> None:
        super().__init__()
        self.model = model

    def forward(self, *arrays: Any) -> Any:
        return self.model(*arrays)


class Made:
    """A session over what a way wrote: the module's answers, but for what the way has fixed."""

    def __init__(self, module: Positional, told: Mapping[str, Any], asked: set[Shape]) -> None:
        self.module, self.told, self.asked = module, told, asked

    def run(self, inputs: Mapping[str, Array]) -> Array:
        ids, mask = (inputs[name] for name in ("input_ids", "attention_mask"))
        fixed: Shape = tuple(self.told["traced"])
        self.asked.add(ids.shape)
        if self.told["fixes"] == "batch" and len(ids) != fixed[0]:
            raise RuntimeError(f"a batch of {fixed[0]} was expected")
        with torch.no_grad():
            answer: Array = self.module(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
        if self.told["fixes"] == "tokens":  # in silence
            steps = np.arange(ids.shape[1])[:, None] * (1 / fixed[1] - 1 / ids.shape[1])
            answer = answer + steps.astype(np.float32) * mask[..., None]
        if self.told["fixes"] == "window" and ids.shape[1] > 24:  # as a table does that was made so long
            answer[:, 24:] = answer[:, :1]
        if self.told["fixes"] == "mask" and not mask.all():
            answer = answer[::-1]
        return answer

    def report(self) -> EngineReport:
        return EngineReport("made", "1", "fp32", 1)

    def close(self) -> None: ...


def write(fixes: str, module: Any, tracing: Tracing, folder: Path) -> None:
    if fixes == "fails":
        raise NotImplementedError("no operator of this name\nand much advice")
    if fixes == "free axes" and tracing.free:
        raise ValueError("an axis cannot be left free")
    if fixes == "memory":
        raise MemoryError
    if fixes == "process":
        folder.joinpath("half").touch()
        os.kill(os.getpid(), signal.SIGSEGV)
    if fixes == "free window":
        fixes = "window" if tracing.free else "nothing"
    folder.joinpath("made.json").write_text(json.dumps({"traced": tracing.shape, "fixes": fixes}))


CASES: Mapping[str, Callable[[], tuple[tuple[str, ...], tuple[Shape, ...], int]]] = {
    "first": lambda: (("nothing", "fails"), (OWN,), 1),
    "third": lambda: (("fails", "batch", "nothing"), (), 1),
    "tokens": lambda: (("tokens", "nothing"), (), 1),
    "mask": lambda: (("mask", "nothing"), (), 1),
    "none": lambda: (("fails", "batch", "tokens"), (), 1),
    "alone": lambda: (("fails", "batch"), (OWN,), 1),
    "alone, fixed": lambda: (("free axes",), (OWN,), 1),
    "alone, several": lambda: (("batch", "tokens"), (OWN, (3, 12)), 1),
    "long": lambda: (("tokens", "nothing"), (), 40),
    "long, batch": lambda: (("batch",), (), 40),
    "memory": lambda: (("memory", "nothing"), (), 1),
    "window": lambda: (("window", "nothing"), ((4, 128),), 1),
    "window, several": lambda: (("window", "nothing"), ((8, 12), (1, 300), (2, 40)), 1),
    "window, many": lambda: (("window", "nothing"), tuple((1, tokens) for tokens in range(20, 30)), 1),
    "window, unknown": lambda: (("window", "nothing"), (), 1),
    "window, too many": lambda: (("window",), tuple((1, tokens) for tokens in range(20, 30)), 1),
    "window, alone": lambda: (("window", "free window"), ((4, 128),), 1),
    "long, own": lambda: (("nothing",), ((4, 200),), 40),
    "process": lambda: (("fails", "process", "nothing"), (OWN,), 1),
}
"""By name: what the ways fix in turn, the shapes of the study, and the fewest tokens that it takes."""

DEADLY = ("process",)
"""Cases that end this process."""


def observe(folder: Path, name: str) -> dict[str, Any]:
    kinds, shapes, fewest = CASES[name]()
    module = Positional(Embeds(fewest))
    arrays = {"input_ids": "tokens", "attention_mask": "ones"}
    write_inputs(folder, InputsDescription(50, (), None, arrays))  # type: ignore[arg-type]
    made = folder / name
    made.mkdir(exist_ok=True)
    asked: set[Shape] = set()
    ways = Ways(
        "made",
        tuple(Way(kind, partial(write, kind)) for kind in kinds),
        lambda directory: Made(module, json.loads((directory / "made.json").read_text()), asked),
    )
    try:
        export_model(ways, module, folder, made, shapes)
    except (AutotuneError, MemoryError) as error:
        return {"error": type(error).__name__, "words": str(error), "left": sorted(map(str, made.iterdir()))}
    export = read_export(made)
    assert export is not None
    files = sorted(file.name for file in made.iterdir())
    return {**asdict(export), "files": files, "asked": sorted(asked)}


if __name__ == "__main__":
    torch.manual_seed(0)
    area = Path(sys.argv[1])
    names = sys.argv[2:] or [name for name in CASES if name not in DEADLY]
    (area / "found.json").write_text(json.dumps({name: observe(area, name) for name in names}))
