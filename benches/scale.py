"""Measures how the time and the memory of fleet grow with the number of tenants; writes benches/SCALE.md and a plot of it.

SQLite fleets of 100 to 100,000 tenants: `tenants list` from the file and from a program, `plan`, `matrix`, a cold run, one with
nothing to do; then schemas of one PostgreSQL database and databases of one server, cold and with nothing to do, beside a floor that
sends each tenant the same statements in one message. A tenant has two small migrations, so that what is measured is what fleet does
for a tenant, not what a migration costs. Release builds, whole processes, wall time, one after the other, one run of each.

Needs what `scripts/servers` needs, python3, and some 20 GB for 2,000 databases. It takes half an hour or more, most of it making
databases; `--quick` is a look in a minute.
"""

import argparse
import datetime
import json
import math
import os
import resource
import shlex
from pathlib import Path

import race
from process import ROOT, WORK, measure, prepare, program, say
from report import TITLES, load, versions
from server import Servers, sql

MIGRATIONS = 2
SVG = ROOT / "docs" / "book" / "src" / "images" / "scale.svg"
# What is plotted, with its colour: readable on a white and on a dark page.
SERIES = {
    "list": "#8a63d2", "list from a source": "#c2569b", "plan": "#2f81c7", "matrix": "#1a9c8c", "cold run": "#d1573b", "nothing to do": "#6d9b2c",
}


def arguments(given):
    parser = argparse.ArgumentParser(
        prog="scripts/bench scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sqlite", default="100,1000,10000,100000", help="SQLite fleets (default 100,1000,10000,100000)")
    parser.add_argument("--schemas", default="100,1000,10000", help="schemas of one database; empty for none")
    parser.add_argument("--databases", default="100,500,2000", help="databases of one server; empty for none")
    parser.add_argument("--concurrency", type=int, default=8, help="of fleet and the floor (default 8)")
    parser.add_argument("--quick", action="store_true", help="a few tenants of each: whether all works, no figures")
    parser.add_argument("--debug", action="store_true", help="debug builds, only to see that it runs")
    parser.add_argument("--no-build", action="store_true", help="take the binaries as they are")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "benches" / "SCALE.md")
    parser.add_argument("--svg", type=Path, default=SVG, help="where the plot goes")
    options = parser.parse_args(given)
    if options.quick:
        options.sqlite, options.schemas, options.databases = "20,60", "20,40", "4,8"
    for name in ("sqlite", "schemas", "databases"):
        setattr(options, name, [int(value) for value in getattr(options, name).split(",") if value])
    return options


def statements(engine):
    """What the two migrations send a new tenant, with their history rows."""
    begin = {"sqlite": "BEGIN IMMEDIATE;", "schemas": "BEGIN;", "postgres": "BEGIN;"}[engine]
    of = ["CREATE TABLE t0 (id integer);", "INSERT INTO t0 (id) VALUES (1);"]
    rows = [f"INSERT INTO seaql_migrations VALUES ('m20260101_{n:06}_small', 1);" for n in range(MIGRATIONS)]
    history = "CREATE TABLE seaql_migrations (version varchar(255) NOT NULL PRIMARY KEY, applied_at bigint NOT NULL);"
    return history + "".join(f"{begin}{sql}{row}COMMIT;" for sql, row in zip(of, rows))


def ours(fleet, *words):
    command = [program("many-fleet"), "--config", str(fleet.config), *words]
    return measure(command)


def migrate(fleet, options):
    both = ["--concurrency", str(options.concurrency), "--per-server", str(options.concurrency)]
    return ours(fleet, "migrate", "--yes", "-q", *both)


def floor(fleet, options, text):
    os.environ["FLOOR_QUERY"] = text
    engine = race.floor_engine(fleet)
    return measure([program("floor"), engine, str(fleet.list), str(options.concurrency), "query"])


def from_source(fleet):
    """A tenant file beside the other, whose tenants a program prints."""
    lines = "".join(json.dumps({"id": name, "url": fleet.url(name).split("?")[0]}) + "\n" for name in fleet.names)
    (fleet.folder / "tenants.jsonl").write_text(lines)
    config = fleet.folder / "source.toml"
    config.write_text(
        '[fleet]\nname = "scale"\n[[source]]\nname = "all"\ncommand = ["cat", "tenants.jsonl"]\n[defaults]\ncreate_missing = true\n'
    )
    return config


