"""Whose account a write goes to, and which list: checked where the caller says so, named where the key may read it.

Names are read once for each key and process, in one quick attempt: no micro-batch reads them again, and no write waits
or fails because they cannot be read.
"""

from __future__ import annotations

from dataclasses import replace

from spark_klaviyo.account.consent_scope import require_consent_scope, subscribes
from spark_klaviyo.account.names import KINDS, Resource, resolve_names, setting_values
from spark_klaviyo.account.reads import Account, AccountReader, ReadFailed, key_of, known_account, open_reader
from spark_klaviyo.core.codes import Api, StopCode
from spark_klaviyo.core.models import Target
from spark_klaviyo.core.secrets import Credentials
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.addresses import host_of, is_klaviyo
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import Options
from spark_klaviyo.options.readers import COLUMN, NAME, is_name
from spark_klaviyo.plan.manual.manual_mode import ManualCall
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.report.report import WriteStopped
from spark_klaviyo.templates import find_template

QUICK_SECONDS = 5.0  # for reading names
MOST_LISTS, MOST_CHARACTERS = 5, 100  # of lists that are named, and of a name
_lists: dict[tuple[bytes, str], Resource] = {}  # by address, key and id
_named: dict[tuple[bytes, str], Resource] = {}  # the same, of lists whose name alone is known
DOUBLE_OPT_IN = "{} asks people to confirm (double opt-in): whom the write subscribes is on the list once they have"


def resolve(options: Options, run_id: str = "") -> Options:
    """The options with ids in place of names, once the account is the expected one and its consents may be read.

    Raises what `require_account`, `require_consent_scope` and `resolve_names` raise.
    """
    require_account(options, run_id)
    require_consent_scope(options, run_id)
    resolved = resolve_names(options, run_id)
    key = key_of(options.base_url, options.credentials)
    for setting in find_template(options.template, options.api).settings if options.template else ():
        if setting.lookup_kind == "list":
            pairs = zip(setting_values(options, setting), setting_values(resolved, setting), strict=True)
            names = {found: given[len(NAME) :].strip() for given, found in pairs if is_name(given)}
            _named.update({(key, found): Resource(found, name) for found, name in names.items()})
    return resolved


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
            template = options.template or ""
            raise WriteStopped.before_sending(failed.code, reason, run_id=run_id, template=template) from failed
        raise OptionError(f"{reason}; nothing was sent") from failed
    if not account.id:
        raise OptionError(
            "account_id: the key may not read which account it belongs to, so nothing was sent; give it the scope "
            "accounts:read"
        )
    if account.id != options.account_id:
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
    account = Account()
    try:
        account = known_account(options, origin, seconds=QUICK_SECONDS)
        if in_stream:
            return Target(_shown(account.name), _shown(account.id))
        lists = _read_lists(options)
        names = ", ".join(one.name for one in lists if one.name)
        double = subscribes(options) and any(one.is_double_opt_in for one in lists)
        return Target(_shown(account.name), _shown(account.id), _shown(names), double)
    except ReadFailed:
        return Target(_shown(account.name), _shown(account.id))


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


def _read_lists(options: Options) -> list[Resource]:
    """The lists that the options name by id. Raises `ReadFailed` where no answer came.

    A list that was looked up by its name is read once more only for its opt-in process.
    """
    key = key_of(options.base_url, options.credentials)
    keys = [(key, list_id) for list_id in _list_ids(options)]
    missing = [one for one in keys if one not in _lists and (subscribes(options) or one not in _named)]
    if missing:
        with open_reader(options, seconds=QUICK_SECONDS) as reader:
            _lists.update({one: _read_list(reader, one[1]) for one in missing})
    return [_lists.get(one) or _named[one] for one in keys]


def _read_list(reader: AccountReader, list_id: str) -> Resource:
    """A list; without a name where there is none, or the key may not read it."""
    try:
        document = reader.read(KINDS["list"].by_id(list_id))
    except ReadFailed as failed:
        if failed.code in (StopCode.FORBIDDEN, StopCode.NOT_FOUND, StopCode.REFUSED):
            return Resource(list_id, "")
        raise
    return next((Resource.of(one, KINDS["list"]) for one in document.resources), Resource(list_id, ""))


def _list_ids(options: Options) -> list[str]:
    if not options.template:
        return []
    settings = find_template(options.template, options.api).settings
    ids = [value for one in settings if one.lookup_kind == "list" for value in setting_values(options, one)]
    return [one for one in ids if not one.startswith(COLUMN) and not is_name(one)][:MOST_LISTS]
