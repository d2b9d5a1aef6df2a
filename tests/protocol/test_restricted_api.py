"""``--http-restricted-api``: parts of the API for those who know a secret."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as triton
from harness.raw_http import FLOATS, Answer, Connection, good, is_good, request
from harness.serve import READY, Serve
from tritonclient.utils import InferenceServerException

HEADER, SECRET = "admin-key", "a secret=of=mine"
FLAGS = (
    f"--http-restricted-api=metadata,model-config,statistics:{HEADER}={SECRET}",
    "--http-restricted-api=inference:infer-key=other",
)


@pytest.fixture(scope="module")
def restricted(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    with Serve(zoo, tmp_path_factory.mktemp("restricted"), *FLAGS) as running:
        yield running
        assert running.stop() == 0, running.stderr


def get(server: Serve, path: str, **headers: str) -> Answer:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    with Connection(server.port) as connection:
        return connection.exchange(request(path, headers=fields, method="GET"))


@pytest.mark.parametrize(
    "path",
    [
        "/v2",
        "/v2/models/fixed",
        "/v2/models/fixed/versions/1",
        "/v2/models/fixed/config",
        "/v2/models/fixed/versions/1/config",
        "/v2/models/fixed/stats",
        "/v2/models/stats",
        "/v2/models/nobody",
    ],
)
def test_without_the_header_it_is_forbidden(restricted: Serve, path: str) -> None:
    for headers in ({}, {"admin_key": "wrong"}, {"admin_key": ""}, {"infer_key": "other"}):
        answer = get(restricted, path, **headers)
        assert answer.status == 403
        assert answer.error == f"This API is restricted, expecting header '{HEADER}'"
    assert get(restricted, path, Admin_Key=SECRET).status in (200, 400, 404)


def test_what_is_not_named_is_free(restricted: Serve) -> None:
    assert get(restricted, "/v2/health/ready").status == 200
    assert get(restricted, "/v2/models/fixed/ready").status == 200
    assert get(restricted, "/v2/nothing").status == 404


def test_tritonclient_gives_the_header(restricted: Serve) -> None:
    sent = triton.InferInput("INPUT0", [1, 3], "FP32").set_data_from_numpy(FLOATS)
    with triton.InferenceServerClient(restricted.address) as client:
        answer = client.infer("identity_fp32", [sent], headers={"infer-key": "other"})
        assert np.array_equal(answer.as_numpy("OUTPUT0"), FLOATS)
        with pytest.raises(InferenceServerException, match="expecting header 'infer-key'"):
            client.infer("identity_fp32", [sent])


def test_a_connection_serves_both(restricted: Serve) -> None:
    with Connection(restricted.port) as connection:
        assert connection.exchange(good()).status == 403
        allowed = good().replace(b"\r\n", b"\r\nInfer-Key: other\r\n", 1)
        assert is_good(connection.exchange(allowed))
        assert connection.exchange(good()).status == 403


def test_the_secret_is_not_shown(restricted: Serve) -> None:
    restricted.wait_for(READY)
    assert f"metadata,model-config,statistics:{HEADER}=***, inference:infer-key=***" in (
        restricted.stdout
    )
    assert SECRET not in restricted.stdout + restricted.stderr


def test_the_environment_separates_groups_by_semicolons(zoo: Path, tmp_path: Path) -> None:
    value = f"metadata,statistics:{HEADER}={SECRET};health:b=c"
    with Serve(zoo, tmp_path, env={"DESPINA_HTTP_RESTRICTED_API": value}) as server:
        assert get(server, "/v2").status == 403
        assert get(server, "/v2", admin_key=SECRET).status == 200
        assert get(server, "/v2/health/live", b="c").status == 200
        assert get(server, "/v2/health/live").status == 403
        assert server.stop() == 0


@pytest.mark.parametrize(
    ("values", "error"),
    [
        (["health"], "=health: is not of the form API[,API...]:HEADER=VALUE"),
        (["health:key"], "=health:key: is not of the form API[,API...]:HEADER=VALUE"),
        ([":key=x"], "=:key=***: is not of the form API[,API...]:HEADER=VALUE"),
        (["health:=x"], "=health:=***: is not of the form API[,API...]:HEADER=VALUE"),
        (["health:key="], "=health:key=***: is not of the form API[,API...]:HEADER=VALUE"),
        (["health,infer:key=x"], "=health,infer:key=***: unknown restricted api 'infer'"),
        (["health, trace:key=x"], "=health, trace:key=***: unknown restricted api ' trace'"),
        (["health:a key=x"], "=health:a key=***: 'a key' is no name of a header"),
        (
            ["trace:key= x"],
            "=trace:key=***: no request can have this value of header 'key'",
        ),
        (
            ["health:a=b", "trace,health:c=d"],
            "=trace,health:c=***:"
            " restricted api 'health' can not be specified in multiple config groups",
        ),
    ],
)
def test_what_cannot_be_restricted_ends_the_start(
    zoo: Path, tmp_path: Path, values: list[str], error: str
) -> None:
    flags = [f"--http-restricted-api={value}" for value in values]
    with Serve(zoo, tmp_path, *flags, wait=False) as server:
        assert server.wait() == 1
        assert server.stderr.splitlines()[-1] == f"error: --http-restricted-api{error}"
