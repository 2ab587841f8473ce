"""What options must not say together, and what the chosen mode, template or entry point cannot honour.

Each rule yields complaints: what was found, and what to give instead. Values were read before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from spark_klaviyo.core.codes import KeyIn, OnDelete
from spark_klaviyo.core.hosts import is_loopback
from spark_klaviyo.core.secrets import Secret
from spark_klaviyo.options.addresses import host_of, is_table, may_receive_key, place
from spark_klaviyo.options.choices import ListMode, OnReject, SendFrom
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.erasure import may_erase
from spark_klaviyo.options.model import BY_NAME, CREDENTIALS
from spark_klaviyo.options.option import Mode
from spark_klaviyo.options.readers import COLUMN, parts_of
from spark_klaviyo.options.secrets import masked
from spark_klaviyo.templates import templates
from spark_klaviyo.templates.model import Template

# Entry points that can do without knowing an endpoint: they ask the account, or read receipts that name it.
_NO_TARGET_NEEDED = frozenset({EntryPoint.CHECK, EntryPoint.FOLLOW})
_OWN_HEADERS = {
    "authorization": "use api_key or access_token",
    "revision": "use revision",
    "content-type": "leave it out",
}


@dataclass(frozen=True)
class Call:
    """What a call asks for, as far as it could be read. `given` holds options and settings with their values."""

    entry_point: EntryPoint
    mode: Mode
    template: Template | None
    given: Mapping[str, object]
    recorded: bool = False

    def has(self, *names: str) -> list[str]:
        """Those of these options that were given."""
        return [name for name in names if name in self.given]


def _target(call: Call) -> Iterator[str]:
    if call.mode is Mode.BOTH:
        yield "template: is given besides url; give one of them"
    if call.mode is Mode.NEITHER and call.entry_point not in _NO_TARGET_NEEDED:
        yield "template: is required: the name of an endpoint template, or url for manual mode"


def _home(call: Call) -> Iterator[str]:
    """Options of the other mode."""
    for name in call.has(*BY_NAME):
        mode = BY_NAME[name].mode
        if name != "url" and mode is Mode.MANUAL and call.mode is Mode.TEMPLATE:
            yield f"{name}: belongs to manual mode (url=...); here the template decides it, leave it out"
        if mode is Mode.TEMPLATE and call.mode is Mode.MANUAL:
            yield f"{name}: belongs to templates; in manual mode rows are sent as they are, leave it out"


def _entry_point(call: Call) -> Iterator[str]:
    """What an entry point without a session before and after its tasks cannot honour."""
    if call.entry_point is EntryPoint.PARTITION and call.given.get("on_reject") is OnReject.FAIL:
        yield (
            "on_reject: fail is not possible at klaviyo_partition_writer, where Spark runs a task that raises again "
            "and sends its rows again; use keep, or write_klaviyo"
        )
    if call.entry_point.has_session:
        return
    here, other = call.entry_point.text, call.entry_point.with_session.text
    lacks = f"{here} has no session before and after its tasks; use {other}"
    for name in call.has(*BY_NAME):
        if BY_NAME[name].needs_session:
            yield f"{name}: {lacks}"
        elif call.given[name] is SendFrom.DRIVER:
            yield f"{name}: driver is not possible here: {lacks}"
        elif BY_NAME[name].reader is place and is_table(str(call.given[name])):
            yield f"{name}: table: is not possible here: {lacks}, or give a path"


def _plain_http(call: Call) -> Iterator[str]:
    for name in call.has("url", "base_url"):
        address = str(call.given[name])
        if address.startswith("http:") and not is_loopback(host_of(address)) and not call.given.get("allow_http"):
            yield f"{name}: plain http would show the key to the network; use https, or give allow_http=true"


def _key_hosts(call: Call) -> Iterator[str]:
    """Addresses that the key must not go to."""
    trusted = _trusted(call)
    if call.mode is Mode.MANUAL and call.given.get("key_in") is KeyIn.NONE and not _holds_key(call):
        return
    addresses = [(name, str(call.given[name])) for name in call.has("url", "base_url")]
    for name, address in addresses:
        if not may_receive_key(address, trusted):
            yield (
                f"{name}: the key would be sent to {host_of(address)!a}, which is none of Klaviyo's hosts "
                "(*.klaviyo.com); correct the address, or name the host in trusted_hosts if it may have the key"
            )
    proxy = str(call.given.get("proxy", ""))
    if proxy and any(address.startswith("http:") for _, address in addresses) and not may_receive_key(proxy, trusted):
        yield (
            f"proxy: over plain http {host_of(proxy)!a} would read the key; use https, leave proxy out, or name "
            "the host in trusted_hosts if it may have the key"
        )


def _holds_key(call: Call) -> bool:
    """Whether a key stands in the text of url, headers or body."""
    keys = [key.reveal() if isinstance(key, Secret) else str(key) for key in map(call.given.get, CREDENTIALS) if key]
    texts = [str(call.given[name]) for name in call.has("url", "headers", "body")]
    return any(masked(text) != text or any(key in text for key in keys) for text in texts)


def _headers(call: Call) -> Iterator[str]:
    """Headers that other options set."""
    fields = call.given.get("headers")
    names = {name.lower() for name in fields} if isinstance(fields, Mapping) else set()
    if call.mode is Mode.TEMPLATE:
        for name in sorted(names & set(_OWN_HEADERS)):
            yield f"headers: {name} is set by the template; {_OWN_HEADERS[name]}"
    elif "authorization" in names and call.given.get("key_in", KeyIn.HEADER) is KeyIn.HEADER:
        yield "headers: authorization is set besides key_in=header; give key_in=none, or the key as api_key"


def _open_keys(call: Call) -> Iterator[str]:
    """Keys inside other options, where Spark or a process list would show them."""
    if not (call.recorded or call.entry_point in (EntryPoint.COMMAND, EntryPoint.STREAM)):
        return
    for name in call.has("url", "body", "headers"):
        if masked(str(call.given[name])) != str(call.given[name]):
            yield f"{name}: holds a private key, which others could read here; use key_in, and api_key=env:NAME"


def _token(call: Call) -> Iterator[str]:
    where, retired = call.given.get("key_in"), call.template is not None and call.template.is_retired
    if call.has("api_key", "access_token") == ["api_key", "access_token"]:
        yield "access_token: is given besides api_key; give one of them"
    if "access_token" in call.given and retired:
        yield "access_token: the retired v1 and v2 calls take api_key only"
    if "access_token" in call.given and where in (KeyIn.QUERY, KeyIn.BODY):
        yield f"access_token: is sent in the header only, which key_in={where} contradicts; leave key_in out"


def _rows(call: Call) -> Iterator[str]:
    if "record_column" in call.given:
        for name in call.has("fields", "unique_id_columns", "other_columns"):
            yield f"{name}: cannot be combined with record_column, whose records are complete; leave one of them out"
    if call.given.get("batch_mode") is False and call.given.get("max_rows", 1) != 1:
        yield "max_rows: contradicts batch_mode=false, which sends one row a request; leave one of them out"
    if call.template and not call.template.unique_id_field and "unique_id_columns" in call.given:
        yield f"unique_id_columns: template {call.template.name} sends no unique_id; leave it out"


def _changes(call: Call) -> Iterator[str]:
    if "change_column" not in call.given:
        for name in call.has("change_key", "change_order", "on_delete"):
            yield f"{name}: needs change_column, the column that holds the kind of change"
        return
    if call.given.get("list_mode") is ListMode.MIRROR:
        yield "list_mode: mirror needs the whole list, and change_column brings changes only; give one of them"
    if "state_path" in call.given:
        yield (
            "state_path: cannot be combined with change_column: change data says itself what is new, and a state "
            "records no deletes; leave one of them out"
        )
    means = call.given.get("on_delete")
    if not isinstance(means, OnDelete):
        takes = "remove (from the list), suppress, delete or ignore"
        yield f"on_delete: is required with change_column; give what a delete means: {takes}"
    elif means is not OnDelete.IGNORE and call.template and means not in call.template.delete_templates:
        choices = " or ".join(map(str, [*call.template.delete_templates, OnDelete.IGNORE]))
        yield f"on_delete: {means} is not possible with template {call.template.name}; give {choices}"
    else:
        yield from _deletes(call, means)


def _deletes(call: Call, means: OnDelete) -> Iterator[str]:
    """What deletes of change data need."""
    if means is OnDelete.DELETE and call.entry_point.counts_rows_first and "confirm_deletion" not in call.given:
        batch = call.entry_point is EntryPoint.BATCH
        yield (
            "confirm_deletion: is required by on_delete=delete, as what it deletes cannot be brought back: give the "
            f"{'most deletes of a micro-batch' if batch else 'exact number of deletes'}; preview_klaviyo counts them"
        )
    if means is OnDelete.REMOVE and "list_id" not in call.given:
        yield "on_delete: remove needs list_id, the list to remove from"
    elif means is OnDelete.REMOVE and len(parts_of(str(call.given["list_id"]))) > 1:
        yield "on_delete: remove needs a single list, and list_id names several"


def _mirror(call: Call) -> Iterator[str]:
    if call.given.get("list_mode") is not ListMode.MIRROR:
        if "max_removals" in call.given:
            yield "max_removals: nothing is removed without list_mode=mirror; leave max_removals out"
        return
    if call.entry_point is EntryPoint.BATCH:
        yield "list_mode: mirror is not possible in a stream, where no micro-batch is the whole list; use write_klaviyo"
    if call.template is None:
        return
    list_id = str(call.given.get("list_id", ""))
    if call.template.name != "add_profiles_to_list" or call.template.is_retired:
        yield "list_mode: mirror needs the template add_profiles_to_list with api=current"
    elif len(parts_of(list_id)) > 1 or list_id.startswith(COLUMN):
        yield "list_id: must be a single list where list_mode=mirror"


def _deletion(call: Call) -> Iterator[str]:
    """What deletes or merges for good is counted first, so it needs a session, and a number that was confirmed."""
    if call.mode is Mode.MANUAL:
        option, what, erases = "url", "this url", may_erase(str(call.given.get("url", "")), _trusted(call))
        does = "deletes or merges people"
    elif call.template is not None:
        option, what, erases = "template", call.template.name, call.template.deletes
        does = "merges profiles" if call.template.merges else "deletes"
    else:
        return
    given, named = "confirm_deletion" in call.given, what if option == "url" else f"template {what}"
    if not erases:
        if given and "change_column" not in call.given:
            yield f"confirm_deletion: {named} deletes nothing; leave it out"
        return
    if "change_column" in call.given:
        yield f"change_column: {what} {does} for inserts and updates, too; change data cannot be written with it"
    if not call.entry_point.has_session:
        yield (
            f"{option}: {what} {does}, and {call.entry_point.text} has no session to count the rows first; "
            f"use {call.entry_point.with_session.text}"
        )
    if call.entry_point is EntryPoint.BATCH and not given:  # elsewhere the refusal says how many rows there are
        yield (
            f"confirm_deletion: is required, as {what} {does}, which cannot be undone: give the most rows that a "
            "micro-batch may have"
        )


def _trusted(call: Call) -> tuple[str, ...]:
    given = call.given.get("trusted_hosts")
    return given if isinstance(given, tuple) else ()


def _everywhere(call: Call) -> Iterator[str]:
    """Unsubscribing from everything has to be asked for, and a list is the opposite."""
    if call.template is None or not call.template.unsubscribes:
        return
    asked, list_id = call.given.get("everywhere") == "true", str(call.given.get("list_id") or "")
    if not asked and not list_id:
        yield (
            f"everywhere: is required by template {call.template.name} without list_id: everybody in the DataFrame "
            "would be unsubscribed from everything; give the list, or everywhere=true if that is meant"
        )
    if asked and list_id and not list_id.startswith(COLUMN):
        yield "everywhere: list_id names the list to unsubscribe from; leave one of them out"


def _settings(call: Call) -> Iterator[str]:
    """Settings without which the template sends nothing, and settings of other templates."""
    own = {setting.name: setting for setting in call.template.settings} if call.template else {}
    for name in call.given:
        if name in own or name in BY_NAME:
            continue
        owners = sorted({one.name for one in templates() if name in {setting.name for setting in one.settings}})
        some = ", ".join(owners[:3]) + (", ..." if len(owners) > 3 else "")
        if call.mode is Mode.MANUAL:
            yield f"{name}: belongs to templates ({some}); in manual mode write it into url, headers or body"
        elif call.template is not None:
            yield f"{name}: belongs to other templates ({some}), not to {call.template.name}; leave it out"
    for name, setting in own.items():
        if setting.required and call.template is not None and name not in call.given:
            yield f"{name}: is required by template {call.template.name}: {setting.help}"


_RULES = [_settings, _target, _home, _entry_point, _plain_http, _key_hosts, _headers, _open_keys, _token, _rows]
_RULES += [_changes, _mirror, _deletion, _everywhere]


def contradictions(call: Call) -> Iterator[str]:
    """A complaint for each thing that the options must not say."""
    for rule in _RULES:
        yield from rule(call)
