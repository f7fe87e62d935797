// Keyv: what was written is read, together, after a while and after `clear`.
import { equal, noErrors, require, sleep, steps, url, well } from "./work.mjs";

const { Keyv } = require("keyv");
const KeyvRedis = require("@keyv/redis").default;

const store = new Keyv(new KeyvRedis(url), { namespace: "keyv" });
const other = new Keyv(new KeyvRedis(url), { namespace: "other" });
noErrors("keyv", store);
noErrors("other", other);
await other.set("key1", "stays");
for await (const step of steps()) {
  const key = `key${step % 50}`;
  await store.set(key, { step }, 300_000);
  equal(key, await store.get(key), { step });
  await store.set("short", 1, 5);
}
equal("many", (await store.get(["key1", "none"])).map((value) => value === undefined), [false, true]);
await store.setMany([{ key: "a", value: 1 }, { key: "b", value: 2, ttl: 60_000 }]);
equal("set together", await store.getMany(["a", "b"]), [1, 2]);
equal("there", await store.hasMany(["a", "none"]), [true, false]);
equal("deleted", await store.delete("a"), true);
equal("deleted again", await store.delete("a"), false);
await store.set("short", 1, 20);
await sleep(60);
equal("expired", await store.has("short"), false);
const keys = [];
for await (const [key] of store.iterator()) keys.push(key);
equal("listed", keys.includes("b") && !keys.includes("a"), true);
await store.clear();
equal("cleared", await store.has("b"), false);
equal("another's", await other.get("key1"), "stays");
await other.clear();
well();
