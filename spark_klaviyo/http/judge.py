"""What a reply means. Pure: jitter, tries and the endpoint's ways are passed in, nothing is looked up or waited for."""

from __future__ import annotations

from dataclasses import dataclass

from spark_klaviyo.core.codes import RejectCode, StopCode
from spark_klaviyo.core.models import Reply
from spark_klaviyo.http.documents import Fault, faults, is_html, safe_detail
from spark_klaviyo.http.failures import TEXTS, UNREACHABLE
from spark_klaviyo.http.policy import Policy
from spark_klaviyo.http.retry_after import asked_wait

LONGEST_THROTTLING = 5  # times `longest_wait_seconds`: what one request waits for 429s in all before the write stops
TRANSIENT = frozenset({408, 500, 502, 503, 504, 524})
MAY_HAVE_COMMITTED = frozenset({502, 504, 524})
# Says the same for every row, whatever it holds: the method, the media type, the reply's media type.
CONDEMNS_ALL = frozenset({405, 406, 415})


@dataclass(frozen=True)
class Tries:
    """What one request has been through, the reply at hand included."""

    attempts: int = 1
    unreachable: int = 0
    throttles: int = 0
    throttled_seconds: float = 0.0


@dataclass(frozen=True)
class ReplyRules:
    """What a status means here.

    `done`: (status, code) that mean the wanted state is reached; an empty code is any. `not_found_is_a_row`: a 404
    condemns the row, not the URL (its path holds a row's value, or the URL has worked before). `legacy`: v1, v2 or "".
    `pages`: a page may be a true answer, as the address is anybody's; Klaviyo's API never answers with one. `says_one`:
    the body of a success is the text 1, and 0 is a refusal (v1's track and identify). `may_resend`: the request may be
    sent again although it may have arrived (`http.policy.ResendRule`).
    """

    done: tuple[tuple[int, str], ...] = ()
    not_found_is_a_row: bool = False
    legacy: str = ""
    pages: bool = False
    says_one: bool = False
    may_resend: bool = True


@dataclass(frozen=True)
class Done:
    """The rows are where they should be, or taken."""


@dataclass(frozen=True)
class Wait:
    """Send again after so many seconds; `throttled`: the account is busy, the request is fine."""

    seconds: float
    throttled: bool = False


@dataclass(frozen=True)
class RequestRefused:
    """The body was read and refused; the faults may name rows."""

    status: int
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class TooLarge:
    """The body is larger than the server takes."""


@dataclass(frozen=True)
class Reject:
    """All rows of the batch are rejected with this code; the detail is safe to repeat."""

    code: RejectCode
    detail: str


@dataclass(frozen=True)
class Halt:
    """No further request makes sense; the message is safe to repeat and says what to do."""

    code: StopCode
    message: str


SAID_ZERO = "the answer was 0: the payload was not understood; it needs token, event and an identifier"
TAKEN = frozenset({200, 201, 202, 204})
Verdict = Done | Wait | RequestRefused | TooLarge | Reject | Halt
ANYWHERE = ReplyRules()


def took(status: int | None) -> bool:
    """Whether a status says that the request was taken.

    Klaviyo has answered with another success than it publishes, so 200, 201, 202 and 204 are all taken for one.
    """
    return status in TAKEN


def may_have_committed(reply: Reply) -> bool:
    """Whether the request may have been carried out though no answer says so."""
    if reply.status == 500:
        return not faults(reply.body)
    return reply.answer_lost or reply.status in MAY_HAVE_COMMITTED


def judge(reply: Reply, tries: Tries, policy: Policy, roll: float, rules: ReplyRules = ANYWHERE) -> Verdict:
    """Decide what a reply means. `roll` in [0, 1) is the jitter, so that a test can choose it."""
    if reply.status is None:
        return _unanswered(reply, tries, policy, roll, rules)
    if took(reply.status):
        if rules.says_one and reply.body.strip() == b"0":
            return RequestRefused(reply.status, (Fault(RejectCode.REFUSED, detail=SAID_ZERO),))
        return Done() if rules.pages or not is_html(reply.body) else _intercepted(tries, policy, roll, rules)
    if reply.status == 429:
        return _throttled(reply, tries, policy, roll)
    found = faults(reply.body)
    if _wanted_state(reply.status, found, rules):
        return Done()
    if reply.status in TRANSIENT:
        return _transient(reply, tries, policy, roll, rules)
    if reply.status == 413:
        return TooLarge()
    return _halting(reply, found, rules) or _refused(reply.status, found)


def _intercepted(tries: Tries, policy: Policy, roll: float, rules: ReplyRules) -> Verdict:
    """A page where success was announced: something in front of Klaviyo answered, and may have kept the request."""
    text = "a page came instead of an answer of Klaviyo's API: something in between answers for it"
    if not rules.may_resend:
        return Reject(RejectCode.IN_DOUBT, f"{text}; it may have been done, and sending it again could do it twice")
    return _again(text, tries, policy, roll)


