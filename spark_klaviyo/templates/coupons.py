"""Coupons and their codes."""

from __future__ import annotations

from dataclasses import replace

from spark_klaviyo.core.models import Limits
from spark_klaviyo.templates.model import (
    MAX_BODY,
    ONE_RECORD,
    ONE_ROW,
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
from spark_klaviyo.templates.parts import attribute, delete_of, job_body, linked, resource_id, update_of

# recorded refusal: `'external_id' must match regex '^[0-9_A-z]+$'`; A-z holds the signs between Z and a as well
COUPON_ID = "[0-9_A-z]+"

# --- codes ----------------------------------------------------------------------------------------

_EXPIRES = attribute("expires_at", FieldForm.DATETIME, help="one year from now where empty")
_COUPON = FieldSpec(
    "coupon",
    ("relationships", "coupon", "data", "id"),
    required=True,
    other_names=("coupon_id",),
    pattern=COUPON_ID,
    help="id of the coupon, where the setting gives none for all",
)
_CODES = "/api/coupon-code-bulk-create-jobs"
BULK = Template(
    name="bulk_create_coupon_codes",
    family=Family.COUPONS,
    summary="Add codes to coupons.",
    path=_CODES,
    body=job_body("coupon-code-bulk-create-job", "coupon-codes"),
    record={"type": "coupon-code", "relationships": linked("coupon", "coupon", "coupon_id")},
    fields=(
        attribute("unique_code", required=True, other_names=("code", "coupon_code"), help="the code itself"),
        _EXPIRES,
        _COUPON,
    ),
    key=("unique_code",),
    key_with=("coupon",),
    limits=Limits(1_000, MAX_BODY),
    quota=L,
    job=Job(_CODES, L, JobErrors.INLINE, ("coupon-codes:read",)),
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
    body=ONE_RECORD,
    limits=ONE_ROW,
    quota=XL,
    job=None,
    notes=("The coupon must exist.",),
)
_STATUSES = ("ASSIGNED_TO_PROFILE", "DELETING", "PROCESSING", "UNASSIGNED", "USED", "VERSION_NOT_ACTIVE")
UPDATE_CODE = update_of(
    CREATE_CODE,
    "update_coupon_code",
    "Change the status or the end of coupon codes.",
    resource_id("<coupon>-<code>", "coupon_code_id"),  # spec: made of the coupon's id and the code
    attribute("status", choices=_STATUSES),
    _EXPIRES,
    record={"type": "coupon-code"},
    key_with=(),
    settings=(),
)
DELETE_CODE = delete_of(
    UPDATE_CODE,
    "delete_coupon_code",
    "Delete coupon codes that nobody was given.",
    "Klaviyo keeps a code that was assigned to a profile.",
)

# --- coupons --------------------------------------------------------------------------------------

_ASSIGN, _BOTH = "assigner_configuration", ("ALWAYS_ASSIGN", "NEVER_ASSIGN")
_ABOUT = (
    attribute("description"),
    attribute(
        "monitor_configuration.low_balance_threshold",
        FieldForm.INTEGER,
        other_names=("low_balance_threshold",),
        help="codes left when a warning is sent, 100 at least",
    ),
    # official SDK 25.0.0: the words that its model takes, which requires both fields
    *(
        attribute(f"{_ASSIGN}.{name}", choices=choices, since="2026-10-15", requires=(f"{_ASSIGN}.{other}",), help=text)
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
    path="/api/coupons",
    record={"type": "coupon"},
    fields=(
        attribute(
            "external_id",
            required=True,
            pattern=COUPON_ID,
            other_names=("id", "coupon_id"),
            help="letters, digits and _ (no hyphen)",
        ),
        *_ABOUT,
    ),
    key=("external_id",),
    quota=S,
    idempotent=False,
    scopes=("coupons:write",),
)
UPDATE = update_of(
    CREATE,
    "update_coupon",
    "Change coupons.",
    resource_id("id of the coupon", "external_id", "coupon_id", pattern=COUPON_ID),
    *_ABOUT,
)

TEMPLATES = (
    BULK,
    CREATE_CODE,
    UPDATE_CODE,
    DELETE_CODE,
    CREATE,
    UPDATE,
    delete_of(UPDATE, "delete_coupon", "Delete coupons."),
)
