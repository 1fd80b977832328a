"""What witnesses say, and what an accepted level leaves of the values before it."""

from collections.abc import Callable, Sequence
from datetime import date
from math import pi, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regressions.attribution import Fingerprint, Witness
from regressions.compare import compare, side
from regressions.policy import Policy
from regressions.segments import carried
from regressions.witnesses import fingerprint, says, together
from schema.hosts import Host
from schema.judgements import Comparison
from schema.store.values import Value
from schema.trials import Arm, Launch

MOVED, STEADY, SILENT = Witness.MOVED, Witness.STEADY, Witness.SILENT
STILL = [100.0, 100.4, 99.7, 100.2, 99.9, 100.1]
Sides = Callable[..., Comparison]


@pytest.mark.parametrize(
    ("change", "factor", "trials", "said"),
    [
        (0.10, 1.10, 6, MOVED),
        (0.10, 1.06, 6, MOVED),
        (0.10, 1.00, 6, STEADY),
        (0.10, 1.03, 6, STEADY),
        (0.10, 0.90, 6, STEADY),
        (-0.10, 0.90, 6, MOVED),
        (-0.10, 1.00, 6, STEADY),
        (0.10, 1.10, 2, SILENT),
        (0.004, 1.00, 6, SILENT),
    ],
)
def test_a_witness_goes_along_excludes_the_change_or_is_silent(
    sides: Sides, change: float, factor: float, trials: int, said: Witness
) -> None:
    seen = sides(STILL[:trials], [value * factor for value in reversed(STILL[:trials])])
    assert says(change, seen, alpha=0.01) is said


def test_a_witness_without_values_is_silent(sides: Sides) -> None:
    assert says(0.1, sides([], STILL), alpha=0.01) is SILENT


@pytest.mark.parametrize(
    ("said", "most"),
    [
        ([], SILENT),
        ([SILENT, SILENT], SILENT),
        ([MOVED, SILENT, SILENT], MOVED),
        ([MOVED, STEADY], SILENT),
        ([MOVED, STEADY, STEADY], STEADY),
    ],
)
def test_witnesses_together_say_what_most_say_who_speak(said: list[Witness], most: Witness) -> None:
    assert together(said) is most


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, Fingerprint.SAME),
        ({"driver": "575.57"}, Fingerprint.DRIVER),
        ({"driver": "575.57", "cuda": "12.9"}, Fingerprint.DRIVER),
        ({"python": "3.12.1"}, Fingerprint.CLIENT),
        ({"kernel": "6.9"}, Fingerprint.HOST),
        ({"cards": ()}, Fingerprint.HOST),
        ({"driver": "575.57", "kernel": "6.9"}, Fingerprint.SEVERAL),
        ({"name": "bench-02", "driver": "575.57"}, Fingerprint.HOST),
        ({"nccl": "2.29.7"}, Fingerprint.SAME),  # the build brings it
        ({"nccl": "2.29.7", "driver": "575.57"}, Fingerprint.DRIVER),
    ],
)
def test_a_fingerprint_says_what_changed(
    make_launch: Callable[..., Launch], changes: dict[str, object], kind: Fingerprint
) -> None:
    old = make_launch().host
    new: Host = old.model_copy(update=changes)
    hosts = {old.fingerprint: old, new.fingerprint: new}
    seen, text = fingerprint(hosts, [old.fingerprint], [new.fingerprint])
    assert seen is kind
    assert (text is None) is (kind is Fingerprint.SAME)


def test_a_host_that_was_there_before_is_no_change(make_launch: Callable[..., Launch]) -> None:
    old = make_launch().host
    new = old.model_copy(update={"driver": "575.57"})
    hosts = {old.fingerprint: old, new.fingerprint: new}
    assert fingerprint(hosts, list(hosts), [old.fingerprint])[0] is Fingerprint.SAME


def series(values: Sequence[float], metric: str = "itl_p50") -> list[Value]:
    """One value a night from the first of November."""
    return [
        Value(
            night=f"2026-11-{day:02d}", date=date(2026, 11, day), cell="c", metric=metric,
            arm=Arm.NIGHTLY, build="b", build_name="vllm 0.32.0", host="h", trial=f"t{day}",
            replicate=0, value=value,
        )
        for day, value in enumerate(values, start=1)
    ]  # fmt: skip


def widened(level: float, distances: Sequence[float], nights: int) -> list[float]:
    """Values at these relative distances from a level that is known from so many nights."""
    return [level * (1 + own * sqrt(1 + pi / 2 / nights)) for own in distances]


def test_values_before_an_accepted_level_are_carried_to_it_with_their_spread() -> None:
    found = [one.value for one in carried(series([10, 11, 9, 20, 22, 18]), {"c": ["2026-11-04"]})]
    assert found == pytest.approx([*widened(20, [0, 0.1, -0.1], nights=3), 20, 22, 18])


def test_the_less_is_known_of_the_new_level_the_wider_they_are() -> None:
    one, many = (
        carried(series([10, 11, 9, *[20] * nights]), {"c": ["2026-11-04"]}) for nights in (1, 9)
    )
    assert one[1].value > many[1].value > 22
    assert one[0].value == many[0].value == 20


def test_two_accepted_levels_carry_one_after_the_other() -> None:
    found = carried(series([10, 20, 30]), {"c": ["2026-11-02", "2026-11-03"]})
    assert [one.value for one in found] == [30, 30, 30]


def test_each_metric_is_carried_by_its_own_ratio() -> None:
    values = [*series([10, 20]), *series([5, 5], metric="itl_p99")]
    assert [one.value for one in carried(values, {"c": ["2026-11-02"]})] == [20, 20, 5, 5]


def test_the_first_night_after_an_acceptance_raises_no_more_alarms_than_any_other(
    policy: Policy,
) -> None:
    """12 nights of 3 trials at the old level, one at the new, tonight; scatter of 2 %."""
    random = np.random.default_rng(7)
    level = np.repeat([1.0, 1.1], [12, 2])
    alarms = 0
    for _ in range(400):
        trials = level * np.exp(random.normal(0, 0.02, (3, 14)))
        values = [one for own in trials for one in series(own[:13].tolist())]
        before = [one.value for one in carried(values, {"c": ["2026-11-13"]})]
        found = compare(
            night="n", cell="c", metric="itl_p50", policy=policy,
            baseline=side(["b"], [f"b{at}" for at in range(39)], before),
            contender=side(["b"], ["x", "y", "z"], trials[:, 13].tolist()),
        )  # fmt: skip
        alarms += found.p is not None and found.p <= policy.alpha
    assert alarms <= 400 * 0.025


@pytest.mark.parametrize("values", [[10, 11], [0, 5], [-1, 5]])
def test_what_has_no_ratio_stays_as_it_was(values: list[float]) -> None:
    level = "2026-11-09" if values[0] == 10 else "2026-11-02"
    assert carried(series(values), {"c": [level]}) == series(values)


@given(st.lists(st.floats(0.1, 1e6), min_size=2, max_size=20), st.integers(2, 20))
def test_carrying_leaves_the_new_level_and_the_order_of_the_old_values(
    values: list[float], day: int
) -> None:
    found = carried(series(values), {"c": [f"2026-11-{day:02d}"]})
    assert [one.value for one in found[day - 1 :]] == values[day - 1 :]
    old = found[: day - 1]
    by_value = sorted(old, key=lambda one: (one.value, one.trial))
    assert [one.value for one in by_value] == pytest.approx(
        [found[values.index(own)].value for own in sorted(values[: day - 1])]
    )
