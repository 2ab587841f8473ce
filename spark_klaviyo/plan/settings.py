"""A template's settings in a plan, and the request parameters: columns whose value a row needs outside its record.

Fixed settings fill body, path and record. One that is `column:NAME` is a field like any other where it stands in the
record, as if the option `fields` named it; in body or path it is a request parameter, and rows are grouped by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from spark_klaviyo.core.exact_json import Json
from spark_klaviyo.options.choices import Nulls
from spark_klaviyo.options.model import Options
from spark_klaviyo.options.readers import COLUMN
from spark_klaviyo.plan.manual import body
from spark_klaviyo.plan.manual.manual_mode import ManualCall
from spark_klaviyo.plan.model import RequestParam
from spark_klaviyo.plan.shape import Leaf, constants_of, setting_of
from spark_klaviyo.plan.types import Field
from spark_klaviyo.templates.model import Setting, Template

MANY_VALUED = frozenset({"array", "map", "struct", "binary", "variant"})


def with_prefix(value: str, prefix: str) -> str:
    """The value behind its prefix, unless it begins with it already."""
    return value if value.startswith(prefix) else prefix + value


def value_of(setting: Setting, text: str) -> Json:
    """What a setting's text is in JSON; None where it names nothing."""
    if setting.takes_several:
        return [with_prefix(part.strip(), setting.prefix) for part in text.split(",") if part.strip()] or None
    return text == "true" if setting.is_flag else with_prefix(text, setting.prefix)


def fields_of_settings(template: Template) -> dict[str, str]:
    """Settings that stand for a field of the record: name of the setting -> name of the field."""
    by_path = {known.json_path: known.name for known in template.fields}
    constants = ((setting_of(value), path) for path, value in constants_of(template.record))
    placed = {name: by_path[path] for name, path in constants if name is not None and path in by_path}
    names = {setting.name for setting in template.settings}
    return placed | {known.name: known.name for known in template.fields if known.name in names}


class SettingValues:
    """What the options say of a template's settings.

    `given` are those that have a value; `fixed` those of them with one value for all rows, `constants` what these are
    in JSON, and `fixed_fields` the fields that they give. Columns give the others: `columns_of_fields` those that stand
    for a field of the record, by its name, as in the option `fields`; `columns_of_requests` the rest.
    """

    def __init__(self, template: Template, options: Options) -> None:
        self.template, self.options = template, options
        self.given = {one.name: options.settings[one.name] for one in template.settings if one.name in options.settings}
        self.fixed = {name: value for name, value in self.given.items() if not value.startswith(COLUMN)}
        columns = {name: self.given[name].removeprefix(COLUMN) for name in self.given if name not in self.fixed}
        settings = (one for one in template.settings if one.name in self.fixed)
        self.constants = {setting.name: value_of(setting, self.fixed[setting.name]) for setting in settings}
        self.fields = fields_of_settings(template)
        self.fixed_fields = frozenset(self.fields[name] for name in self.fixed if name in self.fields)
        self.columns_of_fields = {self.fields[name]: columns[name] for name in columns if name in self.fields}
        self.columns_of_requests = {name: columns[name] for name in columns if name not in self.fields}

    def warnings(self, fields: Iterable[str]) -> tuple[str, ...]:
        """What users must know before this write begins; `fields` are those that columns give."""
        template, options = self.template, self.options
        present = {name for name, value in self.given.items() if value != "false"}
        present |= {COLUMN + name for name in fields} | ({COLUMN + "record"} if options.record_column else set())
        warnings = [caution.text for caution in template.cautions if not present & set(caution.unless)]
        takes_null = template.null_clears_field or template.raw_rows or template.is_manual
        if options.nulls is Nulls.SEND and not takes_null:
            warnings.append(f"nulls=send means nothing to {template.name}: nulls are left out")
        return tuple(warnings)


# --- request parameters ----------------------------------------------------------------------------


def request_params(settings: SettingValues, columns: Sequence[Field]) -> tuple[list[RequestParam], list[str]]:
    """The parameters that options name, and complaints about their columns."""
    options = settings.options
    wanted, any_type = dict(settings.columns_of_requests), set[str]()
    if settings.template.is_manual:
        call = ManualCall(options)
        in_body = body.names(call.body_text)
        wanted |= {name: name for name in (*call.columns_of_url, *in_body)}
        any_type = set(in_body) - set(call.columns_of_url)  # JSON of any type
    if (options.default_country or "").startswith(COLUMN):
        wanted["default_country"] = str(options.default_country).removeprefix(COLUMN)
    types = {column.name: column.type for column in columns}
    params, complaints = list[RequestParam](), list[str]()
    for name, column in wanted.items():
        if column not in types:
            complaints.append(f"{name}: the DataFrame has no column {column!r}; it has {', '.join(list(types)[:20])}")
            continue
        params.append(RequestParam(name, Leaf((column,), types[column])))
        if types[column].name in MANY_VALUED and name not in any_type:
            complaints.append(
                f"{name}: column {column!r} is {types[column].name}; it must hold one value a row, as text or a number"
            )
    return params, complaints
