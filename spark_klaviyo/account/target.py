"""Whose account a write goes to, and which list: checked where the caller says so, named where the key may read it.

Names are read once for each key and process, in one quick attempt: no micro-batch reads them again, and no write waits
or fails because they cannot be read.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from spark_klaviyo.account.names import named_lists, resolve_names
from spark_klaviyo.account.reads import key_of, known_account, open_reader
from spark_klaviyo.core.codes import Api, StopCode
from spark_klaviyo.core.models import Target
from spark_klaviyo.core.secrets import Credentials
from spark_klaviyo.deliver.reads import ReadFailed, ReadTarget
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.addresses import host_of, is_klaviyo
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.manual.manual_mode import ManualCall
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.report import WriteStopped
from spark_klaviyo.templates import find_template
from spark_klaviyo.templates.limits import L

QUICK_SECONDS = 5.0  # for reading names
MOST_CHARACTERS = 100  # of a name
ONE_PROFILE = ReadTarget("/api/profiles", L, (("page[size]", "1"),))
NO_SCOPE = (
    "api_key: {template} would bring back people who have opted out, so their consent is read before anybody is "
    "subscribed, which this key may not; give it the scope profiles:read"
)
_may_read: set[bytes] = set()  # hashes of address and key: a stream asks once
DOUBLE_OPT_IN = "{} asks people to confirm (double opt-in): whom the write subscribes is on the list once they have"


def resolve(options: Options, run_id: str = "") -> Options:
    """The options with ids in place of names, once the account is the expected one and its consents may be read.

    Raises what `require_account`, `require_consent_scope` and `resolve_names` raise.
    """
    require_account(options, run_id)
    require_consent_scope(options, run_id)
    return resolve_names(options, run_id)


def require_consent_scope(options: Options, run_id: str) -> None:
    """Refuse to subscribe people with a key that may not read who has opted out; nothing is read for other writes.

    Raises `OptionError`, which names the scope, and `WriteStopped` where the key is refused or nothing can be read.
    """
    key, template = key_of(options.base_url, options.credentials), options.template or ""
    if key in _may_read or not subscribes(options) or options.settings.get("resubscribe") == "true":
        return
    try:
        with open_reader(options) as reader:
            reader.read(ONE_PROFILE)
    except ReadFailed as failed:
        if failed.code is StopCode.FORBIDDEN:
            raise OptionError(NO_SCOPE.format(template=template)) from failed
        raise WriteStopped.before_sending(failed.code, failed.message, run_id=run_id, template=template) from failed
    _may_read.add(key)


def subscribes(options: Options) -> bool:
    """Whether a write subscribes people."""
    return options.template is not None and find_template(options.template, options.api).subscribes


def require_account(options: Options, run_id: str = "") -> None:
    """Refuse any account but the one of the option `account_id`; nothing is read without that option.

    Raises `OptionError` for another account, and for a key that may not say which it is; `WriteStopped` where the key
    is refused or the endpoint cannot be reached.
    """
    if options.account_id is None:
        return
    origin = account_origin(options)
    if not origin:
        raise OptionError(
            "account_id: requests to this address carry no key, or do not go to Klaviyo's current API, so the account "
            "cannot be read; leave account_id out"
        )
    try:
        account = known_account(options, origin)
    except ReadFailed as failed:
        reason = f"account_id: the account of the key could not be read: {failed}"
        if failed.code.ends_every_write:
            raise WriteStopped.before_sending(failed.code, reason, run_id=run_id, template=options.template) from failed
        raise OptionError(f"{reason}; nothing was sent") from failed
    if not account.account_id:
        raise OptionError(
            "account_id: the key may not read which account it belongs to, so nothing was sent; give it the scope "
            "accounts:read"
        )
    if account.account_id != options.account_id:
        raise OptionError(
            f"account_id: the key belongs to the account {account}, and {options.account_id} is expected; nothing was "
            "sent. Give the key of the account that is meant"
        )


def named_target(plan: WritePlan, options: Options) -> WritePlan:
    """The plan with the names of its account and list, as far as the key may read them, and what these mean."""
    target = read_target(options)
    return replace(plan, target=target, warnings=(*plan.warnings, *opt_in_warnings(options, target)))


def opt_in_warnings(options: Options, target: Target) -> list[str]:
    """What users must know of a list with double opt-in; imports of old consents are not asked again."""
    is_import = options.settings.get("historical_import") == "true"
    return [DOUBLE_OPT_IN.format(f"the list {target.list_name}")] if target.double_opt_in and not is_import else []


def read_target(options: Options) -> Target:
    """The names of account and list, as far as the key may read them; never an error.

    Spark plans every micro-batch of `writeStream.format` in a new process, which would read them again each time, so
    there the account is named only where it was read to be compared.
    """
    origin, in_stream = account_origin(options), options.entry_point is EntryPoint.STREAM
    if not origin or (in_stream and options.account_id is None):
        return Target()
    target = Target()
    with suppress(ReadFailed):
        account = known_account(options, origin, seconds=QUICK_SECONDS)
        target = Target(_shown(account.account), _shown(account.account_id))
        if not in_stream:
            lists = named_lists(options, QUICK_SECONDS)
            names = ", ".join(one.name for one in lists if one.name)
            double = subscribes(options) and any(one.is_double_opt_in for one in lists)
            target = replace(target, list_name=_shown(names), double_opt_in=double)
    return target


def _shown(name: str) -> str:
    """A name as a line of text shows it: short, and without control characters."""
    text = "".join(character if character.isprintable() else " " for character in name)
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "\u2026"


def in_account(options: Options) -> str:
    """` in the account Acme (Xy12Ab)`, for a refusal; empty where the key may not read it."""
    target = read_target(options)
    return f" in the account {target.account_text}" if target.account_id else ""


def account_origin(options: Options) -> str:
    """The address to read the key's account at; empty for requests without a key, or not to Klaviyo's current API."""
    if options.credentials == Credentials():
        return ""
    if options.template or not options.url:
        is_v1 = bool(options.template) and options.api is Api.V1  # its key is the public one
        return "" if is_v1 else options.base_url
    call = ManualCall(options)
    is_known = is_klaviyo(host_of(options.url)) or call.endpoint is not None
    return call.origin if is_known and call.carries_private_key else ""
