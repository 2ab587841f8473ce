"""The options with which a mirror, or change data, calls a second template: to remove members, or to delete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from spark_klaviyo.core.choices import Api
from spark_klaviyo.options.choices import ListMode, Nulls, OtherColumns
from spark_klaviyo.options.model import Options


def options_for(template: str, options: Options, settings: Mapping[str, str]) -> Options:
    """The options for another template and its settings.

    What says how requests are made stays (key, address, retries, rate limit, jobs); what chooses and maps columns, or
    bounds the size of a request, does not.
    """
    return replace(
        options,
        template=template,
        api=Api.CURRENT,
        settings=settings,
        fields={},
        other_columns=OtherColumns.DROP,
        record_column=None,
        unique_id_columns=(),
        nulls=Nulls.OMIT,
        change_column=None,
        list_mode=ListMode.ADD,
        max_rows=None,
        max_bytes=None,
    )
