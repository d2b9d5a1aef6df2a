"""Classes 7, 8 and 19: memory that clients lend, and take away again."""

from __future__ import annotations

import json
import mmap
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness.raw_http import Answer, Connection, bytes_tensor, request
from harness.serve import Serve

FLAGS = ("--model-control-mode=explicit", "--load-model=*", "--allow-client-shm=true")
SIZE, NAME = 4096, f"despina_attack_{os.getpid()}"
LIMIT = 4096
"""Of regions."""
REGION = "/v2/systemsharedmemory/region/"


@pytest.fixture
def memory() -> Iterator[Path]:
    """An object of shared memory that the client owns."""
    path = Path("/dev/shm") / NAME
    path.write_bytes(bytes(SIZE))
    yield path
    path.unlink()


@pytest.fixture(autouse=True)
def _nothing_is_registered(server: Serve) -> Iterator[None]:
    yield
    assert server.post("/v2/systemsharedmemory/unregister")[0] == 200
    assert server.json("/v2/systemsharedmemory/status") == []


def ask(server: Serve, path: str, document: object = None) -> Answer:
    with Connection(server.port) as connection:
        return connection.exchange(request(path, json.dumps(document).encode()))


def register(server: Serve, name: str = "r", **place: Any) -> Answer:
    given = {"key": f"/{NAME}", "byte_size": SIZE} | place
    return ask(server, f"{REGION}{name}/register", given)


KEYS: dict[str, Any] = {
    "nothing": "",
    "a slash": "/",
    "slashes": "//",
    "the folder": "/.",
    "the folder above": "/..",
    "out of the folder": "/../../etc/passwd",
    "a path": "/dev/shm/" + NAME,
    "a folder within": f"/{NAME}/x",
    "the server's own memory": "/proc/self/mem",
    "NUL": f"/{NAME}\0",
    "a name without end": "/" + "x" * 100_000,
    "not there": "/not_there",
    "a number": 7,
    "null": None,
    "an array": [NAME],
}


@pytest.mark.parametrize("what", KEYS)
def test_a_key_that_is_no_object(server: Serve, memory: Path, what: str) -> None:
    """The real Triton takes ``/`` for the folder of all shared memory."""
    answer = register(server, key=KEYS[what])
    assert answer.status == 400
    assert answer.error


@pytest.mark.parametrize("kind", ["pipe", "link", "link to memory", "folder"])
def test_something_else_in_the_place_of_an_object(server: Serve, memory: Path, kind: str) -> None:
    path = memory.with_name(f"{NAME}_other")
    try:
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to(memory if kind == "link to memory" else "/etc/passwd")
        assert register(server, key=f"/{path.name}", byte_size=1).status == 400
    finally:
        path.rmdir() if kind == "folder" else path.unlink()


PLACES: dict[str, dict[str, Any]] = {
    "negative size": {"byte_size": -1},
    "size 2^64-1": {"byte_size": 2**64 - 1},
    "size 2^64": {"byte_size": 2**64},
    "size with a fraction": {"byte_size": 8.5},
    "size as text": {"byte_size": "8"},
    "size beyond the object": {"byte_size": SIZE + 1},
    "no size": {"byte_size": None},
    "negative offset": {"offset": -1},
    "offset beyond the object": {"offset": SIZE + 1, "byte_size": 0},
    "offset and size beyond the object": {"offset": 1},
    "offset and size that overflow": {"offset": 2**64 - 1, "byte_size": 2},
    "offset 2^63": {"offset": 2**63, "byte_size": 1},
}


@pytest.mark.parametrize("what", PLACES)
def test_a_place_that_is_not_in_the_object(server: Serve, memory: Path, what: str) -> None:
    answer = register(server, **PLACES[what])
    assert answer.status == 400
    assert answer.error


@pytest.mark.parametrize("name", ["%00", "%0a", "%2e%2e", "a%2fb", "x" * 10_000, "%ff"])
def test_a_name_of_a_region_is_only_a_name(server: Serve, memory: Path, name: str) -> None:
    assert register(server, name).status in (200, 400)
    assert server.get("/v2/systemsharedmemory/status")[0] == 200


def test_refusals_leave_no_descriptors_and_regions_are_few(server: Serve, memory: Path) -> None:
    """Each region costs the server a descriptor."""
    before = server.open_files()
    for _ in range(200):
        assert register(server, byte_size=SIZE + 1).status == 400
    assert server.open_files() < before + 100
    assert register(server).status == 200
    assert register(server).status == 400, "a name is taken once"
    with Connection(server.port) as connection:
        body = json.dumps({"key": f"/{NAME}", "byte_size": SIZE}).encode()
        for number in range(LIMIT):
            status = connection.exchange(request(f"{REGION}r{number}/register", body)).status
    assert status == 503, "one region more than the limit"
    assert server.open_files() < before + LIMIT + 100


def tensor(name: str, region: str, *, offset: Any = 0, size: Any = 8) -> dict[str, Any]:
    given = {"shared_memory_region": region, "shared_memory_byte_size": size}
    return {"name": name, "parameters": given | {"shared_memory_offset": offset}}


