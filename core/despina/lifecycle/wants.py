"""Changes what is wanted: when somebody asks for models, or does not want them any more."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable

from despina.lifecycle.models import Model, Models, Version, Want
from despina.lifecycle.plan import Plan
from despina.lifecycle.policy import Member
from despina.repository.catalog import Source
from despina.repository.layout import Place

logger = logging.getLogger(__name__)

PAST_VERSIONS = 16
"""Of one model, that are not wanted any more and still have a row in the index."""


def served(models: Models) -> dict[str, Model]:
    """Models that need not be read again only because an ensemble consists of them."""
    return {
        model.id: model
        for model in models.values()
        if model.want and not model.problem and (model.serves or not model.settled)
    }


def want(models: Models, plan: Plan, asked: Collection[str]) -> None:
    """Wants what a plan found out.

    Args:
        models: changed in place; what the plan could not read stays as it was, and says why.
        plan: of the models.
        asked: ids of those that somebody asked for; the others are members of them.
    """
    for model_id, source in plan.sources.items():
        model = models.setdefault(model_id, Model(model_id, source.name, source.namespace))
        explicit = model_id in asked or (model.want is not None and model.want.explicit)
        _want(model, source, plan.members[model_id], explicit)
        if plan.members[model_id]:
            models.ensembles.add(model_id)
    for model_id, why in plan.failures.items():
        place = plan.places.get(model_id, Place(model_id, model_id, "", ()))
        model = models.setdefault(model_id, Model(model_id, place.name, place.namespace))
        logger.error("model '%s' cannot be read: %s", model_id, why)
        model.problem = why
        model.reload_failures += model.serves
    models.touched.update(plan.sources, plan.failures)


def unwant(models: Models, ids: Iterable[str], *, dependents: bool = False) -> set[str]:
    """Does not want models any more. Ensembles that are made of them go and come back with them.

    Args:
        models: changed in place.
        ids: of the models.
        dependents: whether members go too that nobody asked for and no other ensemble needs.

    Returns:
        The ids of all that are not wanted any more.
    """
    pending, going = list(ids), set[str]()
    while pending:
        model = models[pending.pop()]
        going.add(model.id)
        members = model.want.members if model.want and dependents else ()
        model.want, model.problem = None, ""
        model.gone = not model.versions  # it could never be read
        for member in dict.fromkeys(each.model for each in members if each.model in models):
            wanted = models[member].want
            if wanted and not wanted.explicit and models.users([member]) == {member}:
                pending.append(member)
    models.touched |= going
    return going


def _want(model: Model, source: Source, members: tuple[Member, ...], explicit: bool) -> None:
    model.want = Want(source, members, explicit)
    model.problem, model.gone = "", False
    for number in source.versions:
        model.versions.setdefault(number, Version())
    for version in model.versions.values():
        version.failures = {}  # somebody asks: what failed is tried again
    past = [n for n, v in model.versions.items() if n not in source.versions and not v.generations]
    for number in sorted(past)[:-PAST_VERSIONS]:
        del model.versions[number]
