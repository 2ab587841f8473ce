"""Change data: which change of each identifier counts, and where it goes; in Spark, one shuffle by identifier.

The kinds of change are those of Delta's change feed (`insert`, `update_preimage`, `update_postimage`, `delete`) and
the words and letters that other feeds use. Of each identifier only the latest change counts, by `change_order`; at the
same place in that order an insert or update counts more than a delete, as replacing a row writes both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spark_klaviyo.core.identifiers import SEPARATOR, normalised_column
from spark_klaviyo.errors import SchemaError
from spark_klaviyo.modes.change_data.delete_plan import Counterpart, counterpart
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.model import FieldCheck, WritePlan
from spark_klaviyo.plan.shape import Leaf
from spark_klaviyo.plan.types import Field, Type, columns_of
from spark_klaviyo.screen.rules import KeyPart, compile_screen
from spark_klaviyo.templates.model import FieldForm

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# What becomes of a row, in the order in which the tasks meet them.
UPSERT, DELETE, UNKNOWN, OLDER, PREIMAGE, IGNORED = range(6)
WORDS: dict[str, int] = {
    **dict.fromkeys(("insert", "i", "create", "c", "update_postimage", "update", "u", "upsert", "read", "r"), UPSERT),
    **dict.fromkeys(("delete", "d", "remove"), DELETE),
    **dict.fromkeys(("update_preimage", "preimage", "before"), PREIMAGE),
}
FEED = ("_change_type", "_commit_version", "_commit_timestamp")  # Delta's own columns; never sent
WHAT = "klaviyo_change"


@dataclass(frozen=True)
class Changes:
    """Every row of the DataFrame, tagged: the plan's columns, the counterpart's columns, and `WHAT`, by position."""

    frame: DataFrame
    plan: WritePlan
    deletion: WritePlan | None
    guarded: bool = False

    @property
    def width(self) -> int:
        """How many columns are the plan's."""
        return len(self.plan.columns)

    def upserts(self) -> DataFrame:
        """The rows of the plan, alone."""
        return self._rows(UPSERT, self.frame.columns[: self.width], self.plan)

    def deletes(self) -> DataFrame:
        """The rows of the counterpart, alone."""
        return self._rows(DELETE, self.frame.columns[self.width : -1], self.deletion or self.plan)

    def with_deletes(self, rows: Sequence[Sequence[object]]) -> Changes:
        """The same with these rows, as `deletes` gave them, in place of the counterpart's."""
        from pyspark.sql.types import StructField, StructType

        own = [None] * self.width
        schema = StructType([StructField(field.name, field.dataType) for field in self.frame.schema.fields])
        held = self.frame.sparkSession.createDataFrame([(*own, *row, DELETE) for row in rows], schema)
        return replace(self, frame=self.frame.where(f"{WHAT} <> {DELETE}").union(held))

    def counts(self) -> dict[int, int]:
        """How many rows of each kind; evaluates the DataFrame."""
        return {row[WHAT]: row["count"] for row in self.frame.groupBy(WHAT).count().collect()}

    def _rows(self, what: int, names: list[str], plan: WritePlan) -> DataFrame:
        rows = self.frame.where(f"{WHAT} = {what}").select(*names)
        return rows.toDF(*(column.name for column in plan.columns))


def read_changes(df: DataFrame, options: Options, run_id: str) -> Changes:
    """Plan both ways and tag every row; nothing is evaluated. Raises `OptionError` and `SchemaError`."""
    columns = columns_of(df)
    _there(options, columns)
    sent = [column for column in columns if column.name not in _own(options)]
    plan = make_plan(options, sent, run_id)
    other = counterpart(options, plan)
    deletion = None
    if other is not None:
        fields = [Field(_name(wanted), Type("string")) for wanted in other.identifiers]
        fields += [column for column in columns if column.name in other.columns]
        deletion = replace(make_plan(other.options, fields, run_id), missing_counts_as_deleted=True)
    frame = _Tagging(df, columns, options).frame(plan, other)
    return Changes(frame, plan, deletion, guarded=other is not None and other.deletes)


def _there(options: Options, columns: tuple[Field, ...]) -> None:
    names = [column.name for column in columns]
    if options.change_column not in names:
        raise SchemaError(f"change_column: the DataFrame has no column {options.change_column!r}")
    if options.change_order not in names:
        raise SchemaError(
            f"change_order: the DataFrame has no column {options.change_order!r}; name the one that orders changes, "
            "as only the latest of each identifier is sent"
        )


def _own(options: Options) -> frozenset[str]:
    """Columns that tell of the change and are not sent, unless `fields` names them."""
    return frozenset({*FEED, *options.taken_columns}) - set(options.fields.values())


def _name(wanted: FieldCheck) -> str:
    return "external_id" if wanted.json_path == ("id",) and wanted.prefix else wanted.name


