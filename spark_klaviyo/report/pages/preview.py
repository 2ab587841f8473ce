"""The result of `preview_klaviyo`: what a write would send, as text, page and dictionary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from spark_klaviyo.core import exact_json
from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.core.models import Target
from spark_klaviyo.report.counts.text import counted, duration, size
from spark_klaviyo.report.pages.page import Page, Targeted

HIDDEN = "***"
DROPPED = "dropped"
CUSTOM_PROPERTY = "custom property"


@dataclass(frozen=True)
class PreviewRequest:
    """One request that the first rows would make, as it would be sent, but for the key.

    `url` and `body` may hold a person's data; `unfilled` is the URL before values of a row are filled in, for texts
    and logs, and is needed only where it differs.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: str
    rows: int
    bytes: int
    unfilled: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", tuple(map(_redacted, self.headers)))

    @property
    def target(self) -> str:
        """Method and URL without a value of a row."""
        return f"{self.method} {self.unfilled or self.url}"

    @property
    def amount(self) -> str:
        """How much it holds, in words."""
        return f"{counted(self.rows, 'row')}, {size(self.bytes)}"

    @property
    def header_text(self) -> str:
        """The headers, one on a line."""
        return "\n".join(f"{name}: {value}" for name, value in self.headers)

    @property
    def body_text(self) -> str:
        """The body for people to read: JSON is indented, with every digit as it is sent."""
        value = exact_json.try_loads(self.body)
        return (
            exact_json.dumps(value, indent=2).decode(errors="replace") if isinstance(value, dict | list) else self.body
        )

    def __repr__(self) -> str:
        return f"PreviewRequest({self.target}, rows={self.rows}, bytes={self.bytes})"


def _redacted(header: tuple[str, str]) -> tuple[str, str]:
    name, value = header
    if name.lower() not in ("authorization", "proxy-authorization") or value.endswith(HIDDEN):
        return header
    scheme = value.split(" ", 1)[0] if " " in value else ""
    return name, f"{scheme} {HIDDEN}".strip()


@dataclass(frozen=True)
class MappedColumn:
    """Where a column goes.

    `becomes` is a field's path, `custom property` or `dropped`; `hint` a did-you-mean; `sure` how sure its name is
    (`certain`, `likely`, `ask`, `secret`, `no effect`; blank where an option names it, or where the name says
    nothing); `instead` the entry of `fields` to write for another place.
    """

    column: str
    becomes: str
    hint: str = ""
    sure: str = ""
    instead: str = ""

    @property
    def said(self) -> str:
        """All that is to be said of it, in a line."""
        otherwise = f"otherwise {self.instead}" if self.instead else ""
        return "; ".join(filter(None, (self.sure, self.hint, otherwise)))


@dataclass(frozen=True)
class PreviewRejection:
    """A row among the first that would be rejected: its number, and why."""

    row: int
    code: str
    detail: str = ""


@dataclass(frozen=True, repr=False)
class MirrorSets:
    """What a mirror would change: people to add, members to remove, and how many removals are allowed.

    `additions_sample` and `removals_sample` are a few people's identifiers. `unidentified_rows` have no identifier that
    can be compared and may mean any member, so that nobody is removed.
    """

    members: int
    additions: int
    removals: int
    max_removals: int
    additions_sample: tuple[str, ...] = ()
    removals_sample: tuple[str, ...] = ()
    unidentified_rows: int = 0

    @property
    def sends_nothing(self) -> bool:
        """Whether the write would stop before it adds anybody, as `max_removals` forbids what it would remove."""
        return self.removals - self.unidentified_rows > self.max_removals

    @property
    def removes_nobody(self) -> bool:
        """Whether the write would stop before it removes anybody."""
        return self.sends_nothing or self.unidentified_rows > 0

    def __str__(self) -> str:
        members = counted(self.members, "member")
        text = f"the list has {members}: {self.additions:,} would be added, {self.removals:,} would be removed"
        if self.unidentified_rows and not self.sends_nothing:
            rows = counted(self.unidentified_rows, "row")
            return f"{text}; but {rows} could mean any member, so the write would add, remove nobody and stop"
        stops = ", so the write would stop and send nothing" if self.sends_nothing else ""
        return f"{text} (max_removals allows {self.max_removals:,}{stops})"

    def __repr__(self) -> str:
        return f"<MirrorSets: {self}>"


