"""What contradicts itself, or belongs elsewhere, is refused with a sentence that says what to do."""

from __future__ import annotations

from typing import Any

import pytest

from spark_klaviyo.core.secrets import Secret
from spark_klaviyo.options.choices import ListMode, OnReject
from spark_klaviyo.options.entrypoints import TASK_ENTRY_POINTS, EntryPoint
from tests.options.catalog import KEY, complaints, read, to_list

pytestmark = pytest.mark.oldest

URL = {"url": "https://a.klaviyo.com/api/x"}
PLAIN = "plain http would show the key to the network; use https, or give allow_http=true"
MIRROR = to_list(list_mode="mirror")


def changes(**given: Any) -> dict[str, Any]:
    """The usual options of change data."""
    return to_list(change_column="op", **given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "template: is required: the name of an endpoint template, or url for manual mode"),
        (to_list(**URL), "template: is given besides url; give one of them"),
        ({"template": "nonsense"}, "template: there is no 'nonsense'; `spark-klaviyo templates` lists them all"),
        (
            to_list(template="create_event", metric="m"),
            "list_id: belongs to other templates (add_profile_ids_to_list, add_profiles_to_list, bulk_import_profiles",
        ),
        (
            {**URL, "tag_id": "x"},
            "tag_id: belongs to templates (remove_tag_from_campaigns, remove_tag_from_flows, remove_tag_from_lists",
        ),
        ({**URL, "fields": "{}"}, "fields: belongs to templates; in manual mode rows are sent as they are"),
        (to_list(method="PUT"), "method: belongs to manual mode (url=...); here the template decides it, leave it out"),
        (to_list(base_url="http://a.klaviyo.com"), f"base_url: {PLAIN}"),
        ({"url": "http://10.0.0.1/x", "trusted_hosts": "10.0.0.1"}, f"url: {PLAIN}"),
        (to_list(headers="Authorization:x"), "headers: authorization is set by the template; use api_key"),
        (to_list(headers="Content-Type:x"), "headers: content-type is set by the template; leave it out"),
        ({**URL, "headers": "Authorization:x"}, "headers: authorization is set besides key_in=header; give"),
        (to_list(record_column="r", fields={"email": "e"}), "fields: cannot be combined with record_column, whose"),
        (to_list(batch_mode=False, max_rows=5), "max_rows: contradicts batch_mode=false, which"),
        (to_list(unique_id_columns="a"), "unique_id_columns: template add_profiles_to_list sends no unique_id;"),
        (to_list(on_delete="ignore"), "on_delete: needs change_column, the column that holds the kind of change"),
        (
            changes(),
            "on_delete: is required with change_column; give what a delete means: remove (from the list), suppress,",
        ),
        (
            changes(on_delete="ignore", state_path="/s"),
            "state_path: cannot be combined with change_column: change data",
        ),
        (changes(on_delete="delete"), "confirm_deletion: is required by on_delete=delete, as what it deletes cannot"),
        (
            changes(on_delete="remove", list_id="a,b"),
            "on_delete: remove needs a single list, and list_id names several",
        ),
        (
            {"template": "create_event", "metric": "m", "change_column": "c", "on_delete": "remove"},
            "on_delete: remove is not possible with template create_event; give ignore",
        ),
        (to_list(max_removals=5), "max_removals: nothing is removed without list_mode=mirror; leave max_removals out"),
        ({**MIRROR, "list_id": "a,b"}, "list_id: must be a single list where list_mode=mirror"),
        ({**MIRROR, "list_id": "column:l"}, "list_id: must be a single list where list_mode=mirror"),
        (
            {"template": "create_event", "metric": "m", "list_mode": "mirror"},
            "list_mode: mirror needs the template add_profiles_to_list",
        ),
        (
            {**MIRROR, "change_column": "c", "on_delete": "ignore"},
            "list_mode: mirror needs the whole list, and change_column",
        ),
        (to_list(confirm_deletion=3), "confirm_deletion: template add_profiles_to_list deletes nothing; leave it out"),
        (to_list(list_id=" "), "list_id: must be a text that is not empty, not ' '"),
        (to_list(list_id="a,,b"), "list_id: must be free of empty entries, not 'a,,b'"),
        (to_list(list_id="Y6nRLr,column:l"), "list_id: must be either values or a single column:NAME"),
        ({**MIRROR, "list_id": "a,name:b"}, "list_id: must be a single list where list_mode=mirror"),
        (to_list(list_id="column:"), "list_id: must be column:NAME with the name of a column, not 'column:'"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], expected: str) -> None:
    [said] = complaints(**given)
    assert said.startswith(expected)


def test_every_entry_point_with_a_session_complains_at_once_of_change_data_that_cannot_be_written() -> None:
    for entry_point in (EntryPoint.FUNCTION, EntryPoint.COMMAND, EntryPoint.BATCH, EntryPoint.CHECK):
        said = complaints(entry_point, **changes(state_path="/s", api_key=Secret(KEY)))
        assert [line.partition(":")[0] for line in said] == ["state_path", "on_delete"]
    guarded = changes(on_delete="delete", api_key=Secret(KEY))
    numbers = {EntryPoint.FUNCTION: "exact number of deletes", EntryPoint.BATCH: "most deletes of a micro-batch"}
    for entry_point, number in numbers.items():
        [missing] = complaints(entry_point, **guarded)
        assert missing.startswith("confirm_deletion: is required by on_delete=delete")
        assert number in missing
    assert complaints(EntryPoint.PREVIEW, **guarded) == ()


