"""Commands of the service: the API, the encryption worker, API keys, failover and journals."""

from __future__ import annotations

import click

from core.settings import load


@click.command()
@click.option(
    "--log-level", default="info", show_default=True, type=click.Choice(["debug", "info", "warning", "error"])
)
def service(log_level: str) -> None:
    """Serve the HTTP API.

    Needs the primary store ([store] url) and secrets (`heliograph init`). The mirror, the queue and the encryption
    service may be down at the start: the service says so and works on. The API is described at /schema.

    \b
    Examples:
      heliograph service
      HELIOGRAPH_API_PORT=9000 HELIOGRAPH_STORE_URL=mysql+pymysql://… heliograph service
    """
    import uvloop

    from core.log import configure
    from service.main import serve

    configure("service", level=log_level)
    uvloop.run(
        serve(load(), on_ready=lambda address: click.echo(f"Heliograph answers at {address}, see {address}/schema"))
    )


@click.command()
@click.option(
    "--log-level", default="info", show_default=True, type=click.Choice(["debug", "info", "warning", "error"])
)
def encryptor(log_level: str) -> None:
    """Encrypt phone numbers: take sealed ones from the queue, store what the encryption service makes of them.

    Several may run. While the encryption service is down the backlog waits on the stream, and drains later.
    """
    import uvloop

    from core.log import configure
    from service.main import work_on_numbers

    configure("encryptor", level=log_level)
    uvloop.run(work_on_numbers(load()))


@click.group()
def keys() -> None:
    """Make and end API keys."""


@keys.command()
@click.option("--app", required=True, help="Who it is for: the app's name in answers and charts.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(["send", "read", "operate"]),
    help="What it may do; give it several times.",
)
@click.option("--label", default="", help="A note for you.")
def create(app: str, scopes: tuple[str, ...], label: str) -> None:
    """Make a key and print it, once: only a hash of it is stored.

    \b
    Example:
      heliograph keys create --app shop --scope send --scope read
    """
    import asyncio

    from service.main import create_key

    key, key_id = asyncio.run(create_key(load(), app=app, scopes=frozenset(scopes), label=label))
    click.echo(key)
    click.echo(f"Keep it now, it is not shown again. To end it: heliograph keys revoke {key_id}", err=True)


@keys.command()
@click.argument("key_or_id")
def revoke(key_or_id: str) -> None:
    """End a key, given itself or the id that was printed when it was made.

    Instances of the service believe it for up to `api.key_cache_seconds` more.
    """
    import asyncio

    from service.main import revoke_key

    asyncio.run(revoke_key(load(), key_or_id))
    click.echo("The key counts no longer.")
