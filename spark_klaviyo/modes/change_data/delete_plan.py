"""What a delete means: the template that undoes what the chosen one does, and how its rows are made."""

from __future__ import annotations

from dataclasses import dataclass

from spark_klaviyo.core.codes import OnDelete
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.choices import OtherColumns
from spark_klaviyo.options.model import Options
from spark_klaviyo.options.readers import COLUMN
from spark_klaviyo.plan.model import FieldCheck, WritePlan
from spark_klaviyo.templates import find_template

PEOPLE = ("email", "external_id", "phone_number", "id")  # in the order in which a delete takes one
CATALOG = ("id", "external_id")


@dataclass(frozen=True)
class DeletePlan:
    """Where deletes go. `identifiers`: the fields of the main template that identify a row there; each row has one."""

    options: Options
    identifiers: tuple[FieldCheck, ...]
    is_about_people: bool

    @property
    def names(self) -> tuple[str, ...]:
        """What the columns of the identifiers are called."""
        return tuple("external_id" if one.json_path == ("id",) and one.prefix else one.name for one in self.identifiers)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the DataFrame that are needed besides the identifiers."""
        given = self.options.settings.values()
        return tuple(dict.fromkeys(text.removeprefix(COLUMN) for text in given if text.startswith(COLUMN)))


def delete_plan(options: Options, plan: WritePlan) -> DeletePlan | None:
    """What `on_delete` asks for; None where deletes are ignored.

    Raises `OptionError` where the DataFrame has no column that identifies what to delete.
    """
    name = plan.template.delete_templates.get(options.on_delete or OnDelete.IGNORE)
    if name is None:
        return None
    template = find_template(name)
    people = "email" in template.identifiers
    wanted = tuple(one for one in PEOPLE if one in template.identifiers) if people else CATALOG
    found = identifiers_of(options, plan)
    identifiers = tuple(found[name] for name in wanted if name in found)
    if not identifiers:
        raise OptionError(f"on_delete: {options.on_delete} needs one of the columns {', '.join(wanted)}")
    leaves_list = people and options.on_delete is OnDelete.REMOVE
    settings = {"list_id": options.settings["list_id"]} if leaves_list else {}
    return DeletePlan(
        options.for_template(
            name,
            settings,
            other_columns=OtherColumns.DROP,
            default_country=None,  # phones are in E.164 by then
            fields={check.name: check.name for check in identifiers} if people else {},
        ),
        identifiers,
        is_about_people=people,
    )


def identifiers_of(options: Options, plan: WritePlan) -> dict[str, FieldCheck]:
    """The identifiers that rows can have, in the order in which a delete takes one.

    A table's own `id` is none of Klaviyo's, unless `fields` says so or the template's rows are ids.
    """
    fields = {one.name: one for one in plan.checks.fields if one.leaf is not None or plan.record_column is not None}
    own_id = fields.get("id")
    if own_id is not None and not (own_id.prefix or "id" in options.fields or plan.template.identifiers == ("id",)):
        del fields["id"]
    return {name: fields[name] for name in PEOPLE if name in fields}
