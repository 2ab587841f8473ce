"""What an endpoint template is: one declarative entry, read by the planner, the README and `templates NAME` alike.

Templates hold Klaviyo's facts and know neither Spark nor HTTP. "docs", "spec" and "recorded" in comments name where a
fact comes from: Klaviyo's guides, its OpenAPI document, or an observed answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from spark_klaviyo.core.codes import Api, Choice, OnDelete
from spark_klaviyo.core.identifiers import OF_PEOPLE
from spark_klaviyo.core.policy import Limits, Quota
from spark_klaviyo.templates.limits import ONE_ROW

# The keys that lead to a value in a JSON document: ("attributes", "location", "city").
JsonPath: TypeAlias = tuple[str, ...]


class FieldForm(Choice):
    """The form of a field's values; its text says what a column of it may be."""

    TEXT = "text", "text or a whole number"
    EMAIL = "email", "text"
    PHONE = "phone", "text or a whole number"
    CURRENCY = "currency", "text"
    NUMBER = "number", "a number"
    COORDINATE = "coordinate", "a number or text"
    INTEGER = "integer", "a whole number"
    BOOLEAN = "boolean", "a boolean"
    DATETIME = "datetime", "a timestamp, a date, text in RFC 3339 or seconds since 1970"
    DATE = "date", "a date or text"
    JSON = "json", "anything"
    IDS = "ids", "text or an array of text"  # becomes an array of resource identifiers
    WORDS = "words", "text or an array of text"  # sent as it is
    TEXTS = "texts", "an array of text, or text"  # becomes an array
    OBJECT = "object", "a struct or a map"  # also addressed key by key as NAME.KEY


class Confirmation(Choice):
    """How it is known that a row arrived; its value is what listings print."""

    REPLY = "delivered", "confirmed by the answer"
    JOB = "job", "confirmed by a job that is followed to its end"
    NONE = "accepted", "accepted only: Klaviyo offers no way to confirm"


class BodyLayout(Choice):
    """How rows become the inside of a body; see `plan.envelopes`."""

    SEQUENCE = "sequence"  # one after the other
    EVENT_GROUPS = "events"  # events of one profile in one group
    IDENTIFIERS = "identifiers"  # v2: a list for each kind of identifier
    FORM = "form"  # v1: fields of one record beside the key, in the form field `data`
    APART = "apart"  # not at all: the body says everything of the row by itself (manual mode)


class JobErrors(Choice):
    """Where a job says which of its rows failed."""

    PAGES = "pages"  # a paged list of import errors
    INLINE = "inline"  # attributes.errors of the job
    NONE = ""  # it has counts only


@dataclass(frozen=True)
class Setting:
    """An option that belongs to a template."""

    name: str
    help: str
    required: bool = False
    choices: tuple[str, ...] = ()
    # Whether it may be `column:NAME`: each row's own value.
    per_row: bool = False
    # The kind of resource whose id `name:TEXT` finds; empty: it cannot be looked up.
    lookup_kind: str = ""
    # Whether it takes several values, comma-separated.
    takes_several: bool = False
    # Goes before the value, unless it is there already ("$custom:::$default:::").
    prefix: str = ""
    # What a row without a value would do where a column gives an optional setting; such a row is rejected with it.
    harm_if_empty: str = ""

    @property
    def is_flag(self) -> bool:
        """Whether it is true or false."""
        return self.choices == ("true", "false")


@dataclass(frozen=True)
class FieldSpec:
    """A field of Klaviyo's record that columns are matched to."""

    # How the option `fields` spells it ("location.city"), and where it stands in the record.
    name: str
    json_path: JsonPath
    form: FieldForm = FieldForm.TEXT
    required: bool = False
    # A setting and its value without which the field is required, too: "event_time=now".
    required_unless: str = ""
    # Further column names that it is recognised by.
    other_names: tuple[str, ...] = ()
    # Goes before the value, unless it is there already.
    prefix: str = ""
    # Type of the resources that the form `IDS` names.
    resource_type: str = ""
    choices: tuple[str, ...] = ()
    max_length: int | None = None
    max_bytes: int | None = None  # of the value as JSON
    # Regular expression of the whole value, and what it asks for in words.
    pattern: str = ""
    pattern_text: str = ""
    # RFC 3339; times before it, and times further ahead than so many days, are refused.
    earliest: str = ""
    latest_days: int | None = None
    # First revision that has the field.
    since: str = ""
    # Names of fields that must be present where this one is.
    requires: tuple[str, ...] = ()
    # Whether only the option `fields` can name its column, as columns of this name mean other things.
    only_in_fields: bool = False
    # (revision, path): where it stood in revisions before that one.
    earlier_path: tuple[str, JsonPath] = ("", ())
    help: str = ""

    @property
    def identifies_person(self) -> bool:
        """Whether a person is found by it; without it nobody could be reached again, so null is never sent for it."""
        return self.name.rpartition(".")[2] in OF_PEOPLE


