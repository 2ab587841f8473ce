"""The commands that write nothing: `check`, `preview`, `lists`.

Each imports what it needs itself, for the start-up time of the others.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from spark_klaviyo.cli.options import given_options
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.entrypoints import EntryPoint

if TYPE_CHECKING:
    from spark_klaviyo.account.resources import Resource

DONE, REFUSED = 0, 2


def run_check(given: argparse.Namespace) -> int:
    """`check`: 0 when a write can begin, else 2."""
    from spark_klaviyo.check.check import check
    from spark_klaviyo.entrypoints.read import options_at

    options = options_at(EntryPoint.CHECK, given_options(given.option))
    result = check(options, _sample(given.send_sample))
    _say(json.dumps(result.to_dict(), indent=2) if given.json else str(result))
    return DONE if result.ok else REFUSED


def run_preview(given: argparse.Namespace) -> int:
    """`preview`: the requests with their bodies, or without them where people's data must not be shown."""
    from spark_klaviyo.cli.reading import opened
    from spark_klaviyo.entrypoints.read import options_at
    from spark_klaviyo.preview.preview import preview

    options = options_at(EntryPoint.PREVIEW, given_options(given.option))
    with opened(given.input, given.format) as frame:
        seen = preview(frame, options, given.rows)
    if given.html:
        seen.to_html(given.html)
    _say(json.dumps(seen.to_dict(bodies=given.bodies), indent=2) if given.json else seen.text(bodies=given.bodies))
    return DONE


def run_lists(given: argparse.Namespace) -> int:
    """`lists`: ids and names, one list a line."""
    from spark_klaviyo.account.resources import all_lists
    from spark_klaviyo.entrypoints.read import options_at

    found = all_lists(options_at(EntryPoint.CHECK, given_options(given.option)))
    _say(json.dumps([asdict(one) for one in found], indent=2) if given.json else _listed(found))
    return DONE


def _listed(found: list[Resource]) -> str:
    return "\n".join(f"{one.id}  {one.name}" for one in found) or "the account has no list"


def _sample(text: str | None) -> object:
    if text is None:
        return None
    try:
        row: object = json.loads(text)
    except ValueError as error:
        raise OptionError("--send-sample: expected one row as a JSON object") from error
    return row


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
