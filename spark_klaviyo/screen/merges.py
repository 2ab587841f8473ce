"""Which merges of profiles must not be sent; a merge cannot be undone, so rows are judged together, before any is sent.

Merges run concurrently and some time after Klaviyo's answer. So a row whose destination another row merges away is
refused, too: whether it would find that profile is a matter of luck. The rows after it in the chain are sent, and the
refused one can name the profile that stays in the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.exact_json import get, try_loads
from spark_klaviyo.templates.model import Template

SOURCE, DESTINATION = "profiles", "id"  # the fields of merge_profiles


def faulty_merges(template: Template, records: Sequence[str]) -> dict[int, RejectCode]:
    """The rows that must not be sent, by their position among all rows of the write, given as JSON records."""
    paths = {known.name: known.json_path for known in template.fields}
    pairs = [(_id_at(record, paths[SOURCE]), _id_at(record, paths[DESTINATION])) for record in records]
    destinations: dict[str, set[str]] = {}
    for source, destination in pairs:
        if source != destination and source and destination:  # what lacks one is refused row by row
            destinations.setdefault(source, set()).add(destination)
    cycles = _in_cycles({source: min(found) for source, found in destinations.items() if len(found) == 1})
    faults: dict[int, RejectCode] = {}
    for row, (source, destination) in enumerate(pairs):
        if not source or not destination:
            continue
        if source == destination:
            faults[row] = RejectCode.SELF_MERGE
        elif len(destinations[source]) > 1:
            faults[row] = RejectCode.AMBIGUOUS_MERGE
        elif source in cycles:
            faults[row] = RejectCode.MERGE_CYCLE
        elif destination in destinations:
            faults[row] = RejectCode.MERGE_CHAIN
    return faults


def _id_at(record: str, path: tuple[str, ...]) -> str:
    """The id as it is compared: without blanks and case, so that two spellings of one profile are one."""
    value = get(try_loads(record), path)
    return value.strip().casefold() if isinstance(value, str) else ""


def _in_cycles(merged_into: Mapping[str, str]) -> set[str]:
    """The profiles from which following the merges leads back to themselves: all that are left once those are taken
    out, again and again, into which nobody is merged."""
    left, sources = dict(merged_into), Counter(merged_into.values())
    free = [node for node in left if not sources[node]]
    for node in free:
        destination = left.pop(node)
        sources[destination] -= 1
        if destination in left and not sources[destination]:
            free.append(destination)
    return set(left)
