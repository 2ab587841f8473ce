"""What a delete means: the template that undoes what the chosen one does, and how its rows are made."""

from __future__ import annotations

from dataclasses import dataclass

from spark_klaviyo.core.choices import OnDelete
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.choices import OtherColumns
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.model import FieldCheck, WritePlan

COLUMN = "column:"
# The identifiers that each template takes, in order of preference; templates of the catalog take its own ids.
_IDENTIFIERS = {
    "remove_profiles_from_list": ("id", "email", "phone_number", "external_id"),
    "bulk_suppress_profiles": ("email",),
    "request_profile_deletion": ("id", "email", "phone_number"),
}
_CATALOG_IDENTIFIERS = ("id", "external_id")


@dataclass(frozen=True)
class DeletePlan:
    """Where deletes go. `identifiers`: the fields of the main template that identify a row there.

    `takes_one`: only the first identifier that a row has is sent. `irreversible`: deletes for good, so it is guarded.
    """

    options: Options
    identifiers: tuple[FieldCheck, ...]
    takes_one: bool = False
    irreversible: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the DataFrame that are needed besides the identifiers."""
        given = (*self.options.settings.values(), self.options.default_country or "")
        return tuple(dict.fromkeys(text.removeprefix(COLUMN) for text in given if text.startswith(COLUMN)))


def delete_plan(options: Options, plan: WritePlan) -> DeletePlan | None:
    """What `on_delete` asks for; None where deletes are ignored.

    Raises `OptionError` where the DataFrame has no column that identifies what to delete.
    """
    template = plan.template.delete_templates.get(options.on_delete or OnDelete.IGNORE)
    if template is None:
        return None
    wanted = _IDENTIFIERS.get(template, _CATALOG_IDENTIFIERS)
    fields = {one.name: one for one in plan.checks.fields if one.leaf is not None or plan.record_column is not None}
    identifiers = tuple(fields[name] for name in wanted if name in fields)
    if not identifiers:
        raise OptionError(f"on_delete: {options.on_delete} needs one of the columns {', '.join(wanted)}")
    leaves_list = template in _IDENTIFIERS and options.on_delete is OnDelete.REMOVE
    settings = {"list_id": options.settings["list_id"]} if leaves_list else {}
    return DeletePlan(
        options.for_template(template, settings, other_columns=OtherColumns.DROP),
        identifiers,
        takes_one=template == "request_profile_deletion",
        irreversible=options.on_delete is OnDelete.DELETE,
    )
