"""Shapes of profile bodies: import, upsert, create, update, merge, deletion, suppression, list members."""

from __future__ import annotations

import re
from typing import Any

from spark_klaviyo.simulator.rules.build import a, job, link, many, one, relations, resource
from spark_klaviyo.simulator.rules.schema import NONE, Either, Free, Many, Number, Problem, Problems, Spec, Text, Thing

BAD_EMAIL = "Invalid email address"  # recorded 2023-10 to 2026-09
BAD_PHONE = "Invalid phone number format (Example of a valid format: +12345678901)"  # production reports
NO_IDENTIFIER = (
    "A profile must have at least one identifier: 'email', 'phone_number', 'external_id' or 'id'."  # wording unsettled
)

E164 = re.compile(r"\+[1-9]\d{1,14}\Z")
EMAIL = Text(
    pattern=r"[^\s@,;:<>()\[\]\"\\]+(?<!\.)@(?!-)[^\s@._,;:<>()\[\]\"\\/]+(?:\.[^\s@._,;:<>()\[\]\"\\/]+)+\Z",
    says=BAD_EMAIL,
)
EMAIL_NEEDED = Text(pattern=EMAIL.shown_pattern, says=BAD_EMAIL, nullable=False)
PHONE = Text(pattern=E164.pattern, says=BAD_PHONE)

LOCATION = Thing(
    "location",
    {
        **{key: Text() for key in ("address1", "address2", "city", "country", "region", "zip", "timezone", "ip")},
        "latitude": Either(Text(), Number()),
        "longitude": Either(Text(), Number()),
    },
    nullable=True,
)
NAMES = {key: Text() for key in ("first_name", "last_name", "organization", "locale", "title", "image")}
PATCH = Thing(
    "patch_properties",
    {"append": Free(), "unappend": Free(), "unset": Either(Text(), Many(Text(nullable=False)))},
    nullable=True,
)
PATCH_IDENTIFIERS = Thing("patch_identifiers", {"append": Free(), "unappend": Free()}, nullable=True)
META = Thing("meta", {"patch_properties": PATCH, "patch_identifiers": PATCH_IDENTIFIERS}, nullable=True)


def attributes(phone: Spec = PHONE, **more: Spec) -> Thing:
    """Writable profile attributes (spec: 2026-07-15), and what a revision or an endpoint adds."""
    fields: dict[str, Spec] = {
        "email": EMAIL,
        "phone_number": phone,
        "external_id": Text(longest=255),  # production reports: external_id of at most 255 characters
        **NAMES,
        "location": LOCATION,
        "properties": Free(),
        **more,
    }
    return Thing("profile", fields)


def identified(row: Any) -> Problems:
    """A row needs an identifier (at least one of email, phone_number, external_id, id, _kx)."""
    given = row["attributes"]
    if row.get("id") or any(given.get(key) for key in ("email", "phone_number", "external_id", "_kx", "anonymous_id")):
        return NONE
    return (Problem(("attributes",), NO_IDENTIFIER),)


def _older(anonymous: bool) -> dict[str, Spec]:
    # revision 2026-01-15: anonymous_id removed from profile payloads
    return {"anonymous_id": Text()} if anonymous else {}


def lone_bad_phones(rows: Any) -> Problems:
    """unsettled: import rows whose only identifier is a phone number that is none."""
    found = []
    for index, row in enumerate(rows):
        given = row["attributes"]
        phone = given.get("phone_number")
        if (
            phone
            and not E164.match(phone)
            and not (row.get("id") or any(given.get(key) for key in ("email", "external_id", "_kx")))
        ):
            found.append(
                Problem(("data", "attributes", "profiles", "data", index, "attributes", "phone_number"), BAD_PHONE)
            )
    return found


def import_job(*, anonymous: bool) -> Thing:
    """spec: bulk_import_profiles. A bad phone beside another identifier is no offence (recorded 2026-09)."""
    row = resource(
        "profile", attributes(Text(), _kx=Text(), **_older(anonymous)), id="optional", meta=META, rules=(identified,)
    )
    lists = relations(lists=Thing("lists", {"data": Many(link("list"))}))
    return job("profile-bulk-import-job", "profiles", row, relationships=lists)


