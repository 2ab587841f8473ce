"""Options and a DataFrame's columns in, one frozen `WritePlan` out, or one error with every complaint.

Nothing is sent here and nothing of Spark is touched: the columns come as Spark's own JSON form of a schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from spark_klaviyo.errors import SchemaError, complain
from spark_klaviyo.plan import formats, manual
from spark_klaviyo.plan.checking import make_checks
from spark_klaviyo.plan.mapping import ColumnMap, Wishes, map_columns, near_misses
from spark_klaviyo.plan.model import Aside, Policy, WritePlan
from spark_klaviyo.plan.shape import Fixed, Leaf, Node
from spark_klaviyo.plan.tree import build_record
from spark_klaviyo.plan.types import Field, Type
from spark_klaviyo.records import Limits, Quota
from spark_klaviyo.templates import find_template
from spark_klaviyo.templates.model import Template

if TYPE_CHECKING:
    from spark_klaviyo.options.read import Options

COLUMN = "column:"
JSON_API = "application/vnd.api+json"
HARMLESS_METHODS = frozenset({"PUT", "DELETE", "GET"})


def template_of(options: Options) -> Template:
    """The template the options name, or the one made of the manual mode's options."""
    if options.template:
        return find_template(options.template, options.api)
    return manual.template(options)


def make_plan(options: Options, columns: Sequence[Field], run_id: str, *, schema_known: bool = True) -> WritePlan:
    """Decide everything a task needs.

    `columns` are empty with `schema_known=False` at the door that has no schema; `with_columns` completes that plan when
    the first row tells the names. Raises `OptionError` or `SchemaError`, each with all complaints.
    """
    template = template_of(options)
    base = _options_part(options, template, run_id)
    return _columns_part(base, options, columns) if schema_known else base


def with_columns(plan: WritePlan, options: Options, names: Sequence[str]) -> WritePlan:
    """The plan completed with column names whose types nobody knows."""
    return _columns_part(plan, options, [Field(name, Type("unknown")) for name in names])


# --- what the options alone decide ----------------------------------------------------------------


def _options_part(options: Options, template: Template, run_id: str) -> WritePlan:
    fixed = {k: v for k, v in _settings(options, template).items() if not v.startswith(COLUMN)}
    legacy = bool(template.legacy)
    media = formats.media_type(options.content_format) if template.family == "manual" or legacy else JSON_API
    headers = {"Content-Type": media, "Accept": "application/json" if legacy else JSON_API}
    if not legacy and not manual.is_old(template.path):
        headers["revision"] = options.revision
    return WritePlan(
        run_id=run_id,
        template=template,
        settings=fixed,
        columns=(),
        record=None,
        record_column=options.record_column,
        checks=make_checks(options, template, None, ()),
        asides=(),
        limits=_limits(options, template),
        quota=_quota(options, template),
        policy=_policy(options, template),
        base_url=options.base_url if options.template else manual.origin(options.url),
        headers={**headers, **options.headers},
        credentials=options.credentials,
        content_format=options.content_format if template.family == "manual" else "json",
        batched=options.batch_mode,
        workers=options.workers,
        max_rejects=options.max_rejects or "",
        wait_for_jobs=options.wait_for_jobs,
        job_timeout_seconds=options.job_timeout_seconds,
        body_text=manual.body_text(options) if template.family == "manual" else "",
        nulls=options.nulls,
        key_in=_key_in(options, template),
        proxy=options.proxy,
        learns_quota=options.rate_limit is None,
        warnings=options.warnings,
        query=() if options.template else manual.query(options.url),
    )


def _settings(options: Options, template: Template) -> dict[str, str]:
    given = {setting.name: options.settings.get(setting.name, setting.default) for setting in template.settings}
    return {name: str(value) for name, value in given.items() if value is not None}


def _key_in(options: Options, template: Template) -> str:
    if template.legacy:
        return "body"
    if template.family == "manual":
        return options.key_in
    return "header"


def _limits(options: Options, template: Template) -> Limits:
    rows = min(options.max_rows or template.limits.max_rows, template.limits.max_rows) if options.batch_mode else 1
    if template.family == "manual" and options.max_rows and options.batch_mode:
        rows = options.max_rows
    if manual.one_row_a_request(template, options):
        rows = 1
    size = options.max_bytes or template.limits.max_bytes
    return replace(template.limits, max_rows=rows, max_bytes=size)


def _quota(options: Options, template: Template) -> Quota:
    return template.quota if options.rate_limit is None else options.rate_limit


def _policy(options: Options, template: Template) -> Policy:
    by_nature = template.harmless if template.family != "manual" else template.method in HARMLESS_METHODS
    harmless = {"always": True, "never": False}.get(options.resend, by_nature)
    return Policy(
        timeout_seconds=options.timeout_seconds,
        attempts=options.attempts,
        longest_wait_seconds=options.longest_wait_seconds,
        harmless=harmless,
        success=template.success,
    )


# --- what the columns add -------------------------------------------------------------------------


