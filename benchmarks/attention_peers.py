"""Peers of benchmarks/compare_attention.py, each in a process of its own: attention_peers.py torch|openvino|zentorch.

Answers the lines that benchmarks/attention_worker.cc answers, on the same files. Tensors lie in memory as [batch, seq, heads, head_dim], which is
what a transformer hands over; the peers see them as [batch, heads, seq, head_dim]. What a peer lacks (a window, key lengths) it gets as an additive
mask made before the clock starts.
"""
import sys
import time

import numpy as np


class Case:
    def __init__(self, words):
        self.batch, self.heads, self.kv_heads, self.seq_q, self.seq_kv, self.head_dim = map(int, words[:6])
        self.dtype, self.causal, self.window, self.mask, self.files = words[6], int(words[7]), (int(words[8]), int(words[9])), words[10], words[11]

    def arrays(self):
        """q, k, v in f32, [batch, seq, heads, head_dim]."""
        read = lambda name, seq, heads: np.fromfile(self.files + name, np.float32).reshape(self.batch, seq, heads, self.head_dim)
        return read(".q", self.seq_q, self.heads), read(".k", self.seq_kv, self.kv_heads), read(".v", self.seq_kv, self.kv_heads)

    def added(self):
        """The additive mask, f32 [batch | 1, 1, seq_q, seq_kv], that stands for everything but a plain causal mask; None where there is nothing."""
        seen = np.ones((1, 1, self.seq_q, self.seq_kv), np.bool_)
        query, key = np.arange(self.seq_q)[:, None] + self.seq_kv - self.seq_q, np.arange(self.seq_kv)
        if self.mask == "bool":
            seen = seen & np.fromfile(self.files + ".mask", np.bool_).reshape(self.seq_q, self.seq_kv)
        if self.mask == "lengths":
            seen = seen & (key < np.fromfile(self.files + ".lengths", np.int32)[:, None, None, None])
        if self.window[0] >= 0:
            seen = seen & (key >= query - self.window[0])
        if self.window[1] >= 0:
            seen = seen & (key <= query + self.window[1])
        if seen.all():
            return None
        if self.causal:
            seen = seen & (key <= query - (self.seq_kv - self.seq_q if self.causal == 1 else 0))
        return np.where(seen, np.float32(0), np.float32(-np.inf))


class Torch:
    """PyTorch's flash attention for CPUs, with its log-sum-exp."""

    def __init__(self):
        import torch

        self.torch = torch

    def load(self, case):
        torch = self.torch
        dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[case.dtype]
        self.q, self.k, self.v = (torch.from_numpy(x).to(dtype).transpose(1, 2) for x in case.arrays())
        if case.heads != case.kv_heads:  # its kernel takes as many heads of keys as of queries: repeated before the clock starts
            self.k, self.v = (x.repeat_interleave(case.heads // case.kv_heads, 1) for x in (self.k, self.v))
        added = case.added()
        self.options = {"is_causal": case.causal > 0} if added is None else {"attn_mask": torch.from_numpy(added).to(dtype).expand(case.batch, -1, -1, -1)}
        return f"torch {torch.__version__}"

    def threads(self, count):
        self.torch.set_num_threads(count)

    def run(self):
        with self.torch.inference_mode():
            return self.torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(self.q, self.k, self.v, **self.options)

    def results(self):
        out, lse = self.run()
        return out.transpose(1, 2).float().contiguous().numpy(), lse.float().contiguous().numpy()


class Zentorch(Torch):
    """AMD's plug-in for PyTorch; no log-sum-exp. Falls back to PyTorch's kernel except on Zen machines."""

    def load(self, case):
        import zentorch  # noqa: F401

        loaded = super().load(case)
        if self.options != {"is_causal": False}:
            raise NotImplementedError("masks")
        return f"zentorch {zentorch.__version__}, {loaded}"

    def run(self):
        with self.torch.inference_mode():
            out = self.torch.ops.zentorch.zentorch_sdpa(self.q, self.k, self.v, 0.0, False)
            return (out[0] if isinstance(out, (tuple, list)) else out), None

    def results(self):
        return self.run()[0].transpose(1, 2).float().contiguous().numpy(), None


class OpenVino:
    """OpenVINO's ScaledDotProductAttention on the CPU; no log-sum-exp. Its bf16 is a hint: values stay f32 outside."""

    def __init__(self):
        import openvino

        self.ov, self.core, self.count = openvino, openvino.Core(), 1

    def load(self, case):
        from openvino import opset13 as op

        if case.mask != "none" or case.causal or case.heads != case.kv_heads or case.window != (-1, -1):
            raise NotImplementedError("masks, grouped heads")
        self.case, self.inputs = case, [np.ascontiguousarray(x.transpose(0, 2, 1, 3)) for x in case.arrays()]
        parameters = [op.parameter(list(x.shape), np.float32) for x in self.inputs]
        self.model = self.ov.Model([op.scaled_dot_product_attention(*parameters)], parameters)
        self.threads(self.count)
        return f"openvino {self.ov.__version__}"

    def threads(self, count):
        self.count = count
        if hasattr(self, "model"):
            options = {"INFERENCE_PRECISION_HINT": self.case.dtype, "INFERENCE_NUM_THREADS": count, "PERFORMANCE_HINT": "LATENCY"}
            self.request = self.core.compile_model(self.model, "CPU", options).create_infer_request()

    def run(self):
        return self.request.infer(self.inputs)

    def results(self):
        (out,) = self.run().values()
        return np.ascontiguousarray(np.asarray(out).transpose(0, 2, 1, 3)), None


def answer(peer, words):
    if words[0] == "case":
        return "ok " + peer.load(Case(words[1:]))
    if words[0] == "threads":
        peer.threads(int(words[1]))
        return "ok"
    if words[0] == "time":
        seconds = []
        for _ in range(int(words[1])):
            begin = time.perf_counter()
            for _ in range(int(words[2])):
                peer.run()
            seconds.append((time.perf_counter() - begin) / int(words[2]))
        return " ".join(f"{s:.9g}" for s in seconds)
    if words[0] == "store":
        with open(words[1], "wb") as file:
            for part in peer.results():
                if part is not None:
                    part.tofile(file)
        return "ok"
    raise ValueError(f"wanted case, threads, time or store, found {words[0]}")


def main():
    peer = {"torch": Torch, "zentorch": Zentorch, "openvino": OpenVino}[sys.argv[1]]()
    for line in sys.stdin:
        try:
            print(answer(peer, line.split()), flush=True)
        except Exception as error:  # the other side decides what it means
            print("error", type(error).__name__, " ".join(str(error).split())[:300], flush=True)


if __name__ == "__main__":
    main()
