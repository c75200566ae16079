"""The lines of library code behind each figure, as a user can paste them."""

SWEEP_CODE = """from mrl_viz import figures
from mrl_viz.analysis import analyse
from mrl_viz.embedding.embedded import embed
from mrl_viz.data.reading import read_corpus

corpus = read_corpus("sample")  # or your file
vectors = embed(corpus, "wordllama", queries=())
result = analyse(vectors, dims=[8, 16, 32, 64, 128, 256], k=10)
"""
VECTORS_CODE = SWEEP_CODE.rsplit("result = ", 1)[0].replace("import analyse, embed", "import embed")
OVERLAP_CODE = f"""{SWEEP_CODE}figures.overlap_curve(result.overlap).show()"""
BY_K_CODE = f"""{SWEEP_CODE}figures.overlap_by_k(result.overlap).show()"""
PER_ITEM_CODE = f"""{SWEEP_CODE}figures.per_item_strip(result.overlap, 64, corpus.texts).show()"""
BUMP_CODE = f"""{SWEEP_CODE}
from mrl_viz.measures.lists import neighbor_ranks

ranks = neighbor_ranks(vectors.matrix, 0, result.sweep)
figures.neighbor_bump(ranks, [corpus.texts[j] for j in ranks.neighbors], k=10).show()"""
ANATOMY_CODE = f"""{VECTORS_CODE}
from mrl_viz.measures.anatomy import vector_anatomy

anatomy = vector_anatomy(vectors.matrix[0], dims=[8, 16, 32, 64, 128, 256])
figures.coordinate_strip(anatomy, 64).show()
figures.nested_dolls(anatomy, 64).show()
figures.prefix_norms(anatomy, 64).show()"""
PAIR_CODE = f"""{VECTORS_CODE}
from mrl_viz.measures.anatomy import pair_by_width

figures.pair_curve(pair_by_width(vectors.matrix[0], vectors.matrix[1]), 64).show()"""
BAND_CODE = f"""{SWEEP_CODE}
from mrl_viz.measures.similarity import similarity_band

band = similarity_band(result.sample, [(0, 1)])
figures.similarity_curves(band, [(corpus.texts[0], corpus.texts[1])], 64).show()"""
DENSITY_CODE = f"""{SWEEP_CODE}
from mrl_viz.measures.similarity import similarity_density

figures.density_heatmap(similarity_density(result.sample, 64)).show()"""
MATRICES_CODE = f"""{VECTORS_CODE}
from mrl_viz.measures.matrices import similarity_matrices

matrices = similarity_matrices(vectors.matrix, dim=64, order="cluster")
figures.similarity_heatmaps(matrices, [corpus.texts[item] for item in matrices.items]).show()"""
MOVERS_CODE = f"""{SWEEP_CODE}
from mrl_viz.measures.movers import flipped_triples, relative_movers

print(relative_movers(result.sample, 64).takeaway())
print(flipped_triples(result.sample, 64).takeaway())"""
THRESHOLD_CODE = f"""{SWEEP_CODE}
from mrl_viz.measures.similarity import threshold_meaning

meaning = threshold_meaning(result.sample, 0.5)
figures.threshold_shift(meaning, 64).show()"""
SPACE_CODE = f"""{SWEEP_CODE}
from mrl_viz.measures.space import space_agreement
from mrl_viz.measures.space import geometry, hubness

dims = result.sweep.dims
figures.space_agreement_curves(space_agreement(vectors.matrix, dims=dims), 64).show()
figures.geometry_curves(geometry(vectors.matrix, dims=dims), 64).show()
figures.hubness_curves(hubness(result.sweep), 64).show()"""
PCA_CODE = f"""{VECTORS_CODE}
from mrl_viz.projection import pca_maps

maps = pca_maps(vectors.matrix, [8, 16, 32, 64, 128, 256], k=10)
figures.map_animation(maps, corpus.texts, color_by="label", labels=corpus.labels["domain"]).show()"""
UMAP_CODE = PCA_CODE.replace("pca_maps", "umap_maps")
SHORTLIST_CODE = f"""{VECTORS_CODE}
from mrl_viz.retrieval.index import PrefixIndex
from mrl_viz.retrieval.shortlist import shortlist_curve, shortlist_search

index = PrefixIndex(vectors.matrix, [64, 256])
found = shortlist_search(index, vectors.matrix[:10], shortlist_dim=64, shortlist_size=80, k=10)
print(found.takeaway())
figures.shortlist_overlap(shortlist_curve(index, vectors.matrix[:200], shortlist_dim=64, k=10), 80).show()"""
CONTROLS_CODE = f"""{SWEEP_CODE}
from mrl_viz.analysis import controls

beside = controls(result)
print(beside.takeaway())
figures.controls_curve(beside, 64).show()"""
QUALITY_CODE = """from mrl_viz import figures
from mrl_viz.embedding.embedded import embed
from mrl_viz.tasks.evaluation import evaluate
from mrl_viz.data.reading import read_corpus

vectors = embed(read_corpus("sample"), "wordllama")  # with the data's own queries
quality = evaluate(vectors, dims=[8, 16, 32, 64, 128, 256])
print(quality.takeaway())
figures.quality_curves(quality).show()"""
CHOOSE_CODE = """from mrl_viz import figures
from mrl_viz.embedding.embedded import embed
from mrl_viz.decide import choose, crowding, decision_record, measure_candidates
from mrl_viz.data.reading import read_corpus

vectors = embed(read_corpus("sample"), "wordllama")  # with the data's own queries
measured = measure_candidates(vectors, metric="overlap@10")  # once
decision = choose(measured, target=0.9, n_vectors=1e6)  # again and again
print(decision.takeaway())
figures.pareto(decision).show()
figures.sensitivity_heatmap(decision.sensitivity).show()
grown = crowding(vectors, decision.plan, k=10, n_vectors=1e6)
figures.crowding_curve(grown, 0.9).show()
print(decision_record(decision, crowding=grown).markdown)"""
COMPARE_CODE = """from mrl_viz import figures
from mrl_viz.embedding.embedded import embed
from mrl_viz.comparison import compare_models
from mrl_viz.data.reading import read_corpus

corpus = read_corpus("sample")
comparison = compare_models([embed(corpus, model) for model in ("wordllama", "all-MiniLM-L6-v2")], k=10)
print(comparison.takeaway())
figures.quality_per_byte(comparison).show()"""
ADAPTOR_CODE = f"""{VECTORS_CODE}
from mrl_viz.adaptor.fit import Adaptor, fit_adaptor, suggested_settings

settings = suggested_settings(len(vectors.matrix))
fit = fit_adaptor(vectors.matrix, [8, 16, 32, 64, 128], settings=settings, model=vectors.model)
print(fit.takeaway())
figures.adaptor_curves(fit).show()
fit.adaptor.save("my-adaptor", card=fit.card())

short = Adaptor.load("my-adaptor").apply(vectors.matrix, dim=64)  # elsewhere, with numpy and safetensors only; then rescale to unit length"""
ADAPTIVE_CODE = f"""{VECTORS_CODE}
from mrl_viz.heads.adaptive import classify_adaptively, coarse_against_fine

coarse, fine = classify_adaptively(vectors.matrix, corpus.labels, [8, 16, 32, 64, 128])
print(fine.takeaway())
print(coarse_against_fine(coarse, fine))
figures.accuracy_by_width(fine).show()
figures.exit_shares(fine).show()
figures.exits_by_label([coarse, fine]).show()"""
