"""Lists and who is on them: members by Klaviyo's ids or by identifiers, and the lists themselves."""

from __future__ import annotations

from dataclasses import replace

from spark_klaviyo.core.models import Limits
from spark_klaviyo.templates.model import M_DAILY, MAX_BODY, Family, FieldSpec, M, Setting, Template
from spark_klaviyo.templates.parts import GONE, MANY, ONE, ONE_ROW
from spark_klaviyo.templates.profiles import EMAIL, EXTERNAL_ID, PHONE, PROFILE_ID

_LIST = Setting("list_id", "id of the list", required=True, per_row=True, lookup_kind="list")
_NO_CONSENT = "Membership only: consent stays as it is."


def _members(name: str, summary: str, method: str) -> Template:
    """spec: add_profiles_to_list and remove_profiles_from_list take at most 1,000 profile ids."""
    return Template(
        name=name,
        family=Family.LISTS,
        summary=summary,
        method=method,
        path="/api/lists/{list_id}/relationships/profiles",
        body=MANY,
        record={"type": "profile"},
        fields=(replace(PROFILE_ID, required=True),),
        key=("id",),
        keep_empty=(),
        limits=Limits(1_000, MAX_BODY),
        quota=M,
        rows_pointer="/data",
        scopes=("lists:write", "profiles:write"),
        settings=(_LIST,),
        notes=(_NO_CONSENT, "Klaviyo refuses a request that holds an id it does not know."),
    )


REMOVE_BY_ID = _members("remove_profile_ids_from_list", "Take profiles off a list, by Klaviyo's ids.", "DELETE")
REMOVE = replace(
    REMOVE_BY_ID,
    name="remove_profiles_from_list",
    summary="Take profiles off a list, by email, phone number or your own id.",
    fields=(PROFILE_ID, EMAIL, PHONE, EXTERNAL_ID),
    identifiers=("id", "email", "phone_number", "external_id"),
    key=("id", "email", "phone_number", "external_id"),
    sends_profile_ids=True,
    scopes=("lists:write", "profiles:read", "profiles:write"),
    notes=(_NO_CONSENT, "Klaviyo is asked for the ids first; a row that it knows nobody for is rejected as not_found."),
)

_NAME = FieldSpec("name", ("attributes", "name"), required=True, help="what the list is called")
_OPT_IN = FieldSpec(
    "opt_in_process",
    ("attributes", "opt_in_process"),
    choices=("double_opt_in", "single_opt_in"),
    help="the account's default where empty",
)
CREATE = Template(
    name="create_list",
    family=Family.LISTS,
    summary="Create lists.",
    method="POST",
    path="/api/lists",
    body=ONE,
    record={"type": "list"},
    fields=(_NAME, _OPT_IN),
    limits=ONE_ROW,
    quota=M_DAILY,
    idempotent=False,  # a second call makes a second list of the same name
    scopes=("lists:write",),
    notes=("At most 150 lists a day.",),
)
UPDATE = replace(
    CREATE,
    name="update_list",
    summary="Rename lists, or change their opt-in process.",
    method="PATCH",
    path="/api/lists/{id}",
    fields=(
        FieldSpec("id", ("id",), required=True, other_names=("list_id",), help="id of the list"),
        replace(_NAME, required=False),
        _OPT_IN,
    ),
    path_fields=("id",),
    key=("id",),
    quota=M,
    idempotent=True,
    notes=(),
)
DELETE = replace(
    UPDATE,
    name="delete_list",
    summary="Delete lists; their members stay profiles.",
    method="DELETE",
    body=None,
    fields=UPDATE.fields[:1],
    keep_empty=(),
    deletes=True,
    already_satisfied=GONE,
)

TEMPLATES = (
    _members("add_profile_ids_to_list", "Add existing profiles to a list, by Klaviyo's ids.", "POST"),
    REMOVE_BY_ID,
    REMOVE,
    CREATE,
    UPDATE,
    DELETE,
)