@dataclass(frozen=True, repr=False)
class Preview(Targeted, Page):
    """A dry run: the first rows' requests, where each column goes, and what the whole DataFrame would take.

    `more_requests` may come on top of the expected ones, as each task fills its own last request. A notebook shows the
    requests with their bodies, which is what a preview is for; `str`, `repr` and `to_dict` leave the bodies and every
    other value of a row out.
    """

    template: str
    requests: tuple[PreviewRequest, ...] = ()
    mapping: tuple[MappedColumn, ...] = ()
    rejected: tuple[PreviewRejection, ...] = ()
    warnings: tuple[str, ...] = ()
    rows: int = 0
    requests_expected: int = 0
    bytes_expected: int = 0
    minutes_expected: float = 0.0
    mirror: MirrorSets | None = None
    more_requests: int = 0
    target: Target = field(default_factory=Target)
    requests_per_bad_row: int = 0

    page_template = "preview.html"

    def headline(self) -> str:
        """One sentence: what the whole write would take."""
        requests, sent = counted(self.requests_expected, "request"), size(self.bytes_expected)
        amount = f"{counted(self.rows, 'row')}, {requests}, {sent}, about {self._time_expected}"
        account = f"; account {self.target}" if str(self.target) else ""
        return f"Nothing was sent. The whole write: {amount}{account}"

    def page_values(self) -> dict[str, object]:
        """What the page shows."""
        return {
            "title": f"Klaviyo preview: {self.template}",
            "pill": {"tone": "dim", "text": "Preview"},
            "headline": self.headline(),
            "time_expected": self._time_expected,
            "not_fields": (CUSTOM_PROPERTY, DROPPED),
        }

    def to_dict(self, *, bodies: bool = False) -> dict[str, object]:
        """The preview as JSON can hold it; `bodies` adds URLs as filled, bodies, and details: a person's data."""
        form = asdict(self)
        form |= form.pop("target")
        for request, shown in zip(self.requests, form["requests"], strict=True):
            shown["url"] = request.url if bodies else request.unfilled or request.url
            del shown["unfilled"]
            if not bodies:
                del shown["body"]
        for row in [] if bodies else form["rejected"]:
            del row["detail"]
        if form["mirror"] is not None and not bodies:
            del form["mirror"]["additions_sample"], form["mirror"]["removals_sample"]
        return form

    def text(self, *, bodies: bool = False) -> str:
        """The preview for a terminal; `bodies` adds what holds a person's data: URLs as filled, bodies, details."""
        return "\n".join(self._lines(bodies))

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Preview {self.template}: {self.headline()}>"

    @property
    def _time_expected(self) -> str:
        return duration(max(60 * self.minutes_expected, 1))

    def _lines(self, bodies: bool) -> Iterator[str]:
        yield self.headline()
        if self.more_requests:
            yield f"Up to {counted(self.more_requests, 'more request')}, as each task fills its own last one"
        if self.requests_per_bad_row:
            more = counted(self.requests_per_bad_row, "more request")
            yield f"Each row that Klaviyo refuses without naming it costs up to {more}, sent in halves to find it"
        yield from (f"warning: {warning}" for warning in self.warnings)
        if self.mirror is not None:
            yield str(self.mirror)
            if bodies:
                yield from (f"  would be removed: {person}" for person in self.mirror.removals_sample)
                yield from (f"  would be added: {person}" for person in self.mirror.additions_sample)
        width = max((len(column.column) for column in self.mapping), default=0)
        for column in self.mapping:
            yield f"  {column.column:<{width}} -> {column.becomes}{f'  ({column.said})' if column.said else ''}"
        for row in self.rejected:
            reason = row.detail if bodies else RejectCode.text_of(row.code)
            yield f"row {row.row:,} would be rejected: {row.code}{f', {reason}' if reason else ''}"
        for request in self.requests:
            target = f"{request.method} {request.url}" if bodies else request.target
            yield f"{target}  ({request.amount})"
            yield from (f"  {line}" for line in request.header_text.splitlines())
            if bodies:
                yield request.body_text