def reading(fleet):
    """The commands that only read, on tenants as they are: {series: (seconds, peak)}."""
    nowhere = ["-o", os.devnull]
    found = {"list": ours(fleet, "tenants", "list", *nowhere)}
    config, fleet.config = fleet.config, from_source(fleet)
    found["list from a source"] = ours(fleet, "tenants", "list", *nowhere)
    fleet.config = config
    return found | {"plan": ours(fleet, "plan", *nowhere), "matrix": ours(fleet, "matrix", *nowhere)}


def bench_sqlite(sizes, options):
    figures = {}
    for size in sizes:
        say(f"SQLite, {size:,} tenants")
        fleet = race.Fleet("sqlite", size)
        fleet.renew()
        cold = migrate(fleet, options)
        # `plan` of an empty tenant only sees that its file is not there.
        found = reading(fleet) | {"cold run": cold, "nothing to do": migrate(fleet, options)}
        figures[size] = {name: found[name] for name in SERIES}
        fleet.drop()
        say("  " + ", ".join(f"{name} {seconds:.2f} s, {peak / 1024:.0f} MiB" for name, (seconds, peak) in figures[size].items()))
    return figures


def bench_server(engine, server, sizes, options):
    figures = {}
    for size in sizes:
        figures[size] = {}
        for contender in ("fleet", "floor"):
            say(f"{TITLES[engine]}, {size:,} tenants, {contender}")
            fleet = race.Fleet(engine, size, server)
            fleet.renew()
            if contender == "fleet":
                runs = [migrate(fleet, options), migrate(fleet, options)]
            else:
                texts = (statements(engine), "SELECT version FROM seaql_migrations")
                runs = [floor(fleet, options, text) for text in texts]
            figures[size][contender] = runs
            say("  " + ", ".join(f"{seconds:.2f} s, {peak / 1024:.0f} MiB" for seconds, peak in runs))
            fleet.drop()
            sql(server, "CHECKPOINT;")
    return figures


def sqlite_table(figures):
    rows = [f"| tenants | {' | '.join(SERIES)} |", "|---" * (len(SERIES) + 1) + "|"]
    for size, found in figures.items():
        cells = [f"{seconds:.2f} s, {peak / 1024:.0f} MiB" for seconds, peak in found.values()]
        rows.append(f"| {size:,} | {' | '.join(cells)} |")
    small, large = min(figures), max(figures)
    if small != large:
        each = [(figures[large][name][1] - figures[small][name][1]) / (large - small) for name in SERIES]
        rows.append(f"| KiB for each tenant more | {' | '.join(f'{kib:.2f}' for kib in each)} |")
        each = [(figures[large][name][0] - figures[small][name][0]) / (large - small) for name in SERIES]
        rows.append(f"| ms for each tenant more | {' | '.join(f'{seconds * 1000:.3f}' for seconds in each)} |")
    return "\n".join(rows)


