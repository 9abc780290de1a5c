"""An index in the official layout on the loopback, which records requests; and answers of bad servers."""

import base64
import hashlib
import json
import select
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Server(ThreadingHTTPServer):
    request_queue_size = 64

    def handle_error(self, *_):
        """Do nothing: in some tests the client goes away."""


class Index:
    """Packages by ``add``, anything else by ``put``; a path may be answered by a function of the handler."""

    def __init__(self, context: ssl.SSLContext | None = None):
        self.pages: dict[str, Any] = {}
        self.requests: list[str] = []
        self.headers: list[Any] = []
        self.connections = 0
        index = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one piece, else each answer waits for an acknowledgement

            def setup(self):
                index.connections += 1
                super().setup()

            def do_GET(self):
                index.requests.append(self.path)
                index.headers.append(self.headers)
                page = index.pages.get(self.path)
                if callable(page):
                    page(self)
                else:
                    answer(self, 404 if page is None else 200, page or b"")

            def log_message(self, *_):
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.site = f"http{'s' if context else ''}://127.0.0.1:{self._server.server_port}"
        self.url = f"{self.site}/pi/v2"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def put(self, path, page):
        """Serve a page, an object as JSON, at a path of the site."""
        self.pages[path] = page if isinstance(page, bytes) or callable(page) else json.dumps(page).encode()

    def file(self, data):
        """Serve a file of the index, and return its short hash."""
        short = hashlib.sha256(data).hexdigest()[:8]
        self.put(f"/pi/v2/file/{short[:2]}/{short}", data)
        return short

    def add(self, name, version="1.0", files=None, deps=(), *, latest=True):
        """Serve a package; by default of one file, which is named as the package and says its version."""
        files = {f"{name}.py": f"{name} = {version!r}\n".encode()} if files is None else files
        hashes = [[target, self.file(data)] for target, data in files.items()]
        document = {"v": 1, "hashes": hashes, "deps": [list(dep) for dep in deps], "version": version}
        self.describe(name, document, *([version, "latest"] if latest else [version]))

    def describe(self, name, document, *versions):
        """Serve the description of a package as it is."""
        for version in versions or ("latest",):
            self.put(f"/pi/v2/package/py/{name}/{version}.json", document)

    def asked(self, kind):
        """Return the paths of the index that were asked for, of 'package' or 'file'."""
        return [path for path in self.requests if path.startswith(f"/pi/v2/{kind}/")]


def answer(handler, status, body=b"", **headers):
    handler.send_response(status)
    for name, value in ({"Content-Length": str(len(body))} | headers).items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


class Proxy:
    """A proxy on the loopback, which records requests; with ``login`` it wants that user and password."""

    def __init__(self, login: str = "", status: int = 200):  # noqa: C901 - the handler's methods count
        self.requests: list[str] = []
        self.headers: list[Any] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_CONNECT(self):
                proxy.requests.append(f"CONNECT {self.path}")
                if self._denies():
                    return
                host, _, port = self.path.rpartition(":")
                with socket.create_connection((host, int(port))) as upstream:
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.flush()
                    self._pass_on(upstream)
                self.close_connection = True

            def do_GET(self):
                proxy.requests.append(f"GET {self.path}")
                if not self._denies():
                    answer(self, 200, b"by proxy")

            def _denies(self):
                proxy.headers.append(self.headers)
                wanted = f"Basic {base64.b64encode(login.encode()).decode()}" if login else None
                if status == 200 and self.headers.get("Proxy-Authorization") == wanted:
                    return False
                answer(self, 407 if status == 200 else status)
                return True

            def _pass_on(self, upstream):
                pair = {self.connection: upstream, upstream: self.connection}
                while True:
                    for ready in select.select(list(pair), [], [], 5)[0]:
                        data = ready.recv(1 << 16)
                        if not data:
                            return
                        pair[ready].sendall(data)

            def log_message(self, *_):
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
