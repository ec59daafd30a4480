"""The programs that are measured: built, found, and run to their end. It knows neither databases nor reports."""

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "target"
# Where the data is: `scripts/bench --tmpfs` sets it, so that no disk is measured.
DATA = os.environ.get("FLEET_BENCH_DATA")
WORK = Path(DATA) / "work" if DATA else TARGET / "bench-work"
# `debug` only to see that a part runs.
PROFILE = "release"


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def die(text):
    say(text)
    sys.exit(1)


def build(with_fleet=True, at=ROOT, target=TARGET):
    """The programs of a checkout, and for this one the other contenders."""
    profile = ["--release"] if PROFILE == "release" else []
    others = ["cargo", "build", *profile, "--manifest-path", "benches/Cargo.toml", "--target-dir", "target/bench"]
    commands = [others] if at == ROOT else []
    if with_fleet:
        commands.append(["cargo", "build", *profile, "-p", "fleet", "--target-dir", str(target)])
    # Without the two mutexes that all of SQLite's threads in a process share; floor and fleet alike.
    flags = "-DSQLITE_DEFAULT_MEMSTATUS=0 -USQLITE_ENABLE_MEMORY_MANAGEMENT"
    environment = dict(os.environ, LIBSQLITE3_FLAGS=flags)
    for command in commands:
        say(shlex.join(command))
        if subprocess.run(command, cwd=at, env=environment).returncode != 0:
            die("the build failed")


def prepare(options):
    """Builds the programs unless `--no-build`; `--debug` takes debug builds, only to see that a part runs."""
    global PROFILE
    if options.debug:
        PROFILE = "debug"
    if not options.no_build:
        build()


def median(command, rounds):
    """Runs a command so many times: (median seconds, largest peak resident KiB)."""
    times = sorted(measure(command) for _ in range(rounds))
    return times[len(times) // 2][0], max(peak for _, peak in times)


def program(name):
    folder = TARGET / PROFILE if name == "fleet" else TARGET / "bench" / PROFILE
    return str(folder / name)


def run(command):
    """Runs a command to its end: (seconds, peak resident KiB, exit code, all that it printed)."""
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=WORK
        )
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        return seconds, usage.ru_maxrss, child.returncode, output.read().decode(errors="replace")


def measure(command):
    """Runs a command to its end: (seconds, peak resident KiB). Anything but exit code 0 ends the benchmark."""
    seconds, peak, code, text = run(command)
    if code != 0:
        die(f"exit code {code} from {hide(shlex.join(command))}\n{hide(text[-2000:])}")
    # The floor tells how long it took to get its SQL: preparation, and no part of the floor.
    recorded = re.search(r"recording_seconds=([0-9.]+)", text)
    return seconds - (float(recorded[1]) if recorded else 0.0), peak


def hide(text):
    return re.sub(r"(://[^:/@\s]+):[^@\s]*@", r"\1:***@", text)
