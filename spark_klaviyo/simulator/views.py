"""What a test reads off the simulator: copies of the account's collections, taken under its lock."""

from __future__ import annotations

from collections import Counter

from spark_klaviyo.simulator.errors import JsonObject
from spark_klaviyo.simulator.state import consent
from spark_klaviyo.simulator.state.account import Account
from spark_klaviyo.simulator.state.jobs import Job
from spark_klaviyo.simulator.state.lists import SimulatedList


class AccountViews:
    """Read-only views; each is a copy of the collection, its entries are the account's own."""

    account: Account

    def _settle(self) -> None:
        for job in list(self.account.jobs.by_id.values()):
            job.settle(self.account.clock.now(), self.account.switches)

    @property
    def profiles(self) -> list[JsonObject]:
        """Resources as stored: id, identifiers, names, location, properties, subscriptions."""
        with self.account.lock:
            self._settle()
            return list(self.account.profiles.by_id.values())

    @property
    def lists(self) -> dict[str, SimulatedList]:
        """Lists by id."""
        with self.account.lock:
            self._settle()
            return dict(self.account.lists)

    @property
    def events(self) -> list[JsonObject]:
        """metric, profile_id, time, value, value_currency, unique_id, properties."""
        with self.account.lock:
            return list(self.account.events)

    @property
    def jobs(self) -> dict[str, Job]:
        """Jobs by id."""
        with self.account.lock:
            self._settle()
            return dict(self.account.jobs.by_id)

    @property
    def job_rows(self) -> Counter[str]:
        """How many rows all jobs took, by the job's status; `keep_bodies(False)` forgets jobs, but not their rows."""
        with self.account.lock:
            self._settle()
            return self.account.jobs.rows()

    @property
    def items(self) -> dict[str, JsonObject]:
        """Catalog items by id."""
        return self._copy(self.account.items)

    @property
    def variants(self) -> dict[str, JsonObject]:
        """Catalog variants by id."""
        return self._copy(self.account.variants)

    @property
    def categories(self) -> dict[str, JsonObject]:
        """Catalog categories by id; each holds the ids of its items."""
        return self._copy(self.account.categories)

    @property
    def coupons(self) -> dict[str, JsonObject]:
        """Coupons by id."""
        return self._copy(self.account.coupons)

    @property
    def coupon_codes(self) -> dict[str, JsonObject]:
        """Coupon codes by `<coupon>-<code>`."""
        return self._copy(self.account.coupon_codes)

    @property
    def tags(self) -> dict[str, JsonObject]:
        """Tags by id; each holds what it is on."""
        return self._copy(self.account.tags)

    @property
    def tag_groups(self) -> dict[str, JsonObject]:
        """Tag groups by id."""
        return self._copy(self.account.tag_groups)

    @property
    def data_sources(self) -> dict[str, JsonObject]:
        """Data sources by id."""
        return self._copy(self.account.data_sources)

    @property
    def push_tokens(self) -> dict[str, JsonObject]:
        """Push tokens by token."""
        return self._copy(self.account.push_tokens)

    @property
    def reviews(self) -> dict[str, JsonObject]:
        """Reviews by id; put some in to have them moderated."""
        return self.account.reviews

    @property
    def segments(self) -> dict[str, JsonObject]:
        """Segments by id (`id`, `name`, `profile_ids`); put some in to use them."""
        return self.account.segments

    @property
    def records(self) -> list[JsonObject]:
        """Data-source records: data_source, record."""
        with self.account.lock:
            return list(self.account.records)

    @property
    def deleted_records(self) -> list[str]:
        """Ids of object records that were deleted."""
        with self.account.lock:
            return list(self.account.deleted_records)

    @property
    def back_in_stock(self) -> list[JsonObject]:
        """Back-in-stock subscriptions: variant, channels, profile_id."""
        with self.account.lock:
            return list(self.account.back_in_stock)

    @property
    def deleted(self) -> list[JsonObject]:
        """Profiles that a data-privacy request removed."""
        with self.account.lock:
            return list(self.account.deleted)

    @property
    def merged(self) -> dict[str, str]:
        """Source id to destination id of every merge."""
        with self.account.lock:
            return dict(self.account.merged)

    @property
    def suppressed(self) -> set[str]:
        """Emails that are USER_SUPPRESSED now."""
        with self.account.lock:
            self._settle()
            return {
                row["email"]
                for row in self.account.profiles.by_id.values()
                if row["email"] and consent.is_suppressed(row)
            }

    def _copy(self, held: dict[str, JsonObject]) -> dict[str, JsonObject]:
        with self.account.lock:
            self._settle()
            return dict(held)
