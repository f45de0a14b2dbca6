"""The document of `/openapi.json` as a page: what is there, group by group, then every shape that is spoken of."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

Json = dict[str, Any]

_code = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the words for a type; `shape` is the name of what it links to, or nothing."""

    text: str
    shape: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter, or a member of a shape."""

    name: str
    kind: list[Piece]
    about: str
    is_needed: bool
    place: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """A status with what it means; `codes` are (code, meaning) of failures."""

    status: str
    phrase: str
    about: str
    kind: list[Piece]
    codes: list[tuple[str, str]]
    headers: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    anchor: str
    method: str
    path: str
    summary: str
    about: str
    key: str
    scopes: list[str]
    fields: list[Field]
    body: list[Piece]
    is_body_needed: bool
    replies: list[Reply]
    failures: list[Reply]


def make_page(document: Json) -> tuple[bytes, str]:
    """The page, and the content security policy under which it looks as it should."""
    style = resources.files("collector.web").joinpath("templates/reference.css").read_text()
    environment = Environment(
        loader=PackageLoader("collector.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["prose"] = prose
    groups = [(tag, list(operations(document, tag["name"]))) for tag in document["tags"]]
    html = environment.get_template("reference.html").render(
        info=document["info"],
        servers=[server["url"] for server in document["servers"]],
        groups=groups,
        shapes=[(name, schema, members(schema)) for name, schema in sorted(document["components"]["schemas"].items())],
        keys=document["components"]["securitySchemes"],
        style=Markup(style),  # noqa: S704 - our own file
    )
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return html.encode(), policy


def operations(document: Json, group: str) -> Iterator[Operation]:
    """What belongs to a group, in the order of the document."""
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            if group in said["tags"]:
                yield _operation(path, method, said)


def _operation(path: str, method: str, said: Json) -> Operation:
    body = said.get("requestBody")
    schemes = said["security"][0] if said["security"] else {}
    replies = [_reply(status, reply) for status, reply in said["responses"].items()]
    return Operation(
        anchor=said["operationId"],
        method=method.upper(),
        path=path,
        summary=said["summary"],
        about=said["description"],
        key=next(iter(schemes), ""),
        scopes=next(iter(schemes.values()), []),
        fields=[
            Field(each["name"], kind_of(each["schema"]), _about(each), each["required"], each["in"])
            for each in said["parameters"]
        ],
        body=kind_of(body["content"]["application/json"]["schema"]) if body else [],
        is_body_needed=bool(body and body["required"]),
        replies=[reply for reply in replies if not reply.codes],
        failures=[reply for reply in replies if reply.codes],
    )


def _reply(status: str, said: Json) -> Reply:
    content = next(iter(said.get("content", {}).items()), None)
    codes = re.findall(r"^- `(\w+)`: (.*)$", said["description"], re.MULTILINE)
    kind: list[Piece] = []
    if content is not None and not codes:
        media_type, shown = content
        kind = kind_of(shown["schema"]) if "schema" in shown else [Piece(media_type)]
    headers = [(name, header["description"]) for name, header in said.get("headers", {}).items()]
    return Reply(status, HTTPStatus(int(status)).phrase, "" if codes else said["description"], kind, codes, headers)


def members(schema: Json) -> list[Field]:
    """The members of an object."""
    needed = schema.get("required", ())
    return [
        Field(name, kind_of(each), _about(each), name in needed) for name, each in schema.get("properties", {}).items()
    ]


def _about(said: Json) -> str:
    text: str = said.get("description", "")
    schema = said.get("schema", said)
    default = schema.get("default")
    if default is None or default == "":
        return text
    shown = str(default).lower() if isinstance(default, bool) else default
    return f"{text} Default: `{shown}`.".strip()


def kind_of(schema: Json) -> list[Piece]:
    """The words for a type."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return [Piece(name, name)]
    for several in ("anyOf", "oneOf"):
        if several in schema:
            parts = [kind_of(part) for part in schema[several]]
            return [piece for part in parts for piece in (Piece(" or "), *part)][1:]
    if "enum" in schema:
        return [Piece(" | ".join(str(value) for value in schema["enum"]))]
    if schema.get("type") == "array":
        return [Piece("list of "), *kind_of(schema.get("items", {}))]
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return [Piece("object of "), *kind_of(schema["additionalProperties"])]
    return [Piece(_plain_kind(schema))]


def _plain_kind(schema: Json) -> str:
    kind = str(schema.get("format") or schema.get("type", "any JSON"))
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None and most < 2**53:
        return f"{kind}, {least} to {most}"
    if least is not None:
        return f"{kind}, at least {least}"
    return f"{kind}, up to {schema['maxLength']} characters" if "maxLength" in schema else kind


def prose(text: str) -> Markup:
    """Paragraphs, lists and `code` of a text as HTML; everything in it is text."""
    blocks = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = [str(_code.sub(r"<code>\1</code>", str(escape(line.strip())))) for line in block.splitlines()]
        if all(line.startswith("- ") for line in lines):
            blocks.append("<ul>" + "".join(f"<li>{line[2:]}</li>" for line in lines) + "</ul>")
        else:
            blocks.append("<p>" + " ".join(lines) + "</p>")
    return Markup("".join(blocks))  # noqa: S704 - every line was escaped
