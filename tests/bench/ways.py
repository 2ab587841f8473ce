"""The ways that are compared: plain loops, what Spark costs by itself, and those of this package."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import date, datetime
from itertools import islice
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

KEY = "pk_bench_0123456789abcdef"
KNOWN = ("email", "phone_number", "external_id", "first_name", "last_name", "organization", "title", "location")
HEADERS = {
    "Authorization": f"Klaviyo-API-Key {KEY}",
    "revision": "2026-10-15",
    "Content-Type": "application/vnd.api+json",
}
STATE = TemporaryDirectory()  # of this process
ARROW_FLOOR, ROW_FLOOR = "Arrow, no work", "rows, no work"
UNCHANGED = "write_klaviyo, nothing changed"
PATH = "/api/profile-bulk-import-jobs"


def json_loop(df: Any, url: str) -> None:
    """`foreachPartition` with `asDict` and `json.dumps`, 1,000 rows per request, eight threads."""

    def part(rows: Iterable[Any]) -> None:
        _pooled(rows, url, 1_000, lambda chunk: json.dumps(_body(chunk), default=_text).encode())

    df.foreachPartition(part)


def orjson_loop(df: Any, url: str) -> None:
    """The same with orjson and full requests: the best that a loop over rows can do."""

    def part(rows: Iterable[Any]) -> None:
        import orjson

        _pooled(rows, url, 8_000, lambda chunk: orjson.dumps(_body(chunk), default=_text))

    df.foreachPartition(part)


def no_work(df: Any, url: str) -> None:  # noqa: ARG001  every way has the same signature
    """Spark hands Arrow batches to Python, which only counts their rows: the least that any way costs."""

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows = sum(batch.num_rows for batch in batches)
        yield pa.RecordBatch.from_pydict({"rows": pa.array([rows], pa.int64())})

    df.mapInArrow(count, "rows long").collect()


def rows_no_work(df: Any, url: str) -> None:  # noqa: ARG001  every way has the same signature
    """Spark hands rows to Python, which drops them: the least that any use of `foreachPartition` costs."""

    def count(rows: Iterable[Any]) -> None:
        sum(1 for _ in rows)

    df.foreachPartition(count)


def function(df: Any, url: str) -> None:
    """`write_klaviyo` with its defaults."""
    from spark_klaviyo import write_klaviyo

    write_klaviyo(df, **sink_options(url))


def without_checks(df: Any, url: str) -> None:
    """`write_klaviyo` with `validate=off`, which shows what the checks cost."""
    from spark_klaviyo import write_klaviyo

    write_klaviyo(df, validate="off", **sink_options(url))


def source(df: Any, url: str) -> None:
    """`df.write.format("klaviyo")`."""
    from spark_klaviyo import register

    options = sink_options(url)
    register(df.sparkSession, api_key=options.pop("api_key"))
    df.write.format("klaviyo").mode("append").options(**options).save()


def unchanged(df: Any, url: str) -> None:
    """`write_klaviyo` with a state, of rows that it has delivered before."""
    from spark_klaviyo import write_klaviyo

    options = sink_options(url) | {"state_path": f"{STATE.name}/state"}
    report = write_klaviyo(df, **options)
    if report.skipped < report.rows:
        report = write_klaviyo(df, **options)
    assert report.skipped == report.rows, report


def partition(df: Any, url: str) -> None:
    """`foreachPartition(klaviyo_partition_writer(...))`."""
    from spark_klaviyo import klaviyo_partition_writer

    df.foreachPartition(klaviyo_partition_writer(schema=df.schema, **sink_options(url)))


WAYS: dict[str, Callable[[Any, str], None]] = {
    "json.dumps loop": json_loop,
    "orjson loop": orjson_loop,
    ARROW_FLOOR: no_work,
    ROW_FLOOR: rows_no_work,
    "write_klaviyo": function,
    "write_klaviyo, validate=off": without_checks,
    UNCHANGED: unchanged,
    "df.write": source,
    "foreachPartition": partition,
}

FLOORS = {
    **dict.fromkeys(("write_klaviyo", "write_klaviyo, validate=off", UNCHANGED, "df.write"), ARROW_FLOOR),
    **dict.fromkeys(("json.dumps loop", "orjson loop", "foreachPartition"), ROW_FLOOR),
}


def sink_options(url: str) -> dict[str, str]:
    """Options of a write to the sink, which has no jobs; the rate limits are measured by tests.bench.quota."""
    return {
        "template": "bulk_import_profiles",
        "api_key": KEY,
        "base_url": url,
        "rate_limit": "none",
        "wait_for_jobs": "false",
        "on_reject": "keep",
    }


def _pooled(rows: Iterable[Any], url: str, size: int, encode: Callable[[list[Any]], bytes]) -> None:
    import requests
    from requests.adapters import HTTPAdapter

    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_maxsize=8))
    source, under_way = iter(rows), set[Future[None]]()

    def post(chunk: list[Any]) -> None:
        session.post(url + PATH, data=encode(chunk), headers=HEADERS, timeout=60).raise_for_status()

    with ThreadPoolExecutor(8) as pool:
        while chunk := list(islice(source, size)):
            if len(under_way) >= 16:
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
            under_way.add(pool.submit(post, chunk))
        for future in under_way:
            future.result()


def _body(rows: list[Any]) -> dict[str, Any]:
    profiles = [_profile(row.asDict(recursive=True)) for row in rows]
    return {"data": {"type": "profile-bulk-import-job", "attributes": {"profiles": {"data": profiles}}}}


def _profile(row: dict[str, Any]) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    for name, value in row.items():
        if value is not None and name in KNOWN:
            attributes[name] = {k: v for k, v in value.items() if v is not None} if name == "location" else value
        elif value is not None:
            properties[name] = value
    return {"type": "profile", "attributes": {**attributes, "properties": properties}}


def _text(value: object) -> str:
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise TypeError(type(value).__name__)
