"""Options and a DataFrame's columns in, one frozen `WritePlan` out, or one error with every complaint.

Nothing is sent here and nothing of Spark is touched: the columns come as Spark's own JSON form of a schema.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from spark_klaviyo.core.choices import ContentFormat, KeyIn
from spark_klaviyo.core.models import Limits, Quota
from spark_klaviyo.core.policy import Policy, ResendRule
from spark_klaviyo.errors import SchemaError, complain
from spark_klaviyo.options.choices import Nulls, Resend, Validate
from spark_klaviyo.plan.channels import place_channels
from spark_klaviyo.plan.checks import make_checks
from spark_klaviyo.plan.manual import formats, manual_mode
from spark_klaviyo.plan.mapping import ColumnMap, MappingOptions, map_columns, near_misses
from spark_klaviyo.plan.model import RequestParam, WritePlan
from spark_klaviyo.plan.settings import (
    appends,
    cautions,
    constant,
    fields_of_settings,
    fields_with_settings,
    fixed_settings,
    may_append,
    path_params,
    request_params,
    settled_fields,
)
from spark_klaviyo.plan.tree import build_record
from spark_klaviyo.plan.types import Field
from spark_klaviyo.templates import at_revision, find_template, warn_of
from spark_klaviyo.templates.model import BodyLayout, Template

if TYPE_CHECKING:
    from spark_klaviyo.options.parse import Options

JSON_API = "application/vnd.api+json"
READY_MADE = frozenset({"string", "char", "varchar", "void"})  # types that can hold a record as JSON
IDEMPOTENT_METHODS = frozenset({"PUT", "DELETE", "GET"})


def template_of(options: Options) -> Template:
    """The template the options name, or the one made of the manual mode's options."""
    if not options.template:
        complain(list(manual_mode.complaints(options)))
        return manual_mode.template(options)
    found = find_template(options.template, options.api)
    return found if found.is_retired else at_revision(found, options.revision)


def make_plan(options: Options, columns: Sequence[Field], run_id: str, *, schema_known: bool = True) -> WritePlan:
    """Decide everything a task needs.

    `columns` are empty with `schema_known=False` at the door that has no schema; `with_columns` completes that plan
    when the first row tells the names. Raises `OptionError` or `SchemaError`, each with all complaints.
    """
    template = template_of(options)
    base = _options_part(options, template, run_id)
    return _columns_part(base, options, columns) if schema_known else base


def with_columns(plan: WritePlan, options: Options, columns: Sequence[Field]) -> WritePlan:
    """The plan completed with columns that the first rows told; their types are `unknown` where values decide."""
    return _columns_part(plan, options, columns)


# --- what the options alone decide ----------------------------------------------------------------


def _options_part(options: Options, template: Template, run_id: str) -> WritePlan:
    by_hand = template.is_manual
    headers = _headers(options, template)
    return WritePlan(
        run_id=run_id,
        template=template,
        settings=fixed_settings(options, template),
        columns=(),
        record=None,
        record_column=options.record_column,
        checks=make_checks(options, template, None),
        params=(),
        limits=_limits(options, template),
        quota=_quota(options, template),
        policy=_policy(options),
        resend=resend_rule(options, template, None),
        base_url=options.base_url if options.template else manual_mode.origin(options.url),
        headers=headers,
        credentials=options.credentials,
        content_format=manual_mode.content_format(options) if by_hand else ContentFormat.JSON,
        workers=options.workers,
        max_rejects=options.max_rejects or "",
        wait_for_jobs=options.wait_for_jobs,
        job_timeout_seconds=options.job_timeout_seconds,
        body_text=manual_mode.body_text(options) if by_hand else "",
        key_in=_key_in(options, template),
        proxy=options.proxy,
        learns_quota=options.rate_limit is None,
        warnings=options.warnings + _about_revision(headers.get("revision")),
        query=() if options.template else manual_mode.query(options.url),
    )


def _headers(options: Options, template: Template) -> dict[str, str]:
    """All headers but credentials; one that is given takes the place of ours, in any case of letters."""
    by_hand, legacy = template.is_manual, template.is_retired
    written = options.content_format if by_hand else _written_as(template)
    media = formats.media_type(written) if by_hand or legacy else JSON_API
    if by_hand and written is ContentFormat.JSON and manual_mode.known_endpoint(options) is not None:
        media = JSON_API
    ours = {"Content-Type": media, "Accept": "application/json" if legacy else JSON_API}
    if not legacy:
        ours["revision"] = options.revision
    given = {name.lower() for name in options.headers}
    return {name: text for name, text in ours.items() if name.lower() not in given} | dict(options.headers)


def _written_as(template: Template) -> ContentFormat:
    return ContentFormat.FORM_DATA_PARAM if template.layout is BodyLayout.FORM else ContentFormat.JSON


def _about_revision(revision: str | None) -> tuple[str, ...]:
    said = warn_of(revision, datetime.now(timezone.utc).date()) if revision is not None else None
    return () if said is None else (said,)


def _key_in(options: Options, template: Template) -> KeyIn:
    if template.is_manual:
        return manual_mode.key_in(options)
    return KeyIn.BODY if template.is_retired else KeyIn.HEADER


