"""Tensors of PyTorch and the operator. Oracles: float64 (oracle.py) and PyTorch's own attention. Skipped where torch is not installed."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import annulus_attention
import annulus_attention.torch as ours
import oracle


def inputs(batch=2, heads=4, kv_heads=4, seq_q=33, seq_kv=77, head_dim=40, dtype=torch.float32):
    torch.manual_seed(0)
    q = torch.randn(batch, seq_q, heads, head_dim).to(dtype)
    k, v = (torch.randn(batch, seq_kv, kv_heads, head_dim).to(dtype) for _ in "kv")
    return q, k, v


def of_torch(q, k, v, **options):
    return torch.nn.functional.scaled_dot_product_attention(*(x.transpose(1, 2) for x in (q, k, v)), **options).transpose(1, 2)


@pytest.mark.parametrize("dtype, bound", [(torch.float32, 2e-5), (torch.float16, 4e-3), (torch.bfloat16, 3e-2)])
def test_agrees_with_double_precision(dtype, bound):
    q, k, v = inputs(dtype=dtype)
    out, lse = annulus_attention.attention(q, k, v, return_lse=True)
    assert isinstance(out, torch.Tensor) and out.dtype == dtype and lse.dtype == torch.float32
    expected, expected_lse = oracle.attention(*(x.double().numpy() for x in (q, k, v)))
    assert np.abs(out.double().numpy() - expected).max() <= bound
    assert np.abs(lse.double().numpy() - expected_lse).max() <= bound


def test_agrees_with_torch():
    q, k, v = inputs()
    torch.testing.assert_close(ours.attention(q, k, v), of_torch(q, k, v), atol=2e-5, rtol=0)
    mask = torch.rand(2, 1, 33, 77) > 0.3
    torch.testing.assert_close(ours.attention(q, k, v, mask=mask), of_torch(q, k, v, attn_mask=mask), atol=2e-5, rtol=0)
    torch.testing.assert_close(ours.attention(q, k, v, causal="top_left"), of_torch(q, k, v, is_causal=True), atol=2e-5, rtol=0)


def test_strided_tensors_give_the_bits_of_contiguous_ones():
    q, k, v = inputs()
    heads_first = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in (q, k, v)]
    assert not heads_first[0].is_contiguous()
    assert torch.equal(ours.attention(*heads_first), ours.attention(q, k, v))


def test_grouped_heads_lengths_and_window_agree_with_double_precision():
    q, k, v = inputs(kv_heads=2)
    options = dict(causal=True, window=(20, 0), kv_lengths=[77, 40])
    out, lse = ours.attention(q, k, v, return_lse=True, **options)
    expected, expected_lse = oracle.attention(*(x.numpy() for x in (q, k, v)), **options)
    assert np.abs(out.numpy() - expected).max() <= 2e-5
    assert torch.equal(out, ours.attention(q, k, v, causal=True, window=(20, 0), kv_lengths=torch.tensor([77, 40])))


def test_merged_parts_are_the_keys_whole():
    q, k, v = inputs()
    whole, whole_lse = ours.attention(q, k, v, return_lse=True)
    out, lse = ours.attention(q, k[:, :30], v[:, :30], return_lse=True)
    annulus_attention.merge_partial(out, lse, *ours.attention(q, k[:, 30:], v[:, 30:], return_lse=True))
    torch.testing.assert_close(out, whole, atol=2e-5, rtol=0)
    torch.testing.assert_close(lse, whole_lse, atol=2e-5, rtol=0)


def test_an_input_that_needs_a_gradient_is_refused_in_words():
    q, k, v = inputs()
    q.requires_grad_()
    with pytest.raises(RuntimeError, match="computes no gradients"):
        ours.attention(q, k, v)
    with torch.no_grad():
        assert torch.isfinite(ours.attention(q, k, v)).all()
    out, _ = torch.ops.annulus.attention(q, k, v, 0.0, 0, -1, -1, None, None)
    with pytest.raises(RuntimeError, match="computes no gradients"):
        out.sum().backward()


def test_meta_tensors_give_shapes():
    q, k, v = (x.to("meta") for x in inputs(dtype=torch.bfloat16))
    out, lse = ours.attention(q, k, v, return_lse=True)
    assert out.shape == q.shape and out.dtype == q.dtype and out.device.type == "meta"
    assert lse.shape == (2, 4, 33) and lse.dtype == torch.float32


def test_the_operator_holds_what_torch_asks_of_operators():
    q, k, v = inputs()
    checks = ("test_schema", "test_faketensor")
    torch.library.opcheck(torch.ops.annulus.attention, (q, k, v, 0.0, 0, -1, -1, None, None), test_utils=checks)
    out, lse = ours.attention(q, k, v, return_lse=True)
    torch.library.opcheck(torch.ops.annulus.merge_partial, (out, lse, out.clone(), lse.clone()), test_utils=checks)


# "aot_eager" traces and lowers all that inductor would, without its C++ compiler.
@pytest.mark.parametrize("dynamic", [False, True])
def test_compile_accepts_it_whole(dynamic):
    def layer(x, weight):
        q, k, v = (x @ weight).unflatten(-1, (3, 4, 40)).unbind(2)
        out, lse = ours.attention(q, k, v, causal=True, return_lse=True)
        other, other_lse = ours.attention(q, k.flip(1), v.flip(1), return_lse=True)
        ours.merge_partial(out, lse, other, other_lse)
        return out.flatten(2) * 2, lse

    torch.manual_seed(1)
    weight = torch.randn(160, 480) / 12
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    with torch.no_grad():
        for seq in (9, 33):
            x = torch.randn(2, seq, 160)
            for got, expected in zip(compiled(x, weight), layer(x, weight)):
                torch.testing.assert_close(got, expected)


def test_contradictions_are_refused():
    q, k, v = inputs()
    with pytest.raises(ValueError, match="v: wanted shape"):
        ours.attention(q, k, v[:, :5])
    with pytest.raises(ValueError, match="kv_lengths: wanted integers"):
        ours.attention(q, k, v, kv_lengths=[1.0, 2.0])
    with pytest.raises(ValueError, match="wanted float32"):
        ours.attention(*(x.double() for x in (q, k, v)))
