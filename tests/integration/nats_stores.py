# SPDX-License-Identifier: Apache-2.0
"""KV buckets (ADR-8) and object stores (ADR-20) as plain messages, over nats_wire.

Everything can also be written as no client would: raw subjects, unequal chunks, wrong metas.
"""

import base64
import hashlib
import itertools
import json
import os

CHUNK = 128 * 1024  # [bytes], every client's default


class KeyValues:
    """KV buckets of a connection."""

    def __init__(self, wire):
        self.wire = wire

    def create(self, bucket, history=1, **config):
        """A bucket as Go's client makes it; config: more stream fields, or other values."""
        fields = {"subjects": [f"$KV.{bucket}.>"], "max_msgs_per_subject": history,
                  "discard": "new", "allow_rollup_hdrs": True, "deny_delete": True,
                  "allow_direct": True, "max_bytes": -1, "max_msg_size": -1, "storage": "file",
                  "num_replicas": 1, **config}
        self.wire.stream_create(f"KV_{bucket}", **fields)

    def mirror(self, bucket, origin):
        """A read-only copy of another bucket, as Go's client makes it."""
        self.wire.stream_create(f"KV_{bucket}", mirror={"name": f"KV_{origin}"},
                                 mirror_direct=True, allow_direct=True, discard="new",
                                 max_msgs_per_subject=1, allow_rollup_hdrs=True,
                                 deny_delete=True)

    def remove(self, bucket):
        self.wire.stream_delete(f"KV_{bucket}")

    def put(self, bucket, key, value, headers=None):
        """Store a value; its revision."""
        return self.wire.store(f"$KV.{bucket}.{key}", value, headers)

    def put_all(self, bucket, values):
        """Store many (key, value), in order."""
        return self.wire.store_all((f"$KV.{bucket}.{key}", value, None)
                                    for key, value in values)

    def delete(self, bucket, key):
        return self.put(bucket, key, b"", {"KV-Operation": "DEL"})

    def purge(self, bucket, key):
        return self.put(bucket, key, b"", {"KV-Operation": "PURGE", "Nats-Rollup": "sub"})

    def entry(self, bucket, key):
        """The newest message of a key, markers too; None when there is none."""
        return self.wire.message(f"KV_{bucket}", last_by_subj=f"$KV.{bucket}.{key}")

    def get(self, bucket, key):
        """The value; None when the key does not live."""
        entry = self.entry(bucket, key)
        return entry.data if entry and entry.operation == "PUT" else None

    def history(self, bucket, key):
        """Every message kept of a key, oldest first."""
        return self.wire.messages(f"KV_{bucket}", f"$KV.{bucket}.{key}")

    def keys(self, bucket):
        """Every key that has a message, sorted; deleted ones too while their marker lives."""
        prefix = f"$KV.{bucket}."
        return sorted(subject[len(prefix):]
                      for subject in self.wire.subjects(f"KV_{bucket}", prefix + ">"))


