"""Tags each row of change data with what becomes of it, in Spark, with one shuffle by identifier.

The kinds of change are those of Delta's change feed and the words and letters that other feeds use. Of each identifier
only the latest change counts, by `change_order`; of changes at the same position an insert or update counts more than
a delete, as replacing a row writes both. Nothing is evaluated here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import reduce
from typing import TYPE_CHECKING, Self

from spark_klaviyo.core.codes import OnDelete
from spark_klaviyo.core.identifiers import SEPARATOR, normalised_column
from spark_klaviyo.errors import OptionError, SchemaError
from spark_klaviyo.options.choices import OtherColumns
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.model import FieldCheck, WritePlan
from spark_klaviyo.plan.shape import leaf_at
from spark_klaviyo.plan.types import Field, Type, columns_of

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

COLUMN = "column:"
# The identifiers that each template takes, in order of preference; templates of the catalog take its own ids.
_IDENTIFIERS = {
    "remove_profiles_from_list": ("id", "email", "phone_number", "external_id"),
    "bulk_suppress_profiles": ("email",),
    "request_profile_deletion": ("id", "email", "phone_number"),
}
_CATALOG_IDENTIFIERS = ("id", "external_id")


class ChangeKind(IntEnum):
    """What becomes of a row, in the order in which tasks read the kinds.

    `text` names rows of the kind in a preview, `words` are what the change column holds for it, and `skipped_because`
    is why rows of it are not sent.
    """

    text: str
    words: tuple[str, ...]
    skipped_because: str

    UPSERT = (
        0,
        "inserts and updates",
        ("insert", "i", "create", "c", "update_postimage", "update", "u", "upsert", "read", "r"),
    )
    DELETE = 1, "deletes", ("delete", "d", "remove")
    UNKNOWN = 2, "changes of no known kind, to be rejected"
    OLDER = 3, "older changes, to be skipped", (), "a later change of the same identifier was sent instead"
    PREIMAGE = (
        4,
        "pre-images, to be skipped",
        ("update_preimage", "preimage", "before"),
        "a pre-image: what a row was before its update",
    )
    IGNORED = 5, "deletes, ignored", (), "a delete, and on_delete=ignore"

    def __new__(cls, value: int, text: str = "", words: tuple[str, ...] = (), skipped_because: str = "") -> Self:
        """A member that equals its number."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.text, member.words, member.skipped_because = text, words, skipped_because
        return member


DELTA_COLUMNS = ("_change_type", "_commit_version", "_commit_timestamp")  # Delta's own columns; never sent
KIND = "klaviyo_change"


@dataclass(frozen=True)
class TaggedChanges:
    """Every row of the DataFrame, tagged: the plan's columns, those of `deletion`, and `KIND`, by position.

    `guarded`: deletes are irreversible, and need their number confirmed.
    """

    frame: DataFrame
    plan: WritePlan
    deletion: WritePlan | None
    guarded: bool = False

    @property
    def width(self) -> int:
        """How many columns are the plan's."""
        return len(self.plan.columns)

    def upserts(self) -> DataFrame:
        """The rows of the plan."""
        return self._rows(ChangeKind.UPSERT, self.frame.columns[: self.width], self.plan)

    def deletes(self) -> DataFrame:
        """The rows of `deletion`."""
        return self._rows(ChangeKind.DELETE, self.frame.columns[self.width : -1], self.deletion or self.plan)

    def with_deletes(self, rows: Sequence[Sequence[object]]) -> TaggedChanges:
        """The same with these rows, as `deletes` gave them, in place of those of `deletion`."""
        from pyspark.sql.types import StructField, StructType

        own = [None] * self.width
        schema = StructType([StructField(field.name, field.dataType) for field in self.frame.schema.fields])
        tagged = [(*own, *row, int(ChangeKind.DELETE)) for row in rows]
        deletes = self.frame.sparkSession.createDataFrame(tagged, schema)
        return replace(self, frame=self.frame.where(f"{KIND} <> {ChangeKind.DELETE:d}").union(deletes))

    def counts(self) -> dict[ChangeKind, int]:
        """How many rows there are of each kind; evaluates the DataFrame."""
        return {ChangeKind(row[KIND]): row["count"] for row in self.frame.groupBy(KIND).count().collect()}

    def _rows(self, kind: ChangeKind, names: list[str], plan: WritePlan) -> DataFrame:
        rows = self.frame.where(f"{KIND} = {kind:d}").select(*names)
        return rows.toDF(*(column.name for column in plan.columns))


