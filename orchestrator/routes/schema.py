"""The OpenAPI document: from the routes themselves and the structs that each says it reads and answers."""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from orchestrator.contract.api import ErrorEnvelope
from orchestrator.contract.job import Job
from orchestrator.contract.plan import Plan
from orchestrator.routes.wire import HttpRequest, answer

TEMPLATE = "#/components/schemas/{name}"
HIDDEN = "/api/v1/agents"
"""Agents and orchestrator are of one version: what they say to each other is no public contract."""


@get("/schema")
async def schema(request: HttpRequest) -> Response[bytes]:
    """The OpenAPI document of all public routes."""
    return await answer(request, document(list(public(request.app.routes))))


def public(routes: Sequence[Any]) -> Iterator[tuple[str, HTTPRouteHandler]]:
    """Each public path with one of its handlers."""
    for route in routes:
        if isinstance(route, HTTPRoute) and not route.path.startswith(HIDDEN):
            for handler in route.route_handlers:
                if handler.resolve_include_in_schema() and handler.http_methods != {"OPTIONS"}:
                    yield route.path_format, handler


def document(routes: Sequence[tuple[str, HTTPRouteHandler]]) -> dict[str, Any]:
    """The document. A handler names its structs in its `opt`: `query`, `body`, `answer`, and `other_answer` if it has two."""
    kinds = {kind for _, handler in routes for kind in named(handler).values()} | {ErrorEnvelope, Job, Plan}
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    schemas, components = msgspec.json.schema_components(ordered, ref_template=TEMPLATE)
    by_kind = dict(zip(ordered, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for path, handler in routes:
        for method in sorted(handler.http_methods - {"OPTIONS"}):
            paths.setdefault(path, {})[method.lower()] = operation(path, method, handler, by_kind, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Shoal", "version": "1"},
        "paths": paths,
        "components": {"schemas": components},
    }


def named(handler: HTTPRouteHandler) -> dict[str, Any]:
    """The structs of a handler, by what it does with them."""
    return {key: handler.opt[key] for key in ("query", "body", "answer", "other_answer") if key in handler.opt}


def operation(
    path: str, method: str, handler: HTTPRouteHandler, schemas: Mapping[Any, Any], components: Mapping[str, Any]
) -> dict[str, Any]:
    """One method of one path."""
    structs = named(handler)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": kind}}
        for name, kind in path_parts(handler, path)
    ]
    if "query" in structs:
        properties = components[structs["query"].__name__]["properties"]
        parameters += [{"name": name, "in": "query", "schema": one} for name, one in properties.items()]
    answers = [schemas[structs[key]] for key in ("answer", "other_answer") if key in structs] or [{"type": "object"}]
    content = {"application/json": {"schema": {"anyOf": answers} if len(answers) > 1 else answers[0]}}
    refusal = {"application/json": {"schema": schemas[ErrorEnvelope]}}
    described: dict[str, Any] = {
        "operationId": f"{handler.handler_name}_{method.lower()}",
        "summary": inspect.getdoc(handler.fn) or "",
        "parameters": parameters,
        "responses": {
            "200": {"description": "Done", "content": content},
            "429": {"description": "This address asks too much: more than 1000 requests a second", "content": refusal},
            "default": {"description": "Refused", "content": refusal},
        },
    }
    if "body" in structs:
        described["requestBody"] = {"content": {"application/json": {"schema": schemas[structs["body"]]}}}
    return described


def path_parts(handler: HTTPRouteHandler, path: str) -> list[tuple[str, str]]:
    """The parameters of a path, with their types."""
    kinds = handler.parsed_fn_signature.parameters
    return [(name, "integer" if kinds[name].annotation is int else "string") for name in re.findall(r"{(\w+)}", path)]
