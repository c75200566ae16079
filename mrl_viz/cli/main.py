"""The same verbs without a browser: `mrl_viz --help` lists them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from mrl_viz.cli import audit, claims, decide, explore, scale, take, train
from mrl_viz.cli.printing import printable
from mrl_viz.errors import MrlVizError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    The exit code is 0; 1 where `monitor` or `audit` is below its target, or `claims` finds another verdict than kept;
    2 for bad input, with one line on stderr; 130 when interrupted.
    """
    args = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = args.run
    try:
        return run(args)
    except MrlVizError as error:
        return _failed(str(error), 2)
    except OSError as error:
        return _failed(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "), 2)
    except KeyboardInterrupt:
        return _failed("stopped; what was finished is kept, and the same command goes on from there.", 130)


def _failed(reason: str, code: int) -> int:
    print(f"mrl_viz: {printable(reason)}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mrl_viz", description="See what every embedding width keeps.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for family in (explore, scale, decide, audit, train, take, claims):
        family.add_verbs(verbs)
    app = verbs.add_parser("app", help="open the app")
    app.add_argument("--port", type=int, default=8501)
    app.add_argument("--headless", action="store_true", help="do not open a browser")
    app.set_defaults(run=_app)
    return parser


def _app(args: argparse.Namespace) -> int:
    from mrl_viz.launcher import launch

    return launch(port=args.port, headless=args.headless)
