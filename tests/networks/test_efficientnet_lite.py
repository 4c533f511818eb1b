"""EfficientNet-Lite0 and its packaged ImageNet weights."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from carina.errors import WeightsError
from carina.networks import efficientnet_lite

# ImageNet (ILSVRC 2012) class numbers: 281 tabby, 282 tiger cat, 285 Egyptian cat; 967 espresso
_CATS = {281, 282, 285}
_ESPRESSO = {967}


@pytest.mark.parametrize(("picture", "classes"), [("cat", _CATS), ("coffee", _ESPRESSO)])
def test_packaged_weights_recognise_photographs(picture: str, classes: set[int]) -> None:
    photograph = getattr(data, picture)()
    side = min(photograph.shape[:2])
    top, left = (photograph.shape[0] - side) // 2, (photograph.shape[1] - side) // 2
    square = cv2.resize(photograph[top : top + side, left : left + side], (224, 224), interpolation=cv2.INTER_AREA)
    films = torch.from_numpy((square.astype(np.float32) - 127) / 128).permute(2, 0, 1)[None]
    with torch.no_grad():
        best = int(efficientnet_lite.imagenet_classifier()(films).argmax())
    assert best in classes


def test_altered_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite, "_SHA256", hashlib.sha256(b"other").hexdigest())
    with pytest.raises(WeightsError, match="must have sha-256"):
        efficientnet_lite.imagenet_weights()


def test_weights_of_another_shape_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite, "_STAGES", ((1, 3, 1, 24, 1), *efficientnet_lite._STAGES[1:]))
    with pytest.raises(WeightsError, match="does not fit"):
        efficientnet_lite.imagenet_weights()
