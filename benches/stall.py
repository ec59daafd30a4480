"""Measures how long an application waits while its table is altered, and writes benches/STALL.md.

A reader and a writer work on one table, each an operation after the other with a pause of 1 ms, on connections of their
own that go straight to the server. Meanwhile one contender applies migrations of the sample catalog that alter this
table, straight or through a relay that makes each of its round trips longer. What counts is the longest operation that
was under way between the contender's start and its exit. Each measurement has a database of its own.

Needs what `scripts/servers` needs, and python3. A full run takes about 35 minutes; `--engines sqlite --runs 1 --holds 5`
is a look in two.
"""

import argparse
import datetime
import itertools
import json
import re
import shlex
import statistics
import subprocess
from contextlib import nullcontext
from pathlib import Path

from process import ROOT, WORK, build, die, hide, program, run, say
from report import TITLES, at_least, load, versions
from server import Relay, Servers
from tenant import CASES, Tenant

CONTENDERS = ["compiled", "online", "native", "seaorm", "nobody"]
# The forms in which fleet sends migrations, by its flags.
FORMS = {"compiled": [], "online": ["--online"], "native": ["--native"]}
# What the online form is for: the reader's worst wait behind SeaORM's runner, in those behind it, at least.
ONLINE_AT_LEAST = {"postgres": 3, "mysql": 1}
# What a transaction that stays open is measured with: one case is enough, and each takes as long as the transaction.
HELD_CASE = "inventory"
JOURNALS = ["wal", "delete"]


def arguments(given):
    parser = argparse.ArgumentParser(
        prog="scripts/bench stall", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engines", default="postgres,mysql,sqlite", help="which, separated by commas")
    parser.add_argument("--contenders", default=",".join(CONTENDERS), help="which, separated by commas")
    parser.add_argument("--cases", default=",".join(CASES), help="which migrations, separated by commas; 'none' for none")
    parser.add_argument("--runs", type=int, default=5, help="runs of each measurement (default 5)")
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the altered table (default 100,000)")
    parser.add_argument("--round-trips", default="0,20", help="milliseconds, even; 0 is without the relay (default 0,20)")
    parser.add_argument(
        "--holds", default="5,20", help="seconds that a transaction stays open, the shortest first; 'none' for none"
    )
    parser.add_argument("--no-build", action="store_true", help="take the binaries as they are")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "benches" / "STALL.md")
    options = parser.parse_args(given)
    options.engines = options.engines.split(",")
    options.contenders = options.contenders.split(",")
    options.cases = [] if options.cases == "none" else options.cases.split(",")
    options.holds = [] if options.holds == "none" else [int(value) for value in options.holds.split(",")]
    options.round_trips = [int(value) for value in options.round_trips.split(",")]
    for value, known, what in [
        (options.engines, TITLES, "engine"), (options.contenders, CONTENDERS, "contender"), (options.cases, CASES, "case")
    ]:
        for name in value:
            if name not in known:
                parser.error(f"no {what} '{name}'; there are {', '.join(known)}")
    return options


# --- measuring ------------------------------------------------------------------------------------------------------


def command_of(contender, tenant, address, hold):
    if contender == "nobody":
        return ["sleep", str(hold or 1)]
    if contender == "seaorm":
        return [program("seaorm-runner"), "up", "-n", str(tenant.case.steps), "-u", tenant.url(address)]
    form = FORMS[contender]
    return [program("fleet"), "--config", tenant.config(address), "migrate", "--yes", *form, "--to", tenant.case.to]


class Observer:
    """A process with connections to the tenant's own server, at work from here on."""

    def __init__(self, tenant, who):
        table = [tenant.case.table, tenant.case.column, str(tenant.rows)]
        command = [program("stall"), tenant.engine, tenant.url(), *table, who]
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.child.stdout.readline().strip() != "ready":
            die(f"an observer ({who}) of {tenant.name} did not come to work")

    def begin(self):
        self.child.stdin.write("begin\n")
        self.child.stdin.flush()

    def end(self):
        self.child.stdin.close()
        found = json.loads(self.child.stdout.readline() or "null")
        if self.child.wait() != 0:
            die("an observer failed")
        return found


def observe(contender, tenant, address, hold):
    """One measurement: the figures of reader and writer in milliseconds, and the seconds that the contender took."""
    tenant.renew()
    # In a rollback journal a writer that waits for a reader keeps all new readers out, with or without a migration.
    who = "reader" if hold and tenant.engine == "sqlite" else "both"
    case = tenant.case
    others = [Observer(tenant, f"hold:{hold}")] if hold else []
    observers = [*others, Observer(tenant, who)]
    for observer in observers:
        observer.begin()
    seconds, _, code, text = run(command_of(contender, tenant, address, hold))
    found = [observer.end() for observer in observers][-1]
    wanted = case.history - (case.steps if contender == "nobody" else 0)
    if code == 0 and tenant.history() != wanted:
        die(f"{contender} left {tenant.history()} migrations in the history, not {wanted}")
    if code != 0:
        # To give up is an answer too, where a transaction is in the way; the report counts it.
        say(f"  {contender} gave up with exit code {code}: {hide(text.strip()[-2000:])}")
        if not hold:
            die("nothing was in its way")
    return dict(found, seconds=seconds, gave_up=code != 0)


