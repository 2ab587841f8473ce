"""Everything the simulated account holds, behind one lock."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from spark_klaviyo.simulator.clock import SimulatedClock
from spark_klaviyo.simulator.errors import JsonObject
from spark_klaviyo.simulator.state.jobs import JobBook
from spark_klaviyo.simulator.state.lists import SimulatedList
from spark_klaviyo.simulator.state.profiles import ProfileStore
from spark_klaviyo.simulator.switches import Switches

ACCOUNT_ID = "ABcd12"
DEFAULT_LISTS = {"Y6nRLr": "Newsletter", "Lst1Aa": "VIP"}
DEFAULT_TAG_GROUP = "7c1f4f0e-2a51-4c1b-9f1e-0a6d3b2c1d02"


class Account:
    """The account's state. `lock` guards all of it; the gate takes it around each call."""

    def __init__(self, switches: Switches, clock: SimulatedClock, lists: Mapping[str, str] | None) -> None:
        self.id = ACCOUNT_ID
        self.switches = switches
        self.clock = clock
        self.lock = threading.RLock()
        self.profiles = ProfileStore()
        self.jobs = JobBook(self.id)
        self.events: list[JsonObject] = []
        self.event_keys: dict[tuple[str, str, str], int] = {}
        self.metrics: dict[str, JsonObject] = {}
        self.items: dict[str, JsonObject] = {}
        self.variants: dict[str, JsonObject] = {}
        self.categories: dict[str, JsonObject] = {}
        self.coupons: dict[str, JsonObject] = {}
        self.coupon_codes: dict[str, JsonObject] = {}
        self.data_sources: dict[str, JsonObject] = {}
        self.records: list[JsonObject] = []
        self.deleted_records: list[str] = []
        self.tags: dict[str, JsonObject] = {}
        self.tag_groups: dict[str, JsonObject] = {}
        self.segments: dict[str, JsonObject] = {}
        self.push_tokens: dict[str, JsonObject] = {}
        self.back_in_stock: list[JsonObject] = []
        self.reviews: dict[str, JsonObject] = {}
        self.deleted: list[JsonObject] = []
        self.merged: dict[str, str] = {}
        self.excluded: set[str] = set()
        self._numbers: dict[str, int] = {}
        now = clock.now()
        self.lists: dict[str, SimulatedList] = {}
        for list_id, name in (DEFAULT_LISTS if lists is None else lists).items():
            self.lists[list_id] = SimulatedList(list_id, name, self.profiles.by_id, now)
        self.tag_groups[DEFAULT_TAG_GROUP] = {
            "id": DEFAULT_TAG_GROUP,
            "name": "Tags",
            "exclusive": False,
            "default": True,
        }

    def number(self, what: str) -> int:
        """1, 2, 3 ... for each kind of thing that needs an id."""
        self._numbers[what] = self._numbers.get(what, 0) + 1
        return self._numbers[what]

    def ulid(self, what: str) -> str:
        """An id of 26 characters."""
        return f"01M2ZK7Q5{what[:1].upper()}{self.number(what):016d}"

    def drop_profile(self, profile: JsonObject) -> None:
        """Take a profile out of the account and of every list."""
        for held in self.lists.values():
            held.remove(profile["id"])
        self.profiles.remove(profile)
