"""What a delete means: the template that undoes what the chosen one does, and how its rows are made."""

from __future__ import annotations

from dataclasses import dataclass

from spark_klaviyo.core.choices import OnDelete
from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.choices import OtherColumns
from spark_klaviyo.options.model import Options
from spark_klaviyo.plan.model import FieldCheck, WritePlan

COLUMN = "column:"
# The identifiers that each template of deletes takes, in order of preference.
_TAKES = {
    "remove_profiles_from_list": ("id", "email", "phone_number", "external_id"),
    "bulk_suppress_profiles": ("email",),
    "request_profile_deletion": ("id", "email", "phone_number"),
}


@dataclass(frozen=True)
class Counterpart:
    """Where deletes go. `identifiers`: the fields of the main template that name a row there.

    `first_only`: exactly one identifier is taken, the first that a row has. `deletes`: for good, so it is guarded.
    """

    options: Options
    identifiers: tuple[FieldCheck, ...]
    first_only: bool = False
    deletes: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the DataFrame that are needed besides the identifiers."""
        given = (*self.options.settings.values(), self.options.default_country or "")
        return tuple(dict.fromkeys(text.removeprefix(COLUMN) for text in given if text.startswith(COLUMN)))


def counterpart(options: Options, plan: WritePlan) -> Counterpart | None:
    """The counterpart that `on_delete` names; None where deletes are ignored.

    Raises `OptionError` where the columns, or the list, do not say what to delete.
    """
    name = plan.template.counterpart(options.on_delete or OnDelete.IGNORE)
    if name is None:
        return None
    if name not in _TAKES:
        return _made(name, options, plan, ("id", "external_id"), settings={})
    if options.on_delete is not OnDelete.REMOVE:
        return _made(name, options, plan, _TAKES[name], settings={})
    return _made(name, options, plan, _TAKES[name], {"list_id": options.settings["list_id"]})


def _made(
    name: str, options: Options, plan: WritePlan, takes: tuple[str, ...], settings: dict[str, str]
) -> Counterpart:
    wanted = {one.name: one for one in plan.checks.fields if one.leaf is not None or plan.record_column is not None}
    found = tuple(wanted[path] for path in takes if path in wanted)
    if not found:
        raise OptionError(f"on_delete: {options.on_delete} needs one of the columns {', '.join(takes)}")
    other = options.for_template(name, settings, other_columns=OtherColumns.DROP)
    return Counterpart(
        other, found, first_only=name == "request_profile_deletion", deletes=options.on_delete is OnDelete.DELETE
    )
