"""Measures `fleet lint` over many scripts that look like real ones, and prints the times.

The scripts make tables, add columns, indexes, keys and views, and change rows; each has a way down. They are linted for one
engine and for all three. No server is needed.
"""

import argparse
import os
import random
import shutil

from process import WORK, measure, prepare, program, say


def arguments(given):
    parser = argparse.ArgumentParser(
        prog="scripts/bench lint", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scripts", type=int, default=500, help="how many (default 500)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each, of which the median counts (default 5)")
    parser.add_argument("--debug", action="store_true", help="debug builds, into the same folders")
    parser.add_argument("--no-build", action="store_true", help="take the binary as it is")
    return parser.parse_args(given)


def script(n, pick):
    """The ways up and down of script number n."""
    t = f"things_{n // 10}"
    if n % 10 == 0:
        columns = ",\n  ".join(f"field_{c} varchar(200) NOT NULL DEFAULT ''" for c in range(pick.randint(5, 25)))
        return f"-- Things of kind {n}.\nCREATE TABLE {t} (\n  id integer NOT NULL PRIMARY KEY,\n  {columns}\n);\n", f"DROP TABLE {t};\n"
    kinds = [
        (f"ALTER TABLE {t} ADD COLUMN extra_{n} integer DEFAULT 0 NOT NULL;\n", f"ALTER TABLE {t} DROP COLUMN extra_{n};\n"),
        (f"CREATE INDEX ix_{n} ON {t} (field_1, field_2);\n", f"DROP INDEX ix_{n};\n"),
        (f"UPDATE {t} SET field_0 = 'a;b' WHERE field_1 = '' AND id > {n};\nDELETE FROM {t} WHERE field_2 = 'gone';\n", "SELECT 1;\n"),
        (f"CREATE VIEW totals_{n} AS SELECT field_1, count(*) AS n FROM {t} GROUP BY field_1;\n", f"DROP VIEW totals_{n};\n"),
        (f"INSERT INTO {t} (id, field_0) VALUES\n" + ",\n".join(f"  ({n * 1000 + r}, 'row {r}')" for r in range(30)) + ";\n",
         f"DELETE FROM {t} WHERE id >= {n * 1000};\n"),
    ]
    return pick.choice(kinds)


def main(given):
    options = arguments(given)
    prepare(options)
    folder = WORK / "lint"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "sql").mkdir(parents=True)
    pick = random.Random(7)
    for n in range(options.scripts):
        for way, text in zip(("up", "down"), script(n, pick), strict=True):
            (folder / "sql" / f"{n + 1:05}_step.{way}.sql").write_text(text)
    config = folder / "tenants.toml"
    config.touch(mode=0o600)
    config.write_text(f'[fleet]\nname = "lint"\nscripts = "{folder}/sql"\n[[tenant]]\nid = "one"\nurl = "sqlite:one.db"\n')
    for engines in (["sqlite"], ["postgres"], ["sqlite", "postgres", "mysql"]):
        words = [word for engine in engines for word in ("--engine", engine)]
        command = [program("fleet"), "--config", str(config), "lint", "--fail-on", "never", *words, "-o", os.devnull]
        times = sorted(measure(command)[0] for _ in range(options.rounds))
        say(f"{options.scripts:,} scripts and the sample's migrations, {', '.join(engines)}: {times[len(times) // 2]:.2f} s")
