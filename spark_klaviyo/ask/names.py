"""`list_id=name:Newsletter`: names of lists, coupons, data sources and tags become ids in the calling process."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches

from spark_klaviyo.ask.kinds import KINDS, Found, Kind, every
from spark_klaviyo.ask.reading import Asking, ReadFailed, asking
from spark_klaviyo.errors import OptionError, WriteStopped
from spark_klaviyo.options.model import Options
from spark_klaviyo.templates import find_template
from spark_klaviyo.templates.model import Setting

NAME = "name:"
SHOWN = 10  # candidates that a message names
# What would end any write, whatever is looked up: the key is refused, nobody answers, or only after a long wait.
ENDS_A_WRITE = frozenset({"unauthorized", "unreachable", "unavailable", "throttled", "stopped"})


def names_given(options: Options) -> dict[str, tuple[Setting, str]]:
    """The settings that are given by name: setting and the name looked for."""
    if not options.template:
        return {}
    named: dict[str, tuple[Setting, str]] = {}
    for setting in find_template(options.template, options.api).settings:
        text = options.settings.get(setting.name, "")
        if setting.look_up and text[: len(NAME)].lower() == NAME:
            named[setting.name] = (setting, text[len(NAME) :].strip())
    return named


def with_ids(options: Options) -> Options:
    """The options with every `name:TEXT` replaced by the id it stands for; nothing is read where there is none.

    Raises `OptionError` for names that nothing, or more than one thing, is called by, with the candidates;
    `WriteStopped` where the key is refused or nobody answers.
    """
    named = names_given(options)
    if not named:
        return options
    with asking(options) as ask:
        ids = {name: look_up(ask, name, setting.look_up, text) for name, (setting, text) in named.items()}
    return replace(options, settings={**options.settings, **ids})


def look_up(ask: Asking, setting: str, word: str, text: str) -> str:
    """The id of the one thing of this kind that is called so; `OptionError` with the candidates where there is none."""
    kind = KINDS[word.replace("_", "-")]
    try:
        candidates = list(_called(ask, kind, text))
        if len(candidates) == 1:
            return candidates[0].id
        raise OptionError(f"{setting}: {_why_not(ask, kind, text, candidates)}")
    except ReadFailed as failed:
        message = f"{setting}: {kind.word} {text!r} could not be looked up: {failed}"
        if failed.code in ENDS_A_WRITE:
            raise WriteStopped(message) from failed
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
