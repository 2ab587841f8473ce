"""The `spark-submit` lines of README.md for YARN and Kubernetes, as far as they can be tested without either.

Spark's own client takes them; what it would start is read from what it says, and from what it asks Kubernetes for.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.connect.apart import environment
from tests.docs import README

pytestmark = pytest.mark.cluster
LINES = {
    line.partition("--master ")[2].split()[0].partition(":")[0]: line
    for line in re.findall(r"^ *spark-submit --master .*$", README.read_text().replace("\\\n", " "), re.M)
}


def submitted(master: str, folder: Path, *more: str, **replaced: str) -> str:
    """What Spark's client says of a line of README.md."""
    line = LINES[master]
    for before, after in replaced.items():
        line = line.replace(before, after)
    _, *arguments = shlex.split(line)
    given = environment(HADOOP_CONF_DIR=str(folder), YARN_CONF_DIR=str(folder))
    home = Path(str(find_spec("pyspark").origin)).parent  # type: ignore[union-attr]
    command = [str(home / "bin" / "spark-submit"), "--verbose", *more, *arguments]
    done = subprocess.run(command, env=given, cwd=folder, capture_output=True, text=True, timeout=100)
    return done.stdout + done.stderr


@contextmanager
def kubernetes(asked: list[dict[str, Any]]) -> Iterator[str]:
    """The address of a server that takes whatever Kubernetes is asked to make."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._reply(201, {**asked[-1], "metadata": {**asked[-1].get("metadata", {}), "uid": "u"}})

        def do_GET(self) -> None:
            self._reply(404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404})

        do_PATCH = do_PUT = do_POST  # noqa: N815

        def _reply(self, status: int, document: dict[str, Any]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_kubernetes_is_asked_for_a_driver_that_gets_its_key_from_a_secret(tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []
    with kubernetes(asked) as address:
        no_wait = ("--conf", "spark.kubernetes.submission.waitAppCompletion=false")
        said = submitted("k8s", tmp_path, *no_wait, **{"https://HOST:6443": address, "IMAGE": "shop/spark"})
    [pod] = [one for one in asked if one.get("kind") == "Pod"]
    [container] = pod["spec"]["containers"]
    assert container["image"] == "shop/spark", said
    assert "local:///opt/job.py" in container["args"]
    [key] = [one["valueFrom"]["secretKeyRef"] for one in container["env"] if one["name"] == "KLAVIYO_API_KEY"]
    assert (key["name"], key["key"]) == ("klaviyo", "api_key")
    assert pod["spec"]["serviceAccountName"] == "spark"


def test_yarn_gets_the_archive_the_key_and_the_python(tmp_path: Path) -> None:
    for name in ("packed.zip", "klaviyo.key", "job.py"):
        (tmp_path / name).touch()
    settings = {"yarn.resourcemanager.connect.max-wait.ms": "100", "yarn.resourcemanager.address": "127.0.0.1:1"}
    properties = "".join(
        f"<property><name>{name}</name><value>{value}</value></property>" for name, value in settings.items()
    )
    (tmp_path / "yarn-site.xml").write_text(f"<configuration>{properties}</configuration>")
    said = submitted("yarn", tmp_path)
    assert "org.apache.spark.deploy.yarn.YarnClusterApplication" in said
    found = dict(re.findall(r"^\((spark[\w.]+),(.*)\)$", said, re.M))
    assert found["spark.yarn.dist.archives"].endswith("/packed.zip#packed"), said
    assert found["spark.yarn.dist.files"].endswith("/klaviyo.key")
    assert found["spark.yarn.appMasterEnv.PYTHONPATH"] == found["spark.executorEnv.PYTHONPATH"] == "packed"
    assert found["spark.yarn.appMasterEnv.PYSPARK_PYTHON"] == "python3.11"
    assert "Connecting to ResourceManager" in said
