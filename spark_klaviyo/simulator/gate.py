"""The way of a request: route, faults in front, key, limiter, revision, scopes, body, endpoint, reply.

recorded: authentication comes before the limiter (401 has no RateLimit header) and both before the body.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from spark_klaviyo.simulator.errors import Refused, forbidden, missing_scopes, not_found, throttled, wrong_method
from spark_klaviyo.simulator.faults import ENDPOINT, ERRORS, FRONT, JOB, STATUS, Fault, FaultBook
from spark_klaviyo.simulator.http.keys import Caller, KeyRing
from spark_klaviyo.simulator.http.limits import Limiter
from spark_klaviyo.simulator.http.operation import TIERS, Call, Operation
from spark_klaviyo.simulator.http.queries import read_query
from spark_klaviyo.simulator.http.reading import read_body
from spark_klaviyo.simulator.http.revisions import OPT_OUT, Revision, read_revision
from spark_klaviyo.simulator.http.wire import JSON_API, Reply, Request, json_reply
from spark_klaviyo.simulator.legacy.endpoints import Legacy
from spark_klaviyo.simulator.routing import Route, Router
from spark_klaviyo.simulator.sabotage import (
    Sabotaged,
    after_commit,
    at_endpoint,
    at_status,
    in_front,
    sabotaged_reply,
)
from spark_klaviyo.simulator.state.account import Account

NEEDS_CUSTOM_OBJECTS = "custom-objects:write"


class Gate:
    """Everything between the socket and the endpoints."""

    def __init__(
        self, router: Router, keys: KeyRing, limiter: Limiter, faults: FaultBook, account: Account, base: str
    ) -> None:
        self._router = router
        self._keys = keys
        self._limiter = limiter
        self._faults = faults
        self._account = account
        self._base = base
        self._legacy = Legacy(account, keys)

    def answer(self, request: Request) -> Reply:
        """The reply to one request; never raises for what a client did."""
        delay = 0.0
        for fault in self._faults.draw(FRONT, request.method, request.path):
            if fault.kind == "slow":
                delay += fault.seconds
                continue
            return in_front(fault)
        reply = self._legacy.answer(request) if self._legacy.serves(request.path) else self._answer_api(request)
        reply.delay += delay
        return reply

    def _answer_api(self, request: Request) -> Reply:
        request_id = str(uuid4())
        headers = {"X-Klaviyo-Req-Id": request_id}
        route = self._router.find(request.path)
        operation = route.operations.get(request.method) if route else None
        try:
            if route is None:
                raise not_found("The requested resource was not found.")  # wording unsettled
            headers["Allow"] = route.allow
            caller = self._keys.caller(request.headers.get("Authorization"))
            if operation is None:
                raise wrong_method(request.method)
            headers.update(self._admit(caller, operation, request))
            reply = self._at_endpoint(request, route, operation, caller, headers)
        except Sabotaged as refusal:
            reply = sabotaged_reply(refusal)
        except Refused as refusal:
            reply = _refusal(refusal, headers, request_id)
            if refusal.status == 429 and not self._account.switches.throttle_content_type:
                del reply.headers["Content-Type"]  # recorded 2026-09: 18 of 20
        reply.operation = operation.name if operation else ""
        return reply

    def _admit(self, caller: Caller, operation: Operation, request: Request) -> dict[str, str]:
        quotas, endpoint = operation.quotas, operation.name
        if "profile_count" in request.target and "additional-fields" in request.target:
            # recorded 2026-09: profile_count drops a list from L to XS
            quotas, endpoint = ((TIERS["XS"][0], 1), (TIERS["XS"][1], 60)), f"{endpoint} with profile_count"
        # a lock of its own: a long import must not delay, and so misdate, the calls that come meanwhile
        with self._limiter.lock:
            admission = self._limiter.admit(caller.pool, endpoint, quotas, self._account.clock.elapsed())
        if not admission.granted:
            raise throttled(admission.wait_seconds)
        return admission.headers

    def _at_endpoint(
        self, request: Request, route: Route, operation: Operation, caller: Caller, headers: dict[str, str]
    ) -> Reply:
        revision = self._revision(request, operation)
        headers["X-Klaviyo-Api-Revision"] = revision.name
        if revision.retires:
            headers["X-Klaviyo-Api-Retirement-Date"] = revision.retires  # recorded 2026-04
        lacking = caller.lacks(operation.scopes) if self._account.switches.require_scopes else []
        if lacking:
            raise missing_scopes(lacking)
        faults = self._faults.draw(ENDPOINT, request.method, request.path)
        at_endpoint(faults, operation)
        for fault in self._faults.draw(STATUS, request.method, request.path):
            reply = at_status(fault, operation)
            if reply is not None:
                return reply
        answer = self._commit(request, route, operation, revision)
        reply = json_reply(*answer, headers)
        return after_commit(faults, reply)

    def _revision(self, request: Request, operation: Operation) -> Revision:
        opted_out = request.headers.get(OPT_OUT) == "1"
        asked = request.headers.get("revision")
        return read_revision(asked, self._account.switches, opted_out=opted_out, born=operation.born)

    def _commit(self, request: Request, route: Route, operation: Operation, revision: Revision) -> tuple[int, object]:
        account = self._account
        if not account.switches.custom_objects and NEEDS_CUSTOM_OBJECTS in operation.scopes:
            raise forbidden("Entitlement to create object type not found.")  # recorded 2026-09
        body = read_body(request, operation, revision.name, account.switches)
        job_faults = self._faults.draw(JOB | ERRORS, request.method, request.path)
        with account.lock:
            call = self._call(request, route, operation, revision, body, job_faults)
            answer = operation.run(call)
            return answer.status, answer.document

    def _call(
        self,
        request: Request,
        route: Route,
        operation: Operation,
        revision: Revision,
        body: dict[str, object],
        job_faults: Sequence[Fault],
    ) -> Call:
        return Call(
            account=self._account,
            operation=operation,
            target=request.target,
            params=route.params,
            query=read_query(request.target),
            body=body,
            revision=revision.name,
            base=self._base,
            now=self._account.clock.now(),
            job_faults=job_faults,
        )


def _refusal(refusal: Refused, headers: dict[str, str], request_id: str) -> Reply:
    document = {"errors": [{"id": request_id, **error} for error in refusal.errors]}
    if refusal.status == 429:
        headers = {name: value for name, value in headers.items() if not name.startswith("RateLimit")}
    return json_reply(refusal.status, document, {**headers, **refusal.headers}, JSON_API)