def peak_in_words(kib):
    """A process that is started has the peak of this one until it is itself: below that, nothing more is known."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return f"{kib / 1024:.0f} MiB" if kib > own * 1.05 else f"at most {kib / 1024:.0f} MiB"


def server_table(figures):
    rows = ["| tenants | | fleet | a tenant | peak memory | floor | fleet / floor |", "|---|---|---|---|---|---|---|"]
    for size, found in figures.items():
        for words, (seconds, peak), (least, _) in zip(("cold", "nothing to do"), found["fleet"], found["floor"]):
            rows.append(
                f"| {size:,} | {words} | {seconds:.2f} s | {seconds / size * 1000:.2f} ms | {peak_in_words(peak)} | {least:.2f} s | "
                f"{seconds / least:.2f} |"
            )
    return "\n".join(rows)


# --- the plot -------------------------------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, TOP, GAP = 400, 300, 62, 46, 90


def decades(values):
    return math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))


def panel(left, title, figures, of):
    """One of the two: both axes are logarithmic, so that what is linear is a straight line of the same slope."""
    points = {name: [(size, of(found[name])) for size, found in figures.items()] for name in SERIES}
    (x0, x1), (y0, y1) = decades(list(figures)), decades([value for line in points.values() for _, value in line])
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)

    def at(size, value):
        across = (math.log10(size) - x0) / (x1 - x0) * WIDTH
        up = (math.log10(value) - y0) / (y1 - y0) * HEIGHT
        return f"{left + across:.1f},{TOP + HEIGHT - up:.1f}"

    lines = [f'<text class="title" x="{left}" y="{TOP - 18}">{title}</text>']
    for power in range(x0, x1 + 1):
        across = left + (power - x0) / (x1 - x0) * WIDTH
        lines.append(f'<path class="grid" d="M{across:.1f} {TOP}V{TOP + HEIGHT}"/>')
        lines.append(f'<text class="middle" x="{across:.1f}" y="{TOP + HEIGHT + 20}">{10 ** power:,}</text>')
    for power in range(y0, y1 + 1):
        down = TOP + HEIGHT - (power - y0) / (y1 - y0) * HEIGHT
        lines.append(f'<path class="grid" d="M{left} {down:.1f}H{left + WIDTH}"/>')
        lines.append(f'<text class="end" x="{left - 8}" y="{down + 4:.1f}">{10.0 ** power:,.10g}</text>')
    for name, line in points.items():
        path = " ".join(at(*point) for point in line)
        lines.append(f'<polyline fill="none" stroke="{SERIES[name]}" stroke-width="2" points="{path}"/>')
        for point in line:
            x, y = at(*point).split(",")
            lines.append(f'<circle cx="{x}" cy="{y}" r="3" fill="{SERIES[name]}"/>')
    return lines


def plot(figures):
    right = LEFT + WIDTH + GAP
    width, height = right + WIDTH + 44, TOP + HEIGHT + 70
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'aria-label="Seconds and memory of fleet by the number of SQLite tenants">',
        "<style>text{font:13px system-ui,sans-serif;fill:#57606a}.title{font-weight:600}.middle{text-anchor:middle}"
        ".end{text-anchor:end}.grid{stroke:#8c959f;stroke-opacity:.35}</style>",
        *panel(LEFT, "seconds, by tenants", figures, lambda found: max(found[0], 0.001)),
        *panel(right, "peak memory in MiB, by tenants", figures, lambda found: found[1] / 1024),
    ]
    for place, (name, colour) in enumerate(SERIES.items()):
        x, y = LEFT + place * 155, TOP + HEIGHT + 50
        lines.append(f'<path d="M{x} {y - 4}h18" stroke="{colour}" stroke-width="3"/><text x="{x + 24}" y="{y}">{name}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def main(given):
    options = arguments(given)
    prepare(options)
    found = [*versions(), load()]
    WORK.mkdir(parents=True, exist_ok=True)
    os.environ["MANY"] = str(MIGRATIONS)
    tables = []
    figures = bench_sqlite(options.sqlite, options)
    tables.append("## SQLite, a file for each tenant\n\n" + sqlite_table(figures))
    if options.schemas or options.databases:
        with Servers() as urls:
            for engine, sizes in (("schemas", options.schemas), ("postgres", options.databases)):
                if sizes:
                    title = "PostgreSQL, schemas of one database" if engine == "schemas" else "PostgreSQL, databases of one server"
                    tables.append(f"## {title}\n\n" + server_table(bench_server(engine, urls[engine], sizes, options)))
    text = "\n".join([
        "# How fleet grows with the tenants",
        "",
        "Written by `scripts/bench scale`; do not edit by hand. Release build, whole processes, wall time, one run of each. A tenant has",
        "two small migrations. floor: raw driver connections, the same statements in one message a tenant. KiB and ms for each tenant more:",
        "from the smallest fleet to the largest.",
        "",
        f"- Date: {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC",
        f"- Command: `{shlex.join(['scripts/bench', 'scale', *given])}`; concurrency {options.concurrency}",
        *[f"- {line}" for line in found],
        "",
        "\n\n".join(tables),
    ])
    options.output.write_text(text + "\n")
    options.svg.write_text(plot(figures))
    print(text)
    say(f"written to {options.output} and {options.svg}")
