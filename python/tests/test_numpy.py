"""Arrays of NumPy and of anything with DLPack or the buffer protocol. Oracle: float64 (oracle.py)."""

import array
import os
import signal
import threading
import time
import tracemalloc

import numpy as np
import pytest

import annulus_attention as ours
import oracle

BOUND = {"float32": 2e-5, "float16": 4e-3, "bfloat16": 3e-2}


def normal(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, np.float32).astype(dtype)


def inputs(batch=2, heads=4, kv_heads=2, seq_q=33, seq_kv=77, head_dim=40, dtype=np.float32):
    q = normal(batch, seq_q, heads, head_dim, dtype=dtype, seed=1)
    k, v = (normal(batch, seq_kv, kv_heads, head_dim, dtype=dtype, seed=s) for s in (2, 3))
    return q, k, v


def expect_like(got, expected, bound):
    got = np.asarray(got, np.float64)
    assert got.shape == expected.shape
    assert not np.isnan(got).any()
    equal = got == expected  # infinities
    error = np.where(equal, 0, np.abs(np.where(equal, 0, got) - np.where(equal, 0, expected)))
    assert error.max(initial=0) <= bound, f"error {error.max()} at {np.unravel_index(error.argmax(), error.shape)}"


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("head_dim", [8, 40, 64, 128])
def test_agrees_with_double_precision(dtype, head_dim):
    kind = pytest.importorskip("ml_dtypes").bfloat16 if dtype == "bfloat16" else np.dtype(dtype)
    q, k, v = inputs(head_dim=head_dim, dtype=kind)
    out, lse = ours.attention(q, k, v, return_lse=True)
    assert type(out) is np.ndarray and out.dtype == kind and lse.dtype == np.float32
    expected, expected_lse = oracle.attention(q, k, v)
    expect_like(out, expected, BOUND[dtype])
    expect_like(lse, expected_lse, 1e-2 if dtype == "bfloat16" else 1e-3 if dtype == "float16" else BOUND[dtype])


MASKS = {
    "none": {},
    "scale": dict(scale=0.3),
    "causal": dict(causal=True),
    "causal_top_left": dict(causal="top_left"),
    "causal_bottom_right": dict(causal="bottom_right"),
    "lengths": dict(kv_lengths=[77, 5]),
    "no_keys": dict(kv_lengths=[0, 77]),
    "window": dict(window=(9, 3)),
    "window_left": dict(window=(9, -1)),
    "bool": dict(mask=normal(2, 4, 33, 77) > 0),
    "bool_shared": dict(mask=normal(33, 77) > 0),
    "bool_keys": dict(mask=normal(2, 1, 1, 77) > 0),
    "bool_rows": dict(mask=normal(33, 1) > 0),
    "additive": dict(mask=normal(1, 4, 33, 77)),
    "together": dict(mask=normal(2, 1, 33, 77) > -1, causal=True, kv_lengths=[70, 33], window=(20, 5)),
}


@pytest.mark.parametrize("name", MASKS)
def test_masks_agree_with_double_precision(name):
    q, k, v = inputs()
    out, lse = ours.attention(q, k, v, return_lse=True, **MASKS[name])
    expected, expected_lse = oracle.attention(q, k, v, **MASKS[name])
    expect_like(out, expected, 2e-5)
    expect_like(lse, expected_lse, 2e-5)


@pytest.mark.parametrize("seq_q, seq_kv", [(0, 5), (5, 0), (1, 1), (1, 300), (7, 1), (100, 257)])
def test_lengths_agree_with_double_precision(seq_q, seq_kv):
    q, k, v = inputs(seq_q=seq_q, seq_kv=seq_kv)
    out, lse = ours.attention(q, k, v, return_lse=True)
    expected, expected_lse = oracle.attention(q, k, v)
    expect_like(out, expected, 2e-5)
    expect_like(lse, expected_lse, 2e-5)


