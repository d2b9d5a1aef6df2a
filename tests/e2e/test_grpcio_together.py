"""Python's grpcio and Despina in one process: each with its own HTTP/2, in both orders."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
from harness.repository import add_model, identity
from harness.serve import environment

IMPORTS = ("import grpc", "import tritonclient.grpc as triton", "import despina.runtime")
PROGRAM = """
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import grpc
import numpy
from despina.runtime import Runtime
from despina.settings import Settings

class Shout(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: request.upper())

theirs = grpc.server(ThreadPoolExecutor(2), handlers=(Shout(),))
port = theirs.add_insecure_port("127.0.0.1:0")
theirs.start()
settings = Settings(
    model_repository=(Path(MODELS),), grpc_port=0, allow_http=False, allow_metrics=False
)
runtime = Runtime(settings)
runtime.listen("0")
runtime.load_initial().result()
runtime.manager.open()
with triton.InferenceServerClient(f"127.0.0.1:{runtime.front_ends[0].port}") as client:
    for value in range(20):
        array = numpy.full((1, 3), value, numpy.float32)
        given = triton.InferInput("INPUT0", [1, 3], "FP32").set_data_from_numpy(array)
        assert (client.infer("identity", [given]).as_numpy("OUTPUT0") == array).all()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert channel.unary_unary("/any.Service/Shout")(b"abc", timeout=20) == b"ABC"
theirs.stop(None).wait()
assert runtime.finish(20)
print("done")
"""


@pytest.mark.parametrize("order", [IMPORTS, IMPORTS[::-1]], ids=["grpcio first", "despina first"])
def test_both_serve_and_call(tmp_path: Path, order: tuple[str, ...]) -> None:
    add_model(tmp_path / "models", "identity", identity())
    lines = itertools.chain(order, [f"MODELS = {str(tmp_path / 'models')!r}", PROGRAM])
    command = [sys.executable, "-X", "faulthandler", "-c", "\n".join(lines)]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
