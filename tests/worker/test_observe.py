"""What a process reads back of itself, in processes that were given something."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict

import psutil

from autotune.backends.protocol import EngineReport
from autotune.worker.observe import memory_policy, memory_use, observe, process_age_s

REPORT = EngineReport("fake", "1", "fp32", 3)


def test_a_process_reads_its_own_mask_and_threads() -> None:
    observation = observe(REPORT, load_s=0.5, warmup_s=0.25)
    assert observation.pid == os.getpid()
    assert set(observation.cpus) == os.sched_getaffinity(0)
    assert len(observation.threads) == psutil.Process().num_threads()
    assert (observation.engine, observation.engine_threads, observation.load_s) == ("fake", 3, 0.5)


def test_the_mask_of_a_single_thread_is_seen() -> None:
    program = """
import json, os, threading
from dataclasses import asdict
from autotune.backends.protocol import EngineReport
from autotune.worker.observe import observe
cpu = min(os.sched_getaffinity(0))
ready, done = threading.Event(), threading.Event()
def pinned():
    os.sched_setaffinity(0, {cpu})
    ready.set()
    done.wait()
thread = threading.Thread(target=pinned)
thread.start()
ready.wait()
print(json.dumps(asdict(observe(EngineReport("fake", "1", "fp32", 1), load_s=0, warmup_s=0))))
done.set()
"""
    output = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    first, second = json.loads(output.stdout)["threads"]
    assert set(first["cpus"]) == os.sched_getaffinity(0)
    assert second["cpus"] == [min(os.sched_getaffinity(0))]


def test_the_memory_policy_is_the_kernels_word() -> None:
    policy, nodes = memory_policy()
    assert policy in {"default", "bind", "interleave", "local", "unknown"}
    assert asdict(observe(REPORT, load_s=0, warmup_s=0))["memory_policy"] == policy
    assert all(node >= 0 for node in nodes)


def test_memory_that_is_touched_is_counted() -> None:
    before, _ = memory_use()
    ballast = bytearray(b"x") * 50_000_000
    after, peak = memory_use()
    assert after - before > 45_000_000
    assert peak >= after - before
    del ballast


def test_a_process_knows_its_age() -> None:
    age_s = time.time() - psutil.Process().create_time()
    assert abs(process_age_s() - age_s) < 2
