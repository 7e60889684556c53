"""What engines state of their times, and what stands in where they state nothing."""

from __future__ import annotations

from autotune.backends.protocol import StatedTimes
from autotune.backends.registry import backends
from autotune.backends.times import UNSTATED_S, stated_preparing_s, stated_times


def test_what_no_engine_states_is_what_is_usual() -> None:
    assert stated_times("nobody") == StatedTimes()
    assert stated_preparing_s("nobody", "fp32") == UNSTATED_S
    assert stated_preparing_s("pytorch", "int4-weights") == UNSTATED_S


def test_an_engine_states_times_of_its_own_precisions_and_stands_on_one_that_there_is() -> None:
    for name, backend in backends().items():
        times = stated_times(name)
        assert times.preparing_s.keys() <= {*backend.precisions}
        assert all(seconds > 0 for seconds in (times.trial_s, *times.preparing_s.values()))
        assert times.built_on in {"", *backends()} - {name}


def test_compilers_are_expected_to_be_about_as_fast_as_what_they_compile_from() -> None:
    built_on = {name: stated_times(name).built_on for name in ("inductor", "torchscript", "jax")}
    assert built_on == dict.fromkeys(built_on, "pytorch")
