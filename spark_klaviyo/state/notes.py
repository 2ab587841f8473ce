"""Small JSON files beside the Parquet of a state: they begin with an underscore, so that Spark passes over them."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Mapping
from typing import Any

import pyarrow.fs as pafs

from spark_klaviyo.datasets.storage import Folder

LOOKS, LOOK_SECONDS = 5, 0.1  # while a note is being written


def read_note(folder: Folder, name: str) -> bytes | None:
    """What stands in a note; None where it is not there."""
    try:
        with folder.system.open_input_stream(f"{folder.path}/{name}") as stream:
            return bytes(stream.read())
    except FileNotFoundError:
        return None


def write_note(folder: Folder, name: str, content: Mapping[str, object]) -> None:
    """Put a note there, in the place of one that may be there; on a local file system in one step."""
    text = json.dumps(content).encode()
    path = f"{folder.path}/{name}"
    target = f"{folder.path}/_{uuid.uuid4().hex}.part" if folder.is_local else path
    if folder.is_local:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
    with folder.system.open_output_stream(target) as stream:
        stream.write(text)
    if target != path:
        folder.system.move(target, path)


def notes(folder: Folder, prefix: str) -> list[str]:
    """Names of the notes that begin so, sorted."""
    found = folder.system.get_file_info(pafs.FileSelector(folder.path, allow_not_found=True))
    return sorted(entry.base_name for entry in found if entry.is_file and entry.base_name.startswith(prefix))


def settled_note(folder: Folder, name: str) -> dict[str, Any]:
    """What a note tells; empty where there is none, or it stays half written.

    Some object stores and HDFS show a note that is written anew as missing or empty for a moment.
    """
    for _ in range(LOOKS):
        told = parsed(read_note(folder, name))
        if told or folder.is_local:
            return told
        time.sleep(LOOK_SECONDS)
    return {}


def parsed(content: bytes | None) -> dict[str, Any]:
    """A note as a mapping; empty where there is none, or it is just being written."""
    try:
        told = json.loads(content or b"{}")
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
