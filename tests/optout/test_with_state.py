"""Opting out with a state: such a row always goes out, and only a run that was cut off is continued, once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spark_klaviyo import WriteReport, WriteStopped, compact_state, write_klaviyo
from spark_klaviyo.simulator import Fault, KlaviyoSimulator
from tests.optout.people import consents

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

LIST, OTHER = "Y6nRLr", "Lst1Aa"
ANN, BEN, CAT = "ann@example.com", "ben@example.com", "cat@example.com"
EMAIL = "email.marketing"
IMPORT = {"template": "add_profiles_to_list", "list_id": LIST}
REMOVE = {"template": "remove_profiles_from_list", "list_id": LIST}
SUBSCRIBE = {"template": "bulk_subscribe_profiles", "channels": "email", "list_id": LIST, "on_reject": "keep"}
UNSUBSCRIBE = {"template": "bulk_unsubscribe_profiles", "channels": "email", "everywhere": "true"}


@dataclass
class StateRuns:
    """A local Klaviyo, a state, and runs that use both."""

    spark: SparkSession
    klaviyo: KlaviyoSimulator
    state: Path

    def people(self, *rows: Sequence[str | None], columns: str = "email string") -> DataFrame:
        return self.spark.createDataFrame([tuple(row) for row in rows], columns).coalesce(1)

    def write(self, df: DataFrame, **options: object) -> WriteReport:
        given: dict[str, object] = {
            "api_key": "pk_test_key_of_the_state",
            "base_url": self.klaviyo.url,
            "state_path": str(self.state),
            "rate_limit": "none",
        }
        return write_klaviyo(df, **{**given, **options})

    def members(self, list_id: str = LIST) -> set[str]:
        return {profile["email"] for profile in self.klaviyo.lists[list_id]}


@pytest.fixture
def runs(spark: SparkSession, tmp_path: Path) -> Iterator[StateRuns]:
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles([{"email": ANN, "external_id": "1"}, {"email": BEN, "external_id": "2"}], LIST)
        yield StateRuns(spark, klaviyo, tmp_path / "state")


@pytest.mark.parametrize(
    "options",
    [
        UNSUBSCRIBE,
        {"template": "bulk_unsubscribe_profiles", "channels": "email", "list_id": LIST},
        {"template": "bulk_suppress_profiles"},
        REMOVE,
        {"template": "request_profile_deletion", "confirm_deletion": "1"},
    ],
    ids=lambda options: options["template"],
)
def test_who_comes_back_and_leaves_again_is_let_go_again(runs: StateRuns, options: dict[str, str]) -> None:
    leaving = runs.people((ANN,))
    for _ in range(2):
        report = runs.write(leaving, **options)
        assert (report.delivered + report.accepted, report.skipped) == (1, 0)
        gone = not any(profile["email"] == ANN for profile in runs.klaviyo.profiles)
        unsubscribed = consents(runs.klaviyo).get((ANN, EMAIL)) == "UNSUBSCRIBED"
        assert gone or unsubscribed or ANN in runs.klaviyo.suppressed or ANN not in runs.members()
        runs.klaviyo.add_profiles([{"email": ANN, "external_id": "1"}], LIST)  # by a form
        runs.klaviyo.set_consent(ANN, "email", "SUBSCRIBED")


@pytest.mark.parametrize("state", [True, False])
def test_one_person_on_several_channels_leaves_them_all(runs: StateRuns, state: bool) -> None:
    runs.klaviyo.add_profiles([{"email": ANN, "phone_number": "+16175550100"}])
    for channel in ("email", "sms"):
        runs.klaviyo.set_consent(ANN, channel, "SUBSCRIBED")
    rows = [(ANN, "+16175550100", "email"), (ANN, "+16175550100", "sms"), (ANN, "+16175550100", "sms")]
    df = runs.people(*rows, columns="email string, phone_number string, words string")
    options = {**UNSUBSCRIBE, "channels": "column:words", **({} if state else {"state_path": None})}
    report = runs.write(df, **options)
    assert (report.accepted, report.skipped) == (3, 0)
    assert set(consents(runs.klaviyo).values()) == {"UNSUBSCRIBED"}


@pytest.mark.parametrize("state", [True, False])
def test_one_person_on_several_channels_is_subscribed_to_them_all(runs: StateRuns, state: bool) -> None:
    rows = [(ANN, "+16175550100", "email"), (ANN, "+16175550100", "sms"), (BEN, None, "email"), (BEN, None, "email")]
    df = runs.people(*rows, columns="email string, phone_number string, words string")
    options = {**SUBSCRIBE, "channels": "column:words", **({} if state else {"state_path": None})}
    report = runs.write(df, **options)
    assert (report.accepted, report.skipped) == (3, 1)
    found = consents(runs.klaviyo)
    assert {held for (name, _), held in found.items() if name != BEN} == {"SUBSCRIBED"}
    assert len(found) == 3
    if state:
        assert runs.write(df, **options).skipped == 4


def test_a_row_that_says_no_counts_for_its_person_with_a_state_too(runs: StateRuns) -> None:
    columns = "email string, accepts_marketing string"
    first = runs.write(runs.people((ANN, "no"), (ANN, None), (BEN, "yes"), columns=columns), **SUBSCRIBE)
    assert (first.accepted, first.reasons) == (1, {"no_consent": 1})
    assert first.skipped == 1  # a later row has the same identifier, and the no of the earlier one counts for it
    again = runs.write(runs.people((BEN, "yes"), (ANN, "yes"), columns=columns), **SUBSCRIBE)
    assert (again.accepted, again.skipped) == (1, 1)


def test_two_emails_of_one_external_id_are_both_sent_and_known_then(runs: StateRuns) -> None:
    people = runs.people(("old@example.com", "7"), (CAT, "7"), columns="email string, external_id string")
    assert runs.write(people, **IMPORT).delivered == 2
    assert runs.write(people, **IMPORT).skipped == 2


def test_a_run_that_was_cut_off_is_continued_once(runs: StateRuns) -> None:
    df = runs.people(*((f"p{n}@example.com",) for n in range(300)))
    runs.klaviyo.inject(Fault("status", status=401, after=1, path="/api/profile-subscription-bulk-delete-jobs"))
    with pytest.raises(WriteStopped) as stopped:
        runs.write(df, **UNSUBSCRIBE)
    assert stopped.value.report is not None
    assert stopped.value.report.accepted == 100
    runs.klaviyo.clear_faults()
    continued = runs.write(df, **UNSUBSCRIBE)
    assert (continued.accepted, continued.skipped) == (200, 100)
    again = runs.write(df, **UNSUBSCRIBE)
    assert (again.accepted, again.skipped) == (300, 0)


@pytest.mark.parametrize("adding", [IMPORT, {"template": "bulk_import_profiles", "list_id": f"{OTHER},{LIST}"}])
@pytest.mark.parametrize("compacted", [False, True])
def test_who_was_removed_can_be_added_again(runs: StateRuns, adding: dict[str, str], compacted: bool) -> None:
    runs.klaviyo.add_profiles([{"email": CAT, "external_id": "3"}], LIST)
    people = runs.people((ANN, "1"), (BEN, "2"), (CAT, "3"), columns="email string, external_id string")
    assert runs.write(people, **adding).delivered == 3
    assert runs.write(people, **adding).skipped == 3
    for name, identifier in ((ANN, "email"), (CAT, "external_id")):
        runs.write(people.where(f"email = '{name}'").select(identifier), **REMOVE)
    assert runs.members() == {BEN}
    if compacted:
        compact_state(runs.spark, str(runs.state))
    again = runs.write(people, **adding)
    assert (again.delivered, again.skipped) == (2, 1)
    assert runs.members() == {ANN, BEN, CAT}
    assert runs.write(people, **adding).skipped == 3


def test_what_is_there_again_is_deleted_again(runs: StateRuns) -> None:
    tokens = runs.people(("token of a device",), columns="token string")
    for _ in range(2):
        assert runs.write(tokens, template="delete_push_token", confirm_deletion=1).delivered == 1


def test_a_phone_is_known_as_it_is_sent_however_it_is_written(runs: StateRuns) -> None:
    written = [("030 1234567", "DE"), ("030 1234567", "NL")]  # two people
    people = runs.people(*written, columns="phone_number string, land string")
    country = {"default_country": "column:land"}
    assert runs.write(people, **IMPORT, **country).delivered == 2
    assert runs.write(people, **IMPORT, **country).skipped == 2
    assert runs.write(people.where("land = 'NL'"), **REMOVE, **country).delivered == 1
    again = runs.write(people, **IMPORT, **country)
    assert (again.delivered, again.skipped) == (1, 1)
    assert {one["phone_number"] for one in runs.klaviyo.lists[LIST]} >= {"+49301234567", "+31301234567"}


def test_a_removal_is_about_its_own_list(runs: StateRuns) -> None:
    columns = "email string, list string"
    people = runs.people((ANN, LIST), (ANN, OTHER), columns=columns)
    adding = {**IMPORT, "list_id": "column:list"}
    assert runs.write(people, **adding).delivered == 2
    runs.write(runs.people((ANN, OTHER), columns=columns), **{**REMOVE, "list_id": "column:list"})
    again = runs.write(people, **adding)
    assert (again.delivered, again.skipped) == (1, 1)
    assert (ANN in runs.members(LIST), ANN in runs.members(OTHER)) == (True, True)


def test_who_was_erased_can_be_added_again(runs: StateRuns) -> None:
    people = runs.people((ANN, "1"), (BEN, "2"), columns="email string, external_id string")
    importing = {"template": "create_or_update_profile"}
    runs.write(people, **importing)
    runs.write(runs.people((ANN,)), template="request_profile_deletion", confirm_deletion="1")
    again = runs.write(people, **importing)
    assert (again.delivered, again.skipped) == (1, 1)
