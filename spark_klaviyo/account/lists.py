"""The account's lists: the ids that users never have at hand."""

from __future__ import annotations

from spark_klaviyo.account.reads import ReadFailed, asking
from spark_klaviyo.account.resource_kinds import KINDS, Found, every
from spark_klaviyo.errors import OptionError, WriteStopped
from spark_klaviyo.options.model import Options


def all_lists(options: Options) -> list[Found]:
    """Every list with its id and name, ordered by name.

    Raises `WriteStopped` where the key is refused or nobody answers, `OptionError` where the key lacks the scope.
    """
    kind = KINDS["list"]
    try:
        with asking(options) as ask:
            return sorted(every(ask, kind), key=lambda one: (one.name.casefold(), one.id))
    except ReadFailed as failed:
        if failed.code.ends_every_write:
            raise WriteStopped(f"the lists cannot be read: {failed}") from failed
        raise OptionError(f"the lists cannot be read: {failed} (scope {kind.scope})") from failed
