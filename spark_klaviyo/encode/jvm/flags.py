"""The columnar check as Spark columns: which rows need the exact check, which hold NaN, which mean the same thing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from typing import TYPE_CHECKING, TypeAlias

from spark_klaviyo.encode.jvm.columns import Columns
from spark_klaviyo.plan.types import Type
from spark_klaviyo.screen.patterns import NOT_BLANK, whole
from spark_klaviyo.screen.rules import KEY_PARTS, Part, ScreenRule, ScreenRules

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn

Column: TypeAlias = "SparkColumn"
Test: TypeAlias = Callable[["Column", Type], "Column | None"]

# Spark sorts NaN above every number, so that one comparison finds it and both infinities.
LARGEST = {"float": 3.4028234663852886e38, "double": 1.7976931348623157e308}


class Flags:
    """`flag` and `key` of each row."""

    def __init__(self, columns: Columns, rules: ScreenRules) -> None:
        self.columns = columns
        self.rules = rules
        self.f = columns.f

    def flag(self) -> Column:
        """0 fine, 1 look, 2 + n: the column number n holds NaN or an infinity."""
        cases = [
            (self.anywhere(self.columns.column(leaf), leaf.type, self._not_finite), flag)
            for leaf, flag in self.rules.numbers
        ]
        cases.append((None if self.rules.every_row else _any(self._suspicions()), 1))
        found = self.f
        for test, flag in cases:
            found = found if test is None else found.when(test, flag)
        rest = self.f.lit(1 if self.rules.every_row else 0)
        return rest if found is self.f else found.otherwise(rest)

    def too_long(self, record: str, flag: str) -> Column:
        """The flag, with 1 where the record alone is longer than a row may be."""
        long = (self.f.col(flag) == 0) & (self.f.octet_length(record) > self.rules.max_row_bytes)
        return self.f.when(long, 1).otherwise(self.f.col(flag))

    def key(self) -> Column:
        """The first identifier that is present; null where there is none."""
        if not self.rules.key:
            return self.f.lit(None).cast("string")
        first = self.f.coalesce(*[self._part(part) for part in self.rules.key])
        if not self.rules.key_with:
            return first
        beside = [self.f.coalesce(self._part(part), self.f.lit("")) for part in self.rules.key_with]
        return self.f.when(first.isNotNull(), self.f.concat_ws(KEY_PARTS, first, *beside))

    def _part(self, part: Part) -> Column:
        text = self.f.trim(self.columns.column(part.leaf).cast("string"))
        return self.f.nullif(self.f.lower(text) if part.lower else text, self.f.lit(""))

    # --- suspicions -----------------------------------------------------------------------------

    def _suspicions(self) -> Iterator[Column]:
        rules, column = self.rules, self.columns.column
        if rules.identifiers:
            yield self._identified([column(leaf) for leaf in rules.identifiers])
        for look in rules.values:
            yield from self._value(look, column(look.leaf))
        for leaf in rules.deep:
            yield column(leaf).isNotNull()
        for leaf in rules.arrays:
            found = self.anywhere(column(leaf), leaf.type, self._too_many)
            yield from () if found is None else (found,)
        if rules.max_properties is not None:
            yield self._properties() > rules.max_properties

    def _identified(self, identifiers: list[Column]) -> Column:
        if self.rules.exactly_one:
            return self._count(identifiers) != 1
        return reduce(lambda a, b: a & b, [column.isNull() for column in identifiers])

    def _value(self, look: ScreenRule, column: Column) -> Iterator[Column]:
        if look.required:
            yield column.isNull()
        if look.always:
            yield column.isNotNull()
        for pattern in look.patterns:
            doubted = ~column.rlike(whole(pattern))
            # Most texts begin with a printing ASCII character, which two comparisons tell for a quarter of the cost.
            yield ((column < "!") | (column > "~")) & doubted if pattern == NOT_BLANK else doubted
        if look.max_length is not None:
            # Counting bytes costs a fraction of counting characters, and says no almost always.
            yield (self.f.octet_length(column) > look.max_length) & (self.f.length(column) > look.max_length)
        if look.bounds is not None:
            moments = [look.bounds.earliest, look.bounds.latest]
            low, high = (moment and self._moment(moment.strftime("%Y-%m-%dT%H:%M:%S"), look) for moment in moments)
            value = self.f.substring(column, 1, 19) if look.leaf.type.name == "string" else column
            yield from (value < low,) if low is not None else ()
            yield from (value > high,) if high is not None else ()

    def _moment(self, text: str, look: ScreenRule) -> Column:
        """A bound, to compare with a column of the look's type without passing through the session's zone."""
        kind = look.leaf.type.name
        if kind == "timestamp":
            return self.f.lit(text + "Z").cast("timestamp")
        return self.f.lit(text).cast({"timestamp_ntz": "timestamp_ntz", "date": "date"}.get(kind, "string"))

    def _count(self, columns: Iterable[Column]) -> Column:
        return reduce(lambda a, b: a + b, [column.isNotNull().cast("int") for column in columns], self.f.lit(0))

    def _properties(self) -> Column:
        sizes = [self.f.greatest(self.f.size(self.columns.column(leaf)), self.f.lit(0)) for leaf in self.rules.maps]
        return reduce(lambda a, b: a + b, sizes, self._count(map(self.columns.column, self.rules.properties)))

    # --- values anywhere inside -----------------------------------------------------------------

    def _not_finite(self, column: Column, kind: Type) -> Column | None:
        return self.f.abs(column) > self.f.lit(LARGEST[kind.name]) if kind.name in LARGEST else None

    def _too_many(self, column: Column, kind: Type) -> Column | None:
        return self.f.size(column) > self.rules.max_items if kind.name == "array" else None

    def anywhere(self, column: Column, kind: Type, test: Test) -> Column | None:
        """Whether a value, or one anywhere inside it, passes the test; None where its type cannot."""
        return _any(found for found in (test(column, kind), *self._inside(column, kind, test)) if found is not None)

    def _inside(self, column: Column, kind: Type, test: Test) -> Iterator[Column | None]:
        for field in kind.fields:
            yield self.anywhere(column.getField(field.name), field.type, test)
        inner = kind.element or kind.value
        if inner is not None and self.anywhere(column, inner, test) is not None:
            items = column if kind.element else self.f.map_values(column)
            yield self.f.exists(items, lambda item: self.anywhere(item, inner, test))


def _any(tests: Iterable[Column]) -> Column | None:
    """Whether one of the tests is passed; a test of null is not."""
    found: Column | None = None
    for test in tests:
        found = test if found is None else found | test
    return found
