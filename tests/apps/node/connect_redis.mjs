// Express with the sessions of express-session in connect-redis: each visit counts, none is lost.
import { equal, require, steps, url, well } from "./work.mjs";

const express = require("express");
const session = require("express-session");
const { RedisStore } = require("connect-redis");
const { createClient } = require("redis");

const PEOPLE = 5;
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
app.get("/out", (request, response) => request.session.destroy(() => response.send("out")));
const server = app.listen(0, "127.0.0.1");
await new Promise((resolve) => server.once("listening", resolve));

const people = Array.from({ length: PEOPLE }, () => ({ cookie: "", visits: 0 }));

async function visit(person, path) {
  const { cookie } = person;
  const reply = await fetch(`http://127.0.0.1:${server.address().port}${path}`, { headers: { cookie } });
  person.cookie = (reply.headers.get("set-cookie") ?? cookie).split(";")[0];
  return reply.text();
}

for await (const step of steps()) {
  const person = people[step % PEOPLE];
  person.visits += 1;
  equal("visits", await visit(person, "/"), String(person.visits));
}
equal("sessions", await store.length(), PEOPLE);
equal("the session that is kept", (await store.all()).map(({ visits }) => visits).sort(),
  people.map(({ visits }) => visits).sort());
await visit(people[0], "/out");
equal("the visit after one has left", await visit(people[0], "/"), "1");
await store.clear();
equal("sessions that are left", await store.length(), 0);
well();