def test_strided_inputs_give_the_bits_of_contiguous_ones():
    q, k, v = inputs()
    expected = ours.attention(q, k, v)
    heads_first = [np.ascontiguousarray(x.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3) for x in (q, k, v)]
    assert not heads_first[0].flags.c_contiguous
    assert np.array_equal(ours.attention(*heads_first), expected)
    together = np.concatenate([q, k[:, :33].repeat(2, 2), v[:, :33].repeat(2, 2)], axis=-1)
    parts = [together[..., i * 40 : (i + 1) * 40] for i in range(3)]
    assert np.array_equal(ours.attention(*parts), ours.attention(*(x.copy() for x in parts)))
    repeated = np.broadcast_to(k[:, :, :1], k.shape)  # a stride of 0
    assert np.array_equal(ours.attention(q, repeated, v), ours.attention(q, repeated.copy(), v))


def test_read_only_inputs_are_read_in_place():
    q, k, v = inputs()
    expected = ours.attention(q, k, v)
    for x in (q, k, v):
        x.flags.writeable = False
    assert np.array_equal(ours.attention(q, k, v), expected)


def test_inputs_are_not_copied():
    q, k, v = (normal(1, seq, 2, 64, seed=seq) for seq in (4, 4000, 4001))
    k, v = (x.transpose(0, 2, 1, 3).copy().transpose(0, 2, 1, 3)[:, :4000] for x in (k, v))
    ours.attention(q, k, v)
    tracemalloc.start()
    ours.attention(q, k, v)
    peak = tracemalloc.get_traced_memory()[1]  # NumPy's arrays are counted
    tracemalloc.stop()
    assert peak < k.nbytes / 20


def test_the_buffer_protocol_is_enough():
    q, k, v = inputs(batch=1, heads=1, kv_heads=1, seq_q=3, seq_kv=5, head_dim=8)
    plain = [memoryview(array.array("f", x.ravel())).cast("B").cast("f", x.shape) for x in (q, k, v)]
    out, lse = ours.attention(*plain, return_lse=True)
    assert type(out) is np.ndarray
    assert np.array_equal(out, ours.attention(q, k, v))


def test_results_come_in_the_callers_framework():
    xp = pytest.importorskip("array_api_strict")
    q, k, v = inputs()
    out, lse = ours.attention(*(xp.asarray(x) for x in (q, k, v)), return_lse=True)
    assert type(out) is type(xp.asarray(q)) and type(lse) is type(out)
    assert np.array_equal(np.asarray(out), ours.attention(q, k, v))


def test_merged_parts_are_the_keys_whole():
    q, k, v = inputs()
    whole, whole_lse = ours.attention(q, k, v, return_lse=True)
    out, lse = ours.attention(q, k[:, :30], v[:, :30], return_lse=True)
    assert ours.merge_partial(out, lse, *ours.attention(q, k[:, 30:], v[:, 30:], return_lse=True)) is None
    expect_like(out, whole.astype(np.float64), 2e-5)
    expect_like(lse, whole_lse.astype(np.float64), 2e-5)
    before = out.copy()
    ours.merge_partial(out, lse, *ours.attention(q, k[:, :0], v[:, :0], return_lse=True))
    assert np.array_equal(out, before)


def test_results_do_not_depend_on_the_number_of_threads():
    q, k, v = inputs()
    results = []
    for threads in (1, 2, 3):
        ours.set_num_threads(threads)
        assert ours.get_num_threads() == threads
        results.append(ours.attention(q, k, v))
    ours.set_num_threads(0)
    assert ours.get_num_threads() >= 1
    assert all(np.array_equal(x, results[0]) for x in results)


def test_calls_from_several_threads_give_the_same_bits():
    q, k, v = inputs()
    expected, results = ours.attention(q, k, v), [None] * 4

    def work(i):
        for _ in range(5):
            results[i] = ours.attention(q, k, v)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(x, expected) for x in results)


