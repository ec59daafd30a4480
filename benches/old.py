"""Measures this checkout's fleet against that of an older revision, both in one run, and prints the ratios.

The revision is built from a worktree of its own below target/. The two take turns within each run, each on databases with new
names: cold, then with nothing to do. Above 1, the new one is the slower.

Needs what `scripts/servers` needs.
"""

import argparse
import shutil
import statistics
import subprocess

import process
import race
from process import ROOT, TARGET, WORK, build, die, measure, prepare, program, say
from report import TITLES
from server import Servers

MODES = {"cold": "cold", "noop": "nothing to do"}


def arguments(given):
    parser = argparse.ArgumentParser(
        prog="scripts/bench old", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rev", help="the older revision")
    parser.add_argument("--engines", default="postgres,schemas,mysql,sqlite", help="which, separated by commas; mysql is MariaDB")
    parser.add_argument("--runs", type=int, default=5, help="runs of each, of which the median counts (default 5)")
    parser.add_argument("--tenants", type=int, default=200, help="on each engine (default 200)")
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--debug", action="store_true", help="debug builds, only to see that it runs")
    parser.add_argument("--no-build", action="store_true", help="take the binaries as they are")
    options = parser.parse_args(given)
    options.engines = options.engines.split(",")
    for name in options.engines:
        if name not in TITLES:
            parser.error(f"no engine '{name}'; there are {', '.join(TITLES)}")
    return options


def build_old(rev):
    """The older program, built as this one is."""
    folder, target = TARGET / "bench-old" / "checkout", TARGET / "bench-old" / "target"
    subprocess.run(["git", "worktree", "remove", "--force", folder], cwd=ROOT, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["git", "worktree", "prune"], cwd=ROOT)
    if subprocess.run(["git", "worktree", "add", "--detach", folder, rev], cwd=ROOT).returncode != 0:
        die(f"there is no revision {rev}")
    build(at=folder, target=target)


def bench(engine, server, options, programs):
    fleet = race.Fleet(engine, options.tenants, server)
    times = {(name, mode): [] for name in programs for mode in MODES}
    for run in range(options.runs):
        for name in sorted(programs, reverse=run % 2 == 1):
            fleet.renew()
            command = race.command_of("fleet", fleet, "cold", options.concurrency, 0)
            for mode in MODES:
                times[name, mode].append(measure([programs[name], *command[1:]])[0])
        fleet.make_room(len(programs))
    fleet.drop()
    for mode, words in MODES.items():
        new, old = (statistics.median(times[name, mode]) for name in ("new", "old"))
        print(f"| {TITLES[engine]} | {words} | {new:.2f} s | {old:.2f} s | {new / old:.2f} |", flush=True)


def main(given):
    options = arguments(given)
    prepare(options)
    if not options.no_build:
        build_old(options.rev)
    WORK.mkdir(parents=True, exist_ok=True)
    old = TARGET / "bench-old" / "target" / process.PROFILE / "fleet"
    programs = {"new": program("fleet"), "old": str(old)}
    say(f"{options.tenants} tenants on each engine, {options.runs} runs, against {options.rev}")
    print("| engine | case | new | old | new / old |\n|---|---|---|---|---|", flush=True)
    servers = [engine for engine in options.engines if engine != "sqlite"]
    if servers:
        with Servers() as urls:
            for engine in servers:
                bench(engine, urls[engine], options, programs)
    if "sqlite" in options.engines:
        bench("sqlite", None, options, programs)
