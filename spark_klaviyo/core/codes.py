"""Closed sets: codes that a report, a dataset or a log can show, each with its text; and choices of users.

The values are the text that is stored and printed, so they never change. Klaviyo's own error codes (`invalid`,
`duplicate_profile`, ...) are an open set: they stand beside `RejectCode` as plain text.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Self


class Code(StrEnum):
    """A string enum whose members are written as `NAME = value, text`."""

    text: str

    def __new__(cls, value: str, text: str = "") -> Self:
        """A member that equals its value and carries its text."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.text = text
        return member


class Outcome(Code):
    """What became of a row; a report counts each row in exactly one of them."""

    DELIVERED = "delivered", "confirmed by Klaviyo"
    ACCEPTED = "accepted", "taken by Klaviyo, not confirmed"
    REJECTED = "rejected", "refused by Klaviyo, or by a check before sending"
    SKIPPED = "skipped", "needed no sending"
    UNSENT = "unsent", "not sent, because the write was stopped"


class ReceiptOutcome(Code):
    """What became of a request, and of its job where it started one: the column `outcome` of receipts."""

    DELIVERED = "delivered", "confirmed by Klaviyo"
    ACCEPTED = "accepted", "taken; with a job_id its job is still open"
    REJECTED = "rejected", "every row failed in its job"
    REFUSED = "refused", "refused as a whole; sent again without its bad rows, or in parts"
    IN_DOUBT = "in_doubt", "sent, but the answer was lost"
    UNAVAILABLE = "unavailable", "all attempts were used up"
    UNSENT = "unsent", "not taken, because the write was stopped"
    CANCELLED = "cancelled", "Klaviyo cancelled its job"
    GONE = "gone", "Klaviyo no longer knows its job"
    UNNAMED = "unnamed", "its job says that some rows failed or were skipped, without naming them"


class RejectCode(Code):
    """Why a row was rejected, where the reason is not one of Klaviyo's own codes."""

    NO_IDENTIFIER = "no_identifier", "the row has none of the identifiers that the endpoint takes"
    BAD_EMAIL = "bad_email", "the email cannot be an address"
    BAD_PHONE = "bad_phone", "the phone is not a single number that can be written as E.164"
    NOT_FINITE = "not_finite", "a number is infinite, which JSON cannot hold"
    TOO_LARGE = "too_large", "the row alone is larger than a request, or a profile, may be"
    TOO_MANY_PROPERTIES = "too_many_properties", "more custom properties than Klaviyo takes"
    TOO_DEEP = "too_deep", "nested deeper than Klaviyo takes"
    TOO_MANY_ITEMS = "too_many_items", "an array has more items than Klaviyo takes"
    BAD_VALUE = "bad_value", "a value is not of the form that the field takes"
    BAD_TIME = "bad_time", "the time cannot be read, or lies outside the window that Klaviyo takes"
    BAD_RECORD = "bad_record", "the record is not the JSON object that the endpoint takes"
    MISSING_FIELD = "missing_field", "a field that the endpoint requires is empty"
    AMBIGUOUS_CHANGE = "ambiguous_change", "changes of the same row or person contradict each other"
    IN_DOUBT = "in_doubt", "sent, but the answer was lost, and sending again could do it twice"
    UNAVAILABLE = "unavailable", "all attempts were used up without a conclusive answer"
    REFUSED = "refused", "Klaviyo refused the request"
    NOT_ISOLATED = "not_isolated", "in datasets of version 0.1: the request was refused without naming the bad row"
    NOT_ON_LIST = "not_on_list", "the profile is not on the list; Klaviyo would unsubscribe it everywhere"
    ERASES_PEOPLE = "erases_people", "the row fills the url so that the request would erase or merge people"
    SELF_MERGE = "self_merge", "the row would merge a profile with itself"
    AMBIGUOUS_MERGE = "ambiguous_merge", "the same profile would be merged into several others"
    MERGE_CYCLE = "merge_cycle", "the merges of these rows form a cycle"
    MERGE_CHAIN = "merge_chain", "the profile that would stay is itself merged away by another row"
    NOT_FOUND = "not_found", "Klaviyo knows no profile with this identifier"
    AMBIGUOUS_PROFILE = "ambiguous_profile", "several profiles have this identifier; it is unknown which one is meant"
    OPTED_OUT = "opted_out", "the person has opted out, and subscribing would bring them back"
    NO_CONSENT = "no_consent", "a column of the row says that the person does not consent"

    @classmethod
    def text_of(cls, code: str, otherwise: str = "") -> str:
        """The text of a code, or `otherwise` where it is one of Klaviyo's own."""
        return next((known.text for known in cls if known == code), otherwise)


