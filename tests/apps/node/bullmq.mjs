// BullMQ: jobs of all sorts beside a leader's death, each done once.
import { bullmq, closeAll, connection, eventsOf, kept, queueOf, workerOf } from "./bull.mjs";
import { equal, sleep, steps, until, well } from "./work.mjs";

const { FlowProducer, Relay } = bullmq;
const AHEAD = 6; // jobs that are sent before the first of them must be done
const EVERY_MS = 100;
const LIMIT = { max: 4, duration: 200 };

class Tally extends Map {
  add(name) { this.set(name, (this.get(name) ?? 0) + 1); }
  total() { return [...this.values()].reduce((sum, one) => sum + one, 0); }
  entries() { return [...super.entries()].sort(([a], [b]) => (a < b ? -1 : 1)); }
}

const queue = await queueOf("work");
const flows = kept("flows", new FlowProducer({ connection }));
const events = await eventsOf("work");
const [done, wanted, told] = [new Tally(), new Tally(), new Tally()];
events.on("completed", ({ jobId }) => told.add(jobId));
const sums = [];
const worker = workerOf("work", async (job) => {
  done.add(`${job.name} ${job.data.number ?? ""} try ${job.attemptsMade}`);
  if (job.name === "fails once" && job.attemptsMade === 0) throw new Error("as it should");
  if (job.name === "parent") sums.push(Object.values(await job.getChildrenValues()).sort());
  await job.updateProgress(50);
  await job.log("half of it");
  return job.data.number ** 2;
});

const ids = [];
const SORTS = [
  (number) => queue.add("plain", { number }),
  (number) => queue.add("late", { number }, { delay: 30 }),
  (number) => queue.add("urgent", { number }, { priority: 1 + (number % 7) }),
  (number) => queue.add("fails once", { number }, { attempts: 3, backoff: { type: "fixed", delay: 20 } }),
  (number) => queue.addBulk([0, 1].map((half) => ({ name: "bulk", data: { number: number + half / 2 } }))),
  (number) => flows.add({ name: "parent", queueName: "work", data: { number },
    children: [1, 2].map((more) => ({ name: "child", queueName: "work", data: { number: number * 10 + more } })) }),
];
function expect(number) {
  const sort = number % SORTS.length;
  const one = (name, of = number, tried = 0) => wanted.add(`${name} ${of} try ${tried}`);
  if (sort < 3) one(["plain", "late", "urgent"][sort]);
  if (sort === 3) { one("fails once"); one("fails once", number, 1); }
  if (sort === 4) { one("bulk"); one("bulk", number + 0.5); }
  if (sort === 5) { one("parent"); one("child", number * 10 + 1); one("child", number * 10 + 2); }
}

const limited = await queueOf("limited");
const taken = new Tally();
const begun = performance.now();
workerOf("limited", async (job) => taken.add(job.data.number), { limiter: LIMIT, concurrency: 5 });

const beats = await queueOf("beats");
const beaten = new Tally();
workerOf("beats", async (job) => beaten.add(Number(job.id.split(":").at(-1))));
await beats.upsertJobScheduler("beat", { every: EVERY_MS }, { name: "beat" });

const relays = [0, 1].map((at) => kept("relay", new Relay({ connection, nodeId: `node${at}` })));
const news = [];
await relays[0].subscribe("news.*", ({ data }) => news.push(data));

let count = 0, last = 0;
for await (const number of steps()) {
  const sent = await SORTS[number % SORTS.length](number);
  for (const one of [sent].flat()) {
    ids.push((one.job ?? one).id, ...(one.children ?? []).map((child) => child.job.id));
  }
  expect(count = number);
  await relays[1].publish(`news.${number}`, number);
  if (number % 4 === 0) await limited.add("one", { number: (last += 1) });
  await until(`job ${number}`, () => done.total() >= wanted.total() - AHEAD, () => [...done.entries()]);
}
await until("all jobs", () => done.total() >= wanted.total(), () => [...done.entries()]);
await until("the word of all jobs", () => told.size >= ids.length, () => [told.size, ids.length]);
await until("all news", () => news.length >= count, () => news);
await until("limited jobs", () => taken.size >= last);
const took = performance.now() - begun;
await until("some beats", () => beaten.size > 5);
await beats.removeJobScheduler("beat");
await sleep(2 * EVERY_MS); // what comes twice comes late
equal("jobs done", [...done.entries()], [...wanted.entries()]);
equal("events", [...told.entries()], ids.map((id) => [id, 1]).sort(([a], [b]) => (a < b ? -1 : 1)));
equal("news", news, Array.from({ length: count }, (_, at) => at + 1));
equal("limited jobs done", [taken.size, taken.total()], [last, last]);
const most = LIMIT.max * (Math.floor(took / LIMIT.duration) + 1);
equal(`at most ${most} of ${last} in ${took} ms`, last <= most, true);
const times = [...beaten.keys()].sort((a, b) => a - b);
equal("beats done", beaten.total(), beaten.size);
equal("times between beats", times.slice(1).filter((time, at) => (time - times[at]) % EVERY_MS), []);
for (const values of sums) {
  equal("squares of two children", values.map((value) => Math.sqrt(value) % 10).sort(), [1, 2]);
}
equal("counts", await queue.getJobCounts(), { active: 0, completed: ids.length, delayed: 0, failed: 0,
  prioritized: 0, waiting: 0, "waiting-children": 0 });
const ended = await Promise.all(ids.map((id) => queue.getJob(id)));
equal("results", ended.filter((job) => job.returnvalue !== job.data.number ** 2).map((job) => job.id), []);
equal("a log", (await queue.getJobLogs(ids[0])).logs, ["half of it"]);
equal("progress", ended[0].progress, 50);
await closeAll();
well();
