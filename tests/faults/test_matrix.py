"""The invariant of counts, in every cell of the fault matrix."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from spark_klaviyo.entrypoints.capabilities import CAPABILITIES
from spark_klaviyo.templates import CURRENT
from tests.faults.matrix import CASES, RULES, Case, play, violations

FAULTS = sorted({case.fault for case in CASES})


def judged(case: Case) -> list[str]:
    return [f"{case}: {why}" for why in violations(play(case))]


@pytest.mark.parametrize("fault", FAULTS)
def test_every_row_is_counted_as_the_account_saw_it(fault: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(judged, [case for case in CASES if case.fault == fault]))
    assert [why for whys in found for why in whys] == []


def test_the_matrix_has_a_rule_for_every_template_that_rows_are_sent_with() -> None:
    covered = {(rule.idempotent, rule.confirmation) for rule in RULES}
    rules = {(template.idempotent, template.confirmation.name) for template in CURRENT.values()}
    assert rules <= covered


def test_the_table_of_promises_quotes_the_size_of_the_matrix() -> None:
    (counted,) = (one for one in CAPABILITIES if one.name == "counted")
    assert f"{len(CASES):,} combinations" in counted.text
