"""Profiles as a shop has them, about 600 bytes of JSON each: 18 columns, a nested location, arrays, times and nulls."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

NULLS = 0.2  # of every column but external_id
YEARS = 6 * 365 * 86_400_000_000  # microseconds that times are spread over
FIRST = (
    "Agnès",
    "Björn",
    "Chidi",
    "Dorota",
    "Emre",
    "Freya",
    "Giulia",
    "Hana",
    "Iker",
    "Jonas",
    "Keiko",
    "Lucía",
    "Zoë",
)
LAST = ("Andersson", "Bakker", "Castellanos", "D'Amico", "Eriksen", "Fröhlich", "González", "Hashimoto", "O'Connor")
COMPANIES = ("Northwind Traders", 'The "Blue" Kettle', "Fabrikam Logistics", "Lamna Healthcare Group", "Åkesson & Co")
TITLES = ("Buyer", "Head of Retail", "Chief Marketing Officer", "Student", "Regional Sales Coordinator", "Florist")
STREETS = ("Mill Lane", "Avenue de la République", "Kirchgasse", "Old Harbour Road, Apt 12", "Calle de Alcalá")
PLACES = (
    ("Reykjavík", "Capital Region", "Iceland", "101", "Atlantic/Reykjavik", 64.1466, -21.9426),
    ("Lyon", "Auvergne-Rhône-Alpes", "France", "69001", "Europe/Paris", 45.764, 4.8357),
    ("Minneapolis", "MN", "United States", "55401", "America/Chicago", 44.9778, -93.265),
    ("Guadalajara", "Jalisco", "Mexico", "44100", "America/Mexico_City", 20.6597, -103.3496),
    ("Wellington", "Wellington Region", "New Zealand", "6011", "Pacific/Auckland", -41.2866, 174.7756),
)
CATEGORIES = ("stationery", "garden & patio", "footwear", "toys", "lighting", "kitchenware")
TAGS = ("early-access", "newsletter", "clearance", "loyalty", "lapsed", "gift-card", "b2b", "vip")


def write_profiles(folder: Path, rows: int, files: int = 16) -> None:
    """Parquet files of so many profiles together, always the same ones."""
    folder.mkdir(parents=True)
    edges = np.linspace(0, rows, files + 1).astype(np.int64)
    for number, (start, stop) in enumerate(pairwise(edges)):
        rng = np.random.default_rng([11, number])
        pq.write_table(_Made(rng, np.arange(start, stop)).table(), folder / f"profiles-{number:02d}.parquet")


class _Made:
    """One file's profiles."""

    def __init__(self, rng: np.random.Generator, numbers: np.ndarray) -> None:
        self.rng, self.numbers, self.rows = rng, numbers, len(numbers)

    def table(self) -> pa.Table:
        digits = pa.array(self.numbers).cast(pa.string())
        lines = pa.array(2_000_000 + self.numbers * 7_919 % 7_999_993).cast(pa.string())  # a prime: all are different
        columns = {
            "external_id": pc.binary_join_element_wise("customer", digits, "-"),
            "email": self.some(pc.binary_join_element_wise("shopper.", digits, "@mail.example.com", "")),
            "phone_number": self.some(pc.binary_join_element_wise("+1617", lines, "")),
            "first_name": self.some(self.pick(FIRST)),
            "last_name": self.some(self.pick(LAST)),
            "organization": self.some(self.pick(COMPANIES)),
            "title": self.some(self.pick(TITLES)),
            "location": self.location(),
            "points": self.some(self.whole(90_000)),
            "orders": self.some(self.whole(400).cast(pa.int32())),
            "total_spent": self.some(self.amount(180.0)),
            "average_basket": self.some(self.amount(35.0)),
            "is_member": self.some(pa.array(self.rng.random(self.rows) < 0.3)),
            "accepts_sms": self.some(pa.array(self.rng.random(self.rows) < 0.5)),
            "last_order_at": self.some(self.moment()),
            "customer_since": self.some(self.moment()),
            "favorite_category": self.some(self.pick(CATEGORIES)),
            "tags": self.tags(),
        }
        return pa.table(columns)

    def some(self, values: pa.Array) -> pa.Array:
        return pc.if_else(pa.array(self.rng.random(self.rows) < NULLS), pa.scalar(None, values.type), values)

    def pick(self, words: Sequence[str]) -> pa.Array:
        return pa.array(words).take(pa.array(self.rng.integers(0, len(words), self.rows)))

    def whole(self, most: int) -> pa.Array:
        return pa.array(self.rng.integers(0, most, self.rows))

    def amount(self, scale: float) -> pa.Array:
        return pa.array(np.round(self.rng.gamma(2.0, scale, self.rows), 2))

    def moment(self) -> pa.Array:
        start = 1_609_459_200_000_000  # 2021-01-01
        return pa.array(start + self.rng.integers(0, YEARS, self.rows)).cast(pa.timestamp("us", "UTC"))

    def location(self) -> pa.StructArray:
        chosen = self.rng.integers(0, len(PLACES), self.rows)
        city, region, country, postal, zone = (
            pa.array([p[i] for p in PLACES]).take(pa.array(chosen)) for i in range(5)
        )
        spots = [np.array([p[i] for p in PLACES])[chosen] + self.rng.normal(0, 0.05, self.rows) for i in (5, 6)]
        north, east = (self.some(pa.array(np.round(spot, 6))) for spot in spots)
        street = pc.binary_join_element_wise(self.whole(900).cast(pa.string()), self.pick(STREETS), " ")
        fields = [self.some(street), city, self.some(region), country, postal, north, east, zone]
        names = ["address1", "city", "region", "country", "zip", "latitude", "longitude", "timezone"]
        return pa.StructArray.from_arrays(fields, names)

    def tags(self) -> pa.ListArray:
        sizes = self.rng.integers(0, 5, self.rows)
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        words = pa.array(TAGS).take(pa.array(self.rng.integers(0, len(TAGS), int(offsets[-1]))))
        return self.some(pa.ListArray.from_arrays(pa.array(offsets), words))
