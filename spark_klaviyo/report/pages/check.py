"""What the Test button found, a line a check."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from spark_klaviyo.report.pages.html import Markup, Rendered, element, fragment, marked, section, table

_MARKS = {True: ("✓", "good", "ok"), False: ("✗", "bad", "failed"), None: ("–", "dim", "not checked")}


@dataclass(frozen=True)
class CheckLine:
    """One check: `ok` is None where it could not be made; `advice` what to do about it."""

    name: str
    ok: bool | None
    detail: str = ""
    advice: str = ""


@dataclass(frozen=True, repr=False)
class CheckResult(Rendered):
    """All checks, and the account that the key belongs to; `ok` when none failed."""

    lines: tuple[CheckLine, ...]
    account: str = ""
    template: str = ""
    sent: bool = False  # one sample row was sent, because it was asked for

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return all(line.ok is not False for line in self.lines)

    @property
    def title(self) -> str:
        """The title of the result's page."""
        return f"Klaviyo check: {'ok' if self.ok else 'failed'}"

    def headline(self) -> str:
        """One sentence: whether a write can begin, and where."""
        failed = [line.name for line in self.lines if line.ok is False]
        if failed:
            return f"Not ready: {', '.join(failed)}"
        where = f" to {self.account}" if self.account else ""
        unknown = not self.sent and any(line.ok is None for line in self.lines)
        return f"Ready to write{where}{', as far as reading can show' if unknown else ''}"

    def fragment(self) -> Markup:
        """The result as a notebook shows it."""
        pill = ("good", "Ready") if self.ok else ("bad", "Not ready")
        note = "One sample row was sent." if self.sent else "Nothing was written."
        columns = ["check", "result", *(["what to do"] if any(line.advice for line in self.lines) else [])]
        checks = section("Checks", table(columns, (_row(line)[: len(columns)] for line in self.lines)))
        return fragment(pill, self.template or "check", self.headline(), [checks], (note,))

    def to_dict(self) -> dict[str, object]:
        """The result as JSON can hold it."""
        return {"ok": self.ok, **asdict(self)}

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return "\n".join([self.headline(), *map(_told, self.lines)])

    def __repr__(self) -> str:
        return f"<CheckResult: {self.headline()}>"


def _told(line: CheckLine) -> str:
    told = f"  {_MARKS[line.ok][2]:<11}  {line.name}{f': {line.detail}' if line.detail else ''}"
    return f"{told}\n{'':15}{line.advice.replace('`', '')}" if line.advice else told


def _row(line: CheckLine) -> tuple[object, ...]:
    sign, tone, words = _MARKS[line.ok]
    mark = element("span", sign, kind=f"mark {tone}", more=f'role="img" aria-label="{words}"')
    return element("span", mark, element("b", line.name)), line.detail, marked(line.advice)
