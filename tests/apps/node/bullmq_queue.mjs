// BullMQ: what is done to a queue and its jobs beyond bullmq.mjs, while nothing dies.
import { bullmq, closeAll, connection, eventsOf, kept, queueOf, workerOf } from "./bull.mjs";
import { equal, noErrors, require, sleep, until, well } from "./work.mjs";

const { DelayedError, FlowProducer, UnrecoverableError } = bullmq;
const { Redis } = require("ioredis");
const client = noErrors("ioredis", new Redis(connection));
const flows = kept("flows", new FlowProducer({ connection }));

const other = await queueOf("other");
const otherEvents = await eventsOf("other");
const seen = [];
for (const name of ["added", "delayed", "drained", "duplicated", "failed", "paused", "progress", "removed",
  "resumed", "deduplicated", "retries-exhausted", "cleaned", "waiting-children"]) {
  otherEvents.on(name, ({ jobId }) => seen.push(jobId ? `${name} ${jobId}` : name));
}
const order = [];
const lazy = workerOf("other", async (job, token) => {
  order.push(job.name);
  if (job.name === "broken") throw new UnrecoverableError("for good");
  if (job.name === "again" && !job.data.isPut) {
    await job.updateData({ isPut: true });
    await job.moveToDelayed(Date.now() + 20, token);
    throw new DelayedError();
  }
  return job.name;
}, { autorun: false, concurrency: 1 });

await other.pause();
equal("paused", await other.isPaused(), true);
await other.add("third", {}, { priority: 3, jobId: "j3" });
await other.add("second", {}, { priority: 2, jobId: "j2" });
await other.add("first", {}, { jobId: "j1" });
await other.add("zeroth", {}, { lifo: true, jobId: "j0" });
await other.add("first", { other: true }, { jobId: "j1" }); // a second of one id is none
await other.add("once", {}, { deduplication: { id: "same", ttl: 60_000 }, jobId: "d1" });
await other.add("twice", {}, { deduplication: { id: "same", ttl: 60_000 }, jobId: "d2" });
const fifth = await other.add("fifth", {}, { priority: 1, jobId: "j5" });
await fifth.changePriority({ priority: 5 });
const soon = await other.add("soon", {}, { delay: 600_000, jobId: "soon" });
const promoted = await other.add("promoted", {}, { delay: 600_000, jobId: "promoted" });
const dropped = await other.add("dropped", {}, { jobId: "dropped" });
await dropped.remove();
equal("a count", await other.getJobCountByTypes("wait", "paused", "prioritized", "delayed"), 8);
equal("by priority", await other.getCountsPerPriority([0, 2, 3, 5]), { 0: 3, 2: 1, 3: 1, 5: 1 });
equal("the states", await Promise.all(["j1", "j2", "soon", "none"].map((id) => other.getJobState(id))),
  ["waiting", "prioritized", "delayed", "unknown"]);
lazy.run();
await sleep(50);
equal("none is taken from one that is paused", order, []);
await other.resume();
await until("the order", () => order.length >= 6, () => order);
equal("the order", order, ["zeroth", "first", "once", "second", "third", "fifth"]);
await soon.changeDelay(10);
await promoted.promote();
await until("those that were late", () => order.length >= 8, () => order);
equal("those that were late", order.slice(6).sort(), ["promoted", "soon"]);

const broken = await other.add("broken", {}, { jobId: "broken", attempts: 5 });
const why = await broken.waitUntilFinished(otherEvents, 10_000).catch((error) => error.message);
equal("why it failed", why, "for good");
equal("failed ones", (await other.getFailed()).map((job) => [job.id, job.failedReason, job.attemptsMade]),
  [["broken", "for good", 1]]);
await (await other.getJob("broken")).retry();
await until("it fails again", async () => order.filter((name) => name === "broken").length === 2
  && (await other.getFailedCount()) === 1);
await other.retryJobs();
await until("it fails once more", async () => order.filter((name) => name === "broken").length === 3
  && (await other.getFailedCount()) === 1);
const again = await other.add("again", {}, { jobId: "again" });
equal("one that put itself off", await again.waitUntilFinished(otherEvents, 10_000), "again");

// A job that takes longer than its lock, which is renewed: others that look for stalled ones leave it.
let slow = 0;
const short = await queueOf("slow");
const shortEvents = await eventsOf("slow");
for (let at = 0; at < 2; at += 1) {
  workerOf("slow", async () => { slow += 1; await sleep(2500); return "slow"; },
    { lockDuration: 1500, stalledInterval: 300 });
}
const long = await short.add("slow", {});
equal("one longer than its lock", await long.waitUntilFinished(shortEvents, 10_000), "slow");
equal("it was done once", slow, 1);

equal("cleaned", await other.clean(0, 100, "failed"), ["broken"]);
equal("completed", await other.getCompletedCount(), 9);
await other.add("short", {}, { removeOnComplete: true, jobId: "short" });
await until("it is gone", async () => order.includes("short") && !(await other.getJob("short")));
await lazy.pause();
for (let at = 0; at < 5; at += 1) await other.add("never", {}, { delay: at < 2 ? 600_000 : 0 });
await other.drain(true);
equal("drained", await other.getJobCountByTypes("wait", "delayed"), 0);
const error = await other.add("child", {}, { parent: { id: "none", queue: "bull:none" } }).catch((one) => one.message);
equal("a parent that is none", error, "Missing key for parent job bull:none:none. addJob");
await other.setGlobalConcurrency(1);
equal("global concurrency", await other.getGlobalConcurrency(), 1);
equal("pattern", (await other.upsertJobScheduler("yearly", { pattern: "0 0 1 1 *" })).name, "yearly");
equal("schedulers", (await other.getJobSchedulers()).map(({ key, pattern }) => [key, pattern]), [["yearly", "0 0 1 1 *"]]);
equal("its own is gone", await other.removeJobScheduler("yearly"), true);

const failing = await flows.add({ name: "top", queueName: "other", opts: { jobId: "top" }, children: [
  { name: "broken", queueName: "other", opts: { jobId: "leaf", failParentOnFailure: true } }] });
lazy.resume();
const fate = await failing.job.waitUntilFinished(otherEvents, 10_000).catch((one) => one.message);
equal("the fate of a parent", fate, "child bull:other:leaf failed");
await until("events", () => seen.includes("failed top"), () => seen);
equal("some events", ["paused", "resumed", "delayed soon", "failed broken", "removed dropped",
  "deduplicated d1", "duplicated j1", "waiting-children top"].filter((one) => !seen.includes(one)), []);
equal("who works", await other.getWorkersCount(), 1);
await lazy.close();
await other.obliterate({ force: true });
equal("left of it", await client.keys("bull:other:*"), []);
client.disconnect();
await closeAll();
well();
