"""Programs with a server inside end cleanly, whatever way they take and whatever the models do."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness.serve import environment

PROGRAM = Path(__file__).resolve().parents[1] / "fixtures" / "ending.py"
TIMES, SIDE_BY_SIDE = 50, 2
SECONDS = 30
"""For one program on a busy machine; one that hangs takes for ever."""

WAYS = {
    "normal": (0, ""),
    "native": (0, ""),
    "native closed": (0, ""),
    "exception": (1, "RuntimeError: the program failed"),
    "signal": (3, ""),
    "exit in execute": (0, "SystemExit: 7"),
    "exit in load": (5, "SystemExit: 7"),
}

CRASHES = (
    "Fatal Python error",
    "terminate called",
    "Segmentation fault",
    "Exception ignored",
    "AddressSanitizer",
    "pure virtual",
    "double free",
    "corrupted",
    "still running",
)


def end(way: str) -> tuple[int, str, float]:
    """Exit status, what was written, and how long it took."""
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, PROGRAM, way],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECONDS,
        check=False,
    )
    return done.returncode, done.stdout.decode(), time.monotonic() - begun


@pytest.mark.timeout(280)
@pytest.mark.parametrize("way", WAYS)
def test_fifty_programs_with_busy_instances_end_cleanly(way: str) -> None:
    status, text = WAYS[way]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for returned, output, seconds in pool.map(end, [way] * TIMES):
            assert returned == status, output
            assert text in output
            assert not [crash for crash in CRASHES if crash in output], output
            assert text or not output, "nothing is said where nothing went wrong"
            assert seconds < SECONDS / 2


def test_a_program_whose_model_hangs_ends_with_status_1_after_the_exit_timeout() -> None:
    """Not with an abort: the model's thread must not meet an interpreter that has ended."""
    program = textwrap.dedent("""
        import threading, time
        import numpy as np
        import despina
        from despina_sdk import TensorSpec, batch_function

        begun = threading.Event()

        x, y = TensorSpec("x", "FP32", (1,)), TensorSpec("y", "FP32", (1,))

        @batch_function(inputs=[x], outputs=[y])
        def hang(x):
            begun.set()
            time.sleep(60)
            return {"y": x}

        server = despina.Server(models={"hang": hang}, exit_timeout_secs=0.5)
        ask = lambda: server.infer("hang", {"x": np.ones((1, 1), np.float32)})
        threading.Thread(target=ask, daemon=True).start()
        assert begun.wait(10)
        print("over", flush=True)
    """)
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout) == (1, "over\n"), ran.stderr
