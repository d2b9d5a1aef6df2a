"""What the reconciler does when loads and unloads end, which happen here when a test says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from despina.config.model_config_pb2 import ModelConfig
from despina.config.problem import Origin
from despina.lifecycle.models import Model, Models, Version, Want
from despina.lifecycle.reconciler import Reconciler
from despina.repository.catalog import Source

VERSIONS = range(1, 101)
FOLDER = Path("/private/folder")


class Loader:
    """Loads everything, or says what is given."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def load(self, source: Source, version: int, members: Sequence[Any]) -> object:
        if self.error:
            raise self.error
        return object()

    def unload(self, loaded: object) -> None:
        """Nothing to unload."""


class Hands:
    """A reconciler of one model, and what it has asked for."""

    def __init__(self, *, private: bool = False) -> None:
        self.jobs: list[Callable[[], None]] = []
        self.events: list[Callable[[], None]] = []
        self.published = 0
        self.loader = Loader()
        source = Source(
            ModelConfig(name="m"),
            FOLDER,
            Origin("m"),
            dict.fromkeys(VERSIONS, "revision"),
            private=private,
        )
        self.model = Model("m", "m", want=Want(source))
        self.model.versions = {version: Version() for version in VERSIONS}
        self.models = Models()
        self.models["m"] = self.model
        self.reconciler = Reconciler(
            self.models,
            self.loader,  # type: ignore[arg-type]
            submit_load=self.jobs.append,
            submit_unload=self.jobs.append,
            post=self.events.append,
            publish=self.publish,
        )

    def publish(self, changed: Any) -> None:
        self.published += 1

    def advance(self) -> None:
        self.models.touched.add("m")
        self.reconciler.advance()

    def run(self) -> int:
        """Runs all jobs, then all events; how often something was published."""
        before = self.published
        while self.jobs:
            self.jobs.pop(0)()
        while self.events:
            self.events.pop(0)()
        return self.published - before


def test_versions_that_end_at_a_time_are_looked_at_once(caplog: pytest.LogCaptureFixture):
    """Each was looked at again for each that ended: a thousand of them took a minute."""
    caplog.set_level("INFO")
    hands = Hands()
    hands.advance()
    assert len(hands.jobs) == len(VERSIONS)
    assert hands.run() == 1
    assert len(hands.model.serving) == len(VERSIONS)
    assert caplog.text.count("is ready") == len(VERSIONS)
    hands.model.want = None
    hands.advance()
    assert hands.run() == 1
    assert hands.model.ended
    assert caplog.text.count(": unloaded") == len(VERSIONS)


@pytest.mark.parametrize(("private", "named"), [(True, "'1/w'"), (False, f"'{FOLDER}/1/w'")])
def test_a_failed_load_does_not_tell_of_the_private_folder(private: bool, named: str):
    hands = Hands(private=private)
    hands.loader.error = FileNotFoundError(2, "No such file or directory", f"{FOLDER}/1/w")
    hands.advance()
    hands.run()
    reason = hands.model.versions[1].decision.reason
    assert reason == f"FileNotFoundError: [Errno 2] No such file or directory: {named}"
