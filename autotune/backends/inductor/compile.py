"""Compiles a transformers model ahead of time with Inductor. Runs in a child process."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from autotune.backends.inductor.compiler import find_compiler, refuse_compiling
from autotune.backends.inductor.library import LIBRARY_FILE
from autotune.backends.protocol import Session, Shape
from autotune.backends.torch import exporting
from autotune.backends.torch.engine import TORCH_DTYPES
from autotune.backends.torch.exporting import EAGER, Tracing, Way, Ways
from autotune.backends.torch.positional import example_inputs, positional_model
from autotune.errors import PreparationError, UnsupportedError
from autotune.model.agreement import LEAST_COSINE, LEAST_COSINE_OF_ROUNDED
from autotune.spec.configuration import Precision

TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")
"""Folders for temporary files where TMPDIR names none that will do. Source: FHS 3.0, and shm_overview(7)."""

TYPICAL_SHAPE = (8, 128)
"""`(batch, tokens)` that loops and the layout of weights are laid out for; every other shape runs too."""

_OPTIONS: Mapping[str, Any] = {
    # Weights become constants, which lets them be packed for the kernels that multiply by them.
    "freezing": True,
    # Otherwise the thread count of this process would be compiled in.
    "cpp.dynamic_threads": True,
    # Worth it for who compiles often; needs openssl, and a folder outside of ours.
    "aot_inductor.precompile_headers": False,
    # Of the code that only calls the kernels; optimising it takes longer than all the rest.
    "aot_inductor.compile_wrapper_opt_level": "O0",
    "aot_inductor.enable_line_tables": False,
    # Take what the cpu says of itself: compiling a trial program for each instruction set takes ten seconds.
    "cpp.vec_isa_ok": True,
    "compile_threads": 1,
}


def compile_model(
    source: Path,
    precision: Precision,
    shapes: Sequence[Shape],
    directory: Path,
    load: Callable[[Path], Session],
) -> None:
    """Compile a prepared transformers folder, batch size and sequence length left free, into a library.

    Args:
        shapes: of the requests to come; see `exporting.export_model`.
        load: what was made, as a worker does.

    Raises:
        UnsupportedError: there is no compiler, or Inductor cannot take this architecture; in its words.
    """
    compiler = find_compiler()
    if compiler is None:
        raise UnsupportedError(refuse_compiling() or "", remedy="leave inductor out of search.backends")
    # Torch chooses its folder for temporary files when it is imported.
    with _own_folder(directory) as folder:
        module = positional_model(source, TORCH_DTYPES[precision])
        compiling = partial(_compile, source, compiler, folder)
        ways = Ways(
            "inductor",
            (Way("torch.export", compiling), Way("torch.export", compiling, EAGER)),
            load,
            LEAST_COSINE if precision == "fp32" else LEAST_COSINE_OF_ROUNDED,
            example=TYPICAL_SHAPE,
        )
        exporting.export_model(ways, module, source, directory, shapes)


def _compile(source: Path, compiler: str, folder: Path, module: Any, tracing: Tracing, made: Path) -> None:
    """Build the library in `folder`, and move it into `made`."""
    import torch
    import torch._inductor

    free = dict.fromkeys(tracing.free, torch.export.Dim.DYNAMIC)
    example = example_inputs(source, tracing.shape)
    known = torch._inductor.config.get_config_copy()
    options = {**_OPTIONS, "cpp.cxx": (compiler,), "aot_inductor.output_path": str(folder)}
    with torch.no_grad():
        program = torch.export.export(module, example, dynamic_shapes=((free,) * len(example),), strict=False)
        built = torch._inductor.aot_compile(
            program.module(),
            example,
            options={name: value for name, value in options.items() if name in known},
        )
    _keep(Path(built), made)


def _keep(built: Path, directory: Path) -> None:
    """Move the library, and beside it the description of operators that it calls by name, if it has any."""
    for suffix in (".so", ".json"):
        made = built.with_suffix(suffix)
        if made.exists():
            made.rename((directory / LIBRARY_FILE).with_suffix(suffix))


@contextmanager
def _own_folder(directory: Path) -> Iterator[Path]:
    """A folder for all that compiling writes, its compiler's temporary files too; gone afterwards.

    It lies in `directory`, on whose disk there is room, but may go by another name, as Inductor writes paths
    into command lines and source text.
    """
    with tempfile.TemporaryDirectory(dir=directory) as folder, _plainly_named(Path(folder)) as named:
        previous = dict(os.environ)
        os.environ.update(dict.fromkeys(("TMPDIR", "TORCHINDUCTOR_CACHE_DIR"), str(named)))
        tempfile.tempdir = None  # TMPDIR has changed
        try:
            yield named
        finally:
            os.environ.clear()
            os.environ.update(previous)
            tempfile.tempdir = None


@contextmanager
def _plainly_named(folder: Path) -> Iterator[Path]:
    """The folder, or where its name has blanks, quotes and the like, a link to it that has none.

    Raises:
        PreparationError: no folder for temporary files can hold the link.
    """
    if _is_plain(folder):
        yield folder
        return
    for area in filter(_is_plain, map(Path, (tempfile.gettempdir(), *TEMPORARY))):
        with suppress(OSError):
            holder = Path(tempfile.mkdtemp(prefix="autotune-", dir=area))
            break
    else:
        raise PreparationError(
            f"inductor compiles in no folder with blanks or quotes in its name, such as {str(folder)!r}",
            remedy="set AUTOTUNE_CACHE to a folder with a plain name, or TMPDIR to one that can be written",
        )
    try:
        link = holder / "build"
        link.symlink_to(folder, target_is_directory=True)
        yield link
    finally:
        shutil.rmtree(holder)


def _is_plain(path: Path) -> bool:
    """Whether a shell and a C++ string literal take the path as it is."""
    return re.fullmatch(r"[A-Za-z0-9_./+=:@-]+", str(path)) is not None
