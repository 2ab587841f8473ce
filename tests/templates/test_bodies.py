"""Every template's example makes bodies that Klaviyo's own models and published structure agree to."""

from __future__ import annotations

import pytest

from spark_klaviyo.http import judge
from spark_klaviyo.templates import CURRENT
from tests.templates.examples import EXAMPLES, Columns, Example
from tests.templates.made import batches_of, by_arrow, by_rows, loaded, plan_of
from tests.templates.oracle import OPERATIONS, operation, published_complaints, through_sdk

# The rows of a template that resolves become ids only when they are sent.
# Subscribing reads who has opted out, removal by identifiers reads ids first.
READS_PROFILES = ("bulk_subscribe_profiles", "remove_profiles_from_list")
WITH_BODY = sorted(
    name for name, template in CURRENT.items() if template.body is not None and template.looked_up_as != "id"
)
WITHOUT_BODY = sorted(name for name, template in CURRENT.items() if template.body is None)


def test_every_template_has_an_example() -> None:
    assert set(EXAMPLES) == set(CURRENT)


def test_every_operation_has_a_template() -> None:
    from tests.templates.oracle import FACTS

    covered = {OPERATIONS.get(name, name) for name in CURRENT} | set(CURRENT)
    assert set(FACTS["operations"]) <= covered


@pytest.mark.parametrize("name", WITH_BODY)
def test_a_body_passes_through_the_official_models_unchanged(name: str) -> None:
    batches, rejected = batches_of(plan_of(name, EXAMPLES[name]), EXAMPLES[name])
    assert not rejected
    for batch in batches:
        body = loaded(batch)
        assert through_sdk(name, body) == body


@pytest.mark.parametrize("name", WITH_BODY)
def test_a_body_has_the_published_structure_and_no_key_more(name: str) -> None:
    batches, _ = batches_of(plan_of(name, EXAMPLES[name], revision="2026-07-15"), EXAMPLES[name])
    assert batches
    for batch in batches:
        assert not published_complaints(name, loaded(batch))


@pytest.mark.parametrize("name", WITHOUT_BODY)
def test_a_deletion_of_one_has_no_body_and_its_id_in_the_path(name: str) -> None:
    batches, rejected = batches_of(plan_of(name, EXAMPLES[name]), EXAMPLES[name])
    assert not rejected
    assert [batch.parts() for batch in batches] == [[]] * EXAMPLES[name].rows
    assert not any("{" in batch.envelope.path for batch in batches)


@pytest.mark.parametrize("name", sorted(CURRENT))
def test_columnar_and_row_encoding_send_the_same_requests(name: str) -> None:
    plan = plan_of(name, EXAMPLES[name])
    by_row, by_column = (batches_of(plan, EXAMPLES[name], encode)[0] for encode in (by_rows, by_arrow))
    assert [b.envelope.path for b in by_row] == [b.envelope.path for b in by_column]
    assert [b.parts() and loaded(b) for b in by_row] == [b.parts() and loaded(b) for b in by_column]


@pytest.mark.parametrize("name", sorted(CURRENT))
def test_numbers_of_a_template_are_the_published_ones(name: str) -> None:
    template, known = CURRENT[name], operation(name)
    # one row holds the whole set of a replacing call
    replaces, reads = name.startswith("update_") and name.endswith(("category", "item")), ["profiles:read"]
    assert template.method == known["method"]
    assert template.limits.max_rows == (known["rows"] or (1 if replaces else 100))
    assert template.limits.max_bytes == (known["bytes"] or 5_000_000)
    assert template.limits.max_row_bytes == known["row_bytes"]
    assert [count for count, _ in template.quota.windows] == [count for count in known["quota"] if count]
    assert sorted(template.scopes) == sorted(known["scopes"] + (reads if template.name in READS_PROFILES else []))
    assert (template.job.list_path + "/{job_id}" if template.job else None) == known["job"]
    assert set(known["statuses"]) <= judge.PUBLISHED_SUCCESS


@pytest.mark.parametrize("name", sorted(CURRENT))
def test_records_written_again_as_they_are_make_the_same_requests(name: str) -> None:
    first = EXAMPLES[name]
    batches, _ = batches_of(plan_of(name, first), first)
    rows = sorted(
        (int(row), text.decode()) for b in batches for row, text in zip(b.numbers(), b.records(), strict=True)
    )
    columns: Columns = {**first.columns, "record": [text for _, text in rows]}
    again = Example(columns, {key: value for key, value in first.options.items() if key not in ("fields", "nulls")})
    made, rejected = batches_of(plan_of(name, again, record_column="record"), again)
    assert not rejected
    assert [b.envelope for b in made] == [b.envelope for b in batches]
    assert [b.parts() and loaded(b) for b in made] == [b.parts() and loaded(b) for b in batches]
