"""What clients send that is JSON, is not, or is a matter of opinion; and gzip and headers in all conditions.

Own texts, arranged like the well-known suites: what a strict parser must reject, what it must accept, and what is left
to each implementation, with what this one decided.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from typing import Any

MUST_REJECT = {
    "nothing": b"",
    "only spaces": b" \n",
    "two values": b"1 2",
    "trailing comma in a list": b"[1,]",
    "leading comma": b"[,1]",
    "two commas": b"[1,,2]",
    "no comma": b"[1 2]",
    "trailing comma in an object": b'{"a":1,}',
    "colon in a list": b'["a":1]',
    "no colon": b'{"a" 1}',
    "no value": b'{"a":}',
    "no key": b"{:1}",
    "key without quotes": b"{a:1}",
    "number as key": b"{1:1}",
    "single quotes": b"{'a':1}",
    "open list": b"[1",
    "open object": b'{"a":1',
    "open text": b'"a',
    "closed too often": b"[1]]",
    "wrong bracket": b"[1}",
    "star": b"*",
    "comment": b"[1/* one */]",
    "line comment": b"[1] // one",
    "hash comment": b"# one\n1",
    "capital True": b"True",
    "half a word": b"nul",
    "undefined": b"undefined",
    "NaN": b"NaN",
    "-NaN": b"-NaN",
    "Infinity": b"Infinity",
    "-Infinity": b"-Infinity",
    "plus": b"+1",
    "only minus": b"-",
    "two minuses": b"--1",
    "leading zero": b"01",
    "leading zero, negative": b"-01",
    "leading point": b".5",
    "trailing point": b"5.",
    "point and exponent": b"5.e3",
    "no exponent": b"1e",
    "no exponent after sign": b"1e+",
    "two exponents": b"1e2e3",
    "hexadecimal": b"0x1F",
    "octal": b"0o17",
    "underscore": b"1_000",
    "full-width digit": "１".encode(),
    "big number suffix": b"1n",
    "raw tab in a text": b'"a\tb"',
    "raw newline in a text": b'"a\nb"',
    "raw NUL in a text": b'"a\x00b"',
    "unknown escape": rb'"\x41"',
    "escaped quote of the other kind": rb'"\'"',
    "escape of nothing": b'"\\',
    "short unicode escape": rb'"\u12"',
    "no hexadecimal escape": rb'"\uXYZW"',
    "capital unicode escape": rb'"\U0041"',
    "form feed between values": b"[1,\x0c2]",
    "no-break space between values": "[1,\u00a02]".encode(),
    "byte order mark": b"\xef\xbb\xbf1",
    "invalid UTF-8": b'"\xff"',
    "overlong UTF-8": b'"\xc0\xaf"',
    "half a character": b'"\xe2\x82"',
    "surrogate in UTF-8": b'"\xed\xa0\x80"',
    "beyond Unicode": b'"\xf4\x90\x80\x80"',
    "UTF-16": '{"a":1}'.encode("utf-16-le"),
    "NUL after the end": b"1\x00",
    "HTML": b"<html>",
    "form": b"a=1&b=2",
}

ALL_OF_UNICODE = "é€😀\u2028\u2029\x7f\x80\uffff\U0010ffff"

# Text to what it must be read back as.
MUST_ACCEPT: dict[str, tuple[bytes, Any]] = {
    "null": (b"null", None),
    "true and false": (b"[true,false]", [True, False]),
    "empty containers": (b'[[],{},""]', [[], {}, ""]),
    "empty key": (b'{"":0}', {"": 0}),
    "spaces of every kind": (b" [ 1 ,\t2\r\n] ", [1, 2]),
    "numbers": (b"[0,-0.0,1,-1,1.5,1E3,1e-3,1.0e+2]", [0, -0.0, 1, -1, 1.5, 1000.0, 0.001, 100.0]),
    "largest exact integers": (b"[9007199254740991,-9007199254740991]", [2**53 - 1, -(2**53) + 1]),
    "escapes": (rb'"\"\\\/\n\r\t\u0041\u00e9\u20AC"', '"\\/\n\r\tAé€'),
    "pair of surrogates": (rb'"\ud83d\ude00"', "😀"),
    "all of Unicode": (
        '"é€😀\u2028\u2029\u007f\u0080\uffff\U0010ffff"'.encode(),
        "é€😀\u2028\u2029\x7f\x80\uffff\U0010ffff",
    ),
    "non-characters": ('"\ufdd0\ufffe"'.encode(), "\ufdd0\ufffe"),
    "what looks like code": (b'"</script><!--\'; DROP TABLE events;--"', "</script><!--'; DROP TABLE events;--"),
    "names with a meaning elsewhere": (
        b'{"__proto__":{"a":1},"constructor":2,"$where":3}',
        {"__proto__": {"a": 1}, "constructor": 2, "$where": 3},
    ),
    "28 levels": (b"[" * 28 + b"]" * 28, eval("[" * 28 + "]" * 28)),
}

# Text to what is read back, and the warning that it is flagged with, if any.
OURS_TO_DECIDE: dict[str, tuple[bytes, Any, str | None]] = {
    "lone high surrogate": (rb'"a\ud800b"', "a\ufffdb", "replaced_characters"),
    "lone low surrogate": (rb'"\uDC00"', "\ufffd", "replaced_characters"),
    "surrogates the wrong way round": (rb'"\udc00\ud800"', "\ufffd\ufffd", "replaced_characters"),
    "escaped NUL": (rb'"a\u0000b"', "a\ufffdb", "replaced_characters"),
    "escaped controls": (rb'"\b\f\u0001\u001f"', "\ufffd" * 4, "replaced_characters"),
    "NUL in a key": (rb'{"a\u0000":1}', {"a\ufffd": 1}, "replaced_characters"),
    "integer beyond 53 bits": (b"9007199254740993", "9007199254740993", "big_integer"),
    "integer beyond 64 bits": (b"-18446744073709551617", "-18446744073709551617", "big_integer"),
    "integer of 300 digits": (b"7" * 300, "7" * 300, "big_integer"),
    "float without a sound value": (b"0.1000000000000000055511151231257827", 0.1, None),
    "tiny": (b"1e-400", 0.0, None),
    "smallest": (b"5e-324", 5e-324, None),
    "largest": (b"1.7976931348623157e308", 1.7976931348623157e308, None),
    "minus zero": (b"-0", 0, None),
    "the same key twice": (b'{"a":1,"a":2}', {"a": 2}, None),
}
ALSO_REJECTED = {  # ours to decide too: these are no JSON here
    "beyond a double": b"1e400",
    "beyond a double, negative": b"-1e400",
    "integer of 5000 digits": b"7" * 5_000,
    "nested 100,000 times": b"[" * 100_000 + b"]" * 100_000,
    "open 100,000 times": b"[" * 100_000,
    "objects nested 50,000 times": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
}

# An event's text to its code and field. In each, ID stands for a fresh id and BASE for the other fields.
BAD_EVENTS: dict[str, tuple[bytes, str, str]] = {
    **{f"event is {text.decode()}": (text, "invalid_field", "") for text in (b"null", b"7", b'"x"', b"[]", b"true")},
    "no id": (b'{"category":"a","action":"b"}', "missing_id", "event_id"),
    "nil id": (b'{"event_id":"00000000-0000-0000-0000-000000000000",BASE}', "malformed_id", "event_id"),
    "id that is none": (b'{"event_id":"1",BASE}', "malformed_id", "event_id"),
    "id that is a number": (b'{"event_id":1,BASE}', "malformed_id", "event_id"),
    "no category": (b'{"event_id":"ID","action":"b"}', "invalid_field", "category"),
    "empty action": (b'{"event_id":"ID","category":"a","action":""}', "invalid_field", "action"),
    "dims is a list": (b'{"event_id":"ID",BASE,"dims":[]}', "invalid_field", "dims"),
    "33 levels": (b'{"event_id":"ID",BASE,"extra":{"x":' + b"[" * 31 + b"]" * 31 + b"}}", "too_deep", ""),
    "400 levels": (b'{"event_id":"ID",BASE,"extra":{"x":' + b"[" * 400 + b"]" * 400 + b"}}", "too_deep", ""),
    "1,001 keys": (
        b'{"event_id":"ID",BASE,"extra":{' + b",".join(b'"k%d":0' % n for n in range(1001)) + b"}}",
        "too_many_keys",
        "",
    ),
    "33 KiB": (b'{"event_id":"ID",BASE,"extra":{"x":"' + b"x" * 33_792 + b'"}}', "event_too_large", ""),
    "a time beyond all times": (b'{"event_id":"ID",BASE,"at":1e300}', "invalid_field", "at"),
    "a negative counter": (b'{"event_id":"ID",BASE,"seq":-1}', "invalid_field", "seq"),
    "a UID of another version": (
        b'{"event_id":"ID",BASE,"uid":"7b2a4c1e-5d3f-4e6a-9b8c-0d1e2f3a4b5c"}',
        "malformed_id",
        "uid",
    ),
}


CHECKSUM_OF_HEADER = struct.pack("<H", zlib.crc32(struct.pack("<BBBBIBB", 0x1F, 0x8B, 8, 2, 0, 0, 255)) & 0xFFFF)


def gzip_with(data: bytes, flags: int = 0, extra: bytes = b"", method: int = 8) -> bytes:
    """One gzip member whose header is written by hand."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = squeezer.compress(data) + squeezer.flush()
    head = struct.pack("<BBBBIBB", 0x1F, 0x8B, method, flags, 0, 0, 255) + extra
    return head + body + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def gzip_variants(data: bytes) -> dict[str, tuple[bytes, str | None]]:
    """Bodies that hold `data`, more or less, and the code that refuses them, None for those that are well."""
    good = gzip.compress(data)
    return {
        "plain": (good, None),
        "not compressed inside": (gzip.compress(data, 0), None),
        "with a name": (gzip_with(data, 0x08, b"events.json\x00"), None),
        "with a comment": (gzip_with(data, 0x10, b"hello\x00"), None),
        "with an extra field": (gzip_with(data, 0x04, b"\x04\x00abcd"), None),
        "with a checksum of its header": (gzip_with(data, 0x02, CHECKSUM_OF_HEADER), None),
        "reserved flag": (gzip_with(data, 0x80), "malformed_gzip"),
        "unknown method": (gzip_with(data, method=7), "malformed_gzip"),
        "open name": (gzip_with(b"", 0x08, b"x" * 100)[:60], "malformed_gzip"),
        "wrong length": (good[:-4] + b"\xff\xff\xff\xff", "malformed_gzip"),
        "wrong checksum": (good[:-8] + b"\0\0\0\0" + good[-4:], "malformed_gzip"),
        "a bit flipped": (good[:20] + bytes([good[20] ^ 0x55]) + good[21:], "malformed_gzip"),
        "only the magic number": (b"\x1f\x8b", "malformed_gzip"),
        "only the header": (good[:10], "malformed_gzip"),
        "half": (good[: len(good) // 2], "malformed_gzip"),
        "twice": (good + good, "body_too_large"),
        "an empty second member": (good + gzip.compress(b""), "body_too_large"),
        "zeros behind it": (good + b"\0" * 8, "malformed_gzip"),
        "empty": (gzip.compress(b""), "malformed_json"),
        "gzip inside gzip": (gzip.compress(good), "malformed_json"),
        "zlib": (zlib.compress(data), "malformed_gzip"),
        "JSON": (data, "malformed_gzip"),
        "bomb": (gzip.compress(b" " * 20_000_000), "body_too_large"),
    }


def raw_requests(data: bytes, key: str) -> dict[str, tuple[bytes, int]]:
    """Whole requests as bytes, and the status that answers each."""
    line = f"POST /v1/collect?site={key} HTTP/1.1\r\n".encode()
    usual = b"Host: x\r\nContent-Type: text/plain\r\nOrigin: https://shop.example\r\nConnection: close\r\n"
    length = f"Content-Length: {len(data)}\r\n".encode()

    def sent(*headers: bytes, first: bytes = line, body: bytes = data) -> bytes:
        return first + usual + b"".join(headers) + b"\r\n" + body

    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)
    return {
        "as it should be": (sent(length), 200),
        "no length, no body": (sent(body=b""), 400),
        "length that is no number": (sent(b"Content-Length: ten\r\n"), 400),
        "negative length": (sent(b"Content-Length: -5\r\n"), 400),
        "length with a plus": (sent(b"Content-Length: +5\r\n"), 400),
        "two lengths": (sent(length, b"Content-Length: 5\r\n"), 400),
        "huge length": (sent(b"Content-Length: 99999999999999999999\r\n"), 400),
        "length and chunks": (sent(length, b"Transfer-Encoding: chunked\r\n"), 400),
        "chunks that are none": (sent(b"Transfer-Encoding: chunked\r\n", body=b"zz\r\n{}\r\n0\r\n\r\n"), 400),
        "unknown transfer coding": (sent(b"Transfer-Encoding: gzip\r\n"), 400),
        "one chunk": (sent(b"Transfer-Encoding: chunked\r\n", body=chunk), 200),
        "two content types": (sent(length, b"Content-Type: text/html\r\n"), 400),
        "empty encoding": (sent(length, b"Content-Encoding: \r\n"), 415),
        "encoding of two": (sent(length, b"Content-Encoding: gzip, gzip\r\n"), 415),
        "NUL in a header": (sent(length, b"X-A: a\x00b\r\n"), 400),
        "bytes in a header": (sent(length, b"X-A: \xff\xfe\r\n"), 200),
        "space in a name": (sent(length, b"X A: b\r\n"), 400),
        "folded header": (sent(length, b"X-A: b\r\n c\r\n"), 400),
        "header without a colon": (sent(length, b"nonsense\r\n"), 400),
        "a header of 20 kB": (sent(length, b"X-A: " + b"a" * 20_000 + b"\r\n"), 400),
        "cookies of rubbish": (sent(length, b"Cookie: GlobalVisit=\xff; CurrentContact=a.b.c; ;=;\r\n"), 200),
        "two origins": (sent(length, b"Origin: https://evil.example\r\n"), 200),
        "bare line feeds": (sent(length).replace(b"\r\n", b"\n"), 400),
        "unknown version": (sent(length, first=line.replace(b"1.1", b"3.7")), 400),
        "no version": (sent(length, first=line.replace(b" HTTP/1.1", b"")), 200),
        "method in small letters": (sent(length, first=line.replace(b"POST", b"post")), 400),
        "method of rubbish": (sent(length, first=line.replace(b"POST", b"P\x01ST")), 400),
        "key of rubbish": (sent(length, first=line.replace(key.encode(), b"%00%ff%zz")), 401),
        "key of 5 kB": (sent(length, first=line.replace(key.encode(), b"k" * 5_000)), 401),
        "a whole URL": (sent(length, first=line.replace(b"/v1", b"http://x/v1")), 200),
        "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        "expects something else": (sent(length, b"Expect: 200-ok\r\n"), 417),
    }
