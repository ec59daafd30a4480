"""Measures how long a new tenant takes by `tenants provision`, and by `migrate` of the same tenant, and prints the ratio.

The tenant is one of the sample, with its 52 steps. On SQLite and PostgreSQL it is a copy of a template, whose making is measured
by itself: the first tenant of a catalog pays for it. Release build, whole processes, the two taking turns. It writes no page.

Needs what `scripts/servers` needs, and python3. It takes about a minute.
"""

import argparse
import os
import shutil
import statistics
from pathlib import Path
from urllib.parse import urlsplit

from process import ROOT, WORK, build, measure, program, say
from report import TITLES
from server import Servers, sql, url_of

# The targets of the copies, in milliseconds.
TARGETS = {"sqlite": 150, "postgres": 500}


def arguments(given):
    parser = argparse.ArgumentParser(
        prog="scripts/bench provision", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engines", default="sqlite,postgres,mysql", help="which, separated by commas")
    parser.add_argument("--runs", type=int, default=5, help="tenants of each kind (default 5)")
    parser.add_argument("--no-build", action="store_true", help="take the binaries as they are")
    options = parser.parse_args(given)
    options.engines = options.engines.split(",")
    return options


def main(given):
    options = arguments(given)
    if not options.no_build:
        build()
    with Servers() as servers:
        for engine in options.engines:
            compete(engine, servers.get(engine), options.runs)


def compete(engine, server, runs):
    folder = WORK / f"provision-{engine}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    config = folder / "tenants.toml"
    config.touch(mode=0o600)
    # A tenant that stays, so that the file is one.
    config.write_text(f'[fleet]\nname = "provision"\nscripts = "{ROOT}/migration/sql"\n[[tenant]]\nid = "first"\nurl = "sqlite:first.db"\ncreate_missing = true\n')
    os.environ["BENCH_PASSWORD"] = urlsplit(server).password if server else ""
    template = 0.0
    found = {"provision": [], "migrate": []}
    for number in range(runs + 1):
        for way in ("provision", "migrate"):
            name = f"bench_{way}_{number}"
            url = place(engine, server, folder, name)
            fleet = [program("fleet"), "--config", str(config)]
            if way == "provision":
                seconds, _ = measure([*fleet, "tenants", "provision", name, "--url", url, "--yes"])
            else:
                make(engine, server, folder, name)
                measure([*fleet, "tenants", "add", name, "--url", url])
                seconds, _ = measure([*fleet, "migrate", "--yes", "--no-preflight", "--tenant", name])
            if number > 0:
                found[way].append(seconds * 1000)
            elif way == "provision":
                template = seconds * 1000
    provision, migrate = (statistics.median(found[way]) for way in ("provision", "migrate"))
    target = TARGETS.get(engine)
    told = "" if target is None else f", {'met' if provision <= target else 'MISSED'}: the target is {target} ms"
    say(
        f"{TITLES[engine]}: provision {provision:.0f} ms, migrate {migrate:.0f} ms, {migrate / provision:.1f} times as long; the first "
        f"tenant of the catalog {template:.0f} ms{told}"
    )


def place(engine, server, folder, name):
    if engine == "sqlite":
        return f"sqlite:{folder}/{name}.db"
    sql(server, f"DROP DATABASE IF EXISTS {name};")
    password = urlsplit(server).password
    return url_of(server, name).replace(f":{password}@", ":${BENCH_PASSWORD}@")


def make(engine, server, folder, name):
    if engine == "sqlite":
        Path(folder / f"{name}.db").touch()
    else:
        sql(server, f"CREATE DATABASE {name};")
