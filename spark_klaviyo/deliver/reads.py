"""Reads JSON:API documents with GET: within the endpoint's quota, and retried. Raises `ReadFailed` alone.

Of a page's `links.next` only the query is used: a key is never sent to a linked host.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias
from urllib.parse import parse_qsl, quote, urlsplit

from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.exact_json import Json, get, get_object
from spark_klaviyo.core.models import Reply
from spark_klaviyo.core.policy import Policy, Quota
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.http.documents import faults, first_detail, id_text, json_object, without_values
from spark_klaviyo.http.judge import Done, Halt, Reject, ReplyRules, RequestRefused, RetryState, Verdict, Wait, judge

MOST_ATTEMPTS = 4  # of one read; callers that repeat reads have bounds of their own
MOST_PAGES = 1_000_000  # no collection has more; bounds a collection whose pages point at each other
MOST_VALUES = 100  # of one `any_of`: how many it takes is not published, and these are safe for the length of the URL
_QUOTED = re.compile(r'"([^"]+)"')  # the values that a filter asks for
A_DOCUMENT = ReplyRules(needs_data=True)
Query: TypeAlias = tuple[tuple[str, str], ...]
# The attributes of a JSON:API resource, and its id: "" for what cannot be one.
ResourceFields: TypeAlias = Mapping[str, Json]


@dataclass(frozen=True)
class ReadTarget:
    """What is read. `route`, by which requests are limited, is the path with `{id}` where the id goes."""

    route: str
    quota: Quota
    query: Query = ()
    id: str = ""

    @property
    def path(self) -> str:
        """The path, percent-encoded."""
        return self.route.replace("{id}", quote(self.id, safe=""))


def any_of(name: str, values: Sequence[object]) -> str:
    """The filter for resources whose attribute is one of these values, of which there are at most `MOST_VALUES`."""
    return f"any({name},{json.dumps(values, ensure_ascii=False, separators=(',', ':'))})"


@dataclass(frozen=True)
class Document:
    """A JSON:API document, with the reply's headers (lower case)."""

    content: Mapping[str, object]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def resources(self) -> list[ResourceFields]:
        """The resources of `data`, one or many."""
        data = self.content.get("data")
        entries = [entry for entry in (data if isinstance(data, list) else [data]) if isinstance(entry, dict)]
        return [{**get_object(entry, ("attributes",)), "id": id_text(entry.get("id"))} for entry in entries]

    @property
    def next_query(self) -> Query:
        """The query of `links.next`; empty on the last page."""
        following = get(self.content, ("links", "next"))
        try:
            return tuple(parse_qsl(urlsplit(following).query)) if isinstance(following, str) else ()
        except ValueError:  # no URL
            return ()


class ReadFailed(Exception):
    """Why a read brought no document; the message is safe to show.

    `error_code` is that of Klaviyo's own error document; empty where none came, as from a gateway.
    """

    def __init__(self, code: StopCode, message: str, error_code: str = "") -> None:
        super().__init__(code, message, error_code)
        self.code, self.message, self.error_code = code, message, error_code

    def __str__(self) -> str:
        return self.message


class Reader:
    """Reads documents and whole collections through a task's context, until `until` on its clock.

    May be used by several threads at once.
    """

    def __init__(self, policy: Policy, context: SendContext, until: float = math.inf) -> None:
        self._policy = replace(policy, attempts=min(policy.attempts, MOST_ATTEMPTS))
        self._context, self._until = context, until

    def read(self, target: ReadTarget) -> Document:
        """One document, after as many attempts as that takes. Raises `ReadFailed`."""
        route, context, state = f"GET {target.route}", self._context, RetryState()
        clock, stop = context.clock, context.stop
        while clock.now() < self._until:
            if not context.limiter.acquire(route, target.quota, stop):
                why = stop.message if stop.code is StopCode.THROTTLED else "the write was stopped"
                raise ReadFailed(StopCode.STOPPED, why)
            reply = context.transport.send("GET", target.path, query=target.query)
            context.limiter.observe(route, reply)
            state = state.after(reply)
            verdict = judge(reply, state, self._policy, context.roll(), A_DOCUMENT)
            if isinstance(verdict, Done):
                return Document(json_object(reply.body), reply.headers)
            if not isinstance(verdict, Wait):
                raise _failure(verdict, reply, target)
            began = clock.now()
            clock.wait(min(verdict.seconds, max(self._until - began, 0.0)), stop)
            state = state.waited(verdict, clock.now() - began)
        raise ReadFailed(StopCode.LATE, "the time for it was over")

    def pages(self, target: ReadTarget, most: int = MOST_PAGES) -> Iterator[Document]:
        """Every page of a collection, in order. Raises `ReadFailed`, also where there are more than so many."""
        seen = {target.query}
        for _ in range(most):
            page = self.read(target)
            yield page
            if not page.next_query or page.next_query in seen:
                return
            seen = {target.query, page.next_query}
            target = replace(target, query=page.next_query)
        raise ReadFailed(StopCode.UNAVAILABLE, f"there are more than {most:,} pages of it")

    def stop(self) -> None:
        """Read nothing more; reads under way in other threads end with `ReadFailed`."""
        self._context.stop.set(StopCode.CLOSED, "the reading was ended")


def _failure(verdict: Verdict, reply: Reply, target: ReadTarget) -> ReadFailed:
    """Why a read failed, without the values that its filter asked for."""
    code, text = StopCode.REFUSED, "Klaviyo refused the read"
    if isinstance(verdict, Halt):
        code, text = verdict.code, verdict.message
    elif isinstance(verdict, Reject):
        code, text = StopCode(verdict.code), verdict.detail
    elif isinstance(verdict, RequestRefused):
        text = first_detail(verdict.faults) or text
    asked = [value for _, part in target.query for value in _QUOTED.findall(part)]
    error_code = next((fault.code for fault in faults(reply.body)), "")
    return ReadFailed(code, without_values(text, asked), error_code)
