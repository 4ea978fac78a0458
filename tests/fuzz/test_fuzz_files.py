"""Damaged files and files that are made to do harm: `load` gives what was saved, or says in words that it will not.

They are loaded in processes of their own, which are watched: for crashes and hangs, for memory, for code that is run,
for files that are opened, and for what they leave changed. See ``hostile_files.py``.
"""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import hostile_files
import numpy as np
import pytest
from guards import HANGS

import skae

SLOW = os.environ.get("SKAE_FUZZ") == "1"
COUNTS = {"blind": (150, 5000), "knowing": (250, 5500), "archive": (30, 600)}
PER_PROCESS = 2000  # mutations


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    return hostile_files.make_seeds(tmp_path_factory.mktemp("seeds"))


def run(folder, group, start, stop, weak=None, seconds=HANGS):
    """The outcomes of mutations, of which one that ends the process is one too, and so is one over ``seconds``."""
    told, number = [], start
    path = os.pathsep.join([str(Path(skae.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    while number < stop:
        end = min(stop, number + PER_PROCESS)
        command = [sys.executable, hostile_files.__file__, str(folder), group, str(number), str(end), str(seconds)]
        command += [weak] if weak else []
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"number"')]
        assert lines or "Fatal Python error" in done.stderr or "Timeout" in done.stderr, done.stderr[-3000:]
        told += lines
        number += len(lines)
        if done.returncode:
            trace = done.stderr[:1500]
            told.append({"number": number, "wrong": [f"the process ended with {done.returncode}: {trace}"], "peak": 0})
            number += 1
    return told


def wrong_in(told):
    return [f"{row['number']} ({row.get('seed')}): {wrong}" for row in told for wrong in row["wrong"]]


@pytest.mark.parametrize("group", COUNTS)
def test_a_mutation_is_refused_or_harmless(seeds, group):
    n = COUNTS[group][SLOW]
    told = run(seeds, group, 0, n)
    assert len(told) == n
    outcomes = Counter(row.get("outcome") for row in told)
    print(f"{group}: {n} mutations, {dict(outcomes)}, at most {max(row['peak'] for row in told) >> 20} MB for one")
    assert not wrong_in(told), "\n".join(wrong_in(told)[:20])
    assert outcomes["refused"] > n / 2
    assert group == "blind" or outcomes["loaded"] > n / 20  # or the mutations are too crude to get anywhere


def test_the_slow_job_tries_ten_thousand():
    assert sum(slow for _, slow in COUNTS.values()) >= 10_000


def test_what_is_made_to_do_harm_is_refused(seeds):
    n = len(hostile_files._LIES)
    told = run(seeds, "fixed", 0, n)
    assert len(told) == n
    assert not wrong_in(told), "\n".join(wrong_in(told))


@pytest.mark.skipif(not SLOW, reason="SKAE_FUZZ=1 asks for it")
@pytest.mark.parametrize(
    ("weak", "group", "n", "sign"),
    [
        ("checksum", "blind", 200, "gives another estimator"),
        ("names", "knowing", 300, "canary was imported"),
        ("memory", "knowing", 5, "load took"),
        ("weights", "fixed", len(hostile_files._LIES), "weights of NaN was loaded"),
        ("crash", "knowing", 5, "the process ended with -11"),
        ("hang", "knowing", 2, "Timeout"),
    ],
)
def test_what_would_go_wrong_is_seen(seeds, weak, group, n, sign):
    found = wrong_in(run(seeds, group, 0, n, weak, 5 if weak == "hang" else HANGS))
    assert any(sign in wrong for wrong in found), found[:5]


# ------------------------------------------------------------------ what is no file, or no common one


@pytest.fixture
def in_time():
    """Fail rather than hang."""
    stopped = threading.Timer(HANGS, os._exit, [3])
    stopped.start()
    yield
    stopped.cancel()


def test_a_pipe_is_not_waited_for(tmp_path, in_time):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="no regular file"):
        skae.load(tmp_path / "pipe")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/full"])
def test_a_device_is_no_file(device, in_time):
    with pytest.raises(ValueError, match="no regular file"):
        skae.load(device)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ValueError, match="is a directory"):
        skae.load(tmp_path)


def test_what_is_not_there_is_an_os_error(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    for name in ("missing", "missing/missing", "loop", "dangling", "x" * 300):
        with pytest.raises(OSError):
            skae.load(tmp_path / name)


def test_a_path_with_a_nul_is_refused(tmp_path):
    with pytest.raises(ValueError, match="null"):
        skae.load(f"{tmp_path}/a\0b")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_an_os_error(tmp_path):
    (tmp_path / "closed").touch(mode=0)
    with pytest.raises(PermissionError):
        skae.load(tmp_path / "closed")


@pytest.mark.parametrize("start", [b"", b"{}", "a file"], ids=["zeros", "a header", "a file and more"])
def test_a_file_of_a_terabyte_is_not_read(seeds, tmp_path, start, in_time):
    path = tmp_path / "sparse"
    path.write_bytes((seeds / "ae.skae").read_bytes() if start == "a file" else hostile_files._headed(start))
    try:
        os.truncate(path, 2**40)
    except OSError:
        pytest.skip("the file system holds no such file")
    with pytest.raises(ValueError, match="sparse cannot be loaded"):
        skae.load(path)


def test_a_link_to_a_file_is_one(seeds, tmp_path):
    (tmp_path / "link").symlink_to(seeds / "ae.skae")
    X = np.zeros((2, 4))
    np.testing.assert_array_equal(skae.load(tmp_path / "link").transform(X), skae.load(seeds / "ae.skae").transform(X))
