"""A small schema checker, quick enough for 10,000 rows: specs say what is wrong, and where, relative to themselves.

A path is only put together where something is wrong; a sound row costs one pass over its keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from spark_klaviyo.simulator.clock import read_time


class Problem(NamedTuple):
    """One thing wrong with a value: the path to it, and Klaviyo's sentence."""

    path: tuple[str | int, ...]
    detail: str

    def under(self, *steps: str | int) -> Problem:
        """The same problem seen from further up."""
        return Problem((*steps, *self.path), self.detail)

    @property
    def pointer(self) -> str:
        """JSON pointer, without a slash at the end (recorded 2026-09)."""
        return "".join(f"/{step}" for step in self.path)

    @property
    def rows(self) -> tuple[int, ...]:
        """The indexes on the way: which row the problem belongs to, empty for the envelope."""
        return tuple(step for step in self.path if isinstance(step, int))


Problems = Sequence[Problem]
NONE: Problems = ()
Rule = Callable[[Any], Problems]


class Spec(Protocol):
    """Whatever can judge a JSON value."""

    nullable: bool

    def problems(self, value: Any, name: str) -> Problems:
        """What is wrong with `value`, which stands under the key `name`."""


class Text:
    """A string; optionally one of some choices, of a pattern, a date-time, or no longer than so many characters."""

    def __init__(
        self,
        *,
        nullable: bool = True,
        choices: Collection[str] = (),
        pattern: str | None = None,
        says: str | None = None,
        moment: bool = False,
        longest: int | None = None,
    ) -> None:
        self.nullable = nullable
        self.choices = frozenset(choices)
        self.shown_pattern = pattern
        self.pattern = re.compile(pattern) if pattern else None
        self.says = says
        self.moment = moment
        self.longest = longest
        self.plain = not (choices or pattern or moment or longest) and nullable

    def problems(self, value: Any, name: str) -> Problems:
        """Type, then choice, pattern, date-time and length."""
        if type(value) is not str:
            return NONE if value is None and self.nullable else (Problem((), f"'{name}' must be a string."),)
        if self.choices and value not in self.choices:
            return (Problem((), f"'{value}' is not a valid choice for '{name}'."),)  # recorded 2026-09
        if self.pattern and not self.pattern.match(value):
            # recorded 2026-09: 'name' must match regex '^[0-9_A-z]+$' ('my-feed' doesn't)
            return (Problem((), self.says or f"'{name}' must match regex '{self.shown_pattern}' ('{value}' doesn't)"),)
        if self.moment and read_time(value) is None:
            return (Problem((), f"'{name}' must be a valid ISO 8601 date-time."),)
        if self.longest is not None and len(value) > self.longest:
            return (Problem((), f"'{name}' must have at most {self.longest} characters."),)
        return NONE


class Number:
    """A JSON number (a bool is none), or one of a few whole numbers."""

    def __init__(self, *, nullable: bool = True, choices: Collection[int] = ()) -> None:
        self.nullable = nullable
        self.choices = frozenset(choices)

    def problems(self, value: Any, name: str) -> Problems:
        """Numbers in text are refused: spec says `number`."""
        if type(value) not in (int, float):
            return NONE if value is None and self.nullable else (Problem((), f"'{name}' must be a number."),)
        if self.choices and value not in self.choices:
            return (Problem((), f"'{value}' is not a valid choice for '{name}'."),)
        return NONE


class Flag:
    """true or false."""

    def __init__(self, *, nullable: bool = True) -> None:
        self.nullable = nullable

    def problems(self, value: Any, name: str) -> Problems:
        """Only JSON's own booleans."""
        fine = type(value) is bool or (value is None and self.nullable)
        return NONE if fine else (Problem((), f"'{name}' must be a boolean."),)


class Free:
    """An object of any keys (properties, custom_metadata, a record)."""

    def __init__(self, *, nullable: bool = True) -> None:
        self.nullable = nullable

    def problems(self, value: Any, name: str) -> Problems:
        """Only that it is an object."""
        fine = type(value) is dict or (value is None and self.nullable)
        return NONE if fine else (Problem((), f"'{name}' must be an object."),)


class Either:
    """Any of several specs (`latitude` is text or number, `unset` text or a list)."""

    def __init__(self, *specs: Spec) -> None:
        self.specs = specs
        self.nullable = any(spec.nullable for spec in specs)

    def problems(self, value: Any, name: str) -> Problems:
        """The last spec's complaint where none fits."""
        found: Problems = NONE
        for spec in self.specs:
            found = spec.problems(value, name)
            if not found:
                return NONE
        return found


class Many:
    """A list, each entry of one spec."""

    def __init__(self, entry: Spec, *, nullable: bool = False, least: int = 0) -> None:
        self.entry = entry
        self.nullable = nullable
        self.least = least

    def problems(self, value: Any, name: str) -> Problems:
        """Each bad entry under its index."""
        if type(value) is not list:
            return NONE if value is None and self.nullable else (Problem((), f"'{name}' must be a list."),)
        if len(value) < self.least:
            return (Problem((), f"'{name}' must not be empty."),)
        judge = self.entry.problems
        found: list[Problem] = []
        for index, entry in enumerate(value):
            problems = judge(entry, name)
            if problems:
                found.extend(problem.under(index) for problem in problems)
        return found


class Thing:
    """An object with known keys; `resource` is the name Klaviyo uses when it refuses a key."""

    def __init__(
        self,
        resource: str,
        fields: Mapping[str, Spec],
        required: Collection[str] = (),
        *,
        nullable: bool = False,
        rules: Sequence[Rule] = (),
    ) -> None:
        self.resource = resource
        self.fields = dict(fields)
        self.known = frozenset(fields)
        self.required = frozenset(required)
        self.nullable = nullable
        self.rules = tuple(rules)
        self._plain = frozenset(key for key, spec in fields.items() if isinstance(spec, Text) and spec.plain)

    def problems(self, value: Any, name: str) -> Problems:
        """Unknown keys, missing keys, bad values, then the rules over the whole object."""
        if type(value) is not dict:
            return NONE if value is None and self.nullable else (Problem((), f"'{name}' must be an object."),)
        found: list[Problem] = []
        if not value.keys() <= self.known:
            found.extend(self._unknown(key) for key in value if key not in self.known)
        if not self.required <= value.keys():
            found.extend(
                Problem((key,), f"'{key}' is a required field.")
                for key in self.fields
                if key in self.required - value.keys()
            )
        self._fields(value, found)
        if not found:
            for rule in self.rules:
                found.extend(rule(value))
        return found

    def _fields(self, value: Mapping[str, Any], found: list[Problem]) -> None:
        plain, fields = self._plain, self.fields
        for key, item in value.items():
            if key in plain and (item is None or type(item) is str):
                continue
            spec = fields.get(key)
            problems = NONE if spec is None else spec.problems(item, key)
            if problems:
                found.extend(problem.under(key) for problem in problems)

    def _unknown(self, key: str) -> Problem:
        # recorded 2024-07: 'last_name' is not a valid field for the resource 'profile'.
        return Problem((key,), f"'{key}' is not a valid field for the resource '{self.resource}'.")