def subscribe(**given: object) -> dict[str, Any]:
    """The options of a template with all kinds of settings."""
    return {"template": "bulk_subscribe_profiles", "list_id": "L", "channels": "email", **given}


def test_settings_of_a_template_join_the_table() -> None:
    options = read(**subscribe(channels=["SMS", "email"], historicalImport=True, custom_source="shop"))
    assert options.settings == {
        "list_id": "L",
        "channels": "sms,email",
        "historical_import": "true",
        "custom_source": "shop",
    }
    assert "historical_import" not in read(**subscribe()).settings
    assert read(**to_list(list_id=["name:News, and more", "a"])).settings["list_id"] == "a,name:News, and more"
    assert read(**subscribe(list_id="name:News, and more", channels="column:c")).settings["channels"] == "column:c"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"channels": "fax"}, "channels: must be one of email, email.open_tracking, "),
        ({"historical_import": "maybe"}, "historical_import: must be one of true, false, not 'maybe'"),
        ({"custom_source": "column:c"}, "custom_source: must be one value for all rows: it cannot come from a column"),
        ({"custom_source": "name:x"}, "custom_source: must be the value itself: it cannot be looked up by name"),
        ({"list_id": ["a", "b"]}, "list_id: must be a text that is not empty, not a list"),
    ],
)
def test_a_setting_takes_what_its_template_says(given: dict[str, Any], expected: str) -> None:
    [said] = complaints(**subscribe(**given))
    assert said.startswith(expected)


NEEDS_A_SESSION = {
    "state_path": "/x",
    "list_mode": "add",
    "change_column": "c",
    "on_delete": "ignore",
    "send_from": "driver",
    "rejects_path": "table:a.b",
    "receipts_path": "table:a.b",
    "runs_path": "table:a.b",
}


@pytest.mark.parametrize("entry_point", [one for one in EntryPoint if not one.has_session], ids=lambda one: one.value)
@pytest.mark.parametrize("name", sorted(NEEDS_A_SESSION))
def test_without_a_session_an_option_that_needs_one_is_refused(entry_point: EntryPoint, name: str) -> None:
    given = to_list(**{name: NEEDS_A_SESSION[name], "api_key": Secret(KEY)})
    said = [line for line in complaints(entry_point, **given) if "has no session before and after its tasks" in line]
    assert [line.split(":")[0] for line in said] == [name]
    assert ("klaviyo_batch_writer" if entry_point is EntryPoint.STREAM else "write_klaviyo") in said[0]


@pytest.mark.parametrize("entry_point", [one for one in EntryPoint if one.has_session], ids=lambda one: one.value)
def test_with_a_session_every_option_is_taken(entry_point: EntryPoint) -> None:
    given = to_list(**NEEDS_A_SESSION, api_key=Secret(KEY))
    del given["state_path"]  # which change data does not take
    assert read(entry_point, **given).change_column == "c"
    assert read(entry_point, **to_list(state_path="/x", api_key=Secret(KEY))).state_path == "/x"


def test_a_stream_mirrors_no_list() -> None:
    [said] = complaints(EntryPoint.BATCH, **MIRROR)
    assert said.startswith("list_mode: mirror is not possible in a stream, where no micro-batch is the whole list")
    assert said.endswith("use write_klaviyo")
    assert read(EntryPoint.FUNCTION, **MIRROR).list_mode is ListMode.MIRROR


def test_a_deletion_needs_an_entry_point_that_counts_rows_first() -> None:
    deletion: dict[str, Any] = {"template": "request_profile_deletion", "api_key": Secret(KEY)}
    for entry_point in TASK_ENTRY_POINTS:
        [said] = complaints(entry_point, **deletion)
        assert said.startswith("template: request_profile_deletion deletes, and ")
    assert read(EntryPoint.BATCH, confirm_deletion="5", **deletion).confirm_deletion == 5


@pytest.mark.parametrize(
    ("entry_point", "expected"),
    [
        (EntryPoint.FUNCTION, OnReject.FAIL),
        (EntryPoint.SOURCE, OnReject.FAIL),
        (EntryPoint.COMMAND, OnReject.FAIL),
        (EntryPoint.PARTITION, OnReject.KEEP),
        (EntryPoint.BATCH, OnReject.KEEP),
        (EntryPoint.STREAM, OnReject.KEEP),
    ],
)
def test_rejects_are_kept_where_raising_would_send_again(entry_point: EntryPoint, expected: OnReject) -> None:
    assert read(entry_point, **to_list(api_key=Secret(KEY))).on_reject is expected


def test_foreach_partition_cannot_fail_on_rejects() -> None:
    [said] = complaints(EntryPoint.PARTITION, **to_list(on_reject="fail"))
    assert said.startswith("on_reject: fail is not possible at klaviyo_partition_writer")
    assert read(EntryPoint.STREAM, **to_list(on_reject="fail", api_key=Secret(KEY))).on_reject is OnReject.FAIL


@pytest.mark.parametrize("entry_point", [EntryPoint.CHECK, EntryPoint.FOLLOW])
def test_an_account_can_be_asked_without_an_endpoint(entry_point: EntryPoint) -> None:
    assert read(entry_point).template is None


def test_plain_http_is_for_loopback_or_for_those_who_ask_for_it() -> None:
    assert read(**to_list(base_url="http://localhost:8080")).base_url == "http://localhost:8080"
    assert read(**to_list(base_url="http://a.klaviyo.com", allow_http="true")).base_url == "http://a.klaviyo.com"


def test_every_entry_point_has_a_name_for_messages() -> None:
    assert all(entry_point.text for entry_point in EntryPoint)