class _Tagging:
    """Builds the tagged frame from a DataFrame whose columns are called by number, as a name may hold anything."""

    def __init__(self, df: DataFrame, columns: tuple[Field, ...], options: Options) -> None:
        from pyspark.sql import functions

        self.f = functions
        self.options = options
        self.numbers = {column.name: n for n, column in reversed(list(enumerate(columns)))}
        self.rows = df.toDF(*(f"c{number}" for number in range(len(columns))))

    def frame(self, plan: WritePlan, other: Counterpart | None) -> DataFrame:
        """Columns, counterpart's columns, WHAT; rows that are skipped come without their values."""
        tagged = self._tagged(plan, ignored=other is None)
        needed = self.f.col(WHAT) <= UNKNOWN
        own = [self._named(column.name) for column in plan.columns]
        others = self._identifiers(plan, other) if other is not None else []
        every = [self.f.when(needed, column).alias(f"v{n}") for n, column in enumerate([*own, *others])]
        return tagged.select(*every, WHAT)

    def _tagged(self, plan: WritePlan, *, ignored: bool) -> DataFrame:
        from pyspark.sql import Window

        f = self.f
        kind = f.coalesce(self._kind(), f.lit(UNKNOWN))
        rows = self.rows.withColumn("kind", kind).withColumn("who", self._who(plan))
        counts = f.when(f.col("kind").isin(UPSERT, DELETE), 0).otherwise(1)
        latest = Window.partitionBy("who").orderBy(
            counts, self._named(self.options.change_order).desc_nulls_last(), f.col("kind") == DELETE
        )
        rows = rows.withColumn("place", f.row_number().over(latest))
        older = f.col("kind").isin(UPSERT, DELETE) & f.col("who").isNotNull() & (f.col("place") > 1)
        what = f.when(older, OLDER)
        if ignored:
            what = what.when(f.col("kind") == DELETE, IGNORED)
        return rows.withColumn(WHAT, what.otherwise(f.col("kind")).cast("int"))

    def _kind(self) -> Column:
        word = self.f.lower(self.f.trim(self._named(self.options.change_column or "").cast("string")))
        kinds = sorted(set(WORDS.values()))
        words = {kind: [text for text, meant in WORDS.items() if meant == kind] for kind in kinds}
        found = self.f.when(word.isin(words[kinds[0]]), kinds[0])
        for kind in kinds[1:]:
            found = found.when(word.isin(words[kind]), kind)
        return found

    def _who(self, plan: WritePlan) -> Column:
        """The identifier that makes two rows the same thing; null where a row has none."""
        if plan.record_column is not None:
            places = [(at, self._inside(plan.record_column, at)) for at in plan.checks.key]
            beside = [self._inside(plan.record_column, at) for at in plan.checks.key_with]
            parts = [self._told(n, column, at[-1]) for n, (at, column) in enumerate(places)]
        else:
            rules = compile_screen(plan)
            phones = [wanted.leaf for wanted in plan.checks.fields if wanted.form is FieldForm.PHONE]
            parts = [self._part(n, part, part.leaf in phones) for n, part in enumerate(rules.key)]
            beside = [self._column(part.leaf) for part in rules.key_with]
        if not parts:
            return self.f.lit(None).cast("string")
        who = self.f.coalesce(*parts)
        return self.f.when(who.isNotNull(), self.f.concat_ws(SEPARATOR, who, *(c.cast("string") for c in beside)))

    def _part(self, number: int, part: KeyPart, phone: bool) -> Column:
        return self._told(number, self._column(part.leaf), "phone_number" if phone else "email" if part.lower else "")

    def _told(self, number: int, column: Column, kind: str) -> Column:
        """An identifier as it is compared, and which one it is; null where it is missing."""
        text = normalised_column(kind, column.cast("string"))
        return self.f.when(text != "", self.f.concat(self.f.lit(f"{number}{SEPARATOR}"), text))

    def _identifiers(self, plan: WritePlan, other: Counterpart) -> list[Column]:
        found: list[Column] = []
        free: Column = self.f.lit(True)
        for wanted in other.identifiers:
            text = self.f.trim(self._value(plan, wanted).cast("string"))
            text = self.f.when(text != "", text)
            found.append(self.f.when(free, text) if other.first_only else text)
            free = free & text.isNull()
        return [*found, *(self._named(name) for name in self.numbers if name in other.columns)]

    def _value(self, plan: WritePlan, wanted: FieldCheck) -> Column:
        if wanted.leaf is not None:
            return self._column(wanted.leaf)
        return self._inside(plan.record_column or "", wanted.json_path)

    # --- columns --------------------------------------------------------------------------------

    def _named(self, name: str) -> Column:
        return self.f.col(f"c{self.numbers[name]}")

    def _column(self, leaf: Leaf) -> Column:
        column = self._named(leaf.source[0])
        for part in leaf.source[1:]:
            column = column.getField(part)
        return column

    def _inside(self, column: str, at: tuple[str, ...]) -> Column:
        path = "$" + "".join("[0]" if part == "[]" else f"['{part}']" for part in at)
        return self.f.get_json_object(self._named(column), path)
