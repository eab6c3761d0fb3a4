"""Public text is fetched whole or not at all, and a broken download goes on where it stopped."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from experiments.public_data.fetch import Source, fetch, tatoeba, unpack
from mechsteer.errors import MechsteerError

CONTENT = bytes(range(256)) * 1000


class Server(HTTPServer):
    """Serves CONTENT on this machine and keeps what was asked for."""

    parts = True
    asked: list[str | None]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        self.server.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if self.path != "/text" or (wanted and start >= len(CONTENT)):
            self.send_error(404 if self.path != "/text" else 416)
            return
        start = start if self.server.parts else 0
        self.send_response(206 if start else 200)
        self.end_headers()
        self.wfile.write(CONTENT[start:])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    served = Server(("127.0.0.1", 0), Handler)
    served.asked = []
    Thread(target=served.serve_forever, daemon=True).start()
    yield served
    served.shutdown()
    served.server_close()


def source(server: Server, path: str = "text", content: bytes = CONTENT) -> Source:
    digest = hashlib.sha256(content).hexdigest()
    return Source(f"http://127.0.0.1:{server.server_port}/{path}", digest)


def test_a_file_is_fetched_once(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "text"
    assert fetch(source(server), path).read_bytes() == CONTENT
    assert fetch(source(server), path).read_bytes() == CONTENT
    assert server.asked == [None]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("had", [1, 70_000, len(CONTENT)])
def test_a_broken_download_goes_on_where_it_stopped(
    server: Server, tmp_path: Path, had: int
) -> None:
    (tmp_path / "text.part").write_bytes(CONTENT[:had])
    assert fetch(source(server), tmp_path / "text").read_bytes() == CONTENT
    assert server.asked == [f"bytes={had}-"]


def test_a_server_that_sends_no_parts_sends_the_whole(server: Server, tmp_path: Path) -> None:
    server.parts = False
    (tmp_path / "text.part").write_bytes(CONTENT[:70_000])
    assert fetch(source(server), tmp_path / "text").read_bytes() == CONTENT


def test_other_bytes_than_promised_are_not_kept(server: Server, tmp_path: Path) -> None:
    with pytest.raises(MechsteerError, match="expected SHA-256"):
        fetch(source(server, content=b"other"), tmp_path / "text")
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(CONTENT[:-1])
    assert fetch(source(server), tmp_path / "text").read_bytes() == CONTENT


def test_an_address_that_does_not_answer_is_told(server: Server, tmp_path: Path) -> None:
    with pytest.raises(MechsteerError, match="404"):
        fetch(source(server, "gone"), tmp_path / "text")


def test_flores_is_unpacked_without_what_else_the_archive_holds(tmp_path: Path) -> None:
    names = {
        "./flores200_dataset/dev/fra_Latn.dev": "dev/fra_Latn.dev",
        "./flores200_dataset/devtest/fra_Latn.devtest": "devtest/fra_Latn.devtest",
        "./flores200_dataset/metadata_dev.tsv": "metadata_dev.tsv",
        "./flores200_dataset/dev/._fra_Latn.dev": None,
        "../../outside/dev/deu_Latn.devtest": None,
        "./README": None,
    }
    with tarfile.open(tmp_path / "archive.tar.gz", "w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            tar.addfile(member, io.BytesIO(name.encode()))
    unpack(tmp_path / "archive.tar.gz", tmp_path / "flores200")
    root = tmp_path / "flores200"
    found = {f.relative_to(root).as_posix(): f.read_text() for f in root.rglob("*") if f.is_file()}
    assert found == {path: name for name, path in names.items() if path}


def test_the_checksums_are_those_of_the_text(data_root: Path) -> None:
    for name, wanted in tatoeba().items():
        content = (data_root / "tatoeba" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == wanted.sha256