def tag_changes(df: DataFrame, options: Options, run_id: str) -> TaggedChanges:
    """Plan both ways and tag every row. Raises `OptionError` and `SchemaError`."""
    columns = columns_of(df)
    _require_columns(options, columns)
    not_sent = {*DELTA_COLUMNS, *options.taken_columns} - set(options.fields.values())
    plan = make_plan(options, [column for column in columns if column.name not in not_sent], run_id)
    deletes = delete_plan(options, plan)
    deletion = None
    if deletes is not None:
        fields = [Field(_column_name(check), Type("string")) for check in deletes.identifiers]
        fields += [column for column in columns if column.name in deletes.columns]
        deletion = replace(make_plan(deletes.options, fields, run_id), missing_counts_as_deleted=True)
    frame = _Tagger(df, columns, options, plan).tag(deletes)
    return TaggedChanges(frame, plan, deletion, guarded=deletes is not None and deletes.irreversible)


def _require_columns(options: Options, columns: tuple[Field, ...]) -> None:
    names = [column.name for column in columns]
    if options.change_column not in names:
        raise SchemaError(f"change_column: the DataFrame has no column {options.change_column!r}")
    if options.change_order not in names:
        raise SchemaError(
            f"change_order: the DataFrame has no column {options.change_order!r}; name the one that orders changes, "
            "as only the latest of each identifier is sent"
        )


def _column_name(check: FieldCheck) -> str:
    return "external_id" if check.json_path == ("id",) and check.prefix else check.name


