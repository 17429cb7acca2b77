"""Against a server on this machine that breaks off, cannot go on, or holds archives nobody should unpack."""

import hashlib
import io
import os
import shutil
import stat
import tarfile
import threading
import zipfile
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from memvos.data.fetch import download, unpack
from memvos.errors import InputError

CONTENT = os.urandom(3_000_000)
HASH = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """/file goes on where asked; /plain never does; /broken ends after a third, each time; /gone is not there."""

    requests: list[tuple[str, str | None]]

    def do_GET(self):
        wanted = self.headers.get("Range")
        self.server.seen.append((self.path, wanted))
        if self.path == "/gone":
            return self.send_error(404)
        start = int(wanted.split("=")[1].split("-")[0]) if wanted and self.path != "/plain" else 0
        if start >= len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            self.end_headers()
            return None
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        stop = start + len(CONTENT) // 3 + 1 if self.path == "/broken" else None
        self.wfile.write(CONTENT[start:stop])
        return None

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.seen = []
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    made.address = f"http://127.0.0.1:{made.server_port}"
    yield made
    made.shutdown()
    made.server_close()


def test_a_file_is_fetched_once_and_checked(server, tmp_path):
    target = tmp_path / "new/file"
    assert download(f"{server.address}/file", target, HASH).read_bytes() == CONTENT
    download(f"{server.address}/file", target, HASH)
    assert len(server.seen) == 1
    assert not target.with_name("file.part").exists()


def test_a_broken_connection_goes_on_where_it_ended(server, tmp_path):
    target = download(f"{server.address}/broken", tmp_path / "file", HASH, pause=0)
    assert target.read_bytes() == CONTENT
    starts = [None if wanted is None else int(wanted[6:-1]) for _, wanted in server.seen]
    assert starts == [None, 1000001, 2000002]


def test_an_earlier_call_is_taken_up(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT[:1234])
    assert download(f"{server.address}/file", tmp_path / "file", HASH).read_bytes() == CONTENT
    assert server.seen == [("/file", "bytes=1234-")]
    (tmp_path / "whole.part").write_bytes(CONTENT)
    assert download(f"{server.address}/file", tmp_path / "whole", HASH, pause=0).read_bytes() == CONTENT


def test_a_server_that_cannot_go_on_sends_everything_again(server, tmp_path):
    (tmp_path / "file.part").write_bytes(b"other")
    assert download(f"{server.address}/plain", tmp_path / "file", HASH).read_bytes() == CONTENT


