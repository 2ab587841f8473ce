"""Columns of a subscribing write that say who consents and who has left, and the identifiers that channels need.

Exports of shops and of other senders hold such columns (`accepts_marketing`, `Unsubscribed`, `has_opted_out_of_email`).
They are no field of the request; a row in which one says the opposite is rejected, whatever `other_columns` says.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from spark_klaviyo.core.exact_json import Json, get
from spark_klaviyo.plan.mapping import DROPPED, ColumnMap
from spark_klaviyo.plan.model import RESUBSCRIBE, SAYS, RequestParam, WritePlan
from spark_klaviyo.plan.names import bare, dictionary
from spark_klaviyo.plan.settings import MANY_VALUED
from spark_klaviyo.plan.shape import Leaf
from spark_klaviyo.plan.types import Field
from spark_klaviyo.templates.model import JsonPath, Template

# Names are compared in their `bare` form.
_LEFT = re.compile(
    r"unsub|optout|optedout|donot(contact|bulk|postal|e?mail|call|phone|text|sms|market)|(^|contact)no(e?mail|phone|sms|texts?)$"
    r"|^(is)?(dnc|dnd)$|suppress(ed|ion)|spamcomplaint|asspam|blacklist|blocklist|marketingsuspended"
    r"|consent(was)?(withdrawn|revoked)|(withdrawn|revoked)at$|desinscri|desabonn|abgemeldet|abbestellt|uitgeschreven|disiscri"
)
_CONSENTS = re.compile(
    r"accepts?(e?mail|sms)?(marketing|newsletter|e?mail|sms)|(marketing|e?mail|sms|newsletter|gdpr)consent(ed|given)?$"
    r"|^(has)?consent(ed|s)?$|opt(ed)?in$|(^|is|e?mail|sms|newsletter)subscribe(d)?$|allows?(marketing|e?mail|sms)"
    r"|agree(s|d)?to(receive|be)|receives?(marketing|newsletters?|promo|offers)|ok(ay)?to(contact|e?mail|text|sms|call)"
    r"|einwilligung|zustimmung|consentement|consentimiento|toestemming|^(es)?suscrito|^abonne|^acepta|^acconsent"
    r"|consentstate$|subscriptionstate$"
    r"|(^|e?mail|sms|subscription|subscriber|member|newsletter|marketing|permission|opt(ed)?in)status$"
)
_OF_NO_MATTER = re.compile(r"(url|link|token|reason|campaign(id|title)?|source|level|ip)$")
_TEXT_MESSAGES, _EMAIL = re.compile("sms|text|phone|call"), re.compile("mail|newsletter")


@dataclass(frozen=True)
class ConsentColumn:
    """A column about consent. `means_left`: a value says that the person has left; else "no" says it.

    `medium`: what it is about, `email` or `sms`; empty: every channel.
    """

    name: str
    means_left: bool
    medium: str = ""


def consent_column(name: str) -> ConsentColumn | None:
    """What a column of this name says of consent; None where it says nothing."""
    word = bare(name)
    left = _LEFT.search(word) is not None
    if _OF_NO_MATTER.search(word) or not (left or _CONSENTS.search(word)):
        return None
    medium = "email" if _EMAIL.search(word) else "sms" if _TEXT_MESSAGES.search(word) else ""
    return ConsentColumn(name, left, medium)


def medium_of(channel: str) -> str:
    """What a channel is about in the words of `ConsentColumn`: its first word, but WhatsApp messages are texts, too."""
    return "sms" if channel == "whatsapp" else channel


def has_consent_columns(params: Iterable[RequestParam]) -> bool:
    """Whether columns say of each row who consents."""
    return any(param.name.startswith(SAYS) for param in params)


def consent_params(
    template: Template, columns: Sequence[Field], used: Collection[str]
) -> tuple[list[RequestParam], list[str]]:
    """The columns about consent as parameters of rows, where people are subscribed; and complaints about them.

    `used`: columns that options name for something else.
    """
    if not template.subscribes:
        return [], []
    of_fields = {name for known in template.fields for name in (known.name, *known.other_names)}
    params, complaints = list[RequestParam](), list[str]()
    for leaf in chain.from_iterable(_said_in(Leaf((column.name,), column.type)) for column in columns):
        name = ".".join(leaf.source)
        if name in used or of_fields.intersection((name, leaf.source[-1])):
            continue
        if leaf.type.name in MANY_VALUED:
            complaints.append(
                f"column {name!r} says who consents, but is a {leaf.type.name}, which cannot be read; keep "
                "the rows of people who consent, then drop the column"
            )
        params.append(RequestParam(SAYS + name, leaf))
    return params, complaints


def _said_in(leaf: Leaf) -> Iterator[Leaf]:
    """The column if it is about consent, else those of its fields that are, at any depth of structs."""
    if consent_column(leaf.source[-1]) is not None:
        yield leaf
        return
    for inner in leaf.type.fields:
        yield from _said_in(replace(leaf, source=(*leaf.source, inner.name), type=inner.type))


def denials(plan: WritePlan, params: Mapping[str, str]) -> Iterator[ConsentColumn]:
    """The columns that say that the person of a row has left, or does not consent; of any channel.

    Who has signed up again since may have left before.
    """
    again = {**plan.settings, **params}.get(RESUBSCRIBE, "").strip().lower() == "true"
    said = dictionary()["consent"]  # a blank value says nothing, and one in other letters never says yes
    for name, value in params.items():
        given = name.removeprefix(SAYS) if name.startswith(SAYS) and value.strip() else ""
        column = consent_column(given) or consent_column(given.rpartition(".")[2])  # a field of a struct
        word = re.sub("[^a-z0-9.]", "", value.lower().replace("\u00ed", "i"))
        is_against = word not in said["no"] and not again if column and column.means_left else word not in said["yes"]
        if column is not None and is_against:
            yield replace(column, name=given)


# --- identifiers that no channel needs -----------------------------------------------------------


def unneeded_identifiers(template: Template, record: Json) -> list[JsonPath]:
    """Where a record holds identifiers that none of its channels needs; one of push alone needs its first.

    People are unsubscribed without them. Where they are subscribed, all identifiers tell who a row means until it is
    sent, and none goes out that no channel needs.
    """
    if template.consent is None:
        return []
    channels = [one for one in template.consent.channels if get(record, one.json_path) is not None]
    needed = {channel.identifier for channel in channels} - {""}
    paths = {known.name: known.json_path for known in template.fields if known.name in template.identifiers}
    present = [name for name in template.identifiers if get(record, paths[name]) not in (None, "")]
    unneeded = [name for name in present if name not in needed and name != "id"] if needed else present[1:]
    return [paths[name] for name in unneeded]


def drop_unneeded_identifiers(template: Template, settings: Mapping[str, str], found: ColumnMap) -> None:
    """Take columns of identifiers that no chosen channel needs out of the record, where people are unsubscribed."""
    if template.consent is None or not template.unsubscribes:
        return
    words = settings.get("channels", "").split(",")
    needed = {channel.identifier for channel in template.consent.channels if channel.name in words} - {""}
    for known in template.fields:
        is_unneeded = needed and known.name in template.identifiers and known.name not in needed
        if is_unneeded and known.name in found.leaves:
            del found.leaves[known.name], found.nodes[known.json_path]
            found.mapped = [(column, DROPPED if field == known.name else field) for column, field in found.mapped]
