// The same as workers.py for clients of Node: `node worker.mjs KIND PREFIX HOST:PORT …`.
import { Cluster, Redis } from "ioredis";
import { createClient, createCluster } from "redis";

const [kind, prefix, ...addresses] = process.argv.slice(2);
const split = (address) => {
  const at = address.lastIndexOf(":");
  return { host: address.slice(0, at), port: Number(address.slice(at + 1)) };
};
const book = {
  register: `${prefix}register`, counter: `${prefix}counter`,
  tried: 0, acknowledged: 0, counted: 0, went_back: 0, errors: {}, under_way: "",
};
let since = Date.now();
const show = () => console.log(JSON.stringify({ ...book, since_s: (Date.now() - since) / 1000 }));
let isOver = false;
process.stdin.on("end", () => { isOver = true; });
process.stdin.on("data", show);
const failed = (error) => {
  const text = `${error.name}: ${error.message}`.slice(0, 200);
  book.errors[text] = (book.errors[text] ?? 0) + 1;
};

async function run(client) {
  const ask = async (name, ...words) => {
    book.under_way = [name, ...words].join(" ");
    since = Date.now();
    try { return await client[name](...words); } catch (error) { failed(error); return null; }
  };
  while (!isOver) {
    book.tried += 1;
    const value = book.tried;
    if (await ask("set", book.register, String(value)) !== null) book.acknowledged = value;
    const read = await ask("get", book.register);
    if (read !== null && Number(read) < book.acknowledged) book.went_back += 1;
    if (await ask("incr", book.counter) !== null) book.counted += 1;
  }
}

const quietly = (client) => client.on("error", () => {});  // of connections: they are made anew
const kinds = {
  "ioredis-cluster": async () => {
    const client = quietly(new Cluster(addresses.map(split), {
      clusterRetryStrategy: (times) => Math.min(50 * times, 1000),
      retryDelayOnFailover: 200, maxRedirections: 50,
      redisOptions: { maxRetriesPerRequest: null },
    }));
    await run(client);
    client.disconnect();
  },
  "ioredis-gateway": async () => {
    const client = quietly(new Redis(split(addresses[0])));
    await run(client);
    client.disconnect();
  },
  "node-redis-cluster": async () => {
    const client = quietly(createCluster({
      rootNodes: addresses.map((address) => ({ url: `redis://${address}` })),
      maxCommandRedirections: 50, topologyRefreshOnReconnectionAttemptStrategy: 500,
    }));
    await client.connect();
    await run(client);
    client.destroy();
  },
  "node-redis-gateway": async () => {
    const client = quietly(createClient({ url: `redis://${addresses[0]}` }));
    await client.connect();
    await run(client);
    client.destroy();
  },
};
await kinds[kind]();
show();
process.exit(0);
