"""Shows how the models are: to the engine, to plugins, and to whoever asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from despina.lifecycle.loader import ModelEngine
from despina.lifecycle.models import Model, Models, Version
from despina.lifecycle.state import ModelStatus, State, shown
from despina.plugins.hooks import Hooks
from despina.repository.catalog import Catalog

Rows = dict[tuple[str, int], ModelStatus]
"""By the id of the model and the version."""


class Publication:
    """Called on the manager's thread; what it keeps may be read on any."""

    def __init__(
        self,
        models: Models,
        engine: ModelEngine,
        catalog: Catalog,
        hooks: Hooks,
        *,
        strict_readiness: bool,
        namespaces: bool,
    ) -> None:
        """Shows nothing yet.

        Args:
            models: of the server.
            engine: gives requests to what serves, and answers questions.
            catalog: knows which models there are besides.
            hooks: are told of changes.
            strict_readiness: whether a model that failed makes the server not ready.
            namespaces: whether models of several repositories may have one name.
        """
        self._models, self._engine, self._catalog, self._hooks = models, engine, catalog, hooks
        self._strict, self._namespaces = strict_readiness, namespaces
        self._rows: Rows = {}
        self.open = self.exiting = False
        """Whether the server may be ready, and whether it never will be again."""
        self.ready = False
        """What was published last."""
        self.rows: tuple[ModelStatus, ...] = ()
        """Those that were published last, by name and version."""

    def publish(self) -> None:
        """Tells the engine first: a model that is READY to others can be used."""
        rows = {
            (model.id, row.version): row for model in self._models.values() for row in _rows(model)
        }
        shown_rows = tuple(sorted(rows.values(), key=_order))
        ready = self._is_ready(rows)
        index = [(row.name, row.version or None, row.state, row.reason) for row in shown_rows]
        known = {row.name for row in shown_rows}
        names = (place.name for place in self._catalog.places())
        index += [(name, None, "", "") for name in names if name not in known]
        names_wanted = Counter(model.name for model in self._models.values() if model.want)
        self._engine.publish(
            index=sorted(index, key=lambda row: row[0]),
            serving=[
                version.serving.loaded.running
                for key, version in self._models.versions()
                if version.serving and version.serving.loaded
                if names_wanted[self._models[key.model].name] < 2
            ],
            ambiguous={name: count for name, count in names_wanted.items() if count > 1},
            namespaces=self._namespaces,
            ready=ready,
            exiting=self.exiting,
        )
        self.ready, self.rows = ready, shown_rows
        old, self._rows = self._rows, rows
        self._tell(old, rows)

    def _is_ready(self, rows: Rows) -> bool:
        if not self.open or self.exiting:
            return False
        return not self._strict or all(
            _counts_as_ready(self._models[model], row) for (model, _), row in rows.items()
        )

    def _tell(self, old: Rows, new: Rows) -> None:
        """Tells plugins what has changed."""
        for key, row in new.items():
            before = old[key].state if key in old else State.UNKNOWN.value
            if key in old and old[key] == row:
                continue
            if before != row.state or row.reason:
                self._hooks.model_state(row.name, row.version, before, row.state, row.reason)


def _order(row: ModelStatus) -> tuple[str, str, int]:
    return row.name, row.namespace, row.version


def _rows(model: Model) -> Iterator[ModelStatus]:
    if model.problem and not model.versions:
        state = State.UNAVAILABLE.value
        yield ModelStatus(model.name, 0, state, model.problem, model.namespace)
    for number, version in model.versions.items():
        state = shown(version.phases, waiting=not version.decision.settled)
        why = _reason(model, number, version, state)
        yield ModelStatus(model.name, number, state.value, why, model.namespace)


def _reason(model: Model, number: int, version: Version, state: State) -> str:
    if state not in (State.READY, State.UNAVAILABLE):
        return ""
    why = model.problem or version.decision.reason
    return why if why or state is State.READY else version.ended


def _counts_as_ready(model: Model, row: ModelStatus) -> bool:
    """Whether a row leaves the server ready: the version serves, or is not to.

    While another version of a model serves, one that is on its way leaves it so as well.
    """
    match row.state:
        case State.READY | State.UNLOADING:
            return True
        case State.UNAVAILABLE:
            return not row.failed
        case _:
            return model.serves
