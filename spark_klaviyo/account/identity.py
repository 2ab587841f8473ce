"""Whose account a key belongs to: a state keeps accounts apart."""

from __future__ import annotations

from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.deliver.reads import Document, Reader, ReadTarget
from spark_klaviyo.errors import OptionError, WriteStopped
from spark_klaviyo.options.secrets import Credentials
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.early_stop import stopped_before
from spark_klaviyo.state.format import digest
from spark_klaviyo.task.context import SendContextFactory
from spark_klaviyo.templates.model import XS

ACCOUNTS = ReadTarget("/api/accounts", "/api/accounts", XS)  # spec: get_accounts, scope accounts:read
TIED_TO_KEY = (
    "state_path: the key may not read the account's id (scope accounts:read), so what was delivered is remembered for "
    "this very key: with another key everything is sent again"
)
NO_SCOPE = (
    "state_path: give the access token the scope accounts:read: tokens change, so they cannot tell whose account it is"
)
_known: dict[bytes, str] = {}  # account ids by a hash of address and key: a stream asks once


def account_of(plan: WritePlan, contexts: SendContextFactory) -> tuple[str, str]:
    """A text that stands for the account, and a warning, if any.

    Klaviyo's own id; a hash of the key where that may not be read, and in manual mode, whose address may be anybody's.
    Raises `WriteStopped` where the key is refused or nobody answers, `OptionError` for a token without the scope.
    """
    key = digest(f"{plan.base_url}\n{_secret(plan.credentials)}")
    if plan.template.family == "manual":
        return key.hex(), ""
    if key not in _known:
        found = _asked(plan, contexts)
        if not found and plan.credentials.access_token is not None:
            raise OptionError(NO_SCOPE)
        if not found:
            return key.hex(), TIED_TO_KEY
        _known[key] = found
    return _known[key], ""


def _asked(plan: WritePlan, contexts: SendContextFactory) -> str:
    """The account's id; empty where the key may not read it."""
    with contexts.open(plan, 0, 0) as context:
        answer = Reader(plan, context).read(ACCOUNTS)
    if isinstance(answer, Document):
        return next((str(one.get("id") or "") for one in answer.resources), "")
    if answer.code.ends_every_write:
        raise stopped(plan, answer.code, answer.detail)
    return ""


def stopped(plan: WritePlan, code: StopCode, message: str) -> WriteStopped:
    """The error of a run that ended before anything was sent."""
    return stopped_before(code, message, run_id=plan.run_id, template=plan.template.name)


def _secret(credentials: Credentials) -> str:
    held = credentials.api_key or credentials.access_token
    return held.reveal() if held is not None else ""
