"""`hitl-desktop knowledge`: search the tenant's documents."""

import click

from hitl_desktop.cli.output import plain, print_json
from hitl_desktop.cli.running import DONE, json_option, run, session, tenant_option


@click.group()
def knowledge() -> None:
    """Search the documents that agents left."""


@knowledge.command()
@click.argument("text")
@tenant_option
@json_option
def search(text: str, tenant: str | None, *, as_json: bool) -> int:
    """List the documents that hold every word of TEXT, then those near it in meaning."""
    return run(_search(text, tenant, as_json=as_json))


async def _search(text: str, tenant: str | None, *, as_json: bool) -> int:
    async with session(tenant) as opened:
        results = await opened.search(text)
        if as_json:
            documents = [
                {
                    "document_id": hit.document_id,
                    "collection": hit.collection,
                    "title": hit.title,
                    "path": hit.path,
                    "excerpt": hit.excerpt,
                    "by_meaning": hit.by_meaning,
                }
                for hit in results.hits
            ]
            told = {"tenant_id": opened.tenant_id, "keyword_only": results.keyword_only or None}
            print_json({**told, "documents": documents})
            return DONE
        for hit in results.hits:
            click.echo(f"{'≈ ' if hit.by_meaning else ''}{plain(hit.title)}\n    {plain(hit.excerpt)}")
            click.echo(f"    {plain(hit.path or hit.document_id)}")
        if not results.hits:
            click.echo("No document was found.")
        if results.keyword_only:
            click.echo(f"Keyword search: {results.keyword_only}.", err=True)
        return DONE
