from typing import Any, List, Optional

def run(
    q: Any,
    k: Any,
    v: Any,
    out: Any,
    lse: Any,
    scale: float,
    causal: int,
    left: int,
    right: int,
    kv_lengths: Optional[Any],
    mask: Optional[Any],
) -> None: ...
def merge(out: Any, lse: Any, part_out: Any, part_lse: Any) -> None: ...
def set_threads(threads: int) -> None: ...
def threads() -> int: ...
def instruction_sets() -> List[str]: ...
def version() -> str: ...