class Objects:
    """Object stores of a connection."""

    def __init__(self, wire):
        self.wire = wire

    def create(self, bucket, **config):
        """A store as Go's client makes it; config: more stream fields, or other values."""
        fields = {"subjects": [f"$O.{bucket}.C.>", f"$O.{bucket}.M.>"], "discard": "new",
                  "allow_rollup_hdrs": True, "allow_direct": True, "max_bytes": -1,
                  "storage": "file", "num_replicas": 1, **config}
        self.wire.stream_create(f"OBJ_{bucket}", **fields)

    def remove(self, bucket):
        self.wire.stream_delete(f"OBJ_{bucket}")

    def put(self, bucket, name, data, /, chunk=CHUNK, **meta):
        """Store an object in chunks of a size; meta: other or more fields (None drops one)."""
        pieces = [data[start:start + chunk] for start in range(0, len(data), chunk)]
        return self.put_pieces(bucket, name, pieces, chunk=chunk, **meta)

    def put_pieces(self, bucket, name, pieces, /, chunk=CHUNK, **meta):
        """Store an object in exactly these chunk messages; its nuid."""
        nuid = new_nuid()
        self.put_chunks(bucket, nuid, pieces)
        self.put_meta(bucket, name, made_of(pieces, bucket, name, nuid, chunk, meta))
        return nuid

    def put_interleaved(self, bucket, first, second, chunk=CHUNK):
        """Store two objects (name, data) whose chunks lie between each other."""
        stored = []
        for name, data in (first, second):
            pieces = [data[start:start + chunk] for start in range(0, len(data), chunk)]
            stored.append((name, new_nuid(), pieces))
        rounds = itertools.zip_longest(*(pieces for _, _, pieces in stored))
        self.wire.store_all(
            (f"$O.{bucket}.C.{nuid}", piece, None)
            for pair in rounds for (_, nuid, _), piece in zip(stored, pair) if piece is not None)
        for name, nuid, pieces in stored:
            self.put_meta(bucket, name, made_of(pieces, bucket, name, nuid, chunk, {}))

    def put_chunks(self, bucket, nuid, pieces):
        self.wire.store_all((f"$O.{bucket}.C.{nuid}", piece, None) for piece in pieces)

    def put_meta(self, bucket, name, meta):
        """Publish a meta message: a dict, or bytes for what is no JSON."""
        data = meta if isinstance(meta, bytes) else json.dumps(meta, ensure_ascii=False).encode()
        return self.wire.store(meta_subject(bucket, name), data, {"Nats-Rollup": "sub"})

    def delete(self, bucket, name):
        """As Go's client deletes: a tombstone, then the chunks go."""
        meta = self.meta(bucket, name)
        meta.update(deleted=True, size=0, chunks=0)
        meta.pop("digest", None)
        self.put_meta(bucket, name, meta)
        self.purge_chunks(bucket, meta["nuid"])

    def purge_chunks(self, bucket, nuid):
        return self.wire.stream_purge(f"OBJ_{bucket}", f"$O.{bucket}.C.{nuid}")

    def entry(self, bucket, name):
        """The meta message of a name; None when there is none."""
        return self.wire.message(f"OBJ_{bucket}", last_by_subj=meta_subject(bucket, name))

    def meta(self, bucket, name):
        """The meta of a name as a dict, tombstones too; None when there is none."""
        entry = self.entry(bucket, name)
        return json.loads(entry.data) if entry else None

    def get(self, bucket, name):
        """The bytes, checked against size, chunks and digest; None when it does not live."""
        meta = self.meta(bucket, name)
        if meta is None or meta.get("deleted"):
            return None
        pieces = [message.data for message in self.chunks(bucket, meta["nuid"])]
        data = b"".join(pieces)
        assert len(data) == meta["size"], f"{name}: {len(data)} bytes, meta says {meta['size']}"
        assert len(pieces) == meta["chunks"], f"{name}: {len(pieces)} chunks"
        assert meta["digest"] == digest_of(data), f"{name}: wrong digest"
        return data

    def chunks(self, bucket, nuid):
        """The chunk messages of a nuid, in order."""
        return self.wire.messages(f"OBJ_{bucket}", f"$O.{bucket}.C.{nuid}")

    def nuids(self, bucket):
        """nuid -> number of chunk messages, of every nuid that has any."""
        prefix = f"$O.{bucket}.C."
        found = self.wire.subjects(f"OBJ_{bucket}", prefix + ">")
        return {subject[len(prefix):]: count for subject, count in found.items()}


def made_of(pieces, bucket, name, nuid, chunk, changes):
    """The meta of an object made of these pieces; changes: fields set, or dropped with None."""
    data = b"".join(pieces)
    meta = {"name": name, "bucket": bucket, "nuid": nuid, "size": len(data),
            "chunks": len(pieces), "mtime": "0001-01-01T00:00:00Z", "digest": digest_of(data),
            "options": {"max_chunk_size": chunk}, **changes}
    return {field: value for field, value in meta.items() if value is not None}


def digest_of(data):
    return "SHA-256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()


def meta_subject(bucket, name):
    """Where the meta of a name (text or bytes) is: URL-safe base64 with padding."""
    raw = name if isinstance(name, bytes) else name.encode()
    return f"$O.{bucket}.M.{base64.urlsafe_b64encode(raw).decode()}"


def new_nuid():
    """A token for chunks that nobody has used."""
    return os.urandom(11).hex()