def test_the_interpreter_is_free_while_kernels_work():
    q, k, v = (normal(1, 1500, 8, 64, seed=s) for s in range(3))
    span = []

    def work():
        begin = time.perf_counter()
        ours.attention(q, k, v)
        span.extend((begin, time.perf_counter()))

    ours.set_num_threads(1)
    stamps = []
    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        stamps.append(time.perf_counter())
        time.sleep(0.0005)
    thread.join()
    ours.set_num_threads(0)
    quarter = (span[1] - span[0]) / 4
    assert any(span[0] + quarter < t < span[1] - quarter for t in stamps)


def test_a_forked_child_can_go_on():
    q, k, v = inputs(seq_q=300)
    ours.set_num_threads(2)
    expected = ours.attention(q, k, v)
    child = os.fork()
    if child == 0:
        os._exit(0 if ours.get_num_threads() == 1 and np.array_equal(ours.attention(q, k, v), expected) else 1)
    for _ in range(200):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        time.sleep(0.05)
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    ours.set_num_threads(0)
    assert ended and status == 0


@pytest.mark.parametrize(
    "change, words",
    [
        (dict(k=np.zeros((2, 77, 2, 39), np.float32)), "k: wanted shape|found shape|wanted shape"),
        (dict(k=np.zeros((2, 77, 3, 40), np.float32)), "multiple of kv_heads"),
        (dict(v=np.zeros((2, 76, 2, 40), np.float32)), "v: wanted shape"),
        (dict(k=np.zeros((77, 2, 40), np.float32)), "wanted 4 axes"),
        (dict(q=np.zeros((33, 4, 40), np.float32)), "q: wanted"),
        (dict(q=np.zeros((2, 33, 4, 40), np.float64)), "q: wanted float32"),
        (dict(q=np.zeros((2, 33, 4, 40), np.uint16)), "q: wanted float32"),
        (dict(k=np.zeros((2, 77, 2, 40), np.float16)), "k: wanted q's dtype"),
        (dict(k=np.zeros((2, 77, 2, 40), np.float32)[:, ::-1]), "k: wanted strides >= 0"),
        (dict(mask=np.ones((33, 76), np.bool_)), "mask: wanted shape"),
        (dict(mask=np.ones((33, 77), np.int32)), "mask: wanted bool"),
        (dict(kv_lengths=[78, 1]), "kv_lengths: wanted 0 to 77"),
        (dict(kv_lengths=[1]), "kv_lengths: wanted shape"),
        (dict(kv_lengths=[1.5, 2.0]), "kv_lengths: wanted integers"),
        (dict(window=(-2, 0)), "window: wanted"),
        (dict(window=(1, 2, 3)), "window: wanted"),
        (dict(causal="left"), "causal: wanted"),
        (dict(scale=float("nan")), "scale: wanted a finite"),
    ],
)
def test_what_contradicts_itself_is_refused(change, words):
    q, k, v = inputs()
    arguments = {"q": q, "k": k, "v": v, **change}
    with pytest.raises(ValueError, match=words):
        ours.attention(arguments.pop("q"), arguments.pop("k"), arguments.pop("v"), **arguments)


def test_what_is_no_array_is_refused():
    q, k, v = inputs()
    with pytest.raises(TypeError, match="k: wanted an array with DLPack"):
        ours.attention(q, "keys", v)
    misplaced = np.zeros(k.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(k.shape)
    with pytest.raises((TypeError, ValueError), match="k: wanted"):
        ours.attention(q, misplaced, v)
    out, lse = ours.attention(q, k, v, return_lse=True)
    out.flags.writeable = False
    with pytest.raises(TypeError, match="out: wanted a writable array"):
        ours.merge_partial(out, lse, out, lse)
    with pytest.raises(ValueError, match="threads: wanted"):
        ours.set_num_threads(-1)


def test_the_version_is_that_of_the_package():
    from importlib.metadata import version

    assert ours.__version__ == version("annulus_attention")
    assert ours.instruction_sets()[0] == "scalar"
