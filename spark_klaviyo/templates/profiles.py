"""Endpoints that write people: bulk import (with or without lists) and the single-profile calls."""

from __future__ import annotations

from spark_klaviyo.records import Limits
from spark_klaviyo.templates.model import KILOBYTE, MAX_BODY, Job, Known, M, Setting, Template

# spec: Profile attributes, all optional and nullable; `id` stands beside them. Legacy v1 names wear a `$`.
LOCATION = tuple(
    Known(f"location.{name}", ("attributes", "location", name), form, names=(f"${name}",), help=text)
    for name, form, text in (
        ("address1", "text", "street"),
        ("address2", "text", "second line of the street"),
        ("city", "text", "city"),
        ("country", "text", "country"),
        ("region", "text", "state or region"),
        ("zip", "text", "postal code; whole numbers become text"),
        ("timezone", "text", "IANA name, America/New_York"),
        ("ip", "text", "IP address"),
        ("latitude", "coordinate", "degrees"),
        ("longitude", "coordinate", "degrees"),
    )
)
ATTRIBUTES = (
    Known("email", ("attributes", "email"), "email", names=("$email",), help="email address; trimmed"),
    Known("phone_number", ("attributes", "phone_number"), "phone", names=("$phone_number",), help="E.164"),
    # 255 characters: reported by connectors in production
    Known("external_id", ("attributes", "external_id"), max_length=255, help="your own id of the person"),
    Known("first_name", ("attributes", "first_name"), names=("$first_name",)),
    Known("last_name", ("attributes", "last_name"), names=("$last_name",)),
    Known("organization", ("attributes", "organization"), names=("$organization",)),
    Known("locale", ("attributes", "locale"), help="BCP 47, en-US"),
    Known("title", ("attributes", "title"), names=("$title",), help="job title"),
    Known("image", ("attributes", "image"), names=("$image",), help="URL of a picture"),
    *LOCATION,
)
PROFILE_ID = Known("id", ("id",), names=("$id", "profile_id"), help="Klaviyo's id of the profile")
EXCHANGE_ID = Known("_kx", ("attributes", "_kx"), help="Klaviyo's exchange id")
# spec: meta.patch_properties, a sibling of the attributes
PATCH = (
    Known("meta.patch_properties.append", ("meta", "patch_properties", "append"), "object", help="add to lists"),
    Known("meta.patch_properties.unappend", ("meta", "patch_properties", "unappend"), "object"),
    Known("meta.patch_properties.unset", ("meta", "patch_properties", "unset"), "words", help="keys to remove"),
)
PROFILE = (PROFILE_ID, *ATTRIBUTES, EXCHANGE_ID, *PATCH)
IDENTIFIERS = ("id", "email", "phone_number", "external_id", "_kx")
KEY = ("id", "email", "phone_number", "external_id", "_kx")

IMPORT_JOB = Job(
    path="/api/profile-bulk-import-jobs/{job_id}",
    quota=M,
    errors="pages",
    list_path="/api/profile-bulk-import-jobs",
    scopes=("lists:read", "profiles:read"),
)
_LISTS = {"lists": {"data": [{"type": "list", "id": "{list_id}"}]}}


def _import(name: str, summary: str, *, required: bool) -> Template:
    """spec: bulk_import_profiles; 10,000 profiles, 5 MB a request, 100 KB a profile."""
    return Template(
        name=name,
        family="profiles",
        summary=summary,
        method="POST",
        path="/api/profile-bulk-import-jobs",
        body={
            "data": {
                "type": "profile-bulk-import-job",
                "attributes": {"profiles": {"data": "{rows}"}},
                "relationships?": _LISTS,
            }
        },
        record={"type": "profile"},
        fields=PROFILE,
        properties_at=("attributes", "properties"),
        identifiers=IDENTIFIERS,
        key=KEY,
        limits=Limits(10_000, MAX_BODY, 100 * KILOBYTE),
        quota=M,
        outcome="job",
        success=(202,),
        job=IMPORT_JOB,
        pointer="/data/attributes/profiles/data",
        scopes=("lists:write", "profiles:write"),
        settings=(
            Setting(
                "list_id",
                "id of the list the profiles are added to (several: comma-separated)",
                required=required,
                per_row=True,
                look_up="list",
                several=True,
            ),
        ),
        notes=("Adding to a list gives no consent and skips no opt-in: it is like a CSV upload.",),
    )


TEMPLATES = (
    _import("add_profiles_to_list", "Create or update profiles and add them to a list.", required=True),
    _import("bulk_import_profiles", "Create or update profiles, with or without a list.", required=False),
)
