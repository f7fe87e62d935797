// BullMQ: workers that stall, wait, are held back or take jobs by hand, parents, and its relay, while
// nothing dies.  Errors are those of Redis, word for word.
import { bullmq, closeAll, connection, eventsOf, kept, queueOf, workerOf } from "./bull.mjs";
import { equal, sleep, until, well } from "./work.mjs";

const { FlowProducer, Relay, WaitingChildrenError, Worker } = bullmq;
const flows = kept("flows", new FlowProducer({ connection }));
const queue = await queueOf("workers");
const events = await eventsOf("workers");
const said = (promise) => promise.then(() => "no error", (error) => error.message);

// A worker that does not renew its lock stalls, and its job is done again by one who looks: so too on Redis.
const stalled = [];
events.on("stalled", ({ jobId }) => stalled.push(jobId));
const tries = [];
const lame = new Worker("workers", async () => { tries.push("lame"); await sleep(1500); },
  { connection, lockDuration: 300, skipLockRenewal: true, skipStalledCheck: true });
const complaints = [];
lame.on("error", (error) => complaints.push(error.message));
const job = await queue.add("once", {}, { jobId: "once" });
await until("it is taken", () => tries.length === 1);
const sound = workerOf("workers", async () => { tries.push("sound"); return "done"; }, { stalledInterval: 200 });
equal("one that stalled", await job.waitUntilFinished(events, 10_000), "done");
await until("the lame one complains", () => complaints.length === 2);
await lame.close();
const missing = "Missing lock for job once. moveToFinished"; // it is neither completed nor failed
equal("its complaints", complaints, [missing, missing]);
equal("who was told to do it", [tries, stalled], [["lame", "sound"], ["once"]]);
await sound.pause();

// By hand.
const hand = kept("a hand", new Worker("workers", null, { connection, metrics: { maxDataPoints: 10 } }));
await queue.add("one", { value: 1 }, { jobId: "one" });
await queue.add("two", { value: 2 }, { jobId: "two" });
const one = await hand.getNextJob("token");
equal("taken", [one.id, await one.getState(), await one.isActive()], ["one", "active", true]);
equal("a lock for longer", await one.extendLock("token", 60_000), 1);
equal("of another", await one.extendLock("other", 60_000), 0);
equal("ended by another", await said(one.moveToCompleted(1, "other", false)),
  "Lock mismatch for job one. Cmd moveToFinished from active");
await one.moveToWait("token");
equal("put back", [await one.getState(), await queue.getWaitingCount()], ["waiting", 2]);
const first = await hand.getNextJob("token");
await first.moveToFailed(new Error("by hand"), "token", false);
equal("failed", [await first.getState(), first.failedReason], ["failed", "by hand"]);
equal("ended twice", await said(first.moveToCompleted(1, "token", false)), `Missing lock for job ${first.id}. moveToFinished`);
await first.retry("failed", { resetAttemptsMade: true });
equal("again", await first.getState(), "waiting");
equal("one that waits is not retried", await said(first.retry("failed")), `Job ${first.id} is not in the failed state. reprocessJob`);
equal("one that is none", await said(queue.remove("none")), "no error");
for (let at = 0; at < 2; at += 1) await (await hand.getNextJob("token")).moveToCompleted("by hand", "token", false);
equal("none is left", await hand.getNextJob("token", { block: false }) ?? null, null);
const metrics = await queue.getMetrics("completed");
equal("metrics", metrics.meta.count >= 2, true);
equal("listed", (await queue.getJobs(["completed"], 0, 10, true)).map(({ id }) => id).sort(), ["once", "one", "two"]);

// Held back by hand.
const begun = performance.now();
const held = [];
const tasks = await queueOf("held");
const holding = workerOf("held", async (task) => {
  held.push(`${task.name} ${task.attemptsMade}`);
  if (held.length > 1) return;
  await holding.rateLimit(400);
  throw Worker.RateLimitError();
}, { limiter: { max: 1, duration: 50 } });
await tasks.add("task", {});
await until("it is held", () => held.length === 1);
const ttl = await tasks.getRateLimitTtl();
equal("for how long", ttl > 0 && ttl <= 400, true);
await until("it is done", () => held.length === 2);
equal("held", [held, performance.now() - begun > 390], [["task 0", "task 0"], true]);
await tasks.setGlobalConcurrency(1);
equal("nobody is at it", await tasks.isMaxed(), false);
await tasks.setGlobalRateLimit(3, 1000);
equal("its limit", await tasks.getGlobalRateLimit(), { max: 3, duration: 1000 });

// Parents that wait for children that they make, and children that are let go.
const parents = await queueOf("parents");
const children = await queueOf("children");
const parentEvents = await eventsOf("parents");
workerOf("parents", async (task, token) => {
  if (task.name === "goes on") await task.removeUnprocessedChildren();
  if (task.name !== "asks") return "done";
  if (!task.data.asked) {
    await children.add("asked", {}, { parent: { id: task.id, queue: task.queueQualifiedName } });
    await task.updateData({ asked: true });
  }
  if (await task.moveToWaitingChildren(token)) throw new WaitingChildrenError();
  return Object.values(await task.getChildrenValues());
});
const asks = await parents.add("asks", {});
await until("a parent that waits", async () => (await asks.getState()) === "waiting-children");
const working = workerOf("children", async (task) => {
  if (task.name === "breaks") throw new Error("broken");
  return task.name;
});
equal("what its child has said", await asks.waitUntilFinished(parentEvents, 10_000), ["asked"]);
await working.pause();
const kin = (name, ...more) => flows.add({ name, queueName: "parents", children: more.map((opts, at) =>
  ({ name: opts.breaks ? "breaks" : `child ${at}`, queueName: "children", data: {}, opts: { ...opts, breaks: undefined } })) });
