// SPDX-License-Identifier: Apache-2.0
// agent.mjs - the official JavaScript client as a servant of the tests.
// Usage: node agent.mjs URL. Reads one JSON request a line, answers each with one JSON line:
// {id, op, ...} -> {id, ok} | {id, error}. Bytes travel as base64 in `data`, big ones as a
// path in `file`.
import { createReadStream, createWriteStream } from "node:fs";
import { webcrypto } from "node:crypto";
import { createInterface } from "node:readline";
import { Readable, Writable } from "node:stream";

globalThis.crypto ??= webcrypto; // Node 18 does not have it as a global

const { connect } = await import("@nats-io/transport-node");
const { jetstream } = await import("@nats-io/jetstream");
const { Kvm } = await import("@nats-io/kv");
const { Objm } = await import("@nats-io/obj");

const connection = await connect({ servers: process.argv[2], name: "test-js" });
const js = jetstream(connection);
const kvs = new Kvm(js);
const stores = new Objm(js);

const toBytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const toText = (bytes) => Buffer.from(bytes).toString("base64");

// nats.js writes names as Latin-1 into the subject, every other client as UTF-8. What is tested
// here is the layout that clients share; `latin1` asks for nats.js's own.
async function openStore({ bucket, latin1 }) {
  const store = await stores.open(bucket);
  if (!latin1) {
    store._metaSubject = (name) =>
      `$O.${bucket}.M.` +
      Buffer.from(name).toString("base64").replace(/\+/g, "-").replace(/\//g, "_");
  }
  return store;
}

function infoOf(info) {
  const { name, size, chunks, digest, nuid, deleted, options } = info;
  return { name, size, chunks, digest, nuid, deleted, options };
}

const entryOf = (entry) =>
  entry && {
    key: entry.key,
    data: toText(entry.value),
    revision: entry.revision,
    operation: entry.operation,
  };

async function gather(iterator) {
  const found = [];
  for await (const item of iterator) found.push(item);
  return found;
}

const operations = {
  "kv.create": async ({ bucket, options }) => void (await kvs.create(bucket, options)),
  "kv.status": async ({ bucket }) => {
    const { history, ttl, storage, replicas, max_bytes, maxValueSize, description, compression } =
      await (await kvs.open(bucket)).status();
    return { history, ttl, storage, replicas, max_bytes, maxValueSize, description, compression };
  },
  "kv.destroy": async ({ bucket }) => (await kvs.open(bucket)).destroy(),
  "kv.put": async ({ bucket, key, data }) =>
    (await kvs.open(bucket)).put(key, toBytes(data)),
  "kv.get": async ({ bucket, key }) => entryOf(await (await kvs.open(bucket)).get(key)),
  "kv.delete": async ({ bucket, key }) => (await kvs.open(bucket)).delete(key),
  "kv.purge": async ({ bucket, key }) => (await kvs.open(bucket)).purge(key),
  "kv.keys": async ({ bucket }) => gather(await (await kvs.open(bucket)).keys()),
  "kv.history": async ({ bucket, key }) =>
    (await gather(await (await kvs.open(bucket)).history({ key }))).map(entryOf),

  "obj.create": async ({ bucket, options }) => void (await stores.create(bucket, options)),
  "obj.destroy": async ({ bucket }) => (await stores.open(bucket)).destroy(),
  "obj.put": async (request) => {
    const store = await openStore(request);
    const meta = { name: request.name };
    if (request.chunk) meta.options = { max_chunk_size: request.chunk };
    if (!request.file) return infoOf(await store.putBlob(meta, toBytes(request.data)));
    const source = Readable.toWeb(createReadStream(request.file));
    return infoOf(await store.put(meta, source, { timeout: 30000 }));
  },
  "obj.get": async (request) => {
    const found = await (await openStore(request)).get(request.name);
    if (found === null) return null;
    const info = infoOf(found.info);
    if (request.file) {
      await found.data.pipeTo(Writable.toWeb(createWriteStream(request.file)));
    } else {
      const parts = await gather(found.data);
      info.data = toText(Buffer.concat(parts));
    }
    const failure = await found.error;
    if (failure) throw failure;
    return info;
  },
  "obj.info": async (request) => {
    const info = await (await openStore(request)).info(request.name);
    return info && infoOf(info);
  },
  "obj.delete": async (request) => (await openStore(request)).delete(request.name),
  "obj.list": async (request) => (await (await openStore(request)).list()).map(infoOf),
};

async function answer(line) {
  const request = JSON.parse(line);
  try {
    const ok = (await operations[request.op](request)) ?? null;
    process.stdout.write(JSON.stringify({ id: request.id, ok }) + "\n");
  } catch (error) {
    process.stdout.write(JSON.stringify({ id: request.id, error: String(error) }) + "\n");
  }
}

for await (const line of createInterface({ input: process.stdin })) await answer(line);
await connection.close();
