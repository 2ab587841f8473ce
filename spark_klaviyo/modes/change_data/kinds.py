"""What a change is, and what becomes of its row."""

from __future__ import annotations

from enum import IntEnum
from typing import Self

from spark_klaviyo.core.codes import RejectCode

KIND = "klaviyo_change"  # the column that holds the kind of a row
INSERTS = ("insert", "i", "create", "c")  # words of the change column; besides a delete, they are a replacement


def _rejected(value: int, text: str, code: RejectCode, detail: str) -> tuple[object, ...]:
    """A member whose rows are rejected."""
    return value, text, (), "", False, code, detail


class ChangeKind(IntEnum):
    """What becomes of a row, in the order in which tasks read the kinds.

    `text` names rows of the kind in a preview, `words` are what the change column holds for it, `skipped_because` is
    why rows of it are not sent, and `warns` whether they are counted in a warning, too. Rows of a kind with `code` are
    rejected with it, for the reason `detail`.
    """

    text: str
    words: tuple[str, ...]
    skipped_because: str
    warns: bool
    code: RejectCode | None
    detail: str

    UPSERT = (
        0,
        "inserts and updates",
        (*INSERTS, "update_postimage", "update", "u", "upsert", "read", "r"),
    )
    DELETE = 1, "deletes", ("delete", "d", "remove")
    FURTHER = 2, "other emails that deleted people had"
    FORMER = 3, "pre-images of people who have other identifiers, or another list, now"
    UNKNOWN = _rejected(
        4,
        "changes of no known kind, to be rejected",
        RejectCode.BAD_VALUE,
        "the column {change_column!r} holds neither insert, update or delete nor a change type of Delta's change feed",
    )
    NO_KEY = _rejected(
        5,
        "changes without a key, to be rejected",
        RejectCode.MISSING_FIELD,
        "change_key: its columns are empty in this row, so it is unknown which row was changed",
    )
    TIED = _rejected(
        6,
        "changes of which none is the last, to be rejected",
        RejectCode.AMBIGUOUS_CHANGE,
        "several changes of this row differ, and the column {change_order!r} does not say which is the last",
    )
    CLAIMED = _rejected(
        7,
        "deletes of people whom another row inserts or updates, to be rejected",
        RejectCode.AMBIGUOUS_CHANGE,
        "another row inserts or updates a person with the same email or external_id, so this delete was not sent",
    )
    OLDER = 8, "older changes, to be skipped", (), "a later change of the same row counts, or an equal one"
    PREIMAGE = (
        9,
        "pre-images, to be skipped",
        ("update_preimage", "preimage", "before"),
        "a pre-image: what a row was before its update",
    )
    IGNORED = 10, "deletes, ignored", (), "a delete, and on_delete=ignore"
    LEFT_BEHIND = (
        11,
        "pre-images of people who have other identifiers now and stay as they are",
        (),
        "a pre-image that shares no identifier with what its row became: Klaviyo keeps it as it was",
        True,
    )
    STAYS_ON_LIST = (
        12,
        "pre-images of people who have another list now and stay on the old one",
        (),
        "a pre-image on another list than what its row became: it stays on the old list",
        True,
    )
    NOT_DELETED = (
        13,
        "older deletes of people who share no identifier with the later change of their row, to be skipped",
        (),
        "a delete of somebody who shares no identifier with the later change of the same row, which counts",
        True,
    )

    def __new__(
        cls,
        value: int,
        text: str = "",
        words: tuple[str, ...] = (),
        skipped_because: str = "",
        warns: bool = False,
        code: RejectCode | None = None,
        detail: str = "",
    ) -> Self:
        """A member that equals its number."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.text, member.words, member.skipped_because, member.warns = text, words, skipped_because, warns
        member.code, member.detail = code, detail
        return member


DELETES = (ChangeKind.DELETE, ChangeKind.FURTHER, ChangeKind.FORMER)  # sent as deletes, each with one identifier