def _columns_part(plan: WritePlan, options: Options, columns: Sequence[Field]) -> WritePlan:
    template = plan.template
    asides, complaints = _asides(options, template, columns)
    if plan.record_column is not None:
        if all(column.name != plan.record_column for column in columns):
            complaints.append(f"record_column: the DataFrame has no column {plan.record_column!r}")
        complain(complaints, SchemaError)
        return replace(
            plan,
            columns=tuple(columns),
            asides=tuple(asides),
            checks=make_checks(options, template, None, columns),
        )
    taken = frozenset({aside.leaf.source[0] for aside in asides} | set(options.taken_columns))
    found = map_columns(
        columns, template, Wishes(options.fields, options.other_columns, _keep_null(options, template), taken)
    )
    found.given |= set(_settings(options, template))
    found.complaints[:0] = complaints
    missing: list[str] = []
    record = build_record(
        template,
        found.places,
        tuple(found.spread),
        lambda name: _constant(name, options, template, columns, missing),
    )
    found.complaints += _missing_fields(template, found, missing)
    checks = make_checks(options, template, found, columns)
    complain(list(dict.fromkeys(found.complaints)), SchemaError)
    near = near_misses(found.unmapped, template) if template.properties_at else {}
    return replace(
        plan,
        columns=tuple(columns),
        record=record,
        asides=(*asides, *_path_asides(template, found)),
        checks=checks,
        mapped=tuple(found.mapped),
        unmapped=tuple(found.unmapped),
        warnings=plan.warnings
        + tuple(
            f"column {name!r} became a custom property; did you mean {path}?" for name, path in near.items()
        ),
    )


def _keep_null(options: Options, template: Template) -> bool:
    return options.nulls == "send" and (template.clears_nulls or template.as_rows)


def _constant(
    name: str, options: Options, template: Template, columns: Sequence[Field], missing: list[str]
) -> Node | None:
    """What "{setting}" in a template's constants stands for: a fixed value, or the column the setting names."""
    value = _settings(options, template).get(name)
    if value is None:
        return None
    if value.startswith(COLUMN):
        column = next((c for c in columns if c.name == value.removeprefix(COLUMN)), None)
        if column is None:
            missing.append(f"{name}: the DataFrame has no column {value.removeprefix(COLUMN)!r}")
            return None
        setting = next(s for s in template.settings if s.name == name)
        return Leaf((column.name,), column.type, "text" if not setting.choices else "json")
    setting = next(s for s in template.settings if s.name == name)
    return Fixed(value == "true") if setting.choices == ("true", "false") else Fixed(value)


def _asides(options: Options, template: Template, columns: Sequence[Field]) -> tuple[list[Aside], list[str]]:
    """Per-row settings that the path or the body needs, and the columns of manual placeholders."""
    wanted = {
        name: value.removeprefix(COLUMN)
        for name, value in _settings(options, template).items()
        if value.startswith(COLUMN)
    }
    if template.family == "manual":
        wanted |= {name: name for name in manual.placeholders(options)}
    if (options.default_country or "").startswith(COLUMN):
        wanted["default_country"] = str(options.default_country).removeprefix(COLUMN)
    by_name = {column.name: column for column in columns}
    complaints = [
        f"{name}: the DataFrame has no column {column!r}; it has {', '.join(list(by_name)[:20])}"
        for name, column in wanted.items()
        if column not in by_name
    ]
    asides = [
        Aside(name, Leaf((column,), by_name[column].type, "text"))
        for name, column in wanted.items()
        if column in by_name
    ]
    return asides, complaints


def _path_asides(template: Template, found: ColumnMap) -> tuple[Aside, ...]:
    """The `{id}` of a single-record path, from the field that holds it."""
    return tuple(
        Aside(path, Leaf(leaf.source, leaf.type, "text", found.known[path].prefix))
        for path in template.item_paths
        if (leaf := found.leaves.get(path)) is not None
    )


def _missing_fields(template: Template, found: ColumnMap, missing: Sequence[str]) -> list[str]:
    complaints = list(missing)
    if template.identifiers and not any(path in found.leaves for path in template.identifiers):
        takes = ", ".join(template.identifiers)
        columns = ", ".join(column for column, _ in found.mapped) or "none"
        complaints.append(
            f"no column is an identifier: {template.name} needs at least one of {takes}; found columns {columns}; "
            'rename one, or say which in fields, e.g. fields={"email":"mail"}'
        )
    for known in template.fields:
        if known.required and known.at not in found.places and not _constant_given(template, known.at, found):
            complaints.append(
                f"no column for {known.path}, which {template.name} requires; rename one, or say which in fields"
            )
    return complaints


def _constant_given(template: Template, at: tuple[str, ...], found: ColumnMap) -> bool:
    """Whether a setting fills this place."""
    branch: object = template.record
    for part in at:
        if not isinstance(branch, Mapping):
            return False
        branch = branch.get(part, branch.get(part + "?"))
    return isinstance(branch, str) and branch.strip("{}") in found.given
