"""The Start page's ways in: paste, table, upload; the data check; the model card."""

from __future__ import annotations

import streamlit as st

from mrl_viz.corpus import Corpus, corpus_from_texts
from mrl_viz.models import find_card
from mrl_viz.reading import read_upload, table_columns
from mrl_viz.ui.charts import errors_shown, plain
from mrl_viz.ui.workspace import Workspace, own_corpus, use_corpus

TABLE_TYPES = (".csv", ".tsv", ".jsonl", ".parquet")
UPLOAD_TYPES = ["txt", "csv", "tsv", "jsonl", "parquet", "zip", "npy", "npz", "safetensors"]
# A browser's table stays fluid up to about this many rows.
MOST_TABLE_ROWS = 2000


def choose_data() -> None:
    """Tabs to paste, edit or upload; what is read becomes the session's own corpus."""
    paste, edit, upload = st.tabs(["Paste texts", "Edit in a table", "Upload texts or vectors"])
    with paste:
        _paste()
    with edit:
        _edit()
    with upload:
        _upload()


def _use(corpus: Corpus) -> None:
    use_corpus(corpus)
    st.rerun()


def _paste() -> None:
    with st.form("paste_form", border=False):
        text = st.text_area("One text a line", key="pasted", height=160, placeholder="Paste at least two lines")
        keep = st.checkbox("Keep exact duplicates", key="paste_duplicates", help="They inflate overlap.")
        pressed = st.form_submit_button("Use these texts", type="primary")
    if pressed:
        with errors_shown():
            corpus = corpus_from_texts((text or "").splitlines(), name="Pasted texts", keep_duplicates=keep)
        _use(corpus)


def _edit() -> None:
    import pandas as pd

    own = own_corpus()
    texts = list(own.texts) if own is not None and own.embeddings is None else ["", ""]
    if len(texts) > MOST_TABLE_ROWS:
        st.info(f"The table shows up to {MOST_TABLE_ROWS:,} texts; this corpus has {len(texts):,}. Edit the file instead.")
        return
    edited = st.data_editor(
        pd.DataFrame({"text": texts}), num_rows="dynamic", width="stretch", key="edited_texts", height=240
    )
    if st.button("Use the edited texts", key="use_edited"):
        with errors_shown():
            corpus = corpus_from_texts([str(value or "") for value in edited["text"]], name="Edited texts")
        _use(corpus)


def _upload() -> None:
    file = st.file_uploader(
        "Texts (txt, csv, tsv, jsonl, parquet, a zipped BEIR folder) or vectors (npy, npz, parquet, safetensors)",
        type=UPLOAD_TYPES, key="upload",
    )  # fmt: skip
    if file is None:
        return
    content = file.getvalue()
    text_column = label_column = None
    if file.name.lower().endswith(TABLE_TYPES):
        with errors_shown():
            columns, guessed_text, guessed_labels = table_columns(file.name, content)
        if columns:
            left, right = st.columns(2)
            start = list(columns).index(guessed_text) if guessed_text in columns else 0
            text_column = left.selectbox("Text column", columns, index=start, key="text_column")
            labels = ["(none)", *columns]
            guess = labels.index(guessed_labels[0]) if guessed_labels else 0
            chosen = right.selectbox("Label column", labels, index=guess, key="label_column")
            label_column = None if chosen == "(none)" else chosen
            if guessed_text not in columns:
                text_column = None
    keep = st.checkbox("Keep exact duplicates", key="upload_duplicates", help="They inflate overlap.")
    if st.button("Use this file", key="use_upload", type="primary"):
        with errors_shown():
            corpus = read_upload(
                file.name, content, text_column=text_column, label_column=label_column, keep_duplicates=keep
            )
        _use(corpus)


def data_check(workspace: Workspace) -> None:
    """What was read, dropped and found, before anything is believed."""
    check = workspace.corpus.check
    cells = st.columns(4)
    cells[0].metric("Texts", f"{check.n_items:,}")
    cells[1].metric("Empty, dropped", f"{check.n_empty:,}")
    cells[2].metric("Exact duplicates", f"{check.n_duplicates:,}", help="Dropped unless you keep them: they inflate overlap.")
    cells[3].metric("Longest text", f"{check.longest_chars:,} characters")
    if check.label_columns:
        st.caption(plain(f"Labels found: {', '.join(check.label_columns)}."))
    for note in check.notes:
        st.caption(plain(note))


def model_card(workspace: Workspace) -> None:
    """What is known of the current model."""
    card = find_card(workspace.embedded.model)
    trained = workspace.embedded.matryoshka_dims
    lines = [
        f"**{plain(workspace.embedded.model)}**, {workspace.embedded.full_dim} dims",
        f"Trained at widths {', '.join(map(str, trained))}" if trained else "No Matryoshka widths known for it",
    ]
    if card is not None:
        lines += [f"Licence {card.licence}, about {card.size_mb:,.0f} MB", plain(card.note)]
    st.markdown("  \n".join(line for line in lines if line))
