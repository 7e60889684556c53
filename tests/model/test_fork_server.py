from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autotune import errors
from autotune.model.child import inherited_variables
from autotune.model.fork_server import ForkServer

MODULE = """
import os, subprocess, sys, time
from autotune.errors import UnsupportedError
from autotune.model.fork_server import serve_forks

IMPORTED_BY = 0

def import_slowly():
    if "SLOWLY" in os.environ:
        open(os.environ["SLOWLY"], "w").write(str(os.getpid()))
        time.sleep(60)
    global IMPORTED_BY
    IMPORTED_BY = os.getpid()

def handle(request):
    print("a library's words")
    match request["do"]:
        case "look":
            return {
                "child": os.getpid(), "imported_by": IMPORTED_BY, "parent": os.getppid(), "cwd": os.getcwd(),
                "variables": dict(os.environ), "text": request.get("text", ""),
            }
        case "refuse":
            raise UnsupportedError("not here", remedy="go there")
        case "break":
            raise RuntimeError("broken")
        case "die":
            os.kill(os.getpid(), 9)
        case "kill the server":
            helper = subprocess.Popen(["sleep", "60"])
            open(request["file"], "w").write(str(helper.pid))
            os.kill(os.getppid(), 9)
            time.sleep(60)
        case "sleep":
            helper = subprocess.Popen(["sleep", "60"])
            open(request["file"], "w").write(f"{os.getpid()} {helper.pid}")
            time.sleep(60)
        case "meet":
            open(request["mine"], "w").close()
            while not os.path.exists(request["other"]):
                time.sleep(0.01)
            return {"parent": os.getppid()}
        case "leave":
            return {"left": subprocess.Popen(["sleep", "60"]).pid}

serve_forks(handle, import_slowly)
"""
SLEEPER = """
import sys
import tempfile
from autotune.model.child import inherited_variables
from autotune.model.fork_server import ForkServer
variables = {"SLOWLY": sys.argv[2]} if len(sys.argv) > 2 else {}
ForkServer("served", variables).run({"do": "sleep", "file": sys.argv[1]}, timeout_s=60, variables={})
"""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    (tmp_path / "served.py").write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    server = ForkServer("served", {"SERVER": "yes"})
    yield server
    server.close()


def ask(server: ForkServer, do: str = "look", **request: Any) -> dict[str, Any]:
    result = server.run({"do": do, **request}, timeout_s=30, variables={"CHILD": "yes"})
    assert result.reply is not None, result.stderr_tail
    return result.reply


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except OSError:
        return False


def wait_until(happens: Callable[[], bool]) -> None:
    for _ in range(200):
        if happens():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within ten seconds")


def test_imports_are_done_once_and_every_request_has_a_child_of_its_own(server: ForkServer) -> None:
    first, second = ask(server), ask(server)
    assert first["imported_by"] == second["imported_by"] == first["parent"] == second["parent"]
    assert len({first["child"], second["child"], first["parent"]}) == 3
    assert not is_alive(first["child"])


