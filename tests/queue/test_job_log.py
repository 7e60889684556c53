"""What a job's process prints lies in a file that cannot grow for ever."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

from autotune.queue.job_log import LOG_BYTES, job_log

FLOOD = """
import os, pathlib, sys
from autotune.queue.job_log import begin_log, bound_log
begin_log(pathlib.Path(sys.argv[1]), "a-job")
for number in range(int(sys.argv[2])):
    os.write(2, b"%d %s\\n" % (number, b"x" * 1000))
    bound_log()
print("printed", flush=True)
"""


def flood(state: Path, lines: int) -> str:
    subprocess.run([sys.executable, "-c", FLOOD, str(state), str(lines)], check=True, stderr=subprocess.PIPE)
    return job_log(state, "a-job").read_text()


def test_a_log_keeps_its_newest_lines_and_is_its_owners_alone(tmp_path: Path) -> None:
    text = flood(tmp_path, 3000)
    assert len(text) <= LOG_BYTES + 2000
    first, *lines = text.splitlines()
    assert first == "[older lines are left out]"
    assert lines[-1] == "printed"
    numbers = [int(line.split()[0]) for line in lines[:-1]]
    assert numbers == list(range(numbers[0], 3000))
    assert stat.S_IMODE(job_log(tmp_path, "a-job").stat().st_mode) == 0o600


def test_the_next_attempt_writes_behind_the_first(tmp_path: Path) -> None:
    once = flood(tmp_path, 1)
    assert flood(tmp_path, 1) == once * 2
