"""Columns in, the record's tree out: which column goes to which field of Klaviyo's record.

Columns are matched ignoring case, blanks and `_`; `fields` overrides; the rest become custom properties, are dropped,
or are complained about. All complaints come at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from spark_klaviyo.options.choices import OtherColumns
from spark_klaviyo.plan.forms import misfit, node_for
from spark_klaviyo.plan.shape import Leaf, Node
from spark_klaviyo.plan.types import Field, unsendable
from spark_klaviyo.templates.model import FieldForm, FieldSpec, Template


def folded(name: str) -> str:
    """A column name as it is compared: case, blanks and `_` ignored."""
    return "".join(name.split()).replace("_", "").casefold()


@dataclass
class ColumnMap:
    """What the mapping found: places in the record with their nodes, and a word for each column."""

    places: dict[tuple[str, ...], Node] = field(default_factory=dict)
    leaves: dict[str, Leaf] = field(default_factory=dict)  # path of the Known -> its column
    known: dict[str, FieldSpec] = field(default_factory=dict)
    spread: list[Leaf] = field(default_factory=list)
    mapped: list[tuple[str, str]] = field(default_factory=list)
    unmapped: list[str] = field(default_factory=list)
    given: set[str] = field(default_factory=set)  # settings that have a value
    complaints: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class MappingOptions:
    """What the options say about mapping."""

    fields: Mapping[str, str] = field(default_factory=dict)
    other_columns: OtherColumns = OtherColumns.PROPERTIES
    keep_null: bool = False
    taken: frozenset[str] = frozenset()  # columns used elsewhere: per-row settings, change columns
    settled: frozenset[str] = frozenset()  # fields that a setting gives for all rows


def map_columns(columns: Sequence[Field], template: Template, wishes: MappingOptions) -> ColumnMap:
    """Decide for every column where it goes."""
    return _Mapper(columns, template, wishes).run()


class _Mapper:
    def __init__(self, columns: Sequence[Field], template: Template, wishes: MappingOptions) -> None:
        self.columns = {column.name: column for column in columns}
        self.template = template
        self.wishes = wishes
        self.found = ColumnMap()
        open_fields = [known for known in template.fields if known.name not in wishes.settled]
        self.by_name = {folded(name): known for known in reversed(open_fields) for name in _names(known)}
        self.loose = template.properties_path[-1] if template.properties_path else ""
        self.used: set[str] = set(wishes.taken)

    def run(self) -> ColumnMap:
        self._explicit()
        for column in self.columns.values():
            if column.name not in self.used:
                self._by_name(column)
        rest = [c for c in self.columns.values() if c.name not in self.used]
        for column in rest:
            self._other(column)
        self._overlaps()
        return self.found

    # --- what `fields` says ---------------------------------------------------------------------

    def _explicit(self) -> None:
        for path, name in self.wishes.fields.items():
            source = self._source(name)
            if source is None:
                near = get_close_matches(name, self.columns, 1, 0.6)
                hint = f" (did you mean {near[0]}?)" if near else f"; it has {', '.join(list(self.columns)[:20])}"
                self.found.complaints.append(f"fields: {path} <- {name!r}: the DataFrame has no such column{hint}")
                continue
            self.used.add(source.source[0])
            self._place_path(path, name, source)

    def _place_path(self, path: str, name: str, source: Leaf) -> None:
        known = next((k for k in self.template.fields if k.name == path), None)
        known = known or next((k for k in self.template.fields if path in k.other_names), None)
        if known is not None and known.name in self.wishes.settled:
            self.found.complaints.append(
                f"fields: {path} <- {name!r}: a setting gives it for all rows; give one of them"
            )
        elif known is not None:
            self._place(known, name, source)
        elif self.loose and path == self.loose:
            self._spread(name, source)
        elif self.loose and path.startswith(self.loose + "."):
            self._put((*self.template.properties_path, path.removeprefix(self.loose + ".")), path, name, source)
        elif self._inside(path):
            self._struct(path, name, source)
        else:
            self._open_object(path, name, source)

    def _open_object(self, path: str, name: str, source: Leaf) -> None:
        """`meta.patch_properties.append.KEY`: a key of a known object; otherwise the path is unknown."""
        for known in self.template.fields:
            if known.form is FieldForm.OBJECT and path.startswith(known.name + "."):
                key = path.removeprefix(known.name + ".")
                self._put((*known.json_path, key), path, name, source)
                return
        paths = [known.name for known in self.template.fields]
        near = get_close_matches(path, paths, 1, 0.5)
        hint = f" (did you mean {near[0]}?)" if near else ""
        self.found.complaints.append(f"fields: {self.template.name} has no field {path!r}{hint}")

    def _source(self, name: str) -> Leaf | None:
        """A column by its whole name, or a field inside a struct column by a dotted path."""
        if name in self.columns:
            return Leaf((name,), self.columns[name].type)
        head, _, rest = name.partition(".")
        found = Leaf((head,), self.columns[head].type) if head in self.columns and rest else None
        for part in rest.split(".") if found else ():
            inner = next((f for f in found.type.fields if f.name == part), None) if found else None
            found = Leaf((*found.source, part), inner.type) if found and inner else None
        return found

    # --- what the names say ---------------------------------------------------------------------

    def _by_name(self, column: Field) -> None:
        source, name = Leaf((column.name,), column.type), folded(column.name)
        head = self._head(name, column)
        if (
            self.loose
            and name == folded(self.loose)
            and (name == "properties" or column.type.name in ("struct", "map"))
        ):
            self.used.add(column.name)
            self._spread(column.name, source)
        elif head:
            self.used.add(column.name)
            self._struct(head, column.name, source)
        elif (known := self.by_name.get(name)) and not self._shadowed(known, column.name):
            self.used.add(column.name)
            self._place(known, column.name, source)

    def _head(self, name: str, column: Field) -> str:
        """The part of the record that a whole struct column is, such as `location` or `profile`; else empty."""
        heads = {known.name.partition(".")[0] for known in self.template.fields if "." in known.name}
        head = next((head for head in heads if folded(head) == name), "")
        if not head or head == "location":
            return head
        fitting = any(self._inside(f"{head}.{part.name}") or self._known(head, part) for part in column.type.fields)
        return head if fitting else ""

    def _inside(self, path: str) -> bool:
        """Whether fields of the endpoint stand below a path."""
        return any(known.name.startswith(path + ".") for known in self.template.fields)

    def _known(self, prefix: str, part: Field) -> FieldSpec | None:
        """The field that a part of a struct column is."""
        name = folded(part.name).removeprefix("$")
        inner = {k.name[len(prefix) + 1 :]: k for k in self.template.fields if k.name.startswith(prefix + ".")}
        return next((known for rest, known in inner.items() if folded(rest) == name), None)

    def _shadowed(self, known: FieldSpec, name: str) -> bool:
        """A flat `city` is a custom property where a whole `location` column exists; so is what `fields` overrides."""
        nested = known.name.startswith("location.") and folded(name) != folded(known.name)
        whole = nested and any(folded(column) == "location" for column in self.columns)
        return whole or known.name in self.wishes.fields

    def _struct(self, prefix: str, name: str, source: Leaf) -> None:
        if source.type.name == "void":  # nulls alone: there is nothing to send
            self.found.mapped.append((name, prefix))
            return
        if source.type.name != "struct":
            self.found.complaints.append(f"column {name!r} is a {source.type.name}; {prefix} must be a struct")
            return
        for part in source.type.fields:
            known, below = self._known(prefix, part), f"{prefix}.{part.name}"
            leaf = Leaf((*source.source, part.name), part.type)
            if known is not None:
                self._place(known, f"{name}.{part.name}", leaf)
            elif part.type.name == "struct" and self._inside(below):
                self._struct(below, f"{name}.{part.name}", leaf)
            elif self.wishes.other_columns is OtherColumns.DROP:
                self.found.mapped.append((f"{name}.{part.name}", "dropped"))
            else:
                takes = ", ".join(
                    k.name[len(prefix) + 1 :] for k in self.template.fields if k.name.startswith(prefix + ".")
                )
                self.found.complaints.append(
                    f"column {name!r} has a field {part.name!r} that {prefix} does not take (it takes {takes}); "
                    "rename it, or give other_columns=drop"
                )

    def _spread(self, name: str, source: Leaf) -> None:
        if source.type.name == "map":
            self.found.spread.append(source)
            self._say(name, self.loose, unsendable(source.type))
        elif source.type.name == "struct":
            for part in source.type.fields:
                leaf = Leaf((*source.source, part.name), part.type)
                self._put(
                    (*self.template.properties_path, part.name),
                    f"{self.loose}.{part.name}",
                    f"{name}.{part.name}",
                    leaf,
                )
        elif source.type.name == "void":
            self.found.mapped.append((name, self.loose))
        else:
            self.found.complaints.append(
                f"column {name!r} is a {source.type.name}; {self.loose} must be a struct or a map"
            )

    # --- the rest -------------------------------------------------------------------------------

    def _other(self, column: Field) -> None:
        wish = self.wishes.other_columns
        takes = bool(self.template.properties_path) or self.template.raw_rows
        if wish is OtherColumns.DROP:
            self.found.mapped.append((column.name, "dropped"))
        elif wish is OtherColumns.ERROR or not takes:
            known = [known.name for known in self.template.fields]
            near = get_close_matches(column.name, known, 1, 0.6)
            hint = f" (did you mean {near[0]}?)" if near else ""
            why = "is no field of Klaviyo's" if takes else f"has no place in {self.template.name}"
            self.found.complaints.append(
                f"column {column.name!r} {why}{hint}; rename it, map it in fields, or give other_columns=drop"
            )
        else:
            self.found.unmapped.append(column.name)
            place = (*self.template.properties_path, column.name)
            path = f"{self.loose}.{column.name}" if self.loose else column.name
            self._put(place, path, column.name, Leaf((column.name,), column.type))

    def _overlaps(self) -> None:
        """A whole object and one of its keys cannot both come from columns."""
        whole = [
            known
            for path, known in self.found.known.items()
            if known.form is FieldForm.OBJECT and path in self.found.leaves
        ]
        for known in whole:
            if any(
                len(at) > len(known.json_path) and at[: len(known.json_path)] == known.json_path
                for at in self.found.places
            ):
                self.found.complaints.append(f"fields: {known.name} is given whole and by its keys; give one of them")

    # --- placing --------------------------------------------------------------------------------

    def _place(self, known: FieldSpec, name: str, source: Leaf) -> None:
        twin = next(
            (path for path, other in self.found.known.items() if other.json_path == known.json_path), known.name
        )
        before = {at: column for column, at in self.found.mapped}.get(twin)
        if before is not None:
            self.found.complaints.append(
                f"columns {before!r} and {name!r} both mean {known.name}; drop one, or name one in fields"
            )
            return
        why = misfit(known, source.type)
        if why is not None:
            self.found.complaints.append(f"column {name!r}: {why}")
            return
        self.found.leaves[known.name] = source
        self.found.known[known.name] = known
        self.found.places[known.json_path] = node_for(known, source, keep_null=self._keeps_null(known))
        self.found.mapped.append((name, known.name))

    def _keeps_null(self, known: FieldSpec) -> bool:
        return (
            self.wishes.keep_null and known.json_path[0] == "attributes" and known.name not in self.template.identifiers
        )

    def _put(self, at: tuple[str, ...], path: str, name: str, source: Leaf) -> None:
        if at in self.found.places:
            self.found.complaints.append(f"two columns mean {path}: {name!r} is the second; drop or rename one")
            return
        self._say(name, path, unsendable(source.type))
        keep = self.wishes.keep_null and bool(self.template.properties_path or self.template.raw_rows)
        self.found.places[at] = Leaf(source.source, source.type, keep_null=keep)

    def _say(self, name: str, path: str, why: str | None) -> None:
        if why is not None:
            self.found.complaints.append(f"column {name!r}: {why}")
        self.found.mapped.append((name, path))


def _names(known: FieldSpec) -> Iterator[str]:
    yield known.name
    yield known.name.rpartition(".")[2] if known.name.startswith("location.") else known.name
    yield from known.other_names


def near_misses(unmapped: Iterable[str], template: Template, settled: Collection[str]) -> dict[str, str]:
    """Columns that became custom properties though they look like a known field: `e_mail2` -> `email`.

    A field that a setting gives for all rows is none that a column could have meant.
    """
    known = {folded(name): k.name for k in template.fields if k.name not in settled for name in _names(k)}
    near = {name: get_close_matches(folded(name).replace("-", ""), known, 1, 0.8) for name in unmapped}
    return {name: known[match[0]] for name, match in near.items() if match}
