"""Decides what a reply means. Pure: jitter, earlier attempts and the endpoint's rules are passed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from spark_klaviyo.core.codes import Failure, RejectCode, StopCode
from spark_klaviyo.core.models import Reply
from spark_klaviyo.core.policy import Policy
from spark_klaviyo.http.documents import Fault, faults, first_detail, is_page, job_id, json_object
from spark_klaviyo.http.headers import retry_after_seconds

MOST_THROTTLING = 5  # times `longest_wait_seconds`: what one request waits for 429s in all before the write stops
# No connection to the endpoint came about, so that the request never left.
NO_CONNECTION = (Failure.DNS, Failure.BLOCKED, Failure.CONNECT, Failure.CONNECT_TIMEOUT, Failure.PROXY, Failure.TLS)
PUBLISHED_SUCCESS = frozenset({200, 201, 202, 204})
NOT_TAKEN = frozenset({501, 503, 505})  # the server errors after which the request was certainly not carried out
REDIRECTS = (
    "HTTP {status} redirects to another address, and redirects are not followed: the key would go there; give the "
    "final address"
)
# The statuses that say the same of every row; 405, 406 and 415 are about the method and the media types.
HALTS: Mapping[int, tuple[StopCode, str]] = {
    **dict.fromkeys(range(300, 400), (StopCode.REDIRECTED, REDIRECTS)),
    401: (StopCode.UNAUTHORIZED, "Klaviyo refuses this key ({reason}); check api_key, or access_token"),
    403: (StopCode.FORBIDDEN, "Klaviyo forbids this to the key or the account ({reason})"),
    404: (StopCode.NOT_FOUND, "Klaviyo knows no such address ({reason}); check the ids, the path and the revision"),
    407: (StopCode.UNREACHABLE, "the endpoint cannot be reached: a proxy asks for credentials (HTTP 407)"),
    410: (StopCode.RETIRED, "Klaviyo has retired this endpoint (HTTP 410); {retired_advice}"),
    **dict.fromkeys((405, 406, 415), (StopCode.REFUSED, "Klaviyo refuses such requests at this address ({reason})")),
}


@dataclass(frozen=True)
class ReplyRules:
    """How the replies of one endpoint are read."""

    # (status, code) of refusals that mean the wanted state is reached already; an empty code is any.
    already_satisfied: tuple[tuple[int, str], ...] = ()
    # Whether a 404 is about a row and not about the address.
    not_found_is_a_row: bool = False
    # Whether the status alone decides a success: in v1 and v2, and where the endpoint is not Klaviyo's.
    by_status: bool = False
    # Whether the endpoint is Klaviyo's, whose API never answers with a page.
    is_klaviyo: bool = True
    # What a success is published and recorded to hold: a resource, or the resource of a job.
    promises_resource: bool = False
    promises_job: bool = False
    # Whether a success without a document is no answer, as of reads.
    needs_data: bool = False
    # Whether the body of a success is the text 1, and 0 is a refusal (v1's track and identify).
    zero_is_a_refusal: bool = False
    # Whether the request may be sent again although it may have arrived (`core.policy.ResendRule`).
    may_resend: bool = True
    retired_advice: str = "set revision to a newer one"


@dataclass(frozen=True)
class Done:
    """The rows were taken, or are already in the wanted state. `unconfirmed`: why they cannot be called delivered."""

    unconfirmed: str = ""


@dataclass(frozen=True)
class Wait:
    """Send again after so many seconds. `throttled`: the account is busy, and the request used up no attempt."""

    seconds: float
    throttled: bool = False


@dataclass(frozen=True)
class RequestRefused:
    """The body was read and refused; the faults may name rows. With status 413 it is larger than the server takes."""

    status: int
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class Reject:
    """All rows of the request are rejected with this code; the detail is safe to repeat."""

    code: RejectCode
    detail: str


@dataclass(frozen=True)
class Halt:
    """No further request makes sense; the message is safe to repeat and says what to do."""

    code: StopCode
    message: str


Verdict = Done | Wait | RequestRefused | Reject | Halt
ANY_ENDPOINT = ReplyRules()
PAGE = "a page came instead of an answer of Klaviyo's API: a proxy, firewall or login page answered"
IN_FRONT = "a network in front of Klaviyo answered with a page (HTTP 403)"
NO_DOCUMENT = "the answer was no JSON document"
EMPTY = "the answer was empty, but Klaviyo documents that it holds the stored resource"
UNREADABLE = "the answer was not the document that Klaviyo documents"
UNPUBLISHED = "the answer was HTTP {}, a success that Klaviyo does not document"
NO_JOB = "the answer names no job, but Klaviyo documents that it names one"


@dataclass(frozen=True)
class RetryState:
    """What one request has been through, the reply at hand included. A 429 is no attempt."""

    attempts: int = 0
    unreachable: int = 0
    throttles: int = 0
    throttled_seconds: float = 0.0

    def after(self, reply: Reply) -> RetryState:
        """The state with one more reply."""
        throttled = reply.status == 429
        return replace(
            self,
            attempts=self.attempts + (not throttled),
            unreachable=self.unreachable + never_arrived(reply),
            throttles=self.throttles + throttled,
        )

    def waited(self, wait: Wait, seconds: float) -> RetryState:
        """The state after a wait of so many seconds."""
        return replace(self, throttled_seconds=self.throttled_seconds + seconds) if wait.throttled else self


def is_success(status: int | None) -> bool:
    """Whether a status means that the request was taken: Klaviyo has answered with another than it publishes."""
    return status is not None and 200 <= status < 300


def never_arrived(reply: Reply) -> bool:
    """Whether the request certainly never reached Klaviyo.

    recorded: the content delivery network refuses with a 403 and a page; Klaviyo's own 403 is a JSON document.
    """
    if reply.status == 403:
        return is_page(reply)
    return reply.status is None and not reply.sent and reply.failure in NO_CONNECTION


def may_have_committed(reply: Reply, rules: ReplyRules = ANY_ENDPOINT) -> bool:
    """Whether the request may have been carried out although the reply does not say so.

    A 500 with Klaviyo's own document means that the application failed; any other server error (520 to 527 are those of
    Klaviyo's content delivery network), and a page with any success, may come from a gateway that lost the answer.
    After a 408 or 503 the request was not taken at all.
    """
    if reply.status is None:
        return reply.answer_lost
    if reply.status == 500:
        return not faults(reply.body)
    if reply.status > 500 and reply.status not in NOT_TAKEN:
        return True
    return not rules.by_status and (is_success(reply.status) or reply.status >= 500) and is_page(reply)


def judge(reply: Reply, state: RetryState, policy: Policy, roll: float, rules: ReplyRules = ANY_ENDPOINT) -> Verdict:
    """Decide what to do after a reply. `roll` in [0, 1) is the jitter, so that a test can choose it."""
    if reply.status is None:
        return _no_reply(reply, state, policy, roll, rules)
    if is_success(reply.status):
        return _success(reply, reply.status, state, policy, roll, rules)
    if reply.status == 429:
        return _throttled(reply, state, policy, roll)
    found = faults(reply.body)
    codes = {fault.code for fault in found} | {""}
    if any(reply.status == status and code in codes for status, code in rules.already_satisfied):
        return Done()
    in_doubt = may_have_committed(reply, rules)
    if in_doubt or reply.status in (408, 500, 503):
        text = f"HTTP {reply.status}"
        return _in_doubt(text) if in_doubt and not rules.may_resend else _retry(text, state, policy, roll)
    if rules.is_klaviyo and never_arrived(reply):
        return _page_on_the_way(state, policy, roll)
    if reply.status == 413:
        return RequestRefused(413, ())
    halt = _halt(reply.status, found, rules)
    if halt is None and (found or reply.status in (400, 422)):
        return RequestRefused(reply.status, found)
    return halt or Reject(RejectCode.REFUSED, f"HTTP {reply.status}")


def _success(reply: Reply, status: int, state: RetryState, policy: Policy, roll: float, rules: ReplyRules) -> Verdict:
    if rules.zero_is_a_refusal and reply.body.strip() == b"0":
        text = "the answer was 0: the payload was not understood; it needs token, event and an identifier"
        return RequestRefused(status, (Fault(RejectCode.REFUSED, detail=text),))
    if rules.by_status:
        return Done()
    if is_page(reply):  # a gateway answered, and may have kept the request
        return _retry(PAGE, state, policy, roll) if rules.may_resend else _in_doubt(PAGE)
    document = json_object(reply.body)
    if document.get("errors"):
        return RequestRefused(status, faults(reply.body))
    if rules.needs_data:
        return Done() if "data" in document else _retry(NO_DOCUMENT, state, policy, roll)
    if rules.promises_job and job_id(reply.body) is None:
        return Done(NO_JOB)
    if not rules.promises_job and status not in PUBLISHED_SUCCESS:
        return Done(UNPUBLISHED.format(status))
    if not rules.promises_resource or document.get("data"):
        return Done()
    if not reply.body.strip():
        return Done(EMPTY)
    is_cut = reply.failure is Failure.TRUNCATED or not reply.body.endswith(b"}")
    # of a document that broke off the status is known
    return Done() if is_cut and reply.body.startswith(b"{") else Done(UNREADABLE)


def _page_on_the_way(state: RetryState, policy: Policy, roll: float) -> Verdict:
    if state.unreachable >= policy.attempts:
        text = f"{IN_FRONT}, {state.unreachable} times, and its API never did; the key was not refused"
        return Halt(StopCode.UNREACHABLE, f"the endpoint cannot be reached: {text}")
    return _retry(IN_FRONT, state, policy, roll)


def _no_reply(reply: Reply, state: RetryState, policy: Policy, roll: float, rules: ReplyRules) -> Verdict:
    text = reply.failure.text if reply.failure else "no answer came"
    if reply.failure is Failure.PATH:
        return Reject(RejectCode.REFUSED, text)
    if reply.answer_lost and not rules.may_resend:
        return _in_doubt(text)
    if never_arrived(reply) and (state.unreachable >= policy.attempts or reply.failure is Failure.TLS):
        return Halt(StopCode.UNREACHABLE, f"the endpoint cannot be reached: {text}")
    return _retry(text, state, policy, roll)


def _in_doubt(text: str) -> Reject:
    return Reject(RejectCode.IN_DOUBT, f"{text}; it may have been done, and sending it again could do it twice")


def _retry(text: str, state: RetryState, policy: Policy, roll: float) -> Verdict:
    if state.attempts >= policy.attempts:
        return Reject(RejectCode.UNAVAILABLE, f"after {state.attempts} attempts: {text}")
    return Wait(_backoff(state.attempts, policy, roll))


def _backoff(times: int, policy: Policy, roll: float) -> float:
    longest = min(policy.longest_wait_seconds, policy.first_wait_seconds * 2.0 ** min(times - 1, 30))
    return longest * (0.5 + roll / 2)


def _throttled(reply: Reply, state: RetryState, policy: Policy, roll: float) -> Verdict:
    asked = retry_after_seconds(reply.headers)
    if asked is not None and asked > policy.longest_wait_seconds:
        return Halt(
            StopCode.THROTTLED,
            f"Klaviyo asks to wait {asked:,.0f} s, and longest_wait_seconds is {policy.longest_wait_seconds:,.0f}: "
            "a daily quota may be used up",
        )
    if state.throttled_seconds > MOST_THROTTLING * policy.longest_wait_seconds:
        return Halt(
            StopCode.THROTTLED,
            f"Klaviyo throttled one request {state.throttles} times over {state.throttled_seconds:,.0f} s: "
            "something else uses up the account's quota",
        )
    if asked:
        return Wait(max(asked, 1.0) + roll, throttled=True)
    return Wait(max(_backoff(state.throttles + 1, policy, roll), 1.0 + roll), throttled=True)


def _halt(status: int, found: tuple[Fault, ...], rules: ReplyRules) -> Halt | None:
    detail = first_detail(found)
    reason = f"HTTP {status}" + (f": {detail}" if detail else "")
    if status not in HALTS or (status == 404 and rules.not_found_is_a_row):
        return None
    code, text = HALTS[status]
    return Halt(code, text.format(reason=reason, status=status, retired_advice=rules.retired_advice))
