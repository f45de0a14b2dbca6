"""Holds replies against the document that the collector gives of itself: status, media type, headers and shape."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from openapi_schema_validator import OAS31Validator

from collector.web.api import ENDPOINTS
from collector.web.openapi import make_document
from collector.web.routes import ADDRESSES

METHODS = {"get", "post", "put", "patch", "delete", "options"}


@cache
def document() -> dict[str, Any]:
    return make_document(ADDRESSES, ENDPOINTS, "")


def operation_of(method: str, path: str) -> dict[str, Any] | None:
    """What the document says of this method and path, None for an address or a method that there is not."""
    for template, methods in document()["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) and method.lower() in methods:
            operation: dict[str, Any] = methods[method.lower()]
            if "{" not in template or path not in document()["paths"]:
                return operation
    return None


def check_reply(method: str, path: str, status: int, media_type: str, body: Any) -> None:
    """Fail unless the document speaks of this reply; `body` is the decoded JSON, None for anything else."""
    operation = operation_of(method, path)
    if operation is None:
        assert status in (404, 405), f"{method} {path} is not in the document, and answered {status}"
        return
    where = f"{method} {path} {status}"
    assert str(status) in operation["responses"], f"{where} is undocumented"
    content = operation["responses"][str(status)].get("content", {})
    if body is None:
        return
    assert media_type in content, f"{where}: {media_type} is undocumented"
    errors = [
        f"{error.json_path}: {error.message}"
        for error in _validator(method, operation["operationId"], status).iter_errors(body)
    ]
    assert not errors, f"{where}: {errors}"


@cache
def _validator(method: str, operation_id: str, status: int) -> Any:
    operation = next(
        methods[method.lower()]
        for methods in document()["paths"].values()
        if methods.get(method.lower(), {}).get("operationId") == operation_id
    )
    schema = operation["responses"][str(status)]["content"]["application/json"].get("schema", {})
    return OAS31Validator({**_closed(schema), "components": _closed(document()["components"]), "$schema": ""})


def _closed(schema: Any) -> Any:
    """The schema with objects that may have no other members than those that are described."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(each) for name, each in schema.items()}
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed
