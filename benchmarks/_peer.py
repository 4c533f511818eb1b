"""The peer: TorchXRayVision's pipeline, rebuilt, with DenseNet-121 in eager torch and Grad-CAM by a backward pass.

TorchXRayVision itself is not needed. Its published steps: spread the 8-bit film over [-1024, 1024], cut out the central
square, resize it to 224 x 224 pixels (here by OpenCV's area average, the faster of its two ways), DenseNet-121. The
network is MONAI's, with random weights: speed does not depend on them.

Run as a program, it is the peer of `carina predict` for one film, from import to picture:
python benchmarks/_peer.py WEIGHTS FILM OUT
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from monai.networks.nets import DenseNet121
from PIL import Image
from torch import Tensor

SIDE = 224
CLASSES = 4
_SCALE = 1024.0

Explained = tuple[Tensor, Tensor]
"""Logits (1, K) and the class map (h, w) of the most probable class, before normalisation."""


def peer_network(seed: int = 0) -> DenseNet121:
    """Build DenseNet-121 for one channel and four classes."""
    torch.manual_seed(seed)
    return DenseNet121(spatial_dims=2, in_channels=1, out_channels=CLASSES).eval()


def read_grey(path: Path) -> np.ndarray:
    """8-bit film (H, W); Pillow decodes, as it does for carina."""
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


def network_input(film: np.ndarray) -> Tensor:
    """TorchXRayVision's normalisation, centre crop and resizing; (1, 1, 224, 224)."""
    scaled = (2.0 * (film.astype(np.float32) / 255.0) - 1.0) * _SCALE
    top, left, side = central_square(film.shape)
    square = scaled[top : top + side, left : left + side]
    small = cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(small)[None, None]


def central_square(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Top, left and side."""
    side = min(shape[:2])
    return (shape[0] - side) // 2, (shape[1] - side) // 2, side


def film_heatmap(raw: Tensor, shape: tuple[int, ...]) -> np.ndarray:
    """Class map in [0, 1] at the film's size, zero outside the central square."""
    values = raw.detach().numpy()
    low, high = float(values.min()), float(values.max())
    spread = (values - low) / max(high - low, 1e-12)
    top, left, side = central_square(shape)
    heat = np.zeros(shape[:2], np.float32)
    heat[top : top + side, left : left + side] = cv2.resize(spread, (side, side), interpolation=cv2.INTER_LINEAR)
    return heat


def forward_to_map(network: DenseNet121, films: Tensor) -> Explained:
    """Logits (B, K) and last activation map (B, C, h, w)."""
    activation = torch.relu(network.features(films))
    return network.class_layers.out(activation.mean((2, 3))), activation


def whole_backward(network: DenseNet121, films: Tensor) -> Explained:
    """Grad-CAM as its packages do it: a score's backward pass through the whole network."""
    logits, activation = forward_to_map(network, films)
    activation.retain_grad()
    network.zero_grad()
    logits[0, int(logits.argmax())].backward()
    assert activation.grad is not None  # noqa: S101 - for the type checker
    return logits.detach(), _cam(activation.grad, activation)


def short_backward(network: DenseNet121, films: Tensor) -> Explained:
    """Grad-CAM by hand, the backward pass ended at the map, with no graph before it."""
    with torch.no_grad():
        activation = torch.relu(network.features(films))
    activation.requires_grad_()
    logits = network.class_layers.out(activation.mean((2, 3)))
    (gradient,) = torch.autograd.grad(logits[0, int(logits.argmax())], activation)
    return logits.detach(), _cam(gradient, activation)


def monai_backward() -> Callable[[DenseNet121, Tensor], Explained]:
    """Grad-CAM by MONAI's hooks; its one pass gives the logits too."""
    from monai.visualize.class_activation_maps import ModelWithHooks  # noqa: PLC0415 - no import of the others

    hooked: dict[int, ModelWithHooks] = {}

    def explain(network: DenseNet121, films: Tensor) -> Explained:
        layer = "class_layers.relu"
        hooks = hooked.setdefault(
            id(network), ModelWithHooks(network, layer, register_forward=True, register_backward=True)
        )
        logits, (activation,), (gradient,) = hooks(films)
        return logits.detach(), _cam(gradient, activation)

    return explain


def _cam(gradient: Tensor, activation: Tensor) -> Tensor:
    return torch.relu((gradient.mean((2, 3), keepdim=True) * activation).sum(1))[0].detach()


def main() -> None:
    """Judge one film and write what a person looks at, as `carina predict` does."""
    weights, film_path, out = (Path(argument) for argument in sys.argv[1:4])
    torch.set_num_threads(1)
    network = peer_network()
    network.load_state_dict(torch.load(weights, weights_only=True))
    film = read_grey(film_path)
    logits, raw = whole_backward(network, network_input(film))
    heat = film_heatmap(raw, film.shape)
    colours = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_PLASMA)
    cv2.imwrite(str(out), cv2.addWeighted(cv2.cvtColor(film, cv2.COLOR_GRAY2BGR), 0.6, colours, 0.4, 0.0))
    print(logits.softmax(1)[0].tolist())


if __name__ == "__main__":
    main()
