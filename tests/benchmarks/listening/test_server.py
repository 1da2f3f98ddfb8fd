"""The server of a listening test: what it hands out, what it takes, and all that it refuses."""

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codeclab.benchmarks.listening.design import ListeningTest
from codeclab.benchmarks.listening.page import render
from codeclab.benchmarks.listening.server import MOST_BYTES, RatingsServer

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def folder(mushra_test: ListeningTest, tmp_path: Path) -> Path:
    (tmp_path / "listen" / "audio").mkdir(parents=True)
    (tmp_path / "listen" / "index.html").write_text(render(mushra_test))
    (tmp_path / "listen" / "audio" / "0123456789ab.js").write_text('sound("0123456789ab","")')
    mushra_test.save(tmp_path)
    return tmp_path


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def server(folder: Path, said: list[str]) -> Iterator[RatingsServer]:
    with RatingsServer(folder, report=said.append) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def ask(server: RatingsServer, method: str, path: str, body: Any = None, headers: Any = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=20)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_it_hands_out_the_page_and_its_sounds_and_nothing_else(server: RatingsServer, folder: Path) -> None:
    assert server.address == f"http://127.0.0.1:{server.server_address[1]}/"
    page = (folder / "listen" / "index.html").read_text()
    assert ask(server, "GET", "/") == ask(server, "GET", "/index.html?x=1") == (200, page)
    assert ask(server, "GET", "/audio/0123456789ab.js")[0] == 200
    hidden = ["/key.json", "/../key.json", "/%2e%2e/key.json", "/audio/../../key.json", "//key.json", "/ratings/"]
    hidden += [str(folder / "key.json"), "/audio", "/audio/0123456789ab.js/"]
    assert [ask(server, "GET", path)[0] for path in hidden] == [404] * len(hidden)


def test_the_page_does_not_say_what_is_what(mushra_test: ListeningTest) -> None:
    page = render(mushra_test)
    embedded = page.split('id="test">')[1].split("</script>")[0]
    assert all(word not in embedded for word in ("Anchor", "kbps", "guitar", "voice", "music", "../a", "v1-a"))
    assert "A &lt;test&gt;" in page
    assert "A <test>" not in page
    assert json.loads(embedded)["id"] == mushra_test.id


def test_it_keeps_a_listeners_file_once_and_writes_over_none(
    server: RatingsServer, folder: Path, mushra_file: Any, said: list[str]
) -> None:
    text = mushra_file(100, 20, 60, 70)
    assert ask(server, "POST", "/ratings", text, JSON) == (201, "kept, thank you")
    (stored,) = (folder / "ratings").iterdir()
    assert stored.name.startswith("0000000000000001-")
    assert stored.read_text() == text
    before = stored.stat()
    assert ask(server, "POST", "/ratings", text, JSON | {"Origin": server.address[:-1]})[0] == 201
    assert (stored.stat().st_ino, stored.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert ask(server, "POST", "/ratings", mushra_file(90, 20, 60, 70), JSON)[0] == 201
    assert len(list((folder / "ratings").iterdir())) == 2
    assert said[0] == f"Ann (0000000000000001): 2 pages, kept as {stored.name}"
    assert len(said) == 2


@pytest.mark.parametrize(
    ("path", "headers", "body", "status", "words"),
    [
        ("/ratings", JSON, "{", 400, "it is not JSON"),
        ("/ratings", JSON, '{"format": "codeclab mushra ratings", "version": 1}', 400, "the file should have"),
        ("/ratings", {"Content-Type": "text/plain"}, "{}", 415, "application/json"),
        ("/ratings", {}, "{}", 415, "application/json"),
        ("/ratings", JSON | {"Content-Length": str(MOST_BYTES + 1)}, "", 413, "at most 1000000 bytes"),
        ("/ratings", JSON | {"Content-Length": "-5"}, "", 411, "Content-Length"),
        ("/ratings/../key.json", JSON, "{}", 404, "/ratings"),
        ("/key.json", JSON, "{}", 404, "/ratings"),
        ("/ratings", JSON | {"Origin": "http://evil.example"}, "{}", 403, "its own page"),
        ("/ratings", JSON | {"Origin": "null"}, "{}", 403, "its own page"),
        ("/ratings", JSON | {"Host": "evil.example"}, "{}", 403, "its own page"),
    ],
)
def test_it_refuses(
    server: RatingsServer, folder: Path, path: str, headers: Any, body: str, status: int, words: str
) -> None:
    answered, text = ask(server, "POST", path, body, headers)
    assert (answered, words in text) == (status, True)
    assert not (folder / "ratings").exists()


def test_it_refuses_other_methods_and_a_file_of_another_test(server: RatingsServer, mushra_file: Any) -> None:
    assert ask(server, "DELETE", "/ratings")[0] == 501
    other = json.dumps(json.loads(mushra_file(100, 20, 60, 70)) | {"test": "another"})
    status, text = ask(server, "POST", "/ratings", other, JSON)
    assert (status, text) == (400, f"it is of the test 'another', not of {server.test.id!r}")
    assert ask(server, "GET", "/", headers={"Host": "evil.example"})[0] == 403


def test_a_folder_without_a_test_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no listening test"):
        RatingsServer(tmp_path)
