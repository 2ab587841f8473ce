"""Reviews: their moderation. Klaviyo's server API creates none."""

from __future__ import annotations

from spark_klaviyo.templates.model import Family, FieldSpec, M, Template
from spark_klaviyo.templates.parts import ONE, ONE_ROW

_STATUS = ("attributes", "status")

UPDATE = Template(
    name="update_review",
    family=Family.REVIEWS,
    summary="Publish, feature, unpublish or reject reviews.",
    method="PATCH",
    path="/api/reviews/{id}",
    body=ONE,
    record={"type": "review"},
    fields=(
        FieldSpec("id", ("id",), required=True, other_names=("review_id",), help="id of the review"),
        FieldSpec(
            "status",
            (*_STATUS, "value"),
            required=True,
            choices=("featured", "pending", "published", "rejected", "unpublished"),
        ),
        FieldSpec(
            "rejection_reason",
            (*_STATUS, "rejection_reason", "reason"),
            choices=(
                "fake",
                "false_or_misleading",
                "other",
                "private_information",
                "profanity_or_inappropriate",
                "unrelated",
            ),
            help="of a rejected review",
        ),
        FieldSpec(
            "status_explanation", (*_STATUS, "rejection_reason", "status_explanation"), help="of the reason other"
        ),
    ),
    key=("id",),
    limits=ONE_ROW,
    quota=M,
    path_fields=("id",),
    scopes=("reviews:write",),
)

TEMPLATES = (UPDATE,)
