"""The second stage of a training: the classifier stays as it is, and a repetition changes nothing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch", reason="networks are built with the extra 'train'")

import carina.networks.branch_training as stage  # noqa: E402 -- after the skip
from carina.errors import TrainingError  # noqa: E402
from carina.imaging.lung_fields import LungFields  # noqa: E402
from carina.inference import open_session  # noqa: E402
from carina.networks import (  # noqa: E402
    Recipe,
    build_network,
    export_onnx,
    model_card,
    training,
)
from carina.networks.branch_films import BranchBatch  # noqa: E402
from carina.networks.branch_judgement import judge_boxes, matched  # noqa: E402
from carina.networks.classifier import FilmClassifier  # noqa: E402
from carina.networks.film_data import Batch  # noqa: E402
from carina.networks.film_network import FilmNetwork  # noqa: E402
from carina.networks.losses import FilmLoss  # noqa: E402
from carina.networks.planted_films import PlantedFilms  # noqa: E402
from carina.sampling import FilmTable, read_film_table  # noqa: E402
from carina.tasks import default_task  # noqa: E402

_RECIPE = Recipe(
    pretrained=False,
    size=64,
    branches=True,
    branch_films=8,
    branch_batch=4,
    branch_epochs=1,
    branch_phantoms=0,
    averaging=0.0,
    seed=5,
)


class _Finder:
    """Two upright blocks for lungs."""

    def find(self, film: np.ndarray) -> LungFields:
        rows, columns = film.shape
        mask = np.zeros((rows, columns), np.uint8)
        mask[rows // 5 : 4 * rows // 5, columns // 8 : 3 * columns // 8] = 1
        mask[rows // 5 : 4 * rows // 5, 5 * columns // 8 : 7 * columns // 8] = 2
        return LungFields(mask)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> FilmTable:
    """Twelve noise films with a split: normal ones in `train` and `tune`."""
    folder = tmp_path_factory.mktemp("films")
    draw = np.random.default_rng(2)
    rows = []
    for number in range(12):
        cv2.imwrite(str(folder / f"{number}.png"), draw.integers(40, 200, (80, 70), dtype=np.uint8))
        label = "viral" if number % 4 == 3 else "normal"
        rows.append((f"{number}.png", label, f"p{number}", "made", "train" if number < 8 else "tune"))
    columns = ["path", "label", "patient_id", "source", "split"]
    pl.DataFrame(rows, schema=columns, orient="row").write_csv(folder / "films.csv")
    return read_film_table(folder / "films.csv", default_task())


def _network() -> FilmNetwork:
    torch.manual_seed(0)
    return build_network(default_task(), _RECIPE.network_spec(), pretrained=False).eval()


@pytest.fixture(scope="module")
def trained(
    table: FilmTable, tmp_path_factory: pytest.TempPathFactory
) -> tuple[FilmNetwork, stage.BranchSummary, Path]:
    out = tmp_path_factory.mktemp("run")
    network = _network()
    summary = stage.fit_branches(network, table, _RECIPE, out, finder=_Finder(), accelerator="cpu")
    return network, summary, out


def test_frozen_training_leaves_every_weight_and_logit_of_the_classifier(
    trained: tuple[FilmNetwork, stage.BranchSummary, Path],
) -> None:
    network, untouched = trained[0], _network()
    own = network.state_dict()
    for name, value in untouched.state_dict().items():  # batch norms' running means among them
        assert torch.equal(own[name], value), name
    films = torch.rand(3, 1, 64, 64)
    with torch.no_grad():
        assert torch.equal(network(films), untouched(films))


def test_the_fused_copy_sees_what_the_classifier_sees() -> None:
    network = _network()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    films = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        for one, other in zip(network.maps(films), stage.fused(network).maps(films), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_the_summary_says_where_the_labels_came_from(trained: tuple[FilmNetwork, stage.BranchSummary, Path]) -> None:
    said = trained[1].to_dict()
    assert "no real box" in said["labels"]
    assert said["films"] == {"made": 6}  # the normal films of `train`, none of `tune`
    assert said["backbone"] == "frozen"
    assert said["nms_iou"] == 0.5


def test_the_card_says_that_no_real_box_taught_the_boxes(
    trained: tuple[FilmNetwork, stage.BranchSummary, Path],
) -> None:
    section = "\n".join(model_card._branches(trained[1].to_dict()))
    assert "no real box and no real outline of an opacity (6 made)" in section
    assert "not disease" in section


def test_a_repetition_takes_the_weights_that_are_there(
    trained: tuple[FilmNetwork, stage.BranchSummary, Path], table: FilmTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, summary, out = trained

    def never(*_: object, **__: object) -> None:
        raise AssertionError("nothing is to be trained again")

    monkeypatch.setattr(stage, "_train", never)
    again = _network()
    assert stage.fit_branches(again, table, _RECIPE, out, finder=_Finder(), accelerator="cpu") == summary
    assert network.branches is not None
    assert again.branches is not None
    for one, other in zip(network.branches.parameters(), again.branches.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.slow
def test_exported_branches_are_an_addition(trained: tuple[FilmNetwork, stage.BranchSummary, Path]) -> None:
    network = trained[0]
    films = np.random.default_rng(1).integers(0, 256, (2, 64, 64), dtype=np.uint8)
    plain = open_session(export_onnx(_network())).run(films)
    branched = open_session(export_onnx(network)).run(films)
    assert plain.box_scores is plain.boxes is plain.opacity is None
    assert branched.box_scores is not None
    assert branched.boxes is not None
    assert branched.opacity is not None
    assert branched.box_scores.shape == (2, 8 * 8 + 4 * 4)
    assert branched.boxes.shape == (2, 80, 4)
    assert branched.opacity.shape == (2, 32, 32)
    assert np.all(branched.boxes[..., 2:] > branched.boxes[..., :2])
    assert 0.0 <= branched.opacity.min() <= branched.opacity.max() <= 1.0
    for one, other in zip(
        (plain.logits, plain.class_maps, plain.features),
        (branched.logits, branched.class_maps, branched.features),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, atol=1e-5)


def _alone(model: FilmClassifier) -> FilmClassifier:
    """Give the model all of an engine that its step asks."""

    class _Trainer:
        world_size, current_epoch, global_rank = 1, 0, 0

    model._trainer = _Trainer()  # type: ignore[assignment] # as above
    model.log = lambda *_, **__: None  # type: ignore[method-assign] # no engine listens
    return model


def _normal_films() -> Batch:
    targets = torch.zeros(4, 4, dtype=torch.bool)
    targets[:, 0] = True
    drawn = torch.randint(0, 255, (4, 64, 64), dtype=torch.uint8)
    return Batch(drawn, targets, torch.ones(4), torch.ones(4), torch.empty(4, 0, dtype=torch.uint8))


def test_planted_films_are_labelled_by_what_was_made(table: FilmTable, monkeypatch: pytest.MonkeyPatch) -> None:
    films = stage.branch_films(table, _RECIPE, _Finder(), "train", augment=True)
    opacity = torch.zeros(2, 32, 32)
    opacity[0, 10:14, 10:14] = 1.0  # the first film alone has one
    made = BranchBatch(torch.full((2, 64, 64), 7, dtype=torch.uint8), [torch.empty(0, 4)] * 2, opacity)
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(films, "batch", lambda count, seed: asked.append((count, seed)) or made)
    batch = _normal_films()
    shown = PlantedFilms(films, torch.tensor([True, False, False, False]), share=1 / 3).added_to(batch, 3)
    assert asked == [(2, 3)]  # 4 of the table, 2 made: a third
    assert torch.equal(shown.films[:4], batch.films)
    assert shown.films[4:].unique().tolist() == [7]
    assert shown.targets[4:].tolist() == [[False, True, True, True], [True, False, False, False]]
    assert shown.root[4:].tolist() == [1.0] * 2
    assert shown.inner[4:].tolist() == [0.0] * 2


def test_a_share_of_the_draws_carries_an_opacity(table: FilmTable) -> None:
    films = stage.branch_films(table, _RECIPE, _Finder(), "train", augment=True)
    shown = PlantedFilms(films, torch.tensor([True, False, False, False]), share=0.9).added_to(_normal_films(), 3)
    assert len(shown.films) == 40  # 4 of the table, 36 made: nine of ten
    assert 0 < int(shown.targets[4:, 1].sum()) < 36


def test_training_plants_in_real_normal_films_alone(table: FilmTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.LungFinder, "load", _Finder)
    recipe = _RECIPE.changed({"planted": 0.25, "branch_phantoms": 4})
    planted = training._classifier(table, default_task(), recipe).planted
    assert planted is not None
    assert planted.films.counts() == {"made": 6}  # the eight of `train` less two viral ones; no phantom
    assert planted.normal.tolist() == [True, False, False, False]
    assert training._classifier(table, default_task(), _RECIPE).planted is None


def test_an_opacity_must_have_a_class_to_go_to(table: FilmTable) -> None:
    films = stage.branch_films(table, _RECIPE, _Finder(), "train", augment=True)
    with pytest.raises(TrainingError, match="found 4 normal of 4"):
        PlantedFilms(films, torch.ones(4, dtype=torch.bool), share=0.5)


def test_planted_films_say_nothing_of_the_kind_of_disease(table: FilmTable) -> None:
    recipe = _RECIPE.changed({"planted": 0.5, "batch": 4, "evenness": 0.0, "smoothing": 0.0})
    films = stage.branch_films(table, recipe, _Finder(), "train", augment=True)
    task = default_task()
    sick = torch.ones(4, dtype=torch.bool)
    sick[0] = False
    logits = torch.randn(3, 4, requires_grad=True)
    loss = FilmLoss(task, evenness=0.0, smoothing=0.0)(logits, sick.expand(3, 4), torch.ones(3), torch.zeros(3))
    torch.autograd.backward(loss)
    assert logits.grad is not None
    within = (logits[:, 1:].softmax(1) * logits.grad[:, 1:].sum(1, keepdim=True)).detach()
    torch.testing.assert_close(logits.grad[:, 1:], within)  # the group as a whole is pulled, no member more
    model = _alone(FilmClassifier(task, recipe, planted=PlantedFilms(films, ~sick, recipe.planted)))
    seen: list[int] = []
    model.network.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    torch.autograd.backward(model.training_step(_normal_films(), 0))
    assert seen == [8]  # four of the table, four made
    assert any(
        float(value.grad.abs().sum()) > 0 for value in model.network.trunk.parameters() if value.grad is not None
    )


def test_joint_training_learns_classes_and_branches_in_one_step(table: FilmTable) -> None:
    recipe = _RECIPE.changed({"branch_backbone": "joint", "batch": 4})
    films = stage.branch_films(table, recipe, _Finder(), "train", augment=True)
    model = _alone(FilmClassifier(default_task(), recipe, films))
    torch.autograd.backward(model.training_step(_normal_films(), 0))
    assert model.network.branches is not None
    for module in (
        model.network.trunk,
        model.network.head,
        model.network.branches.boxes,
        model.network.branches.opacity,
    ):
        assert any(value.grad is not None and float(value.grad.abs().sum()) > 0 for value in module.parameters())


def test_a_network_without_maps_of_all_depths_is_refused() -> None:
    recipe = Recipe(network="seed_cnn", pretrained=False, size=32)
    network = build_network(default_task(), recipe.network_spec(), pretrained=False)
    with pytest.raises(TrainingError, match="need the network 'efficientnet_lite0'; found 'seed_cnn'"):
        network.add_branches()


def test_no_film_to_lay_opacities_into_is_an_error(table: FilmTable) -> None:
    with pytest.raises(TrainingError, match="'healthy' in 'train'"):
        stage.branch_films(table, _RECIPE.changed({"branch_normal": "healthy"}), _Finder(), "train", augment=True)


def test_frozen_settings_do_not_make_another_classifier() -> None:
    slower = _RECIPE.changed({"branch_epochs": 9})
    assert slower.of_classifier() == _RECIPE.of_classifier()
    sicker = _RECIPE.changed({"planted": 0.2})
    assert sicker.changed({"branch_normal": "healthy"}).of_classifier() != sicker.of_classifier()
    assert sicker.changed({"branch_epochs": 9}).of_classifier() == sicker.of_classifier()
    joint = {"branch_backbone": "joint"}
    assert slower.changed(joint).of_classifier() != _RECIPE.changed(joint).of_classifier()


def test_each_known_box_is_hit_once() -> None:
    wanted = np.array([[0.0, 0.0, 10.0, 10.0]])
    found = np.array([[0.0, 0.0, 10.0, 9.0], [0.0, 0.0, 9.0, 10.0], [50.0, 50.0, 60.0, 60.0]])
    assert matched(found, wanted).tolist() == [True, False, False]


def test_threshold_is_that_of_the_largest_f1() -> None:
    right, wrong = [0.0, 0.0, 10.0, 10.0], [40.0, 40.0, 60.0, 60.0]
    found = [
        (np.array([right]), np.array([0.9])),
        (np.array([right, wrong]), np.array([0.6, 0.4])),
        (np.array([wrong]), np.array([0.5])),
    ]
    wanted = [np.array([right]), np.array([right]), np.zeros((0, 4))]
    figures = judge_boxes(found, wanted)
    assert figures.threshold == pytest.approx(0.6, abs=2e-4)
    assert (figures.precision, figures.recall, figures.f1, figures.false_boxes) == (1.0, 1.0, 1.0, 0.0)
