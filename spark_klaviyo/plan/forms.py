"""What a field of Klaviyo's takes, and which Spark types can give it."""

from __future__ import annotations

from spark_klaviyo.plan.shape import ONE_ITEM, Each, Leaf, LeafForm, Node, Record
from spark_klaviyo.plan.types import Type, unsendable
from spark_klaviyo.templates.model import FieldSpec

TEXT = frozenset({"string", "char", "varchar"})
WHOLE = frozenset({"byte", "short", "integer", "long"})
NUMBER = WHOLE | {"float", "double", "decimal"}
TIME = frozenset({"timestamp", "timestamp_ntz", "date"})

# form -> (types that can give it, how to say so)
_TAKES: dict[str, tuple[frozenset[str], str]] = {
    "text": (TEXT | WHOLE, "text (whole numbers become text)"),
    "email": (TEXT, "text"),
    "phone": (TEXT | WHOLE, "text"),
    "number": (NUMBER, "a number"),
    "coordinate": (NUMBER | TEXT, "a number or text"),
    "integer": (WHOLE, "a whole number"),
    "boolean": (frozenset({"boolean"}), "a boolean"),
    "datetime": (TIME | TEXT, "a timestamp, a date or text in RFC 3339"),
    "date": (TEXT | {"date"}, "a date or text"),
    "ids": (TEXT | WHOLE | {"array"}, "text or an array of text"),
    "words": (TEXT | {"array"}, "text or an array of text"),
    "texts": (TEXT | {"array"}, "an array of text, or text"),
    "object": (frozenset({"struct", "map"}), "a struct or a map"),
}


def misfit(known: FieldSpec, kind: Type) -> str | None:
    """Why a column of this type cannot be this field, and what to do; None where it can."""
    if kind.name == "void":
        return None
    if known.form not in _TAKES:
        return unsendable(kind)
    takes, said = _TAKES[known.form]
    if kind.name not in takes:
        return f"{known.path} takes {said}, not {kind.name}; cast the column"
    if kind.name == "array" and (kind.element is None or kind.element.name not in TEXT | WHOLE):
        return f"{known.path} takes an array of text; cast the elements to string"
    return unsendable(kind)


def node_for(known: FieldSpec, source: Leaf, *, keep_null: bool) -> Node:
    """The node that writes this column as this field."""
    if known.form == "ids":
        return Each(Leaf(source.source, source.type, LeafForm.TEXT, known.prefix), known.kind)
    if known.form == "texts" and source.type.name in TEXT:
        return Record(((ONE_ITEM, Leaf(source.source, source.type, LeafForm.TEXT)),), omit_empty=True)
    if known.form in ("text", "email", "phone"):
        form = LeafForm.TEXT
    elif known.form == "datetime":
        form = LeafForm.DATETIME if source.type.name in TIME else LeafForm.TEXT
    else:
        form = LeafForm.JSON
    return Leaf(source.source, source.type, form, known.prefix, keep_null)
