"""What a column's name says: the field that it means, and how sure that is.

Names are compared in lower case, without accents and without anything but letters and digits. The spellings are data
(`names.json`), by family of templates and ranked; a field's own name, and the names that its template declares, are
certain whatever the data say. Knows neither values nor where a column goes in the end.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache, lru_cache
from itertools import chain, product, takewhile
from pathlib import Path
from typing import Any

from spark_klaviyo.core.codes import Choice
from spark_klaviyo.templates.model import FieldSpec, Template

BOM = "\ufeff"  # a byte order mark, which some tools leave in the first column's name
LISTED = 1000  # the rank of parts of addresses begins behind the names of a list
LEAST_SHARING = 3  # columns that share a prefix, for it not to count
_WORD = re.compile(r"[^\W\d_]+|\d+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_COPY_OF_PANDAS, _COPY_OF_SPARK = re.compile(r"(.+)\.\d+"), re.compile(r"(.*\D)\d+")


class Sure(Choice):
    """How sure it is what a column means; the text says what is done with it."""

    CERTAIN = "certain", "placed"
    LIKELY = "likely", "placed where no certain name claims the field, with a warning"
    ASK = "ask", "a custom property, with a warning that says how to place it"
    SECRET = "secret", "never sent, unless `fields` names it"
    IDLE = "no effect", "a custom property that does nothing by itself, with a warning that says what does"


@dataclass(frozen=True)
class Known:
    """What a name says: `fields` it may mean, the best one first; of several columns the lowest `rank` counts."""

    sure: Sure
    fields: tuple[str, ...] = ()
    rank: tuple[int, ...] = ()
    topic: str = ""  # of a name without effect


@dataclass(frozen=True)
class ColumnNote:
    """How sure a column's place is, the `fields` entry to write for another one, and what users must know."""

    column: str
    sure: Sure
    instead: str = ""
    warning: str = ""


def bare(name: str) -> str:
    """A name as it is compared: lower case, no accents, nothing but letters and digits."""
    if name.isascii():
        return "".join(filter(str.isalnum, name)).lower()
    # Folding comes after the first decomposition, which may bring capitals (of a squared MC), and may need another.
    folded = unicodedata.normalize("NFKD", name).casefold()
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKD", folded)))


def words(name: str) -> list[str]:
    """The words of a name: `shippingAddress_zip1` is shipping, address, zip, 1."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return [word.casefold() for word in _WORD.findall(_CAMEL.sub("_", plain))]


@cache
def dictionary() -> Mapping[str, Any]:
    """The spellings that are known."""
    found: Mapping[str, Any] = json.loads(Path(__file__).with_name("names.json").read_text(encoding="utf-8"))
    return found


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a name is that of a secret by itself, whatever stands beside it."""
    return _matches(dictionary()["secret"], name)


def families_of(template: Template) -> tuple[str, ...]:
    """The families of names that a template's columns belong to, the first one first asked."""
    if template.is_retired or template.is_manual:
        return ()
    kinds = {"catalog-item": "item", "catalog-variant": "variant", "coupon-code": "coupon_code"}
    own = "event" if template.unique_id_field else kinds.get(str(template.record.get("type")), "")
    names = {known.name for known in template.fields}
    return tuple(filter(None, (own, "person" if names & {"email", "profile.email"} else "")))


def field_names(known: FieldSpec) -> Iterator[str]:
    """The names that a template itself gives a field; of an optional `id` of Klaviyo's only `other_names`."""
    if known.json_path != ("id",) or known.name != "id" or known.required:
        yield known.name
    if known.name.startswith("location."):
        yield known.name.rpartition(".")[2]
    yield from known.other_names


