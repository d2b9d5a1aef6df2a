"""Whose memory an array is, before, during and after a request."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import numpy as np
import pytest

import despina
from despina_sdk import (
    Array,
    Backend,
    BackendError,
    Batch,
    Instance,
    Model,
    ModelSpec,
    Placement,
    Signature,
)


class Mirror(Backend):
    """Gives back what it gets, as a list."""

    name = "mirror"

    def load(self, spec: ModelSpec) -> Model:
        return MirrorModel(spec)


class MirrorModel(Model):
    def __init__(self, spec: ModelSpec) -> None:
        self.signature = Signature(spec.inputs, spec.outputs)

    def instance(self, placement: Placement) -> Instance:
        return MirrorInstance()


class MirrorInstance(Instance):
    def execute(self, batch: Batch) -> None:
        array = batch.gather("INPUT")
        assert array is not None
        batch.scatter({"OUTPUT": list(array) if array.dtype == object else array})  # type: ignore[dict-item]


def config(datatype: str) -> dict[str, object]:
    def tensor(name: str) -> list[dict[str, object]]:
        return [{"name": name, "data_type": datatype, "dims": [-1]}]

    return {"input": tensor("INPUT"), "output": tensor("OUTPUT")}


@pytest.fixture(scope="module")
def server() -> Iterator[despina.Server]:
    models = {
        "texts": (Mirror, config("TYPE_STRING")),
        "floats": (Mirror, config("TYPE_FP32")),
    }
    with despina.Server(models=models) as running:
        yield running


def test_zeros_at_the_end_of_bytes_in_lists_are_kept(server: despina.Server) -> None:
    elements = [b"a\0", b"", b"\0\0", "ä\0".encode()]
    answer = server.infer("texts", {"INPUT": elements})  # type: ignore[dict-item]
    assert list(answer["OUTPUT"]) == elements


def aligned(elements: int) -> Array:
    """An array on a 64-byte boundary, which the engine could take without a copy."""
    memory = np.zeros(elements * 4 + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + elements * 4].view(np.float32)


def test_an_answer_does_not_change_with_the_array_that_was_sent(server: despina.Server) -> None:
    sent = aligned(4096)
    answer = server.infer("floats", {"INPUT": sent})["OUTPUT"]
    sent[:] = 7
    assert not answer.any()


@pytest.mark.parametrize("elements", [4, 4096])
def test_an_answer_outlives_the_server_object(elements: int) -> None:
    program = textwrap.dedent(f"""
        import gc, sys
        import numpy as np
        import despina
        sys.path.insert(0, {str(__file__).rsplit("/", 1)[0]!r})
        from test_memory_ownership import Mirror, config
        server = despina.Server(models={{"floats": (Mirror, config("TYPE_FP32"))}})
        answer = server.infer("floats", {{"INPUT": np.ones({elements}, np.float32)}})
        server.close()
        del server
        gc.collect()
        assert answer["OUTPUT"].all()
        del answer
        gc.collect()
        print("fine")
    """)
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "fine\n"), ran.stderr


def test_a_request_that_is_answered_while_it_is_being_answered_says_so() -> None:
    class Sly:
        """Answers the request of its batch when it is looked at."""

        def __init__(self, request: object, array: Array) -> None:
            self.request, self.array = request, array

        def __array__(self, *_: object, **__: object) -> Array:
            self.request.complete({"OUTPUT": self.array})  # type: ignore[attr-defined]
            return self.array

    class SlyInstance(Instance):
        def execute(self, batch: Batch) -> None:
            (request,) = batch.requests
            with pytest.raises(BackendError, match="answered before"):
                request.complete({"OUTPUT": Sly(request, request.inputs["INPUT"])})  # type: ignore[dict-item]

    class SlyModel(MirrorModel):
        def instance(self, placement: Placement) -> Instance:
            return SlyInstance()

    class SlyBackend(Mirror):
        def load(self, spec: ModelSpec) -> Model:
            return SlyModel(spec)

    with despina.Server(models={"sly": (SlyBackend, config("TYPE_FP32"))}) as running:
        ones = np.ones(3, np.float32)
        assert running.infer("sly", {"INPUT": ones})["OUTPUT"].tolist() == [1, 1, 1]
    gc.collect()
