#!/usr/bin/env python3
"""Makes the measured table and the plot of docs/attention.md from what benchmarks/compare_attention.py wrote.

    benchmarks/compare_attention.py --set all --json benchmarks/results/attention.json
    benchmarks/report_attention.py [benchmarks/results/attention*.json]

One file per machine; each becomes a section of the table and a row of the plot (docs/attention.png, at most threads measured).
"""
import argparse
import json
import pathlib

import peers

PAGE, PLOT = peers.ROOT / "docs" / "attention.md", peers.ROOT / "docs" / "attention.png"
BEGIN, END = "<!-- measured: made by benchmarks/report_attention.py -->", "<!-- measured: end -->"
COLOURS = {"annulus": "#1f4e79", "torch": "#e08a3c", "openvino": "#7a9e7e", "ggml": "#a0a0a0", "zentorch": "#b04a5a"}
NAMES = {"annulus": "Annulus", "torch": "PyTorch", "openvino": "OpenVINO", "ggml": "ggml", "zentorch": "zentorch"}


def label(row):
    return ",".join(map(str, row["shape"])) + (" " + row["options"] if row["options"] else "")


def rate(row, peer):
    return row["flop"] / row["peers"][peer]["median"] / 1e9


def others(rows):
    return list({name: None for row in rows for name in row["peers"] if name != "annulus"})


def number(x):
    return f"{x:.0f}" if x >= 10 else f"{x:.1f}" if x >= 1 else f"{x:.2f}"


def table(report):
    """One section: a line on the machine, then a table per type."""
    rows, names = report["rows"], others(report["rows"])
    text = [f"**{report['machine']}**, {report['date']}, commit `{report['commit']}`, {versions(rows)}. GFLOP/s, medians; in brackets how many times as fast Annulus is "
            "(median of the rounds' ratios).", ""]
    for dtype in dict.fromkeys(row["dtype"] for row in rows):
        own = [row for row in rows if row["dtype"] == dtype]
        peaks = ", ".join(f"{threads} thread{'s' if int(threads) > 1 else ''} {rate / 1e9:.0f}" for threads, rate in peaks_of(own))
        text += [f"{dtype} (peak of the units used, GFLOP/s: {peaks or 'not measured'})", ""]
        text += ["| batch, heads, seq_q, seq_kv, head_dim | threads | Annulus | of peak | error | " + " | ".join(f"{NAMES[n]} | its error" for n in names) + " |"]
        text += ["|---|---|---|---|---|" + "---|---|" * len(names)]
        for row in own:
            share = f"{100 * row['share_of_peak']:.0f} %" if row["share_of_peak"] else "-"
            cells = [label(row), str(row["threads"]), number(rate(row, "annulus")), share, f"{row['peers']['annulus']['rms_error']:.1e}"]
            for name in names:
                peer = row["peers"].get(name)
                cells += [f"{number(rate(row, name))} ({peer['ratio']:.2f}x)", f"{peer['rms_error']:.1e}"] if peer else ["-", "-"]
            text.append("| " + " | ".join(cells) + " |")
        text.append("")
    for s in report["summary"]:
        text.append(f"- {s['set']}, {s['dtype']}, {s['threads']} thread{'s' if s['threads'] > 1 else ''}, against {NAMES[s['peer']]}: geometric mean **{s['geometric_mean']:.2f}x**, "
                    f"least {s['least']:.2f}x ({','.join(map(str, s['least_shape']))}{' ' + s['least_options'] if s['least_options'] else ''})")
    for p in report.get("parts", []):
        memory = f" ({100 * p['merge_bytes_per_second'] / p['memory_bytes_per_second']:.0f} % of the memory's)" if p["memory_bytes_per_second"] else ""
        text.append(f"- {','.join(map(str, p['shape']))}, {p['dtype']}, {p['threads']} thread{'s' if p['threads'] > 1 else ''}: the log-sum-exp costs {100 * p['lse_cost']:.1f} %, "
                    f"keys folded in four parts take {p['fold_of_whole']:.2f}x of the keys whole, `merge_partial` moves {p['merge_bytes_per_second'] / 1e9:.1f} GB/s{memory}")
    return "\n".join(text)


def peaks_of(rows):
    """(threads, flop/s) of the peak that the shares are of."""
    found = {row["threads"]: row["flop"] / row["peers"]["annulus"]["median"] / row["share_of_peak"] for row in rows if row["share_of_peak"]}
    return sorted(found.items())


def versions(rows):
    whats = {name: row["peers"][name]["what"] for row in rows for name in row["peers"] if name != "annulus"}
    return ", ".join(whats.values())


def plot(reports, to):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as pyplot

    dtypes = ["f32", "bf16"]
    figure, axes = pyplot.subplots(len(reports), 2, figsize=(13, 4.2 * len(reports)), squeeze=False, constrained_layout=True)
    for line, report in zip(axes, reports):
        main = [row for row in report["rows"] if row["set"] == "main"]
        threads = max(row["threads"] for row in main)
        for axis, dtype in zip(line, dtypes):
            rows = [row for row in main if row["dtype"] == dtype and row["threads"] == threads]
            names = ["annulus", *others(rows)]
            width = 0.8 / len(names)
            for n, name in enumerate(names):
                at = [i + (n - (len(names) - 1) / 2) * width for i in range(len(rows))]
                axis.bar(at, [rate(row, name) if name in row["peers"] else 0 for row in rows], width, label=NAMES[name], color=COLOURS[name])
            for i, row in enumerate(rows):
                if "torch" in row["peers"]:
                    axis.annotate(f"{row['peers']['torch']['ratio']:.2f}x", (i - 0.4 + width / 2, rate(row, "annulus")), ha="center", va="bottom", fontsize=8)
            for _, peak in peaks_of(rows)[-1:]:
                top = max(rate(row, name) for row in rows for name in row["peers"])
                if peak / 1e9 < 2 * top:  # a line far above would flatten the bars
                    axis.axhline(peak / 1e9, color="black", linewidth=0.8, linestyle="--")
                    axis.annotate("measured peak", (len(rows) - 0.55, peak / 1e9), ha="right", va="bottom", fontsize=8)
            axis.set_xticks(range(len(rows)), [label(row).replace(",", " ") for row in rows], rotation=30, ha="right", fontsize=8)
            axis.set_ylabel("GFLOP/s")
            axis.set_title(f"{dtype}, {threads} threads, with log-sum-exp\n{report['machine']}", fontsize=9)
            axis.spines[["top", "right"]].set_visible(False)
            axis.margins(y=0.1)
    handles = {}
    for axis in axes.flat:
        handles.update(zip(*reversed(axis.get_legend_handles_labels())))
    figure.legend(handles.values(), handles.keys(), frameon=False, fontsize=9, ncol=len(handles), loc="outside upper right")
    figure.savefig(to, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="[benchmarks/results/attention*.json]")
    a = parser.parse_args()
    peers.in_environment()
    files = a.files or sorted(map(str, (peers.ROOT / "benchmarks" / "results").glob("attention*.json")))
    reports = [json.loads(pathlib.Path(name).read_text()) for name in files]
    page = PAGE.read_text()
    before, after = page[: page.index(BEGIN) + len(BEGIN)], page[page.index(END) :]
    PAGE.write_text(before + "\n\n" + "\n\n".join(map(table, reports)) + "\n\n" + after)
    plot(reports, PLOT)
    print(f"wrote {PAGE} and {PLOT} from {', '.join(files)}")


if __name__ == "__main__":
    main()
