"""The retired v1 and v2 forms, as they were: key in the body, rows as they are. Klaviyo answers 410 since 2024-06-30."""

from __future__ import annotations

from spark_klaviyo.records import Limits
from spark_klaviyo.templates.model import MAX_BODY, Known, M, Setting, Template

_MEMBERS = (
    Known("email", ("email",), "email"),
    Known("phone_number", ("phone_number",), "phone"),
    Known("push_token", ("push_token",)),
)
_LIST = Setting("list_id", "id of the list", required=True, per_row=True, look_up="list")

TEMPLATES = (
    Template(
        name="add_profiles_to_list",
        family="legacy",
        summary="Add profiles to a list through the retired v2 call.",
        method="POST",
        path="/api/v2/list/{list_id}/members",
        body={"api_key": "{api_key}", "profiles": "{rows}"},
        fields=_MEMBERS,
        identifiers=("email", "phone_number", "push_token"),
        key=("email", "phone_number", "push_token"),
        # 100 is documented for membership checks only, and what connectors used; `max_rows` changes it
        limits=Limits(100, MAX_BODY),
        quota=M,
        outcome="delivered",
        success=(200, 202),
        settings=(_LIST,),
        legacy="v2",
        pointer="/profiles",
        notes=("Retired by Klaviyo on 2024-06-30: every call is answered 410. Set api=current.",),
    ),
)
