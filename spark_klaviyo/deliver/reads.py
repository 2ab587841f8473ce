"""Reading from Klaviyo: a GET takes its turn, is tried so often, and comes back as a document or a word.

Nothing is raised for the network, and a page's `links.next` gives only its query: a key never follows a link elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, urlsplit

from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.models import Quota, Reply
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.http.documents import faults, safe_detail
from spark_klaviyo.http.failures import UNREACHABLE
from spark_klaviyo.http.judge import Done, Halt, Reject, RequestRefused, Tries, Verdict, Wait, judge
from spark_klaviyo.http.policy import Policy

ATTEMPTS = 4  # of one read; who reads again and again has bounds of its own


@dataclass(frozen=True)
class ReadTarget:
    """What is read: `route` is the unfilled path, which has a quota of its own."""

    route: str
    path: str
    quota: Quota
    query: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Document:
    """A JSON:API document, with the reply's headers (lower case)."""

    content: Mapping[str, object]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def resources(self) -> list[Mapping[str, object]]:
        """The resources of `data`, one or many."""
        held = self.content.get("data")
        entries = held if isinstance(held, list) else [held]
        return [entry for entry in entries if isinstance(entry, dict)]

    @property
    def next_query(self) -> tuple[tuple[str, str], ...]:
        """The query of `links.next`; empty at the end."""
        links = self.content.get("links")
        following = links.get("next") if isinstance(links, dict) else None
        return tuple(parse_qsl(urlsplit(following).query)) if isinstance(following, str) else ()


@dataclass(frozen=True)
class Unread:
    """Why there is no document; `detail` is safe to repeat.

    `word`: the code of Klaviyo's own error document, where one came; a gateway's page has none.
    """

    code: StopCode
    detail: str
    word: str = ""


class Reader:
    """Reads through a task's line. `until`: the moment of the line's clock after which nothing is read any more."""

    def __init__(self, policy: Policy, context: SendContext, until: float = float("inf")) -> None:
        self._policy = replace(policy, attempts=min(policy.attempts, ATTEMPTS))
        self._context, self._until = context, until

    def read(self, place: ReadTarget) -> Document | Unread:
        """One document, after as many attempts as that takes."""
        route = f"GET {place.route}"
        tries = Tries(attempts=0)
        while self._context.clock.now() < self._until:
            if not self._context.limiter.acquire(route, place.quota, self._context.stop):
                return Unread(StopCode.STOPPED, "the write was stopped")
            reply = self._context.transport.send("GET", place.path, query=place.query)
            self._context.limiter.observe(route, reply)
            tries = _counted(tries, reply)
            outcome = self._outcome(reply, tries)
            if not isinstance(outcome, Wait):
                return outcome
            tries = self._wait(outcome, tries)
        return Unread(StopCode.LATE, "the time for it was over")

    def pages(self, place: ReadTarget, most: int) -> Iterator[Document | Unread]:
        """The pages from this place on, `most` of them at most; an `Unread` is the last item, when it comes."""
        seen = {place.query}
        for _ in range(most):
            page = self.read(place)
            yield page
            if isinstance(page, Unread) or not page.next_query or page.next_query in seen:
                return
            seen = {place.query, page.next_query}
            place = replace(place, query=page.next_query)

    def _outcome(self, reply: Reply, tries: Tries) -> Document | Unread | Wait:
        verdict = judge(reply, tries, self._policy, self._context.roll())
        if not isinstance(verdict, Done):
            word = next((fault.code for fault in faults(reply.body)), "")
            return verdict if isinstance(verdict, Wait) else replace(_unread(verdict), word=word)
        content = _parsed(reply)
        if content is not None:
            return Document(content, reply.headers)
        if tries.attempts >= self._policy.attempts:
            return Unread(StopCode.UNAVAILABLE, "the answer was no JSON document")
        return Wait(self._policy.first_wait_seconds * 2.0**tries.attempts)

    def _wait(self, verdict: Wait, tries: Tries) -> Tries:
        began = self._context.clock.now()
        self._context.clock.wait(min(verdict.seconds, max(self._until - began, 0.0)), self._context.stop)
        waited = self._context.clock.now() - began
        return replace(tries, throttled_seconds=tries.throttled_seconds + waited) if verdict.throttled else tries


def _counted(tries: Tries, reply: Reply) -> Tries:
    return replace(
        tries,
        attempts=tries.attempts + (reply.status != 429),
        unreachable=tries.unreachable + (reply.failure in UNREACHABLE),
        throttles=tries.throttles + (reply.status == 429),
    )


def _parsed(reply: Reply) -> Mapping[str, object] | None:
    """The document; None for HTML, a cut text, or anything without `data`."""
    try:
        content = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and "data" in content else None


def _unread(verdict: Verdict) -> Unread:
    if isinstance(verdict, Halt):
        return Unread(verdict.code, verdict.message)
    if isinstance(verdict, Reject):
        return Unread(StopCode(verdict.code), verdict.detail)
    said = verdict.faults[0].detail if isinstance(verdict, RequestRefused) and verdict.faults else ""
    return Unread(StopCode.REFUSED, safe_detail(said) or "Klaviyo refused the read")
