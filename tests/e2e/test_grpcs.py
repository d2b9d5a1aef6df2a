"""gRPC over TLS, with and without certificates of clients."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from harness.certificates import Certificates
from harness.grpc_calls import UNLIMITED, floats, request, stub
from harness.serve import Serve

LARGE = np.arange(300_000, dtype=np.float32).reshape(1, -1)
TIMEOUT = 20


def flags(files: Certificates, use: str, *more: str) -> list[str]:
    certificate = f"--grpc-server-cert={files.file('server.pem')}"
    return [certificate, f"--grpc-server-key={files.file('server.key')}", use, *more]


@pytest.fixture(scope="module")
def server(
    files: Certificates, identities: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serve]:
    folder = tmp_path_factory.mktemp("server")
    with Serve(identities, folder, *flags(files, "--grpc-use-ssl")) as running:
        yield running
        assert running.stop() == 0, running.stderr


@pytest.fixture(scope="module")
def mutual(
    files: Certificates, identities: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serve]:
    """A server whose clients need a certificate."""
    folder = tmp_path_factory.mktemp("mutual")
    root = f"--grpc-root-cert={files.file('authority.pem')}"
    with Serve(identities, folder, *flags(files, "--grpc-use-ssl-mutual", root)) as running:
        yield running
        assert running.stop() == 0, running.stderr


def channel(
    server: Serve, files: Certificates, root: str, client: str | None = None
) -> grpc.Channel:
    """As a client that trusts ``root`` makes it, with the certificate of ``client``."""

    def read(name: str) -> bytes:
        return Path(files.file(name)).read_bytes()

    own = (read(f"{client}.key"), read(f"{client}.pem")) if client else (None, None)
    credentials = grpc.ssl_channel_credentials(read(f"{root}.pem"), *own)
    return grpc.secure_channel(f"localhost:{server.grpc_port}", credentials, UNLIMITED)


def test_tensors_of_any_size_go_both_ways(server: Serve, files: Certificates) -> None:
    with channel(server, files, "authority") as opened:
        for array in (np.ones((1, 4), np.float32), LARGE):
            answer = stub(opened).ModelInfer(request("identity_fp32", array), timeout=TIMEOUT)
            assert floats(answer) == array.ravel().tolist()


def test_a_stream_goes_over_tls(server: Serve, files: Certificates) -> None:
    requests = [request("identity_fp32", np.full((1, 1), i, np.float32)) for i in range(50)]
    with channel(server, files, "authority") as opened:
        answers = stub(opened).ModelStreamInfer(iter(requests), timeout=TIMEOUT)
        assert [floats(answer.infer_response) for answer in answers] == [[i] for i in range(50)]


def test_tritonclient_does(server: Serve, files: Certificates) -> None:
    address = f"localhost:{server.grpc_port}"
    root = files.file("authority.pem")
    with triton.InferenceServerClient(address, ssl=True, root_certificates=root) as client:
        assert client.is_server_ready()
        sent = triton.InferInput("INPUT0", list(LARGE.shape), "FP32").set_data_from_numpy(LARGE)
        answer = client.infer("identity_fp32", [sent])
        np.testing.assert_array_equal(answer.as_numpy("OUTPUT0"), LARGE)


def refused(opened: grpc.Channel) -> bool:
    with opened, pytest.raises(grpc.RpcError) as caught:
        stub(opened).ServerLive(request_of_nothing(), timeout=5)
    return bool(caught.value.code() == grpc.StatusCode.UNAVAILABLE)


def request_of_nothing() -> object:
    return triton.service_pb2.ServerLiveRequest()


def test_who_does_not_trust_the_server_does_not_talk_to_it(
    server: Serve, files: Certificates
) -> None:
    assert refused(channel(server, files, "stranger"))


def test_who_speaks_no_tls_is_not_served(server: Serve, files: Certificates) -> None:
    assert refused(grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}", UNLIMITED))
    with channel(server, files, "authority") as opened:
        assert stub(opened).ServerLive(request_of_nothing(), timeout=TIMEOUT).live


def test_who_does_not_speak_http2_is_told_so_in_the_handshake(
    server: Serve, files: Certificates
) -> None:
    context = ssl.create_default_context(cafile=files.file("authority.pem"))
    context.set_alpn_protocols(["http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", server.grpc_port), timeout=10) as plain,
        pytest.raises(ssl.SSLError, match="(?i)no application protocol"),
    ):
        context.wrap_socket(plain, server_hostname="localhost")
    context.set_alpn_protocols(["http/1.1", "h2"])
    with (
        socket.create_connection(("127.0.0.1", server.grpc_port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        assert secure.selected_alpn_protocol() == "h2"


def test_a_client_with_a_certificate_is_served(mutual: Serve, files: Certificates) -> None:
    with channel(mutual, files, "authority", "client") as opened:
        answer = stub(opened).ModelInfer(request("identity_fp32", LARGE), timeout=TIMEOUT)
        assert floats(answer) == LARGE.ravel().tolist()


@pytest.mark.parametrize("client", [None, "stranger"])
def test_a_client_without_one_or_with_anothers_is_not(
    mutual: Serve, files: Certificates, client: str | None
) -> None:
    assert refused(channel(mutual, files, "authority", client))
