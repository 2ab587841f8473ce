"""Reads the options of a call into `Options`, or raises one error that lists everything that is wrong.

`model` says what options there are, `readers` how values are read, `rules` what contradicts what.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import partial
from typing import Any

from spark_klaviyo.core.codes import Api, KeyIn
from spark_klaviyo.core.secrets import Credentials, Secret, cover_of
from spark_klaviyo.errors import OptionError, complain
from spark_klaviyo.options import readers, secrets
from spark_klaviyo.options.addresses import KEY_PLACE, Unreadable, split_key
from spark_klaviyo.options.entrypoints import OPTIONS_OF_SPARK, EntryPoint
from spark_klaviyo.options.model import BY_NAME, CREDENTIALS, OPTIONS, Options, normalized
from spark_klaviyo.options.option import Mode, Option
from spark_klaviyo.options.rules import Call, contradictions
from spark_klaviyo.options.secrets import is_reference
from spark_klaviyo.templates import find_template, templates
from spark_klaviyo.templates.model import Template

_HEADER = re.compile(r"header[._-](?P<name>.+)", re.IGNORECASE | re.DOTALL)
_PATH = "path: rows go to Klaviyo, not to a path; call save() or start() without one"


def read_options(given: Mapping[str, object], entry_point: EntryPoint, *, recorded: bool = False) -> Options:
    """Check every option of a call, and resolve references to secrets in this process.

    Args:
        given: Options by name in any spelling; values as text or Python's. None is as good as not given.
        entry_point: Where they were given.
        recorded: Whether Spark writes these options down, so that a literal key is refused unless it is a `Secret`.

    Raises:
        OptionError: With every complaint about the options; it never repeats a secret.
    """
    reading = _Reading(entry_point, recorded)
    reading.sort(given)
    reading.read_key_of_url()
    reading.read_template()
    reading.read_values()
    reading.read_settings()
    reading.check_together()
    credentials = reading.read_credentials()
    complain(reading.safe_complaints())
    return reading.result(credentials)


@dataclass
class _Reading:
    """One call whose options are being read; complaints are collected until the end."""

    entry_point: EntryPoint
    recorded: bool
    # What was given, by what it is: options, settings of templates, headers, or none of these.
    options: dict[str, Any] = field(default_factory=dict)
    given_settings: dict[str, object] = field(default_factory=dict)
    headers: dict[str, object] = field(default_factory=dict)
    unknown: dict[str, object] = field(default_factory=dict)
    # What was read of it.
    template: Template | None = None
    values: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    key_of_url: str = ""

    def sort(self, given: Mapping[str, object]) -> None:
        """Find out what each name is, whatever its spelling."""
        settings = {setting.name for template in templates() for setting in template.settings}
        names = {normalized(name): name for name in (*settings, *BY_NAME)}
        spellings = dict[str, str]()
        for spelling, value in given.items():
            key = normalized(spelling)
            if value is None or key in OPTIONS_OF_SPARK.get(self.entry_point, ()):
                continue
            name, header = names.get(key), _HEADER.fullmatch(spelling)
            if name in spellings:
                self.complaints.append(f"{name}: is given twice, as {spellings[name]} and {spelling}")
            elif name is not None:
                spellings[name] = spelling
                (self.options if name in BY_NAME else self.given_settings)[name] = value
            elif header is not None:
                self.headers[header["name"]] = value
            else:
                self.unknown[spelling] = value

    @property
    def mode(self) -> Mode:
        """Which of template and url was given."""
        if "template" in self.options:
            return Mode.BOTH if "url" in self.options else Mode.TEMPLATE
        return Mode.MANUAL if "url" in self.options else Mode.NEITHER

    def read_key_of_url(self) -> None:
        """Move a key in the url's query to the credentials, so that no message and no plan shows it."""
        url = self.options.get("url")
        bare, found = split_key(url) if isinstance(url, str) else ("", "")
        if not found:
            return
        self.options["url"] = bare
        key_in = str(self.options.setdefault("key_in", str(KeyIn.QUERY))).strip().lower()
        if key_in != str(KeyIn.QUERY):
            self.complaints.append("url: holds api_key in its query, which key_in contradicts; leave one of them out")
        if found == KEY_PLACE:
            return
        if any(name in self.options for name in CREDENTIALS):
            self.complaints.append("url: holds api_key in its query besides the option api_key; give one of them")
            self.key_of_url = found
        else:
            self.options["api_key"] = found

    def read_template(self) -> None:
        """Find the template first, as its settings and limits decide how others are read."""
        for name in ("template", "api"):
            self._read(BY_NAME[name])
        if self.mode is Mode.TEMPLATE and "template" in self.values:
            try:
                self.template = find_template(self.values["template"], self.values.get("api", Api.CURRENT))
            except OptionError as error:
                self.complaints.extend(error.complaints)

    def read_values(self) -> None:
        """Read every other option with its reader."""
        for option in OPTIONS:
            if option.name not in ("template", "api"):
                self._read(self._bounded(option))
        for name, value in self.headers.items():
            read: dict[str, tuple[str, str]] = {}
            self._keep(read, "headers", partial(readers.header, name), value)
            self.values["headers"] = {**self.values.get("headers", {}), **dict(read.values())}

    def _bounded(self, option: Option) -> Option:
        """`max_rows` and `max_bytes` within the endpoint's limits; the retired calls have no published ones."""
        if self.template is None or self.template.is_retired or option.name not in ("max_rows", "max_bytes"):
            return option
        return replace(option, reader=readers.whole(1, getattr(self.template.limits, option.name)))

    def _read(self, option: Option) -> None:
        if option.name in self.options:
            self._keep(self.values, option.name, option.reader, self.options[option.name])

    def _keep(self, into: dict[str, Any], name: str, reader: readers.Reader, value: object) -> None:
        try:
            into[name] = reader(value)
        except Unreadable as error:
            hidden = name in BY_NAME and BY_NAME[name].hidden
            self.complaints.append(f"{name}: must be {error}" + ("" if hidden else f", not {secrets.quoted(value)}"))

    def read_settings(self) -> None:
        """Read the template's settings; complain about unknown names, and suggest the nearest known ones."""
        own = {setting.name: setting for setting in self.template.settings} if self.template else {}
        for name, setting in own.items():
            if name in self.given_settings:
                self._keep(self.settings, name, partial(readers.setting_value, setting), self.given_settings[name])
        names = {normalized(name): name for name in [*BY_NAME, *own]}
        for spelling in self.unknown:
            near = " or ".join(names[match] for match in get_close_matches(normalized(spelling), names, 2, 0.7))
            hint = f" (did you mean {near}?)" if near else ""
            what = _PATH if normalized(spelling) == "path" else f"{secrets.shown_name(spelling)}: no such option{hint}"
            self.complaints.append(what)

    def check_together(self) -> None:
        """Check the options against each other."""
        read = {**self.given_settings, **self.values, **self.settings}
        self.complaints.extend(contradictions(Call(self.entry_point, self.mode, self.template, read, self.recorded)))

    def read_credentials(self) -> Credentials:
        """Resolve the key or token, where one is needed."""
        read = {name: self.values[name] for name in CREDENTIALS if name in self.values}
        if any(name in self.options and name not in read for name in CREDENTIALS):
            return Credentials()  # complained about already
        if not read and self.values.get("key_in") is KeyIn.NONE:
            return Credentials()
        return secrets.read_credentials(read, self.entry_point, self.complaints, recorded=self.recorded)

    def safe_complaints(self) -> list[str]:
        """The complaints, with keys, values of headers and of unknown options covered: `api_ke` may hold the key."""
        keys = [*(self.options.get(name) for name in CREDENTIALS), *self.unknown.values()]
        texts = [key.reveal() if isinstance(key, Secret) else key for key in keys]
        texts += [*self.headers.values(), *self.values.get("headers", {}).values(), self.key_of_url]
        texts.append(os.environ.get(secrets.KEY_VARIABLE))
        known = (text for text in texts if isinstance(text, str) and not is_reference(text))
        cover = cover_of(known, least=8)
        return [secrets.masked_tokens(cover(complaint)) for complaint in self.complaints]

    def result(self, credentials: Credentials) -> Options:
        """The options, with defaults for what was not given."""
        values: dict[str, Any] = {option.name: option.default_value for option in OPTIONS}
        values |= {"on_reject": self.entry_point.default_on_reject, **self.values}
        values |= {"api_key": credentials.api_key, "access_token": credentials.access_token}
        shown = {name: BY_NAME[name].public_text(value) for name, value in self.values.items()}
        return Options(
            entry_point=self.entry_point,
            settings=self.settings,
            given=frozenset({*self.values, *self.settings}),
            shown={name: text for name, text in shown.items() if name not in CREDENTIALS} | self.settings,
            **values,
        )
