"""Shows how the models are: to the engine, to plugins, and to whoever asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from itertools import chain

from despina.config.observe import model_labels
from despina.lifecycle.loader import ModelEngine
from despina.lifecycle.models import Model, Models, Version
from despina.lifecycle.state import ModelStatus, State, shown
from despina.plugins.hooks import Hooks
from despina.repository.catalog import Catalog

Rows = tuple[ModelStatus, ...]


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
        # By the id of the model; sorted by name.
        self._rows: dict[str, Rows] = {}
        self.open = self.exiting = False
        """Whether the server may be ready, and whether it never will be again."""
        self.ready = False
        """What was published last."""
        self.rows: Rows = ()
        """Those that were published last, by name and version."""

    def publish(self, changed: Collection[str] = ()) -> None:
        """Tells the engine first: a model that is READY to others can be used.

        Args:
            changed: ids of models that may not be as they were.
        """
        before = {each: self._rows.get(each, ()) for each in changed}
        self._look_at(changed)
        rows = tuple(chain.from_iterable(self._rows.values()))
        ready, ambiguous = self._is_ready(), self._ambiguous()
        self._engine.publish(
            index=self._index(rows),
            serving=[
                generation.loaded.running
                for model in self._in_order()
                for generation in model.serving
                if generation.loaded
            ],
            reload_failures=[
                (model_labels(model.name, model.namespace), model.reload_failures)
                for model in self._in_order()
                if model.want
            ],
            ambiguous=ambiguous,
            namespaces=self._namespaces,
            ready=ready,
            exiting=self.exiting,
        )
        self.ready, self.rows = ready, rows
        for each, old in before.items():
            self._tell(old, self._rows.get(each, ()))

    def _look_at(self, changed: Collection[str]) -> None:
        new = False
        for each in changed:
            if each not in self._models:
                self._rows.pop(each, None)
                continue
            new = new or each not in self._rows
            self._rows[each] = tuple(_rows(self._models[each]))
        if new:
            order = sorted(self._rows, key=lambda each: _order(self._models[each]))
            self._rows = {each: self._rows[each] for each in order}

    def _in_order(self) -> Iterator[Model]:
        """All models, by name."""
        return (self._models[each] for each in self._rows)

    def _index(self, rows: Rows) -> list[tuple[str, int | None, str, str]]:
        index = [(row.name, row.version or None, row.state, row.reason) for row in rows]
        known = {row.name for row in rows}
        others = [place.name for place in self._catalog.places() if place.name not in known]
        if others:
            index += [(name, None, "", "") for name in others]
            index.sort(key=lambda row: row[0])
        return index

    def _ambiguous(self) -> dict[str, int]:
        """Names that several models have."""
        if not self._namespaces:
            return {}
        names = Counter(model.name for model in self._models.values() if model.want)
        return {name: count for name, count in names.items() if count > 1}

    def _is_ready(self) -> bool:
        if not self.open or self.exiting:
            return False
        return not self._strict or all(
            _counts_as_ready(self._models[each], row)
            for each, rows in self._rows.items()
            for row in rows
        )

    def _tell(self, old: Rows, new: Rows) -> None:
        """Tells plugins what has changed."""
        before = {row.version: row for row in old}
        for row in new:
            was = before.get(row.version)
            state = was.state if was else State.UNKNOWN.value
            if row != was and (row.state != state or row.reason):
                self._hooks.model_state(row.name, row.version, state, row.state, row.reason)


def _order(model: Model) -> tuple[str, str]:
    return model.name, model.namespace


def _rows(model: Model) -> Iterator[ModelStatus]:
    if model.problem and not model.versions:
        state = State.UNAVAILABLE.value
        yield ModelStatus(model.name, 0, state, model.problem, model.namespace)
    for number, version in sorted(model.versions.items()):
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
