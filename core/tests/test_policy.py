"""What is to become of versions, as a table of what is wanted and what is."""

from __future__ import annotations

import pytest

from despina.lifecycle.policy import (
    Attempt,
    Decision,
    Key,
    Load,
    Member,
    Ready,
    Status,
    Wanted,
    decide,
    releasable,
)
from despina.lifecycle.state import TABLE, Phase, State, check_move, shown

A, A2, B, E, OUTER = Key("a", 1), Key("a", 2), Key("b", 1), Key("e", 1), Key("outer", 1)
OLD, NEW = Wanted("old"), Wanted("new")
ON_A = Wanted("on a", (Member("a", -1),))
ON_A1 = Wanted("on a1", (Member("a", 1),))
ON_B = Wanted("on b", (Member("b", -1),))
ON_BOTH = Wanted("on both", (Member("a", -1), Member("b", -1)))
ON_E = Wanted("on e", (Member("e", -1),))

NOTHING, LOADING = Status(), Status(loading=True)
SERVE_1, DROP, WAIT = Decision(1), Decision(), Decision(waiting=True)


def ready(wanted: Wanted, *members: int, number: int = 1) -> Ready:
    return Ready(number, wanted, Attempt(wanted.revision, members))


def has(*each: Ready, loading: bool = False, failures: dict[Attempt, str] | None = None) -> Status:
    return Status(each, loading, failures or {})


def failed(wanted: Wanted, *members: int, why: str = "broken") -> dict[Attempt, str]:
    return {Attempt(wanted.revision, members): why}


def load(wanted: Wanted, *members: int, serve: int | None = None, again: int | None = None):
    return Decision(serve, Load(Attempt(wanted.revision, members), again))


Case = tuple[dict[Key, Wanted], dict[Key, Status], dict[Key, Decision]]

ONE_MODEL: dict[str, Case] = {
    "nothing wanted, nothing there": ({}, {}, {}),
    "a new model is loaded": ({A: OLD}, {A: NOTHING}, {A: load(OLD)}),
    "one that loads is left alone": ({A: OLD}, {A: LOADING}, {A: WAIT}),
    "one that is ready serves": ({A: OLD}, {A: has(ready(OLD))}, {A: SERVE_1}),
    "one that failed is not tried again": (
        {A: OLD},
        {A: has(failures=failed(OLD))},
        {A: Decision(reason="broken")},
    ),
    "one that failed and changed is": (
        {A: NEW},
        {A: has(failures=failed(OLD))},
        {A: load(NEW)},
    ),
    "all are loaded at once": (
        {A: OLD, B: OLD},
        {A: NOTHING, B: NOTHING},
        {A: load(OLD), B: load(OLD)},
    ),
    "what is not wanted goes": ({}, {A: has(ready(OLD))}, {A: DROP}),
    "a load that is not wanted any more ends first": ({}, {A: LOADING}, {A: DROP}),
    "what changed is loaded beside what serves": (
        {A: NEW},
        {A: has(ready(OLD))},
        {A: load(NEW, serve=1)},
    ),
    "which goes on meanwhile": (
        {A: NEW},
        {A: has(ready(OLD), loading=True)},
        {A: Decision(1, waiting=True)},
    ),
    "until the new one is ready": (
        {A: NEW},
        {A: has(ready(OLD), ready(NEW, number=2))},
        {A: Decision(2)},
    ),
    "a change that failed leaves what serves": (
        {A: NEW},
        {A: has(ready(OLD), failures=failed(NEW))},
        {A: Decision(1, reason="broken")},
    ),
    "a change that was taken back before it was loaded does not count": (
        {A: OLD},
        {A: has(ready(OLD), ready(NEW, number=2))},
        {A: SERVE_1},
    ),
    "of two loads that nobody wants any more the later serves until a third is ready": (
        {A: Wanted("third")},
        {A: has(ready(OLD), ready(NEW, number=2))},
        {A: load(Wanted("third"), serve=2)},
    ),
    "an old version stays until the new one is ready": (
        {A2: OLD},
        {A: has(ready(OLD)), A2: LOADING},
        {A: SERVE_1, A2: WAIT},
    ),
    "and goes then": (
        {A2: OLD},
        {A: has(ready(OLD)), A2: has(ready(OLD, number=2))},
        {A: DROP, A2: Decision(2)},
    ),
    "and stays when it fails": (
        {A2: OLD},
        {A: has(ready(OLD)), A2: has(failures=failed(OLD))},
        {A: SERVE_1, A2: Decision(reason="broken")},
    ),
    "a version that failed alone does not take the others along": (
        {A: OLD, A2: OLD},
        {A: has(ready(OLD)), A2: has(failures=failed(OLD))},
        {A: SERVE_1, A2: Decision(reason="broken")},
    ),
}

