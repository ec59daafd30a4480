"""Servers of the benchmark's own, the relay that puts a network before them, and their command line clients."""

import os
import re
import subprocess
from urllib.parse import urlsplit, urlunsplit

from process import DATA, ROOT, TARGET, die, program


class Servers:
    def __enter__(self):
        state = f"{DATA}/servers" if DATA else str(TARGET / "servers-for-bench")
        self.environment = dict(os.environ, FLEET_SERVERS_STATE=state, FLEET_TEST_WITHOUT="mysql")
        started = subprocess.run(
            [ROOT / "scripts/servers", "start", "--durable"], env=self.environment, stdout=subprocess.PIPE, text=True
        )
        if started.returncode != 0:
            die("the servers did not start")
        found = dict(re.findall(r"^export (\w+)=(\S+)$", started.stdout, re.MULTILINE))
        postgres = found["FLEET_TEST_POSTGRES_URL"]
        return {"postgres": postgres, "schemas": postgres, "mysql": found["FLEET_TEST_MARIADB_URL"]}

    def __exit__(self, *_):
        subprocess.run([ROOT / "scripts/servers", "stop"], env=self.environment)


class Relay:
    def __init__(self, server, delay):
        parts = urlsplit(server)
        command = [program("relay"), f"{parts.hostname}:{parts.port}", str(delay)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()

    def __enter__(self):
        return self.address

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def url_of(server, database, address=None):
    """The URL of a database on a server, at another address where there is one."""
    parts = urlsplit(server)
    host = address or f"{parts.hostname}:{parts.port}"
    return urlunsplit((parts.scheme, f"{parts.username}:{parts.password}@{host}", f"/{database}", "", ""))


def sql(server, text, database=None):
    """Runs statements through the server's own client; what it prints, without headings."""
    parts = urlsplit(server)
    environment = dict(os.environ)
    where = ["-h", parts.hostname]
    if parts.scheme == "postgres":
        environment["PGPASSWORD"] = parts.password
        command = ["psql", *where, "-p", str(parts.port), "-U", parts.username, "-d", database or "postgres", "-XqAt"]
        command += ["-v", "ON_ERROR_STOP=1"]
    else:
        environment["MYSQL_PWD"] = parts.password
        command = ["mariadb", "--no-defaults", "-N", *where, "-P", str(parts.port), "-u", parts.username]
        command += [database] if database else []
    done = subprocess.run(command, input=text, text=True, env=environment, capture_output=True)
    if done.returncode != 0:
        die(f"{command[0]}: {done.stderr.strip()}")
    return done.stdout