class Failure(Code):
    """Why no whole reply came to a request. The texts never hold a URL, which may hold a key."""

    DNS = "dns", "the name of the host could not be resolved"
    BLOCKED = "blocked", "the host's name resolves to 0.0.0.0: a tracker blocklist in this network's resolver blocks it"
    CONNECT = "connect", "the connection was refused or could not be made"
    CONNECT_TIMEOUT = "connect_timeout", "no connection within the time allowed"
    PROXY = "proxy", "the proxy refused or could not be reached"
    TLS = "tls", "the server's TLS certificate could not be verified, or TLS could not be agreed on"
    TIMEOUT = "timeout", "no answer within the time allowed"
    RESET = "reset", "the connection was closed before an answer came"
    TRUNCATED = "truncated", "the answer broke off"
    GARBLED = "garbled", "what came was not an HTTP answer"
    ABANDONED = "abandoned", "the write was interrupted before an answer came"
    PATH = "path", "the path of the request has a segment that would change the endpoint, such as `..`"


class StopCode(Code):
    """Why a write was stopped, or why a read brought no document."""

    UNAUTHORIZED = "unauthorized", "Klaviyo refuses the key"
    FORBIDDEN = "forbidden", "the key or the account may not use the endpoint"
    RETIRED = "retired", "Klaviyo has retired the endpoint or the revision"
    REDIRECTED = "redirected", "the address redirects to another one"
    NOT_FOUND = "not_found", "Klaviyo knows no such address"
    REFUSED = "refused", "Klaviyo refuses such requests at this address"
    ACCOUNT_REFUSED = "account_refused", "Klaviyo refuses every row alike, and took none: it refuses the account"
    UNREACHABLE = "unreachable", "the endpoint cannot be reached"
    THROTTLED = "throttled", "Klaviyo asks to wait too long, or throttles without end"
    UNAVAILABLE = "unavailable", "a read used up its attempts without an answer"
    LATE = "late", "the time for a read was over"
    STOPPED = "stopped", "a read was not made, because the write was stopped"
    CLOSED = "closed", "the write was ended by its caller"
    INTERRUPTED = "interrupted", "the write was interrupted"
    INPUT_FAILED = "input_failed", "the rows could not be read to their end"
    JOB_FAILED = "job_failed", "Spark's job failed after rows were sent"
    TOO_MANY_REJECTS = "too_many_rejects", "more rows were rejected than max_rejects allows"
    TOO_MANY_ROWS = "too_many_rows", "more identifiers than a mirror can compare"
    TOO_MANY_REMOVALS = "too_many_removals", "a mirror would remove more members than max_removals allows"
    UNIDENTIFIED_ROWS = "unidentified_rows", "rows of a mirror may mean any member of the list"
    NOT_WRITTEN = "not_written", "rejected rows or receipts could not be written"
    STATE_IN_USE = "state_in_use", "another run writes with the same state"
    STATE_LOST = "state_lost", "another run has taken the state over"
    STATE_UNWRITABLE = "state_unwritable", "the state could not be written to"

    @property
    def ends_every_write(self) -> bool:
        """Whether no write with this key, host and revision could begin."""
        return self in _END_EVERY_WRITE

    @property
    def affects_every_request(self) -> bool:
        """Whether any other request to the same endpoint would end the same way, whatever it holds."""
        return self in _AFFECT_EVERY_REQUEST


_BOTH = frozenset({StopCode.UNAUTHORIZED, StopCode.RETIRED, StopCode.UNREACHABLE, StopCode.THROTTLED, StopCode.STOPPED})
_END_EVERY_WRITE = _BOTH | {StopCode.UNAVAILABLE}
_AFFECT_EVERY_REQUEST = _BOTH | {StopCode.FORBIDDEN, StopCode.REDIRECTED, StopCode.NOT_FOUND}


def jobs_can_be_followed(stopped: str | None) -> bool:
    """Whether the jobs of a write can still be followed, given the code it was stopped for (None: it was not)."""
    return stopped in (None, StopCode.TOO_MANY_REJECTS)


# --- closed sets that options, templates and requests have in common ------------------------------


class Choice(Enum):
    """Base of closed sets of texts, written as `NAME = value` or `NAME = value, text`.

    A member prints as its value and never equals a bare string; `text` says in words what it means.
    """

    _value_: str
    text: str

    def __new__(cls, value: str, text: str = "") -> Self:
        """A member with this value and text."""
        member = object.__new__(cls)
        member._value_ = value
        member.text = text
        return member

    def __str__(self) -> str:
        return str(self.value)


class Api(Choice):
    """The generation of Klaviyo's API that a template belongs to; v1 and v2 were retired on 2024-06-30."""

    CURRENT = "current"
    V2 = "v2"
    V1 = "v1"


class KeyIn(Choice):
    """Where the key travels in a request."""

    HEADER = "header"  # Authorization
    API_KEY_HEADER = "api-key"  # a header of v2's own; follows from the URL, not a choice of users
    QUERY = "query"
    BODY = "body"
    NONE = "none"


class ContentFormat(Choice):
    """What the rows of a request are written as."""

    JSON = "json"
    NDJSON = "ndjson"
    FORM = "form"
    FORM_DATA_PARAM = "form-data-param"  # v1's `data=<JSON>`
    XML = "xml"
    CSV = "csv"
    TEXT = "text"


class OnDelete(Choice):
    """`on_delete`: what a delete in change data means."""

    REMOVE = "remove"  # from the list
    SUPPRESS = "suppress"
    DELETE = "delete"
    IGNORE = "ignore"
