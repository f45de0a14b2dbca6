"""The addresses of the collector as a document of OpenAPI 3.1, made of the descriptions that handlers are built on."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from types import UnionType
from typing import Any, NotRequired, TypedDict, get_args, is_typeddict

import msgspec

from collector import __version__
from collector.domain.keys import SCOPE_TEXT, Scope
from collector.web.api.access import MORE_MEANINGS
from collector.web.api.body import AnyBody
from collector.web.api.endpoint import Endpoint
from collector.web.api.shapes import Id
from collector.web.errors import MEANINGS, Meaning
from collector.web.surface import Address, Audience

Json = dict[str, Any]

SUMMARY = "Recognise the visitors of a web site, and record durably what they do."
ABOUT = """Ids are UUIDs in canonical text, times milliseconds since 1970 UTC. A success means that what was sent is
stored.

A request that fails as a whole is answered with one shape of error; `retryable` says whether to keep what was sent and
try again, after `Retry-After` seconds where that header is given. What was sent is never repeated in an answer."""

AUDIENCES = {
    Audience.PAGE: ("Pages", "With the write key of a site, which is public: it permits adding events, nothing else."),
    Audience.SCRIPT: ("The SDK", "What any page may load."),
    Audience.OPERATOR: ("Operating", "For whoever runs the collector."),
    Audience.READER: ("This document", "For programs and for people."),
}
GROUPS = {
    "profiles": ("People", "Who somebody is, why, what they did; and erasing them."),
    "merges": ("Merges", "The journal of who was found to be one person, and undoing it."),
    "apart": ("Merges", "The journal of who was found to be one person, and undoing it."),
    "identify": ("Identifying", "A site's server says who somebody is, which outranks what browsers say."),
    "quarantine": ("Quarantine", "What was refused and why, trying it again, dropping it."),
    "keys": ("Keys", "Secret keys and what each opens."),
    "interactions": ("Interactions", "Conversations, and whom they are held to be with."),
    "data": ("History", "Visits, pages, events, sessions and identities."),
    "visitors": ("History", "Visits, pages, events, sessions and identities."),
}

# What any request to an address for servers may get, and what one with a body may get besides.
OF_EVERY_ADDRESS = ("malformed_request", "internal")  # the first also where a URL is longer than 8 KiB
OF_EVERY_ENDPOINT = (
    *OF_EVERY_ADDRESS, "invalid_parameter", "unauthorized", "site_disabled", "scope_missing", "rate_limited",
    "storage_unavailable",
)  # fmt: skip
OF_EVERY_BODY = (
    "malformed_json", "malformed_gzip", "request_timeout", "body_too_large", "unsupported_media_type",
    "unsupported_encoding",
)  # fmt: skip


class ErrorShape(TypedDict):
    """Why a request failed. Beside `field`, further members help a program to go on."""

    code: str
    message: str
    request_id: str
    retryable: bool
    field: NotRequired[str]
    scope: NotRequired[str]
    merges: NotRequired[list[int]]
    kind: NotRequired[str]
    profile_id: NotRequired[Id]


class Failure(TypedDict):
    """The answer to every request that fails as a whole."""

    error: ErrorShape


class Schemas:
    """JSON schemas of all types that the addresses speak of; what has a name is a component."""

    def __init__(self, annotations: Iterable[Any]) -> None:
        distinct = list(dict.fromkeys(annotations))
        made, self.components = msgspec.json.schema_components(distinct, ref_template="#/components/schemas/{name}")
        self._of = dict(zip(distinct, made, strict=True))

    def of(self, annotation: Any) -> Json:
        """The schema of a type."""
        several = [self._of[part] for part in _parts(annotation)]
        return several[0] if len(several) == 1 else {"anyOf": several}


def make_document(addresses: Sequence[Address], endpoints: Sequence[Endpoint], prefix: str) -> Json:
    """The whole document; `prefix` is where the paths of these addresses begin."""
    schemas = Schemas(_annotations(addresses, endpoints))
    paths: dict[str, Json] = {}
    groups: dict[str, str] = {}
    everything: tuple[Endpoint | Address, ...] = (*endpoints, *addresses)
    for each in everything:
        name, about = _group(each)
        groups[name] = about
        operation = _endpoint(each, schemas) if isinstance(each, Endpoint) else _address(each, schemas)
        common = {
            "operationId": "_".join([each.method.lower(), *re.findall(r"\w+", each.path)]),
            "summary": each.summary,
            "description": inspect.getdoc(each.handler),
            "tags": [name],
        }
        paths.setdefault(each.path, {})[each.method.lower()] = common | operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Regulars", "version": __version__, "summary": SUMMARY, "description": ABOUT},
        "servers": [{"url": prefix or "/"}],
        "tags": [{"name": name, "description": about} for name, about in groups.items()],
        "paths": paths,
        "components": {"schemas": schemas.components, "securitySchemes": _security_schemes()},
    }


def meaning_of(code: str) -> Meaning:
    """Status and sentence of a failure's code."""
    return MORE_MEANINGS.get(code) or MEANINGS[code]


