"""Tags, their groups, and what wears them: lists, segments, campaigns, flows."""

from __future__ import annotations

from dataclasses import replace

from spark_klaviyo.templates.limits import NO_MAXIMUM, SOME_IDS, S
from spark_klaviyo.templates.model import MANY, FieldForm, Setting, Template
from spark_klaviyo.templates.parts import attribute, create_of, delete_of, linked, resource_id, update_of

_TAG = Setting("tag_id", "id of the tag", required=True, per_row=True, lookup_kind="tag")
_NAME = attribute("name", required=True)


def _tagging(word: str, *, remove: bool) -> Template:
    """spec: tag_lists and remove_tag_from_lists, and the same of segments, campaigns, flows."""
    return Template(
        name=f"remove_tag_from_{word}s" if remove else f"tag_{word}s",
        summary=f"Take a tag off {word}s." if remove else f"Put a tag on {word}s.",
        method="DELETE" if remove else "POST",
        path=f"/api/tags/{{tag_id}}/relationships/{word}s",
        body=MANY,
        record={"type": word},
        fields=(resource_id(f"id of the {word}", f"{word}_id"),),
        key=("id",),
        keep_empty=(),
        limits=SOME_IDS,
        quota=S,
        scopes=(f"{word}s:write", "tags:write"),
        settings=(_TAG,),
        notes=(NO_MAXIMUM, *(() if remove else (f"At most 100 tags on one {word}.",))),
    )


_SCOPES = ("tags:read", "tags:write")


def _owned(kind: str, most: int, *deletion_notes: str) -> tuple[Template, Template, Template]:
    """spec: create, update, delete of tags and of tag groups; all that can change is the name."""
    word, note = kind.replace("-", " "), f"At most {most} {kind.replace('-', ' ')}s in an account."
    create = create_of(kind, f"Create {word}s.", S, "tags:write", _NAME, notes=(note,), scopes=_SCOPES)
    own_id = resource_id(f"id of the {word}", f"{kind.replace('-', '_')}_id")
    update = update_of(create, f"Rename {word}s.", own_id, _NAME, replies_empty=True)
    return create, update, delete_of(update, f"Delete {word}s.", *deletion_notes)


_CREATE, _UPDATE, _DELETE = _owned("tag", 500)
_CREATE_GROUP, _UPDATE_GROUP, _DELETE_GROUP = _owned("tag-group", 50, "Its tags are deleted with it.")
_EXCLUSIVE = attribute("exclusive", FieldForm.BOOLEAN, help="at most one of its tags on a resource")

TEMPLATES = (
    replace(
        _CREATE,
        record={"type": "tag", "relationships?": linked("tag-group", "tag_group_id")},
        settings=(Setting("tag_group_id", "id of the group; the account's default group otherwise"),),
    ),
    *(_UPDATE, _DELETE, replace(_CREATE_GROUP, fields=(_NAME, _EXCLUSIVE)), _UPDATE_GROUP, _DELETE_GROUP),
    *(_tagging(word, remove=remove) for word in ("list", "segment", "campaign", "flow") for remove in (False, True)),
)
