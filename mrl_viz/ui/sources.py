"""The Start page's ways in: paste, table, upload; the data check; the model card."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from mrl_viz.data.beir import read_qrels
from mrl_viz.data.corpus import Corpus, corpus_from_texts, with_qrels, with_queries, with_texts
from mrl_viz.data.reading import read_upload
from mrl_viz.data.tables import label_candidates, table_columns
from mrl_viz.embedding.catalogue import find_card
from mrl_viz.ui import disk
from mrl_viz.ui.charts import errors_shown, hint, metrics, plain, small_print
from mrl_viz.ui.memory import count_uploads
from mrl_viz.ui.results import measured
from mrl_viz.ui.selection import shortened
from mrl_viz.ui.workspace import Source, Workspace, own_corpus, use_corpus

TABLE_TYPES = (".csv", ".tsv", ".jsonl", ".parquet")
TEXT_TYPES = ["txt", "csv", "tsv", "jsonl", "parquet"]
QRELS_TYPES = ["tsv", "txt", "qrels"]
VECTOR_TYPES = ["npy", "npz", "safetensors", "parquet"]
UPLOAD_TYPES = list(dict.fromkeys([*TEXT_TYPES, "zip", *VECTOR_TYPES]))
AUTOMATIC = "(automatic)"
TAB_KEY, EDITED_KEY = "own_texts", "table_opened"
# A browser's table stays fluid up to about this many rows.
MOST_TABLE_ROWS = 2000


def choose_data() -> None:
    names = ["Paste texts", "Edit in a table", "Upload texts or vectors"]
    if disk.is_offered():
        names.append("Vectors on disk")
    paste, edit, upload, *on_disk = st.tabs(names, key=TAB_KEY, on_change="rerun")
    with paste, errors_shown():
        _paste()
    # A table is a second's work for a browser that opens the page; once it was looked at it stays, with what was typed.
    if edit.open or st.session_state.get(EDITED_KEY):
        st.session_state[EDITED_KEY] = True
        with edit, errors_shown():
            _edit()
    with upload, errors_shown():
        _upload()
    for tab in on_disk:
        with tab, errors_shown():
            if tab.open:
                disk.choose()


def _use(corpus: Corpus, source: Source) -> None:
    use_corpus(corpus, source)
    st.rerun()


def _paste() -> None:
    with st.form("paste_form", border=False):
        text = st.text_area("One text a line", key="pasted", height=110, placeholder="Paste at least two lines")
        keep = st.checkbox("Keep exact duplicates", key="paste_duplicates", help="They inflate overlap.")
        pressed = st.form_submit_button("Use these texts", type="primary")
    if pressed:
        corpus = corpus_from_texts((text or "").splitlines(), name="Pasted texts", keep_duplicates=keep)
        _use(corpus, Source(keep_duplicates=keep, is_saved=False))


def _edit() -> None:
    import pandas as pd

    own = own_corpus()
    texts = list(own.texts) if own is not None and own.embeddings is None else ["", ""]
    if len(texts) > MOST_TABLE_ROWS:
        st.info(
            f"The table shows up to {MOST_TABLE_ROWS:,} texts; this corpus has {len(texts):,}. Edit the file instead."
        )
        return
    frame = pd.DataFrame({"text": texts})
    edited = st.data_editor(frame, num_rows="dynamic", width="stretch", key="edited_texts", height=240)
    if st.button("Use the edited texts", key="use_edited"):
        corpus = corpus_from_texts([str(value or "") for value in edited["text"]], name="Edited texts")
        _use(corpus, Source(is_saved=False))


def _upload() -> None:
    file = st.file_uploader(
        "Texts (txt, csv, tsv, jsonl, parquet, a zipped BEIR folder) or vectors (npy, npz, parquet, safetensors), also "
        "zipped with their pictures",
        type=UPLOAD_TYPES, key="upload",
    )  # fmt: skip
    count_uploads("upload", [file] if file else [])
    if file is None:
        return
    name, content = file.name, file.getvalue()
    text_column, label_column = _choose_columns(name, content) if name.lower().endswith(TABLE_TYPES) else (None, None)
    keep = st.checkbox("Keep exact duplicates", key="upload_duplicates", help="They inflate overlap.")
    source = Source(name, text_column, label_column, keep)
    corpus, source = _with_files(_read(file.file_id, source, content), source)
    check_shown(corpus)
    if st.button("Use this file", key="use_upload", type="primary"):
        _use(corpus, source)


@measured("Reading…")
def _read(file_id: str, source: Source, _content: bytes) -> Corpus:
    text, label, keep = source.text_column, source.label_column, source.keep_duplicates
    return read_upload(source.file, _content, text_column=text, label_column=label, keep_duplicates=keep)


def _choose_columns(name: str, content: bytes) -> tuple[str | None, str | None]:
    """The text and label columns, guessed and changeable; None leaves the choice to the reader."""
    columns, guessed_text, guessed_labels = table_columns(name, content)
    left, right = st.columns(2)
    # Vectors and sentence pairs have no single text column: the reader knows what to do with them.
    texts = list(columns) if guessed_text in columns else [AUTOMATIC, *columns]
    text = left.selectbox("Text column", texts, index=texts.index(guessed_text or AUTOMATIC), key="text_column")
    labels = [AUTOMATIC, *columns]
    guess = labels.index(guessed_labels[0]) if len(guessed_labels) == 1 else 0
    could = {} if guessed_labels or guessed_text is None else label_candidates(name, content)
    label = right.selectbox(
        "Label column", labels, index=guess, key="label_column",
        format_func=lambda column: f"{column} ({could[column]} values)" if column in could else column,
    )  # fmt: skip
    if could and label == AUTOMATIC:
        first = next(iter(could))
        hint(plain(f"No column is called a label. Is `{first}` one? It has {could[first]} values; choose it above."))
    return (None if text == AUTOMATIC else text), (None if label == AUTOMATIC else label)


def _with_files(corpus: Corpus, source: Source) -> tuple[Corpus, Source]:
    """The data with the texts of ready vectors, queries and judgements from files of their own, where there are any."""
    ready = corpus.embeddings is not None
    label = "Texts of these vectors, in the same order (optional)"
    if ready and (file := _further_file(label, TEXT_TYPES, "vector_texts")):
        texts = read_upload(file.name, file.getvalue(), keep_duplicates=True, fewest=1).texts
        corpus, source = with_texts(corpus, texts), replace(source, texts_file=file.name)
    with st.expander("Queries and judgements (optional)"):
        kinds, what = (VECTOR_TYPES, "vectors of the same model") if ready else (TEXT_TYPES, "texts")
        if file := _further_file(f"Queries: {what}", kinds, "upload_queries"):
            queries = read_upload(file.name, file.getvalue(), keep_duplicates=True, fewest=1, unnamed="query")
            corpus, source = with_queries(corpus, queries), replace(source, queries=file.name)
        said = "Judgements: query, text and grade on each line, as BEIR or TREC write them"
        unnamed = "Without ids in the files, texts and queries are called by their row, from 0."
        if file := _further_file(said, QRELS_TYPES, "upload_qrels", unnamed):
            qrels = read_qrels(file.name, file.getvalue())
            corpus, source = with_qrels(corpus, qrels, are_named=True), replace(source, qrels=file.name)
    return corpus, source


def _further_file(label: str, types: list[str], key: str, note: str | None = None) -> UploadedFile | None:
    file = st.file_uploader(label, types, key=key, help=note)
    count_uploads(key, [file] if file else [])
    return file


def data_check(workspace: Workspace) -> None:
    check_shown(workspace.corpus)
    vectors = workspace.embedded
    if vectors.n_overlong:
        st.warning(
            f"{vectors.n_overlong:,} texts are longer than the {vectors.max_tokens:,} tokens the model reads; their "
            "ends are not in their vectors. Split them into passages to compare whole texts."
        )


def check_shown(corpus: Corpus) -> None:
    check = corpus.check
    twice = "Exact ones; dropped unless you keep them: they inflate overlap."
    metrics(
        ("Texts", f"{check.n_items:,}"),
        ("Empty, dropped", f"{check.n_empty:,}"),
        ("Duplicates", f"{check.n_duplicates:,}", twice),
        ("Longest", f"{check.longest_chars:,}", "Characters of the longest text."),
    )
    if check.label_columns:
        small_print(f"Labels found: {', '.join(check.label_columns)}.")
    if corpus.query_ids:
        st.caption(f"{len(corpus.query_ids):,} queries, {len(corpus.qrels):,} of them judged.")
    small_print(*check.notes)


def too_few(workspace: Workspace) -> None:
    """What to do where there is nothing to compare."""
    only = shortened(workspace.corpus.texts[0])
    hint(plain(f"There is one text only: “{only}”. Neighbors need at least two; add more below."))


def model_card(workspace: Workspace) -> None:
    card = find_card(workspace.embedded.model)
    trained = ", ".join(map(str, workspace.trained))
    lines = [
        f"**{plain(workspace.embedded.model)}**, {workspace.embedded.full_dim} dims",
        f"Trained at widths {trained}" if trained else "No Matryoshka widths known for it",
    ]
    if card is not None:
        lines += [f"Licence {card.licence}, about {card.size_mb:,.0f} MB", plain(card.note)]
    st.markdown("  \n".join(line for line in lines if line))
