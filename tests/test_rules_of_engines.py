"""An engine is known in its own folder alone: its library, its flags, its variables and its knobs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import autotune
from autotune.backends.registry import backends
from autotune.spec.known_knobs import declared_knobs, known_knobs

PACKAGE = Path(autotune.__file__).parent
BACKENDS = PACKAGE / "backends"

ENGINES = tuple(sorted(file.parent.name for file in BACKENDS.glob("*/backend.py")))

WORDS: Mapping[str, str] = {
    "torch": r"torch|\bthp_|\bmkl_",
    "inductor": r"inductor",
    "jax": r"\bjax|\bxla|pjrt_",
    "onnxruntime": r"onnxruntime|\bort_|intra_op|\bmlas\b",
    "openvino": r"openvino|\bnncf|num_streams|cpu_pinning",
    "ctranslate2": r"ctranslate2",
    "openmp": r"\bomp_|\bkmp_|\bgomp_|libgomp|libiomp|autotune\.backends\.openmp",
    "flags": r"(bf16|int8|tf32)_flag",
}
"""What names an engine or what it stands on, in code: strings, names and imports; not prose."""

EXCEPTIONS: Mapping[str, str] = {
    "cli/compare.py": "an example of a configuration, for people",
    "spec/configuration_text.py": "an example of a configuration, for people",
    "spec/model_kind.py": "the baselines: what users of each kind of model run today",
    "series/values.py": "a series' points run in the baseline's engine unless they name another",
    "preparation/reference.py": "references are made by torch, or by ONNX Runtime for ONNX files",
    "preparation/child.py": "the process that children are forked from has imported torch once",
    "preparation/children.py": "the same: it decides which children are forked from that one",
    "model/folders/neighbours.py": "tells folders of model files apart, which their makers have named",
    "model/folders/pickled.py": "tells files of models apart, likewise",
    "model/folders/sentence_folder.py": "reads a file that names its activations as classes of torch",
    "model/hub/listing.py": "tells repositories of model files apart, likewise",
    "runtime/encoding.py": "answers with torch's tensors whoever asks sentence-transformers for them",
    "placement/variables.py": "what libraries of the user's own server read, whichever it has",
    "exporters/triton.py": "Triton has engines of the same names, with parameters of its own",
    "exporters/ovms.py": "OpenVINO Model Server takes that engine's own properties",
    "trial/launcher.py": "removes what Intel's OpenMP runtime leaves of a worker that was killed",
    "trial/speed.py": "keeps NumPy's own library to one thread, whatever it was built with",
    "testing/fake_backend.py": "plays ONNX Runtime's knobs",
    "testing/plans.py": "sample documents",
    "service/api/example_documents.py": "examples of answers, as a reader would get them",
}
"""Modules outside of backends/ that name one all the same, and why."""

BESIDE: Mapping[str, str] = {
    "onnx": "ONNX Runtime reads ONNX files, for OpenVINO's sake too",
    "torch": "its refusals name the engines that take ONNX files",
}
"""Shared folders that name an engine, and why."""


def documentation(tree: ast.AST) -> set[int]:
    """Strings that stand alone: docstrings, and those below constants."""
    bodies = (body for node in ast.walk(tree) if isinstance(body := getattr(node, "body", None), list))
    return {id(statement.value) for body in bodies for statement in body if isinstance(statement, ast.Expr)}


def named(tree: ast.AST) -> Iterator[str]:
    """Everything that code names: strings, names, imports."""
    prose = documentation(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str() as text) if id(node) not in prose:
                yield text
            case ast.Constant(value=bytes() as content):
                yield content.decode("latin-1")
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Import(names=aliases):
                yield from (alias.name for alias in aliases)
            case ast.ImportFrom(module=module, names=aliases):
                yield from (f"{module}.{alias.name}" for alias in aliases)


def engines_named(path: Path) -> set[str]:
    texts = [text.lower() for text in named(ast.parse(path.read_text(encoding="utf-8")))]
    return {engine for engine, words in WORDS.items() if any(re.search(words, text) for text in texts)}


def modules(folder: Path) -> dict[str, Path]:
    return {str(path.relative_to(PACKAGE)): path for path in sorted(folder.rglob("*.py"))}


def test_no_module_outside_of_its_folder_names_an_engine() -> None:
    outside = {name: path for name, path in modules(PACKAGE).items() if not path.is_relative_to(BACKENDS)}
    naming = {name: engines for name, path in outside.items() if (engines := engines_named(path))}
    assert {name: engines for name, engines in naming.items() if name not in EXCEPTIONS} == {}
    assert naming.keys() == EXCEPTIONS.keys(), "an exception that is none any more: take it out"


def test_no_module_beside_the_engines_folders_names_one_of_them() -> None:
    """Torch is what most engines are made from, so every folder of backends/ may name it."""
    beside = {
        name: engines_named(path) & {*ENGINES}
        for name, path in modules(BACKENDS).items()
        if path.relative_to(BACKENDS).parts[0] not in ENGINES
    }
    naming = {name for name, engines in beside.items() if engines}
    assert {name.split("/")[1] for name in naming} == BESIDE.keys()


def test_no_engine_stands_on_another_ones_folder() -> None:
    engines = rf"autotune\.backends\.({'|'.join(ENGINES)})\b"
    imports = {
        (name, found[1])
        for name, path in modules(BACKENDS).items()
        for text in named(ast.parse(path.read_text(encoding="utf-8")))
        if (found := re.match(engines, text)) and found[1] != name.split("/")[1]
    }
    assert imports == set()


def test_every_knob_is_declared_by_an_engine_that_reads_it() -> None:
    declared = {knob.name for backend in backends().values() for knob in declared_knobs(backend)}
    assert declared | {"allocator"} == known_knobs().keys()


def test_a_name_is_found_in_code_and_not_in_prose() -> None:
    module = (
        '"""Says openvino."""\nTHREADS = "OMP_NUM_THREADS"\n"""Of libgomp."""\n'
        "def find():\n    from autotune.backends.torch.engine import torch_folder\n    return BF16_FLAGS\n"
    )
    texts = [text.lower() for text in named(ast.parse(module))]
    found = {engine for engine, words in WORDS.items() if any(re.search(words, text) for text in texts)}
    assert found == {"openmp", "torch", "flags"}
