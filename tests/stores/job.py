"""Every way to write with its datasets, state and key in an object store, run as a program: results as JSON.

A process of its own, as Spark's workers get the store's settings from the environment that the JVM started with.
`job.py STORE`: the URI of a folder.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from spark_klaviyo import compact_state, follow_klaviyo, klaviyo_partition_writer, register, write_klaviyo
from spark_klaviyo.cli.local_spark import local_session
from spark_klaviyo.datasets.storage import Folder
from spark_klaviyo.simulator import KlaviyoSimulator
from tests.streams.flowing import posted


def main(store: str) -> dict[str, object]:
    found: dict[str, object] = {}
    key = Folder.at(f"{store}/key")
    with key.system.open_output_stream(key.path) as file:
        file.write(b"pk_of_the_store\n")
    spark = local_session("stores", "local[2]", **{"spark.sql.shuffle.partitions": "2"})
    email = "CASE WHEN id % 10 = 3 THEN 'nobody' ELSE concat('p', id, '@example.com') END AS email"
    people = spark.range(0, 20, 1, 2).selectExpr(email, "id AS tier")
    with KlaviyoSimulator(job_polls=0, api_keys=["pk_of_the_store"]) as klaviyo:
        goal: dict[str, Any] = {
            "template": "add_profiles_to_list",
            "list_id": "Y6nRLr",
            "base_url": klaviyo.url,
            "api_key": f"file:{store}/key",
            "on_reject": "keep",
        }
        places = {f"{name}_path": f"{store}/{name}" for name in ("rejects", "receipts", "runs")}
        state = {"state_path": f"{store}/state"}
        first = write_klaviyo(people, **goal, **places, **state)
        rejects: Any = first.rejects
        receipts: Any = first.receipts
        found["first"] = [first.delivered, first.rejected, rejects.count(), receipts.count(), posted(klaviyo)]
        second = write_klaviyo(people, **goal, **places, **state)
        found["second"] = [second.delivered, second.skipped, second.rejected]
        found["compacted"] = compact_state(spark, f"{store}/state") > 0
        third = write_klaviyo(people, **goal, **state)
        found["third"] = [third.delivered, third.skipped]
        found["left"] = [Folder.at(f"{store}/{name}").child("_staging").names() for name in ("rejects", "receipts")]
        if hasattr(spark, "dataSource"):
            register(spark, api_key=f"file:{store}/key")
            rest = {name: value for name, value in goal.items() if name != "api_key"}
            elsewhere = {name: f"{place}_of_tasks" for name, place in places.items()}
            people.write.format("klaviyo").mode("append").options(**rest, **elsewhere).save()
            found["tasks"] = [len(Folder.at(elsewhere[name]).names()) > 0 for name in elsewhere]
        open_jobs = f"{store}/open"
        people.foreachPartition(
            klaviyo_partition_writer(schema=people.schema, receipts_path=open_jobs, wait_for_jobs="false", **goal)
        )
        followed = follow_klaviyo(open_jobs, api_key=f"file:{store}/key", base_url=klaviyo.url)
        found["followed"] = followed.delivered
    spark.stop()
    return found


if __name__ == "__main__":
    sys.stdout.write("RESULT " + json.dumps(main(sys.argv[1])) + "\n")
