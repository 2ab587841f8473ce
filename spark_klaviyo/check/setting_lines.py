"""Check lines for the lists, coupons, data sources and tags that the options name: do they exist?"""

from __future__ import annotations

from collections.abc import Iterator

from spark_klaviyo.account.names import find_id, setting_values
from spark_klaviyo.account.reads import AccountReader, ReadFailed
from spark_klaviyo.account.resources import Resource, ResourceKind, kind_of
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.model import Options
from spark_klaviyo.options.readers import NAME, is_name
from spark_klaviyo.report.pages.check import CheckLine
from spark_klaviyo.templates.model import Setting, Template

COLUMN = "column:"


def setting_lines(reader: AccountReader, options: Options, template: Template) -> Iterator[CheckLine]:
    """A line for each id or name; several for a setting with several."""
    for setting in template.settings:
        for value in setting_values(options, setting) if setting.lookup_kind else ():
            if is_name(value):
                yield _name_line(reader, setting, value)
            elif value.startswith(COLUMN):
                column = value.removeprefix(COLUMN)
                yield CheckLine(kind_of(setting).label, None, f"taken from each row, column {column!r}")
            else:
                yield _id_line(reader, kind_of(setting), value)


def _name_line(reader: AccountReader, setting: Setting, named: str) -> CheckLine:
    try:
        found = f"{named[len(NAME) :].strip()!r} is {find_id(reader, setting, named)}"
    except OptionError as error:
        return CheckLine(setting.lookup_kind, False, "; ".join(error.complaints))
    except ReadFailed as failed:
        return CheckLine(setting.lookup_kind, False, failed.message)
    return CheckLine(setting.lookup_kind, True, found)


def _id_line(reader: AccountReader, kind: ResourceKind, resource_id: str) -> CheckLine:
    try:
        document = reader.read(kind.by_id(resource_id))
    except ReadFailed as failed:
        return _failed_line(failed, kind, resource_id)
    shown = next((str(Resource.of(one, kind)) for one in document.resources), resource_id)
    return CheckLine(kind.label, True, shown)


def _failed_line(failed: ReadFailed, kind: ResourceKind, resource_id: str) -> CheckLine:
    if failed.code in (StopCode.NOT_FOUND, StopCode.REFUSED):
        listed = kind.label == "list"
        advice = "`spark-klaviyo lists` prints ids and names." if listed else "Its address in Klaviyo holds the id."
        return CheckLine(kind.label, False, f"the account has no {kind.label} with the id {resource_id}", advice)
    forbidden = failed.code is StopCode.FORBIDDEN
    advice = f"Give the key `{kind.scope}` to check it; writing does not need that." if forbidden else ""
    return CheckLine(kind.label, None, f"{resource_id} could not be read: {failed}", advice)
