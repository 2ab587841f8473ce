"""Options and a DataFrame's columns in, one frozen `WritePlan` out, or one error with every complaint.

Nothing is sent here and nothing of Spark is touched: columns are `plan.types.Field`s.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone

from spark_klaviyo.core.codes import ContentFormat, KeyIn
from spark_klaviyo.core.policy import Limits, Policy, ResendRule
from spark_klaviyo.errors import SchemaError, complain
from spark_klaviyo.options.choices import Resend, Validate
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.checks import make_checks, place_channels
from spark_klaviyo.plan.consent_columns import consent_params, drop_unneeded_identifiers
from spark_klaviyo.plan.manual.formats import FORMATS
from spark_klaviyo.plan.manual.manual_mode import ManualCall
from spark_klaviyo.plan.mapping import ColumnMap
from spark_klaviyo.plan.model import RequestParam, WritePlan
from spark_klaviyo.plan.names import entry_of, near_misses
from spark_klaviyo.plan.settings import SettingValues, request_params
from spark_klaviyo.plan.shape import build_record
from spark_klaviyo.plan.types import TEXT, VARIANT, Field, holds
from spark_klaviyo.templates import at_revision, find_template, warn_of
from spark_klaviyo.templates.model import BodyLayout, Template

JSON_API = "application/vnd.api+json"
READY_MADE = TEXT | {"void"}  # types that can hold a record as JSON
IDEMPOTENT_METHODS = frozenset({"PUT", "DELETE", "GET"})
STREAMS = (EntryPoint.BATCH, EntryPoint.STREAM)
APPEND = "patch_properties.append"  # adds to an array of a profile, twice where it is sent twice


def make_plan(options: Options, columns: Sequence[Field], run_id: str, *, schema_known: bool = True) -> WritePlan:
    """Decide everything that a task needs.

    Where no schema is known (foreachPartition), `columns` are empty and `schema_known` is False; `with_columns`
    completes that plan once the first row shows the columns.

    Raises:
        OptionError: With every complaint about the options.
        SchemaError: With every complaint about the columns.
    """
    complain(list(ManualCall(options).complaints()) if options.url else [])
    template = template_of(options)
    if not template.is_manual and not template.is_retired:
        template = at_revision(template, options.revision)
    plan = _plan_of_options(options, _with_required(template, options), run_id)
    return with_columns(plan, options, columns) if schema_known else plan


def template_of(options: Options) -> Template:
    """The template that these options name, or make in manual mode."""
    return find_template(options.template, options.api) if options.template else ManualCall(options).template()


def _with_required(template: Template, options: Options) -> Template:
    """The template whose fields are required that a setting does not make optional."""
    given = {"", *(f"{name}={value}" for name, value in options.settings.items())}
    fields = (replace(one, required=one.required or one.required_unless not in given) for one in template.fields)
    return replace(template, fields=tuple(fields))


# --- what the options alone decide ----------------------------------------------------------------


def _plan_of_options(options: Options, template: Template, run_id: str) -> WritePlan:
    call = ManualCall(options)
    headers = _headers(options, template)
    warnings = list(call.warnings()) if template.is_manual else []
    if "revision" in headers:
        warnings += filter(None, [warn_of(headers["revision"], datetime.now(timezone.utc).date())])
    return WritePlan(
        run_id=run_id,
        template=template,
        settings=SettingValues(template, options).fixed,
        columns=(),
        record=None,
        record_column=options.record_column,
        checks=make_checks(options, template, None),
        limits=_limits(options, template),
        quota=template.quota if options.rate_limit is None else options.rate_limit,
        policy=Policy(
            timeout_seconds=options.timeout_seconds,
            attempts=options.attempts,
            longest_wait_seconds=options.longest_wait_seconds,
            account_refused_after=0 if options.entry_point in STREAMS else Policy.account_refused_after,
        ),
        resend=resend_rule(options, template, None),
        base_url=call.origin if template.is_manual else options.base_url,
        headers=headers,
        credentials=options.credentials,
        content_format=call.content_format if template.is_manual else ContentFormat.JSON,
        workers=options.workers,
        max_rejects=options.max_rejects or "",
        wait_for_jobs=options.wait_for_jobs,
        job_timeout_seconds=options.job_timeout_seconds,
        body_text=call.body_text if template.is_manual else "",
        key_in=call.key_in if template.is_manual else KeyIn.BODY if template.is_retired else KeyIn.HEADER,
        proxy=options.proxy,
        learns_quota=options.rate_limit is None,
        warnings=tuple(warnings),
        query=call.query if template.is_manual else (),
    )


def _headers(options: Options, template: Template) -> dict[str, str]:
    """All headers but credentials; a given one takes the place of ours, in any case of letters."""
    accept = "application/json" if template.is_retired else JSON_API
    ours = {"Content-Type": _media_type(options, template), "Accept": accept}
    if not template.is_retired:
        ours["revision"] = options.revision
    given = {name.lower() for name in options.headers}
    return {name: text for name, text in ours.items() if name.lower() not in given} | dict(options.headers)


def _media_type(options: Options, template: Template) -> str:
    if template.is_manual:
        known = options.content_format is ContentFormat.JSON and ManualCall(options).endpoint is not None
        return JSON_API if known else FORMATS[options.content_format].media_type
    if not template.is_retired:
        return JSON_API
    is_form = template.layout is BodyLayout.FORM
    return FORMATS[ContentFormat.FORM_DATA_PARAM if is_form else ContentFormat.JSON].media_type


def _limits(options: Options, template: Template) -> Limits:
    published = not template.is_manual and not template.is_retired  # of the others, limits are but defaults
    rows = options.max_rows or template.limits.max_rows
    if published or template.limits.max_rows == 1:
        rows = min(rows, template.limits.max_rows)
    alone = ManualCall(options).one_row_per_request if template.is_manual else bool(template.path_fields)
    return Limits(
        max_rows=1 if alone or not options.batch_mode else rows,
        max_bytes=options.max_bytes or template.limits.max_bytes,
        max_row_bytes=template.limits.max_row_bytes if options.validate is Validate.STRICT else None,
    )


def resend_rule(options: Options, template: Template, found: ColumnMap | None) -> ResendRule:
    """Which requests may be sent twice. `found`: where columns go; None for ready-made records, or no columns yet."""
    if options.resend is not Resend.AUTO:
        return ResendRule(allowed=options.resend is Resend.ALWAYS)
    idempotent = template.method in IDEMPOTENT_METHODS if template.is_manual else template.idempotent
    if found is not None:
        return ResendRule(idempotent and not any(APPEND in name for _, name in found.mapped))
    may_append = options.record_column is not None and any(APPEND in known.name for known in template.fields)
    return ResendRule(idempotent, b'"append"' if may_append else b"")


# --- what the columns add -------------------------------------------------------------------------


def with_columns(plan: WritePlan, options: Options, columns: Sequence[Field]) -> WritePlan:
    """The plan completed with the columns. Raises `SchemaError` with every complaint about them."""
    template = plan.template
    settings = SettingValues(template, options)
    params, complaints = request_params(settings, columns)
    named = [*options.fields.values(), *settings.columns_of_fields.values(), *(one.leaf.source[0] for one in params)]
    of_consent, about_consent = consent_params(template, columns, [*named, plan.record_column or ""])
    params, complaints = params + of_consent, complaints + about_consent
    complaints[:0] = _complaints_about_names(template, columns)
    if plan.record_column is not None:
        complain(complaints + list(_complaints_about_records(plan.record_column, columns)), SchemaError)
        warnings = plan.warnings + settings.warnings(())
        return replace(plan, columns=tuple(columns), params=tuple(params), warnings=warnings)
    # parameters are not part of the record; in manual mode rows are sent as they are
    whole = [param.leaf.source[0] for param in params if len(param.leaf.source) == 1]
    found = ColumnMap(columns, settings, [] if template.is_manual else whole)
    found.complaints[:0] = complaints
    found.complaints += _missing_fields(settings, found)
    drop_unneeded_identifiers(template, settings.fixed, found)
    checks = make_checks(options, template, found)
    checks = replace(checks, every_row=checks.every_row or bool(of_consent))
    if template.consent:
        place_channels(template, template.consent, settings.fixed, found)
    complain(list(dict.fromkeys(found.complaints)), SchemaError)
    unknown = [name for name in found.unmapped if name not in found.known]
    near = near_misses(unknown, template, settings.fixed_fields) if template.properties_path else {}
    likely = tuple(f"column {name!r} became a custom property; did you mean {field}?" for name, field in near.items())
    return replace(
        plan,
        columns=tuple(columns),
        json_mark=f"json-{secrets.token_hex(16)}" if any(holds(one.type, VARIANT) for one in columns) else "",
        record=build_record(template, found.nodes, tuple(found.spread), settings.constants.get),
        params=(*params, *_path_params(template, found)),
        checks=checks,
        mapped=tuple(found.mapped),
        unmapped=tuple(found.unmapped),
        notes=found.notes,
        warnings=(
            *plan.warnings,
            *settings.warnings(found.leaves),
            *(note.warning for note in found.notes if note.warning),
            *likely,
        ),
        resend=resend_rule(options, template, found),
    )


def _complaints_about_names(template: Template, columns: Sequence[Field]) -> Iterator[str]:
    for name, count in Counter(column.name for column in columns).items():
        if count > 1:
            yield f"{count} columns are called {name!r}, and nothing says which is meant; rename or drop all but one"
    if template.layout is BodyLayout.FORM and any(column.name == "token" for column in columns):
        yield "column 'token': the key stands there (form-data-param); rename or drop it, or give body"


def _complaints_about_records(name: str, columns: Sequence[Field]) -> Iterator[str]:
    found = next((column.type.name for column in columns if column.name == name), None)
    if found is None:
        yield f"record_column: the DataFrame has no column {name!r}"
    elif found not in READY_MADE:
        yield f"record_column: column {name!r} is a {found}; it must hold the records as JSON text"


def _path_params(template: Template, found: ColumnMap) -> list[RequestParam]:
    """The `{id}` of a single-record path, from the field that stands at this path of the record."""
    by_path = {known.json_path: known for known in template.fields if known.name in found.leaves}
    fields = ((name, by_path[name,]) for name in template.path_fields if (name,) in by_path)
    return [RequestParam(name, replace(found.leaves[field.name], prefix=field.prefix)) for name, field in fields]


def _candidates(field: str, found: ColumnMap) -> str:
    """The entries of `fields` that would give a field a column which may mean it."""
    entries = [entry_of(field, column) for column, known in sorted(found.known.items()) if field in known.fields]
    return f", e.g. {' or '.join(entries)}" if entries and not found.template.needs_care else ""


def _missing_fields(settings: SettingValues, found: ColumnMap) -> Iterator[str]:
    """Complaints about fields that the template requires and nothing gives."""
    template = settings.template
    if template.identifiers and not any(name in found.leaves for name in template.identifiers):
        columns = ", ".join(column for column, _ in found.mapped) or "none"
        yield (
            f"no column is an identifier: {template.name} needs at least one of {', '.join(template.identifiers)}; "
            f'found columns {columns}; rename one, or say which in fields, e.g. fields={{"email":"mail"}}'
        )
    if template.merges and not all(known.name in found.leaves for known in template.fields):
        yield (
            f"fields: {template.name} takes its two columns from this option alone, so that nobody is merged the wrong "
            'way round: fields={"id":"COLUMN_THAT_STAYS","profiles":"COLUMN_THAT_GOES"}'
        )
        return
    for known in template.fields:
        if known.required and known.json_path not in found.nodes and known.name not in settings.fixed_fields:
            setting = next((name for name, field in settings.fields.items() if field == known.name), "")
            yield (
                f"no column for {known.name}, which {template.name} requires; "
                + (f"give {setting} for all rows, " if setting else "")
                + "rename one, or say which in fields"
                + _candidates(known.name, found)
                + (f"; {known.required_unless} records the moment of arrival" if known.required_unless else "")
            )
        others = known.requires if known.name in found.leaves else ()
        for other in (one for one in others if one not in found.leaves):
            yield f"no column for {other}, which {known.name} needs; add one, or drop it"
