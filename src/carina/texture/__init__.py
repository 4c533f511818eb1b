"""Texture features and maps, equal to PyRadiomics where it has them, as IBSI defines them (M27)."""

from carina.texture.extract import feature_names, features
from carina.texture.film import REGIONS, FilmTexture, box_region, film_features, lung_regions, score_region
from carina.texture.harmonise import Combat, fit_combat
from carina.texture.maps import feature_maps, map_names
from carina.texture.settings import TextureSettings
from carina.texture.table import CLASSES, Feature, table

__all__ = [
    "CLASSES",
    "REGIONS",
    "Combat",
    "Feature",
    "FilmTexture",
    "TextureSettings",
    "box_region",
    "feature_maps",
    "feature_names",
    "features",
    "film_features",
    "fit_combat",
    "lung_regions",
    "map_names",
    "score_region",
    "table",
]
