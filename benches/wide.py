"""Measures what fleet does on all cores, with one and with all of them, and prints the times.

`matrix --all` of many SQLite tenants with 40 versions, `check` of the same tenants, and `plan` and `lint` over many SQL scripts. One
core means RAYON_NUM_THREADS=1: tenants are still read at once. No server is needed.
"""

import argparse
import os
import shutil

from process import WORK, measure, median, prepare, program, say

VERSIONS = 40


def arguments(given):
    parser = argparse.ArgumentParser(
        prog="scripts/bench wide", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tenants", type=int, default=10_000, help="SQLite files (default 10,000)")
    parser.add_argument("--scripts", type=int, default=2_000, help="SQL scripts (default 2,000)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each, of which the median counts (default 5)")
    parser.add_argument("--debug", action="store_true", help="debug builds, only to see that it runs")
    parser.add_argument("--no-build", action="store_true", help="take the binary as it is")
    return parser.parse_args(given)


def folder_of(name, scripts, tenants):
    """A tenant file with so many scripts of one table each, and so many tenants."""
    folder = WORK / f"wide-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "sql").mkdir(parents=True)
    (folder / "data").mkdir()
    for n in range(scripts):
        columns = ", ".join(f"field_{c} varchar(200) DEFAULT 'a;b'" for c in range(20))
        (folder / "sql" / f"{n + 1:05}_s.sql").write_text(f"-- Number {n}.\nCREATE TABLE t{n} (id int, {columns});\n")
    lines = [f'[fleet]\nname = "wide"\nscripts = "{folder}/sql"\n[defaults]\ncreate_missing = true\n']
    lines += [f'[[tenant]]\nid = "t{n:05}"\nurl = "sqlite:data/{n:05}.db"\n' for n in range(tenants)]
    (folder / "tenants.toml").write_text("\n".join(lines))
    return folder


def row(words, folder, options, *command):
    command = [program("fleet"), "--config", str(folder / "tenants.toml"), *command, "-o", os.devnull]
    times = {}
    for cores in ("1", ""):
        os.environ["RAYON_NUM_THREADS"] = cores
        times[cores] = median(command, options.rounds)
    (one, _), (all_of_them, peak) = times["1"], times[""]
    print(f"| {words} | {one:.2f} s | {all_of_them:.2f} s | {one / all_of_them:.2f} | {peak / 1024:.0f} MiB |", flush=True)


def main(given):
    options = arguments(given)
    prepare(options)
    WORK.mkdir(parents=True, exist_ok=True)
    say(f"{options.tenants:,} SQLite tenants, {options.scripts:,} scripts, {os.cpu_count()} cores")
    one = folder_of("one", VERSIONS, 1)
    measure([program("fleet"), "--config", str(one / "tenants.toml"), "migrate", "--yes"])
    fleet = folder_of("fleet", VERSIONS, options.tenants)
    for n in range(options.tenants):
        shutil.copyfile(one / "data" / "00000.db", fleet / "data" / f"{n:05}.db")
    scripts = folder_of("scripts", options.scripts, 1)
    print("| | one core | all | ratio | peak memory |\n|---|---|---|---|---|", flush=True)
    row(f"matrix, {VERSIONS} scripts x {options.tenants:,} tenants", fleet, options, "matrix", "--all", "--format", "json")
    row(f"check, {options.tenants:,} tenants", fleet, options, "check", "--format", "json")
    row(f"plan, {options.scripts:,} scripts", scripts, options, "plan", "--format", "json")
    row(f"lint, {options.scripts:,} scripts", scripts, options, "lint", "--fail-on", "never")
    shutil.rmtree(fleet)
