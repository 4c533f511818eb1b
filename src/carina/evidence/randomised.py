"""The same network with its weights shuffled: a map that does not change shows the film, not what was learned.

References
----------
J. Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018, arXiv:1810.03292.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from carina.errors import BundleError

__all__ = ["shuffled_weights", "weight_layers"]

_WEIGHTED = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
_EXPLAINED = ("logits", "class_maps")
_STRUCTURE = 2  # a product with so few different numbers sorts or adds; nothing in it was learned


def weight_layers(model: bytes) -> list[list[str]]:
    """Names of the learned numbers of an ONNX network, a list a layer, from the input to the output.

    Parameters
    ----------
    model : bytes

    Returns
    -------
    list of list of str
        Initialisers that enter a convolution or a matrix product on the way to the logits or class maps; layers of
        other branches take no part.

    Raises
    ------
    BundleError
        If it is no ONNX network or has no such layer.
    """
    return _layers(_parsed(model))


def shuffled_weights(model: bytes, share: float, seed: int) -> bytes:
    """Shuffle the weights of the layers nearest to the output.

    Each tensor's numbers change places among themselves, so that every layer keeps its scale and distribution and
    loses what it learned. Tensors of one size are shuffled alike: a head's weights stay the same in the logits and in
    the class maps.

    Parameters
    ----------
    model : bytes
        ONNX.
    share : float
        Of the layers, counted from the output, in (0, 1].
    seed : int

    Returns
    -------
    bytes
        ONNX.

    Raises
    ------
    BundleError
        As `weight_layers`.
    ValueError
        If the share is outside its range.
    """
    from onnx import numpy_helper  # noqa: PLC0415 - of the extra 'train', and slow to load

    if not 0.0 < share <= 1.0:
        raise ValueError(f"the share of layers must be above 0 and at most 1; found {share!r}")
    network = _parsed(model)
    layers = _layers(network)
    count = max(1, round(share * len(layers)))
    names = {name for layer in layers[-count:] for name in layer}
    for tensor in network.graph.initializer:
        if tensor.name in names:
            values = numpy_helper.to_array(tensor)
            order = np.random.default_rng([seed, values.size]).permutation(values.size)
            tensor.CopyFrom(numpy_helper.from_array(values.ravel()[order].reshape(values.shape), tensor.name))
    return bytes(network.SerializeToString())


def _parsed(model: bytes) -> Any:
    import onnx  # noqa: PLC0415 - of the extra 'train', and slow to load

    try:
        return onnx.load_model_from_string(model)
    except Exception as error:  # protobuf's own, whose package has no types
        raise BundleError(f"model.onnx must be an ONNX network; it cannot be parsed: {error}") from error


def _layers(network: Any) -> list[list[str]]:
    import onnx  # noqa: PLC0415 - of the extra 'train', and slow to load
    from onnx import numpy_helper  # noqa: PLC0415 - as above

    stored = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in network.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT
    }
    needed, layers = set(_EXPLAINED), []
    for node in reversed(network.graph.node):
        if needed.isdisjoint(node.output):
            continue
        needed.update(node.input)
        if node.op_type in _WEIGHTED:
            given = [name for name in node.input if name in stored and stored[name].size > 1]
            learned = [name for name in given if node.op_type != "MatMul" or np.unique(stored[name]).size > _STRUCTURE]
            if learned:
                layers.append(learned)
    if not layers:
        raise BundleError("a network whose weights are to be shuffled must have layers with weights; it has none")
    return layers[::-1]
