"""Regular expressions of texts that are certainly valid, for pyarrow's matcher (RE2).

Each is meant to match the whole text: `whole` adds the anchors.
"""

from __future__ import annotations

import re

# Blanks outside ASCII, which `\s` of RE2 does not mean.
_BLANKS = "\u001c-\u001f\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
NOT_BLANK = f"[^\\s{_BLANKS}](?s:.*)"

_ATOM, _LABEL = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+", "[A-Za-z0-9-]+"
EMAIL = rf"{_ATOM}(?:\.{_ATOM}){{0,16}}@{_LABEL}(?:\.{_LABEL}){{1,8}}"
MAX_EMAIL = 254  # RFC 5321: the longest address that can be delivered

_DAY = (
    r"[1-9][0-9]{3}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
)
DATE = f"(?:{_DAY})"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.(?:[0-9]{3}|[0-9]{6}))?"
TIME_WITH_OFFSET = rf"{DATE}T{_CLOCK}(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
UTC_TIME = rf"{DATE}T{_CLOCK}(?:Z|\+00:00)"


def whole(pattern: str) -> str:
    """The pattern, matching the whole text."""
    return f"^(?:{pattern})\\z"


def word_pattern(word: str) -> str:
    """Finds a word, in any case, among words parted by commas or blanks."""
    edge = "[, \\t\\r\\n]"
    return f"(?i)(?:^|{edge}){re.escape(word)}(?:{edge}|$)"
