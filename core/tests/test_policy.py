"""What is to be done next, as a table of what is wanted and what is."""

import pytest

from despina.lifecycle.policy import Action, Fail, Key, Load, Unload, Wanted, next_actions
from despina.lifecycle.state import TRANSITIONS, State, Status, check_transition

A, B, E = Key("a", 1), Key("b", 1), Key("e", 1)
A2, UNREADABLE = Key("a", 2), Key("a", 0)
ON_A = (("a", -1),)
ON_BOTH = (("a", -1), ("b", -1))
UNKNOWN = Status()


def ready(revision: str = "", members: tuple[tuple[str, int], ...] = ()) -> Status:
    return Status(State.READY, "", revision, members)


def failed(reason: str = "broken", revision: str = "") -> Status:
    return Status(State.UNAVAILABLE, reason, revision)


LOADING, UNLOADING = Status(State.LOADING, "", ""), Status(State.UNLOADING, "", "")
UNLOADED = Status(State.UNAVAILABLE, "unloaded")
WANTED, ENSEMBLE = Wanted(), Wanted("", ON_A)

CASES: dict[str, tuple[dict[Key, Wanted], dict[Key, Status], list[Action]]] = {
    "nothing wanted, nothing there": ({}, {}, []),
    "a new model is loaded": ({A: WANTED}, {A: UNKNOWN}, [Load(A)]),
    "a model that is loading is left alone": ({A: WANTED}, {A: LOADING}, []),
    "a model that is ready is left alone": ({A: WANTED}, {A: ready()}, []),
    "a model that failed is not tried again": ({A: WANTED}, {A: failed()}, []),
    "a model that failed and changed is": ({A: Wanted("2")}, {A: failed()}, [Load(A)]),
    "a model that was unloaded is loaded again": ({A: WANTED}, {A: UNLOADED}, [Load(A)]),
    "all new models are loaded at once": (
        {A: WANTED, B: WANTED},
        {A: UNKNOWN, B: UNKNOWN},
        [Load(A), Load(B)],
    ),
    "what is not wanted is unloaded": ({}, {A: ready()}, [Unload(A)]),
    "what is not wanted is unloaded once": ({}, {A: UNLOADING, B: UNLOADED}, []),
    "a load that is not wanted any more ends first": ({}, {A: LOADING}, []),
    "what changed is unloaded first": ({A: Wanted("2")}, {A: ready("1")}, [Unload(A)]),
    "an ensemble waits for its member": (
        {E: ENSEMBLE, A: WANTED},
        {E: UNKNOWN, A: UNKNOWN},
        [Load(A)],
    ),
    "an ensemble waits for a member that loads": (
        {E: ENSEMBLE, A: WANTED},
        {E: UNKNOWN, A: LOADING},
        [],
    ),
    "an ensemble waits for a member that is unloaded": (
        {E: ENSEMBLE, A: WANTED},
        {E: UNKNOWN, A: UNLOADING},
        [],
    ),
    "an ensemble waits for all of its members": (
        {E: Wanted("", ON_BOTH), A: WANTED, B: WANTED},
        {E: UNKNOWN, A: ready(), B: LOADING},
        [],
    ),
    "an ensemble is loaded when its members are ready": (
        {E: Wanted("", ON_BOTH), A: WANTED, B: WANTED},
        {E: UNKNOWN, A: ready(), B: ready()},
        [Load(E)],
    ),
    "an ensemble fails with its member": (
        {E: ENSEMBLE, A: WANTED},
        {E: UNKNOWN, A: failed("no file")},
        [Fail(E, "its model 'a' is not available: no file")],
    ),
    "an ensemble fails with a member that cannot be read": (
        {E: Wanted("", (("a", 1),)), UNREADABLE: WANTED},
        {E: UNKNOWN, UNREADABLE: failed("line 1")},
        [Fail(E, "its model 'a' version 1 is not available: line 1")],
    ),
    "an ensemble fails without its member": (
        {E: ENSEMBLE},
        {E: UNKNOWN, A: UNLOADED},
        [Fail(E, "its model 'a' is not loaded")],
    ),
    "any version of a member will do": (
        {E: ENSEMBLE, A: WANTED, A2: WANTED},
        {E: UNKNOWN, A: failed(), A2: ready()},
        [Load(E)],
    ),
    "unless the ensemble names one": (
        {E: Wanted("", (("a", 1),)), A: WANTED, A2: WANTED},
        {E: UNKNOWN, A: failed(), A2: ready()},
        [Fail(E, "its model 'a' version 1 is not available: broken")],
    ),
    "an ensemble is unloaded before its member": (
        {},
        {E: ready("", ON_A), A: ready()},
        [Unload(E)],
    ),
    "a member goes after its ensemble": (
        {},
        {E: Status(State.UNLOADING, "", "", ON_A), A: ready()},
        [],
    ),
    "an old version stays until the new one is ready": (
        {A2: WANTED},
        {A: ready(), A2: LOADING},
        [],
    ),
    "and goes then, also from an ensemble that takes any": (
        {A2: WANTED, E: ENSEMBLE},
        {A: ready(), A2: ready(), E: ready("", ON_A)},
        [Unload(A)],
    ),
    "unless an ensemble names it": (
        {A2: WANTED, E: Wanted("", (("a", 1),))},
        {A: ready(), A2: ready(), E: ready("", (("a", 1),))},
        [Unload(E)],
    ),
    "an old version stays when the new one fails": (
        {A2: WANTED},
        {A: ready(), A2: failed()},
        [],
    ),
    "a member that no ensemble uses any more goes": (
        {},
        {E: UNLOADED, A: ready()},
        [Unload(A)],
    ),
    "a member does not go while an ensemble loads": (
        {E: ENSEMBLE},
        {E: Status(State.LOADING, "", "", ON_A), A: ready()},
        [],
    ),
    "an ensemble goes when its member is to go": (
        {E: ENSEMBLE},
        {E: ready("", ON_A), A: ready()},
        [Unload(E)],
    ),
    "an ensemble goes before its member is loaded again": (
        {E: ENSEMBLE, A: Wanted("2")},
        {E: ready("", ON_A), A: ready("1")},
        [Unload(E)],
    ),
    "and comes back afterwards": (
        {E: ENSEMBLE, A: Wanted("2")},
        {E: UNLOADED, A: ready("2")},
        [Load(E)],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_next(case: str):
    wanted, statuses, actions = CASES[case]
    assert next_actions(wanted, statuses) == actions


def test_moves_that_the_table_does_not_have_are_refused():
    check_transition(State.UNKNOWN, State.LOADING)
    with pytest.raises(AssertionError, match="no move from READY to LOADING"):
        check_transition(State.READY, State.LOADING)


def test_the_table_has_every_state():
    assert TRANSITIONS.keys() == set(State)


@pytest.mark.parametrize("members", [2, 7])
def test_any_order_of_outcomes_ends_with_everything_ready_and_then_unloaded(members: int):
    """Drives the policy as the manager does: a chain of ensembles, each on the one before."""
    keys = [Key(str(number), 1) for number in range(members)]
    chain = {
        key: Wanted("", ((keys[at - 1].name, -1),) if at else ()) for at, key in enumerate(keys)
    }
    statuses: dict[Key, Status] = {key: Status() for key in reversed(keys)}
    order = []
    for wanted in (chain, {}):
        while actions := next_actions(wanted, statuses):
            assert len(actions) == 1
            (action,) = actions
            order.append(action)
            loads = isinstance(action, Load)
            statuses[action.key] = ready("", chain[action.key].members) if loads else UNLOADED
    assert order == [*map(Load, keys), *map(Unload, reversed(keys))]
