"""What the engines share that turn a transformers model into a program of torch's before workers load it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autotune.backends.protocol import Session, Shape
from autotune.backends.torch.engine import thread_variables
from autotune.spec.configuration import Precision

if TYPE_CHECKING:
    from autotune.model.sources import ResolvedModel

LoadMade = Callable[[Path], Session]
"""Loads what was written into a folder, to see whether it answers as the model does."""


class PreparedByTorch(ABC):
    """Prepares for any shapes, and for these alone where there is no other way, by one function."""

    def environment(self, threads: int) -> Mapping[str, str]:
        """See `Backend.environment`."""
        return thread_variables(threads)

    def prepare(self, model: ResolvedModel, precision: Precision, directory: Path) -> None:
        """See `Backend.prepare`."""
        self.prepare_for(model, precision, (), directory)

    def prepare_for(
        self, model: ResolvedModel, precision: Precision, shapes: Sequence[Shape], directory: Path
    ) -> None:
        """See `ExportsForShapes.prepare_for`."""
        assert model.path is not None
        self.make(
            model.path, precision, shapes, directory, lambda made: self.load(made, precision, threads=1)
        )

    @abstractmethod
    def make(
        self, folder: Path, precision: Precision, shapes: Sequence[Shape], directory: Path, load: LoadMade
    ) -> None:
        """Write the program of the model in `folder` into `directory`; see `ExportsForShapes.prepare_for`."""

    @abstractmethod
    def load(self, directory: Path, precision: Precision, threads: int) -> Session:
        """See `Backend.load`."""
