"""A server that discards requests as fast as it can and answers 202, so that the client is measured, not the simulator.

Runs as a process of its own: it prints its port, then serves until its standard input ends. GET /count returns how many
requests and bytes were received.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys

ACCOUNT = b'{"data":[{"type":"account","id":"Bench1","attributes":{}}]}'
JOB_ID = b"01GSQPBF74KQ5YTDEPP41T1BZH"
ENDED = b'"attributes":{"status":"complete","failed_count":0}'
REPLY = b'{"data":{"type":"profile-bulk-import-job","id":"%b",%b}}' % (JOB_ID, ENDED)
HEAD = (
    b"HTTP/1.1 %s\r\nContent-Type: application/vnd.api+json\r\nRateLimit-Limit: 10, 10;w=1, 150;w=60\r\n"
    b"RateLimit-Remaining: 9\r\nRateLimit-Reset: 0\r\nContent-Length: %d\r\n\r\n%s"
)
BLOCK = 1 << 20


class Connection:
    """One client: reads each head, skips and counts the body, and answers."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.head = b""
        self.missing = 0
        self.get = b""  # the address that a GET asks for

    def receive(self, block: memoryview, totals: list[int]) -> None:
        """Take a block of bytes; answer every request that is complete."""
        while block:
            if self.missing:
                used = min(self.missing, len(block))
                self.missing -= used
                block = block[used:]
            else:
                self.head += bytes(block[:8192])
                start, mark, _ = self.head.partition(b"\r\n\r\n")
                if not mark:
                    return
                already = len(self.head) - len(bytes(block[:8192]))
                block = block[len(start) + 4 - already :]
                self.missing, self.get, self.head = _length(start), _asked(start), b""
                totals[1] += self.missing
            if not self.missing and not self.head:
                self.answer(totals)

    def answer(self, totals: list[int]) -> None:
        """202; to a GET the account, the job, or the counts."""
        totals[0] += not self.get
        body = json.dumps({"requests": totals[0], "bytes": totals[1]}).encode() if self.get else REPLY
        body = ACCOUNT if self.get.startswith(b"/api/accounts") else REPLY if b"-jobs/" in self.get else body
        self.sock.sendall(HEAD % (b"200 OK" if self.get else b"202 Accepted", len(body), body))


def _asked(head: bytes) -> bytes:
    return head.split(b" ", 2)[1] if head.startswith(b"GET ") else b""


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def serve() -> None:
    """Serve on a free loopback port until standard input ends."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    ready = selectors.DefaultSelector()
    ready.register(listener, selectors.EVENT_READ)
    ready.register(sys.stdin, selectors.EVENT_READ)
    block, totals = bytearray(BLOCK), [0, 0]
    while True:
        for key, _ in ready.select():
            if key.fileobj is sys.stdin:
                return
            if key.fileobj is listener:
                sock, _ = listener.accept()
                ready.register(sock, selectors.EVENT_READ, Connection(sock))
            else:
                _receive(ready, key.data, block, totals)


def _receive(ready: selectors.BaseSelector, client: Connection, block: bytearray, totals: list[int]) -> None:
    try:
        size = client.sock.recv_into(block)
    except ConnectionError:
        size = 0
    if size:
        client.receive(memoryview(block)[:size], totals)
    else:
        ready.unregister(client.sock)
        client.sock.close()


if __name__ == "__main__":
    serve()
