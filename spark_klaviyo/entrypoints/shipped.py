"""Writers as Spark carries them to other processes: one that lacks a package says in one sentence what to install.

Everything in this module is pickled by value, so it runs where this package is not installed: its functions import what
they use, and name nothing of the package but texts.
"""

from __future__ import annotations

import sys
from typing import Any, ClassVar

from spark_klaviyo.runs.session import MISSING_PACKAGE

try:  # the class decides, never the version: Databricks' "3.5" has it
    from pyspark.sql.datasource import DataSource
except ImportError:
    DataSource = object
try:
    from pyspark.cloudpickle import register_pickle_by_value
except ImportError:  # no Spark
    pass
else:
    register_pickle_by_value(sys.modules[__name__])


def pickled(value: object) -> bytes:
    """The value pickled, for `unpickled`."""
    from pyspark import cloudpickle

    content: bytes = cloudpickle.dumps(value)
    return content


def unpickled(content: bytes) -> Any:
    """The value; raises ModuleNotFoundError with a sentence that names machine and module where one is missing."""
    import pickle
    import socket

    try:
        return pickle.loads(content)  # noqa: S301  made by `pickled` in the process that planned the write
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(MISSING_PACKAGE.format(where=socket.gethostname(), module=error.name)) from None


def unpickled_object(content: bytes) -> Any:
    """An object of the class and with the attributes that were pickled."""
    kind, attributes = unpickled(content)
    made = kind.__new__(kind)
    vars(made).update(attributes)
    return made


class Shipped:
    """What Spark pickles: its class is not looked up before the sentence can be said."""

    def __reduce__(self) -> tuple[Any, ...]:
        return unpickled_object, (pickled((type(self), vars(self))),)


class RegisteredSource(DataSource):  # type: ignore[misc]
    """The data source `klaviyo` as `register` hands it to Spark. `content`: its class and bound options, pickled."""

    content: ClassVar[bytes] = b""

    @classmethod
    def name(cls) -> str:
        """The name that `format(...)` takes."""
        return "klaviyo"

    def writer(self, schema: Any, overwrite: bool) -> Any:
        """That of the pickled class."""
        return self._source().writer(schema, overwrite)

    def streamWriter(self, schema: Any, overwrite: bool) -> Any:  # noqa: N802  Spark's name
        """That of the pickled class."""
        return self._source().streamWriter(schema, overwrite)

    def _source(self) -> Any:
        kind, bound = unpickled(self.content)
        source = kind(self.options)
        source.bound = bound
        return source
