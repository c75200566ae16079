"""The measured threshold: the score that keeps a rate of false positives at a plan's width and precision."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mrl_viz.data.reading import read_corpus
from mrl_viz.decide import choose, decision_record, measure_candidates
from mrl_viz.decide.judged_pairs import judged_pairs
from mrl_viz.decide.record import plan_from_record
from mrl_viz.decide.threshold import measured_threshold, plan_thresholds
from mrl_viz.embedding.embedded import embed
from mrl_viz.errors import DimensionError, EmptyInputError, InvalidInputError
from mrl_viz.retrieval.plan import Plan, build_plan
from mrl_viz.truncation import truncate_and_normalize


@pytest.fixture(scope="module")
def embedded():
    """The sample: 160 queries with judgements, two columns of labels."""
    return embed(read_corpus("sample"))


@pytest.fixture(scope="module")
def unjudged(embedded):
    """The same texts with nothing that is judged, and few of them."""
    return embed(embedded.corpus.texts[:200])


def test_at_full_width_it_is_the_quantile_of_plain_cosines(unjudged):
    """Float32 at full width without labels: numpy's quantile of the cosines of all pairs of texts."""
    rows = truncate_and_normalize(unjudged.matrix, 256).astype(np.float64)
    cosines = [rows[i] @ rows[j] for i in range(200) for j in range(i)]
    for rate in (0.01, 0.05):
        found = measured_threshold(unjudged, Plan(256), false_positive_rate=rate)
        assert found.threshold.value == pytest.approx(np.quantile(cosines, 1 - rate), abs=1e-6)
        assert found.threshold == found.full_threshold and found.recall is None
        assert found.rate_kept.value == pytest.approx(rate, abs=2 / len(cosines))
        assert found.n_negatives == len(cosines) and "any two different texts" in found.about()
        assert found.threshold.low < found.threshold.value < found.threshold.high


def test_product_codes_are_those_of_the_whole_corpus():
    """Of many texts some are sampled for pairs; codes are learnt from all, as the deployed ones are."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((1500, 16)).astype(np.float32)
    pairs = judged_pairs(several := embed(rows))
    assert len(pairs.items) < 1500 // 2
    found = measured_threshold(several, plan := Plan(16, kind="pq"))
    deployed = build_plan(plan, rows).search(pairs.asking, 1500)
    scores = np.full((len(pairs.asking), 1500), np.nan)
    np.put_along_axis(scores, deployed.indices.astype(np.int64), deployed.similarities, axis=1)
    columns = [int(np.flatnonzero((several.matrix == item).all(axis=1))[0]) for item in pairs.items]
    expected = np.quantile(scores[:, columns][pairs.is_negative], 0.99)
    assert found.threshold.value == pytest.approx(expected, abs=1e-5)


def test_judged_queries_give_false_and_true_pairs(embedded):
    """By a naive loop over queries and texts: the judged ones are found, all others are not to be."""
    found = measured_threshold(embedded, Plan(64))
    judged = embedded.corpus.judgements_by_row()
    pairs = judged_pairs(embedded)
    columns = [int(np.flatnonzero((embedded.matrix == item).all(axis=1))[0]) for item in pairs.items]
    queries, texts = (truncate_and_normalize(side, 64) for side in (embedded.queries, embedded.matrix))
    right = {(query, item) for query, grades in judged.items() for item, grade in grades.items() if grade > 0}
    wrong = [
        queries[query] @ texts[item] for query in range(160) for item in columns[:1000] if (query, item) not in right
    ]
    assert found.n_negatives == len(wrong) and found.n_positives == min(len(right), 2000)
    assert found.threshold.value == pytest.approx(np.quantile(wrong, 0.99), abs=1e-5)
    rows, places = pairs.positives
    assert {(row, columns[place]) for row, place in zip(rows.tolist(), places.tolist())} <= right
    kept = np.mean([queries[row] @ texts[columns[place]] >= found.threshold.value for row, place in zip(rows, places)])
    assert found.recall.value == pytest.approx(kept, abs=1e-3)
    assert "not judged relevant" in found.about() and found.asks == "query"


def test_a_threshold_left_as_it_was_floods_a_narrow_width(embedded):
    """Cosines rise as width falls: full width's threshold lets many more wrong texts through, and says how many."""
    found = measured_threshold(embedded, Plan(32))
    assert found.threshold.low > found.full_threshold.high and found.rate_kept.low > 5 * 0.01
    assert found.false_results == pytest.approx(12.8)
    assert f"{found.false_results_kept:,.0f} of 1,280 texts wrongly instead of 13" in found.takeaway()
    full = measured_threshold(embedded, Plan(256))
    assert "stays" in full.takeaway() and full.recall == full.recall_kept == full.full_recall


def test_scores_are_those_of_the_code(embedded):
    """With codes the threshold is of what a search by the plan returns; a rerank scores by its own width."""
    pairs = judged_pairs(embedded)
    for plan in (Plan(64, "int8"), Plan(64, "binary"), Plan(64, "rabitq2"), Plan(64, kind="hnsw")):
        found = measured_threshold(embedded, plan)
        returned = build_plan(plan, embedded.matrix).search(pairs.asking, 1280)
        scores = np.full((160, 1280), -np.inf)
        for row, (items, values) in enumerate(zip(returned.indices, returned.similarities)):
            scores[row, items[items >= 0]] = values[items >= 0]
        columns = [int(np.flatnonzero((embedded.matrix == item).all(axis=1))[0]) for item in pairs.items]
        wrong = scores[:, columns][pairs.is_negative]
        # A graph finds no more than it looks at: only what it has can be compared.
        expected = np.quantile(wrong, 0.99)
        assert found.threshold.value == pytest.approx(expected, abs=1e-5)
    reranked = measured_threshold(embedded, Plan(16, "binary", rerank=((200, 128),)))
    assert reranked.threshold == measured_threshold(embedded, Plan(128)).threshold
    assert reranked.scored_dim == 128 and "by the rerank" in reranked.takeaway()


