"""Checks before every endpoint: path, key, scopes, revision, media type, JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

import pytest

from spark_klaviyo.simulator import KlaviyoSimulator
from tests.simulator.wire_client import REVISION, call, import_body, import_rows, new

JOBS = "/api/profile-bulk-import-jobs"


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoSimulator]:
    with KlaviyoSimulator(today=date(2026, 11, 23)) as simulator:
        yield simulator


@pytest.mark.parametrize("path", ["/api/lists", "/api/lists/", "/api/lists/Y6nRLr/", "/api/lists/Y6nRLr"])
def test_paths_work_with_and_without_a_slash(klaviyo: KlaviyoSimulator, path: str) -> None:
    assert call(klaviyo, "GET", path).status == 200


def test_an_unknown_path_is_404_and_a_wrong_method_405(klaviyo: KlaviyoSimulator) -> None:
    assert call(klaviyo, "GET", "/api/nothing").errors[0]["code"] == "not_found"
    assert call(klaviyo, "PUT", "/api/lists", {}).status == 405
    assert call(klaviyo, "POST", "/client/profiles", {}).status == 404


@pytest.mark.parametrize("authorization", [None, "Klaviyo-API-Key nope", "Basic pk_test", "pk_test", ""])
def test_a_bad_private_key_is_401_without_limits(klaviyo: KlaviyoSimulator, authorization: str | None) -> None:
    got = call(klaviyo, "GET", "/api/lists", headers={"Authorization": authorization})
    (error,) = got.errors

    assert (got.status, error["code"], error["detail"]) == (401, "not_authenticated", "Missing or invalid private key.")
    assert list(error) == ["id", "status", "code", "title", "detail", "source"]
    assert got.headers["WWW-Authenticate"] == "Bearer, Klaviyo-API-Key"
    assert not [name for name in got.headers if name.startswith("RateLimit")]


def test_a_bad_token_has_its_own_error_document() -> None:
    with KlaviyoSimulator(api_keys=["good-token"]) as klaviyo:
        got = call(klaviyo, "GET", "/api/lists", headers={"Authorization": "Bearer bad"})
        good = call(klaviyo, "GET", "/api/lists", headers={"Authorization": "Bearer good-token"})

    assert (got.status, got.errors[0]["code"]) == (401, "authentication_failed")
    assert list(got.errors[0]) == ["id", "code", "title", "detail", "source", "status"]
    assert good.status == 200


def test_a_403_names_the_scopes_that_the_key_lacks() -> None:
    with KlaviyoSimulator(api_keys={"pk_test": ["lists:write"]}) as klaviyo:
        got = import_rows(klaviyo, [{"email": "a@b.co"}])
        made = call(klaviyo, "POST", "/api/lists", new("list", name="x"))

    assert (got.status, got.errors[0]["code"]) == (403, "permission_denied")
    assert got.errors[0]["detail"] == "Your API key is missing required scopes: profiles:write"
    assert got.headers["RateLimit-Remaining"] == "9"  # recorded: a 403 has reached the limiter
    assert made.status == 201


def test_scopes_may_be_left_unchecked() -> None:
    with KlaviyoSimulator(api_keys={"pk_test": []}, require_scopes=False) as klaviyo:
        assert import_rows(klaviyo, [{"email": "a@b.co"}]).status == 202


def test_a_revoked_key_is_refused_from_then_on(klaviyo: KlaviyoSimulator) -> None:
    assert call(klaviyo, "GET", "/api/lists").status == 200
    klaviyo.revoke("pk_test")
    assert call(klaviyo, "GET", "/api/lists").status == 401


REVISIONS: list[tuple[str | None, int, str | None]] = [
    ("2026-10-15", 200, "2026-10-15"),
    ("2026-10-15.pre", 200, "2026-10-15"),
    ("2026-09-01", 200, "2026-07-15"),  # the newest not younger than the one asked for
    ("2023-02-22", 200, "2025-01-15"),  # retired: falls forward
    (None, 400, None),
    ("soon", 400, None),
    ("2026-13-40", 400, None),
    ("2027-01-15", 404, None),
]


@pytest.mark.parametrize(("asked", "status", "answered"), REVISIONS)
def test_a_revision_is_accepted_moved_forward_or_refused(
    klaviyo: KlaviyoSimulator, asked: str | None, status: int, answered: str | None
) -> None:
    got = call(klaviyo, "GET", "/api/lists", headers={"revision": asked})

    assert got.status == status
    assert got.headers.get("X-Klaviyo-Api-Revision") == answered


def test_the_reply_to_a_deprecated_revision_says_when_it_retires(klaviyo: KlaviyoSimulator) -> None:
    old = call(klaviyo, "GET", "/api/lists", headers={"revision": "2025-04-15"})
    new_one = call(klaviyo, "GET", "/api/lists", headers={"revision": REVISION})

    assert old.headers["X-Klaviyo-Api-Retirement-Date"] == "2027-04-15"
    assert "X-Klaviyo-Api-Retirement-Date" not in new_one.headers


def test_moving_a_revision_forward_can_be_refused(klaviyo: KlaviyoSimulator) -> None:
    headers = {"revision": "2023-02-22", "X-Klaviyo-Revision-Fall-Forward-Opt-Out": "1"}

    assert call(klaviyo, "GET", "/api/lists", headers=headers).status == 410
    with KlaviyoSimulator(fall_forward=False) as strict:
        assert call(strict, "GET", "/api/lists", headers={"revision": "2023-02-22"}).status == 410


def test_an_endpoint_newer_than_the_revision_is_404(klaviyo: KlaviyoSimulator) -> None:
    got = call(klaviyo, "POST", "/api/data-source-record-bulk-create-jobs", {}, {"revision": "2025-04-15"})

    assert got.errors[0]["detail"] == "No valid revisions found for method"


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        ("application/vnd.api+json", 202),
        ("application/json; charset=utf-8", 202),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
    ],
)
def test_a_body_needs_one_of_two_media_types(klaviyo: KlaviyoSimulator, media_type: str, status: int) -> None:
    got = call(klaviyo, "POST", JOBS, import_body([{"email": "a@b.co"}]), {"Content-Type": media_type})

    assert got.status == status


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b'{"data": NaN}', b"\xff\xfe"])
def test_a_body_that_is_no_json_object_is_refused(klaviyo: KlaviyoSimulator, body: bytes) -> None:
    got = call(klaviyo, "POST", JOBS, body)

    assert (got.status, got.pointers) == (400, ["/data"])


@pytest.mark.parametrize(("accepted", "status"), [(False, 415), (True, 202)])
def test_gzip_bodies_are_taken_only_by_switch(accepted: bool, status: int) -> None:
    import gzip
    import json

    body = gzip.compress(json.dumps(import_body([{"email": "a@b.co"}])).encode())
    with KlaviyoSimulator(accept_gzip=accepted) as klaviyo:
        assert call(klaviyo, "POST", JOBS, body, {"Content-Encoding": "gzip"}).status == status


ENVELOPES: list[tuple[Mapping[str, object], str, str]] = [
    ({}, "/data", "'data' is a required field."),
    ({"data": []}, "/data", "'data' must be an object."),
    ({"data": {"attributes": {}}}, "/data/type", "'type' is a required field."),
    ({"data": {"type": "profile", "attributes": {"profiles": {"data": []}}}}, "/data/type",
     "'profile' is not a valid choice for 'type'."),
    ({**import_body([{"email": "a@b.co"}]), "api_key": "x"}, "/api_key",
     "'api_key' is not a valid field for the resource 'data'."),
]  # fmt: skip


@pytest.mark.parametrize(("body", "pointer", "detail"), ENVELOPES)
def test_an_envelope_of_another_shape_is_refused(
    klaviyo: KlaviyoSimulator, body: Mapping[str, object], pointer: str, detail: str
) -> None:
    got = call(klaviyo, "POST", JOBS, dict(body))

    assert got.status == 400
    assert (pointer, detail) in [(error["source"]["pointer"], error["detail"]) for error in got.errors]


def test_an_account_without_custom_objects_or_push_says_so() -> None:
    with KlaviyoSimulator(custom_objects=False, push=False) as klaviyo:
        source = call(klaviyo, "POST", "/api/data-sources", new("data-source", title="x"))
        who = {"data": {"type": "profile", "attributes": {"email": "a@b.co"}}}
        token = call(
            klaviyo,
            "POST",
            "/api/push-tokens",
            new("push-token", token="t", platform="ios", vendor="apns", profile=who),
        )

    assert (source.status, source.errors[0]["code"]) == (403, "forbidden")
    assert (token.status, token.errors[0]["detail"]) == (403, "Company is not able to process push tokens")
