"""Measures how fleet grows with the number and the size of SQL scripts, and writes benches/SCALING.md.

One new tenant gets a folder of scripts of one statement each, first from fleet, then from the engine's own client in a loop,
a process a script. Then many small Rust migrations, from fleet and from SeaORM's own runner; one SQLite script of many INSERTs,
from fleet and from the sqlite3 shell; and single commands on the twelve tenants of the sample. Release build, whole processes,
one after the other.

Needs what `scripts/servers` needs, python3 and the sqlite3 shell. It takes some minutes.
"""

import argparse
import datetime
import os
import shlex
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from process import ROOT, WORK, build, die, measure, program, run, say
from report import TITLES, load, versions
from server import Servers, sql, url_of

# A row of the large script, 210 bytes long.
ROW = "INSERT INTO big(v) VALUES('row {} " + "x" * 150 + "');\n"


def arguments(given):
    parser = argparse.ArgumentParser(
        prog="scripts/bench scaling", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engines", default="sqlite,postgres,mysql", help="which, separated by commas")
    parser.add_argument("--scripts", default="100,1000,5000", help="numbers of scripts (default 100,1000,5000)")
    parser.add_argument("--rows", default="10000,20000,40000,60000,250000", help="rows of the large script")
    parser.add_argument("--migrations", default="100,500,2000", help="numbers of Rust migrations (default 100,500,2000)")
    parser.add_argument("--no-build", action="store_true", help="take the binaries as they are")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "benches" / "SCALING.md")
    options = parser.parse_args(given)
    options.engines = options.engines.split(",")
    options.scripts = [int(value) for value in options.scripts.split(",")]
    options.migrations = [int(value) for value in options.migrations.split(",")]
    options.rows = [int(value) for value in options.rows.split(",")]
    return options


def fresh(name):
    folder = WORK / f"scaling-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "sql").mkdir(parents=True)
    return folder


def fleet(folder, url, name="fleet"):
    """Times `fleet migrate` on one tenant."""
    config = folder / "tenants.toml"
    config.touch(mode=0o600)
    create = str(url.startswith("sqlite")).lower()
    # A folder without a script is refused.
    scripts = f'scripts = "{folder}/sql"\n' if any((folder / "sql").iterdir()) else ""
    config.write_text(
        f'[fleet]\nname = "scaling"\n{scripts}[defaults]\ncreate_missing = {create}\n'
        f'[[tenant]]\nid = "one"\nurl = "{url}"\n'
    )
    return measure([program(name), "--config", str(config), "migrate", "--yes"])


def client(engine, server, database):
    """The engine's own client, which reads one script from stdin."""
    if engine == "sqlite":
        return f"sqlite3 -bail {shlex.quote(str(database))}"
    parts = urlsplit(server)
    if engine == "postgres":
        where = f"-h {parts.hostname} -p {parts.port} -U {parts.username} -d {database}"
        return f"PGPASSWORD={shlex.quote(parts.password)} psql -Xq1 -v ON_ERROR_STOP=1 {where}"
    where = f"-h {parts.hostname} -P {parts.port} -u {parts.username} {database}"
    return f"MYSQL_PWD={shlex.quote(parts.password)} mariadb --no-defaults {where}"


def loop(folder, command):
    """Times the client, a process a script."""
    program = folder / "loop.sh"
    program.write_text(f'set -e\nfor script in {folder}/sql/*.sql; do {command} < "$script"; done\n')
    program.chmod(0o700)
    return measure(["bash", str(program)])


def place(engine, server, folder, name):
    """A new database: its URL for fleet, and its name for the client."""
    if engine == "sqlite":
        return f"sqlite:{folder}/{name}.db", folder / f"{name}.db"
    drop = f"DROP DATABASE IF EXISTS {name}{' WITH (FORCE)' if engine == 'postgres' else ''};"
    sql(server, f"{drop}\nCREATE DATABASE {name};")
    return url_of(server, name), name


def scripts(engine, server, number):
    folder = fresh(engine)
    for n in range(number):
        text = f"CREATE TABLE t{n} (id int);\n" if n % 10 == 0 else f"INSERT INTO t{n // 10 * 10} VALUES ({n});\n"
        (folder / "sql" / f"{n + 1:05}_s.sql").write_text(text)
    url, _ = place(engine, server, folder, "scaling_fleet")
    # The catalog without any migration of its own: the client applies the scripts and nothing else.
    os.environ["MANY"] = "0"
    ours = fleet(folder, url, "many-fleet")
    _, name = place(engine, server, folder, "scaling_loop")
    theirs = loop(folder, client(engine, server, name))
    return ours, theirs