@dataclass(frozen=True)
class Channel:
    """A way to reach people that consent is about."""

    # Its name in the setting `channels`, and where it stands in the record.
    name: str
    json_path: JsonPath
    # The identifier that a row must have for it.
    identifier: str = ""
    takes_consented_at: bool = True
    # First revision that has the channel.
    since: str = ""


@dataclass(frozen=True)
class Consent:
    """What a template does to consent: the status that it sets, and the channels it can be set for."""

    status: str
    channels: tuple[Channel, ...]


@dataclass(frozen=True)
class Caution:
    """A warning before a write, unless one of these is given: a setting that is not "false", or `column:FIELD`."""

    unless: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Job:
    """How an accepted job is followed: read at `list_path/JOB_ID`; `quota` is that of these reads."""

    list_path: str
    quota: Quota
    errors: JobErrors = JobErrors.NONE
    scopes: tuple[str, ...] = ()
    # Pattern of the detail of errors that mean the wanted state is reached already.
    already_satisfied: str = ""


@dataclass(frozen=True)
class RecordLimits:
    """What one record may hold; None: no limit is known."""

    max_properties: int | None = None
    max_depth: int | None = None
    max_items: int | None = None  # of one array
    max_string_bytes: int | None = None  # of one text


NO_LIMITS = RecordLimits()
MANY: Mapping[str, object] = {"data": "{rows}"}  # a list of resource identifiers
ONE_RECORD: Mapping[str, object] = {"data": "{row}"}


