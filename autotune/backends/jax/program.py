"""XLA programs: exported from the transformers model with free shapes, compiled for fixed ones.

Exporting needs torch and runs in a child process; compiling and loading need JAX alone.
"""

from __future__ import annotations

import re
import textwrap
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotune.backends.protocol import Shape
from autotune.backends.words import first_cause
from autotune.errors import UnsupportedError
from autotune.model.exported import Export, write_export

if TYPE_CHECKING:
    import numpy as np

PROGRAM_FILE = "program.stablehlo"
WEIGHTS_FOLDER = "weights"
CODE_FOLDER = "code"

TORCHAX = "torchax>=0.0.14.dev20260814"
"""The first that torch 2.13, which has no named tensors any more, does not break.

Source: google/torchax, issue 101.
"""

LONGEST_REASON = 200
"""Characters of the bridge's words that are kept; some show a whole graph."""

_REFUSALS = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError),
    *(NotImplementedError, RuntimeError, TypeError, ValueError),
)
"""What torch.export, torchax and jax.export raise where they do not know an operation."""

_DEFINITION = re.compile(r"(%[\w.-]+) = (\w+)\[")
_PRODUCT = re.compile(r" (?:dot|convolution)\((%[\w.-]+), (%[\w.-]+)\)")
"""Of XLA's text form of a program: the element type of a value, and a product of matrices."""

_PRECISION_NAMES = {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}


def export_program(source: Path, directory: Path) -> None:
    """Write a prepared transformers folder as a program, batch size and sequence length left free.

    Raises:
        UnsupportedError: the bridge cannot take this architecture; in its words.
    """
    jax = _import_jax()
    try:
        weights, function, arrays = _trace(source)
        described = [jax.ShapeDtypeStruct(weight.shape, weight.dtype) for weight in weights]
        # JAX has 32-bit integers unless told otherwise.
        free = jax.ShapeDtypeStruct(_free_shape(source), "int32")
        exported = jax.export.export(jax.jit(function), platforms=["cpu"])(described, (free,) * arrays)
    except (*_REFUSALS, jax.errors.InconclusiveDimensionOperation) as error:
        words = textwrap.shorten(first_cause(error), LONGEST_REASON, placeholder=" …")
        raise UnsupportedError(
            f"torchax cannot bring this architecture to JAX: {words}",
            remedy="leave jax out of search.backends",
        ) from error
    (directory / PROGRAM_FILE).write_bytes(exported.serialize())
    write_export(directory, Export("torch.export with eager attention, torchax"))
    _write_weights(weights, directory / WEIGHTS_FOLDER)


def _write_weights(weights: list[np.ndarray[Any, Any]], folder: Path) -> None:
    import numpy

    folder.mkdir()
    for index, weight in enumerate(weights):
        numpy.save(folder / f"{index:05}.npy", weight, allow_pickle=False)


def read_weights(directory: Path) -> list[Any]:
    """JAX's own copies of the weights, in the program's order: first touched by this process."""
    import jax
    import numpy

    files = sorted((directory / WEIGHTS_FOLDER).iterdir())
    mapped = [numpy.load(file, mmap_mode="r", allow_pickle=False) for file in files]
    return [jax.device_put(weight, may_alias=False) for weight in mapped]


def _free_shape(source: Path) -> Any:
    """Any batch size, and any length that the model has positions for, which it cuts their table to."""
    import jax

    from autotune.model.inputs import read_inputs

    longest = read_inputs(source).max_sequence_length
    bounds = () if longest is None else (f"tokens <= {longest}",)
    return jax.export.symbolic_shape("batch, tokens", constraints=bounds)


