"""The plan of a write: everything a task needs, frozen and picklable, made once before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from spark_klaviyo.core.codes import ContentFormat, KeyIn
from spark_klaviyo.core.exact_json import Json, get
from spark_klaviyo.core.identifiers import SEPARATOR, normalise_identifier
from spark_klaviyo.core.models import StateLocation, Target
from spark_klaviyo.core.policy import Limits, Policy, Quota, ResendRule
from spark_klaviyo.core.secrets import Credentials
from spark_klaviyo.options.choices import OnBadPhone, Validate
from spark_klaviyo.plan.names import ColumnNote
from spark_klaviyo.plan.shape import Leaf, Record
from spark_klaviyo.plan.types import Field
from spark_klaviyo.templates.model import FieldSpec, JsonPath, Template


@dataclass(frozen=True)
class FieldCheck(FieldSpec):
    """A field of a record, with the rules that its values have to keep."""

    # The column that it comes from; None where `record_column` holds the record ready made.
    leaf: Leaf | None = None
    is_identifier: bool = False
    # Whether the column's name is a likely one: a phone or a time in it that cannot be read is left out.
    is_likely: bool = False
    # Whether blank text is sent instead of being left out.
    may_be_blank: bool = False


@dataclass(frozen=True)
class RequiresField:
    """Where a record has a value at `if_present`, it must have one at `json_path`; `reason` says why."""

    if_present: JsonPath
    json_path: JsonPath
    reason: str


@dataclass(frozen=True)
class Checks:
    """What is checked before sending."""

    validate: Validate
    fields: tuple[FieldCheck, ...] = ()
    requires: tuple[RequiresField, ...] = ()
    # At least one of them must have a value.
    identifiers: tuple[JsonPath, ...] = ()
    # What makes two rows the same thing: the first of `key` that has a value, with all of `key_with`.
    key: tuple[JsonPath, ...] = ()
    key_with: tuple[JsonPath, ...] = ()
    # What adds to a profile, or takes from it, instead of replacing: such rows replace no other row, and none them.
    adds: tuple[JsonPath, ...] = ()
    # A longer record may hold a value that is too large, and goes through the exact check.
    max_unchecked_bytes: int | None = None
    # ISO 3166, or "column:NAME".
    default_country: str = ""
    on_bad_phone: OnBadPhone = OnBadPhone.REJECT
    # Zone (IANA name) of times written without one.
    time_zone: str = "UTC"
    # Whether each row goes through the exact check (derived ids, ready-made records).
    every_row: bool = False
    # The id that is derived from a row's content, the columns it is derived from (empty: all that follows), and
    # (name, path) of everything that an event is.
    unique_id_path: JsonPath = ()
    unique_id_sources: tuple[JsonPath, ...] = ()
    unique_id_content: tuple[tuple[str, JsonPath], ...] = ()
    # Where consents stand, and the channels there are; the text of a column of channels stands there too until the
    # exact check.
    channels_path: JsonPath = ()
    channels: tuple[str, ...] = ()
    # Custom properties that `fields` names, which may hold anything.
    asked_properties: frozenset[str] = frozenset()


def identifier_of(checks: Checks, record: Json) -> tuple[str, ...] | None:
    """What makes a record the same profile, event or item as another; None where it has no identifier.

    It is the first identifier that it has: its field, its value, and what belongs to it.
    """
    for path in checks.key:
        value = normalise_identifier(path[-1], get(record, path))
        if value:
            return path[-1], value, *(normalise_identifier(p[-1], get(record, p)) for p in checks.key_with)
    return None


def identifiers_of(checks: Checks, record: Json) -> list[tuple[str, ...]]:
    """All that makes a record the same as another, whichever of it both have; `identifier_of` comes first.

    A phone, which two people may share, is only among them where a record has nothing before it.
    """
    first, name = identifier_of(checks, record), "external_id"
    path = next((at for at in checks.key[1:] if at[-1] == name), None)
    other = normalise_identifier(name, get(record, path)) if path is not None else ""
    return list(dict.fromkeys(filter(None, (first, (name, other) if other and first else None))))


def key_of(checks: Checks, record: str | bytes) -> str | None:
    """The key of a record: `identifier_of` it as one text; None where it has no identifier, or is no JSON."""
    try:
        found = identifier_of(checks, json.loads(record))
    except (ValueError, RecursionError):
        return None
    return SEPARATOR.join(found) if found is not None else None


RESUBSCRIBE = "resubscribe"  # the parameter by which a row says that the person has signed up again
OTHER_VALUES = "other_values"  # whether a row has values in columns that are not sent; a mirror asks for it
SAYS = "says:"  # before the names of columns that may say that a person does not consent


def of_request(name: str, value: str) -> str:
    """The value of a request parameter by which rows are grouped; empty where it only says how to read the row."""
    if name in ("default_country", OTHER_VALUES) or name.startswith(SAYS):
        return ""
    return value if name != RESUBSCRIBE else "true" if value.strip().lower() == "true" else ""


@dataclass(frozen=True)
class RequestParam:
    """A column whose value a row needs outside its record; rows with equal values of all of them share requests.

    `name` is what the value is called where it is filled in ("list_id", "{sku}").
    """

    name: str
    leaf: Leaf


@dataclass(frozen=True, kw_only=True)
class SendSpec:
    """What sending needs to know of a write (see `deliver`)."""

    run_id: str
    template: Template  # manual mode: a template made of the options
    quota: Quota  # the endpoint's windows until replies list the account's own
    policy: Policy
    resend: ResendRule
    base_url: str  # scheme, host and port; manual mode: the same of the given URL
    params: tuple[RequestParam, ...] = ()
    workers: int = 4  # most requests in flight in a task


@dataclass(frozen=True, kw_only=True)
class WritePlan(SendSpec):
    """One write, decided: how rows become records, records become requests, and what replies mean."""

    settings: Mapping[str, str]  # given values of the template's settings, resolved ids included
    columns: tuple[Field, ...]  # the DataFrame's columns; empty where no schema is known (foreachPartition)
    record: Record | None  # None: `record_column` holds it
    record_column: str | None
    checks: Checks
    limits: Limits
    headers: Mapping[str, str] = field(repr=False)  # all but credentials; a given one may hold a token
    credentials: Credentials
    content_format: ContentFormat = ContentFormat.JSON
    max_rejects: str = ""
    wait_for_jobs: bool = True
    job_timeout_seconds: float = 3600.0
    body_text: str = field(default="", repr=False)  # manual mode: the body template
    mapped: tuple[tuple[str, str], ...] = ()  # (column, field) pairs, for preview
    unmapped: tuple[str, ...] = ()
    notes: tuple[ColumnNote, ...] = ()  # of columns whose names say something, for preview
    warnings: tuple[str, ...] = ()
    target: Target = field(default_factory=Target)  # names of account and list, as far as they could be read
    key_in: KeyIn = KeyIn.HEADER
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    proxy: str | None = field(default=None, repr=False)
    learns_quota: bool = True  # False: `rate_limit` was given and stands
    json_mark: str = ""  # what the JSON text of VARIANT values begins with; empty where no column holds any
    missing_counts_as_deleted: bool = False  # removes, and what Klaviyo knows nothing of is removed already
    state: StateLocation | None = None  # where tasks record what they delivered
