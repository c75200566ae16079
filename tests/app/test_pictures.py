"""Pictures stand beside their texts on Start, Neighbors and Map, and in the panel; data without any show none."""

import base64
import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from mrl_viz.data.corpus import corpus_from_vectors
from mrl_viz.data.reading import read_corpus
from tests.app.steps import again, code_of, go, opened, said, started

WORD = "sample:digits"


def pictures(element):
    """What the pictures of a page, or of a part of it, stand beside."""
    said = [image.alt for part in element.get("image") for image in part.proto.imgs]
    return [alt.removeprefix("picture: ") for alt in said if alt.startswith("picture: ")]


def on_map(app):
    """What goes to the map's own pictures in the browser; None where there are none."""
    parts = [json.loads(part.proto.json) for part in app.get("bidi_component")]
    return next((part for part in parts if "sheet" in part), None)


def test_digits_are_seen_on_start_neighbors_and_map():
    """The text a page is about and its neighbors have their pictures, in the order of the lists; the map has all."""
    app = started().run()
    app.session_state["next_data"] = WORD
    app.run()
    assert not app.exception and not app.error and app.selectbox(key="data").value == WORD
    corpus, texts = read_corpus(WORD), [text.value for text in app.text]
    beside = pictures(app.main)
    listed = [text.split(maxsplit=1)[1].removeprefix("new: ") for text in texts if text[0] in "1234"]
    assert len(listed) == 8 and beside[1:] == listed and beside[0] in texts
    assert "trained on 1,25" in said(app) and "◆ This model was trained at this width." in said(app)
    go(app, "explore/neighbors")
    kept = [text.value.split("  ")[1] for text in app.text if "→" in text.value]
    assert len(kept) >= 3 and set(kept) < set(pictures(app.main)) and not pictures(app.sidebar)
    go(app, "explore/map")
    shown = on_map(app)
    assert shown["items"] == list(range(1797)) and shown["all"] and shown["chosen"] == []
    assert (shown["width"], shown["height"], shown["columns"]) == (8, 8, 43) and len(shown["sheet"]) < 150_000
    app.toggle(key="map_pictures").set_value(False)
    app.session_state["selection"] = (12,)
    again(app)
    assert not app.exception and not app.error
    assert not on_map(app)["all"] and on_map(app)["chosen"] == [12] and on_map(app)["sheet"] == shown["sheet"]
    assert pictures(app.sidebar)[0] == corpus.texts[12] and len(pictures(app.sidebar)) > 10


def test_vectors_without_pictures_show_none():
    """The sample, and vectors without pictures, have no picture, no switch for them and none on the map."""
    vectors = np.random.default_rng(0).normal(size=(30, 16)).astype(np.float32)
    for corpus in (None, corpus_from_vectors(vectors)):
        for page in ("home/start", "explore/neighbors", "explore/map"):
            app = opened(page, corpus)
            strips = [image.alt for part in app.get("image") for image in part.proto.imgs]
            assert all(alt.startswith("the numbers of this text's vector") for alt in strips)
        assert on_map(app) is None and not app.toggle


def zipped(**changes):
    """A zip of 24 colored pictures, their vectors and a table that names the files; None leaves a file out."""
    rng, vectors = np.random.default_rng(0), io.BytesIO()
    np.save(vectors, rng.normal(size=(24, 16)).astype(np.float32))
    given = {"embeddings.npy": vectors.getvalue(), "rows.csv": "image\n" + "\n".join(f"{n}.png" for n in range(24))}
    for n in range(24):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (40 + n % 2, 30, 3), dtype=np.uint8)).save(file, "png")
        given[f"{n}.png"] = file.getvalue()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in {**given, **changes}.items():
            if data is not None:
                archive.writestr(name, data)
    return content.getvalue()


def test_an_uploaded_zip_of_pictures_is_shown_and_a_bad_one_is_one_sentence():
    """A broken picture and missing vectors are a sentence each, and the page stays; a good zip is seen everywhere."""
    app = started().run()
    for content, words in (
        (zipped(**{"7.png": b"broken"}), "7.png` in `mine.zip` is no readable picture; save it as PNG or JPEG."),
        (zipped(**{"embeddings.npy": None}), "`mine.zip` holds pictures, which nothing here embeds, and no vectors"),
    ):
        app.file_uploader(key="upload").set_value(("mine.zip", content, "")).run()
        (error,) = app.error
        assert words in error.value.replace("\\", "") and not app.exception and app.get("plotly_chart")
    app.file_uploader(key="upload").set_value(("mine.zip", zipped(), "")).run()
    assert not app.error and "Pictures of 2 different sizes are kept as 30 × 41" in said(app)
    app.button(key="use_upload").click().run()
    assert not app.exception and not app.error and len(pictures(app.main)) == 9
    go(app, "explore/map")
    assert on_map(app)["items"] == list(range(24)) and on_map(app)["sheet"].startswith("data:image/")


def table_with(app, column):
    """The first table with that column."""
    return next(frame.value for frame in app.dataframe if column in frame.value.columns)


@pytest.mark.parametrize(
    ("page", "column"),
    [("explore/search", "8 dims picture"), ("explore/similarity", "left picture"), ("decide/compare", "text picture")],
)
def test_tables_show_the_pictures_of_their_items(page, column):
    """Results of a search, biggest movers and neighbors side by side: each row's picture stands before its text, and is
    the picture of that item; Compare offers the other vectors of the same pictures."""
    app = started().run()
    app.selectbox(key="data").set_value("sample:digits").run()
    app.session_state["similarity_tab"] = "Biggest movers"
    go(app, page)
    if page == "decide/compare":
        assert app.multiselect(key="compared_samples").value == ["sample:digits-plain", "sample:digits-pixels"]
        app.multiselect(key="compared_samples").set_value(["sample:digits-plain"])
        app.button(key="run_compare").click()
        again(app)
        assert set(table_with(app, "full_dim")["name"]) == {"sample:digits-plain", "sample:digits"}
        assert "read_corpus('sample:digits-plain'" in code_of(app)[0]
    assert not app.exception and not app.error
    corpus, shown = read_corpus("sample:digits"), table_with(app, column)
    places = {text: row for row, text in enumerate(corpus.texts)}
    for address, text in zip(shown[column], shown[column.removesuffix(" picture")]):
        file = io.BytesIO(base64.b64decode(address.removeprefix("data:image/png;base64,")))
        item = places[text[text.index("digit") :]]
        np.testing.assert_array_equal(np.asarray(Image.open(file))[::7, ::7], corpus.images[item])
    assert len(shown)
