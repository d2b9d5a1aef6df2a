"""What has to be read for some models to be served: they, and the members of ensembles."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from despina.config.ensemble import check_connections, check_flow, cycle, missing_members
from despina.config.problem import Problem, refuse
from despina.errors import DespinaError, reason
from despina.lifecycle.models import Model
from despina.lifecycle.policy import Member
from despina.repository.catalog import Catalog, Source
from despina.repository.layout import Place, model_id
from despina.repository.override import Override
from despina.text import quoted

logger = logging.getLogger(__name__)


@dataclass
class Plan:
    """By id: models that can be loaded, with the members of ensembles, and why others cannot.

    ``places`` has those that are in a repository.
    """

    places: dict[str, Place] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    members: dict[str, tuple[Member, ...]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def leave_out(self, model: str) -> None:
        """As if nobody had asked for it."""
        self.sources.pop(model, None)
        self.failures.pop(model, None)


def make_plan(
    ids: Iterable[str],
    catalog: Catalog,
    places: Iterable[Place],
    served: Mapping[str, Model],
    override: Override | None = None,
) -> Plan:
    """Reads models and, for ensembles, what they consist of, and checks how they hang together.

    Args:
        ids: of the models.
        catalog: reads them.
        places: the models that ensembles may consist of.
        served: models that are not read again only because an ensemble consists of them.
        override: what the models are read from instead.
    """
    ids = tuple(dict.fromkeys(ids))
    plan = Plan({place.id: place for place in places})
    names = _Names(plan.places.values(), served)
    pending = list(ids)
    while pending:
        model = pending.pop()
        if model in plan.sources or model in plan.failures:
            continue
        try:
            replaced = override if model in ids else None
            source = catalog.read_override(model, replaced) if replaced else catalog.read(model)
            plan.sources[model] = source
            plan.members[model] = members = names.resolve(source)
        except Exception as error:  # one model's folder must not keep the others from loading
            if not isinstance(error, DespinaError):
                logger.exception("reading model '%s' failed", model)
            plan.sources.pop(model, None)
            plan.failures[model] = reason(error)
            continue
        pending += [each.model for each in members if each.model not in served]
    _refuse(plan, _cycles(plan, served))
    _refuse(plan, _connections(plan, served, completing=catalog.auto_complete))
    return plan


def _refuse(plan: Plan, problems: Mapping[str, list[Problem]]) -> None:
    for model, found in problems.items():
        try:
            refuse(plan.sources[model].origin, found)
        except DespinaError as error:
            del plan.sources[model]
            plan.failures[model] = reason(error)


def _cycles(plan: Plan, served: Mapping[str, Model]) -> dict[str, list[Problem]]:
    """Ensembles that contain themselves."""
    wants = {model.id: model.want.members for model in served.values() if model.want}
    members_of = {
        model: [member.model for member in members]
        for model, members in {**wants, **plan.members}.items()
    }
    found = {}
    for model in plan.sources:
        if path := cycle(model, members_of):
            text = f"the ensemble contains itself: {' -> '.join(path)}"
            found[model] = [Problem("ensemble_scheduling", text)]
    return found


def _connections(
    plan: Plan, served: Mapping[str, Model], *, completing: bool
) -> dict[str, list[Problem]]:
    """What the configurations of ensembles and their members tell of the tensors between them."""
    wanted = {model.id: model.want.source for model in served.values() if model.want}
    sources = {**wanted, **plan.sources}
    found = {}
    for model, source in plan.sources.items():
        members = (sources.get(member.model) for member in plan.members[model])
        configs = {member.name: member.config for member in members if member}
        if source.is_ensemble:
            found[model] = check_connections(source.config, configs, completing=completing)
    return found


class _Names:
    """Finds the models that ensembles name."""

    def __init__(self, places: Iterable[Place], served: Mapping[str, Model]) -> None:
        known = {place.id: (place.name, place.namespace) for place in places}
        known |= {model.id: (model.name, model.namespace) for model in served.values()}
        self._namespaces = {model: namespace for model, (_, namespace) in known.items()}
        self._ids: dict[str, list[str]] = defaultdict(list)
        for model, (name, _) in known.items():
            self._ids[name].append(model)

    def resolve(self, source: Source) -> tuple[Member, ...]:
        """The members of an ensemble, one for each step; their own repository comes first.

        Raises:
            ConfigError: a step names no model, or several; or the ensemble does not hang together.
        """
        if not source.is_ensemble:
            return ()
        problems = missing_members(source.config, self._ids) + check_flow(source.config)
        found = []
        for index, step in enumerate(source.config.ensemble_scheduling.step):
            ids = self._ids.get(step.model_name, [])
            own = model_id(step.model_name, source.namespace)
            ids = [own] if own in ids else ids
            if len(ids) > 1:
                where = quoted(self._namespaces[each] for each in ids)
                text = f"several repositories have a model '{step.model_name}': {where}"
                problems.append(Problem(f"ensemble_scheduling.step[{index}].model_name", text))
            for each in ids[:1]:
                step.model_namespace = self._namespaces[each]
                found.append(Member(each, step.model_version))
        refuse(source.origin, problems)
        return tuple(found)
