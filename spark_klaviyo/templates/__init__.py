"""Every endpoint template, as data: one table that the planner, the README and the command line read."""

from __future__ import annotations

from difflib import get_close_matches

from spark_klaviyo.core.codes import Api
from spark_klaviyo.errors import OptionError
from spark_klaviyo.templates import catalog, consent, coupons, events, legacy, objects, profiles, tags
from spark_klaviyo.templates.describe import describe
from spark_klaviyo.templates.model import Template
from spark_klaviyo.templates.revisions import TESTED_REVISION, at_revision, warn_of

__all__ = ["CURRENT", "LEGACY", "TESTED_REVISION", "at_revision", "describe", "find_template", "templates", "warn_of"]

SLIP = 0.92  # how alike two names are that differ in a letter or two
_FAMILIES = (profiles, consent, events, catalog, coupons, objects, tags)
CURRENT: dict[str, Template] = {template.name: template for family in _FAMILIES for template in family.TEMPLATES}
LEGACY: dict[str, Template] = {template.name: template for template in legacy.TEMPLATES}


def find_template(name: str, api: Api = Api.CURRENT) -> Template:
    """The template of this name in this api form; an `OptionError` with the nearest names where there is none."""
    forms = {one.api: one for one in templates() if one.name == name}
    if api in forms:
        return forms[api]
    if forms:
        raise OptionError(f"api: template {name!r} has no {str(api)!r} form; give api={' or '.join(map(str, forms))}")
    known = {**LEGACY, **CURRENT}
    near = get_close_matches(name, known, 3, 0.5)
    # what subscribes, removes or deletes is proposed for a slip of the finger alone
    near = [match for match in near if not known[match].needs_care or get_close_matches(name, [match], 1, SLIP)]
    hint = f" (did you mean {' or '.join(near)}?)" if near else ""
    raise OptionError(f"template: there is no {name!r}{hint}; `spark-klaviyo templates` lists them all")


def templates() -> list[Template]:
    """All endpoint templates with their settings.

    Returns:
        Frozen records: the templates of the current API ordered by name, then those of the retired v1 and v2. Each has
        `name`, `summary`, `method`, `path`, `settings`, `fields`, `scopes` and its limits.
    """
    return [*sorted(CURRENT.values(), key=lambda t: t.name), *sorted(LEGACY.values(), key=lambda t: t.name)]
