"""A worker that encodes and batches rows imports no pandas: 45 MB of its memory, in every task of a cluster."""

from __future__ import annotations

import subprocess
import sys

TASK = """
import sys
import pyarrow as pa
from spark_klaviyo.batching.assembler import BatchAssembler
from spark_klaviyo.core.clock import Stop
from spark_klaviyo.encode.encoder import encode_batches
from spark_klaviyo.entrypoints.read import options_at
from spark_klaviyo.options.entrypoints import EntryPoint
from spark_klaviyo.plan.make import make_plan
from spark_klaviyo.plan.types import Field, Type
from spark_klaviyo.report.counts.task_report import TaskReport
from spark_klaviyo.runs.results import result_batches
from spark_klaviyo.runs.tasks import SendTask

names = ("email", "phone_number", "first_name", "points", "tags")
types = (*[Type("string")] * 3, Type("double"), Type("array", element=Type("string")))
options = options_at(EntryPoint.SOURCE, {"template": "bulk_import_profiles", "api_key": "pk_1"})
plan = make_plan(options, tuple(map(Field, names, types)), "run")
block = bytes.fromhex(sys.argv[1])
report = TaskReport()
batches = BatchAssembler(plan, report, Stop()).batches(encode_batches(pa.ipc.open_stream(block), plan))
sent = sum(batch.rows for batch in batches if batch is not None)
list(result_batches([("report", report.to_json())]))
print(report.rows, sent, "pandas" in sys.modules)
"""


def test_a_task_imports_no_pandas() -> None:
    import pyarrow as pa

    rows = pa.RecordBatch.from_pydict(
        {
            "email": ["ada@example.com", None, "ada@example.com", "no address"],
            "phone_number": ["+16175551234", "+16175551235", None, None],
            "first_name": ["Ada", None, "ad\u00e0", None],
            "points": [1.5, float("nan"), None, None],
            "tags": [["a", "b"], [], None, None],
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_batch(rows)
    block = sink.getvalue().to_pybytes().hex()
    output = subprocess.run([sys.executable, "-c", TASK, block], capture_output=True, text=True, check=True).stdout
    assert output.split() == ["4", "2", "False"]
