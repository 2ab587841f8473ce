"""Whether the key may read who has opted out: asked before a write that subscribes people is planned."""

from __future__ import annotations

from spark_klaviyo.account.reads import ReadFailed, key_of, open_reader
from spark_klaviyo.core.codes import StopCode
from spark_klaviyo.deliver.reads import ReadTarget
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.model import Options
from spark_klaviyo.report.report import WriteStopped
from spark_klaviyo.templates import find_template
from spark_klaviyo.templates.limits import L

ONE_PROFILE = ReadTarget.of("/api/profiles", L, (("page[size]", "1"),))
NO_SCOPE = (
    "api_key: {template} would bring back people who have opted out, so their consent is read before anybody is "
    "subscribed, which this key may not; give it the scope profiles:read"
)
_may_read: set[bytes] = set()  # hashes of address and key: a stream asks once


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
