// Applications of Node: `node node.mjs KIND URL`.  The work goes on until the standard input ends;
// each line of the output says how many steps are done, or what went wrong, or "now" when a line came in.
import { createRequire } from "node:module";
const require = createRequire(new URL("../clients/package.json", import.meta.url));
const kinds = { "connect-redis": connectRedis, keyv };
const [kind, url] = process.argv.slice(2);
let isOver = false;
process.stdin.on("end", () => { isOver = true; });
process.stdin.on("data", () => console.log("now"));
const fail = (text) => { console.log(text); process.exit(1); };
const done = (steps) => console.log(`step ${steps}`);

async function connectRedis() {
  const express = require("express");
  const session = require("express-session");
  const { RedisStore } = require("connect-redis");
  const { createClient } = require("redis");
  const client = createClient({ url });
  client.on("error", () => {});
  await client.connect();
  const app = express();
  const store = new RedisStore({ client, prefix: "connect:" });
  app.use(session({ store, secret: "a secret", resave: false, saveUninitialized: false }));
  app.get("/", (request, response) => {
    request.session.visits = (request.session.visits ?? 0) + 1;
    response.send(String(request.session.visits));
  });
  const server = app.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = `http://127.0.0.1:${server.address().port}/`;
  let cookie = "", steps = 0;
  while (!isOver) {
    const reply = await fetch(address, { headers: { cookie } });
    const text = await reply.text();
    steps += 1;
    if (text !== String(steps)) fail(`visit ${steps} is said to be ${text}`);
    cookie = (reply.headers.get("set-cookie") ?? cookie).split(";")[0];
    done(steps);
  }
  if ((await store.length()) !== 1) fail(`${await store.length()} sessions`);
  await store.clear();
  if ((await store.length()) !== 0) fail("sessions are left");
}

async function keyv() {
  const { Keyv } = require("keyv");
  const KeyvRedis = require("@keyv/redis").default;
  const store = new Keyv(new KeyvRedis(url), { namespace: "keyv" });
  store.on("error", (error) => fail(`keyv: ${error.message}`));
  let steps = 0;
  while (!isOver) {
    steps += 1;
    await store.set(`key${steps % 50}`, { steps }, 300_000);
    const value = await store.get(`key${steps % 50}`);
    if (value?.steps !== steps) fail(`step ${steps} reads ${JSON.stringify(value)}`);
    await store.set("short", 1, 5);
    done(steps);
  }
  const many = await store.get(["key1", "key2", "none"]);
  if (many[0] === undefined || many[2] !== undefined) fail(`many: ${JSON.stringify(many)}`);
  if (!(await store.delete("key1")) || (await store.has("key1"))) fail("key1 is not deleted");
  await store.clear();
  if (await store.has("key2")) fail("it is not cleared");
}

await kinds[kind]();
console.log("well");
process.exit(0);
