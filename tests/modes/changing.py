"""Writes change data to a local Klaviyo, and reads off what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from spark_klaviyo import write_klaviyo
from spark_klaviyo.report.report import WriteReport
from spark_klaviyo.simulator import KlaviyoSimulator

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

COUNTS = ("rows", "delivered", "accepted", "rejected", "skipped", "unsent")
COLUMNS = ("pk", "op", "at", "email", "external_id", "phone_number", "first_name", "list")
LIST, OTHER_LIST = "Y6nRLr", "Lst1Aa"


def feed(spark: SparkSession, columns: str, *rows: tuple[object, ...], partitions: int = 2) -> DataFrame:
    """A change feed of these columns (`COLUMNS` by name, blank-separated), all text but `pk` and a whole `at`."""
    is_whole = {"pk": True, "at": all(isinstance(row[columns.split().index("at")], int | None) for row in rows)}
    schema = ", ".join(f"{name} {'int' if is_whole.get(name) else 'string'}" for name in columns.split())
    return spark.createDataFrame(list(rows), schema).repartition(partitions)


def written(changes: DataFrame, klaviyo: KlaviyoSimulator, **given: object) -> WriteReport:
    options = {
        "template": "add_profiles_to_list",
        "list_id": LIST,
        "change_column": "op" if "op" in changes.columns else "_change_type",
        **({"change_order": "at"} if "at" in changes.columns else {}),
        "base_url": klaviyo.url,
        "api_key": "pk_test",
        "rate_limit": "none",
        **given,
    }
    return write_klaviyo(changes, **options)


def on_list(klaviyo: KlaviyoSimulator, list_id: str = LIST) -> set[str]:
    return {profile["email"].lower() for profile in klaviyo.lists[list_id]}


def emails(profiles: Iterable[dict[str, object]]) -> set[object]:
    return {profile["email"] for profile in profiles}


def counts(report: WriteReport) -> dict[str, int]:
    return {name: getattr(report, name) for name in COUNTS if getattr(report, name)}
