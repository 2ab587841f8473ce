"""Change data against a model in plain Python: whoever the rule means is sent or taken away, and nobody else."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.modes.change_data.change_feed import tag_changes
from spark_klaviyo.modes.change_data.kinds import DELETES, WARNED, ChangeKind
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.modes.change_model import NAMES, Change, Expected, Rule, expected, worlds
from tests.modes.changing import LIST, OTHER_LIST, emails, on_list, written

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

COLUMNS = "pk op at email external_id phone_number first_name list"
WORLDS = 300  # one pass over many worlds is much cheaper than many passes over few


@pytest.fixture
def seed() -> int:
    """The worlds of this run, printed where a test fails."""
    drawn = random.randrange(2**32)
    print(f"{drawn=}")  # noqa: T201
    return drawn


def frame_of(spark: SparkSession, rows: list[Change]) -> DataFrame:
    made = [(r.pk, r.op, r.at, *(r.spelled[name] for name in NAMES), r.version, r.list) for r in rows]
    schema = ", ".join(f"{name} {'int' if name == 'at' else 'string'}" for name in COLUMNS.split())
    return spark.createDataFrame(made, schema).repartition(2)


def options_of(rule: Rule) -> dict[str, object]:
    given: dict[str, object] = {"on_delete": rule.means, "change_column": "op", "change_order": "at"}
    given |= {"default_country": "US", "list_id": "column:list" if rule.by_column else LIST}
    given |= {"change_key": "pk"} if rule.has_key else {}
    return given


def found(df: DataFrame, rule: Rule) -> Expected:
    """What tagging makes of the rows."""
    given = {**options_of(rule), "template": "add_profiles_to_list", "api_key": "pk_test"}
    given |= {"confirm_deletion": 0} if rule.means == "delete" else {}
    changes = tag_changes(df, options_at(EntryPoint.FUNCTION, given), "run")
    made = Expected(Counter(), Counter())
    columns = [column.name for column in changes.plan.columns]
    taken = [column.name for column in changes.deletion.columns] if changes.deletion else []
    for row in changes.frame.collect():
        kind, values = ChangeKind(row[-1]), dict(zip(columns, row, strict=False))
        deleted = dict(zip(taken, row[len(columns) :], strict=False))
        if kind is ChangeKind.UPSERT:
            made.upserts[tuple(values[name] for name in (*NAMES, "first_name", "list", "pk"))] += 1
        elif kind in DELETES:
            [place] = [(name, deleted[name]) for name in NAMES if deleted.get(name)] or [("email", None)]
            made.taken[*place, deleted.get("list")] += 1
            made.people += kind is ChangeKind.DELETE
        elif kind.code is not None:
            made.tied += kind is ChangeKind.TIED
            made.claimed += kind is ChangeKind.CLAIMED
            made.keyless += kind is ChangeKind.NO_KEY
        else:
            made.skipped += 1
            made.warned += kind in WARNED
    return made


def unlike(one: Expected, other: Expected) -> dict[str, object]:
    """What each has more of."""
    made, wanted = vars(one), vars(other)
    return {name: (value - wanted[name], wanted[name] - value) for name, value in made.items() if value != wanted[name]}


RULES = [
    Rule("remove", has_key=True),
    Rule("remove", has_key=False),
    Rule("delete", has_key=True),
    Rule("delete", has_key=False),
    Rule("remove", has_key=True, by_column=True),
    Rule("remove", has_key=False, by_column=True),
    Rule("delete", has_key=True, by_column=True),
]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_what_becomes_of_a_row_is_what_the_model_says(spark: SparkSession, rule: Rule, seed: int) -> None:
    rows = worlds(seed, WORLDS, NAMES, (LIST, OTHER_LIST, None) if rule.by_column else (None,))
    made, wanted = found(frame_of(spark, rows), rule), expected(rows, rule)
    assert unlike(made, wanted) == {}
    assert len(rows) == (
        sum(made.upserts.values()) + sum(made.taken.values()) + made.tied + made.claimed + made.keyless + made.skipped
    )


@pytest.mark.parametrize("means", ["remove", "suppress", "delete"])
@pytest.mark.parametrize("has_key", [True, False], ids=["change_key", "email"])
def test_who_is_on_the_list_and_who_is_erased_is_what_the_model_says(
    spark: SparkSession, means: str, has_key: bool, seed: int
) -> None:
    rule, rows = Rule(means, has_key), worlds(seed, 120, names=("email",))
    wanted = expected(rows, rule)
    everybody = {f"p{number}.w{world}@example.com" for world in range(120) for number in range(4)}
    taken = {str(value) for _, value, _ in wanted.taken if value}
    upserted = {str(sent[0]).strip().lower() for sent in wanted.upserts if sent[0]}
    bystanders = [{"email": f"eve{number}@example.com", "first_name": "Eve"} for number in range(20)]
    with KlaviyoSimulator(job_polls=0) as klaviyo:
        klaviyo.add_profiles([{"email": email} for email in sorted(everybody)[::2]], LIST)
        klaviyo.add_profiles(bystanders, LIST)
        before = on_list(klaviyo)
        given = {**options_of(rule), "on_reject": "keep"}
        given |= {"confirm_deletion": wanted.people} if means == "delete" else {}
        frame = frame_of(spark, rows).drop("external_id", "phone_number", "list")
        report = written(frame, klaviyo, **given)
        eves = [one for one in klaviyo.lists[LIST] if one["email"].startswith("eve")]
        assert [(one["email"], one["first_name"]) for one in eves] == [(e["email"], "Eve") for e in bystanders]
        assert on_list(klaviyo) == (before - taken if means != "suppress" else before) | upserted
        assert klaviyo.suppressed == (taken if means == "suppress" else set())
        assert emails(klaviyo.deleted) == (taken & before if means == "delete" else set())
    assert taken & upserted == set()
    assert report.rows == len(rows)
    assert report.reasons.get("ambiguous_change", 0) == wanted.tied + wanted.claimed
    assert sum(times for text, times in report.warnings.items() if "pre-image" in text or "a delete of" in text) == (
        wanted.warned
    )