class _Tagger:
    """Tags a DataFrame whose columns are referred to by number, as their names may hold any character."""

    def __init__(self, df: DataFrame, columns: tuple[Field, ...], options: Options, plan: WritePlan) -> None:
        from pyspark.sql import functions

        self.f, self.options, self.plan = functions, options, plan
        self.numbers = {column.name: number for number, column in reversed(list(enumerate(columns)))}
        self.rows = df.toDF(*(f"c{number}" for number in range(len(columns))))

    def tag(self, deletes: DeletePlan | None) -> DataFrame:
        """The plan's columns, those of the deletes, KIND; rows that are skipped come without their values."""
        f = self.f
        columns = [self._column(column.name) for column in self.plan.columns]
        if deletes is not None:
            columns += self._identifiers(deletes)
            columns += [self._column(name) for name in self.numbers if name in deletes.columns]
        is_sent = f.col(KIND) <= int(ChangeKind.UNKNOWN)
        values = [f.when(is_sent, column).alias(f"v{number}") for number, column in enumerate(columns)]
        return self._with_kind(ignores_deletes=deletes is None).select(*values, KIND)

    def _with_kind(self, *, ignores_deletes: bool) -> DataFrame:
        from pyspark.sql import Window

        f = self.f
        rows = self.rows.withColumn("kind", self._kind()).withColumn("identifier", self._identifier())
        is_change = f.col("kind").isin(int(ChangeKind.UPSERT), int(ChangeKind.DELETE))
        order = self._column(self.options.change_order).desc_nulls_last()
        is_delete = f.col("kind") == int(ChangeKind.DELETE)
        latest_first = Window.partitionBy("identifier").orderBy(~is_change, order, is_delete)
        rows = rows.withColumn("position", f.row_number().over(latest_first))
        is_older = is_change & f.col("identifier").isNotNull() & (f.col("position") > 1)
        kind = f.when(is_older, int(ChangeKind.OLDER))
        if ignores_deletes:
            kind = kind.when(is_delete, int(ChangeKind.IGNORED))
        return rows.withColumn(KIND, kind.otherwise(f.col("kind")).cast("int"))

    def _kind(self) -> Column:
        """The kind that the change column says."""
        word = self.f.lower(self.f.trim(self._column(self.options.change_column or "").cast("string")))
        kind: Column = self.f.lit(int(ChangeKind.UNKNOWN))
        for known in ChangeKind:
            if known.words:
                kind = self.f.when(word.isin(*known.words), int(known)).otherwise(kind)
        return kind

    def _identifier(self) -> Column:
        """What makes two rows the same thing; null where a row has no identifier."""
        f, checks = self.f, self.plan.checks
        parts = []
        for number, path in enumerate(checks.key):
            text = normalised_column(path[-1], self._value_at(path).cast("string"))
            parts.append(f.when(text != "", f.concat(f.lit(f"{number}{SEPARATOR}"), text)))
        if not parts:
            return f.lit(None).cast("string")
        first = f.coalesce(*parts)
        belonging = [self._value_at(path).cast("string") for path in checks.key_with]
        return f.when(first.isNotNull(), f.concat_ws(SEPARATOR, first, *belonging))

    def _identifiers(self, deletes: DeletePlan) -> list[Column]:
        """The identifiers that deletes are sent with; only the first that a row has, where the template takes one."""
        f = self.f
        columns: list[Column] = []
        none_before: Column = f.lit(True)
        for check in deletes.identifiers:
            text = f.trim(self._value_at(check.json_path).cast("string"))
            text = f.when(text != "", text)
            columns.append(f.when(none_before, text) if deletes.takes_one else text)
            none_before = none_before & text.isNull()
        return columns

    def _value_at(self, path: tuple[str, ...]) -> Column:
        """The column that a record has at a path; null where it has none."""
        if self.plan.record_column is not None:
            json_path = "$" + "".join("[0]" if part == "[]" else f"['{part}']" for part in path)
            return self.f.get_json_object(self._column(self.plan.record_column), json_path)
        leaf = leaf_at(self.plan.record, path) if self.plan.record is not None else None
        if leaf is None:
            return self.f.lit(None)
        return reduce(lambda column, name: column.getField(name), leaf.source[1:], self._column(leaf.source[0]))

    def _column(self, name: str) -> Column:
        return self.f.col(f"c{self.numbers[name]}")


# --- what a delete means --------------------------------------------------------------------------


@dataclass(frozen=True)
class DeletePlan:
    """Where deletes go. `identifiers`: the fields of the main template that identify a row there.

    `takes_one`: only the first identifier that a row has is sent. `irreversible`: deletes for good, so it is guarded.
    """

    options: Options
    identifiers: tuple[FieldCheck, ...]
    takes_one: bool = False
    irreversible: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the DataFrame that are needed besides the identifiers."""
        given = (*self.options.settings.values(), self.options.default_country or "")
        return tuple(dict.fromkeys(text.removeprefix(COLUMN) for text in given if text.startswith(COLUMN)))


def delete_plan(options: Options, plan: WritePlan) -> DeletePlan | None:
    """What `on_delete` asks for; None where deletes are ignored.

    Raises `OptionError` where the DataFrame has no column that identifies what to delete.
    """
    template = plan.template.delete_templates.get(options.on_delete or OnDelete.IGNORE)
    if template is None:
        return None
    wanted = _IDENTIFIERS.get(template, _CATALOG_IDENTIFIERS)
    fields = {one.name: one for one in plan.checks.fields if one.leaf is not None or plan.record_column is not None}
    identifiers = tuple(fields[name] for name in wanted if name in fields)
    if not identifiers:
        raise OptionError(f"on_delete: {options.on_delete} needs one of the columns {', '.join(wanted)}")
    leaves_list = template in _IDENTIFIERS and options.on_delete is OnDelete.REMOVE
    settings = {"list_id": options.settings["list_id"]} if leaves_list else {}
    return DeletePlan(
        options.for_template(template, settings, other_columns=OtherColumns.DROP),
        identifiers,
        takes_one=template == "request_profile_deletion",
        irreversible=options.on_delete is OnDelete.DELETE,
    )
