"""`list_id=name:Newsletter`: names of lists, coupons, data sources and tags become ids in the calling process."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches

from spark_klaviyo.account.reads import Asking, ReadFailed, asking
from spark_klaviyo.account.resource_kinds import KINDS, Found, Kind, every
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.model import Options
from spark_klaviyo.options.settings import NAME, is_name, parts_of
from spark_klaviyo.report.early_stop import stopped_before
from spark_klaviyo.templates import find_template
from spark_klaviyo.templates.model import Setting

IDS_FIRST = "; a name reaches to the end or to the next name:, so ids stand before names"
SHOWN = 10  # candidates that a message names


def parts_given(options: Options, setting: Setting) -> list[str]:
    """The values of a setting: ids, `name:TEXT` or `column:NAME`; none where it was not given."""
    text = options.settings.get(setting.name, "")
    return (parts_of(text) if setting.several else [text]) if text else []


def names_given(options: Options) -> dict[Setting, list[str]]:
    """The settings of which a value is given by name, with all their values."""
    if not options.template:
        return {}
    settings = find_template(options.template, options.api).settings
    given = {setting: parts_given(options, setting) for setting in settings if setting.look_up}
    return {setting: parts for setting, parts in given.items() if any(map(is_name, parts))}


def with_ids(options: Options, run_id: str = "") -> Options:
    """The options with every `name:TEXT` replaced by the id it stands for; nothing is read where there is none.

    Raises `OptionError` for names that nothing, or more than one thing, is called by, with the candidates;
    `WriteStopped`, with the report of this run, where the key is refused or nobody answers.
    """
    named = names_given(options)
    if not named:
        return options
    try:
        with asking(options) as ask:
            ids = {
                setting.name: ",".join(look_up(ask, setting, part) if is_name(part) else part for part in parts)
                for setting, parts in named.items()
            }
    except ReadFailed as failed:
        raise stopped_before(failed.code, failed.message, run_id=run_id, template=options.template or "") from failed
    return replace(options, settings={**options.settings, **ids})


def look_up(ask: Asking, setting: Setting, named: str) -> str:
    """The id of the one thing of the setting's kind that `name:TEXT` means.

    Raises `OptionError` with the candidates where there is none, and `ReadFailed` where no write could begin either.
    """
    kind, text = KINDS[setting.look_up.replace("_", "-")], named[len(NAME) :].strip()
    try:
        candidates = list(_called(ask, kind, text))
        if len(candidates) == 1:
            return candidates[0].id
        hint = IDS_FIRST if setting.several and "," in text else ""
        raise OptionError(f"{setting.name}: {_why_not(ask, kind, text, candidates)}{hint}")
    except ReadFailed as failed:
        message = f"{setting.name}: {kind.word} {text!r} could not be looked up: {failed}"
        if failed.code.ends_every_write:
            raise ReadFailed(failed.code, message) from failed
        raise OptionError(f"{message}; give the id itself, or the key the scope {kind.scope}") from failed


def _called(ask: Asking, kind: Kind, text: str) -> Iterable[Found]:
    """Exactly so called; what Klaviyo's filter brings is compared again, as nobody promises that it minds case."""
    query = [("filter", f"equals({kind.named_by},{json.dumps(text, ensure_ascii=False)})")] if kind.filters else []
    return (one for one in every(ask, kind, *query) if one.name == text)


def _why_not(ask: Asking, kind: Kind, text: str, candidates: list[Found]) -> str:
    if candidates:
        shown = ", ".join(
            one.id + (f" (created {one.created[:10]})" if one.created else "") for one in candidates[:SHOWN]
        )
        return f"{len(candidates)} {kind.word}s are called {text!r}: {shown}; give the id of the one you mean"
    there = list(every(ask, kind))
    near = _near(text, there)
    if near:
        return f"no {kind.word} is called {text!r}; did you mean {' or '.join(map(str, near))}?"
    shown = ", ".join(map(str, there[:SHOWN])) + (f" and {len(there) - SHOWN:,} more" if len(there) > SHOWN else "")
    return f"no {kind.word} is called {text!r}; there are: {shown}" if there else f"the account has no {kind.word}"


def _dated(one: Found) -> str:
    return one.id + (f" (created {one.created[:10]})" if one.created else "")


def _near(text: str, there: Iterable[Found]) -> list[Found]:
    folded: Mapping[str, list[Found]] = _by_folded_name(there)
    matches = get_close_matches(text.casefold(), folded, 3, 0.6)
    return [one for match in matches for one in folded[match]][:SHOWN]


def _by_folded_name(there: Iterable[Found]) -> dict[str, list[Found]]:
    folded: dict[str, list[Found]] = {}
    for one in there:
        folded.setdefault(one.name.casefold(), []).append(one)
    return folded
