"""A dry run: the exact requests of the first rows, where each column goes, and what the whole write would take.

Nothing is sent, and Klaviyo is asked only for what cannot be told otherwise: the id behind a `name:TEXT`, where there
is a key, and who is on the list of a mirror. The DataFrame's first rows are computed, and its rows are counted
(`count()`, which reads no column where the source knows its own counts); sizes and rejections are those of the first
200 rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from spark_klaviyo.account.names import named_settings, resolve_names
from spark_klaviyo.account.reads import ReadFailed
from spark_klaviyo.core.models import Rejection
from spark_klaviyo.core.secrets import Credentials
from spark_klaviyo.errors import OptionError
from spark_klaviyo.modes.change_data.change_feed import DELETE, IGNORED, OLDER, PREIMAGE, UNKNOWN, UPSERT, read_changes
from spark_klaviyo.modes.mirror.identities import comparable
from spark_klaviyo.options.choices import ListMode, SendFrom
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import Options
from spark_klaviyo.options.parse import read_options
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.types import columns_of
from spark_klaviyo.preview import dry_run
from spark_klaviyo.preview.columns import mapping
from spark_klaviyo.preview.dry_run import Cut, Sample, routes
from spark_klaviyo.preview.estimate import Expected, expect
from spark_klaviyo.preview.mirror_preview import mirror_sets
from spark_klaviyo.preview.render_request import shown
from spark_klaviyo.report.errors import WriteStopped
from spark_klaviyo.report.pages.preview import MirrorSets, Preview, PreviewRejection
from spark_klaviyo.templates import find_template, templates

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MOST_REJECTIONS = 20  # that are shown
MOST_ROWS = 1_000


def preview_klaviyo(df: DataFrame, rows: int = 5, **options: object) -> Preview:
    """Foresee `write_klaviyo(df, **options)` without sending anything; a key is not needed.

    Raises `OptionError` and `SchemaError` as a write would.
    """
    return preview(df, read_options(options, EntryPoint.PREVIEW, templates(), find_template), rows)


def preview(df: DataFrame, options: Options, rows: int = 5) -> Preview:
    """The same with options already read."""
    if not 0 <= rows <= MOST_ROWS:
        raise OptionError(f"rows: must be a whole number from 0 to {MOST_ROWS:,}, not {rows}")
    given, unknown = _looked_up(options)
    if given.change_column is not None:
        return _changes(df, given, rows, unknown)
    mirror = given.list_mode is ListMode.MIRROR
    plan = make_plan(given, columns_of(df), uuid4().hex)
    plan = comparable(plan) if mirror else plan
    part = look(df, plan, rows)
    warnings = [*unknown, *_warnings(given, part), *_unconfirmed(given, part.total if plan.template.deletes else 0)]
    sets = _mirror(df, given, part, warnings) if mirror and not unknown else None
    return made([part], given, warnings, mirror=sets)


def _looked_up(options: Options) -> tuple[Options, list[str]]:
    """The options with the ids that names stand for, and what could not be looked up."""
    named = ", ".join(setting.name for setting in named_settings(options))
    if not named:
        return options, []
    if options.credentials == Credentials():
        return options, [f"{named}: a name is looked up when the write begins; without a key nobody can be asked"]
    try:
        return resolve_names(options), []
    except WriteStopped as stopped:
        why = stopped.report.stopped[1] if stopped.report and stopped.report.stopped else stopped.message
        return options, [f"{why}; the write would stop"]


def _changes(df: DataFrame, options: Options, rows: int, unknown: list[str]) -> Preview:
    """Change data: one pass counts the changes; then the first rows of each way are looked at."""
    changes = read_changes(df, options, uuid4().hex)
    counts = changes.counts()
    parts = [look(changes.upserts(), changes.plan, rows, counts.get(UPSERT, 0))]
    if changes.deletion is not None and counts.get(DELETE):
        parts.append(look(changes.deletes(), changes.deletion, rows, counts[DELETE]))
    warnings = unknown + [warning for part in parts for warning in _warnings(options, part)]
    warnings += _unconfirmed(options, counts.get(DELETE, 0) if changes.guarded else 0)
    told = {DELETE: f"deletes, which mean {options.on_delete}", UNKNOWN: "changes of no known kind, to be rejected"}
    told |= {OLDER: "older changes, to be skipped", PREIMAGE: "pre-images, to be skipped", IGNORED: "deletes, ignored"}
    warnings += [f"{words}: {counts[what]:,}" for what, words in told.items() if counts.get(what)]
    return made(parts, options, warnings, sum(counts.values()))


def _mirror(df: DataFrame, options: Options, part: Part, warnings: list[str]) -> MirrorSets | None:
    try:
        return mirror_sets(df, part.plan, options)
    except ReadFailed as failed:
        warnings.append(f"who would come and who would go cannot be told: {failed}")
        return None


@dataclass(frozen=True)
class Part:
    """What one plan would send of a DataFrame: its first rows, what they come to, and how many rows there are."""

    plan: WritePlan
    sample: Sample
    cut: Cut
    first: Cut
    total: int

    @property
    def expected(self) -> Expected:
        """What all rows would take."""
        return expect(self.plan, self.cut, len(self.sample), self.total)

    def more_requests(self, tasks: int) -> int:
        """How many requests more so many tasks may make, as each fills its own last one of each kind."""
        expected = self.expected
        return max(min(expected.rows - expected.requests, (tasks - 1) * routes(self.cut)), 0)


def look(df: DataFrame, plan: WritePlan, rows: int, total: int | None = None) -> Part:
    """Collect the first rows of a DataFrame, and count it unless `total` says how many there are."""
    sample = dry_run.take(df, plan, max(rows, dry_run.ROWS))
    known = len(sample) if sample.whole else total
    every = df.count() if known is None else known
    cut = dry_run.cut(plan, iter(sample.encoded))
    return Part(plan, sample, cut, dry_run.cut(plan, sample.first(rows)), every)


def made(
    parts: list[Part], options: Options, warnings: list[str], rows: int | None = None, mirror: MirrorSets | None = None
) -> Preview:
    """The preview of all parts together, which a write sends one after the other; the columns are those of the first.

    `rows`: more than those of the parts.
    """
    plan, tasks = parts[0].plan, 1 if options.send_from is SendFrom.DRIVER else options.tasks
    expected = [part.expected for part in parts]
    rejected = [rejection for part in parts for rejection in part.cut.rejections]
    return Preview(
        template=plan.template.name,
        requests=tuple(shown(part.plan, batch) for part in parts for batch in part.first.batches),
        mapping=mapping(plan),
        rejected=tuple(map(_rejection, rejected[:MOST_REJECTIONS])),
        warnings=tuple(dict.fromkeys(warnings)),
        rows=sum(part.total for part in parts) if rows is None else rows,
        requests_expected=sum(one.requests for one in expected),
        bytes_expected=sum(one.bytes for one in expected),
        minutes_expected=sum(one.seconds for one in expected) / 60,
        more_requests=sum(part.more_requests(tasks) for part in parts),
        mirror=mirror,
    )


def _rejection(rejection: Rejection) -> PreviewRejection:
    return PreviewRejection(rejection.row, rejection.code, rejection.detail)


def _warnings(options: Options, part: Part) -> Iterator[str]:
    yield from part.plan.warnings
    yield from part.cut.warnings
    found, looked = len(part.cut.rejections), len(part.sample)
    if found > MOST_REJECTIONS:
        yield f"{found:,} of the first {looked:,} rows would be rejected; {MOST_REJECTIONS} are shown"
    if part.cut.skipped:
        yield f"{part.cut.skipped:,} of the first {looked:,} rows mean the same as a later row, which replaces them"
    if not part.sample.whole:
        yield f"sizes and rejections are those of the first {looked:,} rows"
    if part.plan.template.sends_profile_ids:
        yield "people are shown by their identifiers; the write asks Klaviyo for their ids first"
    if options.state_path is not None:
        yield "state_path: what was delivered before is not left out here; the write sends less"


def _unconfirmed(options: Options, deletes: int) -> list[str]:
    """What the write would refuse: a number of rows to be deleted that is not the one given."""
    given = options.confirm_deletion
    if not deletes or given == deletes:
        return []
    told = "nothing confirms that" if given is None else f"confirm_deletion={given}"
    return [f"confirm_deletion: {deletes:,} rows would be deleted for good, and {told}: the write would refuse it"]
