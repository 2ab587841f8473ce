"""Coupons and their codes."""

from __future__ import annotations

from dataclasses import replace

from spark_klaviyo.core.policy import Limits
from spark_klaviyo.templates.limits import MAX_BODY, ONE_ROW, XL, L, S
from spark_klaviyo.templates.model import ONE_RECORD, FieldForm, FieldSpec, Job, JobErrors, Setting, Template
from spark_klaviyo.templates.parts import attribute, create_of, delete_of, job_call, linked, resource_id, update_of

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
    summary="Add codes to coupons.",
    **job_call("coupon-code-bulk-create-job", "coupon-codes"),
    record={"type": "coupon-code", "relationships": linked("coupon", "coupon_id")},
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
    "Change the status or the end of coupon codes.",
    resource_id("<coupon>-<code>", "coupon_code_id"),  # spec: made of the coupon's id and the code
    attribute("status", choices=_STATUSES),
    _EXPIRES,
    record={"type": "coupon-code"},
    key_with=(),
    settings=(),
)
_ASSIGNED = "Klaviyo keeps a code that was assigned to a profile."
DELETE_CODE = delete_of(UPDATE_CODE, "Delete coupon codes that nobody was given.", _ASSIGNED)

# --- coupons --------------------------------------------------------------------------------------

_ASSIGN, _BOTH = "assigner_configuration", ("ALWAYS_ASSIGN", "NEVER_ASSIGN")
_LOW, _LEFT = "low_balance_threshold", "codes left when a warning is sent, 100 at least"
_ABOUT = (
    attribute("description"),
    attribute(f"monitor_configuration.{_LOW}", FieldForm.INTEGER, other_names=(_LOW,), help=_LEFT),
    # official SDK 25.0.0: the words that its model takes, which requires both fields
    *(
        attribute(f"{_ASSIGN}.{name}", choices=choices, since="2026-10-15", requires=(f"{_ASSIGN}.{other}",), help=text)
        for name, other, choices, text in (
            ("used", "unused_expired", (*_BOTH, "ASSIGN_IF_EXPIRED"), "a new code once the last one was used"),
            ("unused_expired", "used", _BOTH, "a new code once the last one expired unused"),
        )
    ),
)
_LETTERS = "letters, digits and _ (no hyphen)"
CREATE = create_of(
    "coupon",
    "Create coupons.",
    S,
    "coupons:write",
    attribute("external_id", required=True, pattern=COUPON_ID, other_names=("id", "coupon_id"), help=_LETTERS),
    *_ABOUT,
    key=("external_id",),
)
UPDATE = update_of(
    CREATE, "Change coupons.", resource_id("id of the coupon", "external_id", "coupon_id", pattern=COUPON_ID), *_ABOUT
)

DELETE = delete_of(UPDATE, "Delete coupons.")

TEMPLATES = (BULK, CREATE_CODE, UPDATE_CODE, DELETE_CODE, CREATE, UPDATE, DELETE)
