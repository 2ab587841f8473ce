"""Lists and their members, in the order they joined."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import islice

from spark_klaviyo.simulator.errors import JsonObject


class SimulatedList:
    """A list: `id`, `name`, `members` (profiles); its length is its member count, iterating gives the profiles."""

    def __init__(
        self,
        list_id: str,
        name: str,
        profiles: Mapping[str, JsonObject],
        now: float = 0.0,
        opt_in: str = "single_opt_in",
    ) -> None:
        self.id = list_id
        self.name = name
        self.created = self.updated = now
        self.opt_in_process = opt_in
        self.joined: dict[str, tuple[int, float]] = {}
        self._profiles = profiles
        self._order: list[tuple[int, str]] = []
        self._next = 0

    @property
    def members(self) -> list[JsonObject]:
        """The members' profiles, first joined first."""
        return [self._profiles[profile_id] for profile_id in list(self.joined)]

    def __len__(self) -> int:
        return len(self.joined)

    def __iter__(self) -> Iterator[JsonObject]:
        return iter(self.members)

    def __contains__(self, profile_id: object) -> bool:
        return profile_id in self.joined

    def add(self, profile_id: str, now: float) -> None:
        """A member already there keeps its place and time (set semantics)."""
        if profile_id not in self.joined:
            self._next += 1
            self.joined[profile_id] = (self._next, now)
            self._order.append((self._next, profile_id))

    def remove(self, profile_id: str) -> None:
        """Removing someone who is no member is no error (set semantics)."""
        if self.joined.pop(profile_id, None) and len(self._order) > 2 * len(self.joined) + 100:
            self._order = [(place, member) for member, (place, _) in self.joined.items()]

    def after(self, place: int) -> Iterator[tuple[int, str, float]]:
        """(place, profile id, time joined) of the members behind a place."""
        start = bisect_right(self._order, place, key=lambda entry: entry[0])
        for number, profile_id in islice(self._order, start, None):
            held = self.joined.get(profile_id)
            if held is not None and held[0] == number:
                yield number, profile_id, held[1]
