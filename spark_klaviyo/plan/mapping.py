"""Which column goes to which field of Klaviyo's record.

Names are compared without case, blanks and `_`, and the option `fields` overrides them. Other columns become custom
properties, are dropped or are refused. All complaints come at once; nothing here knows values.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches

from spark_klaviyo.options.choices import Nulls, OtherColumns
from spark_klaviyo.plan.settings import SettingValues
from spark_klaviyo.plan.shape import Leaf, Node, clean_of, misfit, node_for
from spark_klaviyo.plan.types import Field, unsendable
from spark_klaviyo.templates.model import FieldForm, FieldSpec, JsonPath, Template

DROPPED = "dropped"  # what becomes of a column that is not sent
MOST_NAMES = 20  # of the columns that a message lists


def folded(name: str) -> str:
    """A column name as it is compared: without case, blanks and `_`."""
    return "".join(name.split()).replace("_", "").casefold()


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
        self.keep_null = options.nulls is Nulls.SEND and (template.null_clears_field or template.raw_rows)
        self.fields = {known.name: known for known in template.fields}
        not_fixed = [
            known
            for known in template.fields
            if not (known.name in self.fixed_fields or known.only_in_fields or template.merges)
        ]
        self.by_name = {folded(name): known for known in reversed(not_fixed) for name in _names(known)}
        # What loose columns join, as `fields` spells it ("properties"); empty where they have no place.
        self.loose = template.properties_path[-1] if template.properties_path else ""
        self.used = {*taken_columns, *options.taken_columns}
        self._map()

    def _map(self) -> None:
        for name, column in self.asked.items():
            self._map_as_asked(name, column)
        for name, leaf in self.columns.items():
            if name not in self.used and self._map_by_name(name, leaf):
                self.used.add(name)
        for name, leaf in self.columns.items():
            if name not in self.used:
                self._map_other(name, leaf)
        self._check_overlaps()

    def _complain(self, complaint: str) -> None:
        self.complaints.append(complaint)

    # --- what `fields` says ---------------------------------------------------------------------

    def _map_as_asked(self, name: str, column: str) -> None:
        leaf = self._leaf(column)
        if leaf is None:
            listed = ", ".join(list(self.columns)[:MOST_NAMES])
            hint = _did_you_mean(column, self.columns, 0.6) or f"; it has {listed}"
            self._complain(f"fields: {name} <- {column!r}: the DataFrame has no such column{hint}")
            return
        self.used.add(leaf.source[0])
        known = self.fields.get(name) or next((k for k in self.template.fields if name in k.other_names), None)
        if known is not None and known.name in self.fixed_fields:
            self._complain(f"fields: {name} <- {column!r}: a setting gives it for all rows; give one of them")
        elif known is not None:
            self._put_field(known, leaf)
        elif self.loose and name.startswith(self.loose + "."):
            self._put((*self.template.properties_path, name.removeprefix(self.loose + ".")), name, leaf)
        elif (self.loose and name == self.loose) or self._has_fields_below(name):
            self._map_whole(name, leaf)
        else:
            self._put_key_of_object(name, leaf)

    def _put_key_of_object(self, name: str, leaf: Leaf) -> None:
        """`meta.patch_properties.append.KEY`: a key of an object field; otherwise there is no such field."""
        for known in self.template.fields:
            if known.form is FieldForm.OBJECT and name.startswith(known.name + "."):
                self._put((*known.json_path, name.removeprefix(known.name + ".")), name, leaf)
                return
        hint = _did_you_mean(name, self.fields, 0.5)
        self._complain(f"fields: {self.template.name} has no field {name!r}{hint}")

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

    def _map_by_name(self, name: str, leaf: Leaf) -> bool:
        """Map a column that is a field, an object of the record or the loose properties; whether it is one."""
        word = folded(name)
        known, head = self.by_name.get(word), self._head(word, leaf)
        is_object = leaf.type.name in ("struct", "map")
        if self.loose and word == folded(self.loose) and (word == "properties" or is_object):
            self._map_whole(self.loose, leaf)
        elif head:
            self._map_whole(head, leaf)
        elif known is not None and not self._is_shadowed(known, name):
            self._put_field(known, leaf)
        else:
            return False
        return True

    def _head(self, word: str, leaf: Leaf) -> str:
        """The part of the record that a whole struct column is, such as `location` or `profile`; else empty."""
        heads = {name.partition(".")[0] for name in self.fields if "." in name}
        head = next((head for head in heads if folded(head) == word), "")
        if not head or head == "location":
            return head
        fits = any(
            self._has_fields_below(f"{head}.{part.name}") or self._field_inside(head, part.name)
            for part in leaf.type.fields
        )
        return head if fits else ""

    def _has_fields_below(self, name: str) -> bool:
        return any(known.startswith(name + ".") for known in self.fields)

    def _field_inside(self, prefix: str, part: str) -> FieldSpec | None:
        """The field that a part of a struct column is."""
        word = folded(part).removeprefix("$")
        inside = {name.removeprefix(prefix + "."): name for name in self.fields if name.startswith(prefix + ".")}
        return next((self.fields[name] for rest, name in inside.items() if folded(rest) == word), None)

    def _is_shadowed(self, known: FieldSpec, name: str) -> bool:
        """A flat `city` is a custom property where a whole `location` column exists; so is what `fields` overrides."""
        flat = known.name.startswith("location.") and folded(name) != folded(known.name)
        return known.name in self.asked or (flat and any(folded(one) == "location" for one in self.columns))

    def _map_whole(self, prefix: str, leaf: Leaf) -> None:
        """Map a column that is an object of the record, or whose fields or entries join the loose properties."""
        is_loose, kind = prefix == self.loose, leaf.type.name
        if kind == "void":  # nulls alone: there is nothing to send
            self.mapped.append((_label(leaf), prefix))
        elif is_loose and kind == "map":
            self.spread.append(leaf)
            self._note(leaf, prefix)
        elif kind != "struct":
            takes = "a struct or a map" if is_loose else "a struct"
            self._complain(f"column {_label(leaf)!r} is a {kind}; {prefix} must be {takes}")
        for inner in _inner(leaf):
            if is_loose:
                part = inner.source[-1]
                self._put((*self.template.properties_path, part), f"{prefix}.{part}", inner)
            else:
                self._map_part(prefix, leaf, inner)

    def _map_part(self, prefix: str, leaf: Leaf, inner: Leaf) -> None:
        """Map one field of a struct column."""
        part = inner.source[-1]
        known, below = self._field_inside(prefix, part), f"{prefix}.{part}"
        if known is not None:
            self._put_field(known, inner)
        elif inner.type.name == "struct" and self._has_fields_below(below):
            self._map_whole(below, inner)
        elif self.other_columns is OtherColumns.DROP:
            self.mapped.append((_label(inner), DROPPED))
        else:
            takes = ", ".join(name.removeprefix(prefix + ".") for name in self.fields if name.startswith(prefix + "."))
            self._complain(
                f"column {_label(leaf)!r} has a field {part!r} that {prefix} does not take (it takes {takes}); "
                f"rename it, {self._or_leave_out}"
            )

    # --- the rest -------------------------------------------------------------------------------

    def _map_other(self, name: str, leaf: Leaf) -> None:
        takes_any = bool(self.template.properties_path) or self.template.raw_rows
        own = next((one for one in self.template.fields if one.only_in_fields and folded(name) in _folded(one)), None)
        if self.other_columns is OtherColumns.DROP:
            self.mapped.append((name, DROPPED))
        elif own is not None:
            self._complain(
                f"column {name!r} may hold ids of your own, and {self.template.name} would mean Klaviyo's {own.name}; "
                f"leave it out, or say so with fields={{{own.name!r}: {name!r}}} if they are Klaviyo's"
            )
        elif self.other_columns is OtherColumns.ERROR or not takes_any:
            hint = _did_you_mean(name, self.fields, 0.6)
            why = "is not a field of Klaviyo's" if takes_any else f"has no place in {self.template.name}"
            self._complain(f"column {name!r} {why}{hint}; rename it, map it in fields, {self._or_leave_out}")
        else:
            self.unmapped.append(name)
            self._put((*self.template.properties_path, name), f"{self.loose}.{name}" if self.loose else name, leaf)

    def _check_overlaps(self) -> None:
        """A whole object and one of its keys cannot both come from columns."""
        for known in (self.fields[name] for name in self.leaves):
            path, deeper = known.json_path, len(known.json_path)
            if known.form is FieldForm.OBJECT and any(
                len(other) > deeper and other[:deeper] == path for other in self.nodes
            ):
                self._complain(f"fields: {known.name} is given whole and by its keys; give one of them")

    @property
    def _or_leave_out(self) -> str:
        """How to go on without a column; where the endpoint asks for care, not before it was looked at once more."""
        care = "or take it out of the DataFrame once you know that nothing it says speaks against sending these rows"
        return care if self.template.needs_care else "or give other_columns=drop"

    # --- placing --------------------------------------------------------------------------------

    def _put_field(self, known: FieldSpec, leaf: Leaf) -> None:
        given = {self.fields[name].json_path: name for name in self.leaves}
        before = {name: column for column, name in self.mapped}.get(given.get(known.json_path, known.name))
        why = misfit(known, leaf.type)
        if before is not None:
            self._complain(
                f"columns {before!r} and {_label(leaf)!r} both mean {known.name}; drop one, or name one in fields"
            )
        elif why is not None:
            self._complain(f"column {_label(leaf)!r}: {why}")
        else:
            keep_null = self.keep_null and not known.identifies_person and known.json_path[0] == "attributes"
            keep_blank = self.template.sends_blank(known)
            leaf = leaf if self.template.raw_rows else replace(leaf, clean=clean_of(known))
            self.leaves[known.name] = leaf
            self.nodes[known.json_path] = node_for(known, leaf, keep_null=keep_null, keep_blank=keep_blank)
            self.mapped.append((_label(leaf), known.name))

    def _put(self, path: JsonPath, name: str, leaf: Leaf) -> None:
        """Put a column that is not a field at a path of the record."""
        if path in self.nodes:
            self._complain(f"two columns mean {name}: {_label(leaf)!r} is the second; drop or rename one")
            return
        self._note(leaf, name)
        keep_null = self.keep_null and bool(self.template.properties_path or self.template.raw_rows)
        self.nodes[path] = Leaf(leaf.source, leaf.type, keep_null=keep_null)

    def _note(self, leaf: Leaf, name: str) -> None:
        why = unsendable(leaf.type)
        if why is not None:
            self._complain(f"column {_label(leaf)!r}: {why}")
        self.mapped.append((_label(leaf), name))


def _names(known: FieldSpec) -> Iterator[str]:
    """The names that a field is recognised by."""
    yield known.name
    if known.name.startswith("location."):
        yield known.name.rpartition(".")[2]
    yield from known.other_names


def _folded(known: FieldSpec) -> set[str]:
    return set(map(folded, _names(known)))


def near_misses(unmapped: Iterable[str], template: Template, fixed_fields: Collection[str]) -> dict[str, str]:
    """Columns that became custom properties though they resemble a field: `e_mail2` -> `email`.

    No column can have meant a field that a setting gives for all rows.
    """
    fields = {folded(name): k.name for k in template.fields if k.name not in fixed_fields for name in _names(k)}
    near = {name: get_close_matches(folded(name).replace("-", ""), fields, 1, 0.8) for name in unmapped}
    return {name: fields[match[0]] for name, match in near.items() if match}
