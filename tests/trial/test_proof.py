from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from autotune.measurement.measurement import FailureKind, ThreadMask
from autotune.placement.placement import InstancePlacement
from autotune.testing.fake_trial import FakeTrial
from autotune.testing.observations import build_observation
from autotune.trial.asked import Asked
from autotune.trial.proof import memory_binding, prove
from autotune.worker.failures import InstanceError

SEEN = build_observation(
    cpus=(2, 3),
    threads=(ThreadMask("python", (2, 3)), ThreadMask("pool", (3,))),
    memory_policy="bind",
    memory_nodes=(1,),
    engine_threads=2,
)


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    configuration = FakeTrial(tmp_path, {}, threads=2).configuration
    return Asked("offline", configuration, (InstancePlacement((2, 3), (1,)),))


def test_what_was_asked_passes(asked: Asked) -> None:
    prove(asked, [SEEN])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cpus": (2,)}, "the process runs on cpus 2, not 2-3"),
        ({"cpus": (2, 3, 4)}, "the process runs on cpus 2-4, not 2-3"),
        ({"threads": (ThreadMask("pool", (3, 7)),)}, "thread 'pool' runs on cpus 3,7, not within 2-3"),
        ({"memory_nodes": (0, 1)}, "memory policy is bind 0-1, not bind 1"),
        ({"memory_policy": "interleave"}, "memory policy is interleave 1, not bind 1"),
        ({"engine": "pytorch"}, "the engine is pytorch, not fake"),
        ({"engine_threads": 1}, "the engine uses 1 threads, not 2"),
    ],
)
def test_a_difference_is_named(asked: Asked, changes: dict[str, object], words: str) -> None:
    with pytest.raises(InstanceError, match=words) as caught:
        prove(asked, [replace(SEEN, **changes)])  # type: ignore[arg-type]
    assert caught.value.kind is FailureKind.PLACEMENT
    assert caught.value.instance == 0


def test_the_baseline_may_run_anywhere(asked: Asked) -> None:
    unpinned = replace(
        asked,
        configuration=replace(asked.configuration, threads_per_instance=0),
        instances=(InstancePlacement((), ()),),
    )
    prove(unpinned, [replace(SEEN, engine_threads=7)])
    assert memory_binding(unpinned, [SEEN]) == "none"


@pytest.mark.parametrize("policy", ["default", "unknown"])
def test_a_binding_that_the_kernel_refused_is_recorded_and_no_failure(asked: Asked, policy: str) -> None:
    refused = replace(SEEN, memory_policy=policy, memory_nodes=())
    prove(asked, [refused])
    assert memory_binding(asked, [refused]) == "refused"
    assert memory_binding(asked, [SEEN]) == "bind"


def test_the_second_instance_is_named(asked: Asked) -> None:
    two = replace(asked, instances=asked.instances * 2)
    with pytest.raises(InstanceError) as caught:
        prove(two, [SEEN, replace(SEEN, cpus=(0,))])
    assert caught.value.instance == 1
