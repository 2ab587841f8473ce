"""Back in stock: people who are told when a variant can be bought again."""

from __future__ import annotations

from dataclasses import replace

from spark_klaviyo.templates.model import XL, Family, FieldForm, FieldSpec, Setting, Template
from spark_klaviyo.templates.parts import CATALOG_ID, attribute
from spark_klaviyo.templates.profiles import EMAIL, EXTERNAL_ID, PERSON, PHONE, PROFILE_ID

_CHANNELS = ("EMAIL", "SMS", "PUSH", "WHATSAPP")
_PERSON = tuple(
    replace(known, name=f"profile.{known.name}", json_path=(*PERSON, *known.json_path), other_names=(known.name,))
    for known in (PROFILE_ID, EMAIL, PHONE, EXTERNAL_ID)
)
SUBSCRIBE = Template(
    name="create_back_in_stock_subscription",
    family=Family.CATALOG,
    summary="Tell people when a variant is back in stock, one a request.",
    path="/api/back-in-stock-subscriptions",
    record={
        "type": "back-in-stock-subscription",
        "attributes": {"channels": "{channels}", "profile": {"data": {"type": "profile"}}},
        "relationships": {"variant": {"data": {"type": "catalog-variant", "id": "{variant_id}"}}},
    },
    fields=(
        attribute("channels", FieldForm.TEXTS, required=True, choices=_CHANNELS, help="array of channels"),
        *_PERSON,
        FieldSpec(
            "variant",
            ("relationships", "variant", "data", "id"),
            required=True,
            other_names=("variant_id", "variant_external_id"),
            prefix=CATALOG_ID,
            help="your own id of the variant, or the compound one",
        ),
    ),
    identifiers=tuple(known.name for known in _PERSON),
    key=tuple(known.name for known in _PERSON),
    key_with=("variant",),
    keep_empty=((*PERSON, "attributes"),),
    quota=XL,
    confirmed_by_reply=False,
    scopes=("catalogs:write", "profiles:write"),
    settings=(
        Setting(
            "channels", "how people are told, comma-separated", choices=_CHANNELS, per_row=True, takes_several=True
        ),
        Setting("variant_id", "id of the variant: your own, or the compound one", per_row=True, prefix=CATALOG_ID),
    ),
    notes=("The variant must exist: Klaviyo refuses others as variant_not_found.",),
)

TEMPLATES = (SUBSCRIBE,)