ENSEMBLES: dict[str, Case] = {
    "an ensemble waits for its member": (
        {E: ON_A, A: OLD},
        {E: NOTHING, A: NOTHING},
        {E: WAIT, A: load(OLD)},
    ),
    "while that loads": ({E: ON_A, A: OLD}, {E: NOTHING, A: LOADING}, {E: WAIT, A: WAIT}),
    "and is loaded with what serves": (
        {E: ON_A, A: OLD},
        {E: NOTHING, A: has(ready(OLD, number=7))},
        {E: load(ON_A, 7), A: Decision(7)},
    ),
    "with one member for each step": (
        {E: Wanted("x", (*ON_BOTH.members, Member("a", 1))), A: OLD, B: OLD},
        {E: NOTHING, A: has(ready(OLD)), B: has(ready(OLD, number=2))},
        {E: load(Wanted("x"), 1, 2, 1), A: SERVE_1, B: Decision(2)},
    ),
    "it fails with a member, also while another loads": (
        {E: ON_BOTH, A: OLD, B: OLD},
        {E: NOTHING, A: has(failures=failed(OLD, why="no file")), B: LOADING},
        {
            E: Decision(reason="its model 'a' is not available: no file"),
            A: Decision(reason="no file"),
            B: WAIT,
        },
    ),
    "and with one that nobody wants": (
        {E: ON_B},
        {E: NOTHING},
        {E: Decision(reason="its model 'b' is not loaded")},
    ),
    "any version of a member will do, the latest comes first": (
        {E: ON_A, A: OLD, A2: OLD},
        {E: NOTHING, A: has(ready(OLD)), A2: has(ready(OLD, number=2))},
        {E: load(ON_A, 2), A: SERVE_1, A2: Decision(2)},
    ),
    "also one that is kept because the new one failed": (
        {E: ON_A, A2: OLD},
        {E: NOTHING, A: has(ready(OLD)), A2: has(failures=failed(OLD))},
        {E: load(ON_A, 1), A: SERVE_1, A2: Decision(reason="broken")},
    ),
    "unless a step names one": (
        {E: ON_A1, A2: OLD},
        {E: NOTHING, A2: has(ready(OLD))},
        {E: Decision(reason="its model 'a' version 1 is not loaded"), A2: SERVE_1},
    ),
    "it is loaded anew when its member was": (
        {E: ON_A, A: NEW},
        {E: has(ready(ON_A, 1, number=2)), A: has(ready(OLD), ready(NEW, number=3))},
        {E: load(ON_A, 3, serve=2), A: Decision(3)},
    ),
    "but not while that loads": (
        {E: ON_A, A: NEW},
        {E: has(ready(ON_A, 1, number=2)), A: has(ready(OLD), loading=True)},
        {E: Decision(2, waiting=True), A: Decision(1, waiting=True)},
    ),
    "nor when that failed": (
        {E: ON_A, A: NEW},
        {E: has(ready(ON_A, 1, number=2)), A: has(ready(OLD), failures=failed(NEW))},
        {E: Decision(2), A: Decision(1, reason="broken")},
    ),
    "one that does not fit the new member goes": (
        {E: ON_A, A: NEW},
        {
            E: has(ready(ON_A, 1, number=2), failures=failed(ON_A, 3, why="other shape")),
            A: has(ready(NEW, number=3)),
        },
        {E: Decision(reason="other shape"), A: Decision(3)},
    ),
    "and comes back with the next one": (
        {E: ON_A, A: OLD},
        {E: has(failures=failed(ON_A, 3)), A: has(ready(OLD, number=4))},
        {E: load(ON_A, 4), A: Decision(4)},
    ),
    "a change of it that failed leaves what serves": (
        {E: ON_BOTH, A: OLD, B: OLD},
        {
            E: has(ready(ON_A, 1, number=3), failures=failed(ON_BOTH, 1, 2)),
            A: has(ready(OLD)),
            B: has(ready(OLD, number=2)),
        },
        {E: Decision(3, reason="broken"), A: SERVE_1, B: Decision(2)},
    ),
    "which follows its members then": (
        {E: ON_BOTH, A: OLD, B: OLD},
        {
            E: has(ready(ON_A, 1, number=3), failures=failed(ON_BOTH, 4, 2)),
            A: has(ready(OLD, number=4)),
            B: has(ready(OLD, number=2)),
        },
        {
            E: Decision(3, Load(Attempt("on a", (4,)), again=3), reason="broken"),
            A: Decision(4),
            B: Decision(2),
        },
    ),
    "a change of it to a member that is not there leaves what serves": (
        {E: ON_B, A: OLD},
        {E: has(ready(ON_A, 1, number=3)), A: has(ready(OLD))},
        {E: Decision(3, reason="its model 'b' is not loaded"), A: SERVE_1},
    ),
    "a version that is kept follows its members too": (
        {Key("e", 2): ON_B, A: OLD},
        {E: has(ready(ON_A, 1, number=3)), Key("e", 2): LOADING, A: has(ready(OLD, number=4))},
        {
            E: load(ON_A, 4, serve=3, again=3),
            Key("e", 2): Decision(reason="its model 'b' is not loaded", waiting=True),
            A: Decision(4),
        },
    ),
    "ensembles of ensembles come in their order": (
        {OUTER: ON_E, E: ON_A, A: OLD},
        {OUTER: NOTHING, E: NOTHING, A: has(ready(OLD))},
        {OUTER: WAIT, E: load(ON_A, 1), A: SERVE_1},
    ),
    "those that wait for each other wait": (
        {E: ON_E, A: OLD},
        {E: NOTHING, A: has(ready(OLD))},
        {E: WAIT, A: SERVE_1},
    ),
}


