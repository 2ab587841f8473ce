"""The README's generated tables: `python -m tests.docs` writes them between their markers, a test compares them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.entrypoints import capabilities
from spark_klaviyo.options.entrypoints import SESSION_ENTRY_POINTS, EntryPoint
from spark_klaviyo.options.table import OPTIONS, Option
from spark_klaviyo.plan.manual.formats import FORMATS
from spark_klaviyo.plan.types import TYPE_TABLE
from spark_klaviyo.preview.estimate import quota_seconds
from spark_klaviyo.report.text import duration
from spark_klaviyo.templates import CURRENT, markdown_table, templates
from spark_klaviyo.templates.model import Template
from tests.bench.stored import stored

README = Path(__file__).resolve().parent.parent / "README.md"
SIZES = (100_000, 1_000_000, 10_000_000, 100_000_000)
ROW_BYTES = 500  # a profile with a handful of custom properties
SIZED = (
    "add_profiles_to_list",
    "bulk_subscribe_profiles",
    "bulk_suppress_profiles",
    "bulk_create_events",
    "bulk_create_catalog_items",
    "bulk_create_coupon_codes",
    "bulk_create_data_source_records",
    "create_or_update_profile",
    "create_event",
)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    names = list(head)
    lines = [names, ["---"] * len(names), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def doors() -> str:
    """Door by promise."""
    return capabilities.markdown_table()


def template_table() -> str:
    """A row a template."""
    return markdown_table(templates())


def options() -> str:
    """Every option, with what it takes unasked and where it belongs."""
    return table(["option", "default", "meaning"], [_option(option) for option in OPTIONS])


def _option(option: Option) -> tuple[str, str, str]:
    default = "–" if option.default is None else f"`{option.default}`"
    words = [option.help]
    if option.mode != "both":
        words.append(f"{option.mode} mode only")
    if option.entry_points == SESSION_ENTRY_POINTS:
        words.append("session doors only")
    elif option.entry_points != frozenset(EntryPoint):
        words.append(f"at {', '.join(one.call for one in EntryPoint if one in option.entry_points)}")
    return f"`{option.name}`", default, "; ".join(words)


def types() -> str:
    """Every Spark type as JSON."""
    rows = [(f"`{name}`", text, f"`{example}`" if example else "") for name, (text, example) in TYPE_TABLE.items()]
    return table(["Spark", "JSON", "example"], rows)


def formats() -> str:
    """Content formats of manual mode."""
    return table(
        ["content_format", "Content-Type"], [(f"`{name}`", f"`{f.media_type}`") for name, f in FORMATS.items()]
    )


def codes() -> str:
    """The codes of rejected rows, besides Klaviyo's own."""
    return table(["code", "the row was rejected because"], [(f"`{code}`", code.text) for code in RejectCode])


def rows_a_request(template: Template) -> int:
    """How many rows of `ROW_BYTES` fit into a request."""
    limits = template.limits
    return max(1, min(limits.max_rows, limits.max_bytes // (ROW_BYTES + 1)))


def sizing() -> str:
    """The least time that Klaviyo's published limits allow, whatever the hardware."""
    head = ["template", "rows a request", *(f"{size // 1_000:,} thousand rows" for size in SIZES[:1])]
    head += [f"{size // 1_000_000:,} million" for size in SIZES[1:]]
    return table(head, [_sized(CURRENT[name]) for name in SIZED])


def _sized(template: Template) -> list[str]:
    fit = rows_a_request(template)
    times = (quota_seconds(template.quota, -(-size // fit)) for size in SIZES)
    return [f"`{template.name}`", f"{fit:,}", *(duration(seconds) if seconds >= 1 else "at once" for seconds in times)]


SECTIONS: dict[str, Callable[[], str]] = {
    "doors": doors,
    "templates": template_table,
    "options": options,
    "types": types,
    "formats": formats,
    "codes": codes,
    "sizing": sizing,
    "bench": stored,
}


def between(name: str) -> re.Pattern[str]:
    """What stands between the markers of a section."""
    return re.compile(f"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL)


def generated(text: str) -> str:
    """The README with every table as the code says it now."""
    for name, made in SECTIONS.items():
        body = made().rstrip() + "\n"
        text = between(name).sub(lambda _, body=body: body, text)  # type: ignore[misc]
    return text


def main() -> int:
    """Rewrite the README's tables; say whether they had changed."""
    before = README.read_text(encoding="utf-8")
    after = generated(before)
    README.write_text(after, encoding="utf-8")
    sys.stdout.write("README.md: tables written anew\n" if after != before else "README.md: tables are as they were\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
