"""The entropy coder: lossless, near the ideal length, frozen, and suspicious of what it reads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skae._density.tables import PRECISION, Step, Tables, bits, frequencies_of, read, write
from skae.coding._rans import LARGEST_N_LANES, Decoder, Encoder

LEAST = 1 << 16
GOLDEN = "0200388b0100ffbf1a0029beffefffffffefff3fffefffbfffef"  # of `test_format_is_frozen`


def made(rng, n_tables, n_symbols):
    """Tables of random widths and shapes, some with symbols that are all but certain."""
    widths = rng.integers(1, n_symbols + 1, n_tables)
    widths[0] = n_symbols
    return Tables([frequencies_of(rng.dirichlet(np.full(w, rng.choice([0.02, 0.5, 5.0]))) + 1e-12) for w in widths])


def drawn(rng, tables, n):
    """Symbols as their tables say."""
    which = rng.integers(0, len(tables.frequencies), n)
    ends = (tables.starts + tables.frequencies)[which]
    return which, (ends <= rng.integers(0, 1 << PRECISION, n)[:, None]).sum(1)


def coded(pieces, seed=0, **options):
    encoder = Encoder()
    for piece in pieces:
        encoder.emit(*piece)
    return encoder.finish(seed, **options)


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.lists(st.integers(0, 400), max_size=5),
    n_tables=st.integers(1, 9),
    n_symbols=st.integers(1, 300),
    n_lanes=st.none() | st.integers(1, 1030),
    seal=st.integers(0, 2**16 - 1),
)
def test_symbols_are_restored(seed, n, n_tables, n_symbols, n_lanes, seal):
    rng = np.random.default_rng(seed)
    pieces = []
    for length in n:
        tables = made(rng, n_tables, n_symbols)
        pieces.append((tables, *drawn(rng, tables, length)))
    decoder = Decoder(coded(pieces, seal, n_lanes=n_lanes))
    for tables, which, symbols in pieces:
        np.testing.assert_array_equal(decoder.draw(tables, which), symbols)
    decoder.finish(seal)


@given(
    seed=st.integers(0, 2**32 - 1),
    low=st.lists(st.integers(-100, 100), min_size=1, max_size=20),
    span=st.integers(2, 40),
    scale=st.sampled_from([1, 30, 1000, 2**31 - 1]),
)
def test_integers_without_bounds_are_restored(seed, low, span, scale):
    rng = np.random.default_rng(seed)
    m = len(low)
    tables = Tables(frequencies_of(rng.dirichlet(np.ones(span), 3)))
    step = Step(np.arange(m), tables, rng.integers(0, 3, m), np.array(low), np.full(m, span))
    values = rng.integers(-scale - 1, scale, m, endpoint=True).clip(-(2**31), 2**31 - 1)
    encoder = Encoder()
    write(step, values, encoder.emit)
    assert encoder.n_bits() == pytest.approx(bits(step, values).sum())
    decoder = Decoder(encoder.finish())
    np.testing.assert_array_equal(read(step, decoder.draw), values)
    decoder.finish()


@pytest.mark.parametrize(("n_tables", "n"), [(1, 200_000), (300, 200_000), (3, 2_000_000)])
def test_length_is_within_half_a_percent_of_the_ideal(n_tables, n):
    rng = np.random.default_rng(0)
    tables = Tables(frequencies_of(rng.dirichlet(np.full(30, 0.3), n_tables) + 1e-9))
    p = tables.frequencies / 2.0**PRECISION
    which = np.sort(rng.integers(0, n_tables, n))
    symbols = np.concatenate([rng.choice(30, count, p=p[i]) for i, count in enumerate(np.bincount(which))])
    ideal = -np.log2(p[which, symbols]).sum() / 8
    data = coded([(tables, which, symbols)])
    assert ideal < len(data) < 1.005 * ideal
    decoder = Decoder(data)
    np.testing.assert_array_equal(decoder.draw(tables, which), symbols)
    decoder.finish()


def test_lanes_cost_at_most_their_share():
    rng = np.random.default_rng(0)
    tables = Tables([frequencies_of(np.ones(16))])  # four bits a symbol
    found = []
    for n in (1, 10, 10_000, 100_000, 2_000_000):
        which, symbols = np.zeros(n, np.int64), rng.integers(0, 16, n)
        data = coded([(tables, which, symbols)])
        found.append(int.from_bytes(data[:2], "little"))
        assert n / 2 <= len(data) <= n / 2 * 1.003 + 6
    assert found[:2] == [1, 1]
    assert found == sorted(found)
    assert 1 < found[3] < found[4] <= LARGEST_N_LANES


def test_certain_symbols_take_no_bytes():
    tables, n = Tables([np.array([1 << PRECISION])]), 1000
    data = coded([(tables, np.zeros(n, np.int64), np.zeros(n, np.int64))])
    assert len(data) == 2 + 4
    decoder = Decoder(data)
    assert not decoder.draw(tables, np.zeros(n, np.int64)).any()
    decoder.finish()


def test_empty_stream():
    Decoder(Encoder().finish(5)).finish(5)


def decoded_by_hand(data, tables, which, seal):
    """One symbol after the other, as the docstring of the module says."""
    numbers = [int.from_bytes(data[k : k + 2], "little") for k in range(0, len(data), 2)]
    n_lanes = numbers.pop(0)
    states = [numbers[2 * i] + (numbers[2 * i + 1] << 16) for i in range(n_lanes)]
    words = numbers[2 * n_lanes :]
    found = []
    for k, table in enumerate(which):
        x = states[k % n_lanes]
        slot = x % 2**PRECISION
        f, c = tables.frequencies[table].tolist(), tables.starts[table].tolist()
        symbol = next(s for s in range(len(f)) if c[s] <= slot < c[s] + f[s])
        x = f[symbol] * (x >> PRECISION) + slot - c[symbol]
        states[k % n_lanes] = x if x >= LEAST else (x << 16) + words.pop(0)
        found.append(symbol)
    assert words == []
    assert states == [LEAST + seal] * n_lanes
    return found


@pytest.mark.parametrize("n_lanes", [1, 3])
def test_format_is_as_described(n_lanes):
    rng = np.random.default_rng(1)
    tables = made(rng, 5, 12)
    which, symbols = drawn(rng, tables, 1000)
    data = coded([(tables, which, symbols)], 77, n_lanes=n_lanes)
    assert decoded_by_hand(data, tables, which, 77) == symbols.tolist()


def test_format_is_frozen():
    tables = Tables([[2**12, 2**13, 2**12], [2**14 - 1, 1]])
    which, symbols = np.array([0, 1, 0, 0, 1, 1] * 4), np.array([0, 1, 2, 1, 0, 1] * 4)
    assert coded([(tables, which, symbols)], 0xABCD, n_lanes=2).hex() == GOLDEN
    decoder = Decoder(bytes.fromhex(GOLDEN))
    assert decoder.draw(tables, which).tolist() == symbols.tolist()
    decoder.finish(0xABCD)


# ---------------------------------------------------------------- what is refused


def test_symbols_beyond_their_table_raise():
    tables = Tables([frequencies_of(np.ones(3)), frequencies_of(np.ones(2))])
    for which, symbol in ((0, 3), (0, -1)):
        with pytest.raises(ValueError, match=f"symbols must be from 0 to 2, got {symbol}"):
            Encoder().emit(tables, np.array([which]), np.array([symbol]))
    with pytest.raises(ValueError, match="beyond the last one"):
        Encoder().emit(tables, np.array([0, 1]), np.array([2, 2]))


@pytest.fixture(scope="module")
def stream():
    rng = np.random.default_rng(2)
    tables = made(rng, 5, 12)
    which, symbols = drawn(rng, tables, 300)
    return tables, which, symbols, coded([(tables, which, symbols)], 9, n_lanes=3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the number of lanes does not match their length"),
        (b"\x00\x00" + bytes(8), "the number of lanes does not match their length"),
        (b"\x01\x04" + bytes(4 * 1025), "the number of lanes does not match their length"),
        (b"\x02\x00" + b"\xff" * 7, "the number of lanes does not match their length"),
        (b"\x01\x00" + b"\xff" * 5, "the number of lanes does not match their length"),
        (b"\x01\x00" + b"\xff\xff\x00\x00", "their initial state is invalid"),
    ],
)
def test_invalid_streams_raise(data, message):
    with pytest.raises(ValueError, match=message):
        Decoder(data)


def test_cut_stream_raises(stream):
    tables, which, _, data = stream
    for cut in range(14, len(data) - 1, 2):
        with pytest.raises(ValueError, match="they end early"):
            Decoder(data[:cut]).draw(tables, which)


def test_trailing_symbols_raise(stream):
    tables, which, _, data = stream
    decoder = Decoder(data + b"\0\0")
    decoder.draw(tables, which)
    with pytest.raises(ValueError, match="some are left over"):
        decoder.finish(9)
    decoder = Decoder(data)
    decoder.draw(tables, which[:-20])
    with pytest.raises(ValueError, match="damaged"):
        decoder.finish(9)


def test_flipped_bits_and_wrong_seal_raise(stream):
    tables, which, symbols, data = stream
    for k in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[k // 8] ^= 1 << k % 8
        with pytest.raises(ValueError, match="The coded symbols are damaged"):
            _decode(bytes(flipped), tables, which, 9)
    with pytest.raises(ValueError, match="the decoded symbols differ"):
        _decode(data, tables, which, 8)
    np.testing.assert_array_equal(_decode(data, tables, which, 9), symbols)


def _decode(data, tables, which, seal):
    decoder = Decoder(data)
    found = decoder.draw(tables, which)
    decoder.finish(seal)
    return found