@pytest.mark.parametrize("case", [*ONE_MODEL, *ENSEMBLES])
def test_decisions(case: str):
    wanted, statuses, decisions = {**ONE_MODEL, **ENSEMBLES}[case]
    assert decide(wanted, statuses, {}) == decisions


def test_an_ensemble_goes_with_a_member_that_is_unloaded_on_purpose_and_has_no_reason():
    statuses = {
        A: has(ready(OLD)),
        E: has(ready(ON_A, 1, number=2)),
        OUTER: has(ready(ON_E, 2, number=3)),
    }
    wanted = {E: ON_A, OUTER: ON_E}
    assert decide(wanted, statuses, {"a": ""}) == dict.fromkeys(statuses, DROP)


def test_a_member_that_cannot_be_read_is_the_reason():
    decisions = decide({E: ON_A}, {E: NOTHING}, {"a": "line 1"})
    assert decisions == {E: Decision(reason="its model 'a' is not available: line 1")}


def test_reasons_of_several_versions_are_told_once_each():
    wanted = {E: ON_A, A: OLD, A2: OLD, Key("a", 3): OLD}
    whys = {A: "no file", A2: "no file", Key("a", 3): "no memory"}
    statuses = {E: NOTHING} | {k: has(failures=failed(OLD, why=why)) for k, why in whys.items()}
    reason = decide(wanted, statuses, {})[E].reason
    assert reason == "its model 'a' is not available: no memory; no file"


def test_what_an_ensemble_uses_is_not_released():
    assert releasable({1: (), 2: (1,), 3: ()}, [1, 3]) == [3]
    assert releasable({1: ()}, [1]) == [1]


def test_moves_that_the_table_does_not_have_are_refused():
    check_move(Phase.LOADING, Phase.READY)
    with pytest.raises(AssertionError, match="no move from READY to LOADING"):
        check_move(Phase.READY, Phase.LOADING)


def test_the_table_has_every_phase():
    assert TABLE.keys() == set(Phase)


@pytest.mark.parametrize(
    ("phases", "waiting", "state"),
    [
        ([], False, State.UNAVAILABLE),
        ([], True, State.UNKNOWN),
        ([Phase.LOADING], True, State.LOADING),
        ([Phase.READY, Phase.LOADING], True, State.READY),
        ([Phase.UNLOADING, Phase.READY], False, State.READY),
        ([Phase.UNLOADING, Phase.LOADING], True, State.LOADING),
        ([Phase.RETIRED], False, State.UNLOADING),
        ([Phase.UNLOADING], True, State.UNLOADING),
    ],
)
def test_a_version_shows_the_best_of_its_generations(
    phases: list[Phase], waiting: bool, state: State
):
    assert shown(phases, waiting=waiting) is state


@pytest.mark.parametrize("length", [2, 400])
def test_a_chain_of_ensembles_is_loaded_from_its_end(length: int):
    keys = [Key(str(number), 1) for number in range(length)]
    wanted = {
        key: Wanted("", ((Member(keys[at - 1].model, -1),) if at else ()))
        for at, key in enumerate(keys)
    }
    statuses = {key: Status() for key in reversed(keys)}
    for number, key in enumerate(keys):
        decisions = decide(dict(reversed(wanted.items())), statuses, {})
        begun = {each: decision.load for each, decision in decisions.items() if decision.load}
        members = (number - 1,) if number else ()
        assert begun == {key: Load(Attempt("", members))}
        statuses[key] = has(ready(wanted[key], *members, number=number))
        if length > 2 and number > 2:
            return