@pytest.mark.parametrize("plan", [Plan(256), Plan(64, "int8"), Plan(32, "binary")], ids=lambda plan: plan.label)
def test_a_smaller_rate_needs_a_higher_score(embedded, plan):
    """The threshold falls as more may be let through, and what it keeps of the right ones rises."""
    found = [measured_threshold(embedded, plan, false_positive_rate=rate) for rate in (0.001, 0.01, 0.05, 0.1)]
    assert [one.threshold.value for one in found] == sorted((one.threshold.value for one in found), reverse=True)
    assert [one.recall.value for one in found] == sorted(one.recall.value for one in found)
    assert all(one.threshold.low <= one.threshold.value <= one.threshold.high for one in found)
    assert measured_threshold(embedded, plan) == measured_threshold(embedded, plan)


def test_labels_scores_and_queries_say_what_belongs_together(embedded):
    """Classes, scored pairs and queries without judgements each have pairs of their own, named in words."""
    by_topic = judged_pairs(embedded, "classification", column="topic")
    rows, columns = by_topic.positives
    labels, texts = embedded.corpus.labels["topic"], {tuple(row): n for n, row in enumerate(embedded.matrix.tolist())}
    of = [labels[texts[tuple(row)]] for row in by_topic.items.tolist()]
    assert all(of[row] == of[column] for row, column in zip(rows, columns)) and len(rows)
    assert all(of[row] != of[column] for row, column in np.argwhere(by_topic.is_negative)[::97])
    assert "different `topic`" in by_topic.negatives and not by_topic.is_negative[rows, columns].any()
    languages = embed(read_corpus("sample:languages"))
    scored = judged_pairs(languages)
    assert "different scored pairs" in scored.negatives and not scored.is_negative.diagonal().any()
    assert scored.n_positives and (scored.positives[0] == scored.positives[1]).all()
    ids = languages.corpus.pair_ids
    if len(ids) == len(scored.asking):
        assert not any(scored.is_negative[i, j] for i in range(len(ids)) for j in range(len(ids)) if ids[i] == ids[j])
    asked = replace(embedded, corpus=replace(embedded.corpus, qrels={}, labels={}, pairs=()))
    assert "any query and any text" in judged_pairs(asked).negatives and judged_pairs(asked).n_positives == 0


def test_labels_that_say_nothing_are_left_out(unjudged):
    """With a class for each text random pairs stand in, unless these labels were asked for."""
    labels = {"name": tuple(str(row) for row in range(200))}
    named = replace(unjudged, corpus=replace(unjudged.corpus, labels=labels))
    assert "any two different texts" in measured_threshold(named, Plan(64)).about()
    with pytest.raises(InvalidInputError, match="name"):
        measured_threshold(named, Plan(64), task="classification")


def test_equal_texts_are_no_pair():
    """A text kept twice would meet itself with a score of 1."""
    found = judged_pairs(embed(["a cat", "a cat", "a dog", "taxes are due"]))
    assert found.n_negatives == 5


def test_the_record_has_a_threshold_per_plan(embedded):
    """The chosen plan and its runners-up have theirs, in the data and in the document; the schema is the same."""
    measured = measure_candidates(embedded, dims=[64, 128], dtypes=("float32", "int8"), kinds=("exact",), n_runs=1)
    decision = choose(measured, target=0.6)
    found = plan_thresholds(embedded, decision)
    assert [one.plan for one in found] == [decision.plan, *(row.plan for row in decision.runners_up)] and len(found) > 1
    assert found[0] == measured_threshold(embedded, decision.plan)
    record = decision_record(decision, thresholds=found)
    data = json.loads(record.to_json())
    assert data["schema"] == 2 and plan_from_record(data) == decision.plan
    assert data["evidence"]["threshold"]["threshold"] == found[0].threshold.value
    assert data["evidence"]["threshold"]["threshold_low"] == found[0].threshold.low
    assert [row["threshold"]["plan"] for row in data["runners_up"]] == [one.plan.label for one in found[1:]]
    assert found[0].takeaway() in record.markdown and found[0].about() in record.markdown
    assert all(f"| {one.plan.label} | {one.threshold:.3f} |" in record.markdown for one in found)
    without = decision_record(decision)
    assert without.record["evidence"]["threshold"] is None and "## Threshold" not in without.markdown
    with pytest.raises(InvalidInputError, match="`thresholds` has 8 dims"):
        decision_record(decision, thresholds=(measured_threshold(embedded, Plan(8)),))
    assert plan_thresholds(embedded, replace(decision, chosen=None, runners_up=())) == ()
    assert plan_thresholds(embedded, replace(decision, metric="hybrid overlap@10")) == ()


def test_what_cannot_be_measured_is_one_sentence(embedded, unjudged):
    """Rates out of range, labels that are not there, too few pairs and plans that are too wide."""
    for rate in (0, 0.2, -1, 1):
        with pytest.raises(InvalidInputError, match="`false_positive_rate` is"):
            measured_threshold(embedded, Plan(64), false_positive_rate=rate)
    with pytest.raises(InvalidInputError, match="`task` is 'retrieval'; the data have labels for"):
        measured_threshold(unjudged, Plan(64), task="retrieval")
    with pytest.raises(EmptyInputError, match=r"`false_positive_rate` is 0\.01 and there are 6 pairs of any two"):
        measured_threshold(embed(["a cat", "a dog", "a tax", "a bus"]), Plan(64))
    with pytest.raises(DimensionError, match="choose 1 to 256"):
        measured_threshold(embedded, Plan(512))
