"""Options as the rest of the package reads them: checked, typed, frozen, picklable, and silent about keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPMethod

from spark_klaviyo.core.choices import Api, ContentFormat, KeyIn, OnDelete
from spark_klaviyo.core.models import Quota
from spark_klaviyo.options.choices import (
    ListMode,
    Nulls,
    OnBadPhone,
    OnReject,
    OtherColumns,
    Progress,
    Resend,
    SendFrom,
    Validate,
)
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.secrets import Credentials


@dataclass(frozen=True, repr=False)
class Options:
    """Every option of the table with its value, and what belongs to them.

    `template` is None and `url` empty where the other was given, or where a door asks for neither. `settings` are the
    template's, defaults included. `given` names what the caller set. `rate_limit`: None follows the account, an empty
    Quota is no limit. `max_rows`, `max_bytes`: None: the endpoint's limit. `max_rejects`, `max_removals`: "100", "2%".
    """

    entry_point: EntryPoint
    settings: Mapping[str, str]
    credentials: Credentials
    given: frozenset[str]
    shown: Mapping[str, str]
    warnings: tuple[str, ...]

    template: str | None
    api: Api
    url: str
    method: HTTPMethod
    headers: Mapping[str, str]
    content_format: ContentFormat
    body: str | None
    key_in: KeyIn
    base_url: str
    allow_http: bool
    revision: str
    proxy: str | None

    batch_mode: bool
    max_rows: int | None
    max_bytes: int | None
    tasks: int
    workers: int
    timeout_seconds: float
    attempts: int
    longest_wait_seconds: float
    resend: Resend
    rate_limit: Quota | None
    send_from: SendFrom

    fields: Mapping[str, str]
    record_column: str | None
    other_columns: OtherColumns
    nulls: Nulls
    validate: Validate
    default_country: str | None
    on_bad_phone: OnBadPhone
    unique_id_columns: tuple[str, ...]

    on_reject: OnReject
    max_rejects: str | None
    confirm_deletion: int | None
    rejects_path: str | None
    receipts_path: str | None
    runs_path: str | None
    state_path: str | None
    wait_for_jobs: bool
    job_timeout_seconds: float
    progress: Progress

    change_column: str | None
    change_order: str
    on_delete: OnDelete | None
    list_mode: ListMode
    max_removals: str

    @property
    def taken_columns(self) -> tuple[str, ...]:
        """Columns that steer the write instead of being sent."""
        return () if self.change_column is None else (self.change_column, self.change_order)

    def public(self) -> dict[str, str]:
        """What the caller set, as text without any secret: for the runs dataset, previews and reports."""
        return dict(self.shown)

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self.shown.items())
        return f"Options({self.entry_point.value}: {inside})"