class ColumnNames:
    """What the names of a DataFrame's columns say to a template. `names` are those of columns that are free to place.

    The order of `names` means nothing.
    """

    def __init__(self, template: Template, fixed_fields: Collection[str], names: Collection[str]) -> None:
        self.template = template
        # what is merged, and into what, is said by `fields` alone
        named = () if template.merges else template.fields
        fields = [known for known in named if known.name not in fixed_fields and not known.only_in_fields]
        self._declared = _declared(fields)
        self._known = _spellings(families_of(template), template.deletes, tuple(self._declared.items()))
        self._bare = Counter(map(bare, names))
        self._stems = Counter(bare(found[1]) for name in names if (found := _COPY_OF_SPARK.fullmatch(name)))
        self._prefix = len(shared_prefix(names))

    def known(self, name: str) -> Known | None:
        """What a column's name says; None where it says nothing."""
        own = self._declared.get(_key(name))
        if own is not None:
            return own
        forms = list(self._forms(name))
        if not self.template.is_manual and any(map(self.is_secret, forms)):
            return Known(Sure.SECRET)
        for cost, form in enumerate(forms):
            found = self._declared.get(_key(form)) or self._known.get(bare(form))
            if found is not None:
                return replace(found, rank=(*found.rank, cost))
        return self._without_effect(forms) or self._by_last_words(words(name))

    def is_secret(self, name: str) -> bool:
        """Whether a name is that of a password, a token, a card, a bank account, or an identity or tax number."""
        together: Mapping[str, list[str]] = dictionary()["secret"]["with"]
        return is_secret_name(name) or any(self._bare[other] for other in together.get(bare(name), ()))

    def _forms(self, name: str) -> Iterator[str]:
        """The name; then without a remark (`Created (UTC)`), a shared prefix, or the mark of a duplicate."""
        yield name
        if name.rstrip().endswith(")") and "(" in name[1:]:
            yield name.rpartition("(")[0]
        if self._prefix:
            yield "_".join(words(name)[self._prefix :])
        pandas, spark = _COPY_OF_PANDAS.fullmatch(name), _COPY_OF_SPARK.fullmatch(name)
        if pandas and self._bare[bare(pandas[1])]:  # Email.1, beside Email
            yield pandas[1]
        elif spark and (self._stems[bare(spark[1])] > 1 or name == spark[1] + "1"):  # Email0 and Email2; Email 1
            yield spark[1]

    def _without_effect(self, forms: list[str]) -> Known | None:
        if "person" not in families_of(self.template) or not self.template.properties_path:
            return None
        topics: Mapping[str, Any] = dictionary()["idle"]
        topic = next((topic for topic in topics if any(_matches(topics[topic], form) for form in forms)), None)
        return None if topic is None else Known(Sure.IDLE, topic=topic)

    def _by_last_words(self, parts: list[str]) -> Known | None:
        """What a name may mean by its last words (`Invitee Email`), or by those of a person or an address in it."""
        data = dictionary()["endings"]
        if "person" not in families_of(self.template) or (parts and parts[0] in data["never_after"]):
            return None
        if parts[:1] == ["id"]:  # id_customer
            parts = [*parts[1:], "id"]
        for start in range(1, len(parts)):
            before, ending = parts[start - 1], "".join(parts[start:])
            of_person, of_place = before in data["persons"], before in data["places"]
            fields = {} if before in data["never_after"] else dict(data["any"])
            fields |= data["of_person"] if of_person else {}
            fields |= dictionary()["address"]["parts"] if of_person or of_place else {}
            means = next((field for field, names in fields.items() if ending in names), None)
            known = self._declared.get(bare(means)) if means is not None else None
            if known is not None:
                return Known(Sure.ASK, known.fields)
        return None


def shared_prefix(names: Collection[str]) -> list[str]:
    """The words that all columns begin with, where there are at least three; some word of each is left.

    Columns that tools add (`_fivetran_synced`) and a bare `id` do not count: tables have them whatever their prefix.
    """
    parted = [words(name)[:-1] for name in names if not name.startswith("_") and bare(name) != "id"]
    shared = takewhile(lambda at: len(set(at)) == 1, zip(*parted, strict=False))
    return [at[0] for at in shared] if len(parted) >= LEAST_SHARING else []


def _key(name: str) -> str:
    """How declared names are compared: `$id` of v1 is not `id`."""
    return ("$" if name.lstrip(BOM + " ").startswith("$") else "") + bare(name)


def _declared(fields: Collection[FieldSpec]) -> dict[str, Known]:
    """The names that the template gives its fields; `$email` is email unless it is declared to be something else."""
    found: dict[str, Known] = {}
    for known in fields:
        own = {bare(known.name), bare(known.name.removeprefix("location."))}
        for number, name in enumerate(field_names(known)):
            rank = (0, 0) if bare(name) in own else (1, number)
            found.setdefault(_key(name), Known(Sure.CERTAIN, (known.name,), rank))
    return {"$" + name: known for name, known in found.items() if name != "id"} | found


@lru_cache(maxsize=64)
def _spellings(families: tuple[str, ...], deletes: bool, names: tuple[tuple[str, Known], ...]) -> dict[str, Known]:
    """What each spelling of the data means where these names are declared; no likely ones where `deletes`."""
    declared, found = dict(names), dict[str, Known]()
    lists = [entry for family in families for entry in dictionary()["families"][family].items()]
    for first, sure in enumerate((Sure.CERTAIN, Sure.LIKELY, Sure.ASK), start=2):
        listed = ((name, field, (rank,)) for field, by in lists for rank, name in enumerate(by.get(str(sure), ())))
        of_addresses = _parts_of_addresses(sure) if families and "locationcity" in declared else ()
        for name, field, rank in chain(listed, of_addresses) if sure is not Sure.LIKELY or not deletes else ():
            known, before = declared.get(bare(field)), found.get(name)
            if known is not None and before is None:
                found[name] = Known(sure, known.fields, (first, *rank))
            elif known is not None and before is not None and before.sure is Sure.ASK is sure:  # it may mean several
                found[name] = replace(before, fields=(*before.fields, *known.fields))
    return found


