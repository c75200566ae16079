"""CorpusSizeEffect, storage and the decision record."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mrl_viz.data.corpus import corpus_from_vectors
from mrl_viz.data.reading import read_corpus
from mrl_viz.decide import (
    changed_since,
    choose,
    corpus_size_effect,
    decision_record,
    deployment_storage,
    measure_candidates,
    plan_from_record,
    plan_from_text,
)
from mrl_viz.decide.corpus_size import extrapolate
from mrl_viz.decide.recommendation import milliseconds
from mrl_viz.embedding.embedded import Embedded, embed
from mrl_viz.errors import DataFormatError, DimensionError, EmptyInputError, InvalidInputError
from mrl_viz.figures.decide import corpus_size_curve
from mrl_viz.retrieval.ann import AnnIndex
from mrl_viz.retrieval.plan import Plan, build_plan
from mrl_viz.sweep import nested_sweep


@pytest.fixture(scope="module")
def embedded():
    """The harder sample, its texts searching for each other."""
    return embed(read_corpus("sample:hard"), "wordllama", queries=())


@pytest.fixture(scope="module")
def decision(embedded):
    """A plan for the sample at ten thousand vectors."""
    measured = measure_candidates(embedded, dims=[64], dtypes=("float32", "int8"), kinds=("exact",), n_runs=1)
    return choose(measured, target=0.9, n_vectors=1e4)


def vectors(n_items, dim=16, seed=0):
    """Random vectors as an embedded corpus."""
    rows = np.random.default_rng(seed).standard_normal((n_items, dim)).astype(np.float32)
    return Embedded(corpus_from_vectors(rows), "vectors", None, rows, None, 0.0, "abc")


def test_the_effect_at_the_full_size_is_the_overlap(embedded):
    """At the full size the overlap is that of the sweep, at the smaller sizes that of sweeps of parts."""
    grown = corpus_size_effect(embedded, Plan(64), k=5)
    sweep = nested_sweep(embedded.matrix, dims=[64], k=5)
    naive = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(*sweep.indices)])
    assert grown.sizes == (60, 120, 240, 480) and grown.overlap[-1].value == pytest.approx(naive)
    assert all(each.low <= each.value <= each.high for each in grown.overlap)
    assert grown.n_vectors is None and grown.extrapolated is None and "extrapolated" not in grown.takeaway()


def test_more_texts_crowd_a_short_width():
    """Among random vectors the overlap of half the width falls with every doubling, and goes on falling beyond."""
    grown = corpus_size_effect(vectors(800), Plan(8), k=5, n_vectors=51_200)
    values = [each.value for each in grown.overlap]
    assert values == sorted(values, reverse=True)
    assert grown.extrapolated.low <= grown.extrapolated.value <= grown.extrapolated.high
    assert grown.extrapolated.value < values[-1]
    assert "extrapolated over 6.0 doublings" in grown.takeaway() and grown.rows()[-1]["is_extrapolated"]
    assert any(trace.name == "extrapolated" for trace in corpus_size_curve(grown, 0.9).data)
    json.dumps(grown.to_dict(), allow_nan=False)


def test_the_extrapolation_covers_what_more_texts_really_do():
    """From an eighth of the vectors the interval for all of them holds what all of them give."""
    everything = vectors(1600)
    part = vectors(1600)
    part = replace(part, matrix=part.matrix[:200], corpus=corpus_from_vectors(part.matrix[:200]))
    truth = corpus_size_effect(everything, Plan(8), k=5).overlap[-1].value
    guessed = corpus_size_effect(part, Plan(8), k=5, n_vectors=1600)
    assert guessed.extrapolated.low - 0.01 <= truth <= guessed.extrapolated.high + 0.01
    assert guessed.extrapolated.value == pytest.approx(truth, abs=0.05)


def test_extrapolation_lies_between_two_forms():
    """Where log-odds fall in a line with the size's logarithm, the value lies between it and one that levels off."""
    sizes = np.array([100, 200, 400, 800])
    odds = 3 - 0.5 * np.log(sizes)
    values = np.tile((1 / (1 + np.exp(-odds)))[:, None], (1, 5000))
    line = 1 / (1 + np.exp(-(3 - 0.5 * np.log(12_800))))
    guess = extrapolate(sizes, values, 12_800, k=10)
    assert guess.low <= line + 0.005 and line < guess.value < values[-1, 0] and guess.value <= guess.high


def test_a_wide_extrapolation_says_that_it_says_nothing(embedded):
    """A plan that loses nearly nothing on few texts may lose anything among a billion, and the sentence says so."""
    grown = corpus_size_effect(embedded, Plan(256, "int8"), k=10, n_vectors=1e9)
    assert not grown.is_telling and "too wide to tell" in grown.takeaway()


def test_a_shortlist_that_holds_the_sample_is_not_extrapolated(embedded):
    """A shortlist of most of the texts shows no trend."""
    grown = corpus_size_effect(embedded, Plan(8, rerank=((200, 256),)), k=5, n_vectors=1e6)
    assert grown.extrapolated is None and "too much of these samples" in grown.takeaway()


