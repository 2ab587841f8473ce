"""What a field of Klaviyo's takes, and which Spark types can give it."""

from __future__ import annotations

from spark_klaviyo.core.json_paths import ONE_ITEM
from spark_klaviyo.plan.shape import Each, Leaf, LeafForm, Node, Record
from spark_klaviyo.plan.types import Type, unsendable
from spark_klaviyo.templates.model import FieldForm, FieldSpec

TEXT = frozenset({"string", "char", "varchar"})
WHOLE = frozenset({"byte", "short", "integer", "long"})
NUMBER = WHOLE | {"float", "double", "decimal"}
TIME = frozenset({"timestamp", "timestamp_ntz", "date"})

_TYPES: dict[FieldForm, frozenset[str]] = {
    FieldForm.TEXT: TEXT | WHOLE,
    FieldForm.EMAIL: TEXT,
    FieldForm.PHONE: TEXT | WHOLE,
    FieldForm.NUMBER: NUMBER,
    FieldForm.COORDINATE: NUMBER | TEXT,
    FieldForm.INTEGER: WHOLE,
    FieldForm.BOOLEAN: frozenset({"boolean"}),
    FieldForm.DATETIME: TIME | TEXT,
    FieldForm.DATE: TEXT | {"date"},
    FieldForm.IDS: TEXT | WHOLE | {"array"},
    FieldForm.WORDS: TEXT | {"array"},
    FieldForm.TEXTS: TEXT | {"array"},
    FieldForm.OBJECT: frozenset({"struct", "map"}),
}


def misfit(known: FieldSpec, kind: Type) -> str | None:
    """Why a column of this type cannot be this field, and what to do; None where it can."""
    if kind.name == "void":
        return None
    if known.form is FieldForm.JSON:
        return unsendable(kind)
    if kind.name not in _TYPES[known.form]:
        return f"{known.name} takes {known.form.text}, not {kind.name}; cast the column"
    if kind.name == "array" and (kind.element is None or kind.element.name not in TEXT | WHOLE):
        return f"{known.name} takes an array of text; cast the elements to string"
    return unsendable(kind)


def node_for(known: FieldSpec, source: Leaf, *, keep_null: bool) -> Node:
    """The node that writes this column as this field."""
    if known.form is FieldForm.IDS:
        return Each(Leaf(source.source, source.type, LeafForm.TEXT, known.prefix), known.resource_type)
    if known.form is FieldForm.TEXTS and source.type.name in TEXT:
        return Record(((ONE_ITEM, Leaf(source.source, source.type, LeafForm.TEXT)),), omit_empty=True)
    if known.form in (FieldForm.TEXT, FieldForm.EMAIL, FieldForm.PHONE):
        form = LeafForm.TEXT
    elif known.form is FieldForm.DATETIME:
        form = LeafForm.DATETIME if source.type.name in TIME else LeafForm.TEXT
    else:
        form = LeafForm.JSON
    return Leaf(source.source, source.type, form, known.prefix, keep_null)
