"""Runs clang-tidy on the files of the engine that changed, or on all of them.

Changed means: against the merge base with origin/main, or against the previous commit on main
itself. A changed header counts as a change of every file that includes it directly.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CLANG_TIDY = "clang-tidy-16"
INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)


def git(*arguments: str) -> str | None:
    """What git prints, or ``None`` when it fails (no repository, no such commit)."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def changed_files() -> set[str] | None:
    """Paths under cpp/ that differ from the base commit; ``None``: there is no base."""
    base = git("merge-base", "HEAD", "origin/main")
    if base is None or base == git("rev-parse", "HEAD"):
        base = git("rev-parse", "--verify", "HEAD~1")
    if base is None:
        return None
    tracked = git("diff", "--name-only", "--diff-filter=d", base, "--", "cpp") or ""
    untracked = git("ls-files", "--others", "--exclude-standard", "--", "cpp") or ""
    return {*tracked.split(), *untracked.split()}


def affected_units(units: list[str], changed: set[str]) -> list[str]:
    """Those of the units that changed or include a header that did."""
    headers = {path.removeprefix("cpp/") for path in changed if path.endswith(".h")}

    def affected(unit: str) -> bool:
        return unit in changed or not headers.isdisjoint(INCLUDE.findall(Path(unit).read_text()))

    return [unit for unit in units if affected(unit)]


def compiled_units(tree: Path) -> list[str]:
    """Our translation units, as paths from the root, in a stable order."""
    commands = json.loads((tree / "compile_commands.json").read_text())
    root = Path.cwd()
    files = (Path(command["file"]) for command in commands)
    return sorted(
        {
            file.relative_to(root).as_posix()
            for file in files
            if file.is_relative_to(root / "cpp") and file.is_file()
        }
    )


def main() -> int:
    """Exit status: 0 when nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tree", type=Path, help="build tree with compile_commands.json")
    parser.add_argument("--all", action="store_true", help="every file, changed or not")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--budget", type=float, default=60, help="seconds; the rest is left out")
    options = parser.parse_args()

    units = compiled_units(options.tree)
    changed = None if options.all else changed_files()
    if changed is not None:
        units = affected_units(units, changed)
    deadline = time.monotonic() + options.budget

    def check(unit: str) -> tuple[str, subprocess.CompletedProcess[str] | None]:
        if time.monotonic() > deadline:
            return unit, None
        command = [CLANG_TIDY, "--quiet", "-p", str(options.tree), unit]
        return unit, subprocess.run(command, capture_output=True, text=True, check=False)

    failed, left_out = 0, 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for number, (unit, done) in enumerate(pool.map(check, units), start=1):
            if done is None:
                left_out += 1
                continue
            print(f"[{number}/{len(units)}] {unit}", flush=True)
            if done.returncode != 0:
                failed += 1
                print(done.stdout + done.stderr, flush=True)
    print(f"clang-tidy: {len(units)} files, {failed} with findings, {left_out} left out (budget)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
