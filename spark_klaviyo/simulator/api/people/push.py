"""Push tokens: one a call, or beside a subscription."""

from __future__ import annotations

from spark_klaviyo.simulator.errors import JsonObject, forbidden, not_found
from spark_klaviyo.simulator.http.operation import Answer, Call, Operation, since
from spark_klaviyo.simulator.rules import profiles as shapes


def keep_token(call: Call, profile: JsonObject, given: JsonObject) -> None:
    """Create or update a token, which belongs to one profile."""
    known = call.account.push_tokens.get(given["token"], {"id": call.account.ulid("push")})
    fields = {key: value for key, value in given.items() if key != "profile"}
    defaults = {"enablement_status": "AUTHORIZED", "background": "AVAILABLE"}
    call.account.push_tokens[given["token"]] = {**defaults, **known, **fields, "profile_id": profile["id"]}


def create_push_token(call: Call) -> Answer:
    """202 and no body; recorded 2026-09: 403 where the account has no push."""
    if not call.account.switches.push:
        raise forbidden("Company is not able to process push tokens")
    given = call.body["data"]["attributes"]
    profile = call.account.profiles.upsert_leniently(given["profile"]["data"], call.now)
    keep_token(call, profile, given)
    return Answer(202)


def delete_push_token(call: Call) -> Answer:
    """204, by id or by the token itself."""
    wanted = call.params["id"]
    for token, held in call.account.push_tokens.items():
        if wanted in (token, held["id"]):
            del call.account.push_tokens[token]
            return Answer(204)
    raise not_found(f"Record with token ID: {wanted} cannot be found.")  # recorded 2026-09


OPERATIONS = (
    Operation(
        "create_push_token",
        "POST",
        "/api/push-tokens",
        "L",
        "profiles:write push-tokens:write",
        create_push_token,
        # revision 2026-10-15: profile meta moved out of the attributes
        since("2026-10-15", shapes.push_token(meta_inside=False), shapes.push_token(meta_inside=True)),
        max_bytes=100_000,
    ),
    Operation("delete_push_token", "DELETE", "/api/push-tokens/{id}", "S", "push-tokens:write", delete_push_token),
)
