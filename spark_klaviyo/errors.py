"""What can go wrong, one class for each thing the caller must do next.

KlaviyoError
  OptionError    the call is wrong; nothing was sent                       (also a ValueError)
  SchemaError    the DataFrame does not fit the endpoint; nothing was sent  (also a ValueError)
  WriteStopped   sending was stopped; carries the report so far
  RowsRejected   everything sendable was sent, some rows were refused; carries the report
KlaviyoWarning   nothing is wrong, but the caller should know

The last two are defined in `report.report`, beside the report, so that this module imports nothing.
Messages say what was found, what was expected and what to do; none ever holds a key, a body or a value of a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class KlaviyoError(Exception):
    """Base of every error of this package."""


class KlaviyoWarning(UserWarning):
    """A notice that does not stop a write: of a column that may mean another field, or a secret that is not sent."""


class _ComplaintsError(KlaviyoError, ValueError):
    """A call that was refused before anything was sent; the message lists everything that is wrong with it."""

    opening = "cannot write to Klaviyo"

    def __init__(self, complaints: str | Iterable[str]) -> None:
        self.complaints: tuple[str, ...] = (complaints,) if isinstance(complaints, str) else tuple(complaints)
        super().__init__(self.complaints)

    def __str__(self) -> str:
        if len(self.complaints) == 1:
            return f"{self.opening}: {self.complaints[0]}"
        return f"{self.opening}:\n" + "\n".join(f"  {line}" for line in self.complaints)


class OptionError(_ComplaintsError):
    """The options are wrong, missing or contradict each other; nothing was sent."""


class SchemaError(_ComplaintsError):
    """The DataFrame's columns or types do not fit the endpoint; nothing was sent."""

    opening = "this DataFrame cannot be sent to Klaviyo"


def complain(complaints: Sequence[str], error: type[_ComplaintsError] = OptionError) -> None:
    """Raise `error` with all complaints at once; return quietly when there are none."""
    if complaints:
        raise error(complaints)
