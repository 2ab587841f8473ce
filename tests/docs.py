"""Generates the tables of README.md from the code: `python -m tests.docs` writes them between their markers.

`test_docs.py` fails where a table differs from what this module generates. Nothing else in README.md is touched.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from spark_klaviyo.core.codes import RejectCode
from spark_klaviyo.entrypoints.capabilities import CAPABILITIES, WRITING
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import GROUPS, EverydayOptions, options_of
from spark_klaviyo.options.option import Mode, Option
from spark_klaviyo.plan.manual.formats import FORMATS
from spark_klaviyo.plan.names import Sure, dictionary
from spark_klaviyo.preview.dry_run import quota_seconds
from spark_klaviyo.report.counts.text import duration
from spark_klaviyo.templates import CURRENT, templates
from spark_klaviyo.templates.describe import quota_of, size_of
from spark_klaviyo.templates.model import Template
from tests import ran
from tests.bench.stored import stored

README = Path(__file__).resolve().parent.parent / "README.md"
# The sizing table: templates, numbers of rows, and the size of a row (a profile with a few custom properties).
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
SIZES = {
    "100 thousand rows": 100_000,
    "1 million": 1_000_000,
    "10 million": 10_000_000,
    "100 million": 100_000_000,
}
ROW_BYTES = 500
# Spark type -> (what is sent, example). `tests.encode.test_types` checks each.
TYPE_TABLE: dict[str, tuple[str, str]] = {
    "string": ("text", '"Ann"'),
    "char": ("text", '"Ann  "'),
    "varchar": ("text", '"Ann"'),
    **dict.fromkeys(("byte", "short", "integer"), ("number", "1")),
    "long": ("number, every digit kept also beyond 2^53", "9007199254740993"),
    **dict.fromkeys(("float", "double"), ("number; NaN is null, infinities reject the row", "0.1")),
    "decimal": ("number, every digit kept", "12.50"),
    "boolean": ("true or false", "true"),
    "date": ("text, ISO 8601", '"2026-10-15"'),
    "timestamp": ("text, RFC 3339 in UTC with microseconds", '"2026-10-15T08:00:00.000000Z"'),
    "timestamp_ntz": ("text, ISO 8601 without offset", '"2026-10-15T08:00:00.000000"'),
    "binary": ("text, Base64", '"AAH/"'),
    "array": ("array; nulls inside stay", "[1, null]"),
    "map": ("object; keys become text, null values are left out", '{"a": 1}'),
    "struct": ("object; null fields are left out", '{"city": "Boston"}'),
    "void": ("nothing: a column of nulls is left out", ""),
}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    names = list(head)
    lines = [names, ["---"] * len(names), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def ways_to_write() -> str:
    """What each way to write supports."""
    names = [f"`{point.text}`" if point is not EntryPoint.COMMAND else point.text for point in WRITING]
    rows = [[one.text, *("yes" if point in one.supported else "refused" for point in WRITING)] for one in CAPABILITIES]
    return table(["feature", *names], rows)


def template_table() -> str:
    """Every template, a row each."""
    head = ["template", "writes", "a request", "limits", "a row is", "resend", "scopes"]
    return table(head, [_template(template) for template in templates()])


def _template(template: Template) -> tuple[str, ...]:
    return (
        f"`{template.name}`" + (f" (api={template.api})" if template.is_retired else ""),
        template.summary,
        size_of(template),
        quota_of(template),
        "delivered (job)" if template.job else str(template.confirmation),
        "idempotent" if template.idempotent else "in doubt",
        ", ".join(template.scopes) or "–",
    )


def everyday_options() -> str:
    """The options that most jobs need."""
    return option_table(options_of(EverydayOptions))


def all_options() -> str:
    """Every option, a table for each group."""
    groups = (f"**{heading(group)}**\n\n{option_table(options_of(group))}" for group in GROUPS)
    return "\n\n".join(groups)


def heading(group: type) -> str:
    """What the options of a group are for."""
    return (group.__doc__ or "").removesuffix(".")


def option_table(options: Iterable[Option]) -> str:
    """Options with their default, their meaning and where they can be used."""
    return table(["option", "default", "meaning"], [_option(option) for option in options])


def _option(option: Option) -> tuple[str, str, str]:
    default = "–" if option.default is None else f"`{option.default}`"
    notes = [option.help]
    if option.mode is not Mode.BOTH:
        notes.append(f"{option.mode} mode only")
    if option.needs_session:
        notes.append("needs a session")
    return f"`{option.name}`", default, "; ".join(notes)


def types() -> str:
    """Every Spark type as JSON."""
    rows = [(f"`{name}`", text, f"`{example}`" if example else "") for name, (text, example) in TYPE_TABLE.items()]
    return table(["Spark", "JSON", "example"], rows)


def column_names() -> str:
    """The names that are known besides a field's own, a table for each family of templates."""
    families = {
        "person": "Profiles, consent, and the person of an event (its identifiers)",
        "event": "Events",
        "item": "Catalog items",
        "variant": "Catalog variants",
        "coupon_code": "Coupon codes",
    }
    data = dictionary()["families"]
    return "\n\n".join(f"**{title}**\n\n{_names_of(data[family])}" for family, title in families.items())


