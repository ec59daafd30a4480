"""What the reports of the benchmark have in common: figures, targets, and what was measured where."""

import os
import platform
import re
import statistics
import subprocess
from pathlib import Path

from process import ROOT

TITLES = {"postgres": "PostgreSQL", "schemas": "PostgreSQL schemas", "mysql": "MariaDB", "sqlite": "SQLite"}


def figure(seconds):
    middle, low, high = statistics.median(seconds), min(seconds), max(seconds)
    return f"{middle:.3f} s ({low:.3f}-{high:.3f})"


def at_most(value, limit):
    return f"met (at most {limit})" if value <= limit else f"**missed** by {(value / limit - 1) * 100:.0f} % (at most {limit})"


def at_least(value, limit):
    return f"met (at least {limit})" if value >= limit else f"**missed** by {(1 - value / limit) * 100:.0f} % (at least {limit})"


def first_line(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout.strip().splitlines()[0]
    except (OSError, IndexError):
        return "unknown"


def versions():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    lock = (ROOT / "Cargo.lock").read_text()
    crates = []
    for name in ("sea-orm", "sea-orm-migration", "sqlx"):
        crates += [f"{name} {version}" for version in re.findall(rf'name = "{name}"\nversion = "([^"]+)"', lock)]
    gib = int(memory[1]) / 1024 / 1024 if memory else 0
    return [
        f"Machine: {model[1] if model else platform.machine()}, {os.cpu_count()} cores, {gib:.0f} GiB, "
        f"{platform.system()} {platform.release()}",
        f"fleet at {first_line('git', 'describe', '--always', '--dirty')}; {', '.join(crates)}; "
        f"{first_line('rustc', '--version')}",
        f"{first_line('psql', '--version')}; {first_line('mariadb', '--version')}",
    ]


def load():
    """How busy the machine is before anything is measured: with other work on it the figures say less."""
    before = os.getloadavg()[0]
    idle = "" if before < 0.5 else ": **not idle**, so that single waits may be the machine's"
    return f"Load of the last minute before the first measurement: {before:.1f}{idle}"
