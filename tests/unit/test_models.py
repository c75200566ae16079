"""The catalogue's cards can be relied on."""

import pytest

from mrl_viz.embedding.catalogue import CATALOGUE, find_card, hub_folder, is_available, package_folder
from mrl_viz.embedding.encoders import load_encoder

CARDS = pytest.mark.parametrize("card", CATALOGUE.values(), ids=list(CATALOGUE))


@CARDS
def test_card_has_widths_that_can_be(card):
    """Trained widths ascend from at least 1 to at most the full width, which itself is one of them."""
    dims = card.matryoshka_dims
    assert card.full_dim >= 64
    if dims is not None:
        assert list(dims) == sorted(set(dims))
        assert dims[0] >= 1
        assert dims[-1] == card.full_dim


@CARDS
def test_card_says_what_a_user_has_to_know(card):
    """Every card has a repository, a licence, a size, a limit or none, and a step that `encode` knows."""
    owner, _, name = card.repo.partition("/")
    assert owner and name
    assert card.licence
    assert 1 <= card.size_mb < 20_000
    assert card.max_tokens is None or card.max_tokens >= 128
    assert card.pre_truncation in ("none", "layer_norm")


def test_catalogue_names_are_unique():
    """No name or repository stands for two cards."""
    names = [name.lower() for card in CATALOGUE.values() for name in (card.name, card.repo)]
    assert len(names) == len(set(names))
    assert all(card.name == name for name, card in CATALOGUE.items())


@CARDS
def test_find_card_ignores_case_and_blanks(card):
    """A card is found by its name and by its repository, however they are typed."""
    for name in (card.name, card.name.upper(), f" {card.repo.lower()} ", card.repo.upper()):
        assert find_card(name) is card


@pytest.mark.parametrize("name", ["", "MiniLM", "owner/all-MiniLM-L6-v2", "wordllama2"])
def test_find_card_does_not_guess(name):
    """A name that is only like a card's has none."""
    assert find_card(name) is None


@pytest.mark.parametrize("name", ["wordllama", "all-MiniLM-L6-v2"])
def test_card_agrees_with_the_model(name):
    """What the catalogue says of the models in wheels is what the models are."""
    card, encoder = find_card(name), load_encoder(name, device="cpu")
    assert (encoder.name, encoder.full_dim, encoder.max_tokens) == (card.name, card.full_dim, card.max_tokens)
    files = [file for file in package_folder(card.wheel).rglob("*.safetensors") if "64" not in file.stem]
    assert max(file.stat().st_size for file in files) / 1e6 == pytest.approx(card.size_mb, rel=0.1)


def test_is_available_looks_for_wheels_and_fetched_repositories(tmp_path, monkeypatch):
    """A model in a wheel is here; another is here once the Hub client has its files."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert is_available(find_card("wordllama"))
    card = find_card("bge-m3")
    assert not is_available(card)
    snapshot = hub_folder(card.repo) / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    assert not is_available(card)
    (snapshot / "config.json").write_text("{}")
    assert is_available(card)


def test_package_folder_of_a_package_that_is_not_there():
    """A package that is not installed has no folder."""
    assert package_folder("no_such_package_anywhere") is None
