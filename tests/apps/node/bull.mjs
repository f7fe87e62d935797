// What the programs of BullMQ share: its objects at the server of this run, where no error is expected.
import { address, noErrors, require, url } from "./work.mjs";

export const bullmq = require("bullmq");
const { Queue, QueueEvents, RedisConnection, Worker, createNodeRedisClient } = bullmq;
export const connection = { ...address, maxRetriesPerRequest: null };
const open = [];

if (process.argv[3] === "redis") { // BullMQ brings ioredis itself, and can do with this too
  const { createClient } = require("redis");
  RedisConnection.clientFactory = ({ connectionName: name }) =>
    createNodeRedisClient(createClient({ url, name }));
}

export function kept(name, one) {
  open.push(noErrors(name, one));
  return one;
}

export async function queueOf(name) { // a new one
  const queue = kept(name, new Queue(name, { connection }));
  await queue.obliterate({ force: true });
  return queue;
}

export const workerOf = (name, work, options = {}) =>
  kept(`${name}'s worker`, new Worker(name, work, { connection, concurrency: 2, ...options }));

export async function eventsOf(name) {
  const events = kept(`${name}'s events`, new QueueEvents(name, { connection, lastEventId: "0" }));
  await events.waitUntilReady();
  return events;
}

export const closeAll = () => Promise.all(open.map((one) => one.close()));
