"""Every row of the table, and that it has an answer for everything that witnesses can say."""

from itertools import product

import pytest

from regressions.attribution import TABLE, Fingerprint, Seen, Witness, Witnessed, attribute
from schema.episodes import Attribution

MOVED, STEADY, SILENT = Witness.MOVED, Witness.STEADY, Witness.SILENT
SAME, DRIVER, CLIENT, HOST, SEVERAL = Fingerprint
IN_TURNS, REPLAY = {"seen": Seen.IN_TURNS}, {"seen": Seen.REPLAYED}

SAID: list[tuple[dict[str, object], Attribution, str]] = [
    (IN_TURNS, Attribution.BUILD, "in turns on the same hosts"),
    ({**IN_TURNS, "fingerprint": DRIVER}, Attribution.UNKNOWN, "hosts that differ"),
    ({**REPLAY, "other_engine": MOVED}, Attribution.HOST, "moved the same way in the same nights"),
    ({**REPLAY, "fingerprint": HOST}, Attribution.UNKNOWN, ", and the environment is new"),
    ({**REPLAY, "fingerprint": HOST, "build_changed": False}, Attribution.HOST, "the build is not"),
    (REPLAY, Attribution.BUILD, "the build is new"),
    ({**REPLAY, "build_changed": False}, Attribution.HOST, "the same build ran before"),
    ({**REPLAY, "build_changed": None}, Attribution.UNKNOWN, "does not name builds"),
    ({"last_good": MOVED, "other_workloads": STEADY}, Attribution.WORKLOAD, "the last good build"),
    ({"last_good": MOVED, "fingerprint": DRIVER}, Attribution.DRIVER, "the last good build"),
    ({"last_good": MOVED, "fingerprint": CLIENT}, Attribution.CLIENT, "the last good build"),
    ({"last_good": MOVED, "fingerprint": HOST}, Attribution.HOST, "the last good build"),
    ({"last_good": MOVED, "fingerprint": SEVERAL}, Attribution.HOST, "the last good build"),
    ({"last_good": MOVED, "control": STEADY}, Attribution.HOST, "measured again tonight, moved"),
    ({"control": MOVED, "other_workloads": STEADY}, Attribution.WORKLOAD, "no other workload"),
    ({"control": MOVED, "fingerprint": DRIVER}, Attribution.DRIVER, "fingerprint changed"),
    ({"control": MOVED, "fingerprint": CLIENT}, Attribution.CLIENT, "fingerprint changed"),
    ({"control": MOVED, "fingerprint": HOST}, Attribution.HOST, "fingerprint changed"),
    ({"control": MOVED, "fingerprint": SEVERAL}, Attribution.HOST, "fingerprint changed"),
    ({"control": MOVED}, Attribution.HOST, "the pinned build moved with it"),
    ({"control": STEADY}, Attribution.BUILD, "the pinned build did not move"),
    ({"control": STEADY, "fingerprint": DRIVER}, Attribution.BUILD, "did not move"),
    ({"control": STEADY, "build_changed": False}, Attribution.UNKNOWN, "compilation caches"),
    ({"other_engine": MOVED, "other_workloads": STEADY}, Attribution.WORKLOAD, "other engine"),
    ({"other_engine": MOVED, "fingerprint": DRIVER}, Attribution.DRIVER, "other engine"),
    ({"other_engine": MOVED, "fingerprint": CLIENT}, Attribution.CLIENT, "other engine"),
    ({"other_engine": MOVED, "fingerprint": HOST}, Attribution.HOST, "other engine"),
    ({"other_engine": MOVED, "fingerprint": SEVERAL}, Attribution.HOST, "other engine"),
    ({"other_engine": MOVED}, Attribution.HOST, "the same kind of GPU moved with it"),
    ({"build_changed": False, "fingerprint": DRIVER}, Attribution.DRIVER, "nothing but"),
    ({"build_changed": False, "fingerprint": CLIENT}, Attribution.CLIENT, "nothing but"),
    ({"build_changed": False, "fingerprint": HOST}, Attribution.HOST, "nothing but"),
    ({"build_changed": False, "fingerprint": SEVERAL}, Attribution.HOST, "nothing but"),
    ({"other_engine": STEADY}, Attribution.BUILD, "only the build changed"),
    ({}, Attribution.UNKNOWN, "a control arm would decide"),
    ({"fingerprint": DRIVER}, Attribution.UNKNOWN, "both changed: a control arm would decide"),
    ({"build_changed": False}, Attribution.UNKNOWN, "a control arm would decide"),
]
WITNESSES = ("last_good", "control", "other_engine", "other_workloads")


def told(said: dict[str, object]) -> Witnessed:
    return Witnessed(**{"build_changed": True, **said})  # type: ignore[arg-type]


@pytest.mark.parametrize(("said", "blamed", "because"), SAID)
def test_each_row_blames_whom_its_witnesses_leave(
    said: dict[str, object], blamed: Attribution, because: str
) -> None:
    attribution, reason = attribute(told(said))
    assert attribution is blamed
    assert because in reason


def test_every_row_decides_something_here() -> None:
    decided = [next(row for row in TABLE if row.fits(told(said))) for said, _, _ in SAID]
    assert {id(row) for row in decided} == {id(row) for row in TABLE}


def test_there_is_an_answer_for_all_that_can_be_said() -> None:
    for build, seen, changed in product((True, False), Seen, Fingerprint):
        for words in product(Witness, repeat=len(WITNESSES)):
            said = told(dict(zip(WITNESSES, words, strict=True)))
            facts = {"build_changed": build, "seen": seen, "fingerprint": changed}
            attribution, _ = attribute(Witnessed(**{**vars(said), **facts}))
            assert attribution in Attribution


def test_a_build_that_did_not_change_is_never_blamed() -> None:
    ways = (Seen.TONIGHT, Seen.REPLAYED)
    everything = product(ways, Fingerprint, product(Witness, repeat=len(WITNESSES)))
    for seen, changed, words in everything:
        facts = dict(zip(WITNESSES, words, strict=True))
        said = Witnessed(build_changed=False, seen=seen, fingerprint=changed, **facts)
        assert attribute(said)[0] is not Attribution.BUILD


def test_without_witnesses_nobody_is_blamed_when_two_things_changed() -> None:
    for changed in set(Fingerprint) - {SAME}:
        assert attribute(told({"fingerprint": changed}))[0] is Attribution.UNKNOWN