def upsert(*, anonymous: bool) -> Thing:
    """spec: create_or_update_profile."""
    return one(
        resource("profile", attributes(_kx=Text(), **_older(anonymous)), id="optional", meta=META, rules=(identified,))
    )


def create(*, anonymous: bool) -> Thing:
    """spec: create_profile (no id, no meta)."""
    return one(resource("profile", attributes(**_older(anonymous)), rules=(identified,)))


def update(*, anonymous: bool) -> Thing:
    """spec: update_profile (id required)."""
    return one(resource("profile", attributes(**_older(anonymous)), id="required", meta=META))


def inside(*, meta_inside: bool, anonymous: bool = True) -> Thing:
    """A profile inside an event or a push token.

    Revision 2026-10-15: `meta` stands beside `attributes`; until 2026-07-15 it stood inside them.
    """
    more: dict[str, Spec] = {"_kx": Text(), **_older(anonymous)}
    if meta_inside:
        return one(resource("profile", attributes(**more, meta=META), id="optional", rules=(identified,)), "profile")
    return one(resource("profile", attributes(**more), id="optional", meta=META, rules=(identified,)), "profile")


def suppression_job(kind: str) -> Thing:
    """spec: bulk_suppress_profiles, bulk_unsuppress_profiles: emails, or one list, or one segment."""
    row = resource("profile", Thing("profile", {"email": EMAIL_NEEDED}, {"email"}))
    named = relations(list=one(link("list"), "list"), segment=one(link("segment"), "segment"))
    rows = Thing(kind, {"profiles": many(row, "profiles", nullable=True)})
    return one(resource(kind, rows, relationships=named, needs=()))


MEMBERS = Thing("data", {"data": Many(link("profile"))}, {"data"})

# spec: merge_profiles, exactly one source
MERGE = one(
    resource(
        "profile-merge",
        id="required",
        relationships=relations(
            {"profiles"}, profiles=Thing("profiles", {"data": Many(link("profile"), least=1)}, {"data"})
        ),
        needs=("relationships",),
    )
)

DELETION = one(
    resource(
        "data-privacy-deletion-job",
        Thing(
            "data-privacy-deletion-job",
            {
                "profile": one(
                    resource("profile", Thing("profile", {"email": EMAIL, "phone_number": PHONE}), id="optional"),
                    "profile",
                )
            },
            {"profile"},
        ),
    )
)

DEVICE = (
    "device_id",
    "klaviyo_sdk",
    "sdk_version",
    "device_model",
    "os_name",
    "os_version",
    "manufacturer",
    "environment",
)
APP = ("app_name", "app_version", "app_build", "app_id")
PUSH_METADATA = Thing("device_metadata", {key: Text() for key in (*DEVICE, *APP)}, nullable=True)
TOKEN_FIELDS: dict[str, Spec] = {
    "token": Text(nullable=False),
    "platform": Text(choices=("android", "ios"), nullable=False),
    "vendor": Text(choices=("apns", "fcm"), nullable=False),
    "enablement_status": Text(choices=("AUTHORIZED", "DENIED", "NOT_DETERMINED", "PROVISIONAL", "UNAUTHORIZED")),
    "background": Text(choices=("AVAILABLE", "DENIED", "RESTRICTED")),
    "device_metadata": PUSH_METADATA,
}


def push_token(*, meta_inside: bool) -> Thing:
    """spec: create_push_token."""
    fields = {**TOKEN_FIELDS, "profile": inside(meta_inside=meta_inside, anonymous=False)}
    needed = {"token", "platform", "vendor", "profile"}
    return Thing(
        "data",
        {
            "data": Thing(
                "push-token",
                {"type": a("push-token"), "attributes": Thing("push-token", fields, needed)},
                {"type", "attributes"},
            )
        },
        {"data"},
    )
