"""What the tests of opting out look at: who is subscribed to what, and which reads were made."""

from __future__ import annotations

from spark_klaviyo.simulator import KlaviyoSimulator

Consent = dict[tuple[str, str], str]


def consents(klaviyo: KlaviyoSimulator) -> Consent:
    """The consent of every person to every channel that was ever set, by email or phone."""
    found = {}
    for profile in klaviyo.profiles:
        for medium, purposes in profile["subscriptions"].items():
            for use, record in purposes.items():
                found[profile["email"] or profile["phone_number"], f"{medium}.{use}"] = record["consent"]
    return found


def suppressions(klaviyo: KlaviyoSimulator) -> dict[str, set[str]]:
    """Why people are suppressed, by email."""
    marketing = {one["email"]: one["subscriptions"].get("email", {}).get("marketing") for one in klaviyo.profiles}
    return {email: {one["reason"] for one in held["suppression"]} for email, held in marketing.items() if held}


def reads(klaviyo: KlaviyoSimulator) -> int:
    """How many reads of profiles were made."""
    return sum(request.method == "GET" and request.path == "/api/profiles" for request in klaviyo.requests)


def writes(klaviyo: KlaviyoSimulator) -> list[str]:
    """The bodies that were sent."""
    return [request.body.decode() for request in klaviyo.requests if request.method != "GET"]
