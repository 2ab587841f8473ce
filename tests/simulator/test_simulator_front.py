"""The simulator as a whole: HTTP, inspection, its command, and what it must not import."""

from __future__ import annotations

import ast
import http.client
import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import spark_klaviyo.simulator
from spark_klaviyo.simulator import KlaviyoSimulator, RecordedRequest
from spark_klaviyo.simulator.clock import read_time
from spark_klaviyo.simulator.command import simulate
from spark_klaviyo.simulator.rules import profiles as shapes
from tests.simulator.wire_client import HEADERS, call, import_body, import_rows, profile

PACKAGE = Path(spark_klaviyo.simulator.__file__).parent


def test_requests_are_recorded_as_they_came() -> None:
    with KlaviyoSimulator() as klaviyo:
        import_rows(klaviyo, [{"email": "a@b.co"}])
        call(klaviyo, "GET", "/api/lists/?filter=equals(name,%22VIP%22)")

    first, second = klaviyo.requests
    assert isinstance(first, RecordedRequest)
    assert (first.method, first.path, first.status, first.operation) == (
        "POST",
        "/api/profile-bulk-import-jobs",
        202,
        "bulk_import_profiles",
    )
    assert first.json() == import_body([{"email": "a@b.co"}])
    assert first.headers["authorization"] == first.headers["Authorization"] == HEADERS["Authorization"]
    assert second.query == {"filter": 'equals(name,"VIP")'}
    assert 0 <= first.at <= second.at


def test_recording_of_bodies_can_be_turned_off() -> None:
    with KlaviyoSimulator(keep_bodies=False) as klaviyo:
        import_rows(klaviyo, [{"email": "a@b.co"}])
        assert klaviyo.requests == []
        assert klaviyo.request_counts == {("bulk_import_profiles", 202): 1}
        klaviyo.keep_bodies(True)
        import_rows(klaviyo, [{"email": "a@b.co"}])
        assert len(klaviyo.requests) == 1


def test_without_bodies_old_finished_jobs_are_forgotten_too() -> None:
    with KlaviyoSimulator(keep_bodies=False, job_seconds=0) as klaviyo:
        for number in range(510):
            import_rows(klaviyo, [{"external_id": str(number)}])
            assert klaviyo.jobs  # looking settles what is due
        assert len(klaviyo.jobs) == 500
        assert len(klaviyo.profiles) == 510
        assert klaviyo.job_rows == {"complete": 510}  # their rows are not


def test_one_connection_carries_many_requests_and_chunks() -> None:
    body = json.dumps(import_body([{"email": "a@b.co"}])).encode()
    with KlaviyoSimulator() as klaviyo:
        connection = http.client.HTTPConnection(klaviyo.url.removeprefix("http://"), timeout=10)
        for _ in range(3):
            connection.request(
                "POST", "/api/profile-bulk-import-jobs", iter([body[:10], body[10:]]), HEADERS, encode_chunked=True
            )
            reply = connection.getresponse()
            assert (reply.status, reply.version) == (202, 11)
            reply.read()
            connection.request("DELETE", "/api/lists/nosuch", headers=HEADERS)
            assert connection.getresponse().read()
        connection.close()


def test_many_clients_at_once_lose_nothing() -> None:
    with KlaviyoSimulator() as klaviyo:

        def send(number: int) -> int:
            return import_rows(klaviyo, [{"email": f"p{number}-{row}@b.co"} for row in range(20)], "Y6nRLr").status

        with ThreadPoolExecutor(16) as pool:
            statuses = set(pool.map(send, range(64)))

        assert statuses == {202}
        assert len(klaviyo.profiles) == len(klaviyo.lists["Y6nRLr"]) == 64 * 20


def test_the_account_can_be_inspected_and_reset_over_http() -> None:
    with KlaviyoSimulator() as klaviyo:
        import_rows(klaviyo, [{"email": f"p{number}@b.co"} for number in range(5)], "Y6nRLr")
        state = call(klaviyo, "GET", "/__state?limit=2").json
        log = call(klaviyo, "GET", "/__requests").json
        call(klaviyo, "POST", "/__reset")
        empty = call(klaviyo, "GET", "/__state").json

    assert (state["counts"]["profiles"], len(state["profiles"])) == (5, 2)
    assert {"id": "Y6nRLr", "name": "Newsletter", "members": 5} in state["lists"]
    assert log["counts"] == {"bulk_import_profiles 202": 1}
    assert "Authorization" not in json.dumps(log)
    assert empty["counts"]["profiles"] == 0
    assert klaviyo.requests == []


