"""The account's lists: the ids that users never have at hand."""

from __future__ import annotations

from spark_klaviyo.ask.kinds import KINDS, Found, every
from spark_klaviyo.ask.reading import ReadFailed, asking
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.model import Options


def all_lists(options: Options) -> list[Found]:
    """Every list with its id and name, ordered by name. Raises `OptionError` where they cannot be read."""
    kind = KINDS["list"]
    try:
        with asking(options) as ask:
            return sorted(every(ask, kind), key=lambda one: (one.name.casefold(), one.id))
    except ReadFailed as failed:
        raise OptionError(f"the lists cannot be read: {failed} (scope {kind.scope})") from failed
