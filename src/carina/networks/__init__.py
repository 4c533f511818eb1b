"""Architectures, losses, augmentation, training and export: the only home of torch (M20, M23-M26)."""

from carina.networks.export import export_onnx
from carina.networks.film_network import ExportedNetwork, FilmNetwork, NetworkSpec
from carina.networks.recipe import Recipe, load_recipe
from carina.networks.registry import NETWORKS, build_network
from carina.networks.release import TrainingOrder, train_bundle
from carina.networks.training import Machine

__all__ = [
    "NETWORKS",
    "ExportedNetwork",
    "FilmNetwork",
    "Machine",
    "NetworkSpec",
    "Recipe",
    "TrainingOrder",
    "build_network",
    "export_onnx",
    "load_recipe",
    "train_bundle",
]
