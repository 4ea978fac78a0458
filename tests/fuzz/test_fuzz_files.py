"""Damaged files and files that are made to do harm: `load` returns what was saved, or raises a ValueError.

They are loaded in a process of its own, which is watched for crashes and hangs, memory, code that is run, files that
are opened and state that is changed. See ``hostile_files.py``.
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
from fuzzing import ALL, SLOW
from guards import HANGS

import skae

COUNTS = {"blind": (100, 1000, 5000), "knowing": (200, 1500, 5500), "archive": (30, 200, 600)}
JOBS = {group: counts[SLOW + ALL] for group, counts in COUNTS.items()} | {"fixed": len(hostile_files._LIES)}


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    return hostile_files.make_seeds(tmp_path_factory.mktemp("seeds"))


def run(folder, jobs):
    """The outcomes of mutations, by group; one that ends the process is an outcome too."""
    report = {group: [] for group in jobs}
    path = os.pathsep.join([str(Path(skae.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    while left := {
        group: stop for group, stop in jobs.items() if len(report[group]) < int(str(stop).partition(":")[0])
    }:
        specs = [f"{group}:{len(report[group])}:{stop}" for group, stop in left.items()]
        command = [sys.executable, hostile_files.__file__, str(folder), str(HANGS), *specs]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"group"')]
        assert lines or "Fatal Python error" in done.stderr or "Timeout" in done.stderr, done.stderr[-3000:]
        for line in lines:
            report[line["group"]].append(line)
        if done.returncode:
            group = next(group for group, stop in left.items() if len(report[group]) < int(str(stop).partition(":")[0]))
            wrong = [f"the process ended with {done.returncode}: {done.stderr[:1500]}"]
            report[group].append({"number": len(report[group]), "wrong": wrong, "peak": 0})
    return report


@pytest.fixture(scope="module")
def outcomes(seeds):
    return run(seeds, JOBS)


def wrong_in(report):
    return [f"{row['number']} ({row.get('seed')}): {wrong}" for row in report for wrong in row["wrong"]]


@pytest.mark.parametrize("group", JOBS)
@pytest.mark.slow
def test_mutation_raises_or_harmless(outcomes, group):
    report, n = outcomes[group], JOBS[group]
    assert len(report) == n
    found = Counter(row.get("outcome") for row in report)
    print(f"{group}: {n} mutations, {dict(found)}, at most {max(row['peak'] for row in report) >> 20} MB for one")
    assert not wrong_in(report), "\n".join(wrong_in(report)[:20])
    assert found["refused"] > n / 3
    assert group in ("blind", "fixed") or found["loaded"] > n / 20  # or the mutations are too crude to get anywhere


@pytest.mark.skipif(not ALL, reason="`make fuzz` runs it")
@pytest.mark.parametrize(
    ("weak", "group", "n", "sign"),
    [
        ("names", "knowing", 400, "canary was imported"),
        ("memory", "knowing", 5, "load took"),
        ("crash", "knowing", 5, "the process ended with -11"),
    ],
)
def test_lack_of_a_protection_is_found(seeds, weak, group, n, sign):
    found = wrong_in(run(seeds, {group: f"{n}:{weak}"})[group])
    assert any(sign in wrong for wrong in found), found[:5]


# ------------------------------------------------------------------ what is no file, or no common one


@pytest.fixture
def in_time():
    """Fail rather than hang."""
    stopped = threading.Timer(HANGS, os._exit, [3])
    stopped.start()
    yield
    stopped.cancel()


def test_pipe_raises(tmp_path, in_time):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="not a regular file"):
        skae.load(tmp_path / "pipe")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/full"])
def test_device_raises(device, in_time):
    with pytest.raises(ValueError, match="not a regular file"):
        skae.load(device)


def test_folder_raises(tmp_path):
    with pytest.raises(ValueError, match="is a directory"):
        skae.load(tmp_path)


def test_missing_file_is_an_os_error(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    for name in ("missing", "missing/missing", "loop", "dangling", "x" * 300):
        with pytest.raises(OSError):
            skae.load(tmp_path / name)


def test_path_with_a_nul_raises(tmp_path):
    with pytest.raises(ValueError, match="null"):
        skae.load(f"{tmp_path}/a\0b")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_an_os_error(tmp_path):
    (tmp_path / "closed").touch(mode=0)
    with pytest.raises(PermissionError):
        skae.load(tmp_path / "closed")


@pytest.mark.parametrize("start", [b"", b"{}", "a file"], ids=["zeros", "a header", "a file and more"])
def test_file_of_a_terabyte_is_not_read(seeds, tmp_path, start, in_time):
    path = tmp_path / "sparse"
    path.write_bytes((seeds / "ae.skae").read_bytes() if start == "a file" else hostile_files._headed(start))
    try:
        os.truncate(path, 2**40)
    except OSError:
        pytest.skip("the file system holds no such file")
    with pytest.raises(ValueError, match="sparse cannot be loaded"):
        skae.load(path)


def test_symbolic_link_is_followed(seeds, tmp_path):
    (tmp_path / "link").symlink_to(seeds / "ae.skae")
    X = np.zeros((2, 4))
    np.testing.assert_array_equal(skae.load(tmp_path / "link").transform(X), skae.load(seeds / "ae.skae").transform(X))