@dataclass(frozen=True)
class Template:
    """One endpoint: everything that is needed to write rows to it."""

    name: str
    summary: str
    path: str
    fields: tuple[FieldSpec, ...]
    quota: Quota
    method: str = "POST"
    # The JSON around the rows: the string "{rows}" (a list) or "{row}" (one record) where they go, "{setting}" where a
    # setting goes. A key that ends in "?" is left out when its setting is not given. None: requests have no body.
    body: object = field(default_factory=lambda: ONE_RECORD)
    limits: Limits = ONE_ROW

    # Whether it was made of the options of manual mode.
    is_manual: bool = False

    # --- the record of a row ---

    # Its constant part, with "{setting}" and "?" as in `body`.
    record: Mapping[str, object] = field(default_factory=dict)
    # Where loose columns go; empty: nowhere.
    properties_path: JsonPath = ()
    record_limits: RecordLimits = NO_LIMITS
    # Objects that are sent even when nothing is in them.
    keep_empty: tuple[JsonPath, ...] = (("attributes",),)
    # Whether rows are sent as they are, columns by their own names (v2 and manual mode).
    raw_rows: bool = False
    # Whether null clears a field (single-profile endpoints), so that `nulls=send` means something.
    null_clears_field: bool = False
    # Fields whose value takes the place of `{name}` in the path.
    path_fields: tuple[str, ...] = ()
    settings: tuple[Setting, ...] = ()

    # --- who or what a row is ---

    # Fields of which a row needs at least one.
    identifiers: tuple[str, ...] = ()
    # Whether a row is sent with the first that it has alone, even where no profile has it.
    first_identifier_only: bool = False
    # Fields that make two rows of a batch the same thing: the first that is present, with all of `key_with`. Empty: the
    # identifiers.
    key: tuple[str, ...] = ()
    key_with: tuple[str, ...] = ()
    # The field that is derived from the row's content when no column gives it.
    unique_id_field: str = ""
    # Rows whose identifier is none of `sent_directly` are looked up, and sent with this one of their profile.
    looked_up_as: str = ""
    sent_directly: tuple[str, ...] = ()

    # --- the request and its reply ---

    layout: BodyLayout = BodyLayout.SEQUENCE
    api: Api = Api.CURRENT
    scopes: tuple[str, ...] = ()
    # Whether sending the same request twice has the effect of sending it once.
    idempotent: bool = True
    # Whether a successful reply means that rows were stored; otherwise they were taken, and only a job may tell more.
    confirmed_by_reply: bool = True
    job: Job | None = None
    # Whether a successful reply has no body; so have all deletions, and all changes of relationships.
    replies_empty: bool = False
    # (status, code) of refusals that mean the wanted state is reached already.
    already_satisfied: tuple[tuple[int, str], ...] = ()

    # --- what users must know ---

    # Whether it deletes, and so asks for `confirm_deletion`.
    deletes: bool = False
    # Whether each row merges one profile into another: the option `fields` alone names its two columns, as their names
    # could tell the wrong way round, and all rows are judged together.
    merges: bool = False
    # Whether its rows opt people out, off a list or for good: never skipped as delivered before, never superseded.
    takes_away: bool = False
    # The templates that deletes go to where change data is written with this one.
    delete_templates: Mapping[OnDelete, str] = field(default_factory=dict)
    consent: Consent | None = None
    # Whether it changes who gets messages by other means: suppressions, lists that people are taken off, alerts.
    changes_reach: bool = False
    cautions: tuple[Caution, ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def paths(self) -> dict[str, JsonPath]:
        """Where records have each field, by its name."""
        return {known.name: known.json_path for known in self.fields}

    @property
    def rows_pointer(self) -> str:
        """JSON pointer of the list of rows in the body, as errors name it ("/data/attributes/profiles/data")."""
        return pointer_to(self.body, "{rows}") or ""

    @property
    def is_retired(self) -> bool:
        """Whether it belongs to v1 or v2: the key travels in the body, rows are sent as they are."""
        return self.api is not Api.CURRENT

    @property
    def subscribes(self) -> bool:
        """Whether people are subscribed."""
        return self.consent is not None and self.consent.status == "SUBSCRIBED"

    @property
    def unsubscribes(self) -> bool:
        """Whether people are unsubscribed."""
        return self.consent is not None and self.consent.status == "UNSUBSCRIBED"

    @property
    def needs_care(self) -> bool:
        """Whether it subscribes, suppresses, lifts suppressions, takes away, deletes or merges.

        No sample row is sent to such an endpoint, and no message about something else proposes what would let such a
        write pass.
        """
        return self.deletes or self.changes_reach or self.consent is not None or self.method == "DELETE"

    def sends_blank(self, known: FieldSpec) -> bool:
        """Whether blank text of a field is sent: where the endpoint requires the text and it names no resource.

        Any other blank text is left out, so that it does not wipe what Klaviyo holds.
        """
        is_text = known.form is FieldForm.TEXT and not (known.choices or known.pattern or known.prefix)
        is_attribute = known.json_path == ("attributes", known.name)
        names_resource = known.name in (*self.identifiers, *self.key)
        return known.required and is_text and is_attribute and not names_resource

    @property
    def promises_resource(self) -> bool:
        """Whether the reply to a request that was carried out holds what was stored.

        recorded: of creations and updates; deletions, relationships and updates of tags answer 204 with nothing.
        """
        is_bare = self.replies_empty or self.method == "DELETE" or "/relationships/" in self.path
        return self.confirmation is Confirmation.REPLY and not (is_bare or self.is_manual or self.is_retired)

    @property
    def confirmation(self) -> Confirmation:
        """How it is known that a row arrived."""
        if self.job is not None:
            return Confirmation.JOB
        return Confirmation.REPLY if self.confirmed_by_reply else Confirmation.NONE


def pointer_to(body: object, placeholder: str) -> str | None:
    """JSON pointer of the first place where a body holds a placeholder; None where it does not."""
    if body == placeholder:
        return ""
    children: Iterable[tuple[object, object]] = ()
    if isinstance(body, Mapping):
        children = body.items()
    elif isinstance(body, list):
        children = enumerate(body)
    for key, inner in children:
        found = pointer_to(inner, placeholder)
        if found is not None:
            return "/" + str(key).removesuffix("?").replace("~", "~0").replace("/", "~1") + found
    return None
