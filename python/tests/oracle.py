"""Attention in double precision by NumPy, as docs/attention.md states it: obvious, slow."""

import numpy as np


def visible(batch, seq_q, seq_kv, *, causal=False, kv_lengths=None, window=None):
    """bool [batch, 1, seq_q, seq_kv]: does the query see the key, as far as positions say?"""
    lengths = np.full(batch, seq_kv) if kv_lengths is None else np.asarray(kv_lengths)
    query, key = np.arange(seq_q)[None, :, None], np.arange(seq_kv)[None, None, :]
    diagonal = query + lengths[:, None, None] - seq_q
    seen = np.broadcast_to(key < lengths[:, None, None], (batch, seq_q, seq_kv)).copy()
    if causal == "top_left":
        seen &= key <= query
    elif causal:
        seen &= key <= diagonal
    if window is not None:
        left, right = window
        if left >= 0:
            seen &= key >= diagonal - left
        if right >= 0:
            seen &= key <= diagonal + right
    return seen[:, None]


def attention(q, k, v, *, scale=None, mask=None, **positions):
    """(out [batch, seq_q, heads, head_dim], lse [batch, heads, seq_q]) in float64."""
    q, k, v = (np.asarray(x, np.float64).transpose(0, 2, 1, 3) for x in (q, k, v))
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat(group, axis=1), v.repeat(group, axis=1)
    scores = q @ k.transpose(0, 1, 3, 2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    seen = visible(q.shape[0], q.shape[2], k.shape[2], **positions)
    if mask is not None:
        mask = np.asarray(mask)
        if mask.dtype == np.bool_:
            seen = seen & mask
        else:
            scores = scores + mask.astype(np.float64)
    scores = np.where(seen, scores, -np.inf)
    most = scores.max(axis=-1, keepdims=True, initial=-np.inf)
    weights = np.exp(scores - np.where(np.isfinite(most), most, 0))
    total = weights.sum(axis=-1, keepdims=True)
    out = weights @ v / np.where(total > 0, total, 1)
    with np.errstate(divide="ignore"):
        lse = (most + np.log(total))[..., 0]
    return out.transpose(0, 2, 1, 3), lse
