"""Reads from the account in the calling process, with the options' address, key and retry settings.

The account itself is read here, too: a state keeps accounts apart, and reports name it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from spark_klaviyo.core.clock import Clock, Stop
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.core.exact_json import get
from spark_klaviyo.core.models import Target
from spark_klaviyo.core.policy import Policy, Quota
from spark_klaviyo.core.secrets import Credentials
from spark_klaviyo.deliver.delivery import SendContext
from spark_klaviyo.deliver.reads import Reader, ReadFailed, ReadTarget, ResourceFields
from spark_klaviyo.errors import OptionError
from spark_klaviyo.http.transport import Transport
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.make import JSON_API
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.ratelimit.limiter import LocalRateLimiter, RateLimiter
from spark_klaviyo.report.report import WriteStopped
from spark_klaviyo.state.format import digest
from spark_klaviyo.templates.limits import XS

READERS = 8  # most reads in flight at once
ACCOUNTS = ReadTarget("/api/accounts", XS)  # spec: get_accounts, scope accounts:read
TIED_TO_KEY = (
    "state_path: the key may not read the account's id (scope accounts:read), so the state belongs to "
    "this key: with another key all rows are sent again"
)
NO_SCOPE = (
    "state_path: the access token may not read the account's id, and tokens change, so they cannot stand for the "
    "account; give the token the scope accounts:read"
)


@contextmanager
def open_reader(options: Options, *, seconds: float | None = None) -> Iterator[Reader]:
    """Open a reader, and close its connections at the end.

    Args:
        options: Those of the write.
        seconds: Within which everything is read, in one attempt each; what comes later is given up.
    """
    if seconds is not None:
        timeout_seconds = min(options.timeout_seconds, seconds)
        options = replace(options, attempts=1, timeout_seconds=timeout_seconds, longest_wait_seconds=seconds)
    transport = Transport(
        options.base_url,
        {"Accept": JSON_API, "revision": options.revision},
        options.credentials,
        timeout_seconds=options.timeout_seconds,
        workers=READERS,
        proxy=options.proxy,
    )
    clock = Clock()
    limiter = RateLimiter(clock)
    if options.rate_limit != Quota(()):
        limiter = LocalRateLimiter(clock, longest_wait_seconds=options.longest_wait_seconds)
    policy = Policy(attempts=options.attempts, longest_wait_seconds=options.longest_wait_seconds)
    until = math.inf if seconds is None else clock.now() + seconds
    reader = Reader(policy, SendContext(transport, limiter, clock, Stop()), until)
    try:
        yield reader
    finally:
        reader.stop()
        transport.close()


# --- whose account it is ---------------------------------------------------------------------------


_accounts: dict[bytes, Target] = {}  # by a hash of address and key: a stream reads it once


def read_account(reader: Reader) -> tuple[Target, Mapping[str, str]]:
    """The account of the reader's key, whose id stands for a missing name; and the headers of the reply, lower case.

    Raises `ReadFailed`.
    """
    document = reader.read(ACCOUNTS)
    found: ResourceFields = next(iter(document.resources), {})
    name, account_id = get(found, ("contact_information", "organization_name")), str(found.get("id") or "")
    return Target(str(name or account_id), account_id), document.headers


def known_account(options: Options, origin: str, *, seconds: float | None = None) -> Target:
    """The account of the options' key at this address, read once; an empty one where the key may not read it.

    `seconds`: for one quick attempt. Raises `ReadFailed` where no answer came.
    """
    key = key_of(origin, options.credentials)
    if key not in _accounts:
        try:
            with open_reader(replace(options, base_url=origin), seconds=seconds) as reader:
                _accounts[key], _ = read_account(reader)
        except ReadFailed as failed:
            if failed.code is not StopCode.FORBIDDEN:
                raise
            _accounts[key] = Target()
    return _accounts[key]


def account_of(plan: WritePlan, options: Options) -> tuple[str, str]:
    """A text that stands for the account in a state, and a warning, if any.

    Klaviyo's own id; a hash of the key where that may not be read, and in manual mode, whose address may be any host.
    Raises `WriteStopped` where the key is refused or the endpoint cannot be reached, `OptionError` for an access token
    without the scope.
    """
    if plan.template.is_manual:
        return key_of(plan.base_url, plan.credentials).hex(), ""
    try:
        account_id = known_account(options, plan.base_url).account_id
    except ReadFailed as failed:
        if failed.code.ends_every_write:
            raise stopped_before_sending(plan, failed.code, failed.message) from failed
        account_id = ""
    if not account_id and plan.credentials.access_token is not None:
        raise OptionError(NO_SCOPE)
    return (account_id, "") if account_id else (key_of(plan.base_url, plan.credentials).hex(), TIED_TO_KEY)


def stopped_before_sending(plan: WritePlan, code: StopCode, message: str) -> WriteStopped:
    """The error of a run that ended before anything was sent."""
    return WriteStopped.before_sending(code, message, run_id=plan.run_id, template=plan.template.name)


def key_of(address: str, credentials: Credentials) -> bytes:
    """A hash of address and key."""
    return digest(f"{address}\n{credentials.reveal()}")
