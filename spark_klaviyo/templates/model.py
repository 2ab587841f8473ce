"""What an endpoint template is: one declarative entry, read by the planner, the README and `templates NAME` alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from spark_klaviyo.core.choices import Api, ContentFormat, OnDelete
from spark_klaviyo.core.models import Limits, Quota

# The tiers of Klaviyo's fixed windows: requests per second and per minute (docs: rate limits; L is 750 since 2026-04).
XS = Quota(((1, 1.0), (15, 60.0)))
S = Quota(((3, 1.0), (60, 60.0)))
M = Quota(((10, 1.0), (150, 60.0)))
M_DAILY = Quota(((10, 1.0), (150, 60.0), (150, 86_400.0)))
BULK_RECORDS = Quota(((3, 1.0), (15, 60.0)))
L = Quota(((75, 1.0), (750, 60.0)))
XL = Quota(((350, 1.0), (3500, 60.0)))

MEGABYTE = 1_000_000  # Klaviyo prints MB without saying which; decimal is the safe reading
KILOBYTE = 1_000
MAX_BODY = 5 * MEGABYTE  # endpoints without a published size: the largest size published anywhere

PEOPLE = frozenset({"profiles", "consent"})  # families whose rows are people
OF_PEOPLE: Mapping[OnDelete, str] = {  # what a delete of a person means -> the template that does it
    OnDelete.REMOVE: "remove_profiles_from_list",
    OnDelete.SUPPRESS: "bulk_suppress_profiles",
    OnDelete.DELETE: "request_profile_deletion",
}


@dataclass(frozen=True)
class Setting:
    """An option that belongs to a template.

    `per_row`: may be `column:NAME`; `look_up`: the kind of thing that `name:TEXT` finds, if any. `no_gaps` says what a
    row without a value would do where a column gives an optional setting: such a row is refused.
    """

    name: str
    help: str
    required: bool = False
    default: str | None = None
    choices: tuple[str, ...] = ()
    per_row: bool = False
    look_up: str = ""
    several: bool = False  # comma-separated ids
    prefix: str = ""  # goes before the value, unless it is there already ("$custom:::$default:::")
    no_gaps: str = ""


@dataclass(frozen=True)
class FieldSpec:
    """A field of Klaviyo's record that columns are matched to.

    `path` is how `fields` spells it ("location.city"); `at` where it stands in the record (("attributes", "location",
    "city")). `form`: text, email, phone, number, coordinate (number or text), integer, boolean, datetime, date, json,
    ids (array of resource ids), words (text or array of text), object (a struct or map, also addressed key by key as
    PATH.KEY). `names` are further column names it is recognised by; `together` are fields that must be there with it.
    """

    path: str
    at: tuple[str, ...]
    form: str = "text"
    required: bool = False
    names: tuple[str, ...] = ()
    prefix: str = ""  # goes before the value ("$custom:::$default:::")
    kind: str = ""  # resource type of an `ids` field
    choices: tuple[str, ...] = ()
    max_length: int | None = None
    max_bytes: int | None = None  # of the value as JSON
    pattern: str = ""
    earliest: str = ""  # RFC 3339: times before it are refused
    latest_days: int | None = None  # times further ahead are refused
    since: str = ""  # first revision that has the field
    together: tuple[str, ...] = ()
    before: tuple[str, tuple[str, ...]] = ("", ())  # (revision, place): where it stood in older revisions
    help: str = ""


@dataclass(frozen=True)
class Channel:
    """A way to reach people that consent is about: its word in `channels`, its place, the identifier it needs.

    `dated`: takes `consented_at`.
    """

    word: str
    at: tuple[str, ...]
    needs: str = ""
    dated: bool = True
    since: str = ""


@dataclass(frozen=True)
class Caution:
    """What is said before a write, unless one of these is given: a setting that is not "false", or `column:PATH`."""

    unless: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Job:
    """How an accepted job is followed.

    `errors`: 'pages' (import errors), 'inline' (attributes.errors), '' (counts only). `done`: a pattern of the
    detail of errors that mean the wanted state is reached.
    """

    path: str
    quota: Quota
    errors: str
    list_path: str
    scopes: tuple[str, ...] = ()
    done: str = ""


@dataclass(frozen=True)
class Template:
    """One endpoint: everything that a family of code needs to write rows to it.

    `body` is the JSON around the rows, with the string "{rows}" (a list) or "{row}" (one record) where they go and
    "{setting}" where a setting goes; a key that ends in "?" is left out when its setting is not given. `record` is the
    constant part of each record. `outcome`: 'delivered' (a success is final), 'job' (followed), 'accepted' (taken, and
    no way to confirm). `done` are refusals that mean the wanted state is reached ((status, code), ...).
    """

    name: str
    family: str
    summary: str
    method: str
    path: str
    body: object
    fields: tuple[FieldSpec, ...]
    limits: Limits
    quota: Quota
    outcome: str
    success: tuple[int, ...] = (200, 201, 202, 204)
    record: Mapping[str, object] = field(default_factory=dict)
    settings: tuple[Setting, ...] = ()
    identifiers: tuple[str, ...] = ()  # paths of Known of which a row needs at least one
    exactly_one: bool = False  # ... of which it needs exactly one
    key: tuple[str, ...] = ()  # paths that make two rows of a batch the same thing, in order of preference
    key_with: tuple[str, ...] = ()  # ... together with all of these
    properties_at: tuple[str, ...] = ()  # where loose columns go; empty: nowhere
    idempotent: bool = True  # sending the same request twice does no harm
    scopes: tuple[str, ...] = ()
    job: Job | None = None
    done: tuple[tuple[int, str], ...] = ()
    pointer: str = ""  # JSON pointer of the list of rows in the body ("/data/attributes/profiles/data")
    clears_nulls: bool = False  # null clears a field here (single-profile endpoints), so `nulls=send` means something
    needs: tuple[tuple[str, str], ...] = ()  # (option that must be given, why): consent guardrails
    deletes: bool = False  # asks for confirm_deletion
    unique_id: str = ""  # path of the field derived from the row's content when no column gives it
    api: Api = Api.CURRENT
    notes: tuple[str, ...] = ()
    keep_empty: tuple[tuple[str, ...], ...] = (("attributes",),)  # objects that are sent even when nothing is in them
    as_rows: bool = False  # rows are sent as they are, columns by their own names (legacy and manual)
    max_properties: int | None = None
    max_depth: int | None = None
    max_items: int | None = None  # most items of one array
    max_string_bytes: int | None = None  # of any single text of a record
    arrange: str = ""  # how rows become the body where not one after the other: events | identifiers | nothing
    item_paths: tuple[str, ...] = ()  # `{id}` of a single-record path comes from the field that stands at this place
    resolve: str = ""  # "profile": rows hold identifiers, and are sent with the ids that Klaviyo knows for them
    channels: tuple[Channel, ...] = ()
    consent: str = ""  # the word for every channel: SUBSCRIBED | UNSUBSCRIBED
    cautions: tuple[Caution, ...] = ()
    content_format: ContentFormat = ContentFormat.JSON

    @property
    def is_retired(self) -> bool:
        """Whether it belongs to v1 or v2: the key travels in the body, rows are sent as they are."""
        return self.api is not Api.CURRENT

    def counterpart(self, on_delete: OnDelete) -> str | None:
        """The template that deletes go to where change data is written with this one; None where there is none."""
        if self.family in PEOPLE:
            return OF_PEOPLE.get(on_delete)
        if self.family == "catalog" and on_delete is OnDelete.DELETE and self.name.startswith("bulk_"):
            return "bulk_delete_" + self.name.split("_", 2)[2]
        return None
