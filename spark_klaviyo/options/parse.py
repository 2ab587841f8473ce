"""From what was given at a door to `Options`, or to one error that lists all that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from spark_klaviyo.core.choices import Api, KeyIn
from spark_klaviyo.errors import OptionError, complain
from spark_klaviyo.options import names, read_credentials, readers, rules, settings
from spark_klaviyo.options.addresses import KEY_PLACE, Unreadable, split_key
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.options.model import Options
from spark_klaviyo.options.public import public_text, quoted
from spark_klaviyo.options.secrets import MASK, Credentials, Secret, is_reference
from spark_klaviyo.options.table import BY_NAME, OPTIONS, Option

if TYPE_CHECKING:
    from spark_klaviyo.templates.model import Template

__all__ = ["Options", "read_options"]

_CREDENTIALS = ("api_key", "access_token")


def read_options(
    given: Mapping[str, object],
    entry_point: EntryPoint,
    catalog: Iterable[Template],
    find_template: Callable[[str, Api], Template],
    *,
    recorded: bool = False,
) -> Options:
    """Check every option, then complain once about all that is wrong.

    `given`: any spelling of names, values as text or Python's. `catalog`: all templates;
    `find_template(name, api)` picks one, or raises OptionError. `recorded`: Spark writes these options down, so a
    literal key is refused unless it is a `Secret`, which came by another way. Raises OptionError; no message repeats a
    secret. References to secrets are resolved here, in the calling process.
    """
    reading = _Reading(given, entry_point, tuple(catalog), recorded)
    reading.read_url_key()
    reading.read_template(find_template)
    reading.read_values()
    reading.read_settings()
    credentials = reading.read_credentials()
    reading.judge()
    complain(reading.safe_complaints())
    return reading.options(credentials)


class _Reading:
    """One call being read; complaints gather until the end."""

    def __init__(
        self, given: Mapping[str, object], entry_point: EntryPoint, catalog: tuple[Template, ...], recorded: bool
    ) -> None:
        every = {setting.name for template in catalog for setting in template.settings}
        self.sheet = names.sorted_out(given, entry_point, sorted(every))
        self.entry_point, self.catalog, self.recorded = entry_point, catalog, recorded
        self.complaints: list[str] = list(self.sheet.complaints)
        self.template: Template | None = None
        self.url_key = ""
        self.values: dict[str, Any] = {}
        self.settings: dict[str, str] = {}

    @property
    def mode(self) -> str:
        """Which of template and url was given."""
        both = ("template" in self.sheet.options, "url" in self.sheet.options)
        modes = {(True, True): "both", (True, False): "template", (False, True): "manual"}
        return modes.get(both, "neither")

    def read_url_key(self) -> None:
        """A key in the url's query becomes the credentials', so that no message and no plan shows it."""
        url = self.sheet.options.get("url")
        bare, found = split_key(url) if isinstance(url, str) else ("", "")
        if not found:
            return
        self.sheet.options["url"] = bare
        where = str(self.sheet.options.setdefault("key_in", "query")).strip().lower()
        if where != "query":
            self.complaints.append("url: holds api_key in its query, and key_in says otherwise; leave one of them out")
        if found == KEY_PLACE:
            return
        if any(self.sheet.options.get(name) is not None for name in _CREDENTIALS):
            self.complaints.append("url: holds api_key in its query besides the option api_key; give one of them")
            self.url_key = found
        else:
            self.sheet.options["api_key"] = found

    def read_template(self, find_template: Callable[[str, Api], Template]) -> None:
        """Find the template, so that its settings and limits are known."""
        for name in ("template", "api"):
            self._read(BY_NAME[name])
        if self.mode != "template" or "template" not in self.values:
            return
        try:
            self.template = find_template(self.values["template"], self.values.get("api", Api.CURRENT))
        except OptionError as error:
            self.complaints.extend(error.complaints)

    def read_values(self) -> None:
        """Read every given value with its own reader."""
        for option in OPTIONS:
            if option.name not in ("template", "api"):
                self._read(self._bounded(option))
        for name, value in self.sheet.headers.items():
            field: dict[str, dict[str, str]] = {}
            self._keep(field, "headers", partial(readers.header, name), value)
            self.values["headers"] = {**self.values.get("headers", {}), **field.get("headers", {})}

    def _bounded(self, option: Option) -> Option:
        """The endpoint's limits bound `max_rows` and `max_bytes`; no limit of the retired calls was published."""
        if self.template is None or self.template.is_retired or option.name not in ("max_rows", "max_bytes"):
            return option
        return replace(option, reader=readers.whole(1, getattr(self.template.limits, option.name)))

    def _read(self, option: Option) -> None:
        if option.name in self.sheet.options:
            self._keep(self.values, option.name, option.reader, self.sheet.options[option.name])

    def _keep(self, into: dict[str, Any], name: str, reader: readers.Reader, value: object) -> None:
        try:
            into[name] = reader(value)
        except Unreadable as error:
            hidden = name in BY_NAME and BY_NAME[name].hidden
            self.complaints.append(f"{name}: must be {error}" + ("" if hidden else f", not {quoted(value)}"))

    def read_settings(self) -> None:
        """Read the template's settings, and say which are missing or belong elsewhere."""
        own = {setting.name: setting for setting in self.template.settings} if self.template else {}
        for name, setting in own.items():
            if name in self.sheet.settings:
                reader = partial(settings.read_setting, setting)
                self._keep(self.settings, name, reader, self.sheet.settings[name])
            elif setting.default is not None:
                self.settings[name] = setting.default
        self.complaints.extend(names.unknown_complaints(self.sheet.unknown, own))
        self.complaints.extend(settings.homeless(self.sheet.settings, self.template, self.mode, self.catalog))
        if self.template:
            there = [*self.sheet.settings, *self.sheet.options]
            self.complaints.extend(settings.missing(self.template, there))

    def read_credentials(self) -> Credentials:
        """Resolve the key, where one is needed."""
        given = {name: self.values[name] for name in _CREDENTIALS if name in self.values}
        if any(name in self.sheet.options and name not in given for name in _CREDENTIALS):
            return Credentials()  # complained about already
        legacy = self.template is not None and self.template.is_retired
        what = "key" if legacy else "none" if self.values.get("key_in") is KeyIn.NONE else "any"
        return read_credentials.read_credentials(
            given, read_credentials.Need(what, self.entry_point, self.recorded), self.complaints
        )

    def judge(self) -> None:
        """Look at the options together."""
        given = {**self.sheet.settings, **self.values, **self._given_settings()}
        call = rules.Call(self.entry_point, self.mode, self.template, given, self.recorded)
        self.complaints.extend(rules.contradictions(call))

    def _given_settings(self) -> dict[str, str]:
        return {name: text for name, text in self.settings.items() if name in self.sheet.settings}

    def safe_complaints(self) -> list[str]:
        """The complaints, with keys and header values covered wherever one slipped in."""
        given = [self.sheet.options.get(name) for name in _CREDENTIALS]
        texts = [text.reveal() if isinstance(text, Secret) else text for text in given]
        texts += [*self.sheet.headers.values(), *self.values.get("headers", {}).values()]
        texts.append(self.url_key)
        secrets = [text for text in texts if isinstance(text, str) and len(text) >= 8 and not is_reference(text)]
        return [names.masked(_covered(line, secrets)) for line in self.complaints]

    def options(self, credentials: Credentials) -> Options:
        """The options, defaults filled in."""
        values = {option.name: _default(option) for option in OPTIONS}
        values |= {"on_reject": self.entry_point.default_on_reject, "headers": {}, "fields": {}, "url": ""}
        values |= {"unique_id_columns": (), **self.values}
        for name in _CREDENTIALS:
            del values[name]
        warning = read_credentials.elsewhere(credentials, values["url"] or values["base_url"])
        shown = {name: public_text(name, value) for name, value in self.values.items()}
        return Options(
            entry_point=self.entry_point,
            settings=self.settings,
            credentials=credentials,
            given=frozenset({*self.values, *self._given_settings()}),
            shown={name: text for name, text in shown.items() if name not in _CREDENTIALS} | self._given_settings(),
            warnings=(warning,) if warning else (),
            **values,
        )


def _default(option: Option) -> Any:
    return None if option.default is None else option.reader(option.default)


def _covered(line: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        line = line.replace(secret, MASK)
    return line
