"""Tags each row of change data with what becomes of it, in Spark; `decide` says how.

The kinds of change are those of Delta's change feed and the words and letters that other feeds use. Identifiers are
compared as they are sent. Nothing is evaluated here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from operator import and_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f
from pyspark.sql.types import StructField, StructType

from spark_klaviyo.arrow.columns import NOTHING
from spark_klaviyo.core.codes import OnDelete
from spark_klaviyo.core.identifiers import BLANKS, SEPARATOR, normalised_column
from spark_klaviyo.errors import SchemaError
from spark_klaviyo.modes.change_data import decide
from spark_klaviyo.modes.change_data.delete_plan import DeletePlan, delete_plan, identifiers_of
from spark_klaviyo.modes.change_data.kinds import DELETES, INSERTS, KIND, WORDS, ChangeKind
from spark_klaviyo.modes.change_data.readers import ORDER_DDL, read_identifiers, read_order
from spark_klaviyo.options.model import Options
from spark_klaviyo.options.readers import COLUMN
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.model import FieldCheck, WritePlan
from spark_klaviyo.plan.shape import Leaf, leaf_at, leaves_of
from spark_klaviyo.plan.types import Field, Type, columns_of, holds
from spark_klaviyo.runs.session import choose_worker_python, context_of

KEYS = ("external_id", "email", "phone_number")  # in the order in which a row's key is one, if none is named
DELTA_COLUMNS = ("_change_type", "_commit_version", "_commit_timestamp")  # Delta's own columns; never sent


@dataclass(frozen=True)
class TaggedChanges:
    """Every row of the DataFrame, tagged: the plan's columns, those of `deletion`, and `KIND`, by position.

    `guarded`: deletes are irreversible, and need their number confirmed.
    """

    frame: DataFrame
    plan: WritePlan
    deletion: WritePlan | None
    guarded: bool

    def upserts(self) -> DataFrame:
        """The rows of the plan."""
        return self._rows((ChangeKind.UPSERT,), self.frame.columns[: len(self.plan.columns)], self.plan)

    def deletes(self) -> DataFrame:
        """The rows of `deletion`."""
        return self._rows(DELETES, self.frame.columns[len(self.plan.columns) : -1], self.deletion or self.plan)

    def tagged_deletes(self) -> DataFrame:
        """The same with their kind, as `with_deletes` takes them."""
        return self.frame.where(_one_of(DELETES)).select(*self.frame.columns[len(self.plan.columns) :])

    def with_deletes(self, rows: Sequence[Sequence[object]]) -> TaggedChanges:
        """The same with these rows, as `tagged_deletes` gave them, in place of those of `deletion`."""
        own = [None] * len(self.plan.columns)
        schema = StructType([StructField(field.name, field.dataType) for field in self.frame.schema.fields])
        deletes = self.frame.sparkSession.createDataFrame([(*own, *row) for row in rows], schema)
        return replace(self, frame=self.frame.where(f"NOT {_one_of(DELETES)}").union(deletes))

    def counts(self) -> dict[ChangeKind, int]:
        """How many rows there are of each kind; evaluates the DataFrame."""
        return {ChangeKind(row[KIND]): row["count"] for row in self.frame.groupBy(KIND).count().collect()}

    def _rows(self, kinds: Sequence[ChangeKind], names: list[str], plan: WritePlan) -> DataFrame:
        return self.frame.where(_one_of(kinds)).select(*names).toDF(*(column.name for column in plan.columns))


def _one_of(kinds: Sequence[ChangeKind]) -> str:
    return f"{KIND} IN ({', '.join(str(int(kind)) for kind in kinds)})"


def tag_changes(df: DataFrame, options: Options, run_id: str) -> TaggedChanges:
    """Plan both ways and tag every row. Raises `OptionError` and `SchemaError`."""
    columns = columns_of(df)
    _require_columns(options, columns)
    choose_worker_python(context_of(df))  # identifiers are read in Python
    not_sent = {*DELTA_COLUMNS, *options.taken_columns} - set(options.fields.values())
    plan = make_plan(options, [column for column in columns if column.name not in not_sent], run_id)
    deletes = delete_plan(options, plan)
    deletion = None
    if deletes is not None:
        fields = [Field(name, Type("string")) for name in deletes.names]
        fields += [column for column in columns if column.name in deletes.columns]
        deletion = replace(make_plan(deletes.options, fields, run_id), missing_counts_as_deleted=True)
    frame = _Tagger(df, columns, options, plan).tag(deletes)
    guarded = deletes is not None and options.on_delete is OnDelete.DELETE
    return TaggedChanges(frame, plan, deletion, guarded)


def _require_columns(options: Options, columns: tuple[Field, ...]) -> None:
    types = {column.name: column.type for column in columns}
    for option in ("change_column", "change_key", "change_order"):
        given = getattr(options, option)
        names = given if option == "change_key" else (given,)
        missing = ", ".join(repr(name) for name in names if name not in types)
        if missing:
            hint = "; name the one that orders changes, as only the latest of each key is sent"
            shown = f"{', '.join(list(types)[:20])}{hint if option == 'change_order' else ''}"
            raise SchemaError(f"{option}: the DataFrame has no column {missing}; it has {shown}")
    if holds(types[options.change_order], "map", "variant"):
        raise SchemaError(f"change_order: column {options.change_order!r} has no order; name one of numbers or times")


class _Tagger:
    """Tags a DataFrame whose columns are referred to by number, as their names may hold any character."""

    def __init__(self, df: DataFrame, columns: tuple[Field, ...], options: Options, plan: WritePlan) -> None:
        self.options, self.plan = options, plan
        self.numbers = {column.name: number for number, column in reversed(list(enumerate(columns)))}
        self.types = {column.name: column.type for column in reversed(columns)}
        self.rows = df.toDF(*(f"c{number}" for number in range(len(columns))))
        self.identifiers = identifiers_of(options, plan)
        list_id = options.settings.get("list_id", "")
        self.list_column = list_id.removeprefix(COLUMN) if list_id.startswith(COLUMN) else ""

    def tag(self, deletes: DeletePlan | None) -> DataFrame:
        """The plan's columns, those of the deletes, `KIND`; rows that are skipped come without their values."""
        columns = [self._column(column.name) for column in self.plan.columns]
        if deletes is not None:
            columns += [self._deleted_by(check) for check in deletes.identifiers]
            columns += [self._column(name) for name in self.numbers if name in deletes.columns]
        is_needed = f.col(KIND) < int(ChangeKind.OLDER)

        def values(is_whole: Column) -> list[Column]:
            kept = (f.when(is_whole & is_needed, column) for column in columns)
            return [column.alias(f"v{number}") for number, column in enumerate(kept)]

        names, has_lists = tuple(self.identifiers), bool(self.list_column)
        return decide.Decider(names, self.options, deletes, has_lists=has_lists).decide(self._read(), values)

    def _deleted_by(self, check: FieldCheck) -> Column:
        """The identifier of a delete; as it was given where the row has none that Klaviyo could know."""
        given = f.when(f.col(decide.BY).isNull(), self._text_at(check.json_path))
        return f.coalesce(f.col(decide.deleted_by(check.name)), given)

    # --- what decisions are made from ---------------------------------------------------------

    def _read(self) -> DataFrame:
        """The rows with the columns that `decide` asks for."""
        names = tuple(self.identifiers)
        country = self.plan.checks.default_country
        from_column = country.startswith(COLUMN)
        reader = partial(read_identifiers, names, "" if from_column else country)
        texts = [self._text_at(check.json_path) for check in self.identifiers.values()]
        texts.append(self._text(country.removeprefix(COLUMN)) if from_column else f.lit(None).cast("string"))
        rows = self.rows
        if names:
            ddl = ", ".join(f"{name} string" for name in names)
            rows = rows.withColumn("read", f.udf(reader, ddl, useArrow=False)(*texts))
            rows = rows.withColumns({name: f.col(f"read.{name}") for name in names})
        order, is_time = self._order()
        listed = self._text(self.list_column) if self.list_column else f.lit(None).cast("string")
        rows = rows.withColumns({decide.LIST: f.when(listed != "", listed), "given_key": self._key()})
        unique = f.concat(f.lit("\x00"), f.monotonically_increasing_id().cast("string"))
        return rows.withColumns(
            {
                decide.SAID: self._said(),
                decide.IS_INSERT: f.coalesce(self._word().isin(*INSERTS), f.lit(False)),
                decide.KEY: f.coalesce("given_key", unique),
                decide.ORDER: order,
                decide.IS_TIME: is_time,
                decide.CONTENT: f.xxhash64(*self._content()),
                decide.TARGET: f.xxhash64(*names, decide.LIST),
            }
        )

    def _word(self) -> Column:
        return f.lower(f.trim(self._column(self.options.change_column or "").cast("string")))

    def _said(self) -> Column:
        """The kind that the change column says."""
        kind: Column = f.lit(int(ChangeKind.UNKNOWN))
        for known, words in WORDS.items():
            kind = f.when(self._word().isin(*words), int(known)).otherwise(kind)
        has_no_key = f.col("given_key").isNull() & f.lit(bool(self.options.change_key))
        return f.when(has_no_key & (kind != int(ChangeKind.UNKNOWN)), int(ChangeKind.NO_KEY)).otherwise(kind)

    def _order(self) -> tuple[Column, Column]:
        """What orders changes, null where it cannot be read; and of text, whether it is a time."""
        name = self.options.change_order
        column = self._column(name)
        if self.types[name].name in ("string", "char", "varchar"):
            read = f.udf(read_order, ORDER_DDL, useArrow=False)(column)
            return read["number"], read["is_time"]
        if self.types[name].name in ("float", "double"):
            column = f.when(~f.isnan(column), column)
        return column, f.lit(None).cast("boolean")

    def _key(self) -> Column:
        """What identifies the row that a change is about; null where nothing does."""
        if self.options.change_key:
            texts = [self._key_text(name) for name in self.options.change_key]
            whole = reduce(and_, (text.isNotNull() for text in texts))
            return f.when(whole, f.concat_ws(SEPARATOR, *texts))
        paths = sorted(self.plan.checks.key, key=lambda path: KEYS.index(path[-1]) if path[-1] in KEYS else len(KEYS))
        parts = [self._form(path) for path in paths]
        found = [f.concat(f.lit(f"{number}{SEPARATOR}"), text) for number, text in enumerate(parts)]
        if not found:
            return f.lit(None).cast("string")
        first = f.coalesce(*found)
        belonging = [self._text_at(path) for path in self.plan.checks.key_with]
        return f.when(first.isNotNull(), f.concat_ws(SEPARATOR, first, *belonging))

    def _key_text(self, name: str) -> Column:
        """A column of `change_key`, null where it says nothing; an identifier as it is sent.

        Rows that share nothing but a blank are no one row of the source: a delete of one would be of all their people.
        """
        for check in self.identifiers.values():
            if check.leaf is not None and check.leaf.source == (name,):
                return self._form(check.json_path)
        text = self._text(name)
        return f.when(~f.lower(f.btrim(text, f.lit(BLANKS))).isin("", *NOTHING), text)

    def _form(self, path: tuple[str, ...]) -> Column:
        """The identifier at a path, as it compares; null where a row has none."""
        for name, check in self.identifiers.items():
            if check.json_path == path:
                return f.col(f"read.{name}")
        text = normalised_column(path[-1], self._text_at(path))
        return f.when(text != "", text)

    def _content(self) -> list[Column]:
        """What an upsert is made of, as it can be hashed."""
        plan = self.plan
        used = {param.leaf.source[0] for param in plan.params} | {plan.record_column}
        if plan.record is not None:
            used |= {leaf.source[0] for leaf in leaves_of(plan.record)}
        columns = [(self._column(one.name), one.type) for one in plan.columns if one.name in used]
        return [f.to_json(f.struct(column)) if holds(kind, "map", "variant") else column for column, kind in columns]

    # --- columns ------------------------------------------------------------------------------

    def _text_at(self, path: tuple[str, ...]) -> Column:
        """The text that a record has at a path; null where it has none."""
        if self.plan.record_column is not None:
            json_path = "$" + "".join("[0]" if part == "[]" else f"['{part}']" for part in path)
            return f.get_json_object(self._column(self.plan.record_column), json_path)
        leaf = leaf_at(self.plan.record, path) if self.plan.record is not None else None
        return f.lit(None).cast("string") if leaf is None else self._text_of(leaf)

    def _text(self, name: str) -> Column:
        return self._text_of(Leaf((name,), self.types[name]))

    def _text_of(self, leaf: Leaf) -> Column:
        """A column as text without blanks around it, whole numbers without a fraction."""
        column = reduce(lambda column, name: column.getField(name), leaf.source[1:], self._column(leaf.source[0]))
        text = f.trim(column.cast("string"))
        if leaf.type.name in ("float", "double"):
            return f.when(column == f.floor(column), column.cast("decimal(38,0)").cast("string")).otherwise(text)
        if leaf.type.name == "decimal":
            return f.regexp_replace(text, r"\.0+$", "")
        return text

    def _column(self, name: str) -> Column:
        return f.col(f"c{self.numbers[name]}")
