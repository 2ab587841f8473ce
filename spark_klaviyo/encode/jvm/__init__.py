"""A DataFrame and a plan in, the DataFrame of encoded rows out: records are made inside the JVM by `to_json`.

The columns are those of every encoder: `record` (JSON and the separator), `flag`, `key`, and `aside` where the plan has
any. One projection without a shuffle, of expressions that classic Spark and Spark Connect both know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_klaviyo.core.exact_json import Json
from spark_klaviyo.plan.manual.formats import separator
from spark_klaviyo.plan.shape import Each, Fixed, Leaf, Node, When
from spark_klaviyo.plan.types import Type
from spark_klaviyo.screen.rules import compile_screen

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from spark_klaviyo.plan.model import WritePlan


def encodable(plan: WritePlan) -> bool:
    """Whether `to_json` can make these records. If not, they are made by `encode.arrow` in the worker.

    It cannot write some nulls and leave out others, merge a map with fields, or write dates as keys.
    """
    if not plan.columns:
        return False
    leaves = [aside.leaf for aside in plan.params]
    return all(map(_plain, leaves)) and (plan.record is None or _writable(plan.record))


def numbered(df: DataFrame, plan: WritePlan) -> DataFrame:
    """The same columns called c0, c1, ...: a name may hold anything, and two names may differ in case alone.

    `mapInArrow`, for one, fails on a name with a dot. `encode.arrow` takes columns by their place.
    """
    return df.toDF(*(f"c{number}" for number in range(len(plan.columns))))


def _writable(node: Node) -> bool:
    if isinstance(node, Fixed):
        return _constant(node.value)
    if isinstance(node, Leaf):
        return _plain(node)
    if isinstance(node, Each):
        return _plain(node.leaf)
    if isinstance(node, When):
        return _plain(node.leaf) and _writable(node.then)
    return not node.spread and all(_writable(child) for _, child in node.fields)


def _plain(leaf: Leaf) -> bool:
    return not leaf.keep_null and _known(leaf.type)


def _known(kind: Type) -> bool:
    if kind.name == "unknown" or (kind.key is not None and kind.key.name == "date"):
        return False
    names = [field.name.casefold() for field in kind.fields]
    children = [field.type for field in kind.fields] + [t for t in (kind.element, kind.value) if t]
    return len(set(names)) == len(names) and all(map(_known, children))


def _constant(value: Json) -> bool:
    if isinstance(value, dict):
        return bool(value) and all(map(_constant, value.values()))
    if isinstance(value, list):
        scalars = not any(isinstance(item, dict | list) for item in value)
        return all(map(_constant, value)) and (len(value) < 2 or (scalars and len(set(map(type, value))) == 1))
    if isinstance(value, int):
        return abs(value) < 2**63
    return isinstance(value, str | float)


def encoded(df: DataFrame, plan: WritePlan) -> DataFrame:
    """The encoded rows of `df`, whose columns are the plan's, in their order. Nothing is evaluated yet."""
    from pyspark.sql import functions

    from spark_klaviyo.encode.jvm.columns import Columns
    from spark_klaviyo.encode.jvm.flags import Flags

    columns = Columns(functions, plan)
    rules = compile_screen(plan)
    flags = Flags(columns, rules)
    params = [columns.aside(plan.params).alias("aside")] if plan.params else []
    record = columns.record(separator(plan.content_format).decode()).alias("record")
    rows = numbered(df, plan).select(record, flags.flag().alias("flag"), flags.key().alias("key"), *params)
    if rules.max_row_bytes is None or rules.every_row:
        return rows
    # A second projection, so that the record is made once: Spark does not merge what is costly and used twice.
    return rows.withColumn("flag", flags.too_long("record", "flag"))
