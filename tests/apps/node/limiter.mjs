// rate-limiter-flexible, through ioredis and through redis: no limit is overrun, no point is lost.
import { address, equal, noErrors, require, sleep, steps, url, well } from "./work.mjs";

const { BurstyRateLimiter, RateLimiterQueue, RateLimiterRedis, RateLimiterUnion } = require("rate-limiter-flexible");
const { Redis } = require("ioredis");
const { createClient } = require("redis");

const LIMIT = { points: 20, duration: 1 };
const AT_ONCE = 4;
const ioredis = noErrors("ioredis", new Redis(address));
const redis = noErrors("redis", createClient({ url }));
await redis.connect();
let names = 0;
const pair = (options) => {
  const keyPrefix = `limiter${(names += 1)}`;
  return [
    new RateLimiterRedis({ storeClient: ioredis, keyPrefix, ...options }),
    new RateLimiterRedis({ storeClient: redis, keyPrefix, useRedisPackage: true, ...options }),
  ];
};
// Whether it may: a rejection that is no answer of the limiter is a fault.
const may = (promise) => promise.then(() => true, (reply) => {
  if (reply instanceof Error) throw reply;
  return false;
});

// ---- Through the kill: servers of both clients that count together.

const limiters = pair(LIMIT);
const counters = pair({ points: 1e9, duration: 0 });
for (const one of [...limiters, ...counters]) await one.delete("a key");
let allowed = 0, refused = 0, counted = 0;
const begun = performance.now();
for await (const step of steps()) {
  const asked = Array.from({ length: AT_ONCE }, (_, at) => may(limiters[at % 2].consume("a key")));
  for (const is of await Promise.all(asked)) is ? (allowed += 1) : (refused += 1);
  const reply = await counters[step % 2].consume("a key", 2);
  counted += 2;
  equal("points that are counted", reply.consumedPoints, counted);
}
const windows = Math.floor((performance.now() - begun) / (LIMIT.duration * 1000 - 5)) + 1;
equal(`${allowed} allowed in ${windows} s`, allowed <= LIMIT.points * windows, true);
equal("some are allowed, some refused", [allowed >= LIMIT.points, refused > 0], [true, true]);
equal("points of both", (await Promise.all(counters.map((one) => one.get("a key")))).map((one) => one.consumedPoints),
  [counted, counted]);

// ---- What else a limiter can do, through each client.

for (const at of [0, 1]) {
  const limiter = pair({ points: 5, duration: 60, blockDuration: 120 })[at];
  const key = `key of ${at}`;
  await limiter.delete(key);
  equal("of none", await limiter.get(key), null);
  const first = await limiter.consume(key, 2);
  equal("the first", [first.consumedPoints, first.remainingPoints, first.isFirstInDuration], [2, 3, true]);
  equal("its time", first.msBeforeNext > 59_000 && first.msBeforeNext <= 60_000, true);
  equal("a penalty", (await limiter.penalty(key, 2)).consumedPoints, 4);
  equal("a reward", (await limiter.reward(key, 1)).consumedPoints, 3);
  equal("up to the limit", await may(limiter.consume(key, 2)), true);
  equal("over it", await may(limiter.consume(key)), false);
  equal("blocked for longer", (await limiter.get(key)).msBeforeNext > 60_000, true);
  equal("deleted", [await limiter.delete(key), await limiter.delete(key)], [true, false]);
  await limiter.set(key, 5, 60);
  equal("set", await may(limiter.consume(key)), false);
  await limiter.delete(key);
  await limiter.block(key, 60);
  equal("blocked", await may(limiter.consume(key)), false);
  await limiter.delete(key);

  const [narrow] = pair({ points: 1, duration: 1 });
  const bursty = new BurstyRateLimiter(narrow, pair({ points: 2, duration: 60 })[at]);
  const tried = [];
  for (let one = 0; one < 4; one += 1) tried.push(await may(bursty.consume(key)));
  equal("a burst", tried, [true, true, true, false]);

  const union = new RateLimiterUnion(pair({ points: 1, duration: 60 })[at], pair({ points: 2, duration: 60 })[at]);
  equal("both limits", [await union.consume(key).then(() => true), await union.consume(key).catch((reply) =>
    Object.keys(reply).length)], [true, 1]);

  const queue = new RateLimiterQueue(pair({ points: 1, duration: 1 })[at]);
  const start = performance.now();
  await queue.removeTokens(1, key);
  await queue.removeTokens(1, key);
  equal("one of a queue waits", performance.now() - start > 900, true);

  const short = pair({ points: 1, duration: 1 })[at];
  equal("the first of a second", await may(short.consume(key)), true);
  equal("the second of it", await may(short.consume(key)), false);
  await sleep(1050);
  equal("the first of the next", await may(short.consume(key)), true);
}
well();
