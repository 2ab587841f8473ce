"""The plan of a write: everything a task needs, frozen and picklable, made once before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from spark_klaviyo.core.choices import ContentFormat, KeyIn
from spark_klaviyo.core.models import Batch, Envelope, Limits, Quota, StateLocation
from spark_klaviyo.options.choices import OnBadPhone, Validate
from spark_klaviyo.options.secrets import Credentials
from spark_klaviyo.plan.shape import Leaf, Record
from spark_klaviyo.plan.types import Field
from spark_klaviyo.templates.model import Template


@dataclass(frozen=True)
class FieldCheck:
    """One field that is looked at before sending: where it stands in the record, and what it has to be.

    `at` is its place in the record, `leaf` its column (None where `record_column` brings the record ready made).
    """

    at: tuple[str, ...]
    path: str
    form: str
    leaf: Leaf | None
    required: bool = False
    identifies: bool = False
    choices: tuple[str, ...] = ()
    max_length: int | None = None
    pattern: str = ""
    prefix: str = ""
    earliest: str = ""  # RFC 3339: no time before it
    latest_days: int | None = None  # no time further ahead than this
    max_bytes: int | None = None  # of the value as JSON


@dataclass(frozen=True)
class RequiresField:
    """Where something stands at `when`, something must stand at `at`; `says` why."""

    when: tuple[str, ...]
    at: tuple[str, ...]
    says: str


@dataclass(frozen=True)
class Checks:
    """What is checked before sending. `every_row`: each row meets the exact check (derived ids, ready-made records)."""

    validate: Validate
    wanted: tuple[FieldCheck, ...] = ()
    identifiers: tuple[tuple[str, ...], ...] = ()  # places in the record, at least one needed
    exactly_one: bool = False
    key: tuple[tuple[str, ...], ...] = ()  # places that make two rows the same thing, in order of preference
    key_with: tuple[tuple[str, ...], ...] = ()  # ... together with all of these
    max_row_bytes: int | None = None
    max_properties: int | None = None
    properties_at: tuple[str, ...] = ()
    max_items: int | None = None
    max_depth: int | None = None
    default_country: str = ""  # ISO 3166, or "column:NAME"
    on_bad_phone: OnBadPhone = OnBadPhone.REJECT
    every_row: bool = False
    unique_id: tuple[str, ...] = ()  # place of the id that is derived from the row's content
    unique_id_places: tuple[tuple[str, ...], ...] = ()  # what it is derived from; empty: all of
    unique_id_content: tuple[tuple[str, tuple[str, ...]], ...] = ()  # (path, place) of what the event is
    ready_made: bool = False  # the record comes as JSON from the user
    look_bytes: int | None = None  # a longer record is looked at
    max_string_bytes: int | None = None
    needs: tuple[RequiresField, ...] = ()
    channels_at: tuple[str, ...] = ()  # where consents stand; the words of a column stand there too, until looked at
    channels: tuple[str, ...] = ()  # the words there are


NOT_OF_REQUEST = frozenset({"default_country"})  # parameters that say how to read a row, not where it goes


@dataclass(frozen=True)
class RequestParam:
    """A column whose value a row needs outside its record: a per-row setting, a path parameter, a body placeholder.

    `name` is what it is called in the envelope ("list_id", "{sku}"); rows with equal values of all asides share
    requests unless `alone`.
    """

    name: str
    leaf: Leaf


@dataclass(frozen=True)
class Policy:
    """How long and how often. Seconds; `harmless` says whether a request whose answer was lost may be sent again.

    `idempotent_unless_contains`: where it is not, a request whose rows do not hold these bytes is so all the same.
    """

    timeout_seconds: float = 60.0
    attempts: int = 8
    longest_wait_seconds: float = 120.0
    first_wait_seconds: float = 0.5
    idempotent: bool = True
    idempotent_unless_contains: bytes = b""
    max_refusals: int = 100
    success: tuple[int, ...] = (200, 201, 202, 204)

    def about(self, batch: Batch) -> Policy:
        """The policy as it is for this batch, whose rows may not hold what could do harm."""
        mark = self.idempotent_unless_contains
        if not mark or any(mark in bytes(part) for part in batch.parts()):
            return self
        return replace(self, idempotent=True)


@dataclass(frozen=True)
class WritePlan:
    """One write, decided: how rows become records, records become requests, and what replies mean."""

    run_id: str
    template: Template  # manual mode: a template made of the options
    settings: Mapping[str, str]  # given values of the template's settings, resolved ids included
    columns: tuple[Field, ...]  # the DataFrame's columns; empty where no schema is known (foreachPartition)
    record: Record | None  # None: `record_column` holds it
    record_column: str | None
    checks: Checks
    params: tuple[RequestParam, ...]
    limits: Limits
    quota: Quota
    policy: Policy
    base_url: str  # scheme, host and port; manual mode: the same of the given URL
    headers: Mapping[str, str] = field(repr=False)  # all but credentials; a given one may hold a token
    credentials: Credentials
    content_format: ContentFormat = ContentFormat.JSON
    workers: int = 4
    max_rejects: str = ""
    wait_for_jobs: bool = True
    job_timeout_seconds: float = 3600.0
    body_text: str = field(default="", repr=False)  # manual mode: the body template
    mapped: tuple[tuple[str, str], ...] = ()  # (column, field) pairs, for preview
    unmapped: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    key_in: KeyIn = KeyIn.HEADER
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    proxy: str | None = field(default=None, repr=False)
    learns_quota: bool = True  # False: `rate_limit` was given and stands
    missing_counts_as_deleted: bool = False  # removes, and what Klaviyo knows nothing of is removed already
    state: StateLocation | None = None  # where tasks record what they delivered

    def envelope(self, values: Mapping[str, str]) -> Envelope:
        """Where rows with these aside values go, and what stands around them (see `plan.envelopes`)."""
        from spark_klaviyo.plan.envelopes import envelope

        return envelope(self, values)
