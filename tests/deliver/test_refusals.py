"""Whether a refusal is about the account, and whether the record there is the one that was sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_klaviyo.core.models import Batch, EncodedRows, Reply, Span
from spark_klaviyo.core.policy import Policy
from spark_klaviyo.deliver.refusals import AlikeRefusals, holds
from spark_klaviyo.http.documents import faults
from spark_klaviyo.http.judge import RequestRefused
from spark_klaviyo.ratelimit.server import RateLimitClient
from tests.deliver.scripted import (
    ENVELOPE,
    POINTER,
    Account,
    at_row,
    batches,
    context_of,
    delivered,
    refusal,
    send_spec,
)

ACCOUNT = {"detail": "SMS is not set up in this account", "source": {"pointer": "/data"}}


class Refusing(Account):
    """Refuses every row with the fault of its script, until it is asked for row `takes`."""

    def __init__(self, fault: Mapping[str, object], status: int = 400, takes: int = -1) -> None:
        super().__init__()
        self.fault, self.status, self.takes = fault, status, takes

    def _judged(self, rows: list[int]) -> Reply:
        if rows == [self.takes]:
            self.stored.update(rows)
            return self.success
        own = {name: value.replace("ROW", str(rows[0])) for name, value in self.fault.items() if isinstance(value, str)}
        return Reply(self.status, body=refusal(self.status, {**self.fault, **own}))


class OthersDelivered(RateLimitClient):
    """A driver that another task has told of rows it delivered."""

    def others_delivered(self) -> bool:
        return True


def test_a_refused_account_stops_the_write_after_a_hundred_single_rows() -> None:
    account = Refusing(ACCOUNT)
    context = context_of(account)
    out = delivered(send_spec(workers=1), batches(*[1] * 500), context)
    assert sum(len(one.rejections) for one in out) == 100 == len(account.sent)
    assert context.stop.code == "account_refused"
    assert "SMS is not set up in this account" in context.stop.message


def test_single_rows_that_are_found_by_halving_count_too() -> None:
    context = context_of(Refusing(ACCOUNT))
    out = delivered(send_spec(workers=1), batches(1_000), context)
    assert (sum(len(one.rejections) for one in out), sum(one.unsent for one in out)) == (100, 900)


@pytest.mark.parametrize(
    "account",
    [
        Refusing(ACCOUNT, takes=50),
        Refusing({**ACCOUNT, "detail": "Row ROW is refused"}),
        Refusing({**ACCOUNT, "code": "cROW"}),
        Refusing(ACCOUNT | dict(at_row(0))),
        Refusing(ACCOUNT, status=404),
        Refusing(ACCOUNT, status=409),
    ],
    ids=["one was taken", "the detail holds a value", "other codes", "it points at the row", "404", "409"],
)
def test_anything_else_is_about_rows_and_every_row_is_tried(account: Refusing) -> None:
    spec, context = send_spec(workers=1), context_of(account)
    if account.status == 404:  # of a path that holds the row
        spec = replace(spec, template=replace(spec.template, limits=replace(spec.template.limits, max_rows=1)))
    out = delivered(spec, batches(*[1] * 150), context)
    assert sum(len(one.rejections) + one.delivered for one in out) == 150
    assert not context.stop.is_set()


def test_it_is_no_refused_account_in_streams_nor_where_another_task_delivered() -> None:
    for policy, driver in ((Policy(account_refused_after=0), RateLimitClient()), (Policy(), OthersDelivered())):
        context = replace(context_of(Refusing(ACCOUNT)), driver=driver)
        out = delivered(send_spec(policy, workers=1), batches(*[1] * 150), context)
        assert sum(len(one.rejections) for one in out) == 150


def test_a_value_that_all_rows_share_is_still_a_value_of_the_row() -> None:
    alike = AlikeRefusals(1, POINTER)
    (batch,) = batches(1)
    said = {"detail": "Country 0 takes no SMS.", "source": {"pointer": "/data"}}
    assert alike.add(batch, RequestRefused(400, faults(refusal(400, said))))  # a single digit may come from anywhere
    words = AlikeRefusals(1, POINTER)
    assert words.add(batch, RequestRefused(400, faults(refusal(400, ACCOUNT))))


def test_the_type_of_a_linked_resource_is_no_value_of_a_row() -> None:
    link = {"data": [{"type": "catalog-category", "id": "c1"}]}
    record = json.dumps({"type": "tag", "relationships": {"categories": link}}).encode()
    offsets, rows = np.array([0, len(record) + 1]), np.array([0])
    held = EncodedRows(memoryview(record + b","), offsets, rows, pa.nulls(1, pa.string()))
    for said in ("A tag needs a plan.", "Nothing can be linked to a catalog-category."):
        refused = RequestRefused(400, faults(refusal(400, {**ACCOUNT, "detail": said})))
        assert AlikeRefusals(1, "").add(Batch(0, (Span(held, 0, 1),), ENVELOPE), refused)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, st.dictionaries(st.text(min_size=4, max_size=5), json_values, max_size=2))
def test_a_record_holds_itself_and_what_it_was_sent_with(value: object, more: dict[str, object]) -> None:
    assert holds(json.loads(json.dumps(value)), value)
    if isinstance(value, dict):
        assert holds({**more, **value}, value)


@pytest.mark.parametrize(
    ("there", "sent"),
    [({"a": 1}, {"a": 2}), ({}, {"a": 1}), ({"a": [1, 2]}, {"a": [1]}), ({"a": True}, {"a": 1}), (None, {"a": 1})],
)
def test_anything_that_differs_is_another_record(there: object, sent: object) -> None:
    assert not holds(there, sent)


def test_numbers_come_back_as_text_and_emails_in_lower_case() -> None:
    assert holds({"threshold": "500", "email": "ann@x.com"}, {"threshold": 500, "email": "Ann@X.com"})
