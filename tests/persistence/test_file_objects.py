"""File objects in place of paths."""

import bz2
import functools
import gzip
import io
import lzma
import os
import socket
import threading

import joblib
import numpy as np
import pytest
import torch
from battery import fitted, in_archive, table

import skae
from skae.persistence import read_metadata


@pytest.fixture(scope="module", params=["one file", "archive"])
def est(request):
    return fitted("ae") if request.param == "one file" else in_archive()


def assert_same(found, est):
    np.testing.assert_array_equal(found.transform(table()), est.transform(table()))


class Pipe:
    """The least that a file object may be: no seek, no name, and fewer bytes at once than asked for."""

    def __init__(self, data=b"", most=1000):
        self.data, self.most, self.n_read = bytearray(data), most, 0

    def write(self, data):
        self.data += bytes(data)[: self.most]
        return min(len(data), self.most)

    def read(self, n=-1):
        n = min(self.most, len(self.data) if n < 0 else n)
        part, self.data = bytes(self.data[:n]), self.data[n:]
        self.n_read += len(part)
        return part


class Recorder(Pipe):
    """What writes without a word of how much."""

    def write(self, data):
        self.data += bytes(data)


def test_save_writes_all_bytes_to_a_file_object():
    est = fitted("ae")
    for file in (Pipe(), Recorder()):
        skae.save(est, file)
        assert_same(skae.load(io.BytesIO(file.data)), est)


@pytest.mark.parametrize(
    "opened",
    [open, gzip.open, bz2.open, lzma.open, functools.partial(open, buffering=0)],
    ids=["file", "gzip", "bz2", "lzma", "raw"],
)
def test_open_files(est, opened, tmp_path):
    with opened(tmp_path / "kept", "wb") as file:
        assert skae.save(est, file) is None
        assert not file.closed
    with opened(tmp_path / "kept", "rb") as file:
        assert_same(skae.load(file), est)
        assert not file.closed


def test_file_object_need_not_seek(est):
    pipe = Pipe()
    skae.save(est, pipe)
    assert_same(skae.load(pipe), est)


def test_socket(est):
    here, there = socket.socketpair()
    with here, there, here.makefile("wb") as out, there.makefile("rb") as back:

        def send():
            skae.save(est, out)
            out.close()
            here.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=send)
        thread.start()
        assert_same(skae.load(back), est)
        thread.join()


def test_several_estimators_in_one_stream():
    first, second = fitted("ae"), fitted("vae prior mixture")
    file = io.BytesIO()
    file.write(b"before")
    for est in (first, second):
        skae.save(est, file, metadata={"class": type(est).__name__})
    file.write(b"behind")
    file.seek(6)
    assert_same(skae.load(file), first)
    assert_same(skae.load(file), second)
    assert file.read() == b"behind"


def test_truncated_file_object_raises():
    file = io.BytesIO()
    skae.save(fitted("ae"), file)
    data = file.getvalue()
    for n in (0, 1, 7, 8, 9, 500, len(data) // 2, len(data) - 1):
        with pytest.raises(ValueError, match="The BytesIO cannot be loaded: it "):
            skae.load(io.BytesIO(data[:n]))
    packed = gzip.compress(data)
    with pytest.raises(ValueError, match="The GzipFile cannot be loaded"):
        skae.load(gzip.GzipFile(fileobj=io.BytesIO(packed[:-20])))


def test_load_does_not_read_past_end():
    length = 2**26
    pipe = Pipe(length.to_bytes(8, "little") + b"{}", most=2**20)
    with pytest.raises(ValueError, match="cannot be loaded"):
        skae.load(pipe)
    pipe = Pipe((2**40).to_bytes(8, "little") + bytes(10**5))
    with pytest.raises(ValueError, match="cannot be loaded"):
        skae.load(pipe)
    assert pipe.n_read == 8


def test_refused_save_writes_nothing():
    file = io.BytesIO()
    with pytest.raises(TypeError, match="lambda"):
        skae.save(skae.AutoencoderTransformer(2, module=lambda **_: None), file)
    assert file.getvalue() == b""


class Text(Pipe):
    def read(self, n=-1):
        return "text"


@pytest.mark.parametrize("path", [None, 3, b"".join, ["a"], {}])
def test_path_must_be_a_path_or_a_file_object(path):
    for call in (skae.load, read_metadata, lambda path: skae.save(fitted("ae"), path)):
        with pytest.raises(TypeError, match=r"path must be a str, an os\.PathLike or a binary file object with"):
            call(path)


def test_text_file_raises(tmp_path):
    with open(tmp_path / "text", "w") as file, pytest.raises(TypeError, match=r"binary file .*'wb'"):
        skae.save(fitted("ae"), file)
    with open(tmp_path / "text") as file, pytest.raises(TypeError, match=r"binary file .*'rb'"):
        skae.load(file)
    with pytest.raises(TypeError, match="binary file object, got one that reads str"):
        skae.load(Text())


def test_blocking_write_is_an_os_error():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with open(writer, "wb", buffering=0) as file:
        while file.write(bytes(2**12)):  # until the pipe is full
            pass
        with pytest.raises(BlockingIOError):
            skae.save(fitted("ae"), file)
    os.close(reader)


def write_pickle(path):
    joblib.dump(fitted("ae"), path)


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (write_pickle, "it is a pickle: if you trust it, load it with joblib.load"),
        (lambda path: joblib.dump(1, path, compress=3), "it is a file of joblib: .* joblib.load"),
        (lambda path: joblib.dump(1, path, compress=("gzip", 3)), "compressed with gzip: pass gzip.open.* joblib.load"),
        (lambda path: joblib.dump(1, path, compress=("bz2", 3)), "compressed with bz2: pass bz2.open.* joblib.load"),
        (lambda path: joblib.dump(1, path, compress=("xz", 3)), "compressed with lzma: pass lzma.open.* joblib.load"),
        (lambda path: torch.save({"a": 1}, path), "zip archive that skops did not write"),
        (lambda path: path.write_bytes(b""), "it is empty"),
        (lambda path: path.write_bytes(b"text" * 5), "it is not a file of skae"),
        (lambda path: path.mkdir(), "it is a directory"),
    ],
    ids=["joblib", "joblib zlib", "joblib gzip", "joblib bz2", "joblib xz", "torch", "empty", "text", "folder"],
)
def test_files_of_other_packages_raise_with_remedy(make, remedy, tmp_path):
    make(tmp_path / "theirs")
    for read in (skae.load, read_metadata):
        with pytest.raises(ValueError, match=f"theirs cannot be loaded: .*{remedy}"):
            read(tmp_path / "theirs")
