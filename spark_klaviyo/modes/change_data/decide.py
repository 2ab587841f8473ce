"""Decides, in Spark, what becomes of each change: which one of a key counts, whom a delete means, who is claimed.

The changes of a key come together in one shuffle. Where deletes are sent, two more find rows of other keys that insert
or update the same people: one by identifier, one that brings what was found back to the key. The source is read once,
and nothing is evaluated here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as f

from spark_klaviyo.core.codes import OnDelete
from spark_klaviyo.core.identifiers import SEPARATOR
from spark_klaviyo.modes.change_data.delete_plan import DeletePlan
from spark_klaviyo.modes.change_data.kinds import KIND, ChangeKind
from spark_klaviyo.options.model import Options

# What rows bring, beside each identifier by its name (null where there is none):
SAID, IS_INSERT = "said", "is_insert"  # what the change column says, as a `ChangeKind`; whether it is an insert
KEY, LIST = "key", "list"  # never null; the list that a column gives, else null
ORDER, IS_TIME = "order", "is_time"  # null where it cannot be read; null where all orders have one type
CONTENT, TARGET = "content", "target"  # hashes of what the row would send as an upsert, and as a delete
# What is added, beside the identifier that a row is deleted by, which is the column `deleted_by(name)`:
VERDICT, CHOSEN, BY, PLACE = "verdict", "chosen", "by", "place"
ROW, BUCKET, CLAIMS = "row", "bucket", "claims"
SHARED_IN_FAMILIES = "phone_number"  # no sign by itself that two rows are one person


def deleted_by(name: str) -> str:
    """The column of the identifier `name` where a row is deleted by it, else null."""
    return f"by_{name}"


class Decider:
    """Decides by what the options leave to decide.

    `names`: the identifiers, in the order in which a delete takes one. `deletes`: where deletes go; None: they are
    ignored. `has_lists`: rows name their own lists.
    """

    def __init__(self, names: Sequence[str], options: Options, deletes: DeletePlan | None, *, has_lists: bool) -> None:
        means, follows = options.on_delete, deletes is not None and deletes.is_about_people and bool(options.change_key)
        self.names, self.sends_deletes = names, deletes is not None
        self.sends_former = follows and means is not OnDelete.DELETE  # people whose identifiers all changed
        self.sends_moved = follows and means is OnDelete.REMOVE  # people who changed lists
        self.by_list = means is OnDelete.REMOVE and has_lists  # a delete is about the row's own list alone
        self.may_clash = bool(options.change_key) or len(names) > 1  # rows of several keys can mean one person

    def decide(self, rows: DataFrame, values: Callable[[Column], list[Column]]) -> DataFrame:
        """`values` and `KIND` of each row; `values` are made from the condition that says which rows are whole."""
        rows = self._with_targets(_with_chosen(_with_verdicts(rows)))
        rows = rows.withColumn(KIND, self._kind().cast("int"))
        if self.sends_deletes and self.may_clash:
            return self._without_claimed(rows, values)
        return rows.withColumn(KIND, _once(f.lit(False))).select(*values(f.lit(True)), KIND)

    # --- whom a row deletes -------------------------------------------------------------------

    def _with_targets(self, rows: DataFrame) -> DataFrame:
        """The rows with the one identifier that each would be deleted by (`BY` is its name).

        For a deleted key that is the first kind of identifier that any of its rows has, with each row's own value; the
        chosen row takes the value of another row where it has none. For a pre-image it is its first identifier, or on
        another list the first that it shares with what its row became.
        """
        counts = _is(SAID, ChangeKind.UPSERT, ChangeKind.DELETE, ChangeKind.PREIMAGE)
        upserted = f.col(CHOSEN) & _is(VERDICT, ChangeKind.UPSERT)
        rows = rows.withColumns(
            {
                "counts": counts,
                **{f"any_{name}": _of_key(f.max(f.when(counts, f.col(name)))) for name in self.names},
                **{f"now_{name}": _of_key(f.max(f.when(upserted, f.col(name)))) for name in (*self.names, LIST)},
            }
        )
        deleted = _is(VERDICT, ChangeKind.DELETE)
        is_shared = {name: _sure(f.col(name) == f.col(f"now_{name}")) for name in self.names}
        first = _first({name: f.col(f"any_{name}").isNotNull() for name in self.names})
        own = _first({name: f.col(name).isNotNull() for name in self.names})
        rows = rows.withColumns(
            {
                "is_somebody": own.isNotNull(),
                "is_same": reduce(or_, is_shared.values(), f.lit(False)),
                "has_moved": _sure(f.col(LIST) != f.col(f"now_{LIST}")),
                BY: f.when(deleted, first).otherwise(f.coalesce(_first(is_shared), own)),
            }
        )
        adopts = f.col(CHOSEN) & deleted
        for name in self.names:
            value = f.when(adopts, f.coalesce(name, f"any_{name}")).otherwise(f.col(name))
            rows = rows.withColumn(deleted_by(name), f.when(f.col(BY) == name, value))
        return self._with_firsts(rows, deleted)

    def _with_firsts(self, rows: DataFrame, deleted: Column) -> DataFrame:
        """The rows with whether they are the first of their key about that person (and list)."""
        target = f.coalesce(*map(deleted_by, self.names), f.lit(None).cast("string"))
        matters = f.col("counts") & target.isNotNull() & (deleted | _is(SAID, ChangeKind.PREIMAGE))
        if self.by_list:
            matters &= f.col(LIST).isNotNull() | f.col(CHOSEN)
        listed = f.when(f.lit(self.by_list) | ~deleted, f.col(LIST))
        place = f.when(matters, f.concat_ws(SEPARATOR, BY, target, listed))
        rows = rows.withColumn(PLACE, place)
        first = f.row_number().over(Window.partitionBy(KEY, PLACE).orderBy(f.col(CHOSEN).desc())) == 1
        return rows.withColumn("is_first", f.col(PLACE).isNotNull() & first)

    # --- what becomes of a row ----------------------------------------------------------------

    def _kind(self) -> Column:
        preimage = _is(SAID, ChangeKind.PREIMAGE)
        other = ~f.col("is_same") & f.col("is_somebody")
        kind = f.when(_is(SAID, ChangeKind.UNKNOWN, ChangeKind.NO_KEY), f.col(SAID))
        kind = kind.when(_is(VERDICT, ChangeKind.TIED) & ~preimage, int(ChangeKind.TIED))
        kind = kind.when(f.col(CHOSEN) & _is(VERDICT, ChangeKind.UPSERT), int(ChangeKind.UPSERT))
        kind = kind.when(f.col(CHOSEN), int(ChangeKind.DELETE if self.sends_deletes else ChangeKind.IGNORED))
        if self.sends_deletes:
            kind = kind.when(f.col("is_first") & _is(VERDICT, ChangeKind.DELETE), int(ChangeKind.FURTHER))
        former = ChangeKind.FORMER if self.sends_former else ChangeKind.LEFT_BEHIND
        moved = ChangeKind.FORMER if self.sends_moved else ChangeKind.STAYS_ON_LIST
        placed = preimage & f.col(PLACE).isNotNull()
        update = placed & _is(VERDICT, ChangeKind.UPSERT)
        kind = kind.when(update & other, int(former)).when(update & f.col("has_moved"), int(moved))
        kind = kind.when(placed & f.col(VERDICT).isNull(), int(ChangeKind.LEFT_BEHIND))
        kind = kind.when(preimage, int(ChangeKind.PREIMAGE))
        replaced = _is(SAID, ChangeKind.DELETE) & _is(VERDICT, ChangeKind.UPSERT)
        kind = kind.when(replaced & other, int(ChangeKind.NOT_DELETED))
        return kind.otherwise(int(ChangeKind.OLDER))

    # --- people whom rows of other keys insert or update --------------------------------------

    def _without_claimed(self, rows: DataFrame, values: Callable[[Column], list[Column]]) -> DataFrame:
        """The rows; deletes of people whom rows of other keys insert or update are `CLAIMED`.

        Each row is joined by small ones, a claim for each identifier that it upserts or takes away; those with the same
        identifier meet, and what they find goes back to the key.
        """
        back = f.when(_is(KIND, *_PLACED), f.concat_ws(SEPARATOR, KEY, PLACE)).otherwise(f.col(KEY))
        row = f.struct(f.lit(True).alias(ROW), back.alias(BUCKET), f.lit(False).alias(CLAIMS))
        rows = rows.withColumn("back", back)
        rows = rows.withColumn("claim", f.explode(f.concat(f.array(row), self._claims())))
        kept = values(f.col(f"claim.{ROW}"))
        rows = rows.select(*kept, KIND, SAID, KEY, "is_first", "back", "claim.*")
        names = rows.columns[: len(kept)]
        with_same = Window.partitionBy(ROW, BUCKET)
        low, high = (how(f.when(f.col(CLAIMS), f.col(KEY))).over(with_same) for how in (f.min, f.max))
        meets = ~f.col(ROW) & ~f.col(CLAIMS) & _sure((low != f.col(KEY)) | (high != f.col(KEY)))
        rows = rows.withColumn("meets", meets)
        rows = rows.withColumn("is_claimed", f.max("meets").over(Window.partitionBy("back")))
        return rows.where(ROW).select(*names, _once(f.col("is_claimed")).alias(KIND))

    def _claims(self) -> Column:
        """An array of (False, identifier, whether the row upserts it) for each identifier that matters."""
        upserts = _is(KIND, ChangeKind.UPSERT)
        tells = _is(KIND, ChangeKind.LEFT_BEHIND, ChangeKind.STAYS_ON_LIST)
        takes = _is(KIND, ChangeKind.FORMER) | (_is(VERDICT, ChangeKind.DELETE) & f.col("counts"))
        found = []
        for name in self.names:
            matters = upserts | tells | (takes if name != SHARED_IN_FAMILIES else takes & (f.col(BY) == name))
            bucket = f.concat_ws(SEPARATOR, f.lit(name), name, *([LIST] if self.by_list else []))
            claim = f.struct(f.lit(False).alias(ROW), bucket.alias(BUCKET), upserts.alias(CLAIMS))
            found.append(f.when(matters & f.col(name).isNotNull(), claim))
        return f.filter(f.array(*found), lambda claim: claim.isNotNull())


# Kinds of pre-images that are about a person of their own, or a place on a list; the first of each place counts.
_PLACED = (ChangeKind.FORMER, ChangeKind.LEFT_BEHIND, ChangeKind.STAYS_ON_LIST)


def _once(is_claimed: Column) -> Column:
    """What becomes of a row, now that it is known who is claimed; of equal pre-images one counts."""
    kind = f.when(_is(KIND, *_PLACED) & (is_claimed | ~f.col("is_first")), int(ChangeKind.PREIMAGE))
    further = is_claimed & _is(KIND, ChangeKind.FURTHER)
    kind = kind.when(further & _is(SAID, ChangeKind.PREIMAGE), int(ChangeKind.PREIMAGE))
    kind = kind.when(further, int(ChangeKind.OLDER))
    return kind.when(is_claimed & _is(KIND, ChangeKind.DELETE), int(ChangeKind.CLAIMED)).otherwise(f.col(KIND))


# --- the change of each key that counts -----------------------------------------------------------


def _with_verdicts(rows: DataFrame) -> DataFrame:
    """The rows with what the last change of their key is: UPSERT, DELETE or TIED; null where there is none."""
    change, order = _is(SAID, ChangeKind.UPSERT, ChangeKind.DELETE), f.col(ORDER)
    rows = rows.withColumns(
        {
            "latest": _of_key(f.max(f.when(change, order))),
            "is_unordered": _any(change & order.isNull()) | _sure(_differ(f.when(change, f.col(IS_TIME)))),
        }
    )
    rows = rows.withColumn("is_last", change & (f.col("is_unordered") | _sure(order == f.col("latest"))))
    upsert, delete = (f.col("is_last") & _is(SAID, kind) for kind in (ChangeKind.UPSERT, ChangeKind.DELETE))
    rows = rows.withColumns(
        {
            "is_unequal": _sure(_differ(f.when(upsert, f.col(CONTENT))) | _differ(f.when(delete, f.col(TARGET)))),
            "has_upsert": _any(upsert),
            "has_delete": _any(delete),
            "is_replaced": ~(_any(upsert & ~f.col(IS_INSERT)) | f.col("is_unordered")),  # an insert beside a delete
        }
    )
    both = f.col("has_upsert") & f.col("has_delete")
    verdict = f.when(f.col("is_unequal") | (both & ~f.col("is_replaced")), int(ChangeKind.TIED))
    verdict = verdict.when(f.col("has_upsert"), int(ChangeKind.UPSERT))
    return rows.withColumn(VERDICT, verdict.when(f.col("has_delete"), int(ChangeKind.DELETE)))


def _with_chosen(rows: DataFrame) -> DataFrame:
    """The rows with which one of each key is sent: one of the last changes, which are equal."""
    counts = f.col("is_last") & _sure(f.col(SAID) == f.col(VERDICT))
    first = f.row_number().over(Window.partitionBy(KEY).orderBy(counts.desc())) == 1
    return rows.withColumn(CHOSEN, counts & first)


# --- conditions -----------------------------------------------------------------------------------


def _of_key(aggregate: Column) -> Column:
    return aggregate.over(Window.partitionBy(KEY))


def _any(condition: Column) -> Column:
    """Whether it holds for any row of the key."""
    return _sure(_of_key(f.max(condition)))


def _differ(value: Column) -> Column:
    """Whether the key has several values; null where it has none."""
    return _of_key(f.min(value)) != _of_key(f.max(value))


def _sure(condition: Column) -> Column:
    """The condition, false where it is null."""
    return f.coalesce(condition, f.lit(False))


def _is(column: str, *kinds: ChangeKind) -> Column:
    return _sure(f.col(column).isin(*map(int, kinds)))


def _first(conditions: dict[str, Column]) -> Column:
    """The first of these names whose condition holds; null where none does."""
    none = f.lit(None).cast("string")
    return f.coalesce(*(f.when(condition, f.lit(name)) for name, condition in conditions.items()), none)
