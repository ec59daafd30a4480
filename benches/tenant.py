"""A tenant with a busy table, as it is before the migrations under test: made anew for each measurement.

It fills and copies databases, and times nothing.
"""

import shutil
import sqlite3
from dataclasses import dataclass

from process import WORK, measure, program
from server import sql, url_of

# One tenant of the sample catalog's own table `tenants`, which every other table refers to.
OWNER = f"{1:032x}"


@dataclass(frozen=True)
class Case:
    """Migrations of the sample catalog that alter one table many times."""

    title: str
    table: str
    # A number that the application counts up.
    column: str
    before: str
    to: str
    steps: int
    # Rows of the history afterwards.
    history: int
    # More columns that are filled, each with what stands before the row's number, or None for a text of some length.
    filling: tuple


CASES = {
    "inventory": Case(
        "add_inventory_tracking", "inventory_items", "quantity",
        "m20250110_000002_add_tenant_features", "m20250110_000003_add_inventory_tracking", 1, 4,
        (("name", "Item "), ("description", None)),
    ),
    "orders": Case(
        "order_sale_fields and multi_platform_orders", "orders", "total",
        "m20250929_000001_marketplace_data", "m20251001_000001_multi_platform_orders", 2, 11,
        (("number", "O-"), ("notes", None)),
    ),
    "products": Case(
        "add_product_lead_times", "products", "version",
        "m20251215_000004_add_dashboard_personalization", "m20251215_000005_add_product_lead_times", 1, 19,
        (("sku", "S-"), ("name", "Product "), ("description", None)),
    ),
}
TEXT = "Stored dry, sold by the piece, and described at the length that such a text usually has. " * 2

# How each engine writes a UUID from 32 hexadecimal digits, the text of a number with something before it, and a series.
UUID = {"postgres": "'{}'::uuid", "mysql": "UNHEX('{}')", "sqlite": "'{}'"}
NUMBERED = {
    "postgres": ("lpad(to_hex(n), 32, '0')::uuid", "'{}' || n", "generate_series(1, {rows}) AS series(n)"),
    "mysql": ("UNHEX(LPAD(HEX(n), 32, '0'))", "CONCAT('{}', n)", "(SELECT seq AS n FROM seq_1_to_{rows}) AS series"),
    "sqlite": (
        "printf('%032x', n)",
        "'{}' || n",
        "(WITH RECURSIVE series(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM series WHERE n < {rows}) SELECT n FROM series)",
    ),
}


def filling(engine, case, rows):
    """The statements that make the owner and the rows of the table."""
    owner = UUID[engine].format(OWNER)
    key, numbered, series = NUMBERED[engine]
    columns, values = ["id", "tenant_id"], [key, owner]
    for column, prefix in case.filling:
        columns.append(column)
        values.append(numbered.format(prefix) if prefix else f"'{TEXT}'")
    return (
        f"INSERT INTO tenants (id, slug, name) VALUES ({owner}, 'stall', 'Stall');\n"
        f"INSERT INTO {case.table} ({', '.join(columns)}) "
        f"SELECT {', '.join(values)} FROM {series.format(rows=rows)};"
    )


class Tenant:
    """One database, or one file in one of SQLite's journal modes, at the version before a case."""

    def __init__(self, engine, case, rows, server=None, journal=None):
        self.engine, self.case, self.rows, self.server, self.journal = engine, case, rows, server, journal
        self.name = f"stall_{case.table}"
        self.folder = WORK / f"stall-{engine}-{journal or 'server'}-{case.table}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        if engine == "sqlite":
            self.prepare_file()
        elif engine == "postgres":
            self.prepare_template()

    def url(self, address=None, name=None):
        if self.engine == "sqlite":
            return f"sqlite:{self.folder}/{name or self.name}.db"
        return url_of(self.server, name or self.name, address)

    def config(self, address=None, name=None):
        """The tenant file for fleet, with the server at this address; nothing in it but the tenant."""
        file = self.folder / f"{name or self.name}.toml"
        # It holds the server's password, and fleet says so where others could read it.
        file.touch(mode=0o600)
        create = str(self.engine == "sqlite").lower()
        file.write_text(
            f'[fleet]\nname = "stall"\n[defaults]\ncreate_missing = {create}\n'
            f'[[tenant]]\nid = "stall"\nurl = "{self.url(address, name)}"\n'
        )
        return str(file)

    def to_version_before(self, name=None):
        measure([program("fleet"), "--config", self.config(name=name), "migrate", "--yes", "--to", self.case.before])

    def prepare_file(self):
        self.to_version_before("template")
        connection = sqlite3.connect(self.folder / "template.db")
        connection.executescript(filling("sqlite", self.case, self.rows) + "\nANALYZE;")
        connection.execute(f"PRAGMA journal_mode = {self.journal}")
        # Closing moves what is in the write-ahead log to the file, so that the file can be copied by itself.
        connection.close()

    def prepare_template(self):
        template = f"{self.name}_template"
        sql(self.server, f"DROP DATABASE IF EXISTS {template} WITH (FORCE);\nCREATE DATABASE {template};")
        self.to_version_before(template)
        sql(self.server, filling("postgres", self.case, self.rows), template)
        # An autovacuum in the middle of a measurement would be laid at a contender's door, and would make it wait.
        sql(self.server, "VACUUM (FREEZE, ANALYZE);", template)
        sql(self.server, f"ALTER DATABASE {template} WITH ALLOW_CONNECTIONS false;")

    def renew(self):
        """The tenant as it is before the migrations under test, and nothing left of the run before."""
        for file in self.folder.glob("fleet-ledger.db*"):
            file.unlink()
        if self.engine == "sqlite":
            for file in self.folder.glob(f"{self.name}.db*"):
                file.unlink()
            shutil.copyfile(self.folder / "template.db", self.folder / f"{self.name}.db")
        elif self.engine == "postgres":
            drop = f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE);"
            sql(self.server, f"{drop}\nCREATE DATABASE {self.name} TEMPLATE {self.name}_template;\nCHECKPOINT;")
        else:
            sql(self.server, f"DROP DATABASE IF EXISTS {self.name};\nCREATE DATABASE {self.name};")
            self.to_version_before()
            sql(self.server, filling("mysql", self.case, self.rows) + f"\nANALYZE TABLE {self.case.table};", self.name)

    def history(self):
        """How many migrations the tenant has."""
        query = "SELECT count(*) FROM seaql_migrations"
        if self.engine == "sqlite":
            connection = sqlite3.connect(self.folder / f"{self.name}.db")
            found = connection.execute(query).fetchone()[0]
            connection.close()
            return found
        return int(sql(self.server, query, self.name))

    def drop(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.engine != "sqlite":
            sql(self.server, f"DROP DATABASE IF EXISTS {self.name};\nDROP DATABASE IF EXISTS {self.name}_template;")
