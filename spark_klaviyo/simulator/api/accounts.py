"""The account itself, its segments, and the moderation of reviews."""

from __future__ import annotations

from spark_klaviyo.simulator.clock import iso
from spark_klaviyo.simulator.errors import JsonObject, not_found
from spark_klaviyo.simulator.http.documents import collection, profile_resource, relation, resource, single
from spark_klaviyo.simulator.http.operation import Answer, Call, Operation, always
from spark_klaviyo.simulator.http.queries import EQUALS, page, page_size, read_filter
from spark_klaviyo.simulator.rules.build import one
from spark_klaviyo.simulator.rules.build import resource as shape
from spark_klaviyo.simulator.rules.schema import Free, Thing


def account_resource(call: Call) -> JsonObject:
    """recorded 2026-09: every account read, key for key."""
    name = call.account.switches.account
    street = {
        "address1": "1 Main St",
        "address2": "2nd floor",
        "city": "Springfield",
        "region": None,
        "country": "United States",
        "zip": "01234",
    }
    contact = {
        "default_sender_name": name,
        "default_sender_email": "sender@example.com",
        "website_url": "http://www.example.com",
        "organization_name": name,
        "street_address": street,
    }
    attributes: JsonObject = {
        "test_account": True,
        "contact_information": contact,
        "industry": "Software / SaaS",
        "timezone": "America/New_York",
        "preferred_currency": "USD",
        "public_api_key": call.account.id,
        "locale": "en-US",
    }
    return resource(call, "account", call.account.id, attributes)


def get_accounts(call: Call) -> Answer:
    """The account of the key."""
    return collection(call, [account_resource(call)])


def get_account(call: Call) -> Answer:
    """The account by its id."""
    if call.params["id"] != call.account.id:
        raise not_found(f"Account with id {call.params['id']} not found.")  # recorded 2026-09
    return single(call, 200, account_resource(call))


def segment_resource(call: Call, held: JsonObject) -> JsonObject:
    """A segment a test has put into the account."""
    moment = iso(held.get("created", call.now), fraction=False)
    attributes = {
        "name": held["name"],
        "definition": held.get("definition"),
        "created": moment,
        "updated": moment,
        "is_active": True,
        "is_processing": False,
        "is_starred": False,
    }
    named = ("profiles", "tags", "flow-triggers")
    return resource(
        call, "segment", held["id"], attributes, {name: relation(call, "segment", held["id"], name) for name in named}
    )


def find_segment(call: Call) -> JsonObject:
    """recorded 2026-09."""
    held = call.account.segments.get(call.params["id"])
    if held is None:
        raise not_found(f"A segment with id `{call.params['id']}` does not exist.")
    return held


def get_segments(call: Call) -> Answer:
    """Ten a page at most."""
    conditions = read_filter(call, {"name": EQUALS, "id": EQUALS})
    found = (held for held in call.account.segments.values() if all(c.holds(held[c.field]) for c in conditions))
    rows, following = page(call, found, page_size(call, 10, 10, "segment"))
    return collection(call, [segment_resource(call, held) for held in rows], following)


def get_segment(call: Call) -> Answer:
    """One segment."""
    return single(call, 200, segment_resource(call, find_segment(call)))


def get_profiles_for_segment(call: Call) -> Answer:
    """The members a test has named."""
    members = call.account.profiles.matching("id", find_segment(call).get("profile_ids", ()))
    rows, following = page(call, members, page_size(call, 20, 100, "profile"))
    return collection(call, [profile_resource(call, profile, talk="conversations") for profile in rows], following)


def find_review(call: Call) -> JsonObject:
    """recorded 2026-09."""
    held = call.account.reviews.get(call.params["id"])
    if held is None:
        raise not_found(f"A review with id `{call.params['id']}` does not exist.")
    return held


def review_resource(call: Call, held: JsonObject) -> JsonObject:
    """spec: the required attributes of a review, and those a test has put in."""
    given = {key: value for key, value in held.items() if key != "id"}
    needed: JsonObject = {"email": None, "status": None, "verified": False, "review_type": "review", "images": []}
    attributes = {**needed, "created": call.stamp, "updated": call.stamp, **given}
    return resource(call, "review", call.params["id"], attributes)


def update_review(call: Call) -> Answer:
    """200: the moderation status, the only thing that can be changed."""
    held = find_review(call)
    status = call.body["data"]["attributes"].get("status")
    if status is not None:
        held["status"] = status
    return single(call, 200, review_resource(call, held))


def get_review(call: Call) -> Answer:
    """One review."""
    return single(call, 200, review_resource(call, find_review(call)))


_REVIEW = one(shape("review", Thing("review", {"status": Free()}), id="required"))

OPERATIONS = (
    Operation("get_accounts", "GET", "/api/accounts", "XS", "accounts:read", get_accounts),
    Operation("get_account", "GET", "/api/accounts/{id}", "XS", "accounts:read", get_account),
    Operation("get_segments", "GET", "/api/segments", "L", "segments:read", get_segments),
    Operation("get_segment", "GET", "/api/segments/{id}", "L", "segments:read", get_segment),
    Operation(
        "get_profiles_for_segment",
        "GET",
        "/api/segments/{id}/profiles",
        "L",
        "profiles:read segments:read",
        get_profiles_for_segment,
    ),
    Operation("update_review", "PATCH", "/api/reviews/{id}", "M", "reviews:write", update_review, always(_REVIEW)),
    Operation("get_review", "GET", "/api/reviews/{id}", "M", "reviews:read", get_review),
)
