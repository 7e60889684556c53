from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from autotune.testing.fake_plans import FakeStudy


def pytest_configure() -> None:
    """Have the signals that tests send reach what they start, even where a job's shell ignores them.

    What a process ignores, its children ignore too; and a shell starts `command &` ignoring Ctrl-C.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(scope="module")
def shared_study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeStudy]:
    """A fake study and a cache for all tests of a module; they change neither."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOTUNE_CACHE", str(folder / "cache"))
        yield FakeStudy(folder)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, for its children too."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("AUTOTUNE_CACHE", str(folder))
    return folder


@pytest.fixture
def own_study(tmp_path: Path, own_cache: Path) -> FakeStudy:
    """A fake study of the test's own."""
    return FakeStudy(tmp_path)
