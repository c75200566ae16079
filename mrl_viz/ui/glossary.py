"""The words of the field, each defined once; a page shows those that it uses, and says what one means on request."""

from __future__ import annotations

from html import escape

import streamlit as st

TERMS = {
    "embedding": "The list of numbers that a model makes of a text, its vector; texts of like meaning get like lists.",
    "width": "How many numbers of the list are kept, counted from the front: its dimensions, or dims.",
    "focus width": "The width that all pages look at. Move it, and every sentence and picture follows.",
    "neighbor": "Of a text: one of the k others whose vectors point most nearly in the same direction.",
    "renormalise": "To bring a cut vector back to length 1, so that a dot product is a cosine again.",
    "cosine": "How nearly two vectors point the same way: 1 the same, 0 unrelated, -1 opposite.",
    "norm": "The length of a vector. Its square, spread over the coordinates, is its energy.",
    "Matryoshka": "Trained so that the front of a vector works as a vector by itself, like a doll in a doll.",
    "overlap": "The share of a text's k nearest neighbors at full width that are still its k nearest at this one.",
    "chance": "The overlap that lists drawn at random would have: k of all other texts.",
    "interval": "Where the true value lies in 95 of 100 such samples, drawn again from these texts (bootstrap).",
    "controls": "The same measure for other ways to keep as many numbers: random ones, the last ones, an SVD's first.",
    "SVD": "The rotation whose first directions keep the most of all vectors' length: the baseline that needs no "
    "training.",
    "drift": "How much a similarity changes when both vectors are cut.",
    "Spearman": "How well two orders agree: 1 the same order, 0 none, -1 the reverse.",
    "nDCG": "How near the top of a list the relevant texts stand, from 0 to 1; nDCG@10 looks at the first ten.",
    "accuracy": "The share of texts whose class is named right.",
    "long tail": "Many classes with few examples each, beside a few that have many: the head.",
    "cascade": "Classifiers at rising widths: the first that is sure enough answers, and nothing more is read.",
    "expected width": "How many numbers a cascade reads on average, until it answers.",
    "recall": "The share of the relevant texts that a list has.",
    "CKA": "How alike two spaces are as a whole, whatever their rotation: 1 the same, 0 nothing in common.",
    "hub": "A text that is a neighbor of very many others, often without being like them.",
    "directions in use": "How many directions the vectors really spread over, often far fewer than their width.",
    "trustworthiness": "How far the neighbors that one sees in a map are true ones; continuity, how far true ones are "
    "seen.",
    "PCA": "The flat view from which the vectors look widest; one view for all widths, so that maps can be compared.",
    "UMAP": "A map that keeps neighborhoods together; distances between groups mean little, and a seed moves them.",
    "shortlist": "The texts that a quick search at a small width finds, to be ranked again at a larger one.",
    "funnel": "A search in stages: each ranks what the one before kept, at a larger width, and keeps fewer.",
    "margin": "How far ahead a score is: of the k-th best so far before the next candidate, or of a class before the "
    "second.",
    "lower bound": "What is still kept if these texts were unlucky: the promise, beside the measured value.",
    "code": "How a number is stored after the cut: float32 takes 4 bytes, int8 one, binary an eighth of one.",
    "canary": "A text frozen with its vector: embedded again, it says whether the model is still the same.",
    "adaptor": "A small map learned for a frozen model, after which the front of its vectors keeps more.",
    "plain twin": "A model trained like its Matryoshka brother, same start, batches and steps, but at full width only.",
    "trained alone": "A model whose loss is at one width only; one for each width, instead of one nested model.",
    "loss": "What training makes smaller; a nested loss adds up one at every width.",
}


def define(term: str) -> str:
    """What a term means, in a sentence."""
    return TERMS[term]


def words_shown(*terms: str) -> None:
    """The terms on one line, each with its meaning where the pointer or the keyboard rests on it."""
    shown = (
        f'<span class="word" tabindex="0">{escape(term)}<span role="tooltip">{escape(TERMS[term])}</span></span>'
        for term in terms
    )
    st.html(f'<div class="words">Explained: {" · ".join(shown)}</div>')
