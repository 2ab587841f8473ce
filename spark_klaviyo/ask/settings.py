"""Do the list, the coupon, the data source, the tag exist that the options name?"""

from __future__ import annotations

from collections.abc import Iterator

from spark_klaviyo.ask.kinds import KINDS, Kind, found
from spark_klaviyo.ask.names import look_up, names_given
from spark_klaviyo.ask.reading import Asking, ReadFailed
from spark_klaviyo.errors import OptionError, WriteStopped
from spark_klaviyo.options.model import Options
from spark_klaviyo.report.check import CheckLine
from spark_klaviyo.templates.model import Setting, Template

COLUMN = "column:"


def lines(ask: Asking, options: Options, template: Template) -> Iterator[CheckLine]:
    """A line for each id; several for a setting with several ids."""
    named = names_given(options)
    for setting in template.settings:
        value = options.settings.get(setting.name, "")
        if not setting.look_up or not value:
            continue
        kind = KINDS[setting.look_up.replace("_", "-")]
        if setting.name in named:
            yield _by_name(ask, setting, named[setting.name][1])
        elif value.startswith(COLUMN):
            yield CheckLine(kind.word, None, f"each row brings its own, in column {value.removeprefix(COLUMN)!r}")
        else:
            parts = value.split(",") if setting.several else [value]
            yield from (_by_id(ask, kind, part.strip()) for part in parts)


def _by_name(ask: Asking, setting: Setting, name: str) -> CheckLine:
    try:
        return CheckLine(setting.look_up, True, f"{name!r} is {look_up(ask, setting.name, setting.look_up, name)}")
    except OptionError as error:
        return CheckLine(setting.look_up, False, "; ".join(error.complaints))
    except WriteStopped as stopped:
        return CheckLine(setting.look_up, False, stopped.message)


def _by_id(ask: Asking, kind: Kind, resource_id: str) -> CheckLine:
    try:
        document = ask.one(kind.one(resource_id))
    except ReadFailed as failed:
        return _missing(failed, kind, resource_id)
    return CheckLine(kind.word, True, next((str(found(one, kind)) for one in document.resources), resource_id))


def _missing(failed: ReadFailed, kind: Kind, resource_id: str) -> CheckLine:
    if failed.code == "forbidden":
        advice = f"Give the key `{kind.scope}` to see it; writing does not need that."
        return CheckLine(kind.word, None, f"{resource_id} could not be looked at: {failed}", advice)
    if failed.code in ("not_found", "refused"):
        how = (
            "`spark-klaviyo lists` prints ids and names"
            if kind.word == "list"
            else "Its address in Klaviyo holds the id"
        )
        return CheckLine(kind.word, False, f"the account has no {kind.word} with the id {resource_id}", f"{how}.")
    return CheckLine(kind.word, None, f"{resource_id} could not be looked at: {failed}")
