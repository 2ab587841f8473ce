"""Plans made by hand, for encoders: the parts an encoder reads, and the least of everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from spark_klaviyo.core.codes import ContentFormat
from spark_klaviyo.core.policy import Limits, Policy, Quota, ResendRule
from spark_klaviyo.core.secrets import Credentials
from spark_klaviyo.options.choices import Validate
from spark_klaviyo.plan.model import Checks, FieldCheck, RequestParam, WritePlan
from spark_klaviyo.plan.shape import Fixed, Leaf, Node, Record
from spark_klaviyo.plan.types import Field, Type, read_type
from spark_klaviyo.templates.model import FieldForm, RecordLimits, Template

OFF = Checks(Validate.OFF)
LIMITS = Limits(10_000, 5_000_000)
TEMPLATE = Template("t", "", "/", (), Quota(()), limits=LIMITS)
PROFILES = replace(
    TEMPLATE,
    limits=replace(LIMITS, max_row_bytes=100_000),
    properties_path=("attributes", "properties"),
    record_limits=RecordLimits(max_properties=400),
)


def columns(**types: object) -> tuple[Field, ...]:
    """Columns from names and Spark's JSON form of their types."""
    return tuple(Field(name, read_type(form)) for name, form in types.items())  # type: ignore[arg-type]


def plan_of(
    fields: Sequence[Field],
    record: Record | None,
    checks: Checks = OFF,
    params: Sequence[RequestParam] = (),
    content_format: ContentFormat = ContentFormat.JSON,
    record_column: str | None = None,
    template: Template = TEMPLATE,
) -> WritePlan:
    """A plan with this record and these checks."""
    return WritePlan(
        run_id="run",
        template=template,
        settings={},
        columns=tuple(fields),
        record=record,
        record_column=record_column,
        checks=checks,
        params=tuple(params),
        limits=LIMITS,
        quota=Quota(()),
        policy=Policy(),
        resend=ResendRule(),
        base_url="http://127.0.0.1",
        headers={},
        credentials=Credentials(),
        content_format=content_format,
    )


def flat(fields: Sequence[Field], **kwargs: object) -> WritePlan:
    """Each column under its own name."""
    leaves = tuple((field.name, Leaf((field.name,), field.type)) for field in fields)
    return plan_of(fields, Record(leaves), **kwargs)  # type: ignore[arg-type]


PROFILE_TEXTS = ("email", "phone_number", "external_id", "first_name", "last_name", "organization", "title")


def profile_plan(fields: Sequence[Field], validate: Validate = Validate.STRICT) -> WritePlan:
    """Profiles as the bulk import takes them: known columns are attributes, the rest custom properties."""
    by_name: Mapping[str, Type] = {field.name: field.type for field in fields}
    attributes: list[tuple[str, Node]] = [
        (name, Leaf((name,), by_name[name], as_text=True)) for name in PROFILE_TEXTS if name in by_name
    ]
    if "location" in by_name:
        inside = tuple((part.name, Leaf(("location", part.name), part.type)) for part in by_name["location"].fields)
        attributes.append(("location", Record(inside, omit_empty=True)))
    loose = sorted(set(by_name) - {*PROFILE_TEXTS, "location"})
    properties = tuple((name, Leaf((name,), by_name[name])) for name in loose)
    attributes.append(("properties", Record(properties, omit_empty=True)))
    record = Record((("type", Fixed("profile")), ("attributes", Record(tuple(attributes)))))
    return plan_of(fields, record, profile_checks(by_name, validate), template=PROFILES)


def profile_checks(by_name: Mapping[str, Type], validate: Validate) -> Checks:
    """What the bulk import of profiles looks at."""
    forms = {"email": FieldForm.EMAIL, "phone_number": FieldForm.PHONE, "external_id": FieldForm.TEXT}
    here = [name for name in forms if name in by_name]
    wanted = [
        FieldCheck(name, ("attributes", name), forms[name], leaf=Leaf((name,), by_name[name]), is_identifier=True)
        for name in here
    ]
    places = tuple(("attributes", name) for name in forms)
    return Checks(
        validate,
        fields=tuple(wanted),
        identifiers=places,
        key=places,
    )
