"""Measures fleet against a floor and against SeaORM's own runner, and writes benches/RESULTS.md.

Everything is a release build and a process of its own, timed from start to exit, one contender after the other within
each run, so that a slow minute of the machine falls on all of them. Before each cold run, untimed, databases with new names
are made: what was deleted shortly before makes new files slow on some disks, so all are deleted at the end of an engine, or
after each run where the disk has no room. Nothing-to-do follows each cold run on the databases that the same contender has
just migrated.

Needs what `scripts/servers` needs, and python3. A full run takes an hour or more, most of it SeaORM's runner behind
the relay; `--quick` is a look in a few minutes, and `--engines sqlite --quick` in one.
"""

import argparse
import datetime
import random
import re
import shlex
import shutil
import statistics
import sys
from pathlib import Path

import peers
from process import DATA, ROOT, WORK, build, measure, program, say
from report import TITLES, at_least, at_most, figure, versions
from server import Relay, Servers, sql, url_of

CONTENDERS = ["fleet", "floor", "seaorm in-process", "seaorm xargs", *peers.PEERS]

# What the issue asks for. Ratios are medians; "fleet / floor" at most, "seaorm / fleet" at least.
FLOOR_AT_MOST = {"cold": 1.15, "noop": 1.25}
RELAY_AT_LEAST = {("postgres", "cold"): 10, ("mysql", "cold"): 4, ("postgres", "noop"): 5, ("mysql", "noop"): 4}
SQLITE_COLD_AT_LEAST = 5
MEMORY_AT_MOST_MIB = 64
# A tenant's record: id, URL, tags, state and outcome. Growth beyond this would be something kept by mistake.
RECORD_AT_MOST_KIB = 4
# The time of a tenant in the largest fleet, beside that in the smallest.
GROWTH_AT_MOST = 1.15


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=__doc__,
        epilog="Another part, with options of its own: scripts/bench stall --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--engines", default="postgres,schemas,mysql,sqlite", help="which, separated by commas")
    parser.add_argument("--contenders", default=",".join(CONTENDERS), help="which, separated by commas")
    parser.add_argument("--runs", type=int, default=5, help="runs of each measurement (default 5)")
    parser.add_argument("--postgres-tenants", type=int, default=200)
    parser.add_argument("--schemas-tenants", type=int, default=200, help="schemas of one PostgreSQL database")
    parser.add_argument("--mysql-tenants", type=int, default=200)
    parser.add_argument("--sqlite-tenants", type=int, default=1000)
    parser.add_argument("--relay-tenants", type=int, help="tenants behind the relay (default: as many as without it)")
    parser.add_argument("--concurrency", type=int, default=8, help="of fleet, the floor and SeaORM in-process (default 8)")
    parser.add_argument("--xargs", default="2,4,8,16", help="values of xargs -P to try; the best one is measured")
    parser.add_argument("--delay", type=int, default=10, help="milliseconds that the relay adds each way (default 10)")
    parser.add_argument("--no-direct", action="store_true", help="leave out the runs without the relay")
    parser.add_argument("--no-relay", action="store_true", help="leave out the runs through the relay")
    parser.add_argument("--no-memory", action="store_true", help="leave out the memory figures")
    parser.add_argument("--memory-tenants", default="1000,5000,10000", help="SQLite fleets whose peak memory is taken")
    parser.add_argument("--growth", default="100,1000,10000", help="SQLite fleets whose times are compared; empty for none")
    parser.add_argument("--quick", action="store_true", help="one run of few tenants of each: whether all works, no figures")
    parser.add_argument("--tmpfs", action="store_true", help="servers and files in /dev/shm: no disk is measured")
    parser.add_argument("--no-build", action="store_true", help="take the binaries as they are")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "benches" / "RESULTS.md")
    options = parser.parse_args()
    if options.quick:
        options.runs, options.relay_tenants, options.xargs = 1, 8, "8"
        options.postgres_tenants = options.schemas_tenants = options.mysql_tenants = 16
        options.sqlite_tenants, options.growth, options.memory_tenants = 100, "50,200", "100,200"
    options.engines = options.engines.split(",")
    options.contenders = options.contenders.split(",")
    options.xargs = [int(value) for value in options.xargs.split(",")]
    options.memory_tenants = [int(value) for value in options.memory_tenants.split(",")]
    options.growth = [int(value) for value in options.growth.split(",") if value]
    for value, known, what in [(options.engines, TITLES, "engine"), (options.contenders, CONTENDERS, "contender")]:
        for name in value:
            if name not in known:
                parser.error(f"no {what} '{name}'; there are {', '.join(known)}")
    return options


# --- fleets ---------------------------------------------------------------------------------------------------------


