"""Two nights of an ordinary job: import, sign-ups, leavers, a mirrored list and change data, with no option to be safe.

Whoever left stays away and whoever is no part of the data is untouched, although the same tables come again each night.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from spark_klaviyo import WriteReport, write_klaviyo
from spark_klaviyo.simulator import KlaviyoSimulator

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

NEWSLETTER, VIP = "Y6nRLr", "Lst1Aa"
CHANGE = "customer_id string, email string, tier string, _change_type string, _commit_version long"


class Night:
    """The job of one night: the steps, in their order, with the options that each of them has every night."""

    def __init__(self, spark: SparkSession, klaviyo: KlaviyoSimulator, folder: Path) -> None:
        self.spark, self.folder = spark, folder
        self.account = {"base_url": klaviyo.url, "api_key": "pk_test", "on_reject": "keep"}

    def emails(self, *names: str) -> DataFrame:
        """A table of people with an id of the shop's and an email."""
        rows = [(f"crm-{name}", f"{name}@example.com") for name in names]
        return self.spark.createDataFrame(rows, "external_id string, email string").coalesce(1)

    def write(self, frame: DataFrame, template: str, step: str, **options: str) -> WriteReport:
        """One step, with a state of its own."""
        path = {} if {"change_column", "list_mode"} & set(options) else {"state_path": str(self.folder / step)}
        return write_klaviyo(frame, template=template, **options, **path, **self.account)

    def import_customers(self, *names: str) -> WriteReport:
        """All customers, onto the newsletter's list; it records no consent."""
        return self.write(self.emails(*names), "add_profiles_to_list", "customers", list_id=NEWSLETTER)

    def subscribe(self, *names: str) -> WriteReport:
        """Who signed up."""
        people = self.emails(*names).select("email")
        return self.write(people, "bulk_subscribe_profiles", "signups", channels="email", list_id=NEWSLETTER)

    def unsubscribe(self, *names: str) -> WriteReport:
        """Who left."""
        people = self.emails(*names).select("email")
        return self.write(people, "bulk_unsubscribe_profiles", "leavers", channels="email", everywhere="true")

    def mirror(self, *names: str) -> WriteReport:
        """The list of important customers becomes exactly these."""
        return self.write(self.emails(*names), "add_profiles_to_list", "", list_id=VIP, list_mode="mirror")

    def change(self, *changes: tuple[str, str, str, str, int]) -> WriteReport:
        """What changed in the table of customers."""
        feed = self.spark.createDataFrame(list(changes), CHANGE).withColumnRenamed("customer_id", "external_id")
        options = {"change_column": "_change_type", "change_key": "external_id", "on_delete": "remove"}
        return self.write(feed, "add_profiles_to_list", "", list_id=NEWSLETTER, **options)


def _counts(report: WriteReport) -> dict[str, int]:
    names = ("delivered", "accepted", "rejected", "skipped", "unsent", "removed")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def _consent(klaviyo: KlaviyoSimulator, name: str) -> str:
    [profile] = [one for one in klaviyo.profiles if one["email"] == f"{name}@example.com"]
    return str(profile["subscriptions"].get("email", {}).get("marketing", {}).get("consent", "NEVER_SUBSCRIBED"))


def _on(klaviyo: KlaviyoSimulator, list_id: str) -> set[str]:
    return {profile["email"].partition("@")[0] for profile in klaviyo.lists[list_id]}


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator(job_polls=0) as simulator:
        simulator.add_profiles([{"email": "stranger@example.com", "external_id": "else"}], NEWSLETTER)
        simulator.add_profiles([{"email": f"vip{number}@example.com"} for number in range(20)], VIP)
        yield simulator


def test_two_nights_of_an_ordinary_job(spark: SparkSession, klaviyo: KlaviyoSimulator, tmp_path: Path) -> None:
    night = Night(spark, klaviyo, tmp_path)
    vips = [f"vip{number}" for number in range(20)]

    assert _counts(night.import_customers("ann", "bob", "cat")) == {"delivered": 3}
    assert _counts(night.subscribe("ann", "bob")) == {"accepted": 2}
    assert _counts(night.unsubscribe("bob")) == {"accepted": 1}
    assert _counts(night.mirror(*vips[1:], "ann")) == {"delivered": 20, "removed": 1}
    insert = ("crm-dan", "dan@example.com", "gold", "insert", 1)
    assert _counts(night.change(insert)) == {"delivered": 1}
    assert {name: _consent(klaviyo, name) for name in ("ann", "bob", "cat", "stranger")} == {
        "ann": "SUBSCRIBED",
        "bob": "UNSUBSCRIBED",
        "cat": "NEVER_SUBSCRIBED",
        "stranger": "NEVER_SUBSCRIBED",
    }

    # The next night the same tables come again, with small changes.
    assert _counts(night.import_customers("ann", "bob", "cat", "eve")) == {"delivered": 1, "skipped": 3}
    assert _counts(night.subscribe("ann", "bob", "eve")) == {"accepted": 1, "skipped": 2}
    assert _counts(night.unsubscribe("bob", "cat")) == {"accepted": 2}
    late = night.subscribe("ann", "cat")  # the table of sign-ups is older than cat's leaving
    assert (_counts(late), late.reasons) == ({"rejected": 1, "skipped": 1}, {"opted_out": 1})
    assert _counts(night.mirror(*vips[1:], "ann", "eve")) == {"delivered": 21}
    before = ("crm-dan", "dan@example.com", "gold", "update_preimage", 2)
    after = ("crm-dan", "daniel@example.com", "gold", "update_postimage", 2)
    deleted = ("crm-cat", "cat@example.com", "silver", "delete", 3)
    assert _counts(night.change(before, after, deleted)) == {"delivered": 2, "skipped": 1}

    assert {name: _consent(klaviyo, name) for name in ("ann", "bob", "cat", "eve", "stranger")} == {
        "ann": "SUBSCRIBED",
        "bob": "UNSUBSCRIBED",
        "cat": "UNSUBSCRIBED",
        "eve": "SUBSCRIBED",
        "stranger": "NEVER_SUBSCRIBED",
    }
    assert _on(klaviyo, VIP) == {*vips[1:], "ann", "eve"}
    assert "stranger" in _on(klaviyo, NEWSLETTER)
    assert "cat" not in _on(klaviyo, NEWSLETTER)
    assert "daniel" in _on(klaviyo, NEWSLETTER)
    assert klaviyo.account.deleted == []