def rust(engine, server, number):
    """Many small Rust migrations, from fleet and from SeaORM's own runner in one process."""
    folder = fresh(engine)
    os.environ["MANY"] = str(number)
    url, _ = place(engine, server, folder, "scaling_fleet")
    ours = fleet(folder, url, "many-fleet")
    url, _ = place(engine, server, folder, "scaling_loop")
    return ours, measure([program("many-seaorm"), f"{url}?mode=rwc" if engine == "sqlite" else url])


def commands():
    """Single commands on the sample: five runs of each, the median."""
    folder = fresh("sample")
    for name in ("tenants.toml", "migration"):
        (folder / name).symlink_to(ROOT / name)
    config = folder / "tenants.toml"
    config.unlink()
    shutil.copy(ROOT / "tenants.toml", config)
    ours = [program("fleet"), "--config", str(config)]
    rows = []
    for words, before in [
        ("plan", None), ("migrate --yes", None), ("status", None), ("matrix", None), ("plan", None),
        ("rollback --steps 1 --yes", "migrate --yes"), ("runs resolve acme", None), ("rollback --all --tenant acme --yes", "migrate --yes"),
    ]:
        times = []
        for _ in range(5 if words != "migrate --yes" else 1):
            if before:
                measure([*ours, *before.split()])
            # `runs resolve` has nothing to resolve, and says so.
            times.append(run([*ours, *words.split()])[0])
        rows.append(f"| `fleet {words}` | {sorted(times)[len(times) // 2] * 1000:.0f} ms |")
    return rows


def large(number):
    folder = fresh("large")
    file = folder / "sql" / "0001_big.sql"
    with file.open("w") as out:
        out.write("CREATE TABLE big(id INTEGER PRIMARY KEY, v TEXT);\n")
        out.writelines(ROW.format(n) for n in range(number))
    os.environ["MANY"] = "0"
    ours = fleet(folder, f"sqlite:{folder}/fleet.db", "many-fleet")
    # The shell commits each statement unless it is told otherwise.
    inside = f"(echo 'BEGIN;'; cat {file}; echo 'COMMIT;') | sqlite3 -bail {folder}/shell.db"
    return ours, measure(["bash", "-c", inside]), file.stat().st_size


def row(first, ours, theirs):
    (seconds, peak), (other, _) = ours, theirs
    return f"| {first} | {seconds:.2f} s | {peak / 1024:.0f} MiB | {other:.2f} s | {seconds / other:.2f} |"


def main(given):
    options = arguments(given)
    if not shutil.which("sqlite3"):
        die("the sqlite3 shell is missing (Debian: apt-get install sqlite3)")
    if not options.no_build:
        build()
    found = [*versions(), load()]
    WORK.mkdir(parents=True, exist_ok=True)
    head = "| {} | fleet | peak memory | client | fleet / client |\n|---|---|---|---|---|"
    tables = []
    with Servers() as urls:
        for engine in options.engines:
            rows = []
            for number in options.scripts:
                say(f"{TITLES[engine]}, {number:,} scripts")
                rows.append(row(f"{number:,}", *scripts(engine, urls.get(engine), number)))
                say(rows[-1])
            tables.append(f"## {TITLES[engine]}, scripts of one statement\n\n{head.format('scripts')}\n" + "\n".join(rows))
            rows = []
            for number in options.migrations:
                say(f"{TITLES[engine]}, {number:,} Rust migrations")
                rows.append(row(f"{number:,}", *rust(engine, urls.get(engine), number)))
                say(rows[-1])
            title = head.format("migrations").replace("client", "SeaORM")
            tables.append(f"## {TITLES[engine]}, Rust migrations\n\n{title}\n" + "\n".join(rows))
    rows = []
    for number in options.rows:
        ours, theirs, size = large(number)
        rows.append(row(f"{number:,} ({size / 1e6:.1f} MB)", ours, theirs))
        say(rows[-1])
    tables.append(f"## SQLite, one script of many INSERTs\n\n{head.format('rows')}\n" + "\n".join(rows))
    tables.append("## The twelve SQLite tenants of the sample\n\n| command | median of 5 |\n|---|---|\n" + "\n".join(commands()))
    text = "\n".join([
        "# How fleet grows with the scripts",
        "",
        "Written by `scripts/bench scaling`; do not edit by hand. One new tenant, release build, whole processes, wall time, one",
        "run of each. client: sqlite3, psql and mariadb in a loop, a process a script (the large script: one process). SeaORM: its",
        "`Migrator::up` in one process.",
        "",
        f"- Date: {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC",
        *[f"- {line}" for line in found],
        "",
        "\n\n".join(tables),
    ])
    options.output.write_text(text + "\n")
    print(text)
