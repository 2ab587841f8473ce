"""What a delete means: the template that undoes what the chosen one does, and how its rows are made."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spark_klaviyo.errors import OptionError
from spark_klaviyo.options.model import Options
from spark_klaviyo.options.settings import parts_of
from spark_klaviyo.plan.model import Wanted, WritePlan
from spark_klaviyo.templates.model import Template

COLUMN = "column:"
PEOPLE = frozenset({"profiles", "consent"})  # families whose rows are people
# on_delete -> template, and the identifiers it takes, in order of preference
_OF_PEOPLE = {
    "remove": ("remove_profiles_from_list", ("id", "email", "phone_number", "external_id")),
    "suppress": ("bulk_suppress_profiles", ("email",)),
    "delete": ("request_profile_deletion", ("id", "email", "phone_number")),
}


@dataclass(frozen=True)
class Counterpart:
    """Where deletes go. `identifiers`: the fields of the main template that name a row there.

    `first_only`: exactly one identifier is taken, the first that a row has. `deletes`: for good, so it is guarded.
    """

    options: Options
    identifiers: tuple[Wanted, ...]
    first_only: bool = False
    deletes: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the DataFrame that are needed besides the identifiers."""
        given = (*self.options.settings.values(), self.options.default_country or "")
        return tuple(dict.fromkeys(text.removeprefix(COLUMN) for text in given if text.startswith(COLUMN)))


def counterpart(options: Options, plan: WritePlan) -> Counterpart | None:
    """The counterpart that `on_delete` names; None where deletes are ignored.

    Raises `OptionError` where nothing says what a delete means, or the template has no such counterpart.
    """
    wish, template = options.on_delete, plan.template
    if wish is None:
        takes = "remove (from the list), suppress, delete or ignore"
        raise OptionError(f"on_delete: is required with change_column: what a delete means: {takes}")
    if wish == "ignore":
        return None
    if template.family in PEOPLE:
        return _of_people(wish, options, plan)
    if template.family == "catalog" and wish == "delete" and template.name.startswith("bulk_"):
        name = "bulk_delete_" + template.name.split("_", 2)[2]
        return _made(name, options, plan, ("id", "external_id"), settings={})
    raise OptionError(f"on_delete: {wish} has no meaning for template {template.name}; {_possible(template)}")


def _of_people(wish: str, options: Options, plan: WritePlan) -> Counterpart:
    name, takes = _OF_PEOPLE[wish]
    list_id = options.settings.get("list_id", "")
    if wish == "remove" and not list_id:
        raise OptionError("on_delete: remove needs list_id, the list to remove from")
    if wish == "remove" and len(parts_of(list_id)) > 1:
        raise OptionError("on_delete: remove needs a single list, and list_id names several")
    return _made(name, options, plan, takes, {"list_id": list_id} if wish == "remove" else {})


def _made(
    name: str, options: Options, plan: WritePlan, takes: tuple[str, ...], settings: dict[str, str]
) -> Counterpart:
    wanted = {one.path: one for one in plan.checks.wanted if one.leaf is not None or plan.record_column is not None}
    found = tuple(wanted[path] for path in takes if path in wanted)
    if not found:
        raise OptionError(f"on_delete: {options.on_delete} needs one of the columns {', '.join(takes)}")
    other = replace(
        options,
        template=name,
        api="current",
        settings=settings,
        fields={},
        other_columns="drop",
        record_column=None,
        unique_id_columns=(),
        nulls="omit",
        change_column=None,
        list_mode="add",
        max_rows=None,
        max_bytes=None,
        rate_limit=options.rate_limit,
    )
    return Counterpart(
        other, found, first_only=name == "request_profile_deletion", deletes=options.on_delete == "delete"
    )


def _possible(template: Template) -> str:
    bulk = template.family == "catalog" and template.name.startswith("bulk_")
    return "give delete or ignore" if bulk else "give ignore"