def _parts_of_addresses(sure: Sure) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Names of flattened addresses, such as `default_address_city`: the name, its field and its rank.

    What stands beside an address, such as a phone, is likely at best.
    """
    data = dictionary()["address"]
    for likely, holders in data["holders"].items():
        parts = dict(data["parts"]) if likely == str(sure) else {}
        parts |= data["beside"] if sure is Sure.LIKELY else {}
        for (place, holder), (field, names) in product(enumerate(holders), parts.items()):
            yield from ((holder + name, field, (LISTED + number, place)) for number, name in enumerate(names))


def _matches(data: Mapping[str, list[str]], name: str) -> bool:
    """Whether a data list has a name.

    It has whole names (`exact`; `raw` as they are spelled), what stands at the bounds of words (`word`), and what may
    stand anywhere (`part`).
    """
    whole, parts = bare(name), words(name)
    if name in data.get("raw", ()) or whole in data["exact"] or any(part in whole for part in data["part"]):
        return True
    runs = {"".join(parts[start:end]) for start in range(len(parts)) for end in range(start + 1, len(parts) + 1)}
    return not runs.isdisjoint(data["word"])


# --- notes ----------------------------------------------------------------------------------------

# What users must know of a column that its name alone has placed, or could not place. A note ends in the exact entry of
# the option `fields` that decides otherwise.

# What does what a column without effect seems to do.
_DOES = {
    "consent": "importing people subscribes nobody; consent is recorded by a write of its own, "
    "with the template bulk_subscribe_profiles, for people who have given it",
    "anonymous_id": "Klaviyo takes no anonymous_id in profiles; events take it, as profile.anonymous_id",
    "_metadata": "it is Spark's description of the source file and tells Klaviyo nothing; drop it",
}


def entry_of(field: str, column: str) -> str:
    """The option `fields` with one entry, as users write it."""
    return f"fields={json.dumps({field: column}, ensure_ascii=False, separators=(',', ':'))}"


def notes_of(
    known: Mapping[str, Known], mapped: Mapping[str, str], secrets: Iterable[str], loose: str
) -> Iterator[ColumnNote]:
    """A note for each column that a name says something of, and for each secret inside a column.

    Args:
        known: What names say, by column.
        mapped: What became of the columns.
        secrets: Columns, and parts of struct columns, that are not sent.
        loose: What other columns become, `properties`; empty where they have no place.
    """
    giver = {field: column for column, field in mapped.items()}
    for column, found in known.items():
        becomes, warning = mapped.get(column), ""
        entry = entry_of(f"{loose}.{column}", column) if loose else ""
        if found.sure is Sure.IDLE:
            entry, warning = "", f"column {column!r} has no effect: {_DOES[found.topic]}"
        elif found.fields and becomes not in (None, found.fields[0]):
            entry, warning = _not_placed(column, found, becomes, giver)
        elif found.fields and found.sure is Sure.LIKELY:
            otherwise = f"{entry} keeps it a custom property" if entry else "rename or drop it if it is something else"
            warning = f"column {column!r} is likely {found.fields[0]} and is sent as that; {otherwise}"
        if becomes is not None and (found.fields or warning):  # None: refused
            yield ColumnNote(column, found.sure, entry, warning)
    for column in secrets:
        entry = entry_of(f"{loose}.{column.rpartition('.')[2]}", column) if loose else ""
        only = f"; only {entry} sends it" if entry else ""
        warning = f"column {column!r} has the name of a secret and is not sent{only}"
        yield ColumnNote(column, Sure.SECRET, entry, warning)


def _not_placed(column: str, found: Known, becomes: str | None, giver: Mapping[str, str]) -> tuple[str, str]:
    """The entry and the warning for a column that may mean a field, and is not sent as one."""
    entries = [entry_of(field, column) for field in found.fields]
    sent = "is dropped" if becomes == "dropped" else "is sent as a custom property"
    other = giver.get(found.fields[0])
    if found.sure is Sure.ASK:
        why = f"may mean {' or '.join(found.fields)}, among other things, and {sent}"
    elif other is None and "." in column:
        why = f"stands inside another column, so it is not taken as {found.fields[0]}, and {sent}"
    elif other is not None:
        why = f"means {found.fields[0]}, which column {other!r} gives, and {sent}"
    else:
        why = f"means {found.fields[0]}, which is given otherwise or takes another type, and {sent}"
    return entries[0], f"column {column!r} {why}; {' or '.join(entries)} places it there"


def near_misses(unmapped: Iterable[str], template: Template, fixed_fields: Collection[str]) -> dict[str, str]:
    """Columns that became custom properties though they resemble a field: `e_mail2` -> `email`.

    No column can have meant a field that a setting gives for all rows.
    """
    fields = {bare(name): k.name for k in template.fields if k.name not in fixed_fields for name in field_names(k)}
    near = {name: get_close_matches(bare(name), fields, 1, 0.8) for name in unmapped}
    return {name: fields[match[0]] for name, match in near.items() if match}
