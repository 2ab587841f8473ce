"""Options as the rest of the package reads them: checked, typed, frozen, picklable, and silent about keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from spark_klaviyo.core.secrets import Credentials
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.table import (
    OPTIONS,
    CallOptions,
    ChangeOptions,
    ErrorOptions,
    EverydayOptions,
    ManualOptions,
    MappingOptions,
    OutcomeOptions,
    SizeOptions,
)


@dataclass(frozen=True)
class _Call:
    """What belongs to the options of a call besides those of the table."""

    entry_point: EntryPoint
    # The template's settings, defaults included.
    settings: Mapping[str, str]
    # Names of the options and settings that the caller gave, and their values as text without secrets.
    given: frozenset[str]
    shown: Mapping[str, str]
    warnings: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class Options(
    EverydayOptions,
    MappingOptions,
    SizeOptions,
    ErrorOptions,
    OutcomeOptions,
    ChangeOptions,
    CallOptions,
    ManualOptions,
    _Call,
):
    """Every option with its value.

    `template` is None and `url` empty where the other was given, or where an entry point asks for neither. None means
    of `rate_limit` that the account's limits are followed (a Quota without windows is no limit), of `max_rows` and
    `max_bytes` the endpoint's limit. `max_rejects` and `max_removals` are a number or a share ("100", "2%"). `api_key`
    and `access_token` are resolved.
    """

    @property
    def credentials(self) -> Credentials:
        """The key or the token of the call."""
        return Credentials(self.api_key, self.access_token)

    @property
    def taken_columns(self) -> tuple[str, ...]:
        """Columns that control the write instead of being sent."""
        return () if self.change_column is None else (self.change_column, self.change_order)

    def for_template(self, template: str, settings: Mapping[str, str], **changes: Any) -> Options:
        """The options of the same call for another template: what is about rows of the first one is reset."""
        reset: dict[str, Any] = {option.name: option.default_value for option in OPTIONS if option.per_template}
        return replace(self, template=template, settings=settings, **{**reset, **changes})

    def public(self) -> dict[str, str]:
        """What the caller gave, as text without any secret: for the runs dataset, previews and reports."""
        return dict(self.shown)

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self.shown.items())
        return f"Options({self.entry_point.value}: {inside})"
