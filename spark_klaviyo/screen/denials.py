"""What the columns about consent of one row say against subscribing its person."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from spark_klaviyo.plan.consent_columns import ConsentColumn, consent_column
from spark_klaviyo.plan.model import RESUBSCRIBE, SAYS, WritePlan

# What a value of a column about consent says; a blank one says nothing, and one in other letters never says yes.
_YES = frozenset({
    "true", "t", "yes", "y", "1", "1.0", "on", "subscribed", "subscribe", "optedin", "optin", "singleoptin",
    "doubleoptin", "confirmedoptin", "accepted", "granted", "given", "consented", "express", "active",
    "ja", "oui", "si", "sim",
})  # fmt: skip
_NO = frozenset({
    "false", "f", "no", "n", "0", "0.0", "off", "none", "null", "nan", "na", "never", "neversubscribed", "nein", "non",
    "nee",
})  # fmt: skip


def signed_up_again(plan: WritePlan, params: Mapping[str, str]) -> bool:
    """Whether the row says that its person has signed up again."""
    return {**plan.settings, **params}.get(RESUBSCRIBE, "").strip().lower() == "true"


def denials(plan: WritePlan, params: Mapping[str, str]) -> Iterator[ConsentColumn]:
    """The columns that say that the person of a row has left, or does not consent; of any channel.

    Who has signed up again since may have left before.
    """
    again = signed_up_again(plan, params)
    for name, value in params.items():
        given = name.removeprefix(SAYS) if name.startswith(SAYS) and value.strip() else ""
        column = consent_column(given) or consent_column(given.rpartition(".")[2])  # a field of a struct
        word = re.sub("[^a-z0-9.]", "", value.lower().replace("\u00ed", "i"))
        if column is not None and (word not in _NO and not again if column.means_left else word not in _YES):
            yield replace(column, name=given)
