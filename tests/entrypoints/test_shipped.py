"""What Spark carries to a process without this package: one sentence says there what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pyspark import cloudpickle

from spark_klaviyo import klaviyo_batch_writer, klaviyo_partition_writer
from spark_klaviyo.entrypoints.datasource import ArrowStreamWriter, KlaviyoDataSource, KlaviyoWriter, RowStreamWriter
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.entrypoints.shipped import RegisteredSource, pickled
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.plan.make import make_plan
from tests.connect.apart import environment
from tests.plan.planning import fields

pytest.importorskip("pyspark.sql.datasource")
WAYS = ("df.write", "writeStream", "writeStream, Spark 4.0", "foreachPartition", "foreachBatch", "registered")
KEY = "pk_test_0123456789abcdef"
# A process in which the package cannot be imported, though it may be installed.
READ = """
import pickle, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "spark_klaviyo":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
found = pickle.load(sys.stdin.buffer)
if isinstance(found, type):
    found({}).writer(None, False)
"""


def carried() -> dict[str, object]:
    """What each way to write that has no session of its own gives Spark."""
    given = {"template": "bulk_import_profiles", "api_key": KEY, "base_url": "http://127.0.0.1:1"}
    options = options_at(EntryPoint.SOURCE, given)
    plan = make_plan(options, fields(email="string"), "run")

    class Bound(RegisteredSource):
        content = pickled((KlaviyoDataSource, {}))

    return {
        "df.write": KlaviyoWriter(plan, options),
        "writeStream, Spark 4.0": RowStreamWriter(plan, options),
        "writeStream": ArrowStreamWriter(plan, options),
        "foreachPartition": klaviyo_partition_writer(**given),
        "foreachBatch": klaviyo_batch_writer(**given),
        "registered": Bound,
    }


@pytest.mark.parametrize("way", WAYS)
def test_a_process_without_the_package_says_what_to_install(way: str) -> None:
    content = cloudpickle.dumps(carried()[way])
    done = subprocess.run(
        [sys.executable, "-c", READ], input=content, env=environment(), capture_output=True, timeout=60
    )
    last = done.stderr.decode().strip().splitlines()[-1]
    assert last.startswith("ModuleNotFoundError: the Python of ")
    assert "has no module 'spark_klaviyo" in last
    assert "install spark-klaviyo, in the driver's version, on every worker" in last
    assert KEY not in done.stderr.decode()


def test_what_is_carried_is_the_same_where_the_package_is() -> None:
    options = options_at(EntryPoint.SOURCE, {"template": "bulk_import_profiles", "api_key": KEY})
    writer = KlaviyoWriter(make_plan(options, fields(email="string"), "run"), options)
    again = cloudpickle.loads(cloudpickle.dumps(writer))
    assert (type(again), again.plan, again.options) == (KlaviyoWriter, writer.plan, writer.options)
