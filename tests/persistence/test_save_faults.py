"""A save that is killed, interrupted or fails leaves the old file or the new one."""

import errno
import io
import os
import random
import signal
import stat
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from guards import linux, posix

import skae
from skae import AutoencoderTransformer
from skae._utils import files as _files
from skae._utils.rng import _in_use

FUZZ = os.environ.get("SKAE_FUZZ")  # as in tests/conftest.py
N_KILLS = {None: 8, "1": 40}.get(FUZZ, 160)
N_INTERRUPTS = {None: 30, "1": 100}.get(FUZZ, 400)
forking = linux  # macOS does not support forks of a process with threads
no_complaints = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def strike(moment, turn):
    """In a process that saves: be killed at a ``moment`` of its ``turn``-th save from now on."""
    n = {"open": 0, "write": 0, "fsync": 0, "rename": 0}
    opened, fsync, replace = open, os.fsync, os.replace

    def kill_at(now):
        if now == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    class Halfway(io.FileIO):
        def write(self, data):
            super().write(data[: len(data) // 2])
            if n["open"] == turn:
                kill_at("write")
            return len(data) // 2 + super().write(data[len(data) // 2 :])

    def open_(name, mode="r"):
        if ".skae-" not in str(name):
            return opened(name, mode)
        n["open"] += 1
        if n["open"] == turn:
            kill_at("open")
        return Halfway(name, mode.replace("b", ""))

    def fsync_(descriptor):
        n["fsync"] += 1  # first of the file, then of the folder
        if n["fsync"] == 2 * turn - 1:
            kill_at("fsync")
        if n["fsync"] == 2 * turn:
            kill_at("fsync of the folder")
        fsync(descriptor)

    def replace_(*args):
        n["rename"] += 1
        if n["rename"] == turn:
            kill_at("rename")
        replace(*args)
        if n["rename"] == turn:
            kill_at("after")

    _files.open, os.fsync, os.replace = open_, fsync_, replace_


def versions():
    X = np.random.default_rng(0).normal(size=(30, 6))
    options = {"max_epochs": 1, "random_state": 0, "module__hidden_layer_sizes": (64, 64), "device": "cpu"}
    return [AutoencoderTransformer(n, **options).fit(X) for n in (2, 3)], X


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("versions")
    made, X = versions()
    for name, estimator in zip(("first", "second"), made, strict=True):
        skae.save(estimator, folder / name)
    return folder, made, X


def codes(estimator, X):
    return estimator.transform(X).tobytes()


def temporaries(folder):
    return sorted(path.name for path in Path(folder).iterdir() if path.name.startswith(".skae-"))


@pytest.fixture
def kept(pair, tmp_path):
    """A folder with both versions, for a child to work in, and what a file in it must give."""
    folder, made, X = pair
    for name in ("first", "second"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    return tmp_path, {codes(estimator, X) for estimator in made}, X


def forked(folder, n=0, moment="", turn=0):
    """A process that saves in turns until it is killed; forked, so that many kills take no imports."""
    made = [skae.load(folder / name) for name in ("first", "second")]
    read, write = os.pipe()
    process = os.fork()
    if process:
        os.close(write)
        assert os.read(read, 1) == b"x"
        os.close(read)
        return process
    try:
        skae.save(made[n % 2], folder / "kept")
        os.write(write, b"x")
        if moment:
            strike(moment, turn)
        while True:
            n += 1
            skae.save(made[n % 2], folder / "kept")
    finally:
        os._exit(1)


@forking
@no_complaints
@pytest.mark.slow
def test_kill_at_any_moment_leaves_a_file_that_loads(kept):
    folder, wanted, X = kept
    rng, found = random.Random(0), set()
    for n in range(N_KILLS):
        process = forked(folder, n)
        time.sleep(rng.random() * 0.04)  # some saves, and a part of one
        os.kill(process, signal.SIGKILL)
        assert os.waitpid(process, 0)[1] == signal.SIGKILL
        found.add(codes(skae.load(folder / "kept"), X))
        assert found <= wanted
        assert len(temporaries(folder)) <= n + 1
    assert {path.name for path in folder.iterdir()} - {"first", "second", "kept"} == set(temporaries(folder))
    print(f"{N_KILLS} kills, {len(temporaries(folder))} of them while a file was being written")


@pytest.mark.parametrize("moment", ["open", "write", "fsync", "rename", "after", "fsync of the folder"])
@forking
@no_complaints
@pytest.mark.slow
def test_kill_at_each_step(kept, moment):
    folder, _, X = kept
    turn = 2  # the second save
    assert os.waitpid(forked(folder, 0, moment, turn), 0)[1] == signal.SIGKILL
    made = [codes(skae.load(folder / name), X) for name in ("first", "second")]
    new = moment in ("after", "fsync of the folder")
    assert codes(skae.load(folder / "kept"), X) == made[turn % 2 if new else (turn - 1) % 2]
    assert len(temporaries(folder)) == (moment in ("write", "fsync", "rename"))
    skae.save(skae.load(folder / "first"), folder / "kept")  # what was left is in nobody's way
    assert codes(skae.load(folder / "kept"), X) == made[0]


@forking
@no_complaints
@pytest.mark.slow
def test_two_processes_save_to_the_same_path(kept):
    folder, wanted, X = kept
    both = [forked(folder), forked(folder)]
    try:
        for _ in range(30):
            assert codes(skae.load(folder / "kept"), X) in wanted
    finally:
        for process in both:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
    assert codes(skae.load(folder / "kept"), X) in wanted


# ------------------------------------------------------------------ Ctrl-C


# Between `open` and the `with` around it nobody but Python itself closes the file.
@posix
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_interrupt_leaves_the_old_file_or_the_new_one(pair, tmp_path):
    _, made, X = pair
    path, wanted, n = tmp_path / "kept", [codes(est, X) for est in made], 0
    skae.save(made[0], path)
    usual, rng = float("inf"), random.Random(0)
    armed = []

    def interrupt(*_):
        if armed:
            armed.clear()
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    for attempt in range(N_INTERRUPTS):
        try:
            try:
                armed.append(attempt)
                # Of the shortest so far, as other processes may have made the first ones long.
                signal.setitimer(signal.ITIMER_REAL, max(1e-6, rng.random() * usual * 1.2) if attempt else 0)
                start = time.perf_counter()
                skae.save(made[attempt % 2], path)
                usual = min(usual, time.perf_counter() - start)
            finally:
                armed.clear()
        except KeyboardInterrupt:
            n += 1
        assert torch.is_grad_enabled()
        assert torch.empty(0).device == torch.device("cpu")
        assert codes(skae.load(path), X) in wanted
        assert not temporaries(tmp_path)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    # One between the end of a block and its `__exit__`, which nothing can catch, must not stop other tests' threads.
    _in_use.clear()
    print(f"{n} of {N_INTERRUPTS} saves were interrupted")
    assert n > N_INTERRUPTS / 10


# ------------------------------------------------------------------ a disk that is full, or fails


class Full(io.FileIO):
    """A file on a disk that has room for so many bytes."""

    room = 0

    def write(self, data):
        if self.tell() + len(data) > self.room:
            super().write(data[: self.room])
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.999])
def test_full_disk_is_an_os_error_and_leaves_the_old_file(pair, tmp_path, monkeypatch, share):
    folder, made, X = pair
    skae.save(made[0], tmp_path / "kept")
    monkeypatch.setattr(Full, "room", int(share * (folder / "second").stat().st_size))
    with monkeypatch.context() as patch:
        patch.setattr(_files, "open", lambda name, mode: Full(name, mode.replace("b", "")), raising=False)
        with pytest.raises(OSError, match="No space"):
            skae.save(made[1], tmp_path / "kept")
        with pytest.raises(OSError, match="No space"):
            skae.save(made[1], tmp_path / "new")
    assert codes(skae.load(tmp_path / "kept"), X) == codes(made[0], X)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize("name", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt(), MemoryError()])
