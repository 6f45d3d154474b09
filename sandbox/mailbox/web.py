"""The web side: the list of mails, and a page a mail. A mail's HTML runs no script and fetches nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, tzinfo
from typing import Any
from urllib.parse import quote

import jinja2
from litestar import Litestar, MediaType, Request, Response, get
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from sandbox.errors import MailMissing
from sandbox.mailbox.store import Mail, MailFolder, Part, Summary

LIST_MAX = 200
_OPENING = re.compile(r"\s*(?:<!doctype[^>]*>\s*)?(?:<html[^>]*>\s*)?(?:<head[^>]*>)?", re.IGNORECASE)

# For our own pages: nothing from elsewhere, the one style sheet and the one script by name.
_PAGE_POLICY = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; frame-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# For a mail's HTML: pictures that came with it, its own styles, no script, no request to anyone. `allow-same-origin`
# lets our page measure its height and is harmless without scripts.
_MAIL_SANDBOX = "allow-same-origin allow-popups allow-popups-to-escape-sandbox"
_MAIL_POLICY = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox {_MAIL_SANDBOX}"
_ALWAYS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


class Pages:
    """Fills in the templates. `zone` is the local time to show beside UTC; None takes the machine's."""

    def __init__(self, *, zone: tzinfo | None) -> None:
        self._templates = _templates(zone)

    def page(self, name: str, **values: object) -> Response[str]:
        """A page of ours, which nothing from elsewhere may enter."""
        text = self._templates.get_template(name).render(**values)
        return Response(text, media_type=MediaType.HTML, headers={**_ALWAYS, "Content-Security-Policy": _PAGE_POLICY})

    def asset(self, name: str, media_type: str) -> Response[str]:
        """A file beside the templates, as it is."""
        assert self._templates.loader is not None
        source, _, _ = self._templates.loader.get_source(self._templates, name)
        return Response(source, media_type=media_type, headers=_ALWAYS)

    def problem(self, _request: Request[Any, Any, Any], error: Exception) -> Response[str]:
        """What cannot be shown, with the way back."""
        status = error.status_code if isinstance(error, HTTPException) else 404
        message = error.detail if isinstance(error, HTTPException) else str(error)
        response = self.page("missing.html.j2", message=message, hint=getattr(error, "hint", ""))
        response.status_code = status
        return response


def create_app(
    folder: MailFolder, *, smtp_address: str, zone: tzinfo | None = None, lifespan: Lifespan | None = None
) -> Litestar:
    """The web side. `smtp_address` is what an empty list tells people to send to."""
    pages = Pages(zone=zone)
    return Litestar(
        [*_list_handlers(folder, pages, smtp_address), *_mail_handlers(folder, pages), *_asset_handlers(pages)],
        exception_handlers={MailMissing: pages.problem, HTTPException: pages.problem},
        lifespan=[lifespan] if lifespan else [],
        openapi_config=None,
        logging_config=None,
    )


def _list_handlers(folder: MailFolder, pages: Pages, smtp_address: str) -> list[HTTPRouteHandler]:
    @get("/", sync_to_thread=True)
    def index() -> Response[str]:
        mails = folder.list(limit=LIST_MAX)
        return pages.page("list.html.j2", mails=mails, smtp_address=smtp_address, limit=LIST_MAX)

    @get("/rows", sync_to_thread=True)
    def rows() -> Response[str]:
        mails = folder.list(limit=LIST_MAX)
        return pages.page("rows.html.j2", mails=mails, smtp_address=smtp_address, limit=LIST_MAX)

    @get("/mails.json", sync_to_thread=True)
    def listed() -> list[dict[str, str | int]]:
        return [_as_json(mail) for mail in folder.list(limit=LIST_MAX)]

    return [index, rows, listed]


def _mail_handlers(folder: MailFolder, pages: Pages) -> list[HTTPRouteHandler]:
    @get("/mails/{mail_id:str}", sync_to_thread=True)
    def show(mail_id: FromPath[str]) -> Response[str]:
        return pages.page("mail.html.j2", mail=folder.get(mail_id), sandbox=_MAIL_SANDBOX)

    @get("/mails/{mail_id:str}/html", sync_to_thread=True)
    def html(mail_id: FromPath[str]) -> Response[str]:
        content = folder.get(mail_id).html
        if content is None:
            raise MailMissing("this mail has no HTML part")
        return Response(
            _links_outside(content),
            media_type=MediaType.HTML,
            headers={**_ALWAYS, "Content-Security-Policy": _MAIL_POLICY},
        )

    @get("/mails/{mail_id:str}/parts/{index:int}", sync_to_thread=True)
    def part(mail_id: FromPath[str], index: FromPath[int]) -> Response[bytes]:
        found = _part(folder.get(mail_id), index)
        return _download(found.content, found.name, found.content_type)

    @get("/mails/{mail_id:str}/raw", sync_to_thread=True)
    def raw(mail_id: FromPath[str]) -> Response[bytes]:
        return Response(folder.raw(mail_id), media_type="text/plain; charset=utf-8", headers=_ALWAYS)

    @get("/mails/{mail_id:str}/download", sync_to_thread=True)
    def download(mail_id: FromPath[str]) -> Response[bytes]:
        return _download(folder.raw(mail_id), f"{mail_id}.eml", "message/rfc822")

    return [show, html, part, raw, download]


def _asset_handlers(pages: Pages) -> list[HTTPRouteHandler]:
    @get("/mailbox.css", sync_to_thread=False)
    def style() -> Response[str]:
        return pages.asset("mailbox.css", "text/css")

    @get("/mailbox.js", sync_to_thread=False)
    def script() -> Response[str]:
        return pages.asset("mailbox.js", "text/javascript")

    @get("/healthz", sync_to_thread=False)
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return [style, script, healthz]


def _templates(zone: tzinfo | None) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sandbox.mailbox"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["local"] = lambda at: _written(at.astimezone(zone))
    environment.filters["utc"] = lambda at: _written(at.astimezone(UTC))
    environment.tests["elsewhere"] = lambda at: bool(at.astimezone(zone).utcoffset())  # local time is not UTC
    environment.filters["size"] = _size
    return environment


def _links_outside(html: str) -> str:
    """Links open beside the mailbox, not in its frame. Put after a doctype, which counts only when it comes first."""
    start = _OPENING.match(html)
    at = start.end() if start else 0
    return f'{html[:at]}<base target="_blank">{html[at:]}'


def _as_json(mail: Summary) -> dict[str, str | int]:
    return {
        "id": mail.id,
        "received_at": mail.received_at.isoformat(),
        "from": mail.sender,
        "to": mail.recipients,
        "subject": mail.subject,
        "attachments": mail.attachments,
    }


def _written(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S %Z")


def _size(count: int) -> str:
    return (
        f"{count} B" if count < 1024 else f"{count / 1024:.0f} KiB" if count < 1024**2 else f"{count / 1024**2:.1f} MiB"
    )


def _part(mail: Mail, index: int) -> Part:
    for part in mail.parts:
        if part.index == index:
            return part
    raise MailMissing("this mail has no such part")


def _download(content: bytes, name: str, content_type: str) -> Response[bytes]:
    headers = {
        **_ALWAYS,
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return Response(content, media_type=content_type, headers=headers)
