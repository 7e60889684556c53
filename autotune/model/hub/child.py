"""The child that asks the hub; started by `autotune.model.hub.fetch`, progress on stderr."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autotune.errors import AutotuneError, ModelError
from autotune.model.child import answer_parent
from autotune.model.folders.folder import has_weights, weight_files
from autotune.model.folders.neighbours import of_another_kind
from autotune.model.folders.sentence_folder import lacks_modules
from autotune.model.hub.listing import Listing, what_it_is
from autotune.model.hub.messages import Fetched, FetchSnapshot, fetch_from_json, fetched_to_json

ALLOWED_FILES = (
    "config.json",
    "adapter_config.json",
    "modules.json",
    "*_Pooling/config.json",
    "*_Dense/config.json",
    "*_Dense/model.safetensors",
    "*_LayerNorm/config.json",
    "*_LayerNorm/model.safetensors",
    "*_Normalize/config.json",
    "sentence_*_config.json",
    "config_sentence_transformers.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*-of-*.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)


def handle(document: dict[str, Any]) -> dict[str, Any]:
    """Answer with the folder of the snapshot.

    Raises:
        ModelError: in one sentence, why there is none.
    """
    return fetched_to_json(Fetched(_fetch(fetch_from_json(document))))


def _fetch(request: FetchSnapshot) -> Path:
    name, revision = request.name, request.revision
    directory = _snapshot(name, revision)
    if directory is not None and _is_whole(directory):
        return directory  # whoever fetched it
    if request.offline_because:
        _refuse_another_kind(name, revision)
        raise ModelError(
            f"hf:{name}@{revision} is not in the local cache, and {request.offline_because}",
            remedy=f"download it first: hf download {name} --revision {revision}",
        )
    return _downloaded(name, revision)


def _snapshot(name: str, revision: str) -> Path | None:
    """Where the cache has the configuration, whatever else it lacks."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(name, "config.json", revision=revision)
    return Path(config).parent if isinstance(config, str) else None


def _is_whole(directory: Path) -> bool:
    """Whether it has all weights and modules."""
    try:
        weight_files(directory)
        return not lacks_modules(directory)
    except ModelError:
        return False


def _refuse_another_kind(name: str, revision: str) -> None:
    """Refuse what the cache holds of a repository that somebody fetched whole, if that is of another kind.

    Raises:
        ModelError: it is, such as weights that are a pickle alone.
    """
    directory = _snapshot(name, revision)
    error = None if directory is None or has_weights(directory) else of_another_kind(directory)
    if error is not None:
        raise error


def _downloaded(name: str, revision: str) -> Path:
    from huggingface_hub import list_repo_files, snapshot_download

    try:
        directory = Path(snapshot_download(name, revision=revision, allow_patterns=list(ALLOWED_FILES)))
        names = () if has_weights(directory) else list_repo_files(name, revision=revision)
    except Exception as error:
        raise _explain(error, name, revision) from error
    if names:
        raise what_it_is(Listing(name, revision, directory, names))
    return directory


def _explain(error: Exception, name: str, revision: str) -> AutotuneError:
    """One sentence for what the client raised; its classes differ between versions, their names do not."""
    source = f"hf:{name}@{revision}"
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "GatedRepoError" in kinds:
        return ModelError(
            f"{source} is gated", remedy="accept its terms on the hub, then log in with: hf auth login"
        )
    if "RepositoryNotFoundError" in kinds:
        return ModelError(
            f"{source} does not exist, or is private",
            remedy="check the name; for a private one: hf auth login",
        )
    if "RevisionNotFoundError" in kinds:
        return ModelError(
            f"{source} has no revision {revision!r}", remedy="name a branch, tag or commit of it"
        )
    reason = next(iter(str(error).splitlines()), "").removeprefix("Got: ") or type(error).__name__
    return ModelError(
        f"{source} cannot be downloaded: {reason}",
        remedy="check the connection, or use a local folder with path:DIR",
    )


if __name__ == "__main__":
    answer_parent(handle)