def _annotations(addresses: Sequence[Address], endpoints: Sequence[Endpoint]) -> Iterator[Any]:
    yield from (Failure, str)
    everything: tuple[Endpoint | Address, ...] = (*endpoints, *addresses)
    for each in everything:
        yield from (field.type for field in msgspec.structs.fields(each.query))
        yield each.body
        if isinstance(each, Endpoint):
            yield from _parts(each.reply)
            yield from each.path_types.values()
        else:
            yield from (answer.body for answer in each.answers)


def _parts(annotation: Any) -> tuple[Any, ...]:
    """A union of two shapes as both: msgspec knows none, for it could not tell them apart when decoding."""
    parts = get_args(annotation) if isinstance(annotation, UnionType) else ()
    return parts if parts and all(map(is_typeddict, parts)) else (annotation,)


def _group(each: Endpoint | Address) -> tuple[str, str]:
    if isinstance(each, Address):
        return AUDIENCES[each.audience]
    segment = each.path.split("/")[2 if each.path.startswith(("/backend/", "/server/")) else 3]
    return GROUPS.get(segment, (segment.capitalize(), ""))


def _endpoint(each: Endpoint, schemas: Schemas) -> Json:
    codes = [*OF_EVERY_ENDPOINT, *(OF_EVERY_BODY if each.body is not None else ()), *each.errors]
    success: Json = {"description": HTTPStatus(each.status).phrase}
    if each.reply is not None:
        success["content"] = {"application/json": {"schema": schemas.of(each.reply)}}
    if each.headers:
        success["headers"] = {
            name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in each.headers.items()
        }
    responses = {str(each.status): success}
    if each.may_be_empty:
        responses["204"] = {"description": "Nothing matches."}
    return {
        "security": [{"secretKey": [str(each.scope)]}],
        "parameters": [*_path_parameters(each.path, each.path_types, schemas), *_query(each.query, schemas)],
        **({} if each.body is None else {"requestBody": _body(each.body, schemas)}),
        "responses": responses | _failures(codes, each.path),
    }


def _address(each: Address, schemas: Schemas) -> Json:
    responses = {}
    for answer in each.answers:
        content: Json = {"schema": schemas.of(answer.body)} if answer.body is not None else {}
        shown = {"content": {answer.media_type: content}} if answer.media_type else {}
        responses[str(answer.status)] = {"description": answer.meaning, **shown}
    return {
        "security": [{"writeKey": []}] if each.is_keyed else [],
        "parameters": [*_path_parameters(each.path, {}, schemas), *_query(each.query, schemas)],
        **({} if each.body is None else {"requestBody": _body(each.body, schemas)}),
        "responses": _failures((*each.errors, *OF_EVERY_ADDRESS), each.path) | responses,
    }


def _path_parameters(path: str, types: Any, schemas: Schemas) -> list[Json]:
    names = re.findall(r"\{(\w+)\}", path)
    return [_parameter(name, "path", dict(schemas.of(types.get(name, str)))) for name in names]


def _query(kind: type[msgspec.Struct], schemas: Schemas) -> list[Json]:
    parameters = []
    for field in msgspec.structs.fields(kind):
        schema = _without_null(schemas.of(field.type))
        if not field.required and field.default is not None:
            schema["default"] = field.default
        parameters.append(_parameter(field.encode_name, "query", schema, is_required=field.required))
    return parameters


def _parameter(name: str, where: str, schema: Json, *, is_required: bool = True) -> Json:
    about = {"description": schema.pop("description")} if "description" in schema else {}
    return {"name": name, "in": where, "required": is_required, **about, "schema": schema}


def _without_null(schema: Json) -> Json:
    """A parameter that may be left out has no null."""
    said = [part for part in schema.get("anyOf", ()) if part != {"type": "null"}]
    return dict(said[0]) if len(said) == 1 else dict(schema)


def _body(kind: Any, schemas: Schemas) -> Json:
    if kind is AnyBody:
        return {"required": False, "content": {"application/json": {"schema": {}}}}
    schema = schemas.of(kind)
    text = {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}
    return {"required": True, "content": {"application/json": {"schema": schema}, "text/plain": {"schema": text}}}


def _failures(codes: Iterable[str], path: str) -> Json:
    """Responses by status. Whatever is in the path may be written so that there is nothing at that address."""
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys([*codes, *(["not_found"] if "{" in path else [])]):
        by_status.setdefault(meaning_of(code).status, []).append(code)
    return {str(status): _failure(of_status) for status, of_status in sorted(by_status.items())}


def _failure(codes: list[str]) -> Json:
    of_these = {"properties": {"error": {"properties": {"code": {"enum": codes}}}}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Failure"}, of_these]}
    about = "\n".join(f"- `{code}`: {meaning_of(code).message}" for code in codes)
    response: Json = {"description": about, "content": {"application/json": {"schema": schema}}}
    if any(meaning_of(code).is_retryable for code in codes):
        response["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return response


def _security_schemes() -> Json:
    scopes = "\n".join(f"- `{scope}`: {SCOPE_TEXT[scope]}" for scope in Scope)
    return {
        "secretKey": {
            "type": "http",
            "scheme": "bearer",
            "description": f"A secret key of the site, for servers only. It opens what its scopes say:\n\n{scopes}",
        },
        "writeKey": {
            "type": "apiKey",
            "in": "query",
            "name": "site",
            "description": "The write key of the site, which is public.",
        },
    }
