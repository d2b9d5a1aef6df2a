"""HTTPS: ``despina serve`` with certificates, as clients and operators meet it."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from harness.certificates import Certificates
from harness.raw_http import FLOATS, Connection, good
from harness.repository import add_model, identity
from harness.serve import Serve

LARGE = np.arange(300_000, dtype=np.float32).reshape(1, -1)


def flags(files: Certificates, *, mutual: bool = False) -> list[str]:
    """Those of a server with TLS."""
    given = [f"--https-server-cert={files.file('server.pem')}"]
    given += [f"--https-server-key={files.file('server.key')}"]
    if mutual:
        return [
            *given,
            "--https-use-ssl-mutual",
            f"--https-root-cert={files.file('authority.pem')}",
        ]
    return [*given, "--https-use-ssl"]


@pytest.fixture(scope="module")
def server(
    files: Certificates, identities: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serve]:
    folder = tmp_path_factory.mktemp("server")
    with Serve(identities, folder, *flags(files), "--log-verbose=1") as running:
        yield running
        assert running.stop() == 0, running.stderr


@pytest.fixture(scope="module")
def mutual(
    files: Certificates, identities: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serve]:
    """A server whose clients need a certificate."""
    folder = tmp_path_factory.mktemp("mutual")
    with Serve(identities, folder, *flags(files, mutual=True)) as running:
        yield running
        assert running.stop() == 0, running.stderr


def trusting(files: Certificates, client: str | None = None) -> ssl.SSLContext:
    """What a client that knows the authority checks the server with."""
    context = ssl.create_default_context(cafile=files.file("authority.pem"))
    if client:
        context.load_cert_chain(files.file(f"{client}.pem"), files.file(f"{client}.key"))
    return context


def live(server: Serve, context: ssl.SSLContext) -> int:
    url = f"https://localhost:{server.port}/v2/health/live"
    with urllib.request.urlopen(url, timeout=10, context=context) as answer:
        return int(answer.status)


def check_infer(client: triton.InferenceServerClient, array: np.ndarray) -> None:
    sent = triton.InferInput("INPUT0", list(array.shape), "FP32").set_data_from_numpy(array)
    answer = client.infer("identity_fp32", [sent])
    np.testing.assert_array_equal(answer.as_numpy("OUTPUT0"), array)


def test_it_says_where_it_listens(server: Serve) -> None:
    assert f"Started HTTPService at https://127.0.0.1:{server.port}\n" in server.stdout


def test_urllib_reaches_it(server: Serve, files: Certificates) -> None:
    assert live(server, trusting(files)) == 200


def test_a_client_that_does_not_know_the_authority_refuses_it(server: Serve) -> None:
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        live(server, ssl.create_default_context())
    # The client has gone by then: the line may come a little later.
    server.wait_for_log(re.compile(r"TLS handshake with 127\.0\.0\.1:\d+ failed: "))


@pytest.mark.parametrize("array", [FLOATS, LARGE], ids=["small", "large"])
def test_tritonclient_infers(server: Serve, files: Certificates, array: np.ndarray) -> None:
    with triton.InferenceServerClient(
        f"localhost:{server.port}", ssl=True, ssl_options={"ca_certs": files.file("authority.pem")}
    ) as client:
        assert client.is_server_ready()
        for _ in range(3):
            check_infer(client, array)


def test_tritonclients_asyncio_module_infers(server: Serve, files: Certificates) -> None:
    async def infer() -> np.ndarray:
        async with triton_aio.InferenceServerClient(
            f"localhost:{server.port}", ssl=True, ssl_context=trusting(files)
        ) as client:
            sent = triton_aio.InferInput("INPUT0", list(LARGE.shape), "FP32")
            sent.set_data_from_numpy(LARGE)
            answer = await client.infer("identity_fp32", [sent])
            array = answer.as_numpy("OUTPUT0")
            assert array is not None
            return array

    np.testing.assert_array_equal(asyncio.run(infer()), LARGE)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_it_speaks_the_versions_that_are_safe(
    server: Serve, files: Certificates, version: ssl.TLSVersion
) -> None:
    context = trusting(files)
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        assert wrapped.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]
        assert wrapped.selected_alpn_protocol() == "http/1.1"
        wrapped.sendall(good())
        assert wrapped.recv(1 << 16).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_client_without_tls_is_told(server: Serve) -> None:
    with Connection(server.port) as connection:
        answer = connection.exchange(good())
        assert (answer.status, answer.error) == (
            400,
            "this port speaks HTTPS: HTTP needs TLS here",
        )
        assert connection.closed()


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02", b"nonsense", bytes(100_000)])
def test_others_are_served_beside_garbage(server: Serve, files: Certificates, sent: bytes) -> None:
    before = server.open_files()
    with Connection(server.port) as connection:
        connection.send(sent)
        assert live(server, trusting(files)) == 200
        # The beginning of a handshake is waited for, for some time.
        if len(sent) >= len(b"nonsense"):
            assert connection.closed()
    while server.open_files() > before:
        time.sleep(0.01)


def test_the_metrics_port_has_no_tls(server: Serve) -> None:
    status, body = server.get("/metrics", metrics=True)
    assert status == 200
    assert b"nv_inference_request_success" in body


def test_clients_need_a_certificate_where_it_says_so(mutual: Serve, files: Certificates) -> None:
    assert live(mutual, trusting(files, "client")) == 200
    for stranger in (None, "stranger"):
        with pytest.raises((urllib.error.URLError, ssl.SSLError, ConnectionError)):
            live(mutual, trusting(files, stranger))
    assert live(mutual, trusting(files, "client")) == 200


def test_tritonclient_shows_its_certificate(mutual: Serve, files: Certificates) -> None:
    options = {
        "ca_certs": files.file("authority.pem"),
        "certfile": files.file("client.pem"),
        "keyfile": files.file("client.key"),
    }
    address = f"localhost:{mutual.port}"
    with triton.InferenceServerClient(address, ssl=True, ssl_options=options) as client:
        check_infer(client, FLOATS)


def test_it_answers_what_it_has_accepted_before_it_ends(
    files: Certificates, tmp_path: Path
) -> None:
    add_model(tmp_path / "models", "slow", identity(max_batch_size=1, execute_delay_ms=3000))
    context = trusting(files)
    with Serve(tmp_path / "models", tmp_path, *flags(files)) as server, ExitStack() as stack:
        clients = []
        for _ in range(2):
            plain = socket.create_connection(("127.0.0.1", server.port), timeout=20)
            stack.enter_context(plain)
            client = context.wrap_socket(plain, server_hostname="localhost")
            clients.append(stack.enter_context(client))
            client.sendall(good("slow"))
        # Then the first one runs.
        server.wait_pending("slow", 1)
        assert server.stop() == 0, server.stderr
        for client in clients:
            assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 OK\r\n")
            # It has said that nothing more comes: less would raise.
            assert client.recv(1) == b""


@pytest.mark.parametrize(
    ("setting", "name", "what"),
    [
        ("server-cert", "missing.pem", "No such file or directory"),
        ("server-cert", ".", "Is a directory"),
        ("server-cert", "server.key", "holds no certificate in PEM form"),
        ("server-key", "missing.key", "No such file or directory"),
        ("server-key", "server.pem", "holds no private key in PEM form"),
        ("server-key", "client.key", "does not fit the certificate"),
        ("root-cert", "missing.pem", "No such file or directory"),
        ("root-cert", "server.key", "holds no certificate in PEM form"),
    ],
)
def test_a_file_that_it_cannot_use_is_named(
    files: Certificates, identities: Path, tmp_path: Path, setting: str, name: str, what: str
) -> None:
    given = [each for each in flags(files, mutual=True) if f"-{setting}=" not in each]
    bad = f"--https-{setting}={files.file(name)}"
    with Serve(identities, tmp_path, *given, bad, wait=False) as server:
        assert server.wait() == 1
        assert server.stderr.splitlines()[-1] == f"error: {bad}: {what}"
