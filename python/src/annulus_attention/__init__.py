"""Attention on CPUs that returns its log-sum-exp, and the merge of partial results.

    out = softmax(scale * q k^T + mask) v         lse = log(sum(exp(scale * q k^T + mask)))

Arrays may be NumPy's, PyTorch's or anything else on the CPU with DLPack or the buffer protocol. They are read in place, whatever their strides;
the result comes in the framework of `q`. The interpreter is free while the kernels work. `annulus_attention.torch` has the same as an operator of
PyTorch, which `torch.compile` accepts.
"""

import os
import sys
from typing import Any, Optional, Sequence, Tuple, Union

import numpy as np

from . import _core

__all__ = ["attention", "get_num_threads", "instruction_sets", "merge_partial", "set_num_threads"]
__version__ = _core.version()

_CAUSAL = {False: 0, "top_left": 1, "bottom_right": 2, True: 2}


def attention(
    q: Any,
    k: Any,
    v: Any,
    *,
    scale: Optional[float] = None,
    causal: Union[bool, str] = False,
    mask: Optional[Any] = None,
    kv_lengths: Optional[Any] = None,
    window: Optional[Sequence[int]] = None,
    return_lse: bool = False,
) -> Any:
    """Softmax attention of every query over the keys that it sees.

    Args:
        q: [batch, seq_q, heads, head_dim], float32, float16 or bfloat16.
        k, v: [batch, seq_kv, kv_heads, head_dim], as q; heads is a multiple of kv_heads.
        scale: multiplies q.k; None: 1 / sqrt(head_dim).
        causal: "top_left" (query i sees keys j <= i), "bottom_right" (keys j <= i + keys - queries), or True, which is "bottom_right". The two
            are one where the lengths are equal.
        mask: broadcast to [batch, heads, seq_q, seq_kv]. bool: True = seen; float32 or q's dtype: added after the scale.
        kv_lengths: [batch] integers; keys at or past the length are not seen.
        window: (left, right), keys that a query sees on both sides of the bottom-right diagonal; -1: all.
        return_lse: whether to return the log-sum-exp too.

    Returns:
        out, as q, in q's framework; with `return_lse` (out, lse), where lse [batch, heads, seq_q] is float32 with natural logarithms. A row that
        sees no key gives 0 and -infinity. Masks combine.

    Raises:
        ValueError: sizes, dtypes or strides that contradict each other; the message says what was wanted and found.
        TypeError: something that is no array, or needs a gradient.
    """
    torch = _torch_of(q)
    if torch is not None:
        from . import torch as torch_side

        return torch_side.attention(
            q, k, v, scale=scale, causal=causal, mask=mask, kv_lengths=kv_lengths, window=window, return_lse=return_lse
        )
    queries, keys, values = _bits(q, "q"), _bits(k, "k"), _bits(v, "v")
    shape = _shape(queries)
    if len(shape) != 4:
        raise ValueError(f"q: wanted [batch, seq_q, heads, head_dim], found shape {shape}")
    dtype = _numpy_dtype(q)
    out = np.empty(shape, dtype)
    lse = np.empty((shape[0], shape[2], shape[1]), np.float32)
    left, right = _window(window)
    _core.run(
        queries, keys, values, _bits(out, "out"), lse, _scale(scale), _causal(causal), left, right, _lengths(kv_lengths), _bits(mask, "mask")
    )
    out = _as_framework_of(q, out)
    return (out, _as_framework_of(q, lse)) if return_lse else out


def merge_partial(out: Any, lse: Any, part_out: Any, part_lse: Any) -> None:
    """Folds attention over other keys into a result: `out` and `lse` are updated in place, as if all keys had been seen at once.

    Args:
        out, part_out: [batch, seq_q, heads, head_dim] float32; `out` is written.
        lse, part_lse: [batch, heads, seq_q] float32; `lse` is written.
    """
    if _torch_of(out) is not None:
        from . import torch as torch_side

        return torch_side.merge_partial(out, lse, part_out, part_lse)
    _core.merge(out, lse, part_out, part_lse)
    return None


def set_num_threads(threads: int) -> None:
    """How many threads a call may use from now on; 0: as many as the process may run on (the default). Results do not depend on it."""
    _core.set_threads(threads)


def get_num_threads() -> int:
    """How many threads a call may use."""
    return _core.threads() or len(os.sched_getaffinity(0))


def instruction_sets() -> list:
    """Names of the instruction sets that kernels are written for and this CPU has, plainest first. The variable ANNULUS_ISA chooses one."""
    return _core.instruction_sets()


def _torch_of(x: Any) -> Any:
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(x, torch.Tensor) else None


def _scale(scale: Optional[float]) -> float:
    return 0.0 if scale is None else float(scale)


def _causal(causal: Union[bool, str]) -> int:
    try:
        return _CAUSAL[causal]
    except (KeyError, TypeError):
        raise ValueError(f'causal: wanted False, True, "top_left" or "bottom_right", found {causal!r}') from None


def _window(window: Optional[Sequence[int]]) -> Tuple[int, int]:
    if window is None:
        return -1, -1
    if len(window) != 2:
        raise ValueError(f"window: wanted (left, right), found {window!r}")
    return int(window[0]), int(window[1])


def _lengths(lengths: Optional[Any]) -> Optional[Any]:
    if lengths is None:
        return None
    array = np.asarray(lengths)
    if array.dtype.kind not in "iu":
        raise ValueError(f"kv_lengths: wanted integers, found {array.dtype}")
    return array.astype(np.int32) if array.dtype != np.int32 else array


def _is_bf16(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.name == "bfloat16"


def _bits(x: Any, name: str) -> Any:
    """x; for NumPy's bfloat16 (of ml_dtypes), which DLPack does not take from NumPy, its bits."""
    if _is_bf16(x):
        return x.view(np.uint16)
    if isinstance(x, np.ndarray) and x.dtype == np.uint16:
        raise ValueError(f"{name}: wanted float32, float16 or bfloat16, found uint16")
    return x


def _shape(x: Any) -> Tuple[int, ...]:
    shape = getattr(x, "shape", None)
    return tuple(shape) if shape is not None else memoryview(x).shape


def _numpy_dtype(x: Any) -> np.dtype:
    if isinstance(x, np.ndarray):
        return x.dtype
    if hasattr(x, "dtype"):
        name = str(x.dtype).rsplit(".", 1)[-1]
        if name == "bfloat16":
            import ml_dtypes

            return np.dtype(ml_dtypes.bfloat16)
        return np.dtype(name)
    return np.asarray(memoryview(x)).dtype


def _as_framework_of(x: Any, result: np.ndarray) -> Any:
    namespace = getattr(x, "__array_namespace__", None)
    if isinstance(x, np.ndarray) or namespace is None:
        return result
    try:
        return namespace().from_dlpack(result)
    except (AttributeError, BufferError, TypeError):
        return namespace().asarray(result)


# Threads of OpenMP do not come along into a forked child, which would wait for them for ever.
os.register_at_fork(after_in_child=lambda: _core.set_threads(1))