def test_error_at_a_step_leaves_the_old_file(pair, tmp_path, monkeypatch, name, error):
    _, made, X = pair
    skae.save(made[0], tmp_path / "kept")

    def fail(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(_files.os, name, fail)
        with pytest.raises(type(error)):
            skae.save(made[1], tmp_path / "kept")
    assert codes(skae.load(tmp_path / "kept"), X) == codes(made[0], X)
    assert not temporaries(tmp_path)


# ------------------------------------------------------------------ where to


def test_path_must_not_be_a_folder(pair, tmp_path):
    with pytest.raises(IsADirectoryError, match="is a directory: pass the path of a file"):
        skae.save(pair[1][0], tmp_path)
    assert not list(tmp_path.iterdir())
    assert not temporaries(tmp_path.parent)


def test_folder_must_exist(pair, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such directory.*missing'$"):
        skae.save(pair[1][0], tmp_path / "missing" / "kept")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_folder_must_be_writable(pair, tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            skae.save(pair[1][0], tmp_path / "kept")
    finally:
        tmp_path.chmod(0o700)


@linux
def test_devices_and_pipes_are_not_replaced(pair, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/full")
    for name in ("pipe", "link"):
        with pytest.raises(OSError, match="not a regular file"):
            skae.save(pair[1][0], tmp_path / name)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@posix
@pytest.mark.parametrize("there", [True, False])
def test_symbolic_link_stays_one(pair, tmp_path, there):
    _, made, X = pair
    (tmp_path / "inner").mkdir()
    target, link = tmp_path / "inner" / "target", tmp_path / "link"
    link.symlink_to(Path("inner") / "target")
    if there:
        skae.save(made[0], target)
    skae.save(made[1], link)
    assert link.is_symlink()
    assert codes(skae.load(target), X) == codes(made[1], X)


@posix
def test_long_and_unusual_names(pair, tmp_path):
    _, made, X = pair
    for name in ("x" * 255, "a b\n", "ü🙂", "-rf", ".skae-"):
        skae.save(made[0], tmp_path / name)
        assert codes(skae.load(tmp_path / name), X) == codes(made[0], X)
    with pytest.raises(OSError, match="too long"):
        skae.save(made[0], tmp_path / ("x" * 256))
    assert len(list(tmp_path.iterdir())) == 5


def test_kinds_of_paths(pair, tmp_path, monkeypatch):
    _, made, X = pair
    monkeypatch.chdir(tmp_path)
    for path in ("relative", tmp_path / "pathlike", os.fsencode(tmp_path / "bytes")):
        skae.save(made[0], path)
        assert codes(skae.load(path), X) == codes(made[0], X)
    for path in (None, 3, 1.5, [], io.StringIO()):
        with pytest.raises(TypeError):
            skae.save(made[0], path)
        with pytest.raises(TypeError):
            skae.load(path)


@posix
def test_permissions_are_kept(pair, tmp_path):
    _, made, _ = pair
    before = os.umask(0o027)
    try:
        skae.save(made[0], tmp_path / "new")
        skae.save(made[0], tmp_path / "private")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    for mode in (0o600, 0o444, 0o666):
        (tmp_path / "private").chmod(mode)
        skae.save(made[1], tmp_path / "private")
        assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == mode


@posix
def test_private_file_is_private_while_it_is_written(pair, tmp_path, monkeypatch):
    _, made, _ = pair
    skae.save(made[0], tmp_path / "private")
    (tmp_path / "private").chmod(0o600)
    modes, fsync = [], os.fsync

    def look(descriptor):
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        fsync(descriptor)

    monkeypatch.setattr(_files.os, "fsync", look)
    skae.save(made[1], tmp_path / "private")
    assert modes[0] == 0o600
