"""People, and the lists they are on: bulk import, the single-profile calls, merging, deleting, memberships, lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from spark_klaviyo.core.codes import OnDelete
from spark_klaviyo.core.policy import Limits
from spark_klaviyo.templates.limits import KILOBYTE, M_DAILY, MAX_BODY, MAX_DEPTH, MAX_ITEMS, L, M, S
from spark_klaviyo.templates.model import MANY, FieldForm, FieldSpec, Job, JobErrors, RecordLimits, Setting, Template
from spark_klaviyo.templates.parts import NOT_FOUND, attribute, create_of, delete_of, job_call, resource_id, update_of


def _attribute(name: str, meaning: str = "", form: FieldForm = FieldForm.TEXT) -> FieldSpec:
    """An attribute that v1 called by its name with a `$`."""
    return attribute(name, form, other_names=("$" + name.rpartition(".")[2],), help=meaning)


# spec: Profile attributes, all optional and nullable; `id` stands beside them.
LOCATION = (
    _attribute("location.address1", "street"),
    _attribute("location.address2", "second line of the street"),
    _attribute("location.city", "city"),
    _attribute("location.country", "country"),
    _attribute("location.region", "state or region"),
    _attribute("location.zip", "postal code; whole numbers become text"),
    _attribute("location.timezone", "IANA name, America/New_York"),
    _attribute("location.ip", "IP address"),
    _attribute("location.latitude", "degrees", FieldForm.COORDINATE),
    _attribute("location.longitude", "degrees", FieldForm.COORDINATE),
)
EMAIL = _attribute("email", "email address; trimmed", FieldForm.EMAIL)
PHONE = _attribute("phone_number", "E.164", FieldForm.PHONE)
# 255 characters: reported by connectors in production. v1's `$id` was the caller's own id, not Klaviyo's.
EXTERNAL_ID = attribute("external_id", other_names=("$id",), max_length=255, help="your own id of the person")
ATTRIBUTES = (
    EMAIL,
    PHONE,
    EXTERNAL_ID,
    _attribute("first_name"),
    _attribute("last_name"),
    _attribute("organization"),
    attribute("locale", help="BCP 47, en-US"),
    _attribute("title", "job title"),
    _attribute("image", "URL of a picture"),
    *LOCATION,
)
# Where a person stands in records that are about something else.
PERSON = ("attributes", "profile", "data")
PROFILE_ID = FieldSpec("id", ("id",), other_names=("profile_id",), help="Klaviyo's id of the profile")
# Klaviyo's ids are letters and digits; ids of the caller's own are mostly numbers, or hold something else.
ROW_ID = replace(
    PROFILE_ID,
    required=True,
    pattern="[0-9]*[A-Za-z][0-9A-Za-z]*",
    pattern_text="expected an id of Klaviyo's, such as 01GDDKASAP8TKDDA2GRZDSVP4H; ids of your own are external_id",
)
EXCHANGE_ID = attribute("_kx", help="Klaviyo's exchange id")


def _patch(name: str, form: FieldForm, meaning: str, since: str = "") -> FieldSpec:
    """A field of `meta`, which stands beside the attributes."""
    return FieldSpec(f"meta.{name}", ("meta", *name.split(".")), form, since=since, help=meaning)


# spec: meta.patch_properties; patch_identifiers since 2026-04-15
_SECONDARY = "secondary identifiers to add (accounts with several emails a profile)"
PATCH = (
    _patch("patch_properties.append", FieldForm.OBJECT, "add to arrays"),
    _patch("patch_properties.unappend", FieldForm.OBJECT, "remove from arrays"),
    _patch("patch_properties.unset", FieldForm.WORDS, "properties to remove"),
    _patch("patch_identifiers.append", FieldForm.OBJECT, _SECONDARY, "2026-04-15"),
    _patch("patch_identifiers.unappend", FieldForm.OBJECT, "secondary identifiers to remove", "2026-04-15"),
)
PROFILE = (PROFILE_ID, *ATTRIBUTES, EXCHANGE_ID, *PATCH)
IDENTIFIERS = ("id", "email", "phone_number", "external_id", "_kx")
# Two people may share a phone, so it tells whether two rows are the same person where nothing else does.
KEY = ("id", "email", "external_id", "phone_number", "_kx")

IMPORT_JOB = Job("/api/profile-bulk-import-jobs", M, JobErrors.PAGES, ("lists:read", "profiles:read"))
_LISTS: Mapping[str, object] = {"lists": {"data": [{"type": "list", "id": "{list_id}"}]}}
LIST = Setting("list_id", "id of the list", required=True, per_row=True, lookup_kind="list")
_LIST_OF_IMPORT = replace(
    LIST, help="id of the list the profiles are added to (several: comma-separated)", takes_several=True
)
# Where the deletes of change data about people go.
DELETES = {
    OnDelete.REMOVE: "remove_profiles_from_list",
    OnDelete.SUPPRESS: "bulk_suppress_profiles",
    OnDelete.DELETE: "request_profile_deletion",
}
# spec: bulk_import_profiles; 10,000 profiles, 5 MB a request, 100 KB a profile
ADD_TO_LIST = Template(
    name="add_profiles_to_list",
    summary="Create or update profiles and add them to a list.",
    **job_call("profile-bulk-import-job", "profiles", _LISTS),
    record={"type": "profile"},
    fields=PROFILE,
    properties_path=("attributes", "properties"),
    identifiers=IDENTIFIERS,
    key=KEY,
    limits=Limits(10_000, MAX_BODY, 100 * KILOBYTE),
    record_limits=RecordLimits(max_depth=MAX_DEPTH, max_items=MAX_ITEMS),
    quota=M,
    job=IMPORT_JOB,
    delete_templates=DELETES,
    scopes=("lists:write", "profiles:write"),
    settings=(_LIST_OF_IMPORT,),
    notes=(
        "Adding to a list gives no consent and skips no opt-in: it is like a CSV upload.",
        "Klaviyo ignores nulls here: no field can be cleared (meta.patch_properties.unset removes properties).",
    ),
)
IMPORT = replace(
    ADD_TO_LIST,
    name="bulk_import_profiles",
    summary="Create or update profiles, with or without a list.",
    settings=(replace(_LIST_OF_IMPORT, required=False),),
)
# spec: create_or_update_profile, create_profile, update_profile; one profile, 100 KB
UPSERT = replace(
    ADD_TO_LIST,
    name="create_or_update_profile",
    summary="Create or update one profile per request.",
    path="/api/profile-import",
    body={"data": "{row}"},
    limits=Limits(1, 100 * KILOBYTE),
    quota=L,
    job=None,
    null_clears_field=True,
    scopes=("profiles:write",),
    settings=(),
    notes=("A null clears its field here, so nulls are left out unless nulls=send.",),
)
CREATE = replace(
    UPSERT,
    name="create_profile",
    summary="Create profiles that are not there yet.",
    path="/api/profiles",
    fields=ATTRIBUTES,
    identifiers=("email", "phone_number", "external_id"),
    key=KEY[1:-1],
    null_clears_field=False,
    idempotent=False,
    notes=("A profile that exists already is rejected as duplicate_profile (409), with its id.",),
)
UPDATE = update_of(
    CREATE,
    "Update profiles by Klaviyo's id.",
    ROW_ID,
    *ATTRIBUTES,
    *PATCH,
    identifiers=("id",),
    null_clears_field=True,
    notes=UPSERT.notes,
)
MERGE = Template(
    name="merge_profiles",
    summary="Merge a source profile into a destination profile; the source is deleted.",
    path="/api/profile-merge",
    record={"type": "profile-merge", "relationships": {"profiles": {"data": [{"type": "profile"}]}}},
    fields=(
        resource_id("id of the profile that stays", "destination_id", "destination_profile_id", "destination"),
        FieldSpec(
            "profiles",
            ("relationships", "profiles", "data", "[]", "id"),
            required=True,
            other_names=("source_id", "source_profile_id", "source"),
            help="id of the profile that is merged into it and deleted",
        ),
    ),
    keep_empty=(),
    quota=M,
    confirmed_by_reply=False,  # recorded: 202, and the merge happens later
    deletes=True,
    merges=True,
    idempotent=False,  # a second merge meets a source that is gone
    scopes=("profiles:write",),
    notes=(
        "It cannot be undone. Exactly one source a request; Klaviyo merges after it has answered.",
        'The option fields names both columns: {"id":"COLUMN_THAT_STAYS","profiles":"COLUMN_THAT_GOES"}.',
    ),
)
# A table's own `id` is not Klaviyo's, so it names nobody who is removed or erased unless `fields` says so.
OWN_ID = replace(PROFILE_ID, only_in_fields=True)
_ONE_OF = ("id", "email", "external_id", "phone_number")
DELETE = Template(
    name="request_profile_deletion",
    summary="Delete people for good (GDPR, CCPA), by one identifier a row.",
    path="/api/data-privacy-deletion-jobs",
    record={"type": "data-privacy-deletion-job", "attributes": {"profile": {"data": {"type": "profile"}}}},
    fields=tuple(
        replace(known, json_path=(*PERSON, *known.json_path)) for known in (OWN_ID, EMAIL, EXTERNAL_ID, PHONE)
    ),
    identifiers=_ONE_OF,
    first_identifier_only=True,
    looked_up_as="id",
    sent_directly=("id", "email"),
    keep_empty=((*PERSON, "attributes"),),
    quota=S,
    confirmed_by_reply=False,
    deletes=True,
    takes_away=True,
    already_satisfied=NOT_FOUND,
    scopes=("data-privacy:write",),
    notes=(
        "A row's email counts, else its external_id, else its phone number; these are looked up (profiles:read).",
        "Where several profiles share that phone number, the row is rejected: Klaviyo would delete all of them.",
        "Profiles are deleted some time after the answer.",
        "Where it finds nobody, the row is accepted, not delivered: nobody was erased. No second identifier is tried.",
    ),
)

# --- lists ----------------------------------------------------------------------------------------

_NO_CONSENT = "Membership only: consent stays as it is."
# spec: add_profiles_to_list and remove_profiles_from_list take at most 1,000 profile ids
ADD_BY_ID = Template(
    name="add_profile_ids_to_list",
    summary="Add existing profiles to a list, by Klaviyo's ids.",
    path="/api/lists/{list_id}/relationships/profiles",
    body=MANY,
    record={"type": "profile"},
    fields=(ROW_ID,),
    key=("id",),
    keep_empty=(),
    limits=Limits(1_000, MAX_BODY),
    quota=M,
    scopes=("lists:write", "profiles:write"),
    settings=(LIST,),
    notes=(_NO_CONSENT, "Klaviyo refuses a request that holds an id it does not know."),
)
REMOVE_BY_ID = replace(
    ADD_BY_ID,
    name="remove_profile_ids_from_list",
    summary="Take profiles off a list, by Klaviyo's ids.",
    method="DELETE",
    takes_away=True,
)
REMOVE = replace(
    REMOVE_BY_ID,
    name="remove_profiles_from_list",
    summary="Take profiles off a list, by email, phone number or your own id.",
    fields=(OWN_ID, EMAIL, EXTERNAL_ID, PHONE),
    identifiers=_ONE_OF,
    first_identifier_only=True,
    looked_up_as="id",
    sent_directly=("id",),
    key=(),  # the identifiers, not the id alone
    scopes=("lists:write", "profiles:read", "profiles:write"),
    notes=(
        _NO_CONSENT,
        "A row's email counts, else its external_id, else its phone number: never a second one.",
        "Klaviyo is asked for the ids first; a row whose identifier it does not know is rejected as not_found.",
    ),
)

_NAME = attribute("name", required=True, help="what the list is called")
_OPT_IN = attribute(
    "opt_in_process", choices=("double_opt_in", "single_opt_in"), help="the account's default where empty"
)
CREATE_LIST = create_of(
    "list", "Create lists.", M_DAILY, "lists:write", _NAME, _OPT_IN, notes=("At most 150 lists a day.",)
)
UPDATE_LIST = update_of(
    CREATE_LIST,
    "Rename lists, or change their opt-in process.",
    resource_id("id of the list", "list_id"),
    replace(_NAME, required=False),
    _OPT_IN,
    quota=M,
)
_LISTS_CALLS = (CREATE_LIST, UPDATE_LIST, delete_of(UPDATE_LIST, "Delete lists; their members stay profiles."))

TEMPLATES = (ADD_TO_LIST, IMPORT, UPSERT, CREATE, UPDATE, MERGE, DELETE, ADD_BY_ID, REMOVE_BY_ID, REMOVE, *_LISTS_CALLS)