def _limits(options: Options, template: Template) -> Limits:
    published = not template.is_manual and not template.is_retired  # of the others, limits are but defaults
    rows = options.max_rows or template.limits.max_rows
    if published or template.limits.max_rows == 1:
        rows = min(rows, template.limits.max_rows)
    if not options.batch_mode or manual_mode.one_row_a_request(template, options):
        rows = 1
    size = options.max_bytes or template.limits.max_bytes
    of_a_row = template.limits.max_row_bytes if options.validate is Validate.STRICT else None
    return replace(template.limits, max_rows=rows, max_bytes=size, max_row_bytes=of_a_row)


def _quota(options: Options, template: Template) -> Quota:
    return template.quota if options.rate_limit is None else options.rate_limit


def _policy(options: Options) -> Policy:
    return Policy(
        timeout_seconds=options.timeout_seconds,
        attempts=options.attempts,
        longest_wait_seconds=options.longest_wait_seconds,
    )


def resend_rule(options: Options, template: Template, found: ColumnMap | None) -> ResendRule:
    """Which requests may be sent twice. `found`: where columns go; None for ready-made records, or no columns yet."""
    if options.resend is not Resend.AUTO:
        return ResendRule(allowed=options.resend is Resend.ALWAYS)
    idempotent = template.method in IDEMPOTENT_METHODS if template.is_manual else template.idempotent
    if found is not None:
        return ResendRule(idempotent and not appends(found))
    unless_contains = b'"append"' if options.record_column is not None and may_append(template) else b""
    return ResendRule(idempotent, unless_contains)


# --- what the columns add -------------------------------------------------------------------------


def _columns_part(plan: WritePlan, options: Options, columns: Sequence[Field]) -> WritePlan:
    template = plan.template
    params, complaints = request_params(options, template, columns)
    complaints[:0] = _twins(columns)
    if template.layout is BodyLayout.FORM and any(column.name == "token" for column in columns):
        complaints.append("column 'token': the key stands there (form-data-param); rename or drop it, or give body")
    if plan.record_column is not None:
        complaints += _about_ready_made(plan.record_column, columns)
        complain(complaints, SchemaError)
        return replace(
            plan,
            columns=tuple(columns),
            params=tuple(params),
            checks=make_checks(options, template, None),
            warnings=plan.warnings + cautions(options, template, {}),
        )
    found = map_columns(columns, template, _wishes(options, template, params))
    found.complaints[:0] = complaints
    found.complaints += _missing_fields(options, template, found)
    checks = make_checks(options, template, found)
    if template.consent:
        place_channels(template, template.consent, fixed_settings(options, template), found)
    complain(list(dict.fromkeys(found.complaints)), SchemaError)
    record = build_record(template, found.places, tuple(found.spread), lambda name: constant(name, options, template))
    settled = settled_fields(options, template)
    near = near_misses(found.unmapped, template, settled) if template.properties_path else {}
    likely = tuple(f"column {name!r} became a custom property; did you mean {path}?" for name, path in near.items())
    return replace(
        plan,
        columns=tuple(columns),
        record=record,
        params=(*params, *path_params(template, found)),
        checks=checks,
        mapped=tuple(found.mapped),
        unmapped=tuple(found.unmapped),
        warnings=plan.warnings + cautions(options, template, found.leaves) + likely,
        resend=resend_rule(options, template, found),
    )


def _twins(columns: Sequence[Field]) -> list[str]:
    """Columns of exactly the same name, of which only one could be meant."""
    counts = Counter(column.name for column in columns)
    return [
        f"{count} columns are called {name!r}: nobody could tell which is meant; rename or drop all but one"
        for name, count in counts.items()
        if count > 1
    ]


def _about_ready_made(name: str, columns: Sequence[Field]) -> list[str]:
    found = next((column.type.name for column in columns if column.name == name), None)
    if found is None:
        return [f"record_column: the DataFrame has no column {name!r}"]
    if found not in READY_MADE:
        return [f"record_column: column {name!r} is a {found}; it must hold the records as JSON text"]
    return []


def _wishes(options: Options, template: Template, params: Sequence[RequestParam]) -> MappingOptions:
    # a template's settings are no part of the record; in manual mode rows are sent as they are
    steering = set() if template.is_manual else {aside.leaf.source[0] for aside in params}
    return MappingOptions(
        fields=fields_with_settings(options, template),
        other_columns=options.other_columns,
        keep_null=_keep_null(options, template),
        taken=frozenset(steering | set(options.taken_columns)),
        settled=settled_fields(options, template),
    )


def _keep_null(options: Options, template: Template) -> bool:
    return options.nulls is Nulls.SEND and (template.null_clears_field or template.raw_rows)


def _missing_fields(options: Options, template: Template, found: ColumnMap) -> list[str]:
    complaints = []
    settled = settled_fields(options, template)
    if template.identifiers and not any(path in found.leaves for path in template.identifiers):
        takes = ", ".join(template.identifiers)
        columns = ", ".join(column for column, _ in found.mapped) or "none"
        complaints.append(
            f"no column is an identifier: {template.name} needs at least one of {takes}; found columns {columns}; "
            'rename one, or say which in fields, e.g. fields={"email":"mail"}'
        )
    for known in template.fields:
        if known.required and known.json_path not in found.places and known.name not in settled:
            setting = next((name for name, path in fields_of_settings(template).items() if path == known.name), "")
            complaints.append(
                f"no column for {known.name}, which {template.name} requires; "
                + (f"give {setting} for all rows, " if setting else "")
                + "rename one, or say which in fields"
            )
        lacking = [path for path in known.requires if known.name in found.leaves and path not in found.leaves]
        complaints += [f"no column for {path}, which {known.name} needs; add one, or drop it" for path in lacking]
    return complaints