def test_too_few_texts_for_other_corpus_sizes_say_how_many(embedded):
    """Few texts are refused with the number it takes, and a smaller k where that would do."""
    with pytest.raises(EmptyInputError, match=r"lower `k` to 6 or add texts up to 400"):
        corpus_size_effect(vectors(240), Plan(8), k=10)
    with pytest.raises(EmptyInputError, match="add texts up to 40"):
        corpus_size_effect(vectors(20), Plan(8), k=1)
    with pytest.raises(InvalidInputError, match="`n_vectors` is 0"):
        corpus_size_effect(embedded, Plan(8), n_vectors=0)
    with pytest.raises(DimensionError, match="`dim` is 512"):
        corpus_size_effect(embedded, Plan(512))


@pytest.mark.parametrize(
    "plan", [Plan(64), Plan(64, "float16"), Plan(64, "int8"), Plan(64, "binary"), Plan(32, rerank=((50, 256),)),
             Plan(64, kind="hnsw"), Plan(32, kind="pq"), Plan(64, kind="panorama"),
             Plan(16, "binary", rerank=((90, 128), (30, 256)))],
    ids=lambda plan: plan.label,
)  # fmt: skip
def test_storage_is_its_formula(plan):
    """The total is the sum of its parts, what the formula shown says, and about what the index built takes."""
    storage = deployment_storage(plan, 1000, 256, price_per_gb=2.5)
    assert storage.code_gb + storage.graph_gb + storage.rerank_gb == pytest.approx(storage.total_gb)
    assert storage.memory_gb == storage.code_gb + storage.graph_gb and storage.disk_gb == storage.rerank_gb
    assert (storage.disk_gb > 0) == bool(plan.rerank) == ("on disk" in storage.takeaway())
    assert storage.total_gb * 1e9 == pytest.approx(1000 * plan.bytes_per_vector, rel=0.02)
    formula = (
        storage.formula.removesuffix(" bytes")
        .replace(" code", "")
        .replace(",", "")
        .replace("x", "*")
        .replace(" bytes", "")
    )
    assert eval(formula, {"__builtins__": {}}) == pytest.approx(storage.total_gb * 1e9)
    assert storage.monthly_price == pytest.approx(2.5 * storage.total_gb) and storage.raw_gb == pytest.approx(
        1000 * 1024 / 1e9
    )
    assert "a month" in storage.takeaway()


def test_storage_of_a_graph_is_what_faiss_takes():
    """The bytes of the formula are within a twentieth of the bytes of the index."""
    rows = vectors(5000, 64).matrix
    assert deployment_storage(Plan(64, kind="hnsw"), 5000, 64).total_gb * 1e9 == pytest.approx(
        AnnIndex(rows, "hnsw", 64).nbytes, rel=0.05
    )
    int8 = build_plan(Plan(64, "int8"), rows)
    assert deployment_storage(Plan(64, "int8"), 5000, 64).total_gb * 1e9 == pytest.approx(int8.nbytes, rel=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 256), "`n_vectors` is 0"), ((10, 32), "`full_dim` is 32"), ((1.5, 256), "`n_vectors` is 1.5")],
)
def test_impossible_storage_is_refused(arguments, message):
    """No vectors, half a vector, and a plan wider than the model are refused; so is a price below nothing."""
    with pytest.raises(InvalidInputError, match=message):
        deployment_storage(Plan(64), *arguments)
    with pytest.raises(InvalidInputError, match="`price_per_gb` is -1"):
        deployment_storage(Plan(64), 10, 64, price_per_gb=-1)


def test_a_record_carries_the_decision_and_its_evidence(embedded, decision):
    """JSON and Markdown hold data, model, plan, evidence, price and caveats; the plan comes back out of the JSON."""
    grown = corpus_size_effect(embedded, decision.plan, k=10, n_vectors=1e4)
    record = decision_record(
        decision,
        corpus_size=grown,
        price_per_gb=3,
        currency="EUR",
        note="decided by us",
        data_file="ours.csv",
        decided_at="2026-01-01",
    )
    data = json.loads(record.to_json())
    assert data["kind"] == "mrl_viz decision record" and data["schema"] == 2 and data["decided_at"] == "2026-01-01"
    assert data["data"].pop("file") == "ours.csv" and milliseconds(decision.chosen.expected_ms) in record.markdown
    assert data["data"] == {"fingerprint": embedded.fingerprint, "n_items": 480, "n_queries": 480}
    assert data["model"] == {"name": "wordllama", "full_dim": 256}
    assert data["evidence"]["low"] == decision.chosen.low and data["aim"]["target"] == 0.9
    assert data["storage"]["monthly_price"] == pytest.approx(3 * data["storage"]["total_gb"])
    assert plan_from_record(data, fingerprint=embedded.fingerprint) == decision.plan
    for part in (
        decision.plan.label,
        embedded.fingerprint,
        "decided by us",
        "- data: ours.csv, 480 texts",
        "prices in EUR",
        grown.takeaway(),
        "## Caveats",
    ):
        assert part in record.markdown


