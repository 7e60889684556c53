"""A model that Inductor compiled ahead of time, loaded without Inductor."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LIBRARY_FILE = "model.so"


class InductorLibrary:
    """A shared library of one model: its code, and its weights.

    The runner copies the weights from the library into memory of this process, which is first touched here,
    under this process's memory policy. `torch._inductor`, which takes seconds to import, is not needed.
    Source: torch/csrc/inductor/aoti_runtime/model_base.h, load_constants.
    """

    def __init__(self, directory: Path, threads: int = 0) -> None:
        """Load it.

        Args:
            directory: where the library lies.
            threads: of its loops and of torch's operators; 0 = the default.
        """
        import torch

        file = str(directory / LIBRARY_FILE)
        self._runner = torch._C._aoti.AOTIModelContainerRunnerCpu(file, 1)
        # The same library again, for the OpenMP runtime that its loops follow: torch may have another.
        self._openmp = ctypes.CDLL(file)
        if threads:
            torch.set_num_threads(threads)
            self._openmp.omp_set_num_threads(threads)

    def __call__(self, *tensors: Any) -> Any:
        """Run the model: from its inputs, in their order, to its one output."""
        return self._runner.run(list(tensors))[0]

    @property
    def threads(self) -> int:
        """Threads that its loops run on."""
        return int(self._openmp.omp_get_max_threads())

    def weights(self) -> Iterator[tuple[Any, int]]:
        """dtype and size of every matrix that is multiplied by, as loaded.

        Those are the ones that were packed; where this cpu packs none, every matrix, the tables too.
        """
        constants = self._runner.extract_constants_map(False).values()
        matrices = [tensor for tensor in constants if tensor.ndim >= 2]
        packed = [tensor for tensor in matrices if tensor.is_mkldnn]
        yield from ((tensor.dtype, tensor.numel()) for tensor in packed or matrices)
