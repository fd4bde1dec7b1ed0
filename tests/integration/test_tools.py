# SPDX-License-Identifier: Apache-2.0
"""The tools themselves: what the wire client writes, nats.js reads, and the reverse."""

import pytest

from nats_js import JsError
from nats_stores import CHUNK, KeyValues, digest_of
from nats_wire import ApiError, NoResponders
from support import noise, wait_until


def test_a_request_to_nobody_is_told_at_once(wire):
    with pytest.raises(NoResponders):
        wire.request("nobody.listens")


def test_headers_travel_both_ways(wire):
    heard = wire.subscribe("echo")
    wire.publish("echo", b"body", {"One": "1", "Two": "2 words"})
    message = heard.next()
    heard.close()
    assert (message.data, message.header("One"), message.header("Two")) == (b"body", "1", "2 words")


def test_an_api_error_carries_its_code(wire):
    with pytest.raises(ApiError) as caught:
        wire.stream_info("NO_SUCH_STREAM")
    assert caught.value.err_code == 10059


def test_a_refused_publish_is_an_api_error(kv, kv_bucket):
    bucket = kv_bucket()
    kv.put(bucket, "key", b"one")
    with pytest.raises(ApiError) as caught:
        kv.put(bucket, "key", b"two", {"Nats-Expected-Last-Subject-Sequence": "0"})
    assert caught.value.err_code == 10071


def test_values_agree_with_nats_js(kv, kv_bucket, js):
    bucket = kv_bucket(history=5)
    kv.put(bucket, "from.wire", b"\0wire")
    js.kv_put(bucket, "from.js", b"\xffjs")
    js.kv_delete(bucket, "from.js")
    js.kv_put(bucket, "from.js", b"again")
    assert js.kv_get(bucket, "from.wire") == b"\0wire"
    assert kv.get(bucket, "from.js") == b"again"
    assert [entry.operation for entry in kv.history(bucket, "from.js")] == ["PUT", "DEL", "PUT"]
    assert js.kv_history(bucket, "from.js") == ["PUT", "DEL", "PUT"]
    assert kv.keys(bucket) == js.kv_keys(bucket) == ["from.js", "from.wire"]


def test_a_purge_leaves_one_marker(kv, kv_bucket, js):
    bucket = kv_bucket(history=5)
    kv.put_all(bucket, [("key", b"1"), ("key", b"2")])
    kv.purge(bucket, "key")
    assert js.kv_history(bucket, "key") == ["PURGE"]
    assert js.kv_get(bucket, "key") is None and kv.get(bucket, "key") is None


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1])
def test_objects_agree_with_nats_js(objects, obj_bucket, js, size):
    bucket, data = obj_bucket(), noise(size)
    objects.put(bucket, "from/wire ü €", data)
    js.obj_put(bucket, "from/js ü €", data)
    assert js.obj_get(bucket, "from/wire ü €") == data
    assert objects.get(bucket, "from/js ü €") == data
    assert js.obj_list(bucket) == ["from/js ü €", "from/wire ü €"]
    assert js.obj_info(bucket, "from/wire ü €")["digest"] == digest_of(data)


def test_nats_js_writes_latin1_names_in_its_own_way(objects, obj_bucket, js):
    bucket = obj_bucket()
    js.obj_put(bucket, "grün", b"data", latin1=True)
    assert objects.meta(bucket, "grün") is None
    assert objects.meta(bucket, "grün".encode("latin-1"))["name"] == "grün"


def test_nats_js_reads_interleaved_and_unequal_chunks(objects, obj_bucket, js):
    bucket, one, two = obj_bucket(), noise(500_000, 1), noise(300_000, 2)
    objects.put_interleaved(bucket, ("one", one), ("two", two))
    objects.put_pieces(bucket, "odd", [b"", b"a", b"", b"bcd", b"ef"])
    assert js.obj_get(bucket, "one") == one and js.obj_get(bucket, "two") == two
    assert js.obj_get(bucket, "odd") == b"abcdef"
    assert objects.get(bucket, "one") == one


def test_nats_js_notices_a_wrong_digest(objects, obj_bucket, js):
    bucket = obj_bucket()
    objects.put(bucket, "bad", b"data", digest=digest_of(b"other"))
    with pytest.raises(JsError):
        js.obj_get(bucket, "bad")


def test_a_deleted_object_leaves_no_chunks(objects, obj_bucket, js):
    bucket = obj_bucket()
    objects.put(bucket, "name", noise(300_000))
    objects.delete(bucket, "name")
    assert js.obj_get(bucket, "name") is None
    assert objects.nuids(bucket) == {}
    assert objects.meta(bucket, "name")["deleted"]


def test_a_mirror_holds_the_keys_of_its_origin(kv, kv_bucket, unique, wire):
    origin, mirror = kv_bucket(), unique()
    kv.put(origin, "key", b"value")
    kv.mirror(mirror, origin)
    wait_until(lambda: wire.stream_info(f"KV_{mirror}")["state"]["messages"] == 1, "it is filled")
    assert wire.message(f"KV_{mirror}", seq=1).data == b"value"


def test_a_server_keeps_data_and_port_over_a_restart(own_server):
    first = own_server.connect()
    KeyValues(first).create("b")
    KeyValues(first).put("b", "k", b"v")
    url = own_server.url
    own_server.restart()
    second = own_server.connect()
    assert own_server.url == url and KeyValues(second).get("b", "k") == b"v"
    first.close()
    second.close()


def test_only_other_clients_requests_are_counted(own_server):
    connection = own_server.connect()
    connection.publish("one")
    connection.flush()
    assert own_server.requests() == 0
    connection.close()