def infer(server: Serve, given: dict[str, Any], wanted: dict[str, Any] | None = None) -> Answer:
    document = {"inputs": [given | {"datatype": "FP32", "shape": [1, 2]}]}
    if wanted:
        document["outputs"] = [wanted]
    return ask(server, "/v2/models/identity_fp32/infer", document)


USES: dict[str, dict[str, Any]] = {
    "beyond the region": {"offset": SIZE - 4},
    "an offset beyond the region": {"offset": SIZE + 1},
    "an overflow": {"offset": 2**64 - 8, "size": 16},
    "a size of 2^64-1": {"size": 2**64 - 1},
    "a negative size": {"size": -8},
    "a negative offset": {"offset": -8},
    "more than the tensor": {"size": 12},
    "less than the tensor": {"size": 4},
    "nothing": {"size": 0},
}


@pytest.mark.parametrize("what", USES)
def test_a_tensor_reaches_no_further_than_its_region(
    server: Serve, memory: Path, what: str
) -> None:
    """Of two regions of one object, either is the end of what its tensors may touch."""
    assert register(server, "r", byte_size=SIZE // 2).status == 200
    assert register(server, "next", offset=SIZE // 2, byte_size=SIZE // 2).status == 200
    use = {
        key: value // 2 if value in (SIZE - 4, SIZE + 1) else value
        for key, value in USES[what].items()
    }
    assert infer(server, tensor("INPUT0", "r", **use)).status == 400
    if what != "more than the tensor":
        given = {"name": "INPUT0", "data": [1.0, 2.0]}
        assert infer(server, given, tensor("OUTPUT0", "r", **use)).status == 400
    assert memory.read_bytes() == bytes(SIZE)


def test_an_output_over_its_input(server: Serve, memory: Path) -> None:
    """What is read is a copy: the answer is that to what was there."""
    memory.write_bytes(np.arange(SIZE // 4, dtype=np.float32).tobytes())
    assert register(server).status == 200
    answer = infer(server, tensor("INPUT0", "r", offset=4), tensor("OUTPUT0", "r"))
    assert answer.status == 200
    assert np.frombuffer(memory.read_bytes(), np.float32)[:3].tolist() == [1, 2, 2]


@pytest.mark.parametrize("size", [0, 4])
def test_an_object_that_shrinks_is_an_error_and_no_signal(
    server: Serve, memory: Path, size: int
) -> None:
    """A mapping would end the process with SIGBUS."""
    assert register(server).status == 200
    os.truncate(memory, size)
    assert infer(server, tensor("INPUT0", "r")).status == 400
    given = {"name": "INPUT0", "data": [1.0, 2.0]}
    assert infer(server, given, tensor("OUTPUT0", "r")).status == 400
    assert memory.stat().st_size == size


def test_lengths_that_change_while_they_are_read(server: Serve, memory: Path) -> None:
    """They are checked in the copy that the model gets: either they are right there, or refused."""
    right = bytes_tensor(b"abcd", b"efgh")
    memory.write_bytes(right.ljust(SIZE, b"\0"))
    assert register(server).status == 200
    document = {"inputs": [tensor("INPUT0", "r", size=len(right))]}
    document["inputs"][0] |= {"datatype": "BYTES", "shape": [1, 2]}
    data = request("/v2/models/identity_bytes/infer", json.dumps(document).encode())
    done = threading.Event()

    def meddle() -> None:
        with memory.open("r+b") as file, mmap.mmap(file.fileno(), SIZE) as view:
            while not done.is_set():
                for length in (0xFFFFFFFF, 3, 4):
                    view[:4] = length.to_bytes(4, "little")

    with ThreadPoolExecutor() as pool, Connection(server.port) as connection:
        meddling = pool.submit(meddle)
        try:
            answers = [connection.exchange(data) for _ in range(200)]
        finally:
            done.set()
        meddling.result()
    assert {answer.status for answer in answers} <= {200, 400}
    for answer in answers:
        if answer.status == 200:
            assert answer.json["outputs"][0]["data"] == ["abcd", "efgh"]


def test_regions_come_and_go_while_they_are_used(server: Serve, memory: Path) -> None:
    def one(number: int) -> int:
        if number % 4 == 0:
            return register(server).status
        if number % 4 == 1:
            return ask(server, f"{REGION}r/unregister").status
        return infer(server, tensor("INPUT0", "r"), tensor("OUTPUT0", "r", offset=8)).status

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(400))) <= {200, 400, 404}


HANDLES: dict[str, dict[str, Any]] = {
    "short": {"raw_handle": {"b64": "AA=="}, "device_id": 0, "byte_size": 64},
    "long": {"raw_handle": {"b64": "A" * 1_000_000}, "device_id": 0, "byte_size": 64},
    "no base64": {"raw_handle": {"b64": "!"}, "device_id": 0, "byte_size": 64},
    "a device that is not there": {"raw_handle": {}, "device_id": -1, "byte_size": 2**64 - 1},
}


@pytest.mark.parametrize("what", HANDLES)
def test_memory_of_a_gpu_is_not_taken(server: Serve, what: str) -> None:
    answer = ask(server, "/v2/cudasharedmemory/region/r/register", HANDLES[what])
    assert answer.status == 501
    assert server.json("/v2/cudasharedmemory/status") == []
