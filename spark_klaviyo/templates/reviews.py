"""Reviews: their moderation. Klaviyo's server API creates none."""

from __future__ import annotations

from spark_klaviyo.templates.model import Family, FieldSpec, M, Template
from spark_klaviyo.templates.parts import resource_id

_STATUSES = ("featured", "pending", "published", "rejected", "unpublished")
_REASONS = ("fake", "false_or_misleading", "other", "private_information", "profanity_or_inappropriate", "unrelated")
_STATUS = ("attributes", "status")
_REASON = (*_STATUS, "rejection_reason")

UPDATE = Template(
    name="update_review",
    family=Family.REVIEWS,
    summary="Publish, feature, unpublish or reject reviews.",
    method="PATCH",
    path="/api/reviews/{id}",
    record={"type": "review"},
    fields=(
        resource_id("id of the review", "review_id"),
        FieldSpec("status", (*_STATUS, "value"), required=True, choices=_STATUSES),
        FieldSpec("rejection_reason", (*_REASON, "reason"), choices=_REASONS, help="of a rejected review"),
        FieldSpec("status_explanation", (*_REASON, "status_explanation"), help="of the reason other"),
    ),
    key=("id",),
    quota=M,
    path_fields=("id",),
    scopes=("reviews:write",),
)

TEMPLATES = (UPDATE,)
