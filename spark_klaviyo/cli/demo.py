"""The demo: made-up people in Parquet, sent by a local Spark to a local Klaviyo over HTTP."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spark_klaviyo.cli.local_spark import session
from spark_klaviyo.entrypoints.function import write_klaviyo
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.simulator import KlaviyoSimulator

LIST_ID = "Y6nRLr"
MAX_REJECTS = 8
FIRST_NAMES = ("Aiko", "Amara", "Björn", "Camille", "Dmitro", "Eilidh", "Fatima", "Giulia", "Håkon", "İpek", "João")
LAST_NAMES = ("Adeyemi", "Álvarez", "Çelik", "d'Arc", "Großmann", "Ito", "Kowalczyk", "Nowak", "O'Neill", "Şahin")
PLACE_FIELDS = ("city", "country", "zip", "timezone", "latitude", "longitude")
PLACES = (
    ("Osaka", "Japan", "530-0001", "Asia/Tokyo", 34.6937, 135.5023),
    ("Lagos", "Nigeria", "100001", "Africa/Lagos", 6.5244, 3.3792),
    ("Québec", "Canada", "G1R 4P5", "America/Toronto", 46.8139, -71.208),
    ("Kraków", "Poland", "30-001", "Europe/Warsaw", 50.0647, 19.945),
    ("Boston", "United States", "02110", "America/New_York", 42.3601, -71.0589),
    ("Curitiba", "Brazil", "80010-000", "America/Sao_Paulo", -25.4284, -49.2733),
)
FIRST_ORDER = datetime(2024, 1, 1, tzinfo=timezone.utc)
DRAWS = 22  # random numbers that a person is made of, at most
TIERS = ("bronze", "silver", "gold", "platinum")
INTERESTS = ("running", "gardening", "ceramics", "jazz", "chess", "sailing", "baking")
# What some rows hold that cannot be sent, and how many rows.
BAD_VALUES: tuple[tuple[dict[str, object], int], ...] = (
    ({"Email": "not an address"}, 5),
    ({"phone_number": "+1 12"}, 4),
    ({"external_id": None, "Email": None, "phone_number": None}, 3),
    ({"lifetime_value": float("nan")}, 2),
)


def demo(rows: int = 100_000, *, quiet: bool = False) -> WriteReport:
    """Add made-up people to a list.

    Args:
        rows: How many people.
        quiet: Print nothing; without it each step, the report and the first rejected rows are printed.
    """
    with tempfile.TemporaryDirectory() as folder, KlaviyoSimulator(keep_bodies=False) as klaviyo:
        path = Path(folder) / "people"
        write_people(path, rows)
        if not quiet:
            _print(f"{rows:,} made-up people are in Parquet files, and a local Klaviyo listens at {klaviyo.url}.\n")
        with session("spark-klaviyo demo") as spark:
            people = spark.read.parquet(str(path))
            if not quiet:
                people.printSchema()
                _print(f'write_klaviyo(people, template="add_profiles_to_list", list_id="{LIST_ID}")\n')
            report = write_klaviyo(
                people,
                template="add_profiles_to_list",
                list_id=LIST_ID,
                api_key="pk_demo_key_of_the_simulator",
                base_url=klaviyo.url,
                on_reject="keep",
                progress="false" if quiet else "auto",
            )
        if not quiet:
            _print_report(report, members=len(klaviyo.lists[LIST_ID]))
    return report


def _print_report(report: WriteReport, members: int) -> None:
    _print(f"{report}\n")
    _print("The first rejected rows:")
    _print(f"  {'partition':>9}  {'row':>7}  {'code':<14}  detail")
    for row in report.rejects_sample[:MAX_REJECTS]:
        _print(f"  {row.partition_id:>9}  {row.row:>7,}  {row.code:<14}  {row.detail}")
    if report.rejected > MAX_REJECTS:
        _print(f"  ... and {report.rejected - MAX_REJECTS:,} more")
    _print(f"\nThe list {LIST_ID} now has {members:,} profiles.")


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()  # before the progress bar, which is on standard error


# --- people: international names, nested locations, nulls, and a few rows that cannot be sent ------


def write_people(folder: Path, rows: int, files: int = 4) -> None:
    """Parquet files of `rows` people, always the same ones."""
    folder.mkdir(parents=True, exist_ok=True)
    table = people(rows)
    step = -(-rows // files)
    for number in range(files):
        pq.write_table(table.slice(number * step, step), folder / f"people-{number}.parquet")


def people(rows: int, seed: int = 7) -> pa.Table:
    """A table of people; the rows that cannot be sent are spread over it."""
    rng = np.random.default_rng(seed)
    table = [_person(number, draws) for number, draws in enumerate(rng.random((rows, DRAWS)).tolist())]
    order = iter(rng.permutation(rows))
    for values, count in BAD_VALUES:
        for _, row in zip(range(count), order, strict=False):
            table[row].update(values)
    return pa.Table.from_pylist(table)


def _person(number: int, draws: list[float]) -> dict[str, object]:
    """One person, made of random numbers from 0 to 1."""
    draw = iter(draws).__next__
    line = 2_000_000 + number * 7_919 % 7_999_993  # a prime, so that no two people share a phone
    return {
        "external_id": f"crm-{number}",
        "Email": f"person{number}+news@mail.example.com" if draw() < 0.9 else None,
        "phone_number": f"+1617{line}" if draw() < 0.5 else None,
        "First Name": _choose(FIRST_NAMES, draw()) if draw() < 0.95 else None,
        "lastName": _choose(LAST_NAMES, draw()),
        "location": dict(zip(PLACE_FIELDS, _choose(PLACES, draw()), strict=True)),
        "tier": _choose(TIERS, draw()),
        "lifetime_value": round(1000 * draw() ** 3, 2),
        "orders": int(60 * draw()) if draw() < 0.7 else None,
        "last_order_at": FIRST_ORDER + timedelta(days=700 * draw()) if draw() < 0.7 else None,
        "accepts_marketing": draw() < 0.6,
        "interests": [interest for interest in INTERESTS if draw() < 0.3],
    }


def _choose(choices: Sequence[Any], draw: float) -> Any:
    return choices[int(draw * len(choices))]
