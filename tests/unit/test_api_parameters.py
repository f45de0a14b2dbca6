"""Parameters and bodies of the API are read as their types say, and endpoints cannot be declared without a scope."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any, Literal

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from collector.web.api import ENDPOINTS
from collector.web.api.access import Problem
from collector.web.api.body import parse_body
from collector.web.api.cursors import cursor, read_cursor
from collector.web.api.endpoint import Endpoint
from collector.web.api.parameters import EntityId, read_path, read_query

ID = "01890a5d-ac96-774b-bcce-b302099a8057"


class Filter(Struct, frozen=True, rename={"visit": "globalVisitID"}):
    age: Annotated[int, Meta(ge=0, le=9000)] | None = None
    state: Literal["Anonymous", "Recognized"] | None = None
    visit: EntityId | None = None
    url: Annotated[str, Meta(max_length=20)] | None = None
    include: bool = False


class Needed(Struct):
    one: str
    two: int = 2


def read(query: str, kind: Any = Filter) -> Any:
    return read_query(make_mocked_request("GET", f"/x?{query}"), kind)


def problem(query: str, kind: Any = Filter) -> tuple[str, str | None, str]:
    with pytest.raises(Problem) as caught:
        read(query, kind)
    return caught.value.code, caught.value.field, str(caught.value.message)


def test_a_query_is_read_by_the_names_on_the_wire() -> None:
    assert read("") == Filter()
    assert read(f"age=60&state=Anonymous&globalVisitID={ID.upper()}&url=/a%20b&include=true") == Filter(
        60, "Anonymous", ID, "/a b", True
    )


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *((f"age={age}", "age") for age in ("-1", "9001", "1.0", "1e3", "", "%D9%A5", "+1", "0x1", " 1", "9" * 50)),
        *((f"state={state}", "state") for state in ("anonymous", "", "Unknown")),
        *((f"globalVisitID={text}", "globalVisitID") for text in ("1", "", "00000000-0000-0000-0000-000000000000")),
        *((f"url={text}", "url") for text in ("%00", "a" * 21, "a%1Fb")),
        *((f"include={text}", "include") for text in ("1", "True", "yes", "")),
        ("age=1&age=1", "age"),
        ("visit=1", None),
        ("AGE=1", None),
        ("start=x", None),
    ],
)
def test_a_slip_is_refused_and_named_where_the_name_is_ours(query: str, field: str | None) -> None:
    code, named, message = problem(query)
    assert (code, named) == ("invalid_parameter", field)
    assert "9001" not in message
    assert "Unknown" not in message


def test_a_parameter_that_is_needed_is_named() -> None:
    assert problem("two=3", Needed)[:2] == ("invalid_parameter", "one")
    assert read("one=1", Needed) == Needed("1", 2)


def test_parameters_of_the_path_have_types_too() -> None:
    def match(**values: str) -> Any:
        request = make_mocked_request("GET", "/x")
        request._match_info = values  # type: ignore[assignment]
        return request

    types = {"visit_id": EntityId}
    assert read_path(match(visit_id=ID.upper(), name="a b"), types) == {"visit_id": ID, "name": "a b"}
    for values in ({"visit_id": "x"}, {"name": "\0"}, {"name": "\ud800"}):
        with pytest.raises(Problem) as caught:
            read_path(match(**values), types)
        assert [caught.value.field] == list(values)


@given(
    st.lists(st.integers(-(2**63) + 1, 2**63 - 1) | st.text(st.characters(min_codepoint=32, codec="utf-8")), max_size=4)
)
def test_a_cursor_is_read_as_it_was_made(parts: list[int | str]) -> None:
    text = cursor(*parts)
    assert text.isascii()
    assert not set(text) & set("=&?#/+% ")
    assert read_cursor(text, tuple(type(part) for part in parts)) == tuple(parts)


def test_a_cursor_of_another_list_is_refused_by_name() -> None:
    for parts in ((), (1,), ("a", ID), (1, ID, 2), (1, 2), (2**63, ID), (1, ID.upper()), (1, "x")):
        with pytest.raises(Problem) as caught:
            read_cursor(cursor(*parts), (int, EntityId), "page_start")
        assert caught.value.field == "page_start"
    assert read_cursor(cursor(1, ID), (int, EntityId)) == (1, ID)
    assert read_cursor(None, (int,)) is None


@given(st.text() | st.binary(max_size=30).map(lambda raw: raw.decode("latin-1")))
def test_whatever_is_sent_as_a_cursor_is_read_or_refused(text: str) -> None:
    with suppress(Problem):
        assert read_cursor(text, (int, str)) is not None


@pytest.mark.parametrize(
    ("data", "code", "field"),
    [
        (b"{}", "invalid_parameter", "one"),
        (b'{"one":1}', "invalid_parameter", "one"),
        (b'{"one":"a","two":"b"}', "invalid_parameter", "two"),
        (b'{"one":"a","two":' + b"[" * 40 + b"]" * 40 + b"}", "invalid_parameter", "two"),
        (b'{"one":"' + b"x" * 40_000 + b'"}', "invalid_parameter", "one"),
        (b'{"other":"' + b"x" * 40_000 + b'"}', "invalid_parameter", None),
        (b"[]", "malformed_json", None),
        (b'{"one":NaN}', "malformed_json", None),
        (b"", "malformed_json", None),
    ],
)
def test_a_body_that_is_none_is_refused_and_its_member_named(data: bytes, code: str, field: str | None) -> None:
    with pytest.raises(Problem) as caught:
        parse_body(data, Needed)
    assert (caught.value.code, caught.value.field) == (code, field)


def test_no_endpoint_comes_about_without_a_scope() -> None:
    known = ENDPOINTS[0]
    for scope in (None, "admin", ""):
        with pytest.raises(TypeError, match="needs a scope"):
            Endpoint("GET", "/x", known.handler, "Anything", scope)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Endpoint("GET", "/x", known.handler, "Anything")  # type: ignore[call-arg]
