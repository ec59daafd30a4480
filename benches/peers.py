"""Runners of others, beside SeaORM's: the same statements, which `fleet plan --sql` shows, in each one's own files.

dbmate and alembic are one process a tenant, at the `-P` of SeaORM's; drizzle's migrator loops over the tenants in one process.
They come from the registries of npm and Python, once, into target/bench-peers.
"""

import json
import shutil
import sqlite3
import subprocess

from process import ROOT, TARGET, WORK, die, program, say
from server import sql

HOME = TARGET / "bench-peers"
FILES = ROOT / "benches" / "peers"
NPM = ["dbmate@2", "drizzle-orm@0.45", "postgres@3", "mysql2@3", "@libsql/client@0.18"]
PYTHON = ["alembic==1.*", "psycopg[binary]==3.*", "pymysql==1.*", "pysqlite3-binary==0.5.*"]

# Where each keeps what it has applied.
HISTORY = {
    "dbmate": "schema_migrations",
    "alembic": "alembic_version",
    "drizzle": {"postgres": "drizzle.__drizzle_migrations", "mysql": "__drizzle_migrations", "sqlite": "__drizzle_migrations"},
}
PEERS = list(HISTORY)


def install():
    if (HOME / "complete").exists():
        return
    say(f"installing {', '.join(PEERS)} into {HOME}")
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    (HOME / "package.json").write_text('{"private": true}\n')
    for command in (
        ["npm", "install", "--silent", "--no-audit", "--no-fund", *NPM],
        ["python3", "-m", "venv", "python"],
        ["python/bin/pip", "install", "--quiet", *PYTHON],
    ):
        if subprocess.run(command, cwd=HOME).returncode != 0:
            die(f"{command[0]} failed; --contenders leaves the others out")
    (HOME / "complete").touch()


def migrations(fleet):
    """[(name, statements)] of the whole catalog for an engine, as a new tenant is sent them."""
    command = [program("fleet"), "--config", str(fleet.config), "plan", "--sql", "--format", "json", "--limit", "1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=WORK)
    if done.returncode != 0:
        die(f"fleet plan: {done.stderr.strip()}")
    return [(script["migration"], script["statements"]) for script in json.loads(done.stdout)["scripts"]]


class Peer:
    """One of them, on the tenants of a fleet, which are there already."""

    def __init__(self, name, fleet):
        self.name, self.fleet = name, fleet
        self.folder = fleet.folder / name
        self.folder.mkdir()
        all = migrations(fleet)
        self.size = len(all)
        getattr(self, f"write_{name}")(all)

    def write_dbmate(self, all):
        for number, (name, statements) in enumerate(all):
            text = "".join(f"{statement};\n" for statement in statements) or "SELECT 1;\n"
            (self.folder / f"{number:04}_{name}.sql").write_text(f"-- migrate:up\n{text}-- migrate:down\n")

    def write_alembic(self, all):
        shutil.copyfile(FILES / "env.py", self.folder / "env.py")
        (self.folder / "versions").mkdir()
        (self.folder / "alembic.ini").write_text(f"[alembic]\nscript_location = {self.folder}\n")
        for number, (_, statements) in enumerate(all):
            before = f'"{number - 1:04}"' if number else "None"
            (self.folder / "versions" / f"{number:04}.py").write_text(
                f'from alembic import op\n\nrevision = "{number:04}"\ndown_revision = {before}\n\n\n'
                "def upgrade():\n    send = op.get_bind().execution_options(no_parameters=True).exec_driver_sql\n"
                f"    for statement in {statements!r}:\n        send(statement)\n"
            )

    def write_drizzle(self, all):
        shutil.copyfile(FILES / "drizzle.mjs", HOME / "drizzle.mjs")
        entries = []
        for number, (name, statements) in enumerate(all):
            tag = f"{number:04}_{name}"
            text = "--> statement-breakpoint\n".join(f"{statement};\n" for statement in statements) or "SELECT 1;\n"
            (self.folder / f"{tag}.sql").write_text(text)
            entries.append({"idx": number, "version": "7", "when": number + 1, "tag": tag, "breakpoints": True})
        (self.folder / "meta").mkdir()
        journal = {"version": "7", "dialect": self.fleet.engine, "entries": entries}
        (self.folder / "meta" / "_journal.json").write_text(json.dumps(journal))

    def urls(self):
        """The tenants' URLs in the form that it takes."""
        urls = self.fleet.list.read_text().splitlines()
        if self.name == "alembic":
            drivers = {"postgres": "postgresql+psycopg://", "mysql": "mysql+pymysql://"}
            if self.fleet.engine == "sqlite":
                return [url.replace("sqlite:", "sqlite:///").split("?")[0] for url in urls]
            return [drivers[self.fleet.engine] + url.split("://")[1] for url in urls]
        if self.name == "dbmate":
            ending = "?sslmode=disable" if self.fleet.engine == "postgres" else ""
            return [url.split("?")[0] + ending for url in urls]
        return urls

    def command(self, concurrency, xargs):
        own = self.folder / "tenants.txt"
        own.write_text("\n".join(self.urls()) + "\n")
        if self.name == "drizzle":
            script = str(HOME / "drizzle.mjs")
            return ["node", script, self.fleet.engine, str(own), str(concurrency), str(self.folder)]
        each = {
            "dbmate": [str(next(HOME.glob("node_modules/@dbmate/*/bin/dbmate"))), "-u", "{}", "-d", str(self.folder), "--no-dump-schema", "migrate"],
            "alembic": [str(HOME / "python/bin/alembic"), "-c", str(self.folder / "alembic.ini"), "-x", "url={}", "upgrade", "head"],
        }[self.name]
        return ["xargs", "-a", str(own), "-P", str(xargs), "-I", "{}", *each]

    def verify(self):
        """The first, the middle and the last tenant have the whole catalog."""
        names, size = self.fleet.names, self.size
        table = HISTORY[self.name]
        table = table if isinstance(table, str) else table[self.fleet.engine]
        # alembic keeps the last version alone.
        what, wanted = ("max(version_num)", f"{size - 1:04}") if self.name == "alembic" else ("count(*)", str(size))
        for name in {names[0], names[len(names) // 2], names[-1]}:
            query = f"SELECT {what} FROM {table}"
            if self.fleet.engine == "sqlite":
                with sqlite3.connect(self.fleet.url(name).removeprefix("sqlite:").split("?")[0]) as connection:
                    found = str(connection.execute(query).fetchone()[0])
            else:
                found = sql(self.fleet.server, query, name).strip()
            if found != wanted:
                die(f"{self.name} left {name} at {found} of {wanted}")
