"""Reads JSON:API documents with GET: within the endpoint's quota, retried, as a document or the reason for none.

Raises nothing for the network. Of a page's `links.next` only the query is used: a key is never sent to a linked host.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, quote, urlsplit

from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.exact_json import get, get_object
from spark_klaviyo.core.models import Reply
from spark_klaviyo.core.policy import Policy, Quota
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.http.documents import faults, first_detail, json_object
from spark_klaviyo.http.judge import Done, Halt, Reject, RequestRefused, RetryState, Verdict, Wait, judge
from spark_klaviyo.http.masking import without_values

MOST_ATTEMPTS = 4  # of one read; callers that repeat reads have bounds of their own
MOST_VALUES = 100  # of one `any_of`: how many it takes is not published, and these are safe for the length of the URL
_QUOTED = re.compile(r'"([^"]+)"')  # the values that a filter asks for
Query = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ReadTarget:
    """What is read. `route` is the path with its placeholders, by which requests are limited."""

    route: str
    path: str
    quota: Quota
    query: Query = ()

    @staticmethod
    def of(route: str, quota: Quota, query: Sequence[tuple[str, str]] = (), **values: str) -> ReadTarget:
        """The target whose path is `route` with each `{name}` replaced by its value, percent-encoded."""
        path = route
        for name, value in values.items():
            path = path.replace("{" + name + "}", quote(value, safe=""))
        return ReadTarget(route, path, quota, tuple(query))

    def with_query(self, query: Query) -> ReadTarget:
        """The same address with another query."""
        return replace(self, query=query)


def any_of(name: str, values: Sequence[object]) -> str:
    """The filter for resources whose attribute is one of these values, of which there are at most `MOST_VALUES`."""
    return f"any({name},{json.dumps(values, ensure_ascii=False, separators=(',', ':'))})"


@dataclass(frozen=True)
class Document:
    """A JSON:API document, with the reply's headers (lower case)."""

    content: Mapping[str, object]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def resources(self) -> list[Mapping[str, object]]:
        """The resources of `data`, one or many."""
        data = self.content.get("data")
        return [entry for entry in (data if isinstance(data, list) else [data]) if isinstance(entry, dict)]

    @property
    def next_query(self) -> Query:
        """The query of `links.next`; empty on the last page."""
        following = get(self.content, ("links", "next"))
        try:
            return tuple(parse_qsl(urlsplit(following).query)) if isinstance(following, str) else ()
        except ValueError:  # no URL
            return ()


@dataclass(frozen=True)
class NoDocument:
    """Why there is no document; `detail` is safe to repeat.

    `error_code` is that of Klaviyo's own error document; empty where none came, as from a gateway.
    """

    code: StopCode
    detail: str
    error_code: str = ""


def attributes_of(resource: Mapping[str, object]) -> Mapping[str, object]:
    """The attributes of a JSON:API resource; empty where it has none."""
    return get_object(resource, ("attributes",))


class Reader:
    """Reads through a task's context, until `until` on its clock."""

    def __init__(self, policy: Policy, context: SendContext, until: float = float("inf")) -> None:
        self._policy = replace(policy, attempts=min(policy.attempts, MOST_ATTEMPTS))
        self._context, self._until = context, until

    def read(self, target: ReadTarget) -> Document | NoDocument:
        """One document, after as many attempts as that takes."""
        route, clock = f"GET {target.route}", self._context.clock
        state = RetryState()
        while clock.now() < self._until:
            if not self._context.limiter.acquire(route, target.quota, self._context.stop):
                stopped = self._context.stop
                why = stopped.message if stopped.code is StopCode.THROTTLED else "the write was stopped"
                return NoDocument(StopCode.STOPPED, why)
            reply = self._context.transport.send("GET", target.path, query=target.query)
            self._context.limiter.observe(route, reply)
            state = state.after(reply)
            outcome = self._outcome(reply, state)
            if isinstance(outcome, NoDocument):
                asked = [value for _, text in target.query for value in _QUOTED.findall(text)]
                return replace(outcome, detail=without_values(outcome.detail, asked))
            if isinstance(outcome, Document):
                return outcome
            began = clock.now()
            clock.wait(min(outcome.seconds, max(self._until - began, 0.0)), self._context.stop)
            state = state.waited(outcome, clock.now() - began)
        return NoDocument(StopCode.LATE, "the time for it was over")

    def pages(self, target: ReadTarget, most: int) -> Iterator[Document | NoDocument]:
        """The pages of a collection; a `NoDocument` is the last item, also where there are more than so many."""
        seen = {target.query}
        for _ in range(most):
            page = self.read(target)
            yield page
            if isinstance(page, NoDocument) or not page.next_query or page.next_query in seen:
                return
            seen = {target.query, page.next_query}
            target = target.with_query(page.next_query)
        yield NoDocument(StopCode.UNAVAILABLE, f"there are more than {most:,} pages of it")

    def _outcome(self, reply: Reply, state: RetryState) -> Document | NoDocument | Wait:
        verdict = judge(reply, state, self._policy, self._context.roll())
        if isinstance(verdict, Wait):
            return verdict
        if not isinstance(verdict, Done):
            return _failed(verdict, next((fault.code for fault in faults(reply.body)), ""))
        content = json_object(reply.body)
        if "data" in content:
            return Document(content, reply.headers)
        if state.attempts >= self._policy.attempts:
            return NoDocument(StopCode.UNAVAILABLE, "the answer was no JSON document")
        return Wait(self._policy.first_wait_seconds * 2.0**state.attempts)


def _failed(verdict: Verdict, error_code: str) -> NoDocument:
    if isinstance(verdict, Halt):
        return NoDocument(verdict.code, verdict.message, error_code)
    if isinstance(verdict, Reject):
        return NoDocument(StopCode(verdict.code), verdict.detail, error_code)
    detail = first_detail(verdict.faults) if isinstance(verdict, RequestRefused) else ""
    return NoDocument(StopCode.REFUSED, detail or "Klaviyo refused the read", error_code)
