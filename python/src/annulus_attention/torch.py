"""Attention with its log-sum-exp as operators of PyTorch: `torch.ops.annulus.attention` and `torch.ops.annulus.merge_partial`.

They have fake implementations, so that `torch.compile(..., fullgraph=True)`, `torch.export` and meta tensors accept them. Tensors are read in
place, whatever their strides. There is no backward: a call with an input that needs a gradient is refused unless gradients are off.
"""

from typing import Any, Optional, Sequence, Tuple, Union

import torch
from torch import Tensor

from . import _causal, _core, _window

__all__ = ["attention", "merge_partial"]

_NO_GRADIENT = "annulus_attention computes no gradients: call it under torch.no_grad() or torch.inference_mode(), or detach q, k and v"


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    scale: Optional[float] = None,
    causal: Union[bool, str] = False,
    mask: Optional[Tensor] = None,
    kv_lengths: Optional[Any] = None,
    window: Optional[Sequence[int]] = None,
    return_lse: bool = False,
) -> Union[Tensor, Tuple[Tensor, Tensor]]:
    """`annulus_attention.attention` on tensors: q [batch, seq_q, heads, head_dim]; PyTorch's own functions have heads before seq, so give them
    `q.transpose(1, 2)`, which costs no copy.

    Raises:
        RuntimeError: an input needs a gradient.
        ValueError: sizes or dtypes that contradict each other.
    """
    if torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad):
        raise RuntimeError(_NO_GRADIENT)
    if kv_lengths is not None:
        kv_lengths = torch.as_tensor(kv_lengths, device=q.device)
        if kv_lengths.dtype.is_floating_point or kv_lengths.dtype == torch.bool:
            raise ValueError(f"kv_lengths: wanted integers, found {kv_lengths.dtype}")
        kv_lengths = kv_lengths.to(torch.int32)
    left, right = _window(window)
    out, lse = torch.ops.annulus.attention(q, k, v, 0.0 if scale is None else float(scale), _causal(causal), left, right, kv_lengths, mask)
    return (out, lse) if return_lse else out


def merge_partial(out: Tensor, lse: Tensor, part_out: Tensor, part_lse: Tensor) -> None:
    """`annulus_attention.merge_partial` on tensors: `out` and `lse` are updated in place."""
    torch.ops.annulus.merge_partial(out, lse, part_out, part_lse)


@torch.library.custom_op("annulus::attention", mutates_args=(), device_types="cpu")
def _attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    scale: float,
    causal: int,
    left: int,
    right: int,
    kv_lengths: Optional[Tensor],
    mask: Optional[Tensor],
) -> Tuple[Tensor, Tensor]:
    if q.dim() != 4:
        raise ValueError(f"q: wanted [batch, seq_q, heads, head_dim], found shape {tuple(q.shape)}")
    out, lse = _results(q)
    _core.run(q.detach(), k.detach(), v.detach(), out, lse, scale, causal, left, right, kv_lengths, None if mask is None else mask.detach())
    return out, lse


@_attention.register_fake
def _(q, k, v, scale, causal, left, right, kv_lengths, mask):
    torch._check(q.dim() == 4 and k.dim() == 4 and v.dim() == 4, lambda: "q, k, v: wanted [batch, seq, heads, head_dim]")
    torch._check(q.dtype == k.dtype and q.dtype == v.dtype, lambda: f"q, k, v: wanted one dtype, found {q.dtype}, {k.dtype}, {v.dtype}")
    return _results(q)


def _no_gradient(context, *gradients):
    raise RuntimeError(_NO_GRADIENT)


_attention.register_autograd(_no_gradient)


@torch.library.custom_op("annulus::merge_partial", mutates_args=("out", "lse"), device_types="cpu")
def _merge_partial(out: Tensor, lse: Tensor, part_out: Tensor, part_lse: Tensor) -> None:
    _core.merge(out.detach(), lse.detach(), part_out.detach(), part_lse.detach())


@_merge_partial.register_fake
def _(out, lse, part_out, part_lse):
    return None


def _results(q: Tensor) -> Tuple[Tensor, Tensor]:
    out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    lse = torch.empty((q.shape[0], q.shape[2], q.shape[1]), dtype=torch.float32, device=q.device)
    return out, lse
