"""Counts what one request costs on its way through the engine and the C interface.

Runs the benchmark of `cpp/host/native_bench.cc` under callgrind, a short and a long time; the
difference of the two is the requests' own, without the start of the process. Counts of instructions
do not depend on what else the machine does. Needs valgrind, and `make bench` or

    cmake --build --preset release --target host_bench
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
BENCH = CHECKOUT / "build" / "release" / "cpp" / "host" / "host_bench"
# Seconds that Google Benchmark is asked for; about 15000 requests come in the longer one.
SHORT, LONG = "0.01", "1"
# Called once for each request.
REQUEST = "despina::Submitter::Submit"
CASES = {0: "one by one, without a batch axis", 8: "in batches of up to eight"}

NAME = re.compile(r"(c?fn)=\((\d+)\)(?: (.*))?")


class Profile:
    """Instructions within each function itself, and how often it was called."""

    def __init__(self, text: str = "") -> None:
        self.instructions: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        names: dict[str, str] = {}
        function = called = ""
        inclusive = False  # the line after `calls=` is the cost of what was called
        for line in text.splitlines():
            if match := NAME.match(line):
                kind, number, name = match.groups()
                if name:
                    names[number] = shortened(name)
                if kind == "fn":
                    function = names[number]
                else:
                    called = names[number]
            elif line.startswith("calls="):
                self.calls[called] += int(line[len("calls=") :].split()[0])
                inclusive = True
            elif line[:1] in "+-*0123456789" and line:
                if not inclusive:
                    self.instructions[function] += int(line.split()[1])
                inclusive = False

    def __sub__(self, other: Profile) -> Profile:
        rest = Profile()
        rest.instructions = self.instructions - other.instructions
        rest.calls = self.calls - other.calls
        return rest


def shortened(name: str) -> str:
    """A function without its arguments, and without those of templates."""
    name = name.replace("(anonymous namespace)::", "").partition("@@")[0].partition("'")[0]
    while (plain := re.sub(r"<[^<>]*>", "", name)) != name:
        name = plain
    name = name.partition("(")[0].removeprefix("void ").strip()
    return name.replace("std::__cxx11::basic_string", "std::string")


def measured(batch: int, seconds: str, summaries: bool) -> Profile:
    """One run of the benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "callgrind.out")
        command = [
            "valgrind",
            "--tool=callgrind",
            f"--callgrind-out-file={out}",
            str(BENCH),
            f"--benchmark_filter=SubmitExecuteComplete/batch:{batch}/threads:1/"
            f"summaries:{int(summaries)}/",
            f"--benchmark_min_time={seconds}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(done.stdout + done.stderr)
        return Profile(out.read_text())


def table(what: str, profile: Profile, requests: int, lines: int) -> str:
    """What the functions cost per request, those with the most instructions first."""
    total = profile.instructions.total()
    rows = [
        f"{what}: {total / requests:.0f} instructions a request, {requests} requests",
        "",
        "instructions  share  calls  of a request, within",
    ]
    for name, count in profile.instructions.most_common(lines):
        calls = profile.calls[name] / requests
        rows.append(f"{count / requests:12.1f} {count / total:6.1%} {calls:6.2f}  {name}")
    return "\n".join(rows)


def host_table(batch: int, lines: int, summaries: bool) -> str:
    """That of requests in batches of so many."""
    profile = measured(batch, LONG, summaries) - measured(batch, SHORT, summaries)
    return table(CASES[batch], profile, profile.calls[REQUEST], lines)


def git(*arguments: str) -> str:
    """What git prints."""
    done = subprocess.run(["git", *arguments], cwd=CHECKOUT, capture_output=True, text=True)
    return done.stdout.strip()


def write(tables: list[str], out: Path | None) -> None:
    """Prints the tables with their commit and command; also into a file, where one is given."""
    command = " ".join([f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    commit = git("rev-parse", "--short=12", "HEAD")
    changed = " and changes" if git("status", "--porcelain", "--", "cpp", "sdk") else ""
    text = "\n\n".join([f"commit {commit}{changed}\ncommand {command}", *tables]) + "\n"
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text)
    print(text, end="")


def main() -> None:
    """Prints the profile, or writes it to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="file to write to, e.g. in benchmarks/profiles")
    parser.add_argument("--lines", type=int, default=30, help="functions to show (%(default)s)")
    parser.add_argument("--summaries", action="store_true", help="with summary_latencies=true")
    options = parser.parse_args()
    if not BENCH.exists() or shutil.which("valgrind") is None:
        sys.exit(f"{Path(__file__).name}: needs valgrind and the target host_bench in the build")
    write([host_table(batch, options.lines, options.summaries) for batch in CASES], options.out)


if __name__ == "__main__":
    main()
