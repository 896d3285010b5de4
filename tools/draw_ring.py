#!/usr/bin/env python3
"""Draws the pictures of docs/sequence_parallelism.md as SVG: the ring, its hops in time, the mesh. Standard library only.

    tools/draw_ring.py            writes docs/ring.svg, docs/hops.svg, docs/mesh.svg
"""
import math
import pathlib

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"
COLOURS = ["#4c78a8", "#f58518", "#54a24b", "#b279a2"]


class Picture:
    def __init__(self, width, height):
        self.width, self.height, self.parts = width, height, []

    def add(self, text):
        self.parts.append(text)

    def box(self, x, y, width, height, fill, stroke="#333", radius=4, dash=""):
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.add(f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius}" fill="{fill}" stroke="{stroke}"{dashes}/>')

    def text(self, x, y, words, size=13, anchor="middle", colour="#222", weight="normal"):
        self.add(f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}" fill="{colour}" font-weight="{weight}">{words}</text>')

    def arrow(self, x1, y1, x2, y2, colour="#333", width=1.5, bend=0):
        middle_x, middle_y = (x1 + x2) / 2 - bend * (y2 - y1), (y1 + y2) / 2 + bend * (x2 - x1)
        self.add(f'<path d="M{x1:g},{y1:g} Q{middle_x:g},{middle_y:g} {x2:g},{y2:g}" fill="none" stroke="{colour}" stroke-width="{width}" '
                 'marker-end="url(#head)"/>')

    def write(self, name):
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" '
                f'viewBox="0 0 {self.width} {self.height}" font-family="sans-serif">\n'
                '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
                '<path d="M0,0 L10,5 L0,10 z" fill="#333"/></marker></defs>\n<rect width="100%" height="100%" fill="white"/>\n')
        (DOCS / name).write_text(head + "\n".join(self.parts) + "\n</svg>\n")


def ring():
    """Four ranks, each with its queries; shards of keys and values go round."""
    p = Picture(560, 400)
    centre_x, centre_y, radius = 280, 200, 130
    places = []
    for rank in range(4):
        angle = -math.pi / 2 + rank * math.pi / 2
        places.append((centre_x + radius * 1.35 * math.cos(angle), centre_y + radius * math.sin(angle)))
    for rank, (x, y) in enumerate(places):
        p.box(x - 75, y - 42, 150, 84, "#fafafa")
        p.text(x, y - 24, f"rank {rank}", weight="bold")
        p.box(x - 62, y - 14, 56, 40, COLOURS[rank])
        p.text(x - 34, y + 11, f"Q{rank}", colour="white")
        p.box(x + 6, y - 14, 56, 40, COLOURS[rank], dash="4 3")
        p.text(x + 34, y + 11, f"K V{rank}", colour="white")
    for rank in range(4):
        (x1, y1), (x2, y2) = places[rank], places[(rank + 1) % 4]
        length = math.hypot(x2 - x1, y2 - y1)
        dx, dy = (x2 - x1) / length, (y2 - y1) / length
        p.arrow(x1 + dx * 88, y1 + dy * 62, x2 - dx * 88, y2 - dy * 62, width=2.5)
    p.text(centre_x, centre_y - 12, "queries stay,", size=14)
    p.text(centre_x, centre_y + 8, "K and V travel in one message", size=14)
    p.text(centre_x, centre_y + 28, "after R - 1 hops all have met", size=14)
    p.write("ring.svg")


def hops():
    """What a rank computes with and what travels meanwhile."""
    p = Picture(760, 330)
    left, step, height = 90, 155, 44
    p.text(left - 10, 28, "time", anchor="end", colour="#555")
    p.arrow(left, 24, left + 4 * step + 10, 24)
    for rank in range(4):
        y = 44 + rank * (height + 22)
        p.text(left - 10, y + 27, f"rank {rank}", anchor="end", weight="bold")
        for hop in range(4):
            owner = (rank - hop) % 4
            p.box(left + hop * step, y, step - 8, height - 16, COLOURS[owner])
            p.text(left + hop * step + (step - 8) / 2, y + 19, f"Q{rank} x K V{owner}", colour="white")
            if hop < 3:
                coming = (rank - hop - 1) % 4
                p.box(left + hop * step, y + height - 14, (step - 8) * 0.62, 12, "#ffffff", stroke=COLOURS[coming], dash="4 3")
                p.text(left + hop * step + (step - 8) * 0.31, y + height - 4, f"K V{coming} arrives", size=10, colour="#333")
    p.text(left, 322, "A hop takes the larger of arithmetic (filled) and transfer (dashed). Memory for K and V: the shard in use and the one on its way.",
           size=12, anchor="start", colour="#333")
    p.write("hops.svg")


def mesh():
    """cfg 2 x ring 2 x ulysses 2 on two hosts per branch."""
    p = Picture(760, 350)
    p.text(380, 24, "cfg 2 x ring 2 x ulysses 2: eight ranks, four hosts", size=15, weight="bold")
    for cfg in range(2):
        x0 = 30 + cfg * 370
        p.box(x0, 40, 330, 262, "#f6f6f6", dash="6 4")
        p.text(x0 + 165, 62, ["branch of the prompt", "branch of the negative prompt"][cfg])
        for position in range(2):
            y0 = 78 + position * 110
            p.box(x0 + 20, y0, 250, 92, "#eaf1f8")
            p.text(x0 + 30, y0 + 18, f"host {cfg * 2 + position}", size=11, anchor="start", colour="#555")
            for member in range(2):
                rank = cfg * 4 + position * 2 + member
                x = x0 + 40 + member * 120
                p.box(x, y0 + 28, 90, 52, COLOURS[position * 2 + member])
                p.text(x + 45, y0 + 50, f"rank {rank}", colour="white", weight="bold")
                p.text(x + 45, y0 + 68, f"rows {position * 2 + member}/4", size=11, colour="white")
            p.arrow(x0 + 132, y0 + 46, x0 + 158, y0 + 46)
            p.arrow(x0 + 158, y0 + 64, x0 + 132, y0 + 64)
        for member in range(2):
            x = x0 + 85 + member * 120
            p.arrow(x - 8, 162, x - 8, 214, width=2.5)
            p.arrow(x + 8, 214, x + 8, 162, width=2.5)
        p.text(x0 + 278, 130, "ulysses:", size=11, anchor="start")
        p.text(x0 + 278, 144, "heads", size=11, anchor="start")
        p.text(x0 + 278, 186, "ring:", size=11, anchor="start")
        p.text(x0 + 278, 200, "K and V", size=11, anchor="start")
    p.text(380, 328, "Ulysses inside a host (all to all wants bandwidth), ring between hosts (neighbours only, hidden behind arithmetic), "
           "cfg outermost: one exchange a step.", size=12, colour="#333")
    p.write("mesh.svg")


ring()
hops()
mesh()
