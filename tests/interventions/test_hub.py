"""Edits travel through a repository: pushed to and loaded from a Hub that keeps a local folder."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

import mechsteer as ms
from mechsteer.errors import ArtifactError
from mechsteer.interventions import NeuronEdit, ResidualEdit
from mechsteer.interventions.download import FILE
from mechsteer.interventions.hub import prepare_folder
from mechsteer.model.identity import ModelIdentity
from mechsteer.model.sites import HookSite, Site

COMMIT = "c" * 40
WHO = ModelIdentity("org/base", "LlamaForCausalLM", 2, 3, "c0", "w0", "t0", "float32")
SITE = Site("post", (HookSite("post", 0, "a", 4),))


def edits() -> list[NeuronEdit | ResidualEdit]:
    two = torch.tensor([1.0, 2.0])
    hostile = {"corpus": "flores200 ``` <script>", "k": 2}
    clamp = NeuronEdit("clamp", SITE, torch.tensor([0, 3]), 0 * two, two, None, None, WHO, hostile)
    return [clamp, ResidualEdit("diff", (HookSite("residual", 1, "x", 3),), torch.ones(1, 1, 3))]


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub's protocol as a push and a download need."""

    root: Path
    requests: list[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.requests.append(self.path)
        home = f"http://{self.headers['Host']}/org/french"
        if self.path.endswith("/create"):
            self.answer({"url": home})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            mode = {"uploadMode": "regular", "shouldIgnore": False}
            self.answer({"files": [f | mode for f in files]})
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    data = base64.b64decode(line["value"]["content"])
                    (self.root / line["value"]["path"]).write_bytes(data)
            self.answer({"commitUrl": f"{home}/commit/{COMMIT}", "commitOid": COMMIT})
        else:
            self.answer({"errors": [], "warnings": []})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        file = self.root / Path(self.path.split("?")[0]).name
        if not file.is_file() or "/resolve/" not in self.path:
            self.send_error(404)
            return
        data = file.read_bytes()
        self.send_response(200)
        for name, value in (("ETag", '"tag"'), ("X-Repo-Commit", COMMIT)):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def answer(self, content: Any) -> None:
        data = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[str, Path, list[str]]]:
    """Address, folder and log of a Hub of one repository."""
    root, requests = tmp_path / "repository", list[str]()
    root.mkdir()
    handler = type("Handler", (Hub,), {"root": root, "requests": requests})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", root, requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def python(code: str, tmp_path: Path, **env: str) -> str:
    """Run code in a process of its own: the Hub's client reads its settings once, at import."""
    settings = {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0", "HF_TOKEN": "hf_x"}
    settings |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "*"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | settings | env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


PUSH = """
import sys
import mechsteer as ms
from mechsteer.interventions.hub import push_edit
print(push_edit(ms.interventions.load_edits(sys.argv[1]), "org/french", message="First"))
"""
PULL = """
import sys
import mechsteer as ms
ms.save_edit(ms.interventions.load_edits(sys.argv[2]), sys.argv[1])
"""
REFUSED = """
import mechsteer as ms
try:
    ms.load_edit("hf://org/none")
except ms.MechsteerError as error:
    print(error)
"""


def test_an_edit_is_pushed_and_loaded_as_it_was_and_then_without_a_network(
    hub: tuple[str, Path, list[str]], tmp_path: Path
) -> None:
    address, root, requests = hub
    source, copy = tmp_path / "source.edit", tmp_path / "copy.edit"
    ms.save_edit(edits(), source)
    push = PUSH.replace("sys.argv[1]", repr(str(source)))
    assert COMMIT in python(push, tmp_path, HF_ENDPOINT=address)
    assert any("commit" in path for path in requests)
    assert {file.name for file in root.iterdir()} == {FILE, "README.md"}
    for target, offline in (("hf://org/french", "0"), ("hf://org/french@main", "1")):
        pull = PULL.replace("sys.argv[1]", repr(str(copy))).replace("sys.argv[2]", repr(target))
        python(pull, tmp_path, HF_ENDPOINT=address, HF_HUB_OFFLINE=offline)
        assert copy.read_bytes() == source.read_bytes()
        copy.unlink()


def test_a_refusal_of_the_hub_is_one_line(hub: tuple[str, Path, list[str]], tmp_path: Path) -> None:
    address, _, _ = hub
    message = python(REFUSED, tmp_path, HF_ENDPOINT=address).strip()
    assert message.startswith("cannot load hf://org/none: ")
    assert len(message.splitlines()) == 1


def test_an_address_that_names_no_repository_says_what_to_type() -> None:
    with pytest.raises(ArtifactError, match="expected hf://owner/name"):
        ms.load_edit("hf://french")


def test_the_card_says_what_the_edits_are_and_lets_nothing_out_of_its_block(
    tmp_path: Path,
) -> None:
    folder = prepare_folder(edits(), tmp_path / "new", repo_id="me/french")
    card = (folder / "README.md").read_text()
    assert card.startswith('---\nlibrary_name: mechsteer\nbase_model: "org/base"\n')
    for expected in (
        "2 edits, applied in this order, of the forward pass of `org/base`",
        'ms.interventions.load_edits("hf://me/french")',
        "2 of 4 neurons at site `post`",
        "a vector added to rows 1 of the residual stream",
        '"k": 2',
    ):
        assert expected in card
    assert card.count("```") == 4
    assert len(ms.interventions.load_edits(folder / FILE)) == 2
