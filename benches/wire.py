"""A client of as little work as can be, so that a benchmark measures the server: requests signed by AWS Signature
Version 4, made whole beforehand where that helps, over one kept connection."""

import hashlib
import hmac
import json
import socket
import time

from harness import ACCESS_KEY, REGION, SECRET_KEY


def signed(port, service, path, body, target=None):
    """A POST request, ready to be sent, good for 15 minutes."""
    body = json.dumps(body).encode()
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    headers = {"host": f"127.0.0.1:{port}", "x-amz-date": moment}
    if target:
        headers["x-amz-target"] = target
    names = ";".join(headers)
    canonical = "\n".join(
        ["POST", path, "", *(f"{name}:{value}" for name, value in headers.items()), "", names, sha256(body)]
    )
    scope = f"{moment[:8]}/{REGION}/{service}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", moment, scope, sha256(canonical.encode())])
    signature = hmac.new(signing_key(moment[:8], service), to_sign.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    headers["content-type"] = "application/x-amz-json-1.0" if target else "application/json"
    headers["content-length"] = len(body)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def signing_key(day, service):
    key = f"AWS4{SECRET_KEY}".encode()
    for part in (day, REGION, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


class Connection:
    """One kept connection to the server."""

    def __init__(self, port):
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self):
        self.socket.close()

    def send(self, request):
        """Sends a request that is ready; gives the answer's body, and an error for an answer that is not 200."""
        self.socket.sendall(request)
        answer = self.more(b"")
        while b"\r\n\r\n" not in answer:
            answer = self.more(answer)
        head, _, body = answer.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))
        while len(body) < length:
            body = self.more(body)
        if not lines[0].startswith(b"http/1.1 200 "):
            raise RuntimeError(f"{head.decode()}\n{body.decode()}")
        return body

    def more(self, got):
        part = self.socket.recv(65536)
        if not part:
            raise ConnectionError("the server closed the connection")
        return got + part

    def call(self, service, path, body, target=None):
        """Signs, sends, and reads the answer's JSON."""
        return json.loads(self.send(signed(self.port, service, path, body, target)))

    def jobs(self, ids):
        return self.call("batch", "/v1/describejobs", {"jobs": ids})["jobs"]
