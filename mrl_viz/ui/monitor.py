"""Parts of the Monitor page: whose checks, what they say, and how one makes one's own."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import streamlit as st

from mrl_viz.decide.history import MonitorHistory, read_history, shipped_history
from mrl_viz.ui.charts import hint, plain, small_print
from mrl_viz.ui.results import measured
from mrl_viz.ui.workspace import current_workspace

FILES_KEY, LABEL_KEY = "monitor_files", "monitor_label"
# Names a folder of records on the server's machine; set by whoever runs it, for all who see the page.
FOLDER_VARIABLE = "MRL_VIZ_MONITOR"
# Of a folder the last ones, by name: three years of one a day.
MOST_FILES = 1000
# Of what could not be read.
MOST_REFUSED = 10
EXAMPLE, UPLOADED, FOLDER = "example", "uploaded", "folder"


def history() -> tuple[str, MonitorHistory]:
    """Whose checks are shown, and those: the visitor's files, else those of the server's folder, else the example."""
    words, button = st.columns([3, 1], vertical_alignment="center")  # one above the other on a phone
    with button, st.popover("Read my record files", icon=":material/upload_file:", width="stretch"):
        files = st.file_uploader(
            "Files that `mrl_viz monitor --json` wrote", type="json", accept_multiple_files=True, key=FILES_KEY,
            help="They are read, not kept. No text of yours is in them.",
        )  # fmt: skip
    given = tuple((file.name, file.getvalue()) for file in files)
    whose, shown = UPLOADED, _read(_digest(given), given) if given else None
    if shown is None:
        whose, shown = FOLDER, _of_folder()
    refused = () if shown is None else shown.refused
    if shown is None or not shown.checks:
        whose, shown = EXAMPLE, replace(_example(), refused=refused) if refused else _example()
    with words:
        _said_of(whose, shown)
    return whose, shown


def _said_of(whose: str, shown: MonitorHistory) -> None:
    n_checks = f"{len(shown.checks):,} check{'s' if len(shown.checks) > 1 else ''}"
    if whose == EXAMPLE:
        st.markdown(
            ":orange-badge[Example] Real checks of a plan for the sample, on dates that were made up: once, two words "
            "asked instead of questions; later, what asks was embedded with a prompt, and the texts were not."
        )
    elif whose == FOLDER:
        small_print(f"{n_checks} of this server’s folder.")
    else:
        small_print(f"{n_checks} of your files.")


def refused_shown(history: MonitorHistory) -> None:
    """What could not be read, and what does not belong together."""
    if history.refused:
        left = len(history.refused) - MOST_REFUSED
        said = [*history.refused[:MOST_REFUSED], *([f"And {left:,} more."] if left > 0 else [])]
        st.warning("\n\n".join(map(plain, said)), icon=":material/warning:")
    small_print(*history.mixed)


def one_of(history: MonitorHistory) -> MonitorHistory:
    """The checks of one plan, model and list length; asked where there are several, the latest one's at first."""
    labels = history.labels
    if len(labels) == 1:
        return history
    if st.session_state.get(LABEL_KEY) not in labels:
        st.session_state.pop(LABEL_KEY, None)
    return _only(history, str(st.selectbox("Checks of", labels, key=LABEL_KEY)))


def _only(history: MonitorHistory, label: str) -> MonitorHistory:
    """Kept with the history, so that its figures are."""
    kept: dict[str, MonitorHistory] = vars(history).setdefault("_by_label", {})
    return kept.setdefault(label, history.only(label))


def code(whose: str, history: MonitorHistory, shown: MonitorHistory) -> str:
    """The lines that make the page's figures of the same files."""
    names = sorted({check.file for check in history.checks})
    source = {
        EXAMPLE: "shipped_history()",
        UPLOADED: f"read_history({names!r})",
        FOLDER: "read_history(sorted(Path('checks').glob('*.json')))",
    }[whose]
    lines = [
        *(["from pathlib import Path", ""] if whose == FOLDER else []),
        "from mrl_viz import figures",
        f"from mrl_viz.decide.history import {source.partition('(')[0]}",
        "",
        f"history = {source}",
        *([f"history = history.only({shown.labels[0]!r})"] if len(history.labels) > 1 else []),
        "print(history.takeaway())",
        "figures.monitor_overlap(history).show()",
    ]
    if _has_canaries(shown):
        lines += ["print(history.canary_takeaway())", "figures.monitor_canaries(history).show()"]
    return "\n".join(lines)


def _has_canaries(history: MonitorHistory) -> bool:
    return any(check.canary is not None for check in history.checks)


def canaries_there(history: MonitorHistory) -> bool:
    """Whether any check asked canaries; a hint where none did."""
    if not _has_canaries(history):
        hint(plain(history.canary_takeaway()))
        return False
    return True


def commands_shown() -> None:
    """How one makes one's own record files, once and every week."""
    model = shlex.quote(current_workspace().model)
    st.code(
        "# once: freeze some texts of your own with their vectors\nmkdir -p checks\n"
        f"mrl_viz embed canaries.txt --model {model} --out canary.npz\n"
        f"# a check: exit code 1 below the target, or when a canary moved\n"
        f"mrl_viz monitor my_texts.csv --model {model} --queries queries_of_today.txt --plan decision.json "
        f'--canary canary.npz --json "checks/$(date -u +%F).json"\n'
        f"# every Monday at six; a crontab wants its percent signs escaped\n"
        f"0 6 * * 1  cd my_project && mrl_viz monitor my_texts.csv --model {model} --queries queries_of_today.txt "
        f'--plan decision.json --canary canary.npz --json "checks/$(date -u +\\%F).json"',
        language="bash", wrap_lines=True,
    )  # fmt: skip
    small_print(
        f"Then read the files here, or let whoever runs this server name their folder in `{FOLDER_VARIABLE}`: they are "
        "shown to everybody who opens the page.",
        "decision.json is the record that Choose a dimension writes.",
    )


def _of_folder() -> MonitorHistory | None:
    """The checks in the server's folder; None where none is named."""
    named = os.environ.get(FOLDER_VARIABLE)
    if not named:
        return None
    folder = Path(named)
    if not folder.is_dir():
        hint(plain(f"The folder that `{FOLDER_VARIABLE}` names is not there; whoever runs this server can make it."))
        return None
    files = sorted(folder.glob("*.json"))[-MOST_FILES:]
    stats = []
    for file in files:
        with suppress(OSError):  # one that went meanwhile is said to be unreadable when it is read
            stat = file.stat()
            stats.append((file.name, stat.st_mtime_ns, stat.st_size))
    return _folder_read(tuple(stats), files)


@measured(False)
def _folder_read(stats: tuple[tuple[str, int, int], ...], _files: list[Path]) -> MonitorHistory:
    return read_history(_files)


@measured(False)
def _read(digest: str, _files: tuple[tuple[str, bytes], ...]) -> MonitorHistory:
    return read_history(_files)


def _digest(files: tuple[tuple[str, bytes], ...]) -> str:
    digest = sha256()
    for name, content in files:
        digest.update(f"{name}\n{len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


@st.cache_resource(show_spinner=False)
def _example() -> MonitorHistory:
    """Read once per server."""
    return shipped_history()
