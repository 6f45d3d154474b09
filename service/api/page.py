"""The OpenAPI document, and a page made from it on the server.

The pages that come with the framework load their scripts from the network; a product for closed networks cannot.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, select_autoescape
from litestar import MediaType, Request, get
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import FromPath

from service.api import problems
from service.api.pressure import UNCOUNTED
from service.errors import UnknownRequest

_READING_ORDER = ("Verifications", "Messages", "Providers", "Operating")
_METHODS = ("get", "post", "put", "patch", "delete")


class Page(OpenAPIRenderPlugin):
    """Every operation with its fields, an example and its errors, as one HTML page without scripts."""

    def __init__(self) -> None:
        super().__init__(path="/", favicon="", style="")
        environment = Environment(loader=PackageLoader("service.api", "."), autoescape=select_autoescape(["j2"]))
        self._template = environment.get_template("page.html.j2")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        groups: dict[str, list[dict[str, Any]]] = {}
        for path, item in sorted(openapi_schema["paths"].items()):
            for method in _METHODS:
                if method in item:
                    operation = _operation(path, method, item[method], openapi_schema)
                    groups.setdefault(operation["tag"], []).append(operation)
        groups = dict(sorted(groups.items(), key=lambda group: _place(group[0])))
        text = self._template.render(
            groups=groups, info=openapi_schema["info"], problems=problems.TABLE, http_problems=problems.HTTP_TABLE
        )
        return text.encode()


@get("/problems/{slug:str}", opt={UNCOUNTED: True}, include_in_schema=False, media_type=MediaType.JSON)
async def problem_page(slug: FromPath[str]) -> dict[str, Any]:
    """What a problem type means: where `type` in a problem document leads."""
    for row in problems.TABLE:
        if row.slug == slug:
            meaning = (row.error.__doc__ or "").partition("\n")[0]
            return {"type": f"/problems/{slug}", "status": row.status, "title": row.title, "meaning": meaning}
    for status, (name, title) in problems.HTTP_TABLE.items():
        if name == slug:
            return {"type": f"/problems/{slug}", "status": status, "title": title, "meaning": title}
    raise UnknownRequest("no problem has this name")


def openapi() -> OpenAPIConfig:
    """The OpenAPI document at /schema/openapi.json, the page at /schema."""
    return OpenAPIConfig(
        title="Heliograph",
        version=version("heliograph"),
        description="Send and check SMS verification codes, send messages, and take receipts from providers.",
        path="/schema",
        render_plugins=[Page(), JsonRenderPlugin(path="/openapi.json")],
        security=[{"key": []}],
        components=Components(
            security_schemes={"key": SecurityScheme(type="http", scheme="bearer", description="An API key")}
        ),
        use_handler_docstrings=True,
        create_examples=False,
    )


def _place(tag: str) -> int:
    """What most readers come for stands first."""
    return _READING_ORDER.index(tag) if tag in _READING_ORDER else len(_READING_ORDER)


def _operation(path: str, method: str, operation: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    return {
        "path": path,
        "method": method.upper(),
        "tag": operation.get("tags", ["Other"])[0],
        "summary": operation.get("summary", ""),
        "description": operation.get("description", ""),
        "fields": _fields(body, schema) if body else [],
        "example": _example(body, schema) if body else "",
        "responses": sorted(operation.get("responses", {}).items()),
        "has_key": path.startswith("/v1/") and "Providers" not in operation.get("tags", []),
    }


def _fields(body: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    struct = _resolved(body, schema)
    required = struct.get("required", [])
    return [
        {
            "name": name,
            "required": name in required,
            "kind": _kind(row),
            "description": row.get("description", ""),
        }
        for name, row in struct.get("properties", {}).items()
    ]


def _example(body: dict[str, Any], schema: dict[str, Any]) -> str:
    struct = _resolved(body, schema)
    properties = struct.get("properties", {})
    required = {name: _sample(properties[name]) for name in struct.get("required", [])}
    return msgspec.json.format(msgspec.json.encode(required), indent=2).decode()


def _sample(row: dict[str, Any]) -> object:
    examples = row.get("examples")
    if examples:
        return examples[0] if isinstance(examples, list) else next(iter(examples.values()))
    if "enum" in row:
        return row["enum"][0]
    return "…" if row.get("type") == "string" else 1


def _kind(row: dict[str, Any]) -> str:
    if "enum" in row:
        return " | ".join(map(str, row["enum"]))
    kinds = [option.get("type", "") for option in row.get("oneOf", [])] or [row.get("type", "")]
    return " or ".join(filter(None, map(str, kinds)))


def _resolved(row: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = row.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = schema["components"]["schemas"][name] if name else row
    return found
