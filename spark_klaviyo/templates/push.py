"""Push tokens: one a request; bulk_subscribe_profiles with the channel push takes many."""

from __future__ import annotations

from spark_klaviyo.core.models import Limits
from spark_klaviyo.templates.consent import BACKGROUND, ENABLEMENT, PLATFORMS, VENDORS
from spark_klaviyo.templates.events import IDENTIFIERS, PROFILE_OF_ONE
from spark_klaviyo.templates.model import KILOBYTE, Family, FieldSpec, L, S, Template
from spark_klaviyo.templates.parts import NOT_FOUND, attribute
from spark_klaviyo.templates.profiles import PERSON

# spec: DeviceMetadata
_SDKS = ("android", "flutter", "flutter_community", "react_native", "swift")
_DEVICE = (
    attribute("device_metadata.klaviyo_sdk", choices=_SDKS),
    attribute("device_metadata.os_name", choices=("android", "ios", "ipados", "macos", "tvos")),
    attribute("device_metadata.environment", choices=("debug", "release")),
    attribute("device_metadata.device_id"),
    attribute("device_metadata.sdk_version"),
    attribute("device_metadata.device_model"),
    attribute("device_metadata.os_version"),
    attribute("device_metadata.manufacturer"),
    attribute("device_metadata.app_name"),
    attribute("device_metadata.app_version"),
    attribute("device_metadata.app_build"),
    attribute("device_metadata.app_id"),
)
_ANONYMOUS = "profile.anonymous_id"  # a token needs a person
CREATE = Template(
    name="create_push_token",
    family=Family.PUSH,
    summary="Store push tokens of people's devices, one a request.",
    path="/api/push-tokens",
    record={"type": "push-token", "attributes": {"profile": {"data": {"type": "profile"}}}},
    fields=(
        attribute("token", required=True, other_names=("push_token",), help="device token of APNs or FCM"),
        attribute("platform", required=True, choices=PLATFORMS),
        attribute("vendor", required=True, choices=VENDORS),
        attribute("enablement_status", choices=ENABLEMENT),
        attribute("background", choices=BACKGROUND),
        *_DEVICE,
        *(known for known in PROFILE_OF_ONE if known.name != _ANONYMOUS),
    ),
    identifiers=tuple(name for name in IDENTIFIERS if name != _ANONYMOUS),
    key=("token",),
    keep_empty=((*PERSON, "attributes"),),
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
    quota=S,
    path_fields=("id",),
    deletes=True,
    already_satisfied=NOT_FOUND,
    scopes=("push-tokens:write",),
)

TEMPLATES = (CREATE, DELETE)
