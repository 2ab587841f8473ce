"""`preview_klaviyo`: the exact requests of the first rows, where each column goes, and what the whole write would take.

Nothing is sent, and Klaviyo is read only where there is a key: for the names of account and list, the id behind a
`name:TEXT`, and the members of a mirror's list. The first rows are computed and all rows counted (`count()`, which
reads no column where the source knows its own counts); sizes and rejections are those of the first 200 rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import uuid4

from spark_klaviyo.account.names import named_settings
from spark_klaviyo.account.target import opt_in_warnings, read_target, resolve
from spark_klaviyo.batching.screening import plan_warnings
from spark_klaviyo.core.secrets import Credentials
from spark_klaviyo.deliver.reads import ReadFailed
from spark_klaviyo.errors import OptionError
from spark_klaviyo.modes.change_data.change_feed import tag_changes
from spark_klaviyo.modes.change_data.kinds import DELETES, ChangeKind
from spark_klaviyo.modes.mirror.rows import comparable
from spark_klaviyo.options.choices import ListMode, SendFrom
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.consent_columns import has_consent_columns
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.model import WritePlan
from spark_klaviyo.plan.types import columns_of
from spark_klaviyo.preview.dry_run import SAMPLE_ROWS, DryRun, Estimate, collect_sample, dry_run, estimate, looked_up
from spark_klaviyo.preview.mirror_preview import preview_mirror
from spark_klaviyo.preview.render import mapped_columns, render_request
from spark_klaviyo.report.pages.preview import MirrorSets, Preview, PreviewRejection
from spark_klaviyo.report.report import WriteStopped
from spark_klaviyo.runs.session import naming_worker_faults

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MOST_REJECTIONS = 20  # that are shown
MOST_ROWS = 1_000


@naming_worker_faults()
def preview(df: DataFrame, options: Options, rows: int = 5) -> Preview:
    """What `preview_klaviyo` shows, with options already read."""
    if not 0 <= rows <= MOST_ROWS:
        raise OptionError(f"rows: must be a whole number from 0 to {MOST_ROWS:,}, not {rows}")
    options, warnings = _resolved(options)
    if options.change_column is not None:
        return _preview_changes(df, options, rows, warnings)
    is_mirror = options.list_mode is ListMode.MIRROR
    can_read_list = is_mirror and not warnings
    plan = make_plan(options, columns_of(df), uuid4().hex)
    part = preview_part(df, comparable(plan) if is_mirror else plan, rows)
    warnings += part.warnings(options)
    warnings += _unconfirmed(options, part.total if plan.template.deletes else 0)
    mirror = None
    try:
        mirror = preview_mirror(df, plan, options) if can_read_list else None
    except ReadFailed as failed:
        warnings.append(f"the list cannot be read, so it is unknown who would be added and removed: {failed}")
    return _build([part], options, warnings, part.total, mirror)


def _resolved(options: Options) -> tuple[Options, list[str]]:
    """The options with ids in place of names, the account checked, and a warning where these could not be read."""
    named = ", ".join(setting.name for setting in named_settings(options))
    if options.credentials == Credentials():
        waiting = [f"{named}: a name is looked up when the write begins; without a key it cannot be looked up"]
        unchecked = ["account_id: the account is compared when the write begins; without a key it cannot be read"]
        return options, (waiting if named else []) + (unchecked if options.account_id else [])
    try:
        return resolve(options), []
    except WriteStopped as stopped:
        reason = stopped.report.stopped[1] if stopped.report and stopped.report.stopped else stopped.message
        return options, [f"{reason}; the write would stop"]


def _preview_changes(df: DataFrame, options: Options, rows: int, warnings: list[str]) -> Preview:
    """Change data: one pass counts the changes by kind; then the first rows of each way are previewed."""
    changes = tag_changes(df, options, uuid4().hex)
    counts = changes.counts()
    parts = [preview_part(changes.upserts(), changes.plan, rows, counts.get(ChangeKind.UPSERT, 0))]
    deletes = sum(counts.get(kind, 0) for kind in DELETES)
    if changes.deletion is not None and deletes:
        parts.append(preview_part(changes.deletes(), changes.deletion, rows, deletes))
    warnings += [warning for part in parts for warning in part.warnings(options)]
    warnings += _unconfirmed(options, counts.get(ChangeKind.DELETE, 0) if changes.guarded else 0)
    for kind, count in sorted(counts.items()):
        meaning = f", which mean {options.on_delete}" if kind in DELETES else ""
        warnings += [f"{kind.text}{meaning}: {count:,}"] if kind is not ChangeKind.UPSERT else []
    return _build(parts, options, warnings, sum(counts.values()))


@dataclass(frozen=True)
class PreviewPart:
    """What one plan would send of a DataFrame of `total` rows: a dry run of the first `sampled`, and of those shown."""

    plan: WritePlan
    sampled: int
    dry_run: DryRun
    shown: DryRun
    total: int

    @cached_property
    def estimate(self) -> Estimate:
        """What all rows would take."""
        return estimate(self.plan, self.dry_run, self.sampled, self.total)

    def more_requests(self, tasks: int) -> int:
        """How many more requests so many tasks may make, as each fills its own last one for each destination."""
        most = self.estimate.rows - self.estimate.requests
        return max(min(most, (tasks - 1) * self.dry_run.destinations), 0)

    @property
    def requests_per_bad_row(self) -> int:
        """How many more requests a row costs at most that Klaviyo refuses without naming it: two for each halving."""
        return 2 * (max((batch.rows for batch in self.dry_run.batches), default=1) - 1).bit_length()

    def warnings(self, options: Options) -> Iterator[str]:
        """What the plan and the sample have to be said about them."""
        yield from plan_warnings(self.plan, self.dry_run.warnings)
        yield from self.dry_run.warnings
        found, first = len(self.dry_run.rejections), f"the first {self.sampled:,} rows"
        if found > MOST_REJECTIONS:
            yield f"{found:,} of {first} would be rejected; {MOST_REJECTIONS} are shown"
        if self.dry_run.skipped:
            yield f"{self.dry_run.skipped:,} of {first} mean the same as a later row, which replaces them"
        if self.sampled < self.total:
            yield f"sizes and rejections are those of {first}"
        if self.plan.template.looked_up_as and looked_up(self.plan, self.dry_run):
            wanted = f"{self.plan.template.looked_up_as}s"
            yield f"people are shown by their identifiers; the write asks Klaviyo for their {wanted} first"
        if self.plan.template.subscribes:
            yield "who has opted out is not known here; the write reads it, and rejects such rows as opted_out"
        if options.state_path is not None:
            yield "state_path: what was delivered before is not left out here; the write sends less"


def preview_part(df: DataFrame, plan: WritePlan, rows: int, total: int | None = None) -> PreviewPart:
    """Collect the first rows of a DataFrame, and count it unless `total` says how many there are."""
    most = max(rows, SAMPLE_ROWS)
    sample, sent = collect_sample(df, plan, most)
    if sample.num_rows < most:
        total = sample.num_rows
    sampled, shown = dry_run(sent, sample), dry_run(sent, sample.slice(0, rows), sample)
    return PreviewPart(plan, sample.num_rows, sampled, shown, df.count() if total is None else total)


def _build(
    parts: list[PreviewPart], options: Options, warnings: list[str], rows: int, mirror: MirrorSets | None = None
) -> Preview:
    """The preview of all parts together, which a write sends one after the other; the columns are those of the first.

    `rows`: those of the parts, and those that are not sent.
    """
    target = read_target(options)
    warnings = [*warnings, *opt_in_warnings(options, target)]
    plan = parts[0].plan
    tasks = 1 if options.send_from is SendFrom.DRIVER or has_consent_columns(plan.params) else options.tasks
    estimates = [part.estimate for part in parts]
    rejections = [rejection for part in parts for rejection in part.dry_run.rejections]
    return Preview(
        template=plan.template.name,
        requests=tuple(render_request(part.plan, batch) for part in parts for batch in part.shown.batches),
        mapping=mapped_columns(plan, parts[0].dry_run.cards),
        rejected=tuple(PreviewRejection(one.row, one.code, one.detail) for one in rejections[:MOST_REJECTIONS]),
        warnings=tuple(dict.fromkeys(warnings)),
        rows=rows,
        requests_expected=sum(one.requests for one in estimates),
        bytes_expected=sum(one.bytes for one in estimates),
        minutes_expected=sum(one.seconds for one in estimates) / 60,
        more_requests=sum(part.more_requests(tasks) for part in parts),
        requests_per_bad_row=max(part.requests_per_bad_row for part in parts),
        mirror=mirror,
        target=target,
    )


def _unconfirmed(options: Options, deletes: int) -> list[str]:
    """What the write would refuse: a number of rows to be deleted that is not the one given."""
    given = options.confirm_deletion
    if not deletes or given == deletes:
        return []
    confirmed = "no number was confirmed" if given is None else f"confirm_deletion={given}"
    return [f"confirm_deletion: {deletes:,} rows would be deleted for good, and {confirmed}: the write would refuse it"]
