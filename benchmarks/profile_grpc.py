"""Counts what one request over gRPC costs the server.

Serves the identity in C++ under callgrind, and counts while h2load sends requests on 64 streams of
one connection. Counts of instructions hardly depend on what else the machine does. Needs valgrind
with callgrind_control, h2load, and a checkout that was built (`make build`).
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from payloads import PAYLOADS
from profile_host import Profile, table, write
from servers import Running, despina

PORT = 18900
STREAMS = 64
WARM_UP = 2000
ROW = "grpc/16"


def send(server: Running, body: Path, requests: int) -> None:
    """So many requests; none may fail. h2load does not see a failure, which is in the trailers."""
    before, _ = server.counted()
    command = ["h2load", "-t1", "-c1", f"-m{STREAMS}", f"-n{requests}", f"--data={body}"]
    command += ["-H", "content-type: application/grpc", "-H", "te: trailers"]
    command += [server.grpc_url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    succeeded = server.counted()[0] - before
    if succeeded != requests:
        sys.exit(f"{succeeded} of {requests} requests succeeded\n{done.stdout}{done.stderr}")


def count(pid: int, on: bool) -> None:
    """Switches counting on or off."""
    command = ["callgrind_control", "-i", "on" if on else "off", str(pid)]
    subprocess.run(command, capture_output=True, check=True)


def measured(requests: int) -> Profile:
    """The server's work for so many requests."""
    with tempfile.TemporaryDirectory() as folder:
        body, out = Path(folder, "body"), Path(folder, "callgrind.out")
        body.write_bytes(PAYLOADS[ROW].body)
        callgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no"]
        callgrind += [f"--callgrind-out-file={out}"]
        with despina(PORT, "identity", within=callgrind) as server:
            send(server, body, WARM_UP)
            count(server.pid, on=True)
            send(server, body, requests)
            count(server.pid, on=False)
        return Profile(out.read_text())


def main() -> None:
    """Prints the profile, or writes it to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="file to write to, e.g. in benchmarks/profiles")
    parser.add_argument("--lines", type=int, default=60, help="functions to show (%(default)s)")
    parser.add_argument("--requests", type=int, default=6400, help="to count (%(default)s)")
    options = parser.parse_args()
    for program in ("valgrind", "callgrind_control", "h2load"):
        if shutil.which(program) is None:
            sys.exit(f"{Path(__file__).name}: needs {program}")
    profile = measured(options.requests)
    what = f"{ROW}, {STREAMS} streams on one connection"
    write([table(what, profile, options.requests, options.lines)], options.out)


if __name__ == "__main__":
    main()
