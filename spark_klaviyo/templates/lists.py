"""Lists and who is on them: members by Klaviyo's ids or by identifiers, and the lists themselves."""

from __future__ import annotations

from dataclasses import replace

from spark_klaviyo.core.models import Limits
from spark_klaviyo.templates.model import M_DAILY, MAX_BODY, Family, M, Setting, Template
from spark_klaviyo.templates.parts import MANY, attribute, delete_of, resource_id, update_of
from spark_klaviyo.templates.profiles import EMAIL, EXTERNAL_ID, PHONE, PROFILE_ID

_NO_CONSENT = "Membership only: consent stays as it is."
# spec: add_profiles_to_list and remove_profiles_from_list take at most 1,000 profile ids
ADD_BY_ID = Template(
    name="add_profile_ids_to_list",
    family=Family.LISTS,
    summary="Add existing profiles to a list, by Klaviyo's ids.",
    path="/api/lists/{list_id}/relationships/profiles",
    body=MANY,
    record={"type": "profile"},
    fields=(replace(PROFILE_ID, required=True),),
    key=("id",),
    keep_empty=(),
    limits=Limits(1_000, MAX_BODY),
    quota=M,
    scopes=("lists:write", "profiles:write"),
    settings=(Setting("list_id", "id of the list", required=True, per_row=True, lookup_kind="list"),),
    notes=(_NO_CONSENT, "Klaviyo refuses a request that holds an id it does not know."),
)
REMOVE_BY_ID = replace(
    ADD_BY_ID,
    name="remove_profile_ids_from_list",
    summary="Take profiles off a list, by Klaviyo's ids.",
    method="DELETE",
)
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

_NAME = attribute("name", required=True, help="what the list is called")
_OPT_IN = attribute(
    "opt_in_process", choices=("double_opt_in", "single_opt_in"), help="the account's default where empty"
)
CREATE = Template(
    name="create_list",
    family=Family.LISTS,
    summary="Create lists.",
    path="/api/lists",
    record={"type": "list"},
    fields=(_NAME, _OPT_IN),
    quota=M_DAILY,
    idempotent=False,  # a second call makes a second list of the same name
    scopes=("lists:write",),
    notes=("At most 150 lists a day.",),
)
UPDATE = update_of(
    CREATE,
    "update_list",
    "Rename lists, or change their opt-in process.",
    resource_id("id of the list", "list_id"),
    replace(_NAME, required=False),
    _OPT_IN,
    quota=M,
)

TEMPLATES = (
    ADD_BY_ID,
    REMOVE_BY_ID,
    REMOVE,
    CREATE,
    UPDATE,
    delete_of(UPDATE, "delete_list", "Delete lists; their members stay profiles."),
)
