"""The closed sets of values that options take, one Enum for each option. A member's value is the text that users write.

Sets that templates and requests need too (`Api`, `KeyIn`, `ContentFormat`, `OnDelete`) are in `core.codes`.
"""

from __future__ import annotations

from spark_klaviyo.core.codes import Choice


class Resend(Choice):
    """`resend`: whether a request whose answer was lost is sent again."""

    AUTO = "auto"  # where the template says that it is idempotent
    ALWAYS = "always"
    NEVER = "never"


class SendFrom(Choice):
    """`send_from`: the processes that send."""

    AUTO = "auto"  # executors; under Connect the calling process, where executors cannot reach the endpoint
    EXECUTORS = "executors"
    DRIVER = "driver"


class OtherColumns(Choice):
    """`other_columns`: what becomes of columns that are no field of the template."""

    PROPERTIES = "properties"
    DROP = "drop"
    ERROR = "error"


class Nulls(Choice):
    """`nulls`: whether null values are left out or sent."""

    OMIT = "omit"
    SEND = "send"


class Validate(Choice):
    """`validate`: what becomes of a row that fails a check before sending."""

    STRICT = "strict"  # rejected
    WARN = "warn"  # sent, and counted in a warning
    OFF = "off"  # not checked


class OnBadPhone(Choice):
    """`on_bad_phone`: what an invalid phone number does to a row that has another identifier."""

    REJECT = "reject"
    DROP = "drop"


class OnReject(Choice):
    """`on_reject`: how a write ends that rejected rows."""

    FAIL = "fail"  # raises RowsRejected
    KEEP = "keep"


class Progress(Choice):
    """`progress`: whether a progress bar is shown."""

    AUTO = "auto"  # on a terminal or in a notebook
    ALWAYS = "true"  # log lines where there is neither
    NEVER = "false"


class ListMode(Choice):
    """`list_mode`: whether rows are added to the list, or the list becomes exactly the DataFrame."""

    ADD = "add"
    MIRROR = "mirror"