def test_a_child_has_the_variables_the_folder_and_all_of_the_request(
    server: ForkServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.chdir(tmp_path)
    text = "long" * 100_000
    seen = ask(server, text=text)
    assert seen["text"] == text
    assert seen["cwd"] == str(tmp_path)
    assert (seen["variables"]["SERVER"], seen["variables"]["CHILD"]) == ("yes", "yes")
    assert "OMP_NUM_THREADS" not in seen["variables"]


def test_its_own_errors_come_back_and_others_are_on_stderr(server: ForkServer) -> None:
    refused = server.run({"do": "refuse"}, timeout_s=30, variables={})
    with pytest.raises(errors.UnsupportedError, match="not here") as raised:
        refused.raise_error()
    assert raised.value.remedy == "go there"
    broken = server.run({"do": "break"}, timeout_s=30, variables={})
    assert (broken.reply, broken.returncode) == (None, 1)
    assert "RuntimeError: broken" in broken.stderr_tail
    assert "a library's words" in broken.stderr_tail


def test_a_child_that_is_killed_says_so_and_the_server_goes_on(server: ForkServer) -> None:
    before = ask(server)
    killed = server.run({"do": "die"}, timeout_s=30, variables={})
    assert (killed.reply, killed.returncode, killed.timed_out) == (None, -signal.SIGKILL, False)
    assert ask(server)["parent"] == before["parent"]


def test_a_server_that_is_killed_is_an_answer_and_the_next_request_has_another(
    server: ForkServer, tmp_path: Path
) -> None:
    before, pid = ask(server), tmp_path / "pid"
    killed = server.run({"do": "kill the server", "file": str(pid)}, timeout_s=30, variables={})
    assert (killed.reply, killed.returncode) == (None, -signal.SIGKILL)
    wait_until(lambda: not is_alive(int(pid.read_text())))
    assert ask(server)["parent"] != before["parent"]


def test_a_child_that_takes_too_long_is_killed_with_all_that_it_started(
    server: ForkServer, tmp_path: Path
) -> None:
    ask(server)  # what the server imports counts too
    slow = server.run({"do": "sleep", "file": str(tmp_path / "pids")}, timeout_s=3, variables={})
    assert (slow.reply, slow.timed_out) == (None, True)
    child, helper = map(int, (tmp_path / "pids").read_text().split())
    assert not is_alive(child)
    wait_until(lambda: not is_alive(helper))


def test_requests_of_several_threads_are_answered_side_by_side_by_one_server(
    server: ForkServer, tmp_path: Path
) -> None:
    """Each child waits for the other."""
    places, seen = [str(tmp_path / name) for name in "ab"], list[int]()

    def meet(mine: str, other: str) -> None:
        seen.append(ask(server, "meet", mine=mine, other=other)["parent"])

    threads = [threading.Thread(target=meet, args=both) for both in (places, places[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 2
    assert {*seen, ask(server)["parent"]} == {seen[0]}


def test_one_that_is_closed_while_others_wait_tells_them_that_it_was_killed(
    server: ForkServer, tmp_path: Path
) -> None:
    pids, ended = tmp_path / "pids", list[int]()
    request = {"do": "sleep", "file": str(pids)}
    waiting = threading.Thread(
        target=lambda: ended.append(server.run(request, timeout_s=60, variables={}).returncode)
    )
    waiting.start()
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    server.close()
    waiting.join(10)
    assert ended == [-signal.SIGKILL]
    child, helper = map(int, pids.read_text().split())
    wait_until(lambda: not is_alive(child) and not is_alive(helper))


def test_a_server_is_not_idle_while_a_child_works(server: ForkServer, tmp_path: Path) -> None:
    brief = ForkServer("served", {}, idle_s=0.2)
    mine, other = tmp_path / "mine", tmp_path / "other"
    timer = threading.Timer(1.0, other.touch)
    timer.start()
    assert ask(brief, "meet", mine=str(mine), other=str(other))["parent"]
    timer.join()
    brief.close()


def test_what_a_server_holds_is_known_while_there_is_one(server: ForkServer) -> None:
    assert server.memory_bytes() == 0
    ask(server)
    assert server.memory_bytes() > 1_000_000
    server.close()
    assert server.memory_bytes() == 0


def test_what_a_child_leaves_behind_is_killed(server: ForkServer) -> None:
    left = ask(server, "leave")["left"]
    wait_until(lambda: not is_alive(left))


def test_a_server_that_is_closed_is_gone_and_the_next_request_has_another(server: ForkServer) -> None:
    first = ask(server)["parent"]
    server.close()
    assert not is_alive(first)
    assert ask(server)["parent"] != first


def test_a_server_that_cannot_start_says_why(server: ForkServer) -> None:
    absent = ForkServer("no_such_module", {})
    result = absent.run({}, timeout_s=30, variables={})
    assert (result.reply, result.returncode) == (None, 1)
    assert "no_such_module" in result.stderr_tail
    absent.close()


def test_an_idle_server_ends_and_the_next_request_has_another(server: ForkServer) -> None:
    brief = ForkServer("served", {}, idle_s=0.2)
    first = ask(brief)["parent"]
    wait_until(lambda: not is_alive(first))
    assert ask(brief)["parent"] != first
    brief.close()


@pytest.mark.parametrize("name", ["HOME", "TMPDIR"])
def test_a_server_with_other_variables_than_ours_is_replaced(
    server: ForkServer, monkeypatch: pytest.MonkeyPatch, name: str, tmp_path: Path
) -> None:
    before = ask(server)
    monkeypatch.setenv(name, str(tmp_path))
    after = ask(server)
    assert after["variables"][name] == str(tmp_path)
    assert after["parent"] != before["parent"]


def test_a_server_outlives_the_thread_that_has_started_it(server: ForkServer) -> None:
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(ask(server)["parent"]))
    thread.start()
    thread.join()
    assert ask(server)["parent"] == seen[0]


def test_server_and_child_die_with_their_parent(server: ForkServer, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    parent = subprocess.Popen([sys.executable, "-c", SLEEPER, str(pids)])
    try:
        wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
        child = int(pids.read_text().split()[0])
        its_server = int(Path(f"/proc/{child}/stat").read_text().rsplit(") ", 1)[1].split()[1])
        parent.kill()
        wait_until(lambda: not is_alive(child) and not is_alive(its_server))
    finally:
        parent.kill()
        parent.wait()
        os.kill(int(pids.read_text().split()[1]), signal.SIGKILL)


def test_a_server_that_still_imports_ends_when_its_parent_is_killed(
    server: ForkServer, tmp_path: Path
) -> None:
    importing, pids = tmp_path / "importing", tmp_path / "pids"
    with subprocess.Popen([sys.executable, "-c", SLEEPER, str(pids), str(importing)]) as parent:
        wait_until(lambda: importing.exists() and importing.read_text() != "")
        its_server = int(importing.read_text())
        assert is_alive(its_server)
        parent.kill()
        wait_until(lambda: not is_alive(its_server))
    assert not pids.exists()


def test_ctrl_c_leaves_neither_child_nor_server(server: ForkServer, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    parent = subprocess.Popen([sys.executable, "-c", SLEEPER, str(pids)], stderr=subprocess.DEVNULL)
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    child, helper = map(int, pids.read_text().split())
    parent.send_signal(signal.SIGINT)
    assert parent.wait(10) != 0
    wait_until(lambda: not is_alive(child) and not is_alive(helper))


UNKNOWN_USER = """
import json, os, pwd, tempfile
from autotune.model.child import inherited_variables
os.setgroups([]); os.setgid(12345); os.setuid(12345)
print(json.dumps({**inherited_variables(), "may write": tempfile.gettempdir()}))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody whom nobody knows")
@pytest.mark.parametrize("home", [None, "/home/of/mine"])
def test_children_of_a_user_whom_nobody_knows_have_a_home_and_a_name(home: str | None) -> None:
    """NNCF asks for a home when it is imported; getpass, which torch asks, for a name."""
    known = {name: value for name, value in os.environ.items() if name != "HOME"}
    environment = known if home is None else {**known, "HOME": home}
    command = [sys.executable, "-c", UNKNOWN_USER]
    found = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    assert found["HOME"] == (home or found["may write"])
    assert found["LOGNAME"] == "user-12345"


def test_children_of_a_known_user_have_what_the_parent_has() -> None:
    assert inherited_variables().get("HOME") == os.environ.get("HOME")
    assert "LOGNAME" not in inherited_variables()
