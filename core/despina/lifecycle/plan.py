"""What has to be read for some models to be served: they, and the members of ensembles."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from despina.config.ensemble import check_ensemble, members
from despina.config.problem import refuse
from despina.errors import DespinaError, reason
from despina.repository.catalog import Catalog, Source

logger = logging.getLogger(__name__)


@dataclass
class Plan:
    """By name: models that can be loaded, and why others cannot."""

    sources: dict[str, Source] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


def make_plan(names: Iterable[str], catalog: Catalog) -> Plan:
    """Reads models and, for ensembles, what they consist of, and checks how they hang together."""
    plan = Plan()
    known = catalog.names()
    pending = list(dict.fromkeys(names))
    while pending:
        name = pending.pop()
        if name in plan.sources or name in plan.failures:
            continue
        try:
            source = plan.sources[name] = catalog.read(name)
        except Exception as error:  # one model's folder must not keep the others from loading
            if not isinstance(error, DespinaError):
                logger.exception("reading model '%s' failed", name)
            plan.failures[name] = reason(error)
            continue
        if source.is_ensemble:
            pending += [member for member in members(source.config) if member in known]
    configs = {name: source.config for name, source in plan.sources.items()}
    for source in [each for each in plan.sources.values() if each.is_ensemble]:
        completing = catalog.auto_complete
        problems = check_ensemble(source.name, configs, known, completing=completing)
        try:
            refuse(source.origin, problems)
        except DespinaError as error:
            del plan.sources[source.name]
            plan.failures[source.name] = reason(error)
    return plan
