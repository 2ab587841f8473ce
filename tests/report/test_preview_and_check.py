"""The dry run and the Test button, as text, page and dictionary."""

from __future__ import annotations

import json

from spark_klaviyo.report.pages.check import CheckLine, CheckResult
from spark_klaviyo.report.pages.preview import Preview, PreviewRequest


def test_a_preview_says_what_the_write_would_take_and_where_columns_go(preview: Preview) -> None:
    text = str(preview)
    assert "12,400,000 rows, 1,240 requests, 5.9 GB, about 8 min 24 s" in text
    assert "EMAIL  -> email\n" in text
    assert "e_mail -> custom property  (did you mean email?)" in text
    assert "row 3 would be rejected: bad_email, the email cannot be an address" in text
    assert "PATCH https://a.klaviyo.com/api/profiles/{email}  (1 row, 88 bytes)" in text


def test_a_preview_shows_the_person_only_where_the_requests_are_asked_for(preview: Preview) -> None:
    assert "ann@" not in str(preview) + repr(preview) + repr(preview.requests) + json.dumps(preview.to_dict())
    for shown in (preview.text(bodies=True), json.dumps(preview.to_dict(bodies=True)), preview.to_html()):
        assert "profiles/ann@example.com" in shown
        assert "9007199254740993" in shown


def test_a_preview_never_shows_the_key_even_if_it_was_not_hidden_before(preview: Preview) -> None:
    everything = preview.text(bodies=True) + preview.to_html() + json.dumps(preview.to_dict(bodies=True))
    assert "pk_secret" not in everything
    assert "authorization: Klaviyo-API-Key ***" in everything


def test_a_preview_page_holds_requests_columns_rejections_and_warnings(preview: Preview) -> None:
    html = preview.to_html()
    for shown in ("<details open>", "<b>EMAIL</b>", "did you mean email?", "ann@ is no address", "<code>e_mail</code>"):
        assert shown in html


def test_a_huge_body_is_cut_on_the_page() -> None:
    request = PreviewRequest("POST", "https://x", (), "[" + "1," * 50_000 + "1]", 1, 1)
    html = Preview("t", (request,)).to_html()
    assert "characters more" in html
    assert len(html) < 60_000


def body_text(body: str) -> str:
    return PreviewRequest("POST", "https://x", (), body, 1, len(body)).body_text


def test_a_body_is_indented_without_changing_a_digit_and_left_alone_where_it_is_not_json() -> None:
    assert body_text('{"price":12.50,"n":1E5,"none":{}}') == '{\n  "price": 12.50,\n  "n": 1E5,\n  "none": {}\n}'
    for other in ('{"a":1}\n{"a":2}\n', "{name}", "a=b", "", "1.50"):
        assert body_text(other) == other


LINES = (
    CheckLine("key", True, "accepted"),
    CheckLine("list", False, "no list with id Y6nRLx", "See `spark-klaviyo lists`."),
    CheckLine("scopes", None, "needs the list"),
)


def test_a_check_with_a_failed_line_is_not_ok_and_says_what_to_do() -> None:
    result = CheckResult(LINES, "Acme Ltd", "add_profiles_to_list")
    assert not result.ok
    assert not result
    assert str(result).splitlines() == [
        "Not ready: list",
        "  ok           key: accepted",
        "  failed       list: no list with id Y6nRLx",
        "               See spark-klaviyo lists.",
        "  not checked  scopes: needs the list",
    ]
    assert result.to_dict()["ok"] is False
    for shown in ("Not ready", "<code>spark-klaviyo lists</code>", 'aria-label="failed"', "needs the list"):
        assert shown in result.to_html()


def test_a_check_without_failures_names_the_account_that_will_be_written_to() -> None:
    result = CheckResult(LINES[:1], "Acme <Ltd>")
    assert result.ok
    assert repr(result) == "<CheckResult: Ready to write to Acme <Ltd>>"
    assert "Acme &lt;Ltd&gt;" in result._repr_html_()


def test_a_check_that_could_not_look_at_everything_says_so_unless_a_sample_row_has_shown_it() -> None:
    assert CheckResult((LINES[0], LINES[2])).headline() == "Ready to write, as far as reading can show"
    assert CheckResult((LINES[0], LINES[2]), sent=True).headline() == "Ready to write"


def test_a_preview_says_what_a_row_costs_that_is_refused_without_being_named() -> None:
    preview = Preview("bulk_import_profiles", rows=9, requests_expected=1, requests_per_bad_row=20)
    assert "Each row that Klaviyo refuses without naming it costs up to 20 more requests" in str(preview)
    assert "and up to 20 for each row refused without being named" in preview.to_html()
    assert "without naming" not in str(Preview("create_profile", rows=9, requests_expected=9))
