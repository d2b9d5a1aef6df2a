"""Makes what there is into what is wanted: carries out what the policy decides.

Everything here runs on the manager's thread, but for the loads and unloads themselves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from itertools import count

from despina.errors import DespinaError, reason
from despina.lifecycle.loader import Loaded, Loader
from despina.lifecycle.models import Generation, Models, Version
from despina.lifecycle.policy import Decision, Key, Load, decide, releasable
from despina.lifecycle.state import UNLOADED, Phase
from despina.repository.catalog import Source
from despina_sdk import Code

logger = logging.getLogger(__name__)

Job = Callable[[], None]
Submit = Callable[[Job], None]


class Reconciler:
    """Begins loads and unloads until there is nothing to do; goes on when one of them has ended."""

    def __init__(
        self,
        models: Models,
        loader: Loader,
        *,
        submit_load: Submit,
        submit_unload: Submit,
        post: Submit,
        publish: Callable[[Collection[str]], None],
        load_retries: int = 0,
    ) -> None:
        """Takes the models and what changes them.

        Args:
            models: of the server.
            loader: loads and unloads.
            submit_load, submit_unload: run a job elsewhere.
            post: brings a job back to this thread.
            publish: shows how models, by their ids, are now; what serves no more is unloaded only
                after it.
            load_retries: how often a load that fails is tried again.
        """
        self._models, self._loader = models, loader
        self._submit_load, self._submit_unload, self._post = submit_load, submit_unload, post
        self._publish, self._retries = publish, load_retries
        self._numbers = count(1)
        self._retired: list[Generation] = []
        # What was loaded since ``_advance_now`` was posted; None: it was not.
        self._loaded_since: list[Generation] | None = None
        self._stopping = False

    @property
    def ended(self) -> bool:
        """Whether nothing is left, after ``stop``."""
        return self._stopping and not any(True for _ in self._models.generations())

    def stop(self) -> None:
        """Wants nothing any more."""
        self._stopping = True
        for model in self._models.values():
            model.want = None
        self._models.touched.update(self._models)
        self.advance()

    def advance(self) -> None:
        """Does all that can be done now for what was touched, and publishes the outcome."""
        affected = self._models.affected()
        while self._carry_out(affected):
            pass
        for model in [self._models[each] for each in affected]:
            if model.gone and model.want is None and model.ended:
                self._models.forget(model)
        self._publish(affected)
        self._release()

    def _carry_out(self, affected: Collection[str]) -> bool:
        """One round of decisions; whether it changed something that they depend on."""
        changed = False
        for key, decision in self._decide(affected).items():
            version = self._models[key.model].versions[key.version]
            _log_reason(key, version.decision, decision)
            version.decision = decision
            for generation in version.generations:
                if generation.phase is Phase.READY and generation.number != decision.serve:
                    generation.move(Phase.RETIRED)
                    self._retired.append(generation)
                    changed = True
            if decision.load is not None:
                self._begin_load(key, version, decision.load)
                changed = True
        return changed

    def _decide(self, affected: Collection[str]) -> dict[Key, Decision]:
        models = [self._models[each] for each in affected]
        asked_for = {member for model in models for member in model.members}
        members = [self._models[each] for each in asked_for if each in self._models]
        return decide(
            {
                Key(model.id, number): model.want.of(number)
                for model in models
                if model.want
                for number in model.want.source.versions
            },
            {
                Key(model.id, number): version.status
                for model in models
                for number, version in model.versions.items()
            },
            {m.id: m.problem for m in members if m.want is None and not m.gone},
            {
                Key(member.id, number): version.decision
                for member in members
                if member.id not in affected
                for number, version in member.versions.items()
                if version.decision.serve is not None or member.wants(number)
            },
        )

    def _begin_load(self, key: Key, version: Version, load: Load) -> None:
        model = self._models[key.model]
        want, beside = model.want, model.serves
        if load.again is None:
            assert want
            wanted, source = want.of(key.version), want.source
        else:
            before = next(each for each in version.generations if each.number == load.again)
            wanted, source = before.wanted, before.source
        number = next(self._numbers)
        generation = Generation(number, key, wanted, load.attempt, source, beside)
        version.generations.append(generation)
        members = [self._loaded(number) for number in load.attempt.members]

        def job() -> None:
            try:
                loaded = self._load(generation, members)
            except BaseException as error:  # SystemExit too: a model cannot end the server so
                why = _without_private_folder(reason(error), source)
                if not isinstance(error, DespinaError):
                    logger.exception("loading model '%s' version %d failed", *generation.key)
                self._post(lambda: self._load_failed(generation, why))
            else:
                self._post(lambda: self._load_done(generation, loaded))

        self._submit_load(job)

    def _load(self, generation: Generation, members: list[Loaded]) -> Loaded:
        """Runs on a worker."""
        source, version = generation.source, generation.key.version
        retries = 0 if source.is_ensemble else self._retries
        for attempt in range(retries + 1):
            if self._stopping:
                break
            try:
                return self._loader.load(source, version, members)
            except Exception as error:
                if attempt == retries:
                    raise
                text = "model '%s' version %d is tried again (%d of %d): %s"
                logger.warning(text, *generation.key, attempt + 1, retries, reason(error))
        raise DespinaError(Code.UNAVAILABLE, "the server is shutting down")

    def _load_done(self, generation: Generation, loaded: Loaded) -> None:
        generation.loaded = loaded
        generation.move(Phase.READY)
        self._models.touched.add(generation.key.model)
        self._advance_soon(generation)

    def _load_failed(self, generation: Generation, why: str) -> None:
        self._end(generation)
        if generation.beside:
            self._models[generation.key.model].reload_failures += 1
        self._version(generation).fail(generation.attempt, why)
        self._advance_soon()

    def _begin_unload(self, generation: Generation) -> None:
        generation.move(Phase.UNLOADING)
        loaded, generation.loaded = generation.loaded, None
        assert loaded

        def job() -> None:
            how = UNLOADED
            try:
                self._loader.unload(loaded)
            except BaseException as error:  # as for a load
                how = f"failed to unload: {reason(error)}"
                logger.exception("model '%s' version %d failed to unload", *generation.key)
            self._post(lambda: self._unload_done(generation, how))

        self._submit_unload(job)

    def _unload_done(self, generation: Generation, how: str) -> None:
        self._end(generation)
        self._version(generation).ended = how
        logger.info("model '%s' version %d: %s", *generation.key, how)
        self._advance_soon()

    def _advance_soon(self, *loaded: Generation) -> None:
        """Once for all that has ended by then: each time looks at all versions of its models."""
        if self._loaded_since is None:
            self._loaded_since = []
            self._post(self._advance_now)
        self._loaded_since.extend(loaded)

    def _advance_now(self) -> None:
        loaded, self._loaded_since = self._loaded_since, None
        if self._models.touched:
            self.advance()
        for generation in loaded or ():
            if self._version(generation).decision.serve == generation.number:
                logger.info("model '%s' version %d is ready", *generation.key)

    def _end(self, generation: Generation) -> None:
        generation.move(Phase.ENDED)
        self._version(generation).generations.remove(generation)
        self._models.touched.add(generation.key.model)

    def _release(self) -> None:
        """Begins to unload what serves no more, and is not used by ensembles either."""
        if not self._retired:
            return
        members = {each.number: each.attempt.members for each in self._models.generations()}
        free = set(releasable(members, [each.number for each in self._retired]))
        retired, self._retired = self._retired, []
        for generation in retired:
            if generation.number in free:
                self._begin_unload(generation)
            else:
                self._retired.append(generation)

    def _version(self, generation: Generation) -> Version:
        return self._models[generation.key.model].versions[generation.key.version]

    def _loaded(self, number: int) -> Loaded:
        found = next(each for each in self._models.generations() if each.number == number)
        assert found.loaded
        return found.loaded


def _without_private_folder(text: str, source: Source) -> str:
    """What is said of files that a client has brought, with their names as the client gave them."""
    return text.replace(f"{source.folder}/", "") if source.private else text


def _log_reason(key: Key, old: Decision, new: Decision) -> None:
    """Says once why what is wanted does not serve."""
    if new.reason in ("", old.reason):
        return
    if new.serve is None:
        logger.error("model '%s' version %d is not served: %s", *key, new.reason)
    else:
        text = "model '%s' version %d: what served before goes on, the change failed: %s"
        logger.error(text, *key, new.reason)
