"""A repository of the hub of which no whole model can be fetched is told what it holds, and what helps.

The hub is one of our own, on this host, that the real client asks.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from autotune.errors import ModelError
from autotune.model.sources import ResolvedModel, resolve_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONFIG = json.dumps({"model_type": "bert", "architectures": ["BertModel"]})
WEIGHTS = b"\x02\x00\x00\x00\x00\x00\x00\x00{}"

Serve = Callable[[Mapping[str, str | bytes]], list[str]]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts a hub whose only repository, org/model, holds these files; gives the names of those fetched."""
    servers: list[ThreadingHTTPServer] = []

    def start(files: Mapping[str, str | bytes]) -> list[str]:
        fetched: list[str] = []
        contents = {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(contents, fetched))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        return fetched

    monkeypatch.setenv("AUTOTUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def _handler(files: Mapping[str, bytes], fetched: list[str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers as the hub does to its client, as far as that asks."""

        def do_HEAD(self) -> None:
            self._file(with_body=False)

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path.startswith("/api/models/org/model/revision/"):
                siblings = [{"rfilename": name} for name in files]
                self._answer({"id": "org/model", "sha": COMMIT, "siblings": siblings, "private": False})
            elif path.startswith("/api/models/org/model/tree/"):
                tree = [
                    {"type": "file", "path": name, "size": len(content), "oid": f"{len(content):040d}"}
                    for name, content in files.items()
                ]
                self._answer(tree)
            else:
                self._file(with_body=True)

        def _answer(self, document: object) -> None:
            content = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _file(self, *, with_body: bool) -> None:
            _, _, rest = self.path.partition("/org/model/resolve/")
            name = rest.partition("/")[2]
            if name not in files:
                self.send_error(404)
                return
            content = files[name]
            self.send_response(200)
            self.send_header("ETag", f'"{name.replace("/", "-")}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if with_body:
                fetched.append(name)
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler


def resolve(*, offline: bool = False) -> ResolvedModel:
    return resolve_model("hf:org/model", base=Path("/"), seed=0, offline=offline)


def refusal(*, offline: bool = False) -> ModelError:
    with pytest.raises(ModelError) as caught:
        resolve(offline=offline)
    assert "\n" not in caught.value.problem
    return caught.value


def test_a_whole_model_is_fetched_without_what_is_not_needed(serve: Serve) -> None:
    fetched = serve({"config.json": CONFIG, "model.safetensors": WEIGHTS, "pytorch_model.bin": "x"})
    assert resolve().digest
    assert sorted(fetched) == ["config.json", "model.safetensors"]


def test_a_repository_of_pickles_alone_is_called_so_and_they_are_never_fetched(serve: Serve) -> None:
    fetched = serve({"config.json": CONFIG, "pytorch_model.bin": "x", "training_args.bin": "x"})
    error = refusal()
    assert "hf:org/model@main has its weights only as a pickle (pytorch_model.bin)" in error.problem
    assert 'BertModel.from_pretrained("org/model").save_pretrained("DIR")' in error.remedy
    assert "hf:org/model@refs/pr/NUMBER" in error.remedy
    assert fetched == ["config.json"]


@pytest.mark.parametrize(
    ("files", "problem", "remedy"),
    [
        (
            ("config.json", "onnx/model.onnx"),
            "an ONNX file alone (onnx/model.onnx)",
            "onnx:DIR/onnx/model.onnx",
        ),
        (
            ("config.json", "onnx/model.onnx", "pytorch_model.bin"),
            "an ONNX file and a pickle (onnx/model.onnx)",
            "write it as safetensors",
        ),
        (
            ("config.json", "openvino_model.xml", "openvino_model.bin"),
            "converted for OpenVINO",
            "converted from",
        ),
        (("config.json", "model.bin", "vocabulary.json"), "converted for CTranslate2", "converted from"),
        (("config.json", "tf_model.h5"), "for TensorFlow alone (tf_model.h5)", "weights for PyTorch"),
        (("README.md", "model-q4.gguf"), "for llama.cpp alone (model-q4.gguf)", "weights for PyTorch"),
        (
            ("modules.json", "1_Pooling/config.json", "0_BERT/config.json", "0_BERT/pytorch_model.bin"),
            "has its model in the sub-folder 0_BERT",
            "path:DIR/0_BERT",
        ),
        (("config.json", "README.md"), "has no model.safetensors, and nothing else", "name a repository"),
        (("README.md", "tokenizer.json"), "has no config.json, and nothing else", "name a repository"),
    ],
)
def test_a_repository_of_another_kind_is_told_what_it_is(
    serve: Serve, files: tuple[str, ...], problem: str, remedy: str
) -> None:
    serve({name: CONFIG if name.endswith("config.json") else "[]" for name in files})
    error = refusal()
    assert problem in error.problem
    assert remedy in error.remedy


def test_an_adapter_of_the_hub_is_told_how_to_merge(serve: Serve) -> None:
    serve({"adapter_config.json": '{"peft_type": "LORA"}', "adapter_model.safetensors": WEIGHTS})
    assert "is an adapter (LORA)" in refusal().problem


def test_pickles_that_somebody_fetched_are_called_so_offline_too(tmp_path: Path, serve: Serve) -> None:
    serve({})
    stored = tmp_path / "hub" / "hub" / "models--org--model"
    snapshot = stored / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (stored / "refs").mkdir()
    (stored / "refs" / "main").write_text(COMMIT)
    (snapshot / "config.json").write_text(CONFIG)
    assert "is not in the local cache" in refusal(offline=True).problem
    (snapshot / "pytorch_model.bin").write_text("x")
    assert "only as a pickle (pytorch_model.bin)" in refusal(offline=True).problem
