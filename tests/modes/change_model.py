"""The rule of change data in plain Python, a person at a time, and random small worlds to try it on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

INSERT, UPDATE, PRE, DELETE = "insert", "update_postimage", "update_preimage", "delete"
NAMES = ("email", "external_id", "phone_number")


@dataclass(frozen=True)
class Change:
    """One row; identifiers as they compare, and as they are spelled in the feed."""

    pk: str | None
    op: str
    at: int | None
    identifiers: Mapping[str, str]
    spelled: Mapping[str, str | None]
    version: str
    list: str | None = None

    @property
    def is_upsert(self) -> bool:
        return self.op in (INSERT, UPDATE)

    def sent(self) -> tuple[str | None, ...]:
        """What an upsert of this row sends."""
        return (*(self.spelled[name] for name in NAMES), self.version, self.list, self.pk)

    def person(self) -> Hashable:
        """What a delete of this row can send."""
        return (*(self.identifiers.get(name) for name in NAMES), self.list)


@dataclass(frozen=True)
class Rule:
    """The options that matter."""

    means: str
    has_key: bool
    by_column: bool = False  # whether the list comes from a column

    @property
    def by_list(self) -> bool:
        return self.by_column and self.means == "remove"

    def key_of(self, row: Change) -> str | None:
        if self.has_key:
            return row.pk
        order = ("external_id", "email", "phone_number")
        return next((f"{name} {row.identifiers[name]}" for name in order if name in row.identifiers), None)


@dataclass
class Expected:
    """What comes of a feed: records sent, (name, value, list) taken away, and numbers of all other rows."""

    upserts: Counter[tuple[str | None, ...]]
    taken: Counter[tuple[str, str | None, str | None]]
    people: int = 0
    tied: int = 0
    claimed: int = 0
    keyless: int = 0
    skipped: int = 0
    warned: int = 0


def expected(rows: Sequence[Change], rule: Rule) -> Expected:
    """What has to come of these rows."""
    found, keys = Expected(Counter(), Counter()), dict[str, list[Change]]()
    for number, row in enumerate(rows):
        key = rule.key_of(row)
        if key is None and rule.has_key:
            found.keyless += 1
        else:
            keys.setdefault(key or f"row {number}", []).append(row)
    last = {key: _last(rows_of) for key, rows_of in keys.items()}
    upserted: dict[Hashable, set[str]] = {}
    for key, final in last.items():
        if isinstance(final, Change) and final.is_upsert:
            for claim in _claims(final, rule, NAMES):
                upserted.setdefault(claim, set()).add(key)
    for key, rows_of in keys.items():
        _add(found, key, rows_of, last[key], upserted, rule)
    return found


def _last(rows: Sequence[Change]) -> Change | str | None:
    """The change of a key that counts; "tied" where none does, None where there is none."""
    changes = [row for row in rows if row.op != PRE]
    if not changes:
        return None
    unordered = any(row.at is None for row in changes)
    top = [row for row in changes if unordered or row.at == max(one.at or 0 for one in changes)]
    upserts, deletes = [row for row in top if row.is_upsert], [row for row in top if not row.is_upsert]
    if len({row.sent() for row in upserts}) > 1 or len({row.person() for row in deletes}) > 1:
        return "tied"
    if upserts and deletes and (unordered or any(row.op != INSERT for row in upserts)):
        return "tied"
    return (upserts or deletes)[0]


def _claims(row: Change, rule: Rule, names: Iterable[str]) -> Iterator[Hashable]:
    for name in names:
        if name in row.identifiers:
            yield name, row.identifiers[name], row.list if rule.by_list else None


def _add(
    found: Expected,
    key: str,
    rows: list[Change],
    last: Change | str | None,
    upserted: Mapping[Hashable, set[str]],
    rule: Rule,
) -> None:
    """Add what becomes of the rows of one key."""

    def is_claimed(claims: Iterable[Hashable]) -> bool:
        return any(upserted.get(claim, set()) - {key} for claim in claims)

    sent = 0
    if last == "tied":
        sent = found_tied = sum(row.op != PRE for row in rows)
        found.tied += found_tied
    elif isinstance(last, Change) and last.is_upsert:
        found.upserts[last.sent()] += 1
        sent = 1 + _add_former(found, rows, last, is_claimed, rule)
        found.warned += sum(row.op == DELETE and bool(row.identifiers) and not _shared(row, last) for row in rows)
    elif isinstance(last, Change):
        by = next((name for name in NAMES if any(name in row.identifiers for row in rows)), "email")
        names = [name for name in NAMES if name != "phone_number" or name == by]
        if is_claimed(claim for row in rows for claim in _claims(row, rule, names)):
            found.claimed += 1
            sent = 1
        else:
            sent = _add_delete(found, rows, last, by, rule)
    else:
        _add_former(found, rows, None, is_claimed, rule)
    found.skipped += len(rows) - sent


def _add_delete(found: Expected, rows: list[Change], last: Change, by: str, rule: Rule) -> int:
    """A deleted person: one row for each value of the first kind of identifier that its rows have."""
    values = [row.identifiers[by] for row in rows if by in row.identifiers]
    own = last.identifiers.get(by) or max(values, default=None)
    places = {(by, own, last.list if rule.by_list else None)}
    for row in rows:
        if by in row.identifiers and (not rule.by_list or row.list is not None):
            places.add((by, row.identifiers[by], row.list if rule.by_list else None))
    found.taken.update(places)
    found.people += 1
    return len(places)


def _shared(row: Change, last: Change) -> str | None:
    return next((n for n in NAMES if n in row.identifiers and row.identifiers[n] == last.identifiers.get(n)), None)


def _add_former(found: Expected, rows: list[Change], last: Change | None, is_claimed: object, rule: Rule) -> int:
    """Pre-images of people, or of their places on lists, that the upsert of the key leaves behind."""
    assert callable(is_claimed)
    places: dict[tuple[str, str, str | None, bool], list[Change]] = {}
    for row in rows:
        if row.op != PRE or not row.identifiers or (rule.by_list and row.list is None):
            continue
        shared = _shared(row, last) if last is not None else None
        moved = shared is not None and last is not None and None not in (row.list, last.list) and row.list != last.list
        if shared is None or moved:
            name = shared or next(name for name in NAMES if name in row.identifiers)
            places.setdefault((name, row.identifiers[name], row.list, moved), []).append(row)
    sent = 0
    for (name, value, list_id, moved), rows_of in places.items():
        follows = last is not None and rule.has_key and rule.means in (("remove",) if moved else ("remove", "suppress"))
        names = [one for one in NAMES if one != "phone_number" or one == name or not follows]
        if is_claimed(claim for row in rows_of for claim in _claims(row, rule, names)):
            continue
        if follows:
            found.taken[name, value, list_id if rule.by_list else None] += 1
            sent += 1
        else:
            found.warned += 1
    return sent


# --- worlds ---------------------------------------------------------------------------------------


def worlds(seed: int, count: int, names: Sequence[str] = NAMES, lists: Sequence[str | None] = (None,)) -> list[Change]:
    """The rows of so many small worlds, which have nobody in common: few people, who often meet."""
    random = Random(seed)
    return [row for world in range(count) for row in _world(random, world, names, lists)]


def _world(random: Random, world: int, names: Sequence[str], lists: Sequence[str | None]) -> Iterator[Change]:
    few = random.choice((1, 2, 3))
    orders = random.choice(((1, 2, 3, 4, 5), (1, 2), (1,), (1, 2, 3, None)))
    for number in range(random.randint(1, 7)):
        identifiers, spelled = {}, dict[str, str | None].fromkeys(NAMES)
        for name in names:
            if random.random() < 0.75:
                identifiers[name], spelled[name] = _identifier(random, name, world, random.randint(0, few))
        yield Change(
            pk=None if random.random() < 0.05 else f"{world}-{random.randint(1, 2)}",
            op=random.choice((INSERT, UPDATE, PRE, DELETE)),
            at=random.choice(orders),
            identifiers=identifiers,
            spelled=spelled,
            version=random.choice(("A", "A", f"{world}.{number}")),
            list=random.choice(lists),
        )


def _identifier(random: Random, name: str, world: int, number: int) -> tuple[str, str]:
    """An identifier as it compares, and in one of its spellings."""
    if name == "email":
        email = f"p{number}.w{world}@example.com"
        return email, random.choice((email, email, email.upper(), f" {email}"))
    if name == "external_id":
        return f"{world}-{number}", random.choice((f"{world}-{number}", f" {world}-{number} "))
    phone = f"202{200 + world // 10:03d}{world % 10}{number:03d}"
    return f"+1{phone}", random.choice((f"+1{phone}", f"({phone[:3]}) {phone[3:6]}-{phone[6:]}", f"1{phone}"))
