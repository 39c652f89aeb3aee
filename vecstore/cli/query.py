"""vecstore query: the points that a query finds, by whatever it asks, as a table, as JSON, or explained."""

from __future__ import annotations

from typing import Annotated

import typer

from vecstore.cli import query_show as show
from vecstore.cli.inspect import Collection
from vecstore.cli.query_given import one_that_exists, read_filter, request_of, way_of
from vecstore.cli.target import Json, Target, open_client
from vecstore.grouping import GroupsRequest
from vecstore.query.fusion import FusionMethod
from vecstore.ranking import Strategy

WHAT, RANKING, EFFORT, OUTPUT = "What to search for (one kind)", "Ranking", "How hard to look", "Output"


def query(
    ctx: typer.Context,
    collection: Collection,
    target: Target,
    vector: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[FIELD=]VECTOR",
            rich_help_panel=WHAT,
            help="JSON, a .json or .npy file, or - for JSON on standard input. Binary: packed bits in hex; sparse: "
            '{"17": 0.5}; for a text field, the words to search for.',
        ),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(metavar="[FIELD=]TEXT", rich_help_panel=WHAT, help="Words, for a text or an embedded field."),
    ] = None,
    sparse: Annotated[
        list[str] | None,
        typer.Option(metavar="[FIELD=]JSON", rich_help_panel=WHAT, help='Of a sparse field: {"17": 0.5, "5": 1.0}.'),
    ] = None,
    multi: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[FIELD=]FILE",
            rich_help_panel=WHAT,
            help="Tokens of a multi-vector field, one a row: a .npy or .json file, or JSON.",
        ),
    ] = None,
    id: Annotated[
        str | None, typer.Option("--id", rich_help_panel=WHAT, help="Search near this point, which is left out.")
    ] = None,
    recommend: Annotated[
        str | None,
        typer.Option(metavar="IDS", rich_help_panel=WHAT, help="Points like these, as ids between commas."),
    ] = None,
    negative: Annotated[str | None, typer.Option(metavar="IDS", rich_help_panel=WHAT, help="And unlike these.")] = None,
    order_by: Annotated[
        str | None,
        typer.Option(metavar="KEY", rich_help_panel=WHAT, help="Points in the order of a number in the payload."),
    ] = None,
    facet: Annotated[
        str | None,
        typer.Option(metavar="KEY", rich_help_panel=WHAT, help="No points: the counts of a payload key's values."),
    ] = None,
    request: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=WHAT,
            help="A whole query as JSON, in the form of the body of POST .../points/query; - for standard input.",
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", help="How many points, groups or values.")] = 10,
    using: Annotated[str | None, typer.Option(help="The vector field, when there are several.")] = None,
    filter: Annotated[
        str | None, typer.Option(help='JSON: {"must": [{"key": "lang", "match": {"value": "en"}}]}')
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="Drop points with a worse score.")] = None,
    fusion: Annotated[
        FusionMethod | None,
        typer.Option(rich_help_panel=RANKING, help="How several vectors and texts become one ranking. Default: rrf."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(metavar="NUMBERS", rich_help_panel=RANKING, help="Of the fusion, between commas, one for each."),
    ] = None,
    weigh_ranks: Annotated[
        bool,
        typer.Option(
            "--weigh-ranks",
            rich_help_panel=RANKING,
            help="Of rrf: --weights divide the ranks, so that 3,1 takes three of one list for each of the other.",
        ),
    ] = False,
    formula: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            rich_help_panel=RANKING,
            help="Rank what is found by an expression, such as \"score(0) + 0.1 * field('year', 0)\".",
        ),
    ] = None,
    candidates: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=RANKING, help="What each part of a fusion or formula finds, or --mmr picks from: 100."
        ),
    ] = None,
    mmr: Annotated[
        float | None,
        typer.Option(
            metavar="DIVERSITY",
            rich_help_panel=RANKING,
            help="Answers that are unlike each other: 0 is only near, 1 only unlike.",
        ),
    ] = None,
    strategy: Annotated[Strategy, typer.Option(rich_help_panel=RANKING, help="Of --recommend.")] = (
        Strategy.AVERAGE_VECTOR
    ),
    descending: Annotated[
        bool, typer.Option("--descending", rich_help_panel=RANKING, help="Of --order-by: the largest first.")
    ] = False,
    group_by: Annotated[
        str | None,
        typer.Option(metavar="KEY", rich_help_panel=RANKING, help="Groups of points with the same payload value."),
    ] = None,
    group_size: Annotated[int, typer.Option(rich_help_panel=RANKING, help="Points of each group.")] = 3,
    nprobe: Annotated[int | None, typer.Option(rich_help_panel=EFFORT, help="Lists to visit at most.")] = None,
    ef: Annotated[
        int | None, typer.Option(rich_help_panel=EFFORT, help="Candidates that a walk of a graph keeps.")
    ] = None,
    oversampling: Annotated[
        float | None, typer.Option(rich_help_panel=EFFORT, help="Candidates to rerank, as a multiple of -k.")
    ] = None,
    recall: Annotated[
        float | None, typer.Option(rich_help_panel=EFFORT, help="The share of the true nearest to find.")
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", rich_help_panel=EFFORT, help="Scan the stored vectors.")] = False,
    rescore: Annotated[
        bool, typer.Option(rich_help_panel=EFFORT, help="Score by better values than the index's codes.")
    ] = True,
    truncate_dim: Annotated[
        int | None, typer.Option(rich_help_panel=EFFORT, help="Compare this many leading components.")
    ] = None,
    block_factor: Annotated[
        float | None,
        typer.Option(
            rich_help_panel=EFFORT,
            help="The benefit of the doubt that blocks of sparse vectors are given; 1: none.",
        ),
    ] = None,
    indexed_only: Annotated[
        bool,
        typer.Option("--indexed-only", rich_help_panel=EFFORT, help="Leave out segments that wait for an index."),
    ] = False,
    allow_partial: Annotated[
        bool,
        typer.Option(
            "--allow-partial", rich_help_panel=EFFORT, help="When time runs out, answer from what was searched."
        ),
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", rich_help_panel=OUTPUT, help="Show what was searched, and how, as a tree.")
    ] = False,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan",
            rich_help_panel=OUTPUT,
            help="No answers: what would be done, and what it would cost.",
        ),
    ] = False,
    why_not: Annotated[
        str | None,
        typer.Option(metavar="ID", rich_help_panel=OUTPUT, help="No answers: why this point is not among them."),
    ] = None,
    payload: Annotated[bool, typer.Option(rich_help_panel=OUTPUT, help="Show payloads.")] = True,
    as_json: Json = False,
) -> None:
    """Print the points that a query finds.

    A query is a vector, a text or both: several of --vector, --text, --sparse and --multi are searched each and fused
    (hybrid search), or ranked by a --formula over their scores, score(0) the first as options are listed here. A value
    names its field where the collection has several of the kind: --vector title=q.npy --text body="white whale".

    Or it is a stored point (--id), examples (--recommend), an order, or a --request in full. --facet counts values.
    """  # fmt: skip
    way = way_of(ctx)
    with open_client(target) as db:
        handle = db.get_collection(collection)
        if facet is not None:
            counts = handle.facet(facet, filter=read_filter(filter), limit=k)
            show.show_facet(facet, counts, as_json)
            return
        found = request_of(handle, way, ctx.params)
        if plan:
            show.show_plan(handle._transport.explain(found), as_json)
        elif why_not is not None:
            one = one_that_exists(handle, why_not)
            show.show_why_not(one, handle._transport.why_not(found, one)[0], as_json)
        elif group_by is not None:
            groups = handle._transport.query_groups(GroupsRequest(found, group_by, group_size))
            show.show_groups(groups, show.score_name(found, handle.schema()), as_json)
        else:
            show.show_hits(handle._transport.query(found), show.score_name(found, handle.schema()), as_json)
