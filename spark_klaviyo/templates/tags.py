"""Tags, their groups, and what wears them: lists, segments, campaigns, flows."""

from __future__ import annotations

from dataclasses import replace

from spark_klaviyo.templates.model import Family, FieldForm, FieldSpec, S, Setting, Template
from spark_klaviyo.templates.parts import GONE, MANY, NO_MAXIMUM, ONE, ONE_ROW, SOME_IDS

_TAG = Setting("tag_id", "id of the tag", required=True, per_row=True, lookup_kind="tag")
_NAME = FieldSpec("name", ("attributes", "name"), required=True)


def _tagging(word: str, *, remove: bool) -> Template:
    """spec: tag_lists and remove_tag_from_lists, and the same of segments, campaigns, flows."""
    return Template(
        name=f"remove_tag_from_{word}s" if remove else f"tag_{word}s",
        family=Family.TAGS,
        summary=f"Take a tag off {word}s." if remove else f"Put a tag on {word}s.",
        method="DELETE" if remove else "POST",
        path=f"/api/tags/{{tag_id}}/relationships/{word}s",
        body=MANY,
        record={"type": word},
        fields=(FieldSpec("id", ("id",), required=True, other_names=(f"{word}_id",), help=f"id of the {word}"),),
        key=("id",),
        keep_empty=(),
        limits=SOME_IDS,
        quota=S,
        rows_pointer="/data",
        scopes=(f"{word}s:write", "tags:write"),
        settings=(_TAG,),
        notes=(NO_MAXIMUM, *(() if remove else (f"At most 100 tags on one {word}.",))),
    )


def _owned(kind: str, word: str, most: int) -> tuple[Template, Template, Template]:
    """spec: create, update, delete of tags and of tag groups; all that can change is the name."""
    path, name = f"/api/{kind}s", kind.replace("-", "_")
    own_id = FieldSpec("id", ("id",), required=True, other_names=(f"{name}_id",), help=f"id of the {word}")
    create = Template(
        name=f"create_{name}",
        family=Family.TAGS,
        summary=f"Create {word}s.",
        method="POST",
        path=path,
        body=ONE,
        record={"type": kind},
        fields=(_NAME,),
        limits=ONE_ROW,
        quota=S,
        idempotent=False,
        scopes=("tags:read", "tags:write"),
        notes=(f"At most {most} {word}s in an account.",),
    )
    update = replace(
        create,
        name=f"update_{name}",
        summary=f"Rename {word}s.",
        method="PATCH",
        path=path + "/{id}",
        fields=(own_id, _NAME),
        key=("id",),
        path_fields=("id",),
        idempotent=True,
        notes=(),
    )
    delete = replace(
        update,
        name=f"delete_{name}",
        summary=f"Delete {word}s.",
        method="DELETE",
        body=None,
        fields=(own_id,),
        keep_empty=(),
        deletes=True,
        already_satisfied=GONE,
    )
    return create, update, delete


_CREATE, _UPDATE, _DELETE = _owned("tag", "tag", 500)
CREATE = replace(
    _CREATE,
    record={"type": "tag", "relationships?": {"tag-group": {"data": {"type": "tag-group", "id": "{tag_group_id}"}}}},
    settings=(Setting("tag_group_id", "id of the group; the account's default group otherwise"),),
)
_CREATE_GROUP, _UPDATE_GROUP, _DELETE_GROUP = _owned("tag-group", "tag group", 50)
CREATE_GROUP = replace(
    _CREATE_GROUP,
    fields=(
        _NAME,
        FieldSpec("exclusive", ("attributes", "exclusive"), FieldForm.BOOLEAN, help="one tag of it per thing at most"),
    ),
)

TEMPLATES = (
    CREATE,
    _UPDATE,
    _DELETE,
    *(_tagging(word, remove=remove) for word in ("list", "segment", "campaign", "flow") for remove in (False, True)),
    CREATE_GROUP,
    _UPDATE_GROUP,
    replace(_DELETE_GROUP, notes=("Its tags are deleted with it.",)),
)
