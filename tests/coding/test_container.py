"""Headers are restored, and the checks of streams report the true reason."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skae.coding._container import DTYPES, QUALITY_GRID, Header, pack, seal_of, unpack

DIGEST = bytes(range(8))
BODY = b"coded symbols"
SIZE = st.tuples(st.integers(1, 2**40), st.integers(1, 2**40))


@st.composite
def headers(draw):
    n = draw(st.integers(1, 2**62))
    is_list = draw(st.booleans())
    sizes = draw(st.lists(SIZE, min_size=is_list, max_size=1))
    if is_list and draw(st.booleans()):
        sizes = draw(st.lists(SIZE, min_size=2, max_size=6, unique=True))
        n = len(sizes)
    quality = draw(st.integers(-(2**20), 2**20)) / QUALITY_GRID
    return Header(DIGEST, quality, draw(st.sampled_from(DTYPES)), is_list, n, sizes)


@given(header=headers(), body=st.binary(min_size=6))
def test_headers_are_restored(header, body):
    packed = header.pack()
    assert unpack(pack(packed, body), DIGEST) == (header, packed, body)


def test_equal_sizes_are_kept_once():
    one = Header(DIGEST, 0.0, "uint8", True, 3, [(20, 300)])
    assert one.pack() == one._replace(sizes=[(20, 300)] * 3).pack()
    assert len(one.pack()) < len(one._replace(sizes=[(20, 300)] * 2 + [(20, 301)]).pack())


def test_format_is_frozen():
    header = Header(DIGEST, -1.25, "uint8", True, 2, [(321, 7), (5, 6)])
    wanted = bytes.fromhex("534b4143 01 0001020304050607 13 02 03 02 c102 07 05 06")
    assert header.pack() == wanted
    assert pack(header.pack(), BODY) == header.pack() + BODY + zlib.crc32(header.pack() + BODY).to_bytes(4, "little")
    codes = [np.array([[1, -2]]), np.array([2**31 - 1])]
    assert (
        seal_of(header.pack(), codes) == zlib.crc32(header.pack() + bytes.fromhex("01000000feffffffffffff7f")) % 2**16
    )


STREAM = pack(Header(DIGEST, 0.0, "float32", False, 3, []).pack(), BODY)


def sealed(data):
    """A stream with a checksum that fits."""
    return data[:-4] + zlib.crc32(data[:-4]).to_bytes(4, "little")


def with_byte(k, value, data=STREAM):
    return data[:k] + bytes([value]) + data[k + 1 :]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"at least 27 bytes, got 0: was it cut\?"),
        (b"\x89PNG" + STREAM[4:], r"data must begin with b'SKAC', like the output of compress, got b'\\x89PNG'"),
        (with_byte(4, 2), "data has version 2 of the format, which needs a newer version of skae"),
        (with_byte(20, 0), "data was truncated or modified: its checksum is wrong"),
        (STREAM[:-1], "data was truncated or modified: its checksum is wrong"),
        (STREAM + b"\0", "data was truncated or modified: its checksum is wrong"),
        (sealed(with_byte(12, 8)), "another model, 0001020304050608, than this estimator, 0001020304050607: load"),
        (sealed(with_byte(4, 0)), "its header is invalid"),
        (sealed(with_byte(14, 6)), "samples of an unknown kind"),
        (sealed(with_byte(15, 4)), "samples of an unknown kind"),
        (sealed(with_byte(16, 0)), "it has 0 samples"),
        (sealed(with_byte(15, 3, with_byte(16, 100))), "it has 100 samples"),
        (sealed(with_byte(15, 1, with_byte(17, 0))), "images without pixels"),
        (sealed(STREAM[:16] + b"\xff" * 20), "a number in it does not end"),
        (sealed(STREAM[:13] + b"\x80\x00" + STREAM[14:]), "its header is invalid"),
    ],
)
def test_errors_name_reason(data, message):
    with pytest.raises(ValueError, match=message):
        unpack(data, DIGEST)


def test_errors_name_first_reason():
    """Of a stream with every fault: what comes first is what the user can do something about."""
    bad = bytearray(STREAM)
    bad[0], bad[4], bad[5], bad[16] = 0, 9, 99, 0
    for k, message in ((0, "must begin"), (4, "a newer"), (-1, "checksum"), (5, "another model"), (16, "samples")):
        with pytest.raises(ValueError, match=message):
            unpack(bytes(bad), DIGEST)
        if k == -1:
            bad[:] = sealed(bytes(bad))
        else:
            bad[k] = STREAM[k]
            bad[:] = bad if k < 5 else sealed(bytes(bad))
