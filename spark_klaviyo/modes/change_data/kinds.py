"""What a change is, and what becomes of its row."""

from __future__ import annotations

from enum import IntEnum
from typing import Self

from spark_klaviyo.core.codes import RejectCode

KIND = "klaviyo_change"  # the column that holds the kind of a row


class ChangeKind(IntEnum):
    """What becomes of a row, in the order in which tasks read the kinds.

    `text` names rows of the kind in a preview. `reason` is why rows of it are not sent: they are rejected where the
    kind has a `code`, and else skipped.
    """

    text: str
    reason: str
    code: RejectCode | None

    UPSERT = 0, "inserts and updates"
    DELETE = 1, "deletes"
    FURTHER = 2, "other emails that deleted people had"
    FORMER = 3, "pre-images of people who have other identifiers, or another list, now"
    UNKNOWN = (
        4,
        "changes of no known kind, to be rejected",
        "the column {change_column!r} holds neither insert, update or delete nor a change type of Delta's change feed",
        RejectCode.BAD_VALUE,
    )
    NO_KEY = (
        5,
        "changes without a key, to be rejected",
        "change_key: its columns are empty in this row, so it is unknown which row was changed",
        RejectCode.MISSING_FIELD,
    )
    TIED = (
        6,
        "changes of which none is the last, to be rejected",
        "several changes of this row differ, and the column {change_order!r} does not say which is the last",
        RejectCode.AMBIGUOUS_CHANGE,
    )
    CLAIMED = (
        7,
        "deletes of people whom another row inserts or updates, to be rejected",
        "another row inserts or updates a person with the same email or external_id, so this delete was not sent",
        RejectCode.AMBIGUOUS_CHANGE,
    )
    OLDER = 8, "older changes, to be skipped", "a later change of the same row counts, or an equal one"
    PREIMAGE = 9, "pre-images, to be skipped", "a pre-image: what a row was before its update"
    IGNORED = 10, "deletes, ignored", "a delete, and on_delete=ignore"
    LEFT_BEHIND = (
        11,
        "pre-images of people who have other identifiers now and stay as they are",
        "a pre-image that shares no identifier with what its row became: Klaviyo keeps it as it was",
    )
    STAYS_ON_LIST = (
        12,
        "pre-images of people who have another list now and stay on the old one",
        "a pre-image on another list than what its row became: it stays on the old list",
    )
    NOT_DELETED = (
        13,
        "older deletes of people who share no identifier with the later change of their row, to be skipped",
        "a delete of somebody who shares no identifier with the later change of the same row, which counts",
    )

    def __new__(cls, value: int, text: str = "", reason: str = "", code: RejectCode | None = None) -> Self:
        """A member that equals its number."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.text, member.reason, member.code = text, reason, code
        return member


INSERTS = ("insert", "i", "create", "c")  # besides a delete, they are a replacement
# What the change column may say, in any case.
WORDS = {
    ChangeKind.UPSERT: (*INSERTS, "update_postimage", "update", "u", "upsert", "read", "r"),
    ChangeKind.DELETE: ("delete", "d", "remove"),
    ChangeKind.PREIMAGE: ("update_preimage", "preimage", "before"),
}
DELETES = (ChangeKind.DELETE, ChangeKind.FURTHER, ChangeKind.FORMER)  # sent as deletes, each with one identifier
# Skipped, and counted in a warning, too: people whom nothing takes away.
WARNED = (ChangeKind.LEFT_BEHIND, ChangeKind.STAYS_ON_LIST, ChangeKind.NOT_DELETED)
