"""What metrics cost the server: CPU time per request with all of them, and with the defaults.

Two servers of this checkout with a native identity are measured in alternation (A B B A ...), as in
`compare.py`. Needs wrk.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from pathlib import Path

from compare import measure
from payloads import PAYLOADS
from servers import despina

ALL = [
    f"--metrics-config={key}=true"
    for key in ("counter_latencies", "histogram_latencies", "summary_latencies")
]


def main() -> None:
    """Prints one line of JSON for each number of connections."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="pairs of runs (%(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each run (%(default)s)")
    parser.add_argument("--connections", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--flags", nargs="*", default=ALL, help="of the server with metrics")
    parser.add_argument(
        "--pinned",
        action="store_true",
        help="servers on core 1, load on core 0: otherwise where the system puts the threads"
        " decides more than the metrics",
    )
    options = parser.parse_args()
    with despina(18100, "identity") as off, despina(18110, "identity", *options.flags) as on:
        if options.pinned:
            for server in (off, on):
                for thread in Path(f"/proc/{server.pid}/task").iterdir():
                    os.sched_setaffinity(int(thread.name), {1})
            os.sched_setaffinity(0, {0})  # wrk inherits it
        for connections in options.connections:
            pairs = []
            for round_number in range(options.rounds + 1):
                order = (off, on) if round_number % 2 else (on, off)
                by_server = {
                    server.port: measure(
                        server, PAYLOADS["binary/16"], connections, options.seconds
                    )["cpu_us"]
                    for server in order
                }
                # The first round warms up.
                if round_number:
                    pairs.append((by_server[off.port], by_server[on.port]))
            ratios = [on_us / off_us for off_us, on_us in pairs]
            quarter = len(pairs) // 4
            row = {
                "connections": connections,
                "off_cpu_us": round(statistics.median(pair[0] for pair in pairs), 3),
                "on_cpu_us": round(statistics.median(pair[1] for pair in pairs), 3),
                "first_quartiles": [
                    round(sorted(pair[side] for pair in pairs)[quarter], 3) for side in (0, 1)
                ],
                "ratio_median": round(statistics.median(ratios), 4),
                "ratio_quartiles": [round(each, 4) for each in statistics.quantiles(ratios, n=4)],
                "rounds": len(pairs),
            }
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
