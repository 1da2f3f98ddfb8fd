"""A small server: hands out the page and its sounds, and takes the listeners' ratings."""

import hashlib
import http.server
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from codeclab.benchmarks.listening.design import ListeningTest
from codeclab.benchmarks.listening.ratings import FOLDER, read_ratings
from codeclab.codecs.wording import counted

PAGES = "listen"
"""The folder of a test that listeners may see."""

MOST_BYTES = 1_000_000
"""Largest size of a listener's file: twelve ratings on each of about two thousand pages."""

SECONDS = 30
"""Seconds without data after which a connection is closed."""

KINDS = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class RatingsServer(http.server.ThreadingHTTPServer):
    """Serves a listening test.

    Args:
        folder: folder of the test.
        host: address to listen on.
        port: TCP port, 0 to 65535; 0 takes a free one.
        report: function that is called with a line for each file of ratings that arrives.

    Raises:
        ValueError: the folder holds no test.
        OSError: the port is taken.
    """

    daemon_threads = True

    def __init__(
        self, folder: Path, host: str = "127.0.0.1", port: int = 0, report: Callable[[str], None] = print
    ) -> None:
        self.test = ListeningTest.load(folder)
        self.ratings = folder / FOLDER
        self.report = report
        self.host = host
        self.local = host in LOOPBACK
        page_folder = folder / PAGES
        # Names from outside are looked up among these, and never joined to a path.
        self.files = {
            f"/{path.relative_to(page_folder).as_posix()}": path for path in page_folder.rglob("*") if path.is_file()
        }
        self.files["/"] = page_folder / "index.html"
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    @property
    def address(self) -> str:
        """The address of the page, for a browser."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.server_address[1]}/"

    def store(self, content: bytes) -> str:
        """Store a listener's file; the same file is stored only once, and none is overwritten.

        Args:
            content: content of the request.

        Returns:
            the name of the stored file.

        Raises:
            ValueError: it holds no ratings of this test; the message says what is wrong.
        """
        ratings = read_ratings(content, self.test)
        name = f"{ratings.listener}-{hashlib.sha256(content).hexdigest()[:12]}.json"
        self.ratings.mkdir(exist_ok=True)
        target = self.ratings / name
        temporary = self.ratings / f".{name}.{os.urandom(6).hex()}.tmp"
        try:
            temporary.write_bytes(content)
            # Unlike a rename, a link does not replace what is there.
            os.link(temporary, target)
            self.report(f"{ratings.called}: {counted(len(ratings.pages), 'page')}, kept as {name}")
        except FileExistsError:
            pass
        finally:
            temporary.unlink(missing_ok=True)
        return name


class _Handler(http.server.BaseHTTPRequestHandler):
    server: RatingsServer
    server_version = "codeclab"
    sys_version = ""
    timeout = SECONDS

    def do_GET(self) -> None:
        if not self._is_welcome():
            return
        path = self.server.files.get(urlsplit(self.path).path)
        if path is None:
            return self._answer(404, "there is no such file")
        self._answer(200, path.read_bytes(), KINDS.get(path.suffix, "application/octet-stream"))

    def do_POST(self) -> None:
        if not self._is_welcome():
            return
        if self.path != "/ratings":
            return self._answer(404, "ratings are taken at /ratings")
        # A page of another site could send any other kind without asking first.
        if self.headers.get_content_type() != "application/json":
            return self._answer(415, "ratings are sent as application/json")
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"[0-9]{1,12}", length):
            return self._answer(411, "Content-Length is missing")
        if int(length) > MOST_BYTES:
            return self._answer(413, f"a listener's file has at most {MOST_BYTES} bytes")
        try:
            self.server.store(self.rfile.read(int(length)))
        except ValueError as error:
            return self._answer(400, str(error))
        except OSError as error:
            return self._answer(500, f"the ratings could not be saved: {error.strerror}")
        self._answer(201, "kept, thank you")

    def _is_welcome(self) -> bool:
        """Whether the request is meant for this server: not from another site, nor by another host name."""
        host = self.headers.get("Host", "")
        named = urlsplit(f"//{host}").hostname
        origin = self.headers.get("Origin")
        if (self.server.local and named not in LOOPBACK) or (origin is not None and origin != f"http://{host}"):
            self._answer(403, "this server only answers its own page")
            return False
        return True

    def _answer(self, status: int, content: str | bytes, kind: str = "text/plain; charset=utf-8") -> None:
        body = content.encode() if isinstance(content, str) else content
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        if status >= 400:
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing; a line is printed when ratings arrive."""
