"""The demo: made-up people in Parquet, sent by a local Spark to a local Klaviyo over HTTP."""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds

from spark_klaviyo.cli.local_spark import session
from spark_klaviyo.entrypoints.function import write_klaviyo
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.simulator import KlaviyoSimulator

LIST_ID = "Y6nRLr"
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
TIERS = ("bronze", "silver", "gold", "platinum")
INTERESTS = ("running", "gardening", "ceramics", "jazz", "chess", "sailing", "baking")
# What some rows hold that cannot be sent.
BAD_VALUES: list[Mapping[str, object]] = [
    *[{"Email": "not an address"}] * 5,
    *[{"phone_number": "+1 12"}] * 4,
    *[{"external_id": None, "Email": None, "phone_number": None}] * 3,
    *[{"lifetime_value": float("inf")}] * 2,
]


def demo(rows: int = 100_000, *, quiet: bool = False) -> WriteReport:
    """Add made-up people to a list.

    Args:
        rows: How many people.
        quiet: Print nothing; without it each step and the report are printed.
    """

    def say(text: str) -> None:
        if not quiet:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()  # before the progress bar, which is on standard error

    with tempfile.TemporaryDirectory() as folder, KlaviyoSimulator(keep_bodies=False) as klaviyo:
        path = Path(folder) / "people"
        write_people(path, rows)
        say(f"{rows:,} made-up people are in Parquet files, and a local Klaviyo listens at {klaviyo.url}.\n")
        with session("spark-klaviyo demo") as spark:
            people = spark.read.parquet(str(path))
            if not quiet:
                people.printSchema()
            say(f'write_klaviyo(people, template="add_profiles_to_list", list_id="{LIST_ID}")\n')
            report = write_klaviyo(
                people,
                template="add_profiles_to_list",
                list_id=LIST_ID,
                api_key="pk_demo_key_of_the_simulator",
                base_url=klaviyo.url,
                on_reject="keep",
                progress="false" if quiet else "auto",
            )
        say(f"{report}\n\nThe list {LIST_ID} now has {len(klaviyo.lists[LIST_ID]):,} profiles.")
    return report


# --- people: international names, nested locations, nulls, and a few rows that cannot be sent ------


def write_people(folder: Path, rows: int, files: int = 4) -> None:
    """Parquet files of `rows` people, always the same ones."""
    step = -(-rows // files)
    ds.write_dataset(people(rows), folder, format="parquet", max_rows_per_file=step, max_rows_per_group=step)


def people(rows: int) -> pa.Table:
    """A table of people; the rows that cannot be sent are spread over it."""
    rng = random.Random(7)  # noqa: S311  no secret
    table = [_person(number, rng) for number in range(rows)]
    for values, row in zip(BAD_VALUES, rng.sample(range(rows), rows), strict=False):
        table[row].update(values)
    return pa.Table.from_pylist(table)


def _person(number: int, rng: random.Random) -> dict[str, object]:
    """One person."""
    line = 2_000_000 + number * 7_919 % 7_999_993  # a prime, so that no two people share a phone
    return {
        "external_id": f"crm-{number}",
        "Email": f"person{number}+news@mail.example.com" if rng.random() < 0.9 else None,
        "phone_number": f"+1617{line}" if rng.random() < 0.5 else None,
        "First Name": rng.choice(FIRST_NAMES) if rng.random() < 0.95 else None,
        "lastName": rng.choice(LAST_NAMES),
        "location": dict(zip(PLACE_FIELDS, rng.choice(PLACES), strict=True)),
        "tier": rng.choice(TIERS),
        "lifetime_value": round(1000 * rng.random() ** 3, 2),
        "orders": rng.randrange(60) if rng.random() < 0.7 else None,
        "last_order_at": FIRST_ORDER + timedelta(days=700 * rng.random()) if rng.random() < 0.7 else None,
        "accepts_marketing": rng.random() < 0.6,
        "interests": [interest for interest in INTERESTS if rng.random() < 0.3],
    }