# The room that a migrated tenant takes, with some to spare.
TENANT_MIB = {"postgres": 14, "schemas": 6, "mysql": 12, "sqlite": 1}


class Fleet:
    """Some tenants on one engine, and the lists that the contenders read them from; each `renew` gives them new names."""

    def __init__(self, engine, size, server=None, relay=None):
        self.engine, self.size, self.server, self.relay = engine, size, server, relay
        self.folder = WORK / f"{engine}{'-relay' if relay else ''}-{size}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.list, self.config = self.folder / "tenants.txt", self.folder / "tenants.toml"
        self.generation, self.made, self.peers = 0, [], {}

    def url(self, name):
        if self.engine == "sqlite":
            return f"sqlite:{self.folder}/data-{self.generation}/{name}.db?mode=rwc"
        if self.engine == "schemas":
            return f"{url_of(self.server, f'bench_{self.generation:03}', self.relay)}?options[search_path]={name}"
        return url_of(self.server, name, self.relay)

    def renew(self):
        """Empty databases, as on the first day."""
        self.generation += 1
        names = self.names = [f"bench_{self.generation:03}_{number:05}" for number in range(self.size)]
        urls = [self.url(name) for name in names]
        self.list.write_text("\n".join(urls) + "\n")
        create = str(self.engine == "sqlite").lower()
        lines = ['[fleet]\nname = "bench"\n', "[defaults]", f"create_missing = {create}\n"]
        for name, url in zip(names, urls):
            schema = f'schema = "{name}"\n' if self.engine == "schemas" else ""
            lines.append(f'[[tenant]]\nid = "{name}"\nurl = "{url.split("?")[0]}"\n{schema}')
        # It holds the server's password, and fleet says so where others could read it.
        self.config.touch(mode=0o600)
        self.config.write_text("\n".join(lines))
        for file in self.folder.glob("fleet-ledger.db*"):
            file.unlink()
        if self.engine == "sqlite":
            (self.folder / f"data-{self.generation}").mkdir()
        elif self.engine == "schemas":
            database = f"bench_{self.generation:03}"
            sql(self.server, f"CREATE DATABASE {database};")
            # Made by the first tenants, the extensions would fail SeaORM's others meanwhile.
            shared = [f'CREATE EXTENSION "{name}";' for name in ("uuid-ossp", "pgcrypto", "btree_gin")]
            sql(self.server, "\n".join([*shared, *(f"CREATE SCHEMA {name};" for name in names), "CHECKPOINT;"]), database)
            self.made.append(database)
        else:
            create = [f"CREATE DATABASE {name};" for name in names]
            # A checkpoint that starts in the middle of one contender's run would be laid at its door.
            sql(self.server, "\n".join([*create, "CHECKPOINT;"] if self.engine == "postgres" else create))
            self.made += names

    def peer(self, name):
        """A runner of others on these tenants, which must be there."""
        if name not in self.peers:
            self.peers[name] = peers.Peer(name, self)
        return self.peers[name]

    def make_room(self, contenders):
        """Deletes what was made where another run of so many contenders would fill the disk; on a tmpfs in any case."""
        needed = 2 * contenders * self.size * TENANT_MIB[self.engine]
        if DATA or shutil.disk_usage(self.folder).free < needed * 1024 * 1024:
            self.delete()

    def delete(self):
        for folder in self.folder.glob("data-*"):
            shutil.rmtree(folder)
        if self.made:
            sql(self.server, "\n".join(f"DROP DATABASE IF EXISTS {name};" for name in self.made))
        self.made = []

    def drop(self):
        self.delete()
        shutil.rmtree(self.folder, ignore_errors=True)


def contenders_of(engine, options):
    """SeaORM's command line sets a search path of its own: its loop in one process has that of the URL."""
    alone = engine == "schemas"
    return [name for name in options.contenders if not (alone and name in ("seaorm xargs", *peers.PEERS))]


def floor_engine(fleet):
    return "postgres" if fleet.engine == "schemas" else fleet.engine


def command_of(contender, fleet, mode, concurrency, xargs):
    if contender == "fleet":
        both = ["--concurrency", str(concurrency), "--per-server", str(concurrency)]
        return [program("fleet"), "--config", str(fleet.config), "migrate", "--yes", *both]
    if contender == "floor":
        return [program("floor"), floor_engine(fleet), str(fleet.list), str(concurrency), mode]
    if contender == "seaorm in-process":
        return [program("seaorm-inprocess"), str(fleet.list), str(concurrency)]
    if contender in peers.PEERS:
        return fleet.peer(contender).command(concurrency, xargs)
    return ["xargs", "-a", str(fleet.list), "-P", str(xargs), "-I", "{}", program("seaorm-runner"), "up", "-u", "{}"]


