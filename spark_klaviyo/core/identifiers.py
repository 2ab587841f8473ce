"""When two spellings of an identifier mean the same person, event or item; one rule for Python values and in Spark.

Knows field names, not templates. Emails ignore case, phones are compared by their digits, and blanks around a value do
not count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column

# Fields that find a person.
OF_PEOPLE = frozenset({"id", "email", "phone_number", "external_id", "anonymous_id", "_kx"})
SEPARATOR = "\x1f"  # between the parts of an identifier, in hashes and keys
# What `str.strip` takes off, so that Spark, whose `trim` knows the blank alone, can take off the same.
BLANKS = "".join(character for character in map(chr, range(0x3001)) if character.isspace())
PHONE_CHARACTERS = "+0123456789"


def normalise_identifier(field: str, value: object) -> str:
    """The form in which values of a field (`email`, `phone_number`, ...) are compared.

    It is empty for a missing value, and for one that is neither text nor a number.
    """
    text = str(value).strip(BLANKS) if isinstance(value, str | int | float) else ""
    if field == "email":
        return text.lower()
    return "".join(filter(PHONE_CHARACTERS.__contains__, text)) if field == "phone_number" else text


def normalised_column(field: str, column: Column) -> Column:
    """The same as `normalise_identifier` of a text column, in Spark; null stays null."""
    from pyspark.sql import functions as f

    text = f.btrim(column, f.lit(BLANKS))
    if field == "email":
        return f.lower(text)
    return f.regexp_replace(text, f"[^{PHONE_CHARACTERS}]", "") if field == "phone_number" else text