def test_a_record_of_other_data_is_refused(decision):
    """A plan decided on other texts, queries or another model is not used silently."""
    record = decision_record(decision).to_dict()
    with pytest.raises(InvalidInputError, match="other texts, labels, queries, judgements or another model"):
        plan_from_record(record, fingerprint="0123456789abcdef")
    assert plan_from_record(record) == decision.plan


def test_a_record_of_other_judgements_is_refused(embedded, decision):
    """The same texts and model with one judgement or one label changed are other data."""
    record = decision_record(decision).to_dict()
    source = embedded.corpus
    qrels = {**source.qrels, source.query_ids[0]: {source.ids[0]: 2}}
    labels = {**source.labels, "domain": source.labels["domain"][::-1]}
    for changed in (replace(source, qrels=qrels), replace(source, labels=labels)):
        with pytest.raises(InvalidInputError, match="other texts, labels, queries, judgements"):
            plan_from_record(record, fingerprint=replace(embedded, corpus=changed).fingerprint)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ({}, "no decision record"),
        ([], "no decision record"),
        ({"schema": 3}, "has schema 3 and this version reads 1 to 2"),
        ({"schema": None}, "has schema None and this version reads 1 to 2"),
        ({"kind": "something else"}, "no decision record"),
        ({"plan": {"dim": 0}}, "makes no plan: `dim` is 0"),
        ({"plan": {"dim": 8, "colour": 1}}, "A plan is a record with `dim`"),
        ({"plan": "64"}, "this is '64'"),
    ],
    ids=str,
)
def test_damaged_records_are_refused(decision, damage, reason):
    """What is no record, or holds no usable plan, is one sentence."""
    record = decision_record(decision).to_dict() | damage if damage else damage
    with pytest.raises(DataFormatError, match=reason):
        plan_from_record(record)


def test_a_record_of_the_schema_before_is_read(embedded, decision):
    """A record from before memory and disk were told apart gives its plan, and what it says otherwise is said."""
    record = decision_record(decision).to_dict()
    assert changed_since(record) == ()
    plan = {name: record["plan"][name] for name in ("dim", "dtype", "kind", "rerank")}
    before = record | {"schema": 1, "plan": plan}
    assert plan_from_record(before, fingerprint=embedded.fingerprint) == decision.plan
    (said,) = changed_since(before)
    assert "before memory and disk were told apart" in said


def test_a_record_without_a_plan_says_so(decision):
    """Nothing met the target: the record is written with what binds, and gives no plan."""
    record = decision_record(replace(decision, chosen=None, runners_up=(), status="nothing_fits"))
    assert record.markdown.startswith("# Decision: no plan") and "No plan, no storage." in record.markdown
    with pytest.raises(DataFormatError, match="holds no plan"):
        plan_from_record(record.to_dict())


def test_a_record_is_inert(decision):
    """HTML and table borders in names and notes do not reach the document."""
    hostile = replace(decision, model="<img src=x>|a", metric="accuracy:<script>")
    text = decision_record(hostile, note="<b>note</b>\nsecond line", currency="<i>").markdown
    assert not any(tag in text for tag in ("<img", "<script", "<b>", "<i>")) and "second line" in text


def test_a_record_wants_the_corpus_size_effect_of_its_plan(embedded, decision):
    """The effect of the corpus size of another plan is no evidence for this one."""
    with pytest.raises(InvalidInputError, match="not of the plan decided on"):
        decision_record(decision, corpus_size=corpus_size_effect(embedded, Plan(16), k=5))


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        ("64", Plan(64)),
        ("64,int8", Plan(64, "int8")),
        ("64,panorama", Plan(64, kind="panorama")),
        (" 32 , hnsw , 200@768 ", Plan(32, kind="hnsw", rerank=((200, 768),))),
        ("32,binary,1000@128,100@768", Plan(32, "binary", rerank=((1000, 128), (100, 768)))),
    ],
)
def test_a_plan_can_be_typed(text, plan):
    """A width and its details, in any order."""
    assert plan_from_text(text) == plan


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "`plan` is ''; give a decision record"),
        ("int8", "`plan` is 'int8'; give"),
        ("-4", "`plan` is '-4'; give"),
        ("64,int9", "`plan` has 'int9'; choose at most one of"),
        ("64,int8,float16", "`plan` has 'float16'; choose at most one of"),
        ("64,5@", "`plan` has '5@'; choose"),
        ("64,100@32", "`rerank` goes from 64 dims back to 32"),
        ("64,10@128,20@256", "`rerank size` is 20"),
        ("64,int8,hnsw", "`kind` 'hnsw' works with float32"),
        ("0", "`dim` is 0"),
    ],
)
def test_texts_that_make_no_plan_are_refused(text, reason):
    """Unknown words, two precisions, widths that shrink and lists that grow are refused in one sentence."""
    with pytest.raises(InvalidInputError, match=reason):
        plan_from_text(text)