def verify(fleet, contender="fleet"):
    """The floor's `noop` fails unless each tenant's history is complete: no contender is timed for work left undone."""
    if contender in peers.PEERS:
        fleet.peer(contender).verify()
        return
    measure([program("floor"), floor_engine(fleet), str(fleet.list), "8", "noop"])


def best_xargs(fleet, candidates):
    if len(candidates) == 1:
        return candidates[0]
    timed = {}
    for value in candidates:
        fleet.renew()
        timed[value] = measure(command_of("seaorm xargs", fleet, "cold", 0, value))[0]
    say(f"  xargs -P: {', '.join(f'{value}: {seconds:.1f} s' for value, seconds in timed.items())}")
    return min(timed, key=timed.get)


def race(fleet, options, concurrency, xargs):
    """{(contender, mode): [seconds, ...]}, the contenders taking turns within each run."""
    contenders = contenders_of(fleet.engine, options)
    times = {(contender, mode): [] for contender in contenders for mode in ("cold", "noop")}
    for run in range(options.runs):
        # Each run has an order of its own, the same each time: one that is always behind the same neighbour has its leftovers.
        for contender in random.Random(run).sample(contenders, len(contenders)):
            fleet.renew()
            for mode in ("cold", "noop"):
                seconds, _ = measure(command_of(contender, fleet, mode, concurrency, xargs))
                times[contender, mode].append(seconds)
                if mode == "cold":
                    verify(fleet, contender)
        say("  run {}: {}".format(
            run + 1,
            ", ".join(f"{c} {times[c, 'cold'][-1]:.2f}/{times[c, 'noop'][-1]:.2f} s" for c in contenders),
        ))
        fleet.make_room(len(contenders))
    return times


# --- the report -----------------------------------------------------------------------------------------------------


class Report:
    def __init__(self):
        self.tables, self.targets = [], []

    def race(self, title, engine, through_relay, times, xargs):
        rows = ["| | cold | nothing to do |", "|---|---|---|"]
        contenders = list(dict.fromkeys(contender for contender, _ in times))
        for contender in contenders:
            name = f"seaorm xargs -P {xargs}" if contender == "seaorm xargs" else contender
            rows.append(f"| {name} | {figure(times[contender, 'cold'])} | {figure(times[contender, 'noop'])} |")
        self.tables.append(f"### {title}\n\n" + "\n".join(rows))
        if "fleet" not in contenders:
            return
        for mode, words in (("cold", "cold"), ("noop", "nothing to do")):
            median = {contender: statistics.median(times[contender, mode]) for contender in contenders}
            if "floor" in median:
                ratio = median["fleet"] / median["floor"]
                # The target against the floor is for the direct runs; behind the relay the figure is shown for itself.
                met = "(no target)" if through_relay else at_most(ratio, FLOOR_AT_MOST[mode])
                self.targets.append((title, words, "fleet / floor", ratio, met))
            least = 1
            if through_relay:
                least = RELAY_AT_LEAST.get((engine, mode), 1)
            elif (engine, mode) == ("sqlite", "cold"):
                least = SQLITE_COLD_AT_LEAST
            for contender in contenders:
                if contender not in ("fleet", "floor"):
                    ratio = median[contender] / median["fleet"]
                    met = at_least(ratio, least)
                    if "floor" in median:
                        # What is out of reach for the floor is out of reach for anything that signs in with a password.
                        met += f"; the floor reaches {median[contender] / median['floor']:.2f}"
                    self.targets.append((title, words, f"{contender} / fleet", ratio, met))

    def memory(self, peaks):
        rows = ["| SQLite tenants | peak resident memory |", "|---|---|"]
        rows += [f"| {size:,} | {kib / 1024:.1f} MiB |" for size, kib in peaks.items()]
        self.tables.append("### Memory, concurrency 32, cold\n\n" + "\n".join(rows))
        if 5000 in peaks:
            mib = peaks[5000] / 1024
            self.targets.append(("memory", "5,000 tenants", "MiB", mib, at_most(mib, MEMORY_AT_MOST_MIB)))
        small, large = min(peaks), max(peaks)
        if small != large:
            growth = (peaks[large] - peaks[small]) / (large - small)
            words = f"{small:,} to {large:,} tenants"
            self.targets.append(("memory", words, "KiB a tenant", growth, at_most(growth, RECORD_AT_MOST_KIB)))

    def growth(self, times):
        rows = ["| SQLite tenants | | cold | a tenant | nothing to do | a tenant |", "|---|---|---|---|---|---|"]
        for (size, contender), (cold, noop) in times.items():
            each = [f"{seconds:.3f} s | {seconds / size * 1000:.2f} ms" for seconds in (cold, noop)]
            rows.append(f"| {size:,} | {contender} | {' | '.join(each)} |")
        self.tables.append("### How time grows with the fleet\n\n" + "\n".join(rows))
        each = {size: cold / size for (size, contender), (cold, _) in times.items() if contender == "fleet"}
        if len(each) > 1:
            ratio = each[max(each)] / each[min(each)]
            words = f"{min(each):,} to {max(each):,} tenants"
            self.targets.append(("growth", words, "cold, a tenant", ratio, at_most(ratio, GROWTH_AT_MOST)))

    def text(self, options, versions):
        lines = [
            "# Benchmark results",
            "",
            "Written by `scripts/bench`; do not edit by hand. Release builds, one process at a time, wall time from start",
            "to exit; medians with the smallest and the largest in brackets. The servers keep their durability defaults.",
            "",
            f"- Date: {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC",
            f"- Command: `{shlex.join(['scripts/bench', *sys.argv[1:]])}`",
            f"- {options.runs} runs of each, concurrency {options.concurrency} (relay: 8, {options.delay} ms each way)",
            *[f"- {line}" for line in versions],
            "",
            *(["The data was in /dev/shm: no disk was measured."] if DATA else []),
            "floor: one process, raw driver connections, the same SQL in one message a tenant, no bookkeeping but the",
            "history row. seaorm in-process: `Migrator::up` on all tenants at the same concurrency. seaorm xargs: SeaORM's",
            "`run_cli`, one process a tenant, at the best `-P` of those tried. dbmate, alembic: one process a tenant, at the same `-P`.",
            "drizzle: its migrator in a loop, in one process. These three have the same statements in files of their own.",
            "",
            "## Ratios",
            "",
            "| measured | case | ratio | value | target |",
            "|---|---|---|---|---|",
            *[f"| {title} | {case} | {ratio} | {value:.2f} | {met} |" for title, case, ratio, value, met in self.targets],
            "",
            "## Figures",
            "",
            "\n\n".join(self.tables),
        ]
        return "\n".join(lines) + "\n"


