"""Coupons and their codes."""

from __future__ import annotations

from dataclasses import replace

from spark_klaviyo.core.models import Limits
from spark_klaviyo.templates.model import (
    MAX_BODY,
    XL,
    Family,
    FieldForm,
    FieldSpec,
    Job,
    JobErrors,
    L,
    S,
    Setting,
    Template,
)
from spark_klaviyo.templates.parts import GONE, ONE, ONE_ROW, job_body

# recorded refusal: `'external_id' must match regex '^[0-9_A-z]+$'`; A-z holds the signs between Z and a as well
COUPON_ID = "[0-9_A-z]+"
_EXPIRES = FieldSpec(
    "expires_at", ("attributes", "expires_at"), FieldForm.DATETIME, help="one year from now where empty"
)
_COUPON = FieldSpec(
    "coupon",
    ("relationships", "coupon", "data", "id"),
    required=True,
    other_names=("coupon_id",),
    pattern=COUPON_ID,
    help="id of the coupon, where the setting gives none for all",
)

_PATH = "/api/coupon-code-bulk-create-jobs"
BULK = Template(
    name="bulk_create_coupon_codes",
    family=Family.COUPONS,
    summary="Add codes to coupons.",
    method="POST",
    path=_PATH,
    body=job_body("coupon-code-bulk-create-job", "coupon-codes"),
    record={"type": "coupon-code", "relationships": {"coupon": {"data": {"type": "coupon", "id": "{coupon_id}"}}}},
    fields=(
        FieldSpec(
            "unique_code",
            ("attributes", "unique_code"),
            required=True,
            other_names=("code", "coupon_code"),
            help="the code itself",
        ),
        _EXPIRES,
        _COUPON,
    ),
    key=("unique_code",),
    key_with=("coupon",),
    limits=Limits(1_000, MAX_BODY),
    quota=L,
    job=Job(_PATH + "/{job_id}", L, JobErrors.INLINE, _PATH, ("coupon-codes:read",)),
    rows_pointer="/data/attributes/coupon-codes/data",
    idempotent=False,
    scopes=("coupon-codes:write",),
    settings=(Setting("coupon_id", "id of the coupon", per_row=True, lookup_kind="coupon"),),
    notes=("The coupon must exist. At most 100 jobs are queued at a time.",),
)
CREATE_CODE = replace(
    BULK,
    name="create_coupon_code",
    summary="Add one code a request to a coupon.",
    path="/api/coupon-codes",
    body=ONE,
    limits=ONE_ROW,
    quota=XL,
    job=None,
    rows_pointer="",
    notes=("The coupon must exist.",),
)
# spec: the id of a code is made of its coupon's id and the code
_CODE_ID = FieldSpec("id", ("id",), required=True, other_names=("coupon_code_id",), help="<coupon>-<code>")
UPDATE_CODE = Template(
    name="update_coupon_code",
    family=Family.COUPONS,
    summary="Change the status or the end of coupon codes.",
    method="PATCH",
    path="/api/coupon-codes/{id}",
    body=ONE,
    record={"type": "coupon-code"},
    fields=(
        _CODE_ID,
        FieldSpec(
            "status",
            ("attributes", "status"),
            choices=("ASSIGNED_TO_PROFILE", "DELETING", "PROCESSING", "UNASSIGNED", "USED", "VERSION_NOT_ACTIVE"),
        ),
        _EXPIRES,
    ),
    key=("id",),
    limits=ONE_ROW,
    quota=XL,
    path_fields=("id",),
    scopes=("coupon-codes:write",),
)
DELETE_CODE = replace(
    UPDATE_CODE,
    name="delete_coupon_code",
    summary="Delete coupon codes that nobody was given.",
    method="DELETE",
    body=None,
    fields=(_CODE_ID,),
    keep_empty=(),
    deletes=True,
    already_satisfied=GONE,
    notes=("Klaviyo keeps a code that was assigned to a profile.",),
)

_THRESHOLD = FieldSpec(
    "monitor_configuration.low_balance_threshold",
    ("attributes", "monitor_configuration", "low_balance_threshold"),
    FieldForm.INTEGER,
    other_names=("low_balance_threshold",),
    help="codes left when a warning is sent, 100 at least",
)
_ASSIGN, _BOTH = "assigner_configuration", ("ALWAYS_ASSIGN", "NEVER_ASSIGN")
_ABOUT = (
    FieldSpec("description", ("attributes", "description")),
    _THRESHOLD,
    # official SDK 25.0.0: the words that its model takes, which requires both fields
    *(
        FieldSpec(
            f"{_ASSIGN}.{name}",
            ("attributes", _ASSIGN, name),
            choices=choices,
            since="2026-10-15",
            requires=(f"{_ASSIGN}.{other}",),
            help=text,
        )
        for name, other, choices, text in (
            ("used", "unused_expired", (*_BOTH, "ASSIGN_IF_EXPIRED"), "a new code once the last one was used"),
            ("unused_expired", "used", _BOTH, "a new code once the last one expired unused"),
        )
    ),
)
CREATE = Template(
    name="create_coupon",
    family=Family.COUPONS,
    summary="Create coupons.",
    method="POST",
    path="/api/coupons",
    body=ONE,
    record={"type": "coupon"},
    fields=(
        FieldSpec(
            "external_id",
            ("attributes", "external_id"),
            required=True,
            pattern=COUPON_ID,
            other_names=("id", "coupon_id"),
            help="letters, digits and _ (no hyphen)",
        ),
        *_ABOUT,
    ),
    key=("external_id",),
    limits=ONE_ROW,
    quota=S,
    idempotent=False,
    scopes=("coupons:write",),
)
UPDATE = replace(
    CREATE,
    name="update_coupon",
    summary="Change coupons.",
    method="PATCH",
    path="/api/coupons/{id}",
    fields=(
        FieldSpec(
            "id",
            ("id",),
            required=True,
            other_names=("external_id", "coupon_id"),
            pattern=COUPON_ID,
            help="id of the coupon",
        ),
        *_ABOUT,
    ),
    key=("id",),
    path_fields=("id",),
    idempotent=True,
)
DELETE = replace(
    UPDATE,
    name="delete_coupon",
    summary="Delete coupons.",
    method="DELETE",
    body=None,
    fields=UPDATE.fields[:1],
    keep_empty=(),
    deletes=True,
    already_satisfied=GONE,
)

TEMPLATES = (BULK, CREATE_CODE, UPDATE_CODE, DELETE_CODE, CREATE, UPDATE, DELETE)
