"""Made-up people for the demo: international names, nested locations, nulls, and a few rows that cannot be sent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

FIRST = ("Aiko", "Amara", "Björn", "Camille", "Dmitro", "Eilidh", "Fatima", "Giulia", "Håkon", "İpek", "João", "Kofi")
LAST = (
    "Adeyemi",
    "Álvarez",
    "Çelik",
    "d'Arc",
    "Fernández",
    "Großmann",
    "Ito",
    "Kowalczyk",
    "Nowak",
    "O'Neill",
    "Şahin",
)
PLACES = (
    ("Osaka", "Japan", "530-0001", "Asia/Tokyo", 34.6937, 135.5023),
    ("Lagos", "Nigeria", "100001", "Africa/Lagos", 6.5244, 3.3792),
    ("Québec", "Canada", "G1R 4P5", "America/Toronto", 46.8139, -71.208),
    ("Kraków", "Poland", "30-001", "Europe/Warsaw", 50.0647, 19.945),
    ("Boston", "United States", "02110", "America/New_York", 42.3601, -71.0589),
    ("Curitiba", "Brazil", "80010-000", "America/Sao_Paulo", -25.4284, -49.2733),
)
TIERS = ("bronze", "silver", "gold", "platinum")
INTERESTS = ("running", "gardening", "ceramics", "jazz", "chess", "sailing", "baking")
BAD_EMAIL, BAD_PHONE, NOBODY, NOT_FINITE = 5, 4, 3, 2  # how many rows of each kind cannot be sent


def write_people(folder: Path, rows: int, files: int = 4, seed: int = 7) -> None:
    """Parquet files of `rows` people, the same for the same seed."""
    folder.mkdir(parents=True, exist_ok=True)
    table = people(rows, seed)
    step = -(-rows // files)
    for number in range(files):
        pq.write_table(table.slice(number * step, step), folder / f"people-{number}.parquet")


def people(rows: int, seed: int = 7) -> pa.Table:
    """A table of people; the first few rows are the bad ones, spread over it."""
    rng = np.random.default_rng(seed)
    number = pa.array(np.arange(rows)).cast(pa.string())
    first, last = _pick(rng, FIRST, rows), _pick(rng, LAST, rows)
    email = pc.binary_join_element_wise("person", number, "+news@mail.example.com", "")
    lines = 2_000_000 + np.arange(rows) * 7_919 % 7_999_993  # a prime: nobody shares a phone
    phone = pc.binary_join_element_wise("+1617", pa.array(lines).cast(pa.string()), "")
    spent = np.round(rng.gamma(2.0, 90.0, rows), 2)
    columns = {
        "external_id": pc.binary_join_element_wise("crm-", number, ""),
        "Email": _sometimes(rng, email, 0.1),
        "phone_number": _sometimes(rng, phone, 0.5),
        "First Name": _sometimes(rng, first, 0.05),
        "lastName": last,
        "location": _location(rng, rows),
        "tier": _pick(rng, TIERS, rows),
        "lifetime_value": spent,
        "orders": _sometimes(rng, pa.array(rng.integers(0, 60, rows)), 0.3),
        "last_order_at": _sometimes(rng, _moments(rng, rows), 0.3),
        "accepts_marketing": pa.array(rng.random(rows) < 0.6),
        "interests": _lists(rng, rows),
    }
    return pa.table(_spoiled(columns, rng.permutation(rows)))


def _pick(rng: np.random.Generator, words: Sequence[str], rows: int) -> pa.Array:
    return pa.array(words).take(pa.array(rng.integers(0, len(words), rows)))


def _sometimes(rng: np.random.Generator, values: pa.Array, nulls: float) -> pa.Array:
    return pc.if_else(pa.array(rng.random(len(values)) < nulls), pa.scalar(None, values.type), values)


def _location(rng: np.random.Generator, rows: int) -> pa.StructArray:
    chosen = rng.integers(0, len(PLACES), rows)
    city, country, postal, zone = (pa.array([place[i] for place in PLACES]).take(pa.array(chosen)) for i in range(4))
    north, east = (np.array([place[i] for place in PLACES])[chosen] + rng.normal(0, 0.05, rows) for i in (4, 5))
    names = ["city", "country", "zip", "timezone", "latitude", "longitude"]
    return pa.StructArray.from_arrays([city, country, postal, zone, np.round(north, 4), np.round(east, 4)], names)


def _moments(rng: np.random.Generator, rows: int) -> pa.Array:
    start = 1_704_067_200_000_000  # 2024-01-01, in microseconds
    return pa.array(start + rng.integers(0, 60_000_000_000_000, rows)).cast(pa.timestamp("us", "UTC"))


def _lists(rng: np.random.Generator, rows: int) -> pa.ListArray:
    sizes = rng.integers(0, 4, rows)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), _pick(rng, INTERESTS, int(offsets[-1])))


def _spoiled(columns: dict[str, pa.Array], places: np.ndarray) -> dict[str, pa.Array]:
    """A few rows made unsendable: an impossible email, an impossible phone, nobody at all, and not a number."""
    ends = np.cumsum([BAD_EMAIL, BAD_PHONE, NOBODY, NOT_FINITE])
    email, phone, nobody, number = (places[a:b] for a, b in zip([0, *ends], ends, strict=False))
    columns["Email"] = _put(columns["Email"], email, "not an address")
    columns["phone_number"] = _put(columns["phone_number"], phone, "+1 12")
    for name in ("external_id", "Email", "phone_number"):
        columns[name] = _put(columns[name], nobody, None)
    columns["lifetime_value"] = _put(pa.array(columns["lifetime_value"]), number, float("nan"))
    return columns


def _put(values: pa.Array, places: np.ndarray, value: object) -> pa.Array:
    mask = np.zeros(len(values), dtype=bool)
    mask[places[places < len(values)]] = True
    return pc.if_else(pa.array(mask), pa.scalar(value, values.type), values)
