"""What is broken, and what would make measurements better, is found where it is and nowhere else."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from autotune.bench.here import machine_here
from autotune.bench.lock import NAME, LockHolder, lock_holder
from autotune.doctor.clock import examine_clock, is_synchronised
from autotune.doctor.diagnosis import SEVERITIES, Diagnosis, is_healthy
from autotune.doctor.disks import examine_disks
from autotune.doctor.examine import Patient, examine
from autotune.doctor.limits import examine_limits
from autotune.doctor.lock import examine_lock
from autotune.doctor.quiet import examine_others, examine_settings
from autotune.doctor.service import examine_service
from autotune.doctor.stored import examine_store
from autotune.documents.doctor import doctor_document
from autotune.errors import StoreError
from autotune.machine.kernel_settings import KernelSettings, read_kernel_settings
from autotune.store.in_use import using_store
from autotune.store.store import open_store
from autotune.testing.machines import build_machine
from tests.client.scripted_service import document, problem, serving
from tests.conftest import RunCommand

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""
PLENTY = "MemAvailable: 16777216 kB\n"


@pytest.fixture
def url(tmp_path: Path) -> str:
    found = f"sqlite:///{tmp_path}/autotune.db"
    open_store(found).close()
    return found


def write(root: Path, **files: str) -> Path:
    """A recording of a machine with these files; `__` stands for a slash."""
    for name, text in files.items():
        file = root / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def worst(diagnoses: Iterable[Diagnosis]) -> str:
    return max((diagnosis.severity for diagnosis in diagnoses), key=SEVERITIES.index)


def told(severity: str, diagnoses: Iterable[Diagnosis]) -> str:
    """The words and remedies of one severity."""
    return " ".join(
        f"{diagnosis.words} {diagnosis.remedy}".strip()
        for diagnosis in diagnoses
        if diagnosis.severity == severity
    )


def test_a_sound_store_is_sound(url: str) -> None:
    found = list(examine_store(url, thorough=True))
    assert worst(found) == "ok"
    assert "every page of it is sound" in told("ok", found)


def test_a_store_that_is_not_there_yet_is_no_fault(tmp_path: Path) -> None:
    assert worst(examine_store(f"sqlite:///{tmp_path}/new.db", thorough=True)) == "note"
    assert not (tmp_path / "new.db").exists()


@pytest.mark.parametrize("start", [0, 8192], ids=["header", "pages"])
def test_a_damaged_store_is_a_fault_with_the_way_back(url: str, tmp_path: Path, start: int) -> None:
    path = tmp_path / "autotune.db"
    content = bytearray(path.read_bytes())
    content[start : start + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    with pytest.raises(StoreError) as raised:
        list(examine_store(url, thorough=True))
    assert raised.value.remedy


def test_what_is_broken_keeps_nobody_from_looking_at_the_rest(url: str, tmp_path: Path) -> None:
    (tmp_path / "autotune.db").write_bytes(b"nothing of the kind")
    found = examine(Patient(machine_here(), url, service=""))
    assert not is_healthy(found)
    assert {diagnosis.area for diagnosis in found if diagnosis.severity == "fault"} == {"store"}
    assert {diagnosis.area for diagnosis in found} >= {"store", "engines", "clock"}


def test_who_works_in_the_store_is_named(url: str) -> None:
    with using_store(url, "service"):
        assert "in use here by: service" in told("ok", examine_store(url, thorough=False))


def test_the_holder_of_the_hosts_lock_is_found_without_touching_it(tmp_path: Path) -> None:
    assert lock_holder([tmp_path]) is None
    (tmp_path / NAME).touch()
    assert lock_holder([tmp_path]) is None
    command = [sys.executable, "-c", HOLD, str(tmp_path / NAME)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as holding:
        assert holding.stdout is not None
        assert holding.stdout.readline() == "held\n"
        assert lock_holder([tmp_path]) == LockHolder(holding.pid)
        (found,) = examine_lock([tmp_path])
        assert found.severity == "note"
        assert f"process {holding.pid} (python" in found.words
        with (tmp_path / NAME).open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        holding.kill()
    assert lock_holder([tmp_path]) is None


def test_who_waits_for_the_lock_is_counted(tmp_path: Path) -> None:
    (tmp_path / NAME).touch()
    status = (tmp_path / NAME).stat()
    file = f"{status.st_dev >> 8 & 0xFFF:02x}:{status.st_dev & 0xFF:02x}:{status.st_ino}"
    listing = tmp_path / "locks"
    listing.write_text(
        f"1: FLOCK  ADVISORY  WRITE 12 00:1b:999 0 EOF\n2: FLOCK  ADVISORY  WRITE 34 {file} 0 EOF\n"
        f"2: -> FLOCK  ADVISORY  WRITE 56 {file} 0 EOF\n3: POSIX  ADVISORY  WRITE 78 {file} 0 EOF\n"
    )
    assert lock_holder([tmp_path], listing) == LockHolder(34, waiting=1)


def test_a_host_without_a_place_for_the_lock_is_a_fault(tmp_path: Path) -> None:
    assert worst(examine_lock([tmp_path / "gone"])) == "fault"


@pytest.mark.parametrize(
    ("quota", "severity"), [(None, "ok"), (32.0, "ok"), (1.5, "warning"), (0.5, "fault")], ids=str
)
def test_a_quota_is_judged_by_what_it_stops(quota: float | None, severity: str, tmp_path: Path) -> None:
    root = write(tmp_path, proc__meminfo=PLENTY)
    assert worst(examine_limits(build_machine(quota_cpus=quota), root)) == severity


def test_cpus_that_are_barred_are_named(tmp_path: Path) -> None:
    root = write(tmp_path, proc__meminfo=PLENTY)
    assert "bars cpus 2-31" in told("note", examine_limits(build_machine(allowed=[0, 1]), root))


def test_memory_that_lies_on_a_disk_is_told(tmp_path: Path) -> None:
    root = write(tmp_path, proc__meminfo=f"{PLENTY}SwapTotal: 2097152 kB\nSwapFree: 1048576 kB\n")
    assert "1.0 GiB of memory lie on disks" in told("warning", examine_limits(build_machine(), root))


def test_what_the_kernel_says_of_its_settings_is_read(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        sys__devices__system__cpu__cpu0__cpufreq__scaling_governor="powersave\n",
        sys__devices__system__cpu__cpu1__cpufreq__scaling_governor="performance\n",
        sys__devices__system__cpu__intel_pstate__no_turbo="0\n",
        sys__devices__system__cpu__smt__active="1\n",
        sys__kernel__mm__transparent_hugepage__enabled="[always] madvise never\n",
        proc__sys__kernel__numa_balancing="1\n",
        proc__loadavg="3.25 1.00 0.50 2/345 6789\n",
    )
    assert read_kernel_settings([0, 1], root) == KernelSettings(
        governors=("performance", "powersave"),
        boosts=True,
        smt=True,
        huge_pages="always",
        balances_nodes=True,
        load=3.25,
    )
    found = list(examine_settings(build_machine(), root))
    assert "cpupower frequency-set -g performance" in told("warning", found)
    for word in ("SMT", "boost", "transparent_hugepage", "numa_balancing"):
        assert word in told("note", found)


def test_a_machine_that_says_nothing_is_taken_for_a_virtual_one(tmp_path: Path) -> None:
    assert read_kernel_settings([0], tmp_path) == KernelSettings()
    assert worst(examine_settings(build_machine(), tmp_path)) == "ok"


def test_whoever_uses_the_cpus_is_told_of() -> None:
    command = [sys.executable, "-c", "print('busy', flush=True)\nwhile True: pass"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        try:
            assert "others take up to" in told("warning", examine_others(machine_here()))
        finally:
            process.kill()


def test_a_host_that_hides_its_counters_is_told_as_that(tmp_path: Path) -> None:
    assert worst(examine_others(build_machine(), tmp_path)) == "note"


def test_the_clock_is_looked_at() -> None:
    assert {diagnosis.area for diagnosis in examine_clock()} == {"clock"}
    assert is_synchronised() in {True, False, None}


def test_a_cache_that_nobody_may_write_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AUTOTUNE_CACHE", str(tmp_path / "file"))
    assert worst(examine_disks()) == "fault"
    monkeypatch.setenv("AUTOTUNE_CACHE", str(tmp_path / "cache"))
    assert worst(examine_disks()) != "fault"
    assert not (tmp_path / "cache").exists()


def test_a_service_is_asked_whether_it_is_ready() -> None:
    with serving(document(status="ready")) as service:
        assert worst(examine_service(service.url)) == "ok"
        assert service.asked[0].path == "/health/ready"
    with serving(problem(503, "not-ready", "nobody begins jobs", "see its log")) as service:
        assert told("fault", examine_service(service.url)) == "nobody begins jobs see its log"
    assert "cannot be reached" in told("fault", examine_service("http://127.0.0.1:9"))


def test_the_service_of_this_folder_is_asked_and_none_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert list(examine_service(None)) == []
    with serving(document(status="ready")) as service:
        (tmp_path / ".autotune").mkdir()
        (tmp_path / ".autotune" / "address").write_text(f"{service.url}\n")
        assert service.url in told("ok", examine_service(None))


def test_the_command_prints_every_finding_and_ends_with_one_where_something_is_broken(
    run_command: RunCommand, tmp_path: Path, url: str, own_cache: Path
) -> None:
    code, out, _ = run_command(tmp_path, "doctor", "--json")
    found = json.loads(out)
    assert (code, found["healthy"], found["schema"]) == (0, True, "autotune.doctor/1")
    areas = {finding["area"] for finding in found["findings"]}
    assert areas >= {"store", "lock", "engines", "limits", "cache", "clock", "kernel"}
    (tmp_path / "autotune.db").write_bytes(b"nothing of the kind")
    code, out, _ = run_command(tmp_path, "doctor")
    assert code == 1
    assert "fault   store" in out


def test_the_document_has_every_finding() -> None:
    found = (Diagnosis("store", "ok", "sound"), Diagnosis("clock", "fault", "gone", "wind it up"))
    assert doctor_document(found) == {
        "schema": "autotune.doctor/1",
        "healthy": False,
        "findings": [
            {"area": "store", "severity": "ok", "words": "sound", "remedy": ""},
            {"area": "clock", "severity": "fault", "words": "gone", "remedy": "wind it up"},
        ],
    }