const wide = await kin("parent", {}, {}, {});
equal("dependencies", await wide.job.getDependenciesCount(), { processed: 0, unprocessed: 3, ignored: 0, failed: 0 });
const page = await wide.job.getDependencies({ unprocessed: { count: 20 } });
equal("which", page.unprocessed.length, 3);
equal("its tree", (await flows.getFlow({ id: wide.job.id, queueName: "parents" })).children.length, 3);
equal("pages", (await parents.getDependencies(wide.job.id, "pending", 0, 1)).total, 3);
equal("let go", await wide.children[0].job.removeChildDependency(), true);
await wide.job.removeUnprocessedChildren();
equal("without its children", await wide.job.waitUntilFinished(parentEvents, 10_000), "done");
const ignoring = await kin("parent", { breaks: true, ignoreDependencyOnFailure: true }, {});
const forgetting = await kin("parent", { breaks: true, removeDependencyOnFailure: true }, {});
const going = await kin("goes on", { breaks: true, continueParentOnFailure: true }, { delay: 60_000 });
working.resume();
for (const { job: parent } of [ignoring, forgetting, going]) {
  equal("a parent of one that broke", await parent.waitUntilFinished(parentEvents, 10_000), "done");
}
equal("what was ignored", Object.values(await ignoring.job.getIgnoredChildrenFailures()), ["broken"]);

// One of a kind at a time.
const same = { deduplication: { id: "same" }, delay: 60_000 };
const kind = await tasks.add("kind", { at: 1 }, { ...same, jobId: "kind1" });
const second = await tasks.add("kind", { at: 2 }, { ...same, jobId: "kind2" });
equal("the same", [second.id, await tasks.getDeduplicationJobId("same")], ["kind1", "kind1"]);
equal("no more", [await kind.removeDeduplicationKey(), await tasks.getDeduplicationJobId("same")], [true, null]);
const replacing = { deduplication: { id: "new", ttl: 60_000, extend: true, replace: true }, delay: 50_000 };
await tasks.add("kind", { at: 3 }, { ...replacing, jobId: "kind3" });
await tasks.add("kind", { at: 4 }, { ...replacing, jobId: "kind4" });
equal("the newer one", [await tasks.getDeduplicationJobId("new"), await tasks.getJobState("kind3")], ["kind4", "unknown"]);
equal("promoted", [await tasks.promoteJobs(), await tasks.getDelayedCount()], [undefined, 0]);
equal("orphans", await tasks.removeOrphanedJobs(), 0);
const scheduled = await tasks.upsertJobScheduler("often", { every: 60_000, limit: 5 }, { name: "often", data: { n: 1 } });
equal("a schedule", [scheduled.name, (await tasks.getJobScheduler("often")).every], ["often", 60_000]);
equal("its text", /bullmq_job_count\{queue="held", state="completed"\} \d/.test(await tasks.exportPrometheusMetrics()), true);
await tasks.trimEvents(0);

// The relay, which is new in 6.
const relays = [];
for (const nodeId of ["relay0", "relay1"]) {
  relays.push(kept("relay", new Relay({ connection, nodeId, blockTimeout: 200, leaseDuration: 3000, sweepInterval: 300 })));
  await relays.at(-1).waitUntilReady();
}
const heard = [];
await relays[1].publish("news.kept", { n: 0 }, { retain: 60_000 });
await relays[0].subscribe("news.*", ({ topic, data }) => heard.push([topic, data.n]));
await relays[0].subscribe("news.kept", ({ data, retained }) => heard.push(["kept", data.n, retained]));
await relays[1].publish("news.one", { n: 1 });
await relays[1].publish("other.one", { n: 2 });
await until("news", () => heard.length >= 2, () => heard);
equal("news", heard, [["kept", 0, true], ["news.one", 1]]);
equal("its nodes", (await relays[1].getNodes()).map(({ id, nodeId }) => id ?? nodeId), ["relay0", "relay1"]);
equal("its patterns", (await relays[1].getPatterns()).map(({ pattern }) => pattern), ["news.*", "news.kept"]);
equal("its namespaces", await relays[1].getNamespaces(), ["default"]);
equal("retained", (await relays[1].getRetained()).length, 1);
equal("not retained any more", await relays[1].deleteRetained("news.kept"), true);
equal("connections of it", (await relays[1].getNodeConnections("relay0")).length, 1);
await sleep(1200); // its leases are renewed
await relays[1].publish("news.two", { n: 3 });
await until("more news", () => heard.length >= 3, () => heard);
equal("no more of it", heard.length, 3);
await closeAll();
well();
