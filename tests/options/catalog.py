"""A small catalog of templates with one of each peculiarity, and a way to read options against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spark_klaviyo.core.choices import Api
from spark_klaviyo.core.models import Limits
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.parse import Options, read_options
from spark_klaviyo.templates.model import Family, M, Setting, Template

KEY = "pk_0123456789abcdef0123456789abcdef01"
LIST = Setting("list_id", "id of the list", required=True, per_row=True, lookup_kind="list", takes_several=True)


def _template(name: str, *settings: Setting, **more: object) -> Template:
    fixed = {
        "family": Family.PROFILES,
        "summary": "",
        "method": "POST",
        "path": "/api/x",
        "body": "{rows}",
        "fields": (),
    }
    known = {"limits": Limits(10_000, 5_000_000), "quota": M, "settings": settings}
    return Template(name=name, **{**fixed, **known, **more})  # type: ignore[arg-type]


CURRENT = (
    _template("add_profiles_to_list", LIST),
    _template(
        "subscribe",
        LIST,
        Setting("channels", "what for", required=True, choices=("email", "sms"), per_row=True, takes_several=True),
        Setting("historical_import", "past consent", default="false", choices=("true", "false")),
        Setting("custom_source", "where from"),
    ),
    _template("suppress", Setting("reason", "why")),
    _template("delete_people", deletes=True),
    _template("create_events", family=Family.EVENTS, unique_id_field="unique_id"),
)
RETIRED = (_template("add_profiles_to_list", LIST, api=Api.V2, limits=Limits(100, 5_000_000)),)
CATALOG = (*CURRENT, *RETIRED)


def find(name: str, api: Api) -> Template:
    """The template of the catalog, or an OptionError."""
    for template in CURRENT if api is Api.CURRENT else RETIRED:
        if template.name == name:
            return template
    raise OptionError(f"template: there is no {name!r}")


def read(entry_point: EntryPoint = EntryPoint.FUNCTION, *, recorded: bool = False, **given: Any) -> Options:
    """Options read against the catalog, with a key unless one is given."""
    return read_all({"api_key": KEY, **given}, entry_point, recorded=recorded)


def read_all(
    given: Mapping[str, object], entry_point: EntryPoint = EntryPoint.FUNCTION, *, recorded: bool = False
) -> Options:
    """Options read against the catalog, with nothing added."""
    return read_options(given, entry_point, CATALOG, find, recorded=recorded)


def complaints(
    entry_point: EntryPoint = EntryPoint.FUNCTION, *, recorded: bool = False, **given: Any
) -> tuple[str, ...]:
    """What is complained about; empty when nothing is."""
    return complaints_of({"api_key": KEY, **given}, entry_point, recorded=recorded)


def complaints_of(
    given: Mapping[str, object], entry_point: EntryPoint = EntryPoint.FUNCTION, *, recorded: bool = False
) -> tuple[str, ...]:
    """What is complained about, with nothing added to what is given."""
    try:
        read_all(given, entry_point, recorded=recorded)
    except OptionError as error:
        return error.complaints
    return ()


def to_list(**given: Any) -> dict[str, Any]:
    """The usual options of adding profiles to a list."""
    return {"template": "add_profiles_to_list", "list_id": "Y6nRLr", **given}
