"""Streams that were cut, changed or made up: refused with a reason, without more memory than is allowed."""

import tracemalloc
import zlib

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skae.coding import _compress as coding
from skae.coding import compress, decompress
from skae.coding._container import Header, pack, seal_of
from skae.coding._rans import Encoder

X = load_digits().data[:6]


@pytest.fixture(scope="module")
def known(table, levels, images):
    """Estimators, streams of theirs, and what these decode to."""
    est, photographs = images
    given = [(table, X, 1.0), (levels, X.astype("f4"), 0), (est, photographs[:4], -2.0), (est, photographs[0], 0)]
    streams = [(est, compress(est, data, quality=quality)) for est, data, quality in given]
    return [(est, data, decompress(est, data)) for est, data in streams]


@pytest.fixture(autouse=True)
def _one_digest_each(monkeypatch):
    """Digests take longer than all the rest."""
    found, digest_of = {}, coding.digest_of
    monkeypatch.setattr(coding, "digest_of", lambda est: found.setdefault(id(est), digest_of(est)))


def sealed(data):
    return data[:-4] + zlib.crc32(data[:-4]).to_bytes(4, "little")


def outcome(est, data, wanted):
    """'refused', 'equal', or what is wrong."""
    try:
        found = decompress(est, data, max_pixels=5000)
    except ValueError as error:
        return "refused" if str(error).endswith(".") or "?" in str(error) else f"no reason: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    same = type(found) is type(wanted) and len(found) == len(wanted)
    same = same and all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))
    return "equal" if same else "something else"


def changed(rng, data):
    """A stream with a part that was cut out, put in, doubled or replaced."""
    a, b = sorted(rng.integers(0, len(data) - 3, 2))
    new = rng.bytes(int(rng.integers(1, 9)))
    way = rng.integers(0, 5)
    if way == 0:
        return data[:a] + data[b:]
    if way == 1:
        return data[:a] + new + data[a:]
    if way == 2:
        return data[:b] + data[a:]
    if way == 3:
        return data[:a] + new + data[a + len(new) :]
    return data[:a] + bytes([data[a] ^ (1 << rng.integers(0, 8))]) + data[a + 1 :]


def made_up(rng, data):
    """Bytes at random, after more or less of a true stream's beginning."""
    return data[: rng.choice([0, 4, 5, 13, 16, 20])] + rng.bytes(int(rng.integers(0, 200)))


def counts(known, n, seed):
    """Numbers of outcomes of n damaged streams."""
    rng = np.random.default_rng(seed)
    found = {}
    for i in range(n):
        est, data, wanted = known[i % len(known)]
        way = rng.integers(0, 5)
        if way == 0:
            other = data[: rng.integers(0, len(data))]
        elif way == 1:
            other = changed(rng, data)
        elif way == 2:
            other = made_up(rng, data)
        else:  # with a checksum that fits, so that all the other checks see it
            other = sealed(changed(rng, data) if way == 3 else made_up(rng, data) + bytes(4))
        if other == data:
            continue
        key = outcome(est, other, wanted)
        found[key] = found.get(key, 0) + 1
    return found


def test_damaged_streams_raise(known):
    found = counts(known, 1000, seed=0)
    assert set(found) == {"refused"}
    assert found["refused"] > 990, "replaced bytes may be the same as before"


@pytest.mark.slow
def test_many_damaged_streams_raise(known):
    found = counts(known, 12_000, seed=1)
    assert set(found) == {"refused"}
    assert found["refused"] > 11_900


def test_every_cut_and_every_flipped_bit_raises(known):
    for est, data, wanted in (known[1], known[3]):
        others = [data[:n] for n in range(len(data))]
        for k in range(8 * len(data)):
            flipped = bytearray(data)
            flipped[k // 8] ^= 1 << k % 8
            others.append(bytes(flipped))
        assert {outcome(est, other, wanted) for other in others} == {"refused"}


def test_every_flipped_bit_is_noticed_without_the_checksum(known):
    """A stream of other codes ends in the same state where only the first symbols differ: the seal tells."""
    for est, data, wanted in (known[1], known[3]):
        for k in range(8 * (len(data) - 4)):
            flipped = bytearray(data)
            flipped[k // 8] ^= 1 << k % 8
            assert outcome(est, sealed(bytes(flipped)), wanted) == "refused", k


def test_undamaged_streams_are_equal(known):
    assert {outcome(*parts) for parts in known} == {"equal"}


def forged(est, n, sizes, is_list):
    """A stream that says to hold samples of these sizes, with a right digest and checksum."""
    header = Header(coding.digest_of(est), 0.0, "float32", is_list, n, sizes).pack()
    return pack(header, Encoder().finish())


def test_memory_is_bounded_by_stream_size(table, images):
    est, _ = images
    huge = [
        (table, forged(table, 2**62, [], False)),
        (table, forged(table, 2**26 // 64 + 1, [], False)),
        (est, forged(est, 1, [(2**40, 2**40)], False)),
        (est, forged(est, 2**40, [(2, 2)], True)),
        (est, forged(est, 2**22 + 1, [(1, 1)], True)),  # as each has a position of the code, 4 by 4 pixels
        (est, forged(est, 3, [(2**13, 2**13), (1, 1), (2, 2)], True)),
    ]
    tracemalloc.start()
    try:
        for owner, data in huge:
            with pytest.raises(ValueError, match=r"data holds \d+ pixels, more than max_pixels=67108864"):
                decompress(owner, data)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_memory_is_bounded_by_max_pixels(table):
    data = forged(table, 1000, [], False)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="they end early"):
            decompress(table, data, max_pixels=64_000)
        assert tracemalloc.get_traced_memory()[1] < 40 * 64_000
    finally:
        tracemalloc.stop()


def test_samples_of_another_kind_raise(table, images):
    est, _ = images
    for owner, sizes, is_list in ((table, [(8, 8)], False), (table, [(8, 8)], True), (est, [], False)):
        with pytest.raises(ValueError, match="the kind of its samples differs from that of the estimator"):
            decompress(owner, forged(owner, 1, sizes, is_list))


def test_integers_beyond_32_bits_raise(table):
    """As only a forged stream can hold them."""
    model = table.code_model_
    rows = np.full((1, 5, 1, 1), 2**31 + 5)
    header = Header(coding.digest_of(table), 0.0, "float32", False, 1, []).pack()
    encoder = Encoder()
    for step in model.steps(rows):
        coding.write(step, rows.reshape(-1)[step.index], encoder.emit)
    with pytest.raises(ValueError, match="they exceed 32-bit integers"):
        decompress(table, pack(header, encoder.finish(seal_of(header, [rows]))))


def test_quality_that_the_model_does_not_have_raises(levels):
    header = Header(coding.digest_of(levels), 1.0, "float32", False, 1, []).pack()
    with pytest.raises(ValueError, match="data is damaged: its quality must be 0, the only quality of bottleneck=FSQ"):
        decompress(levels, pack(header, Encoder().finish()))