# --- the story ------------------------------------------------------------------------------------------------------


def bench_engine(engine, server, options, report):
    size = getattr(options, f"{engine}_tenants")
    if not options.no_direct:
        title = f"{TITLES[engine]}, {size:,} tenants"
        say(title)
        fleet = Fleet(engine, size, server)
        xargs = best_xargs(fleet, options.xargs) if "seaorm xargs" in contenders_of(engine, options) else max(options.xargs)
        report.race(title, engine, False, race(fleet, options, options.concurrency, xargs), xargs)
        fleet.drop()
    if server and not options.no_relay:
        size = options.relay_tenants or size
        title = f"{TITLES[engine]}, {size:,} tenants, {options.delay} ms each way"
        say(title)
        with Relay(server, options.delay) as address:
            fleet = Fleet(engine, size, server, address)
            report.race(title, engine, True, race(fleet, options, 8, 8), 8)
            fleet.drop()


def bench_memory(options, report):
    peaks = {}
    for size in sorted(options.memory_tenants):
        say(f"memory, {size:,} SQLite tenants")
        fleet = Fleet("sqlite", size)
        fleet.renew()
        peaks[size] = measure(command_of("fleet", fleet, "cold", 32, 0))[1]
        verify(fleet)
        fleet.drop()
    report.memory(peaks)


def bench_growth(options, report):
    times = {}
    for size in sorted(options.growth):
        say(f"growth, {size:,} SQLite tenants")
        for contender in [name for name in ("fleet", "floor") if name in options.contenders]:
            fleet = Fleet("sqlite", size)
            fleet.renew()
            runs = [measure(command_of(contender, fleet, mode, options.concurrency, 0))[0] for mode in ("cold", "noop")]
            times[size, contender] = runs
            fleet.drop()
    report.growth(times)


def main():
    options = arguments()
    if not options.no_build:
        build("fleet" in options.contenders)
    # Taken before anything is measured: an hour later the checkout may be another.
    found = versions()
    WORK.mkdir(parents=True, exist_ok=True)
    if set(options.contenders) & set(peers.PEERS):
        peers.install()
    report = Report()
    servers = [engine for engine in options.engines if engine != "sqlite"]
    if servers:
        with Servers() as urls:
            for engine in servers:
                bench_engine(engine, urls[engine], options, report)
    if "sqlite" in options.engines:
        bench_engine("sqlite", None, options, report)
    if not options.no_memory and "fleet" in options.contenders:
        bench_memory(options, report)
    if options.growth:
        bench_growth(options, report)
    text = report.text(options, found)
    options.output.write_text(text)
    print(text)
    say(f"written to {options.output}")