def _trace(source: Path) -> tuple[list[np.ndarray[Any, Any]], Any, int]:
    """The weights, the function of (weights, arrays) that JAX can trace, and how many arrays it takes."""
    import torch

    from autotune.backends.torch.positional import example_inputs, positional_model

    torchax = _import_torchax()
    module = positional_model(source, "float32")
    # torchax does not have the attention that torch fuses for cpus; XLA fuses its own.
    module.model.set_attn_implementation("eager")
    example = example_inputs(source)
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module, example, dynamic_shapes=((free,) * len(example),))
        _, tensors, run = torchax.export.exported_program_to_jax(program, export_raw=True)
    return [_to_numpy(tensor) for tensor in tensors], lambda *given: run(*given)[0], len(example)


def _import_jax() -> Any:
    """Import JAX for the cpu alone: where it has a plug-in for another device, it would compile for that."""
    import jax

    jax.config.update("jax_platforms", "cpu")
    return jax


def _import_torchax() -> Any:
    try:
        import torchax
        import torchax.export
    except AttributeError as error:
        raise UnsupportedError(
            f"this torchax does not work with this torch: {error}", remedy=f"pip install '{TORCHAX}'"
        ) from error
    # Only now has it all its operations.
    torchax.default_env()
    return torchax


def _to_numpy(tensor: Any) -> np.ndarray[Any, Any]:
    import torch

    narrow = tensor.to(torch.int32) if tensor.dtype == torch.int64 else tensor
    array: np.ndarray[Any, Any] = narrow.detach().contiguous().numpy()
    return array


def compile_program(folder: Path, shape: Shape) -> Any:
    """Compile the program in `folder` for requests of this shape: a `jax.stages.Compiled`."""
    jax = _import_jax()
    exported = jax.export.deserialize(bytearray((folder / PROGRAM_FILE).read_bytes()))
    described = [
        jax.ShapeDtypeStruct(shape if _is_free(taken.shape) else taken.shape, taken.dtype)
        for taken in exported.in_avals
    ]
    arguments, _ = jax.tree_util.tree_unflatten(exported.in_tree, described)
    return jax.jit(exported.call).lower(*arguments).compile()


def _is_free(shape: tuple[Any, ...]) -> bool:
    return not all(isinstance(size, int) for size in shape)


def write_code(folder: Path, shape: Shape, code: Any) -> None:
    """Write what `compile_program` made into the artifact `folder`."""
    from jax.experimental.serialize_executable import serialize

    file = _code_file(folder, shape)
    file.parent.mkdir(exist_ok=True)
    content, _, _ = serialize(code)
    file.unlink(missing_ok=True)  # it may be a link to another artifact's, which nobody writes
    file.write_bytes(content)


def read_code(folder: Path, shape: Shape, weights: int, arrays: int) -> Any | None:
    """Load the code for requests of this shape; None where `folder` has none.

    Args:
        weights: how many the program takes; `arrays` likewise.
    """
    import jax
    from jax.experimental.serialize_executable import deserialize_and_load

    file = _code_file(folder, shape)
    if not file.is_file():
        return None
    given = jax.tree_util.tree_structure((([0] * weights, (0,) * arrays), {}))
    return deserialize_and_load(file.read_bytes(), given, jax.tree_util.tree_structure(0))


def link_program(folder: Path, target: Path) -> None:
    """Bring everything but `inputs.json` from one artifact into another, as links."""
    for name in (CODE_FOLDER, WEIGHTS_FOLDER):
        (target / name).mkdir()
    for file in (
        folder / PROGRAM_FILE,
        *folder.glob(f"{CODE_FOLDER}/*"),
        *folder.glob(f"{WEIGHTS_FOLDER}/*"),
    ):
        (target / file.relative_to(folder)).hardlink_to(file)


def precision_of(code: Any) -> str:
    """The precision of most of the products in compiled code."""
    text = code.as_text()
    types = dict(_DEFINITION.findall(text))
    factors = Counter(types.get(name, "unknown") for pair in _PRODUCT.findall(text) for name in pair)
    found = max(factors, key=lambda name: factors[name], default="unknown")
    return _PRECISION_NAMES.get(found, found)


def _code_file(folder: Path, shape: Shape) -> Path:
    batch, tokens = shape
    return folder / CODE_FOLDER / f"{batch}x{tokens}.xla"
