"""Which column goes to which field of Klaviyo's record.

The option `fields` comes first, then what names say (`plan.names`). Other columns become custom properties, are dropped
or are refused. All complaints come at once; nothing here knows values, or depends on the order of the columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches

from spark_klaviyo.options.choices import Nulls, OtherColumns
from spark_klaviyo.options.entrypoints import TASK_ENTRY_POINTS
from spark_klaviyo.plan.names import BOM, ColumnNames, Known, Sure, bare, entry_of, notes_of
from spark_klaviyo.plan.settings import SettingValues
from spark_klaviyo.plan.shape import Clean, Leaf, Node, clean_of, misfit, node_for
from spark_klaviyo.plan.types import TEXT, VARIANT, Field, parts_named, unsendable
from spark_klaviyo.templates.model import FieldForm, FieldSpec, JsonPath

DROPPED = "dropped"  # what becomes of a column that is not sent
MOST_NAMES = 20  # of the columns that a message lists


def _label(leaf: Leaf) -> str:
    """A column, or a field of a struct column, as users write it: `location.city`."""
    return ".".join(leaf.source)


def _inner(leaf: Leaf) -> Iterator[Leaf]:
    """The fields of a struct column."""
    return (Leaf((*leaf.source, part.name), part.type) for part in leaf.type.fields)


def _did_you_mean(name: str, names: Iterable[str], cutoff: float) -> str:
    near = get_close_matches(name, list(names), 1, cutoff)
    return f" (did you mean {near[0]}?)" if near else ""


class ColumnMap:
    """Where every column goes: the record by JSON path (`nodes`), and the fields that columns give by name (`leaves`).

    `spread` are map columns whose entries join the loose properties. `mapped` are pairs of a column and what becomes of
    it, a field, a property or `DROPPED`; `unmapped` the columns that no field claims.
    """

    def __init__(self, columns: Sequence[Field], settings: SettingValues, taken_columns: Iterable[str]) -> None:
        template, options = settings.template, settings.options
        self.nodes: dict[JsonPath, Node] = {}
        self.leaves: dict[str, Leaf] = {}
        self.spread: list[Leaf] = []
        self.mapped: list[tuple[str, str]] = []
        self.unmapped: list[str] = []
        self.complaints: list[str] = []
        self.columns = {column.name: Leaf((column.name,), column.type) for column in columns}
        self.template, self.other_columns, self.fixed_fields = template, options.other_columns, settings.fixed_fields
        self.asked = {**options.fields, **settings.columns_of_fields}
        self.has_session = options.entry_point not in TASK_ENTRY_POINTS
        self.keep_null = options.nulls is Nulls.SEND and (template.null_clears_field or template.raw_rows)
        self.fields = {known.name: known for known in template.fields}
        # The fields inside each object of the record, by the bare rest of their names.
        self.inside: dict[str, dict[str, FieldSpec]] = {}
        for known in template.fields:
            for dot in re.finditer(r"\.", known.name):
                self.inside.setdefault(known.name[: dot.start()], {})[bare(known.name[dot.end() :])] = known
        # What loose columns join, as `fields` spells it ("properties"); empty where they have no place.
        self.loose = template.properties_path[-1] if template.properties_path else ""
        self.used = {*taken_columns, *options.taken_columns}
        # What is known of the columns that no setting and no entry of `fields` names.
        self.known: dict[str, Known] = {}
        self.secrets: list[str] = []
        self.names = ColumnNames(template, self.fixed_fields, ())
        for name, column in self.asked.items():
            self._map_as_asked(name, column)
        self._map_by_names()
        for name, leaf in self.columns.items():
            if name not in self.used:
                self._map_other(name, leaf)
        self._check_overlaps()
        self.notes = tuple(notes_of(self.known, dict(self.mapped), self.secrets, self.loose))

    # --- what `fields` says ---------------------------------------------------------------------

    def _map_as_asked(self, name: str, column: str) -> None:
        leaf = self._leaf(column)
        if leaf is None:
            listed = ", ".join(list(self.columns)[:MOST_NAMES])
            hint = _did_you_mean(column, self.columns, 0.6) or f"; it has {listed}"
            self.complaints.append(f"fields: {name} <- {column!r}: the DataFrame has no such column{hint}")
            return
        self.used.add(leaf.source[0])
        known = self.fields.get(name) or next((k for k in self.template.fields if name in k.other_names), None)
        # of `meta.patch_properties.append.KEY`
        objects = (k for k in self.template.fields if k.form is FieldForm.OBJECT and name.startswith(k.name + "."))
        holder = next(objects, None)
        if known is not None and known.name in self.fixed_fields:
            self.complaints.append(f"fields: {name} <- {column!r}: a setting gives it for all rows; give one of them")
        elif known is not None:
            self._put_field(known, leaf)
        elif self.loose and name.startswith(self.loose + "."):
            self._put((*self.template.properties_path, name.removeprefix(self.loose + ".")), name, leaf)
        elif (self.loose and name == self.loose) or name in self.inside:
            self._map_whole(name, leaf)
        elif holder is not None:
            self._put((*holder.json_path, name.removeprefix(holder.name + ".")), name, leaf)
        else:
            hint = _did_you_mean(name, self.fields, 0.5)
            self.complaints.append(f"fields: {self.template.name} has no field {name!r}{hint}")

    def _leaf(self, column: str) -> Leaf | None:
        """A column by its whole name, or a field inside a struct column by a dotted path."""
        if column in self.columns:
            return self.columns[column]
        head, *parts = column.split(".")
        leaf = self.columns.get(head) if parts else None
        for part in parts:
            leaf = next((inner for inner in _inner(leaf) if inner.source[-1] == part), None) if leaf else None
        return leaf

    # --- what the names say ---------------------------------------------------------------------

    def _map_by_names(self) -> None:
        """Place the columns whose names say what they are."""
        free = {name: leaf for name, leaf in self.columns.items() if name not in self.used}
        for name, leaf in free.items():
            prefix = self._object_of(name, leaf)
            if prefix:
                self._map_whole(prefix, leaf)
                self.used.add(name)
        self.names = ColumnNames(self.template, self.fixed_fields, free)
        claims: dict[str, list[str]] = {}
        for name in sorted(free.keys() - self.used):
            known = self.names.known(name)
            if known is not None:
                self.known[name] = known
                if self._claims(known, free[name]):
                    claims.setdefault(known.fields[0], []).append(name)
        for field, columns in claims.items():
            first, *rivals = sorted(columns, key=lambda name: (self.known[name].rank, len(name), name))
            equal = [name for name in rivals if self.known[name].rank == self.known[first].rank]
            if equal and (field in self.template.identifiers or self.fields[field].json_path == ("id",)):
                named, entry = " and ".join(map(repr, [first, *equal])), entry_of(field, first)
                self.complaints.append(f"columns {named} both mean {field}; say which in {entry}, or drop one")
            self._put_field(self.fields[field], free[first])
            self.used.add(first)

    def _claims(self, known: Known, leaf: Leaf) -> bool:
        """Whether a column is a candidate for its field; one of another type is none where it is likely at most."""
        if known.sure not in (Sure.CERTAIN, Sure.LIKELY) or known.fields[0] in (*self.asked, *self.leaves):
            return False
        field = self.fields[known.fields[0]]
        flat = known.rank[0] or "." not in leaf.source[0]
        if flat and field.name.startswith("location.") and any(bare(name) == "location" for name in self.columns):
            return False  # a whole `location` column exists
        return known.sure is Sure.CERTAIN or misfit(field, leaf.type) is None

    def _object_of(self, name: str, leaf: Leaf) -> str:
        """The part of the record that a whole column is: the loose properties, `location`, `profile`; else empty."""
        word, is_object = bare(name), leaf.type.name in ("struct", "map")
        if self.loose and word == bare(self.loose) and (word == "properties" or is_object):
            return self.loose
        head = next((head for head in self.inside if bare(head) == word and "." not in head), "")
        parts = [part.name for part in leaf.type.fields] if head else []
        fits = any(f"{head}.{part}" in self.inside or bare(part) in self.inside[head] for part in parts)
        return head if fits or head == "location" else ""

    def _map_whole(self, prefix: str, leaf: Leaf) -> None:
        """Map a column that is an object of the record, or whose fields or entries join the loose properties."""
        is_loose, kind = prefix == self.loose, leaf.type.name
        if kind == "void":  # nulls alone: there is nothing to send
            self.mapped.append((_label(leaf), prefix))
        elif is_loose and (kind in TEXT or kind == VARIANT):  # JSON text
            self.spread.append(replace(leaf, keep_null=self.keep_null))
            self._note(leaf, prefix)
        elif is_loose and kind == "map":
            self.spread.append(leaf if self.template.raw_rows else replace(leaf, clean=Clean.SECRETS))
            self._note(leaf, prefix)
        elif kind != "struct":
            takes = "a struct, a map or JSON text" if is_loose else "a struct"
            self.complaints.append(f"column {_label(leaf)!r} is a {kind}; {prefix} must be {takes}")
        for inner in _inner(leaf):
            if is_loose:
                self._note_inside(inner)
                self._put_loose(self.template.properties_path, inner)
            else:
                self._map_part(prefix, leaf, inner)

    def _note_inside(self, inner: Leaf) -> None:
        """Note that a part of a struct column has the name of a field, which it is not taken as."""
        known = self.names.known(inner.source[-1])
        if known is not None and known.sure in (Sure.CERTAIN, Sure.LIKELY) and known.fields[0] not in self.asked:
            self.known[_label(inner)] = known

    def _secrets_in(self, leaf: Leaf) -> list[tuple[str, ...]]:
        return list(parts_named(leaf.source, leaf.type, self.names.is_secret))

    def _map_part(self, prefix: str, leaf: Leaf, inner: Leaf) -> None:
        """Map one field of a struct column."""
        part = inner.source[-1]
        known, below = self.inside[prefix].get(bare(part)), f"{prefix}.{part}"
        if known is not None:
            self._put_field(known, inner)
        elif inner.type.name == "struct" and below in self.inside:
            self._map_whole(below, inner)
        elif self.other_columns is OtherColumns.DROP:
            self.mapped.append((_label(inner), DROPPED))
        else:
            takes = ", ".join(known.name.removeprefix(prefix + ".") for known in self.inside[prefix].values())
            self.complaints.append(
                f"column {_label(leaf)!r} has a field {part!r} that {prefix} does not take (it takes {takes}); "
                f"rename it, {self._or_leave_out}"
            )

    # --- the rest -------------------------------------------------------------------------------

    def _map_other(self, name: str, leaf: Leaf) -> None:
        takes_any = bool(self.template.properties_path) or self.template.raw_rows
        known = self.known.get(name)
        if known is not None and known.sure is Sure.SECRET:
            self.secrets.append(name)
            self.mapped.append((name, DROPPED))
        elif self.other_columns is OtherColumns.DROP:
            self.mapped.append((name, DROPPED))
        elif (own := self._only_in_fields(name)) is not None:
            self.complaints.append(
                f"column {name!r} may hold ids of your own, and {self.template.name} takes Klaviyo's {own.name}; "
                f"drop the column, or give {entry_of(own.name, name)} if its ids are Klaviyo's"
            )
        elif self.other_columns is OtherColumns.ERROR or not takes_any:
            is_field = known is not None and known.fields and not self.template.needs_care
            hint = f" ({entry_of(known.fields[0], name)} places it)" if known and is_field else ""
            hint = hint or _did_you_mean(name, self.fields, 0.6)
            why = "is not a field of Klaviyo's" if takes_any else f"has no place in {self.template.name}"
            self.complaints.append(f"column {name!r} {why}{hint}; rename it, map it in fields, {self._or_leave_out}")
        else:
            self.unmapped.append(name)
            self._put_loose(self.template.properties_path, leaf)

    def _only_in_fields(self, name: str) -> FieldSpec | None:
        """The field whose name a column has, where the option `fields` alone gives that field."""
        named = (one for one in self.template.fields if one.only_in_fields)
        return next((one for one in named if bare(name) in map(bare, (one.name, *one.other_names))), None)

    def _put_loose(self, path: JsonPath, leaf: Leaf) -> None:
        """Put a column among the loose properties, under its own name, but for the secrets in its structs."""
        name = leaf.source[-1].lstrip(BOM)
        hidden = [] if self.template.raw_rows else self._secrets_in(leaf)
        if leaf.source in hidden or (len(leaf.source) > 1 and self.names.is_secret(name)):
            self.secrets.append(_label(leaf))
            self.mapped.append((_label(leaf), DROPPED))
        elif hidden:
            for inner in _inner(leaf):
                self._put_loose((*path, name), inner)
        else:
            below = (*path[len(self.template.properties_path) :], name)
            leaf = leaf if self.template.raw_rows else replace(leaf, clean=Clean.SECRETS)
            self._put((*path, name), ".".join(filter(None, (self.loose, *below))), leaf)

    def _check_overlaps(self) -> None:
        """A whole object and one of its keys cannot both come from columns."""
        for known in (self.fields[name] for name in self.leaves):
            path = known.json_path
            below = any(other[: len(path)] == path != other for other in self.nodes)
            if below and known.form is FieldForm.OBJECT:
                self.complaints.append(f"fields: {known.name} is given whole and by its keys; give one of them")

    @property
    def _or_leave_out(self) -> str:
        """How to go on without a column; where the endpoint asks for care, only after a look at the column."""
        care = "or drop it from the DataFrame, once you have checked that it gives no reason against sending these rows"
        return care if self.template.needs_care else "or give other_columns=drop"

    # --- placing --------------------------------------------------------------------------------

    def _put_field(self, known: FieldSpec, leaf: Leaf) -> None:
        given = {self.fields[name].json_path: name for name in self.leaves}
        before = {name: column for column, name in self.mapped}.get(given.get(known.json_path, known.name))
        why = misfit(known, leaf.type)
        if before is not None:
            self.complaints.append(
                f"columns {before!r} and {_label(leaf)!r} both mean {known.name}; drop one, or name one in fields"
            )
        elif why is not None:
            self.complaints.append(f"column {_label(leaf)!r}: {why}")
        else:
            keep_null = self.keep_null and not known.identifies_person and known.json_path[0] == "attributes"
            keep_blank = self.template.sends_blank(known)
            leaf = leaf if self.template.raw_rows else replace(leaf, clean=clean_of(known))
            if leaf.clean is Clean.SECRETS:
                self.secrets += map(".".join, self._secrets_in(leaf))
            self.leaves[known.name] = leaf
            self.nodes[known.json_path] = node_for(known, leaf, keep_null=keep_null, keep_blank=keep_blank)
            self.mapped.append((_label(leaf), known.name))

    def _put(self, path: JsonPath, name: str, leaf: Leaf) -> None:
        """Put a column that is not a field at a path of the record."""
        if path in self.nodes:
            self.complaints.append(f"two columns mean {name}: {_label(leaf)!r} is the second; drop or rename one")
            return
        self._note(leaf, name)
        self.nodes[path] = replace(leaf, keep_null=self.keep_null)

    def _note(self, leaf: Leaf, name: str) -> None:
        why = unsendable(leaf.type, has_session=self.has_session)
        if why is not None:
            self.complaints.append(f"column {_label(leaf)!r}: {why}")
        self.mapped.append((_label(leaf), name))
