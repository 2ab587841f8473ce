"""Do the list, the coupon, the data source, the tag exist that the options name?"""

from __future__ import annotations

from collections.abc import Iterator

from spark_klaviyo.account.names import look_up, parts_given
from spark_klaviyo.account.reads import Asking, ReadFailed
from spark_klaviyo.account.resource_kinds import KINDS, Kind, found
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.model import Options
from spark_klaviyo.options.settings import NAME, is_name
from spark_klaviyo.report.pages.check import CheckLine
from spark_klaviyo.templates.model import Setting, Template

COLUMN = "column:"


def lines(ask: Asking, options: Options, template: Template) -> Iterator[CheckLine]:
    """A line for each id; several for a setting with several ids."""
    for setting in template.settings:
        if not setting.look_up:
            continue
        kind = KINDS[setting.look_up.replace("_", "-")]
        for part in parts_given(options, setting):
            if is_name(part):
                yield _by_name(ask, setting, part)
            elif part.startswith(COLUMN):
                yield CheckLine(kind.word, None, f"each row brings its own, in column {part.removeprefix(COLUMN)!r}")
            else:
                yield _by_id(ask, kind, part)


def _by_name(ask: Asking, setting: Setting, named: str) -> CheckLine:
    try:
        return CheckLine(setting.look_up, True, f"{named[len(NAME) :].strip()!r} is {look_up(ask, setting, named)}")
    except OptionError as error:
        return CheckLine(setting.look_up, False, "; ".join(error.complaints))
    except ReadFailed as failed:
        return CheckLine(setting.look_up, False, failed.message)


def _by_id(ask: Asking, kind: Kind, resource_id: str) -> CheckLine:
    try:
        document = ask.one(kind.one(resource_id))
    except ReadFailed as failed:
        return _missing(failed, kind, resource_id)
    return CheckLine(kind.word, True, next((str(found(one, kind)) for one in document.resources), resource_id))


def _missing(failed: ReadFailed, kind: Kind, resource_id: str) -> CheckLine:
    if failed.code is StopCode.FORBIDDEN:
        advice = f"Give the key `{kind.scope}` to see it; writing does not need that."
        return CheckLine(kind.word, None, f"{resource_id} could not be looked at: {failed}", advice)
    if failed.code in (StopCode.NOT_FOUND, StopCode.REFUSED):
        how = (
            "`spark-klaviyo lists` prints ids and names"
            if kind.word == "list"
            else "Its address in Klaviyo holds the id"
        )
        return CheckLine(kind.word, False, f"the account has no {kind.word} with the id {resource_id}", f"{how}.")
    return CheckLine(kind.word, None, f"{resource_id} could not be looked at: {failed}")