def _wanted_state(status: int, found: tuple[Fault, ...], rules: ReplyRules) -> bool:
    codes = {fault.code for fault in found} | {""}
    return any(status == wanted and code in codes for wanted, code in rules.done)


def _unanswered(reply: Reply, tries: Tries, policy: Policy, roll: float, rules: ReplyRules) -> Verdict:
    text = TEXTS.get(reply.failure, "no answer came")
    if reply.failure == "path":
        return Reject(RejectCode.REFUSED, text)
    if reply.answer_lost and not rules.may_resend:
        return Reject(RejectCode.IN_DOUBT, f"{text}; it was sent, and sending it again could do it twice")
    if reply.failure in UNREACHABLE and (tries.unreachable >= policy.attempts or reply.failure == "tls"):
        return Halt(StopCode.UNREACHABLE, f"the endpoint cannot be reached: {text}")
    return _again(text, tries, policy, roll)


def _again(text: str, tries: Tries, policy: Policy, roll: float) -> Verdict:
    if tries.attempts >= policy.attempts:
        return Reject(RejectCode.UNAVAILABLE, f"after {tries.attempts} attempts: {text}")
    return Wait(_backoff(tries.attempts, policy, roll))


def _backoff(times: int, policy: Policy, roll: float) -> float:
    longest = min(policy.longest_wait_seconds, policy.first_wait_seconds * 2.0 ** min(times - 1, 30))
    return longest * (0.5 + roll / 2)


def _throttled(reply: Reply, tries: Tries, policy: Policy, roll: float) -> Verdict:
    asked = asked_wait(reply.headers)
    if asked is not None and asked > policy.longest_wait_seconds:
        return Halt(
            StopCode.THROTTLED,
            f"Klaviyo asks to wait {asked:,.0f} s, and longest_wait_seconds is {policy.longest_wait_seconds:,.0f}: "
            "a daily quota may be used up",
        )
    if tries.throttled_seconds > LONGEST_THROTTLING * policy.longest_wait_seconds:
        return Halt(
            StopCode.THROTTLED,
            f"Klaviyo throttled one request {tries.throttles} times over {tries.throttled_seconds:,.0f} s: "
            "something else uses up the account's quota",
        )
    if asked:
        return Wait(max(asked, 1.0) + roll, throttled=True)
    return Wait(max(_backoff(tries.throttles + 1, policy, roll), 1.0 + roll), throttled=True)


def _transient(reply: Reply, tries: Tries, policy: Policy, roll: float, rules: ReplyRules) -> Verdict:
    # A 500 with Klaviyo's own document means that the application failed; any other may come from something in front
    # of it that lost the answer. 408 and 503 mean that the request was not taken at all.
    if may_have_committed(reply) and not rules.may_resend:
        return Reject(
            RejectCode.IN_DOUBT, f"HTTP {reply.status}: it may have been done, and sending it again could do it twice"
        )
    return _again(f"HTTP {reply.status}", tries, policy, roll)


def _halting(reply: Reply, found: tuple[Fault, ...], rules: ReplyRules) -> Halt | None:
    status, said = reply.status or 0, _said(found)
    if status == 401:
        return Halt(StopCode.UNAUTHORIZED, f"Klaviyo refuses this key (HTTP 401{said}); check api_key, or access_token")
    if status == 403:
        if is_html(reply.body):
            said = ": a page of the network in front of Klaviyo, not an answer of its API"
        return Halt(StopCode.FORBIDDEN, f"Klaviyo forbids this to the key or the account (HTTP 403{said})")
    if status == 410:
        return Halt(StopCode.RETIRED, f"Klaviyo has retired this endpoint (HTTP 410); {_retired_advice(rules.legacy)}")
    if 300 <= status < 400:
        return Halt(
            StopCode.REDIRECTED,
            f"HTTP {status} points elsewhere, and a key is never sent after it; give the final address",
        )
    if status == 404 and not rules.not_found_is_a_row:
        return Halt(
            StopCode.NOT_FOUND,
            f"Klaviyo knows no such address (HTTP 404{said}); check the ids, the path and the revision",
        )
    if status in CONDEMNS_ALL:
        return Halt(StopCode.REFUSED, f"Klaviyo refuses such requests at this address (HTTP {status}{said})")
    return None


def _retired_advice(legacy: str) -> str:
    if legacy == "template":
        return "set api=current"
    if legacy:
        return f"its {legacy} API is gone: set url to one of the current API (https://a.klaviyo.com/api/...)"
    return "set revision to a newer one"


def _refused(status: int, found: tuple[Fault, ...]) -> Verdict:
    if found or status in (400, 422):
        return RequestRefused(status, found)
    return Reject(RejectCode.REFUSED, f"HTTP {status}")


def _said(found: tuple[Fault, ...]) -> str:
    return f": {safe_detail(found[0].detail)}" if found and found[0].detail else ""
