"""Push tokens: one a request; bulk_subscribe_profiles with the channel push takes many."""

from __future__ import annotations

from dataclasses import replace

from spark_klaviyo.core.models import Limits
from spark_klaviyo.templates.consent import BACKGROUND, ENABLEMENT, PLATFORMS, VENDORS
from spark_klaviyo.templates.events import IDENTIFIERS, profile_at
from spark_klaviyo.templates.model import KILOBYTE, Family, FieldSpec, L, S, Template
from spark_klaviyo.templates.parts import GONE, ONE, ONE_ROW

_AT = ("attributes",)
_PROFILE = ("attributes", "profile", "data")
# spec: DeviceMetadata
_DEVICE = {
    "klaviyo_sdk": ("android", "flutter", "flutter_community", "react_native", "swift"),
    "os_name": ("android", "ios", "ipados", "macos", "tvos"),
    "environment": ("debug", "release"),
    **dict.fromkeys(
        (
            "device_id",
            "sdk_version",
            "device_model",
            "os_version",
            "manufacturer",
            "app_name",
            "app_version",
            "app_build",
            "app_id",
        ),
        (),
    ),
}
_TOKEN = FieldSpec(
    "token", (*_AT, "token"), required=True, other_names=("push_token",), help="device token of APNs or FCM"
)
_PERSON = tuple(
    replace(known, earlier_path=("2026-10-15", (*_PROFILE, "attributes", *known.json_path[len(_PROFILE) :])))
    if known.name.startswith("profile.meta.")
    else known
    for known in profile_at(_PROFILE)
    if known.name != "profile.anonymous_id"
)
CREATE = Template(
    name="create_push_token",
    family=Family.PUSH,
    summary="Store push tokens of people's devices, one a request.",
    method="POST",
    path="/api/push-tokens",
    body=ONE,
    record={"type": "push-token", "attributes": {"profile": {"data": {"type": "profile"}}}},
    fields=(
        _TOKEN,
        FieldSpec("platform", (*_AT, "platform"), required=True, choices=PLATFORMS),
        FieldSpec("vendor", (*_AT, "vendor"), required=True, choices=VENDORS),
        FieldSpec("enablement_status", (*_AT, "enablement_status"), choices=ENABLEMENT),
        FieldSpec("background", (*_AT, "background"), choices=BACKGROUND),
        *(
            FieldSpec(f"device_metadata.{name}", (*_AT, "device_metadata", name), choices=choices)
            for name, choices in _DEVICE.items()
        ),
        *_PERSON,
    ),
    identifiers=tuple(path for path in IDENTIFIERS if path != "profile.anonymous_id"),
    key=("token",),
    keep_empty=((*_PROFILE, "attributes"),),
    limits=Limits(1, 100 * KILOBYTE),
    quota=L,
    confirmed_by_reply=False,
    scopes=("profiles:write", "push-tokens:write"),
    notes=("An account without push refuses every call (403). Attributes of the profile are updated too.",),
)
DELETE = Template(
    name="delete_push_token",
    family=Family.PUSH,
    summary="Delete push tokens.",
    method="DELETE",
    path="/api/push-tokens/{id}",
    body=None,
    record={"type": "push-token"},
    fields=(FieldSpec("token", ("id",), required=True, other_names=("id", "push_token"), help="the token itself"),),
    key=("token",),
    keep_empty=(),
    limits=ONE_ROW,
    quota=S,
    path_fields=("id",),
    deletes=True,
    already_satisfied=GONE,
    scopes=("push-tokens:write",),
)

TEMPLATES = (CREATE, DELETE)