def test_a_sink_takes_any_body_and_keeps_it() -> None:
    with KlaviyoSimulator() as klaviyo:
        got = call(klaviyo, "PUT", "/__sink/anything?x=1", b"<xml/>", {"Content-Type": "application/xml"})

    assert got.status == 200
    assert klaviyo.requests[0].body == b"<xml/>"


def test_lists_and_profiles_can_be_added_by_a_test() -> None:
    klaviyo = KlaviyoSimulator(lists={"L1": "One"})
    klaviyo.add_profiles(3, "L1")
    klaviyo.add_profiles([{"email": "a@b.co", "first_name": "Ann"}])
    klaviyo.stop()

    assert [held.name for held in klaviyo.lists.values()] == ["One"]
    assert len(klaviyo.lists["L1"]) == 3
    assert [held["email"] for held in klaviyo.lists["L1"]] == [held["email"] for held in klaviyo.lists["L1"].members]
    assert klaviyo.profiles[-1]["first_name"] == "Ann"


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ValueError, match="limits must be"):
        KlaviyoSimulator(limits="some")
    with pytest.raises(ValueError, match="header_window must be one of 'second', 'fewest', 'minute', not 'hour'"):
        KlaviyoSimulator(header_window="hour")
    with pytest.raises(TypeError, match="colour"):
        KlaviyoSimulator(colour="red")


def test_the_command_prints_its_url_and_serves_until_interrupted() -> None:
    output, until = Output(), threading.Event()
    served = threading.Thread(target=simulate, kwargs={"output": output, "until": until})
    served.start()
    assert output.written.wait(10)
    url = output.getvalue().strip()
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.request("GET", "/api/accounts", headers=HEADERS)
    assert connection.getresponse().status == 200
    connection.close()
    until.set()
    served.join(10)
    assert not served.is_alive()


class Output(io.StringIO):
    """A text stream that sets an event when something was flushed into it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def flush(self) -> None:
        super().flush()
        if self.getvalue():
            self.written.set()


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_the_simulator_imports_only_the_standard_library_and_itself(file: Path) -> None:
    import sys

    named = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            named.add(node.module or "")
    others = {name for name in named if not name.startswith("spark_klaviyo.simulator")}

    assert {name.partition(".")[0] for name in others} <= sys.stdlib_module_names


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T00:00:01.5+00:00", 1.5),
        ("1970-01-01T01:00:01.123456789+0100", 1.123456789),
        ("1970-01-02", 86_400.0),
        ("1970-01-01 00:01", 60.0),
        ("1970-01-01T25:00:00Z", None),
        ("1970-13-01", None),
        ("19700101", None),
        ("1970-W01-1", None),
        ("", None),
    ],
)
def test_times_are_read_the_same_on_every_python(text: str, moment: float | None) -> None:
    assert read_time(text) == moment


KEYS = st.sampled_from(["data", "type", "id", "attributes", "email", "location", "meta", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_the_checker_judges_any_json_and_points_inside_it(document: object) -> None:
    for problem in shapes.import_job(anonymous=False).problems(document, "data"):
        at: object = document
        for step in problem.path[:-1]:
            at = at[step]  # type: ignore[index]
        assert isinstance(at, (dict, list)) or problem.path == ()


@given(st.lists(st.sampled_from(["good", "bad email", "no identifier", "unknown"]), min_size=1, max_size=30))
def test_the_checker_names_exactly_the_bad_rows(kinds: list[str]) -> None:
    made = {
        "good": profile(email="a@b.co"),
        "bad email": profile(email="no"),
        "no identifier": profile(first_name="x"),
        "unknown": profile(email="a@b.co", colour="red"),
    }
    body = {
        "data": {
            "type": "profile-bulk-import-job",
            "attributes": {"profiles": {"data": [made[kind] for kind in kinds]}},
        }
    }

    named = {problem.rows[0] for problem in shapes.import_job(anonymous=False).problems(body, "data")}

    assert named == {number for number, kind in enumerate(kinds) if kind != "good"}
