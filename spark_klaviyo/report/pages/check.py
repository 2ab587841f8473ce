"""The result of `check_klaviyo`, one line for each check, as text, page and dictionary."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from spark_klaviyo.report.pages.page import Page

_WORDS = {True: "ok", False: "failed", None: "not checked"}


@dataclass(frozen=True)
class CheckLine:
    """One check: `ok` is None where it could not be made; `advice` says what to do about it."""

    name: str
    ok: bool | None
    detail: str = ""
    advice: str = ""

    @property
    def result(self) -> str:
        """The result in words."""
        return _WORDS[self.ok]

    def __str__(self) -> str:
        text = f"  {self.result:<11}  {self.name}{f': {self.detail}' if self.detail else ''}"
        return f"{text}\n{'':15}{self.advice.replace('`', '')}" if self.advice else text


@dataclass(frozen=True, repr=False)
class CheckResult(Page):
    """All checks, and the account that the key belongs to; `sent` says whether a sample row was sent, as asked for."""

    lines: tuple[CheckLine, ...]
    account: str = ""
    template: str = ""
    sent: bool = False

    page_template = "check.html"

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return all(line.ok is not False for line in self.lines)

    def headline(self) -> str:
        """One sentence: whether a write can begin, and to which account."""
        failed = [line.name for line in self.lines if line.ok is False]
        if failed:
            return f"Not ready: {', '.join(failed)}"
        account = f" to {self.account}" if self.account else ""
        unknown = not self.sent and any(line.ok is None for line in self.lines)
        return f"Ready to write{account}{', as far as reading can show' if unknown else ''}"

    def page_values(self) -> dict[str, object]:
        """What the page shows."""
        return {
            "title": f"Klaviyo check: {_WORDS[self.ok]}",
            "pill": {"tone": "good", "text": "Ready"} if self.ok else {"tone": "bad", "text": "Not ready"},
            "template": self.template or "check",
            "headline": self.headline(),
        }

    def to_dict(self) -> dict[str, object]:
        """The result as JSON can hold it."""
        return {"ok": self.ok, **asdict(self)}

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return "\n".join([self.headline(), *map(str, self.lines)])

    def __repr__(self) -> str:
        return f"<CheckResult: {self.headline()}>"