def _names_of(known: Mapping[str, Mapping[str, list[str]]]) -> str:
    sures = ("certain", "likely", "ask")
    rows = [
        [f"`{field}`", *(", ".join(lists.get(sure, ())) or "–" for sure in sures)] for field, lists in known.items()
    ]
    return table(["field", *sures], rows)


def how_sure() -> str:
    """What is done with a column, by how sure its name is."""
    return table(["a name is", "the column is"], [(str(sure), sure.text) for sure in Sure])


def formats() -> str:
    """Content formats of manual mode."""
    rows = [(f"`{name}`", f"`{content_format.media_type}`") for name, content_format in FORMATS.items()]
    return table(["content_format", "Content-Type"], rows)


def codes() -> str:
    """The codes of rejected rows, besides Klaviyo's own."""
    return table(["code", "the row was rejected because"], [(f"`{code}`", code.text) for code in RejectCode])


def rows_per_request(template: Template) -> int:
    """How many rows of `ROW_BYTES` fit into a request, with a comma after each."""
    limits = template.limits
    return max(1, min(limits.max_rows, limits.max_bytes // (ROW_BYTES + 1)))


def sizing() -> str:
    """The least time that Klaviyo's published limits allow, whatever the hardware."""
    return table(["template", "rows per request", *SIZES], [_sized(CURRENT[name]) for name in SIZED])


def _sized(template: Template) -> list[str]:
    per_request = rows_per_request(template)
    times = [quota_seconds(template.quota, -(-rows // per_request)) for rows in SIZES.values()]
    return [
        f"`{template.name}`",
        f"{per_request:,}",
        *(duration(seconds) if seconds >= 1 else "under 1 s" for seconds in times),
    ]


def where_it_ran(name: str) -> str:
    """What the last recorded run of some tests proved, and what it ran with."""
    found = ran.recorded(name)
    return f"{table(ran.HEADS[name], found['rows'])}\n\nRecorded with {', '.join(found['with'])}."


def version_table() -> str:
    """What each leg of CI last ran with."""
    legs = ran.versions()
    rows = [[f"`{leg}`", *found.values()] for leg, found in legs.items()]
    return table(["leg", *next(iter(legs.values()))], rows)


SECTIONS: dict[str, Callable[[], str]] = {
    "ways": ways_to_write,
    "everyday": everyday_options,
    "templates": template_table,
    "options": all_options,
    "sure": how_sure,
    "names": column_names,
    "types": types,
    "formats": formats,
    "codes": codes,
    "sizing": sizing,
    "bench": stored,
    "starts": partial(where_it_ran, "starts"),
    "stores": partial(where_it_ran, "stores"),
    "versions": version_table,
    "engines": partial(where_it_ran, "engines"),
}


def section_of(text: str, name: str) -> tuple[int, int]:
    """Where the text between the markers of a section begins and ends. Raises ValueError where there are none."""
    opening = f"<!-- {name} -->\n"
    start = text.index(opening) + len(opening)
    return start, text.index(f"<!-- /{name} -->", start)


def generated(text: str) -> str:
    """The README with every table generated anew."""
    for name, make in SECTIONS.items():
        start, end = section_of(text, name)
        text = text[:start] + make().rstrip() + "\n" + text[end:]
    return text


def main() -> int:
    """Rewrite the tables of README.md, and say whether they changed."""
    before = README.read_text(encoding="utf-8")
    after = generated(before)
    README.write_text(after, encoding="utf-8")
    sys.stdout.write("README.md: tables updated\n" if after != before else "README.md: tables are up to date\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
