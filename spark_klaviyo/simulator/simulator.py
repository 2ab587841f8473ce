"""The simulator's front: start it, point a client at its url, look at what it received."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from spark_klaviyo.simulator import inspection
from spark_klaviyo.simulator.api.table import OPERATIONS
from spark_klaviyo.simulator.clock import SimulatedClock, iso
from spark_klaviyo.simulator.errors import JsonObject
from spark_klaviyo.simulator.faults import Fault, FaultBook, read_faults
from spark_klaviyo.simulator.gate import Gate
from spark_klaviyo.simulator.http.keys import KeyRing
from spark_klaviyo.simulator.http.limits import Limiter
from spark_klaviyo.simulator.http.queries import read_query
from spark_klaviyo.simulator.http.server import SimulatorServer
from spark_klaviyo.simulator.http.wire import Reply, Request, json_reply
from spark_klaviyo.simulator.recorded import RecordedRequest
from spark_klaviyo.simulator.routing import Router
from spark_klaviyo.simulator.state import consent as consents
from spark_klaviyo.simulator.state.account import Account
from spark_klaviyo.simulator.switches import Switches
from spark_klaviyo.simulator.views import AccountViews

ROUTER = Router(OPERATIONS)
MOST_JOBS_REMEMBERED = 500


class KlaviyoSimulator(AccountViews):
    """A simulated Klaviyo that answers HTTP requests on 127.0.0.1; use it in a `with` statement.

    Args:
        port: The port to listen on; 0 is any free one.
        api_keys: The keys that are good, or a mapping of each to its scopes, where None is all. Without it every key
            that begins with `pk_` and every token is good, with all scopes.
        lists: Ids and names of the account's lists. Without it there are two, `Y6nRLr` and `Lst1Aa`.
        latency: Seconds to wait before each reply.
        limits: "published" limits requests as Klaviyo documents for each endpoint; "off" does not.
        burst: The requests per second to each endpoint, in place of the documented ones; limits requests.
        steady: The same per minute.
        phase: Where the minute windows begin, in simulated seconds; None is random by account and endpoint.
        speed: Simulated seconds per real second.
        seed: What is random repeats with the same seed.
        faults: What goes wrong: `Fault` objects, or the path of a JSON file with a list of their fields.
        keep_bodies: Whether `requests` holds every request; otherwise they are only counted, in `request_counts`.
        clock: A function that returns real seconds.
        **switches: Fields of `Switches`: what is not known of Klaviyo, and what a test may want otherwise.

    Raises:
        ValueError: If `limits`, a switch or a fault is none of its choices.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        api_keys: Mapping[str, Iterable[str] | None] | Iterable[str] | None = None,
        lists: Mapping[str, str] | None = None,
        latency: float = 0.0,
        limits: str = "off",
        burst: int | None = None,
        steady: int | None = None,
        phase: float | None = None,
        speed: float = 1.0,
        seed: int = 0,
        faults: Iterable[Fault] | str | Path | None = None,
        keep_bodies: bool = True,
        clock: Callable[[], float] = time.monotonic,
        **switches: Any,
    ) -> None:
        if limits not in ("off", "published"):
            message = f"limits must be 'off' or 'published', not {limits!r}"
            raise ValueError(message)
        self.switches = Switches(**switches)
        self.latency = latency
        self.clock = SimulatedClock(speed, clock)
        self._keys = KeyRing(api_keys)
        self._limits = (limits == "published" or bool(burst or steady), burst, steady, phase)
        self._lists = lists
        self._seed = seed
        self._given_faults = read_faults(faults)
        self._keep_bodies = keep_bodies
        self._recording = threading.Lock()
        self._server = SimulatorServer(port, self._answer, self.clock.now)
        self._thread: threading.Thread | None = None
        self.reset()

    @property
    def url(self) -> str:
        """http://127.0.0.1:PORT, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> KlaviyoSimulator:
        """Serve in a thread of its own."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._server.serve_forever, args=(0.01,), name="klaviyo-simulator", daemon=True
            )
            self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving; open connections are cut, what was received stays readable."""
        if self._thread is None:
            self._server.server_close()
            return
        self._server.end()
        self._thread.join()
        self._thread = None

    def __enter__(self) -> KlaviyoSimulator:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def reset(self) -> None:
        """Begin anew: no profiles and no requests, and the lists and faults that were given at first."""
        self.account = Account(self.switches, self.clock, self._lists)
        self.keep_bodies(self._keep_bodies)
        self.requests: list[RecordedRequest] = []
        self.request_counts: Counter[tuple[str, int | None]] = Counter()
        self._faults = FaultBook(self._seed)
        self._faults.add(self._given_faults)
        on, burst, steady, phase = self._limits
        limiter = Limiter(
            on=on,
            burst=burst,
            steady=steady,
            phase=phase,
            limited_counts=self.switches.limited_counts,
            header_window=self.switches.header_window,
            seed=self._seed,
        )
        self._gate = Gate(ROUTER, self._keys, limiter, self._faults, self.account, self.url)

    def inject(self, *faults: Fault) -> None:
        """Add faults to those that are in force."""
        self._faults.add(faults)

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._faults.clear()

    def revoke(self, key: str) -> None:
        """Answer requests with this key with 401 from now on."""
        self._keys.revoke(key)

    def keep_bodies(self, on: bool) -> None:
        """Whether to hold every request; otherwise they are only counted, and old jobs forgotten, to save memory."""
        self._keep_bodies = on
        self.account.jobs.remember = None if on else MOST_JOBS_REMEMBERED

    def add_profiles(self, profiles: int | Iterable[JsonObject], list_id: str | None = None) -> None:
        """Add profiles, given as their attributes or as a number of made-up ones, to the account and to a list."""
        if isinstance(profiles, int):
            first = len(self.account.profiles.by_id)
            profiles = [{"email": f"person{first + number}@example.com"} for number in range(profiles)]
        now = self.clock.now()
        with self.account.lock:
            for attributes in profiles:
                row = {
                    "id": attributes.get("id"),
                    "attributes": {key: value for key, value in attributes.items() if key != "id"},
                }
                profile, _ = self.account.profiles.upsert(row, now, clears=False)
                if list_id is not None:
                    self.account.lists[list_id].add(profile["id"], now)

    def set_consent(self, person: str, channel: str, consent: str, at: float | None = None) -> None:
        """Set the consent of a profile, by email or phone, to a channel (`email`, `sms`, `sms.transactional`, `push`).

        `at`: since when, in simulated seconds since 1970; now unless given.
        """
        now = self.clock.now()
        medium, _, use = channel.partition(".")
        with self.account.lock:
            name = "mobile_push" if medium == "push" else medium
            record = consents.channel(self._person(person), name, use or "marketing")
            consents.set_consent(self._person(person), name, use or "marketing", consent, at or now, at or now)
            record["last_updated"] = record["consent_timestamp"]

    def suppress(self, email: str, reason: str = "USER_SUPPRESSED", list_id: str = "", at: float | None = None) -> None:
        """Suppress a profile for a reason, for all emails or for those of a list."""
        moment = at or self.clock.now()
        with self.account.lock:
            if not list_id:
                consents.suppress(self._person(email), reason, moment)
                return
            entry = {"list_id": list_id, "reason": reason, "timestamp": iso(moment)}
            consents.email_marketing(self._person(email))["list_suppressions"].append(entry)

    def _person(self, name: str) -> JsonObject:
        field = "email" if "@" in name else "phone_number"
        return self.account.profiles.matching(field, [name])[0]

    def _answer(self, request: Request) -> Reply:
        if request.path.startswith(inspection.PREFIX):
            reply = self._inspected(request)
            if not request.path.startswith("/__sink"):
                return reply
        else:
            at = self.clock.elapsed()
            reply = self._gate.answer(request)
            reply.delay += self.latency
            self._record(request, reply, at)
            return reply
        self._record(request, reply, self.clock.elapsed())
        return reply

    def _record(self, request: Request, reply: Reply, at: float) -> None:
        status = reply.status if reply.act == "send" else None
        with self._recording:
            self.request_counts[reply.operation, status] += 1
            if self._keep_bodies:
                query = read_query(request.target)
                self.requests.append(
                    RecordedRequest(
                        request.method, request.path, query, request.headers, request.body, status, at, reply.operation
                    )
                )

    def _inspected(self, request: Request) -> Reply:
        if request.path == "/__state":
            return inspection.state(self.account, request)
        if request.path == "/__requests":
            counts = {f"{operation} {status}": count for (operation, status), count in self.request_counts.items()}
            return inspection.requests(list(self.requests), counts)
        if request.path == "/__reset" and request.method == "POST":
            self.reset()
            return json_reply(200, {}, media_type=inspection.JSON)
        if request.path.startswith("/__sink"):
            return json_reply(200, {}, media_type=inspection.JSON)
        return json_reply(404, {"message": "no such page"}, media_type=inspection.JSON)
