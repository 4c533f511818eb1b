"""Arithmetic of DenseNet-121 in inference against the best matrix product of this core.

Run: python benchmarks/network_arithmetic.py [--seconds 2] [--runs 3]

The limit is the best single-precision matrix product of torch, NumPy and ONNX Runtime over a few square sizes, one
core. The network's operations are counted by torch (two a multiplication and addition, in convolutions and matrix
products alone). The aim is at least 85 %.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import torch
from torch.utils.flop_counter import FlopCounterMode

from _common import alternate, hold_to_one_core, median_and_spread, ratios, table, verdict
from carina.inference import open_session
from carina.networks import NetworkSpec, build_network, export_onnx
from carina.tasks import default_task

_SIDE = 224
_SIZES = (512, 1024, 2048)


def onnx_product(size: int) -> onnxruntime.InferenceSession:
    """Open a network of one matrix product, the right factor a constant, as in a linear layer."""
    right = np.random.default_rng(1).random((size, size), np.float32)
    shape = [size, size]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["a", "b"], ["c"])],
        "product",
        [onnx.helper.make_tensor_value_info("a", onnx.TensorProto.FLOAT, shape)],
        [onnx.helper.make_tensor_value_info("c", onnx.TensorProto.FLOAT, shape)],
        [onnx.numpy_helper.from_array(right, "b")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def rate(step: Callable[[], object], operations: float, seconds: float) -> Callable[[], float]:
    """Operations a second of a step in the fastest tenth of its repetitions, which no other process disturbed."""
    step()

    def measure() -> float:
        times: list[float] = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(times) < 10:
            start = time.perf_counter()
            step()
            times.append(time.perf_counter() - start)
        return operations / float(np.quantile(times, 0.1))

    return measure


def products(seconds: float) -> dict[str, Callable[[], float]]:
    """Rates of a matrix product by library and size."""
    measures = {}
    for size in _SIZES:
        left = np.random.default_rng(0).random((size, size), np.float32)
        one, session = torch.from_numpy(left), onnx_product(size)
        steps: dict[str, Callable[[], object]] = {
            "torch": lambda one=one: one @ one,
            "NumPy": lambda left=left: left @ left,
            "ONNX Runtime": lambda left=left, session=session: session.run(None, {"a": left}),
        }
        for library, step in steps.items():
            measures[f"{library}, {size} x {size}"] = rate(step, 2.0 * size**3, seconds)
    return measures


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one measurement")
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    hold_to_one_core()
    torch.set_num_threads(1)
    network = build_network(default_task(), NetworkSpec("densenet121", _SIDE, hierarchical=False), pretrained=False)
    network.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 1, _SIDE, _SIDE))
    session = open_session(export_onnx(network))
    film = np.random.default_rng(0).integers(0, 256, (1, _SIDE, _SIDE), dtype=np.uint8)
    limits = products(chosen.seconds)
    name = "DenseNet-121, ONNX Runtime"
    inference = rate(lambda: session.run(film), counter.get_total_flops(), chosen.seconds)
    found = alternate({**limits, name: inference}, chosen.runs)
    rates = found.pop(name)
    best = [max(run) for run in zip(*found.values(), strict=True)]
    share = ratios(rates, best)
    rows = [[what, median_and_spread(values, 1, 1e-9), "", ""] for what, values in found.items()]
    rows.append([name, median_and_spread(rates, 1, 1e-9), median_and_spread(share, 3), verdict(share, 0.85)])
    print(f"DenseNet-121 at {_SIDE} px: {counter.get_total_flops() / 1e9:.2f} GFLOP a film\n")
    print(table(["what", "GFLOP/s", "this / best product", "aim"], rows))


if __name__ == "__main__":
    main()
