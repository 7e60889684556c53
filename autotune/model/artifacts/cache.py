"""The content-addressed cache of artifacts.

```
artifacts/KEY/   a complete artifact; appears by one rename, its manifest is in it
staging/KEY-*/   an artifact being made; whoever holds KEY's lock may delete leftovers
locks/KEY        held (flock) while KEY is made or deleted; the kernel lets go when the holder dies
digests/         digests of model files, see `autotune.model.digests`
```
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autotune.errors import CacheError
from autotune.files import is_out_of_space
from autotune.locks import lock_file
from autotune.model.artifacts.artifact import Artifact
from autotune.model.artifacts.location import cache_root
from autotune.model.artifacts.manifest import MANIFEST_FILE, Manifest, read_manifest, write_manifest

KEY_LENGTH = 64


@dataclass(frozen=True)
class CacheEntry:
    """One artifact in the cache, complete or not.

    Attributes:
        manifest: None for an entry that is incomplete or has been touched since it was made.
        size_bytes: what its files take on disk; files that entries share count in each.
        last_used_s: Unix time of the last `find`.
    """

    key: str
    directory: Path
    manifest: Manifest | None
    size_bytes: int
    last_used_s: float


class ArtifactCache:
    """Finds and keeps artifacts below one folder.

    Processes of other hosts and containers may use the same folder, which have host locks of their own.
    """

    def __init__(
        self,
        root: Path | None = None,
        *,
        on_wait: Callable[[str], None] = lambda _: None,
        on_waited: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Use this folder.

        Args:
            root: None = where the user's cache is.
            on_wait: told, in a sentence, that another process makes what is wanted, and is waited for.
            on_waited: told afterwards for how many seconds.
        """
        self.root = root if root is not None else cache_root()
        self._on_wait, self._on_waited = on_wait, on_waited

    def find(self, key: str) -> Artifact | None:
        """The artifact, if it is complete and untouched; notes that it has been used."""
        directory = self._artifact(key)
        manifest = read_manifest(directory)
        if manifest is None or manifest.key != key:
            return None
        _note_use(directory)
        return _to_artifact(directory, manifest)

    def entries(self) -> tuple[CacheEntry, ...]:
        """Everything in the cache, least recently used first."""
        found = (_to_entry(directory) for directory in _folders(self.root / "artifacts"))
        present = [entry for entry in found if entry is not None]
        return tuple(sorted(present, key=lambda entry: (entry.last_used_s, entry.key)))

    @contextmanager
    def exclusively(self, key: str, doing: str = "makes the same artifact") -> Iterator[float]:
        """Hold the key's lock, waiting for whoever has it; gives the seconds that took, 0 where nobody did.

        Args:
            doing: what is done under it, in words.

        Raises:
            CacheError: the cache cannot be written.
        """
        with self._lock_file(key) as descriptor:
            told = f"another process with the cache {self.root} {doing}; waiting for it to end"
            waited_s = lock_file(descriptor, lambda: self._on_wait(told))
            if waited_s:
                self._on_waited(waited_s)
            yield waited_s

    @contextmanager
    def staging(self, key: str) -> Iterator[Path]:
        """An empty folder to make the key's artifact in, gone afterwards; needs the key's lock.

        Raises:
            CacheError: the cache cannot be written.
        """
        self._sweep(key)
        with self._writing():
            area = self.root / "staging"
            area.mkdir(parents=True, exist_ok=True)
            directory = Path(tempfile.mkdtemp(prefix=f"{key}-", dir=area))
        try:
            yield directory
        finally:
            _delete(directory)

    def publish(self, directory: Path, manifest: Manifest) -> Artifact:
        """Turn a finished staging folder into the key's artifact, in one step; needs the key's lock.

        Raises:
            CacheError: the cache cannot be written.
        """
        target = self._artifact(manifest.key)
        with self._writing():
            write_manifest(directory, manifest)
            _make_readable_only(directory)
            _delete(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            directory.rename(target)
        return _to_artifact(target, manifest)

    def remove(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Delete artifacts and leftovers of preparations; those being made right now stay.

        Returns:
            The keys that are gone.

        Raises:
            CacheError: the cache cannot be written.
        """
        with self._writing():
            return tuple(key for key in keys if self._remove(key))

    def sweep(self) -> None:
        """Delete what preparations that were killed have left behind."""
        leftover = {folder.name[:KEY_LENGTH] for folder in _folders(self.root / "staging")}
        for key in leftover:
            with self._if_free(key) as free:
                if free:
                    self._sweep(key)

    def _remove(self, key: str) -> bool:
        with self._if_free(key) as free:
            if not free:
                return False
            # Renamed first, so that nobody finds half of it.
            doomed = self.root / "staging" / f"{key}-removed"
            doomed.parent.mkdir(parents=True, exist_ok=True)
            _delete(doomed)
            self._artifact(key).rename(doomed)
            self._sweep(key)
            return True

    @contextmanager
    def _if_free(self, key: str) -> Iterator[bool]:
        with self._lock_file(key) as descriptor:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    @contextmanager
    def _lock_file(self, key: str) -> Iterator[int]:
        with self._writing():
            file = self.root / "locks" / key
            file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise unusable(self.root, error) from error

    def _sweep(self, key: str) -> None:
        for leftover in (self.root / "staging").glob(f"{key}-*"):
            _delete(leftover)

    def _artifact(self, key: str) -> Path:
        return self.root / "artifacts" / key


def unusable(root: Path, error: OSError) -> CacheError:
    """The error for a cache that cannot be written: no space, no permission, no such disk."""
    return CacheError(
        f"the cache {root} cannot be written: {error.strerror or error}",
        remedy="make room with `autotune cache prune`, or set AUTOTUNE_CACHE to a folder on another disk"
        if is_out_of_space(error)
        else "set AUTOTUNE_CACHE to a folder that you may write",
    )


def _to_artifact(directory: Path, manifest: Manifest) -> Artifact:
    return Artifact(
        key=manifest.key,
        directory=directory,
        backend=manifest.backend,
        precision=manifest.precision,
        model_digest=manifest.model_digest,
        size_bytes=manifest.size_bytes,
        created_s=manifest.created_s,
        only_shapes=() if manifest.export is None else manifest.export.shapes,
    )


def _to_entry(directory: Path) -> CacheEntry | None:
    """The entry; None when somebody deletes it at this moment."""
    stated = directory / MANIFEST_FILE
    try:
        return CacheEntry(
            key=directory.name,
            directory=directory,
            manifest=read_manifest(directory),
            size_bytes=sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()),
            last_used_s=(stated if stated.exists() else directory).stat().st_mtime,
        )
    except FileNotFoundError:
        return None


def _folders(parent: Path) -> list[Path]:
    return [path for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []


def _note_use(directory: Path) -> None:
    """The manifest's modification time is the time of the last use; on a read-only cache it stays."""
    try:
        os.utime(directory / MANIFEST_FILE)
    except OSError:
        return


def _make_readable_only(directory: Path) -> None:
    """Artifacts are for everybody to read and for nobody to change."""
    directory.chmod(0o755)
    for path in directory.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o444)


def _delete(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
