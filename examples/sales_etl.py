"""ETL over files with sqlite: the files of each region are loaded at the same time, and totals are exported.

Every step may run again: a file's rows go in under its name, and what it held before goes out in the same
transaction.
"""

import csv
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path

import msgspec

from flower_engine import RetryPolicy, program, workflow

REGIONS = ("north", "south", "west")

TABLES = """
CREATE TABLE IF NOT EXISTS sale (
    file TEXT, region TEXT, day TEXT, article TEXT, pieces INTEGER, cents INTEGER
);
CREATE INDEX IF NOT EXISTS sale_file ON sale (file);
"""


class Loaded(msgspec.Struct, omit_defaults=True):
    """What became of a region's files; ``wrong`` counts lines that are no sales."""

    region: str
    rows: int
    wrong: int = 0


class Exported(msgspec.Struct):
    file: Path
    articles: int


@contextmanager
def connected(database: Path) -> Generator[sqlite3.Connection]:
    """A connection whose transaction ends with the block; others may write at the same time."""
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        yield connection


@program
def make_tables(database: Path) -> None:
    with connected(database) as connection:
        connection.executescript(TABLES)


@program
def find_files(folder: Path, region: str, day: date) -> list[Path]:
    """The region's files of a day; none is no mistake."""
    return sorted(folder.glob(f"{region}-{day}*.csv"))


@program
def load_files(database: Path, files: list[Path], region: str, day: date) -> Loaded:
    """Puts the rows of files into the table, in place of what these files held before."""
    rows, wrong = 0, 0
    with connected(database) as connection:
        for file in files:
            connection.execute("DELETE FROM sale WHERE file = ?", (file.name,))
            with file.open(newline="") as lines:
                for line in csv.DictReader(lines):
                    try:
                        sale = (line["article"], int(line["pieces"]), int(line["cents"]))
                    except (KeyError, TypeError, ValueError):
                        wrong += 1
                        continue
                    connection.execute(
                        "INSERT INTO sale VALUES (?, ?, ?, ?, ?, ?)", (file.name, region, str(day), *sale)
                    )
                    rows += 1
    return Loaded(region, rows, wrong)


@program
def check(loaded: list[Loaded], most_wrong: int) -> int:
    """Stops the flow where more lines are wrong than may be; a person looks, and lets it go on or not."""
    wrong = sum(one.wrong for one in loaded)
    if wrong > most_wrong:
        regions = ", ".join(one.region for one in loaded if one.wrong)
        raise ValueError(f"{wrong} lines are no sales ({regions}); at most {most_wrong} may be wrong")
    return sum(one.rows for one in loaded)


@program
def export_totals(database: Path, folder: Path, day: date) -> Exported:
    """Totals by article as a file, the largest first."""
    file = folder / f"totals-{day}.csv"
    with connected(database) as connection, file.open("w", newline="") as lines:
        found = connection.execute(
            "SELECT article, SUM(pieces), SUM(cents) FROM sale WHERE day = ? GROUP BY 1 ORDER BY 3 DESC, 1",
            (str(day),),
        ).fetchall()
        csv.writer(lines).writerows([("article", "pieces", "cents"), *found])
    return Exported(file, len(found))


@workflow("sales_etl", timeout="1h", labels={"team": "dwh"})
def sales_etl(day: date, folder: Path, database: Path, most_wrong: int = 0) -> dict[str, object]:
    """Loads the sales of a day from the files of all regions, checks them, and exports totals."""
    busy = RetryPolicy(5, delay="2s", no_retry_on=[UnicodeDecodeError])
    tables = make_tables.step(database)
    loaded: list[Loaded] = []
    for region in REGIONS:  # known when the workflow is defined, so these are tasks of their own
        files = find_files.having(name=f"find_{region}").step(folder, region, day)
        load = load_files.having(name=f"load_{region}", after=[tables], retry=busy, timeout="10m")
        loaded.append(load.step(database, files, region, day))
    rows = check.step(loaded, most_wrong)
    totals = export_totals.having(after=[rows]).step(database, folder, day)
    return {"rows": rows, "file": totals.file, "articles": totals.articles}