def compete(tenant, address, hold, contenders, runs):
    """{contender: [measurement, ...]}, the contenders taking turns within each run."""
    found = {contender: [] for contender in contenders}
    for number in range(runs):
        # Each run starts with another contender, so that none is always the one after the same neighbour.
        shift = number % len(contenders)
        for contender in contenders[shift:] + contenders[:shift]:
            found[contender].append(observe(contender, tenant, address, hold))
        last = {contender: measurements[-1] for contender, measurements in found.items()}
        told = (f"{c} {'/'.join(format(last[c][r]['worst'], '.0f') for r in roles([last[c]]))} ms" for c in contenders)
        say(f"  run {number + 1}, worst of reader/writer: {', '.join(told)}")
    return found


def roles(measurements):
    return [role for role in ("reader", "writer") if role in measurements[0]]


# --- the report -----------------------------------------------------------------------------------------------------


def worst(measurements, role):
    return [measurement[role]["worst"] for measurement in measurements]


def milliseconds(values):
    form = "{:,.1f}" if max(values) < 100 else "{:,.0f}"
    middle, low, high = (form.format(value) for value in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({low}-{high})"


def lock_timeout():
    """fleet's default in milliseconds, in its own words; no command here overrides it."""
    config = WORK / "stall.toml"
    config.write_text('[[tenant]]\nid = "stall"\nurl = "sqlite:stall.db"\n')
    shown = subprocess.run([program("fleet"), "--config", config, "config"], stdout=subprocess.PIPE, text=True).stdout
    found = re.search(r"^lock_timeout +(\d+)s +default$", shown, re.MULTILINE)
    return int(found[1]) * 1000 if found else die(f"fleet does not tell its lock timeout:\n{shown}")


class Report:
    def __init__(self, lock_timeout):
        self.lock_timeout = lock_timeout
        self.limits, self.ratios, self.figures, self.longest = [], [], {}, {}

    def add(self, place, case, wait, hold, found):
        """What one competition found. `place` is the engine with its mode, `wait` the round trip in words."""
        situation = f"open for {hold} s" if hold else "-"
        for contender, measurements in found.items():
            self.figure(place, case, wait, situation, contender, measurements)
            if contender in FORMS:
                self.limit(place, case, wait, hold, contender, measurements)
        for other, ours in [("native", "compiled"), ("seaorm", "compiled"), ("seaorm", "online")]:
            if other in found and ours in found:
                wanted = None if hold or ours != "online" else next((n for e, n in ONLINE_AT_LEAST.items() if TITLES[e] == place), None)
                self.ratio((place, case, wait, situation), f"{other} / {ours}", (found[other], found[ours]), wanted)

    def figure(self, place, case, wait, situation, contender, measurements):
        gave_up = sum(m["gave_up"] for m in measurements)
        ended = f"gave up {gave_up} of {len(measurements)}" if gave_up else "-" if contender == "nobody" else "migrated"
        seconds = statistics.median(m["seconds"] for m in measurements)
        cells = [case, wait, situation, contender, ended, f"{seconds:.2f} s"]
        for role in ("reader", "writer"):
            if role in measurements[0]:
                cells += [milliseconds(worst(measurements, role))]
                cells += [f"{statistics.median(m[role]['p99'] for m in measurements):.1f}"]
                cells += [f"{statistics.median(m[role]['count'] for m in measurements):,.0f}"]
            else:
                cells += ["-", "-", "-"]
        errors = sum(m[role]["errors"] for m in measurements for role in roles(measurements))
        self.figures.setdefault(place, []).append([*cells, str(errors)])

    def limit(self, place, case, wait, hold, contender, measurements):
        longest, role = max((max(worst(measurements, role)), role) for role in roles(measurements))
        own = 0
        if hold:
            # The wait for the lock, and behind it the change itself as it was without anybody in the way.
            own = self.longest.get((place, case, wait, contender), 0)
        else:
            self.longest[place, case, wait, contender] = longest
        limit = self.lock_timeout + own
        verdict = "met" if longest <= limit else f"**missed** by {(longest / limit - 1) * 100:.0f} %"
        allowed = f"{self.lock_timeout:,}" + (f" + {own:,.0f}" if hold else "")
        situation = f"open for {hold} s" if hold else "-"
        self.limits.append([place, case, wait, situation, contender, f"{longest:,.0f} ({role})", allowed, verdict])

    def ratio(self, where, title, pair, wanted):
        cells, verdict = [*where, title], "(no target)"
        for role in ("reader", "writer"):
            if role in pair[1][0]:
                values = [statistics.median(worst(measurements, role)) for measurements in pair]
                cells.append(f"{values[0] / values[1]:.2f}")
                if wanted and role == "reader":
                    verdict = at_least(values[0] / values[1], wanted)
            else:
                cells.append("-")
        self.ratios.append([*cells, verdict])

    def text(self, options, command, found):
        one = "case | round trip | a transaction is"
        lines = [
            "# How long the application waits",
            "",
            "Written by `scripts/bench stall`; do not edit by hand. A reader and a writer on the table that is altered, each on",
            "a connection of its own without the relay, 1 ms between two operations. Milliseconds; medians over the runs of",
            "each run's worst operation, with the smallest and the largest in brackets. The servers keep their durability",
            "defaults.",
            "",
            f"- Date: {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC",
            f"- Command: `{shlex.join(command)}`",
            f"- {options.runs} runs of each, {options.rows:,} rows in the altered table",
            *[f"- {line}" for line in found],
            "",
            *cases(options),
            "",
            "compiled: `fleet migrate`. online: `fleet migrate --online`, in forms with short locks, of which SQLite has none. native:",
            "`fleet migrate --native`, the same migrations as Rust code through SeaORM. seaorm: SeaORM's own `run_cli`, `up -n`.",
            "nobody: no migration at all for 1 s, or as long as the transaction is open: what this machine makes reader and writer",
            "wait by itself.",
            "",
            "## Against the lock timeout",
            "",
            f"The longest of all operations of reader and writer in all runs. fleet's lock timeout is its default, {self.lock_timeout:,} ms.",
            "Where a third connection has read the table in a transaction that stays open, the change itself comes on top, as",
            "measured above without it. SeaORM's runner sets no lock timeout, and has no target.",
            "",
            *table(f"engine | {one} | who | longest | allowed | verdict", self.limits),
            "",
            "## Ratios",
            "",
            "Medians of the worst waits; above 1, the one behind the slash is the shorter.",
            "",
            *table(f"engine | {one} | ratio | reader | writer | target (reader)", self.ratios),
            "",
            "## Figures",
        ]
        columns = " | ".join(f"{role}'s worst | p99 | operations" for role in ("reader", "writer"))
        for place, rows in self.figures.items():
            lines += ["", f"### {place}", "", *table(f"{one} | who | end | took | {columns} | errors", rows)]
        return "\n".join(lines) + "\n"


def cases(options):
    for name in dict.fromkeys([*options.cases, *([HELD_CASE] if options.holds else [])]):
        case = CASES[name]
        yield f"- {name}: {case.title} alter `{case.table}`, which the reader selects from and the writer updates"


def table(heading, rows):
    columns = heading.split("|")
    return [f"| {heading} |", "|" + "---|" * len(columns), *("| " + " | ".join(row) + " |" for row in rows)]


# --- the story ------------------------------------------------------------------------------------------------------


def situations(name, options, is_last):
    """(seconds that a transaction stays open, who is measured then)"""
    if name in options.cases:
        yield 0, options.contenders
    if name == HELD_CASE and options.holds:
        yield options.holds[0], options.contenders
        # What is open for longer shows how the waits grow from try to try: fleet's own doing, and the same on every way
        # to the server. On SQLite nobody waits behind a waiting migration but in the moment of its commit.
        if is_last and "compiled" in options.contenders:
            yield from ((hold, ["compiled"]) for hold in options.holds[1:])


def bench_case(engine, name, options, report, server=None, journal=None):
    """One table: without anybody in the way, and for one of them behind transactions that stay open."""
    place = TITLES[engine] + {"wal": ", write-ahead log", "delete": ", rollback journal", None: ""}[journal]
    tenant = Tenant(engine, CASES[name], options.rows, server, journal)
    for round_trip in options.round_trips if server else [0]:
        wait = f"{round_trip} ms" if server else "-"
        with Relay(server, round_trip // 2) if round_trip else nullcontext() as address:
            for hold, contenders in situations(name, options, bool(server) and round_trip == options.round_trips[-1]):
                say(f"{place}, {name}, round trip {wait}" + (f", a transaction open for {hold} s" if hold else ""))
                contenders = [contender for contender in contenders if server or contender != "online"]
                report.add(place, name, wait, hold, compete(tenant, address, hold, contenders, options.runs))
    tenant.drop()


def main(given):
    options = arguments(given)
    if not options.no_build:
        build()
    # Taken before anything is measured: an hour later the checkout may be another.
    found = [*versions(), load()]
    WORK.mkdir(parents=True, exist_ok=True)
    report = Report(lock_timeout())
    names = list(dict.fromkeys([*options.cases, *([HELD_CASE] if options.holds else [])]))
    servers = [engine for engine in options.engines if engine != "sqlite"]
    with Servers() if servers else nullcontext() as urls:
        for engine in options.engines:
            for name, journal in itertools.product(names, JOURNALS if engine == "sqlite" else [None]):
                bench_case(engine, name, options, report, urls[engine] if engine in servers else None, journal)
                # Each time, so that a run that is cut off leaves what it has measured.
                options.output.write_text(report.text(options, ["scripts/bench", "stall", *given], found))
    print(options.output.read_text())
    say(f"written to {options.output}")