def test_another_hash_is_refused_and_the_file_removed(server, tmp_path):
    with pytest.raises(InputError, match=r"has the SHA-256 .*, expected 0{64}; it was removed: fetch it again"):
        download(f"{server.address}/file", tmp_path / "file", "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_there_already_is_kept_whatever_its_hash(server, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"file has the SHA-256 .*; it was there already and is kept: correct sha256="):
        download(f"{server.address}/file", tmp_path / "file", HASH)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("sha256", ["", "00ff", "g" * 64, "0" * 64 + "\n"])
def test_what_is_no_hash_is_told_before_anything_is_fetched(server, tmp_path, sha256):
    with pytest.raises(InputError, match=r"expected sha256= as 64 hex digits, got '.*'; correct it, or leave it out"):
        download(f"{server.address}/file", tmp_path / "new/file", sha256)
    assert (server.seen, list(tmp_path.iterdir())) == ([], [])


def test_what_is_not_there_is_not_asked_for_again(server, tmp_path):
    with pytest.raises(InputError, match=r"cannot download .*/gone \(HTTP Error 404.*check the address"):
        download(f"{server.address}/gone", tmp_path / "file", pause=0)
    assert len(server.seen) == 1


def test_an_address_that_cannot_be_asked_is_told_at_once(server, tmp_path):
    with pytest.raises(InputError, match=r"cannot download .*/ä\.zip \('ascii' codec can't encode.*check the address"):
        download(f"{server.address}/ä.zip", tmp_path / "file")


def make_zip(path, entries):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def make_tar(path, name, kind=tarfile.REGTYPE, link=""):
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname, entry.size = kind, link, 3 if kind == tarfile.REGTYPE else 0
        archive.addfile(entry, io.BytesIO(b"abc"))
    return path


def test_zips_and_tars_are_unpacked_and_taken_up(tmp_path):
    archive = make_zip(tmp_path / "a.zip", [("DAVIS/x.txt", "one"), ("DAVIS/sub/y.txt", "two"), ("empty/", "")])
    assert unpack(archive, tmp_path / "out") == 2
    (tmp_path / "out/DAVIS/x.txt").unlink()
    assert unpack(archive, tmp_path / "out") == 1
    assert (tmp_path / "out/DAVIS/x.txt").read_text() == "one"
    assert (tmp_path / "out/empty").is_dir()
    assert unpack(make_tar(tmp_path / "a.tgz", "b/c.txt"), tmp_path / "out") == 1
    assert (tmp_path / "out/b/c.txt").read_text() == "abc"


def test_files_of_another_set_are_not_overwritten(tmp_path):
    first = make_zip(tmp_path / "2016.zip", [("DAVIS/README.md", "2016"), ("DAVIS/a.png", "mask")])
    other = make_zip(tmp_path / "2017.zip", [("DAVIS/new.png", "new"), ("DAVIS/a.png", "of objects")])
    unpack(first, tmp_path / "out")
    with pytest.raises(InputError, match=r"a\.png is there with other content, 4 bytes \(in the archive 10\); nothing"):
        unpack(other, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out/DAVIS").iterdir()) == ["README.md", "a.png"]
    assert (tmp_path / "out/DAVIS/a.png").read_text() == "mask"
    more = make_zip(tmp_path / "more.zip", [("DAVIS/README.md", "of more"), ("DAVIS/b.png", "mask")])
    assert unpack(more, tmp_path / "out") == 2  # what only tells of the sets is no reason


def test_an_interrupted_unpacking_goes_on(tmp_path, monkeypatch):
    archive = make_zip(tmp_path / "a.zip", [("x", "one"), ("y", "three")])
    copy = shutil.copyfileobj

    def stop_in_y(source, file, length):
        if source.name == "y":
            file.write(b"t")
            raise KeyboardInterrupt
        copy(source, file, length)

    monkeypatch.setattr(shutil, "copyfileobj", stop_in_y)
    with pytest.raises(KeyboardInterrupt):
        unpack(archive, tmp_path / "out")
    monkeypatch.undo()
    assert unpack(archive, tmp_path / "out") == 1
    assert [(tmp_path / "out" / name).read_text() for name in "xy"] == ["one", "three"]


def test_of_two_files_of_one_name_in_an_archive_the_last_is_unpacked_again_and_again(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive = make_zip(tmp_path / "a.zip", [("x", "old"), ("x", "newer")])
    for _ in range(2):
        unpack(archive, tmp_path / "out")
        assert (tmp_path / "out/x").read_text() == "newer"


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "..\\evil", "C:\\evil"])
def test_no_path_leaves_the_folder(tmp_path, name):
    archive = make_zip(tmp_path / "a.zip", [("good", "good")])
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr(zipfile.ZipInfo(name), "evil")
    with pytest.raises(InputError, match="a path out of the folder; nothing was unpacked"):
        unpack(archive, tmp_path / "in/out")
    with pytest.raises(InputError, match="a path out of the folder; nothing was unpacked"):
        unpack(make_tar(tmp_path / "a.tgz", name), tmp_path / "in/out")
    assert not (tmp_path / "in").exists()


def test_links_and_devices_are_not_unpacked(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = make_zip(tmp_path / "a.zip", [(info, "/etc/passwd")])
    with pytest.raises(InputError, match="holds 'link', a link or device; nothing was unpacked"):
        unpack(archive, tmp_path / "out")
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
        with pytest.raises(InputError, match="a link or device"):
            unpack(make_tar(tmp_path / "a.tgz", "x", kind, "/etc/passwd"), tmp_path / "out")


def test_a_link_in_the_target_does_not_lead_out(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/DAVIS").symlink_to(tmp_path)
    with pytest.raises(InputError, match="a path out of the folder"):
        unpack(make_zip(tmp_path / "a.zip", [("DAVIS/x", "x")]), tmp_path / "out")


def test_what_is_no_archive_or_damaged_is_named(tmp_path):
    (tmp_path / "page.zip").write_text("<html>please log in</html>")
    with pytest.raises(InputError, match="is neither a zip nor a tar"):
        unpack(tmp_path / "page.zip", tmp_path / "out")
    archive = make_zip(tmp_path / "a.zip", [("x", "x" * 1000)])
    content = bytearray(archive.read_bytes())
    content[100] ^= 255
    archive.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.zip cannot be unpacked .*fetch it again"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize(
    ("offset", "value", "told"),
    [
        (8, 1, "encrypted"),  # the flags
        (10, 99, "compress"),  # the method
    ],
)
def test_a_zip_that_cannot_be_opened_here_is_named(tmp_path, offset, value, told):
    archive = make_zip(tmp_path / "a.zip", [("x", "x" * 1000)])
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\1\2") + offset] = value
    archive.write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.zip cannot be unpacked .*{told}.*or unpack it yourself"):
        unpack(archive, tmp_path / "out")


def test_compressed_data_that_make_no_sense_are_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("x", "x" * 1000)
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[30 + len("x")] = 7  # the first block: of a type that there is not
    (tmp_path / "a.zip").write_bytes(content)
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as opened:
        entry = tarfile.TarInfo("x")
        entry.size = 1 << 20
        opened.addfile(entry, io.BytesIO(bytes(entry.size)))
    pack = zlib.compressobj(wbits=31)
    start = pack.compress(plain.getvalue()[: 1 << 19]) + pack.flush(zlib.Z_FULL_FLUSH)
    (tmp_path / "a.tgz").write_bytes(start + b"\7")
    for name in ("a.zip", "a.tgz"):
        with pytest.raises(InputError, match=rf"{name} cannot be unpacked \(Error -3 while decompressing data"):
            unpack(tmp_path / name, tmp_path / "out")
