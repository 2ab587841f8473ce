"""Endpoints that write people: bulk import (with or without lists), the single-profile calls, merging and deleting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from spark_klaviyo.core.models import Limits
from spark_klaviyo.templates.model import (
    KILOBYTE,
    MAX_BODY,
    Family,
    FieldForm,
    FieldSpec,
    Job,
    JobErrors,
    L,
    M,
    RecordLimits,
    S,
    Setting,
    Template,
)
from spark_klaviyo.templates.parts import GONE, MAX_DEPTH, MAX_ITEMS, ONE, ONE_ROW, job_body

# spec: Profile attributes, all optional and nullable; `id` stands beside them. Legacy v1 names wear a `$`.
LOCATION = tuple(
    FieldSpec(f"location.{name}", ("attributes", "location", name), form, other_names=(f"${name}",), help=text)
    for name, form, text in (
        ("address1", FieldForm.TEXT, "street"),
        ("address2", FieldForm.TEXT, "second line of the street"),
        ("city", FieldForm.TEXT, "city"),
        ("country", FieldForm.TEXT, "country"),
        ("region", FieldForm.TEXT, "state or region"),
        ("zip", FieldForm.TEXT, "postal code; whole numbers become text"),
        ("timezone", FieldForm.TEXT, "IANA name, America/New_York"),
        ("ip", FieldForm.TEXT, "IP address"),
        ("latitude", FieldForm.COORDINATE, "degrees"),
        ("longitude", FieldForm.COORDINATE, "degrees"),
    )
)
EMAIL = FieldSpec(
    "email", ("attributes", "email"), FieldForm.EMAIL, other_names=("$email",), help="email address; trimmed"
)
PHONE = FieldSpec(
    "phone_number", ("attributes", "phone_number"), FieldForm.PHONE, other_names=("$phone_number",), help="E.164"
)
# 255 characters: reported by connectors in production. v1's `$id` was the caller's own id, not Klaviyo's.
EXTERNAL_ID = FieldSpec(
    "external_id", ("attributes", "external_id"), other_names=("$id",), max_length=255, help="your own id of the person"
)
ATTRIBUTES = (
    EMAIL,
    PHONE,
    EXTERNAL_ID,
    FieldSpec("first_name", ("attributes", "first_name"), other_names=("$first_name",)),
    FieldSpec("last_name", ("attributes", "last_name"), other_names=("$last_name",)),
    FieldSpec("organization", ("attributes", "organization"), other_names=("$organization",)),
    FieldSpec("locale", ("attributes", "locale"), help="BCP 47, en-US"),
    FieldSpec("title", ("attributes", "title"), other_names=("$title",), help="job title"),
    FieldSpec("image", ("attributes", "image"), other_names=("$image",), help="URL of a picture"),
    *LOCATION,
)
PROFILE_ID = FieldSpec("id", ("id",), other_names=("profile_id",), help="Klaviyo's id of the profile")
EXCHANGE_ID = FieldSpec("_kx", ("attributes", "_kx"), help="Klaviyo's exchange id")
# spec: meta.patch_properties, a sibling of the attributes; patch_identifiers since 2026-04-15
PATCH = (
    FieldSpec(
        "meta.patch_properties.append", ("meta", "patch_properties", "append"), FieldForm.OBJECT, help="add to arrays"
    ),
    FieldSpec(
        "meta.patch_properties.unappend",
        ("meta", "patch_properties", "unappend"),
        FieldForm.OBJECT,
        help="remove from arrays",
    ),
    FieldSpec(
        "meta.patch_properties.unset",
        ("meta", "patch_properties", "unset"),
        FieldForm.WORDS,
        help="properties to remove",
    ),
    FieldSpec(
        "meta.patch_identifiers.append",
        ("meta", "patch_identifiers", "append"),
        FieldForm.OBJECT,
        since="2026-04-15",
        help="secondary identifiers to add (accounts with several emails a profile)",
    ),
    FieldSpec(
        "meta.patch_identifiers.unappend",
        ("meta", "patch_identifiers", "unappend"),
        FieldForm.OBJECT,
        since="2026-04-15",
        help="secondary identifiers to remove",
    ),
)
PROFILE = (PROFILE_ID, *ATTRIBUTES, EXCHANGE_ID, *PATCH)
IDENTIFIERS = ("id", "email", "phone_number", "external_id", "_kx")

IMPORT_JOB = Job(
    path="/api/profile-bulk-import-jobs/{job_id}",
    quota=M,
    errors=JobErrors.PAGES,
    list_path="/api/profile-bulk-import-jobs",
    scopes=("lists:read", "profiles:read"),
)
_LISTS: Mapping[str, object] = {"lists": {"data": [{"type": "list", "id": "{list_id}"}]}}
_PROFILE_SIZE = Limits(1, 100 * KILOBYTE)
_CLEARS = "A null clears its field here, so nulls are left out unless nulls=send."


def _import(name: str, summary: str, *, required: bool) -> Template:
    """spec: bulk_import_profiles; 10,000 profiles, 5 MB a request, 100 KB a profile."""
    return Template(
        name=name,
        family=Family.PROFILES,
        summary=summary,
        method="POST",
        path="/api/profile-bulk-import-jobs",
        body=job_body("profile-bulk-import-job", "profiles", _LISTS),
        record={"type": "profile"},
        fields=PROFILE,
        properties_path=("attributes", "properties"),
        identifiers=IDENTIFIERS,
        key=IDENTIFIERS,
        limits=Limits(10_000, MAX_BODY, 100 * KILOBYTE),
        record_limits=RecordLimits(max_depth=MAX_DEPTH, max_items=MAX_ITEMS),
        quota=M,
        job=IMPORT_JOB,
        rows_pointer="/data/attributes/profiles/data",
        scopes=("lists:write", "profiles:write"),
        settings=(
            Setting(
                "list_id",
                "id of the list the profiles are added to (several: comma-separated)",
                required=required,
                per_row=True,
                lookup_kind="list",
                takes_several=True,
            ),
        ),
        notes=(
            "Adding to a list gives no consent and skips no opt-in: it is like a CSV upload.",
            "Klaviyo ignores nulls here: no field can be cleared (meta.patch_properties.unset removes properties).",
        ),
    )


def _single(name: str, summary: str, method: str, path: str, fields: tuple[FieldSpec, ...]) -> Template:
    """spec: create_or_update_profile, create_profile, update_profile; one profile, 100 KB."""
    return Template(
        name=name,
        family=Family.PROFILES,
        summary=summary,
        method=method,
        path=path,
        body=ONE,
        record={"type": "profile"},
        fields=fields,
        properties_path=("attributes", "properties"),
        identifiers=IDENTIFIERS,
        key=IDENTIFIERS,
        limits=_PROFILE_SIZE,
        record_limits=RecordLimits(max_depth=MAX_DEPTH, max_items=MAX_ITEMS),
        quota=L,
        null_clears_field=True,
        scopes=("profiles:write",),
        notes=(_CLEARS,),
    )


UPSERT = _single(
    "create_or_update_profile", "Create or update one profile a request.", "POST", "/api/profile-import", PROFILE
)
CREATE = replace(
    _single("create_profile", "Create profiles that are not there yet.", "POST", "/api/profiles", ATTRIBUTES),
    identifiers=("email", "phone_number", "external_id"),
    key=("email", "phone_number", "external_id"),
    null_clears_field=False,
    idempotent=False,
    notes=("A profile that exists already is rejected as duplicate_profile (409), with its id.",),
)
UPDATE = replace(
    _single(
        "update_profile",
        "Update profiles by Klaviyo's id.",
        "PATCH",
        "/api/profiles/{id}",
        (replace(PROFILE_ID, required=True), *ATTRIBUTES, *PATCH),
    ),
    identifiers=("id",),
    key=("id",),
    path_fields=("id",),
)
MERGE = Template(
    name="merge_profiles",
    family=Family.PROFILES,
    summary="Merge a source profile into a destination profile; the source is deleted.",
    method="POST",
    path="/api/profile-merge",
    body=ONE,
    record={"type": "profile-merge", "relationships": {"profiles": {"data": [{"type": "profile"}]}}},
    fields=(
        FieldSpec(
            "id",
            ("id",),
            required=True,
            other_names=("destination_id", "destination_profile_id", "destination"),
            help="id of the profile that stays",
        ),
        FieldSpec(
            "profiles",
            ("relationships", "profiles", "data", "[]", "id"),
            required=True,
            other_names=("source_id", "source_profile_id", "source"),
            help="id of the profile that is merged into it and deleted",
        ),
    ),
    keep_empty=(),
    limits=ONE_ROW,
    quota=M,
    confirmed_by_reply=False,  # recorded: 202, and the merge happens later
    idempotent=False,  # a second merge meets a source that is gone
    scopes=("profiles:write",),
    notes=("It cannot be undone. Exactly one source a request; Klaviyo merges after it has answered.",),
)
DELETE = Template(
    name="request_profile_deletion",
    family=Family.PROFILES,
    summary="Delete people for good (GDPR, CCPA), by exactly one identifier a row.",
    method="POST",
    path="/api/data-privacy-deletion-jobs",
    body=ONE,
    record={"type": "data-privacy-deletion-job", "attributes": {"profile": {"data": {"type": "profile"}}}},
    fields=tuple(
        replace(known, json_path=("attributes", "profile", "data", *known.json_path))
        for known in (PROFILE_ID, EMAIL, PHONE)
    ),
    identifiers=("id", "email", "phone_number"),
    exactly_one_identifier=True,
    key=("id", "email", "phone_number"),
    keep_empty=(("attributes", "profile", "data", "attributes"),),
    limits=ONE_ROW,
    quota=S,
    confirmed_by_reply=False,
    deletes=True,
    already_satisfied=GONE,
    scopes=("data-privacy:write",),
    notes=("Every profile that the identifier matches is deleted, some time after the answer.",),
)

TEMPLATES = (
    _import("add_profiles_to_list", "Create or update profiles and add them to a list.", required=True),
    _import("bulk_import_profiles", "Create or update profiles, with or without a list.", required=False),
    UPSERT,
    CREATE,
    UPDATE,
    MERGE,
    DELETE,
)
