"""Measures `fleet check` on many tenants, and writes benches/DRIFT.md.

PostgreSQL: databases that are made alike, all of them checked in one command, against one process that sends the same
catalog query to each of them over the raw driver. SQLite: files that are made alike, a tenth of them and then all, with the
peak memory. The schemas of versions are made once before, and kept as between two runs of every day.

Needs what `scripts/servers` needs, and python3. `--debug` takes debug builds, to see that it runs; its numbers mean nothing.
"""

import argparse
import datetime
import os
import shutil
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

from process import ROOT, WORK, die, measure, median, prepare, program, run, say
from report import at_most, load, versions
from server import Servers, sql, url_of


def arguments(given):
    parser = argparse.ArgumentParser(
        prog="scripts/bench drift", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--postgres", type=int, default=500, help="PostgreSQL tenants (default 500; 0 leaves them out)")
    parser.add_argument("--sqlite", type=int, default=10_000, help="SQLite tenants (default 10000)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each, of which the median counts (default 5)")
    parser.add_argument("--debug", action="store_true", help="debug builds, into the same folders")
    parser.add_argument("--no-build", action="store_true", help="take the binaries as they are")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "benches" / "DRIFT.md")
    return parser.parse_args(given)


def fleet(folder, *words):
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    return [program("fleet"), "--config", str(folder / "tenants.toml"), *words]


def tenants(name, urls, head=""):
    """A folder with a tenant file for these URLs."""
    folder = WORK / f"drift-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = folder / "tenants.toml"
    config.touch(mode=0o600)
    each = "".join(f'[[tenant]]\nid = "t{n:05}"\nurl = "{url}"\n' for n, url in enumerate(urls))
    config.write_text(f'[fleet]\nname = "drift"\n{head}{each}')
    return folder


class Tap:
    """A relay that keeps what a client sends: the log of fleet has no literals of such a text, which could be secrets."""

    def __init__(self, server):
        parts = urlsplit(server)
        self.to, self.listener, self.sent = (parts.hostname, parts.port), socket.create_server(("127.0.0.1", 0)), []
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server, sent = socket.create_connection(self.to), bytearray()
            self.sent.append(sent)
            threading.Thread(target=self.copy, args=(client, server, sent), daemon=True).start()
            threading.Thread(target=self.copy, args=(server, client, bytearray()), daemon=True).start()

    def copy(self, source, target, kept):
        while part := source.recv(65536):
            kept += part
            target.sendall(part)
        target.close()

    def queries(self):
        """The texts of the simple queries: <https://www.postgresql.org/docs/current/protocol-message-formats.html>."""
        for sent in self.sent:
            at, untyped = 0, True
            while at + 5 <= len(sent):
                kind, start = (b"", at) if untyped else (sent[at : at + 1], at + 1)
                length = int.from_bytes(sent[start : start + 4], "big")
                # A request for TLS, which is refused here, comes before the startup message.
                untyped = untyped and int.from_bytes(sent[start + 4 : start + 8], "big") == 80877103
                if kind == b"Q":
                    yield sent[start + 4 : start + length - 1].decode()
                at = start + length


def catalog_query(server, name, head):
    """The query by which fleet reads a schema, as it sends it."""
    tap = Tap(server)
    run(fleet(tenants("tap", [url_of(server, name, tap.address)], head), "check"))
    return max((text for text in tap.queries() if "pg_class" in text), key=len)


def postgres(server, number, rounds):
    say(f"PostgreSQL, {number:,} tenants")
    names = [f"drift_{n:05}" for n in range(number)]
    template = "drift_template"
    for name in [template, *names]:
        sql(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE);")
    sql(server, f"CREATE DATABASE {template};")
    scratch = f'[scratch]\npostgres_url = "{server}"\n'
    made = tenants("template", [url_of(server, template)], scratch)
    measure(fleet(made, "migrate", "--yes"))
    for name in names:
        sql(server, f"CREATE DATABASE {name} TEMPLATE {template};")
    urls = [url_of(server, name) for name in names]
    folder = tenants("postgres", urls, scratch)
    # The schema of the version is made and kept.
    measure(fleet(folder, "check"))
    ours, peak = median(fleet(folder, "check"), rounds)
    (folder / "urls").write_text("".join(f"{url}\n" for url in urls))
    os.environ["FLOOR_QUERY"] = catalog_query(server, names[0], scratch)
    theirs, _ = median([program("floor"), "postgres", str(folder / "urls"), "16", "query"], rounds)
    for name in [template, *names]:
        sql(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE);")
    line = f"| {number:,} | {ours:.2f} s | {theirs:.2f} s | {ours / theirs:.2f} | {at_most(ours / theirs, 1.5)} | {peak / 1024:.0f} MiB |"
    say(line)
    return line


def sqlite(number, rounds):
    rows = []
    made = tenants("file", ["sqlite:one.db"], "[defaults]\ncreate_missing = true\n")
    measure(fleet(made, "migrate", "--yes"))
    for count in (max(number // 10, 1), number):
        say(f"SQLite, {count:,} tenants")
        folder = tenants("sqlite", [f"sqlite:data/{n:05}.db" for n in range(count)])
        (folder / "data").mkdir()
        for n in range(count):
            shutil.copyfile(made / "one.db", folder / "data" / f"{n:05}.db")
        measure(fleet(folder, "check"))
        ours, peak = median(fleet(folder, "check"), rounds)
        rows.append(f"| {count:,} | {ours:.2f} s | {ours / count * 1000:.2f} ms | {peak / 1024:.0f} MiB |")
        say(rows[-1])
        shutil.rmtree(folder)
    return rows


def main(given):
    options = arguments(given)
    prepare(options)
    # Taken before anything is measured.
    found = [*versions(), load()]
    WORK.mkdir(parents=True, exist_ok=True)
    tables = []
    if options.postgres:
        with Servers() as urls:
            line = postgres(urls["postgres"], options.postgres, options.rounds)
        head = "| tenants | fleet check | one catalog query a tenant | ratio | target | peak memory |\n|---|---|---|---|---|---|"
        tables.append(f"## PostgreSQL\n\n{head}\n{line}")
    if options.sqlite:
        head = "| tenants | fleet check | a tenant | peak memory |\n|---|---|---|---|"
        tables.append(f"## SQLite\n\n{head}\n" + "\n".join(sqlite(options.sqlite, options.rounds)))
    text = "\n".join([
        "# How fleet checks many tenants for drift",
        "",
        f"Written by `scripts/bench drift`; do not edit by hand. {'DEBUG BUILD: ' if options.debug else ''}whole processes, wall",
        f"time, the median of {options.rounds}. The catalog query is the one that fleet sends; 16 connections at once.",
        "",
        f"- Date: {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC",
        *[f"- {line}" for line in found],
        "",
        "\n\n".join(tables),
        "",
    ])
    options.output.write_text(text)
    print(text)
