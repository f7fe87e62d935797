// Two servers of socket.io that share rooms by an adapter: `pubsub`, `sharded` or `streams`.  Each
// word is heard once by each guest, in order; then what else servers ask each other.
import { address, equal, noErrors, require, sleep, steps, until, url, well } from "./work.mjs";

const { createServer } = require("node:http");
const { Server } = require("socket.io");
const { io } = require("socket.io-client");
const { createAdapter, createShardedAdapter } = require("@socket.io/redis-adapter");
const { createAdapter: createStreamsAdapter } = require("@socket.io/redis-streams-adapter");
const { Redis } = require("ioredis");
const { createClient } = require("redis");

const kind = process.argv[3];
const isKept = kind === "streams"; // what a guest misses while it is away

async function client(number) { // of one package or the other
  if (number === 0) return noErrors("ioredis", new Redis(address));
  return noErrors("redis", createClient({ url })).connect();
}

async function adapter(number) {
  const one = await client(number);
  if (kind === "streams") return createStreamsAdapter(one, { blockTimeInMs: 200 });
  const two = await client(number);
  return kind === "sharded" ? createShardedAdapter(one, two) : createAdapter(one, two);
}

async function serve(number) {
  const http = createServer();
  const server = new Server(http, {
    adapter: await adapter(number),
    ...(isKept ? { connectionStateRecovery: { maxDisconnectionDuration: 60_000 } } : {}),
  });
  server.on("connection", (socket) => {
    socket.join(`room ${number}`);
    socket.on("say", (text) => server.emit("said", text));
    socket.on("whisper", (room, text) => socket.to(room).emit("said", text));
  });
  server.on("sum", (value, reply) => reply(value * (number + 1)));
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  return { server, address: `http://127.0.0.1:${http.address().port}` };
}

function visit({ address }) {
  const socket = io(address, { transports: ["websocket"], reconnectionDelay: 300, randomizationFactor: 0 });
  const guest = { socket, heard: [] };
  socket.on("said", (text) => guest.heard.push(text));
  socket.on("asked", (value, reply) => reply(value + 1));
  return guest;
}

const servers = [await serve(0), await serve(1)];
const guests = servers.map(visit);
const words = (guest) => guest.heard.filter((text) => !String(text).startsWith("hello"));
const all = (condition) => guests.every(condition);
await until("connections", () => all(({ socket }) => socket.connected));
await until("both servers listen", async () => {
  guests.forEach(({ socket }, number) => socket.emit("say", `hello ${number}`));
  await sleep(50);
  return all(({ heard }) => heard.includes("hello 0") && heard.includes("hello 1"));
});

const said = [];
for await (const step of steps()) {
  const text = `word ${step}`;
  said.push(text);
  guests[step % 2].socket.emit("say", text);
  await until(text, () => all((guest) => guest.heard.at(-1) === text), () => guests.map((guest) => guest.heard.at(-1)));
}
for (const guest of guests) equal("words heard", words(guest), said);

const [{ server }] = servers;
guests[0].socket.emit("whisper", "room 1", "for one");
await until("a word for a room", () => words(guests[1]).at(-1) === "for one");
equal("who is there", (await server.fetchSockets()).length, 2);
equal("who is in a room", (await server.in("room 1").fetchSockets()).map(({ id }) => id), [guests[1].socket.id]);
server.socketsJoin("all");
await until("all in a room", async () => (await server.in("all").fetchSockets()).length === 2);
server.in("room 1").socketsLeave("all");
await until("one has left", async () => (await server.in("all").fetchSockets()).length === 1);
equal("answers of guests", (await server.timeout(10_000).emitWithAck("asked", 41)), [42, 42]);
equal("answers of servers", await server.serverSideEmitWithAck("sum", 21), [42]);
const bytes = Buffer.from([0, 255, 13, 10]);
server.emit("said", bytes);
await until("bytes", () => all((guest) => Buffer.isBuffer(guest.heard.at(-1))));
equal("bytes", [...guests[1].heard.at(-1)], [...bytes]);

if (isKept) {
  const { socket, heard } = guests[1];
  socket.io.engine.close(); // as by a broken line
  await until("it is away", () => !socket.connected);
  guests[0].socket.emit("say", "while away");
  await until("it is back", () => socket.connected);
  await until("what it has missed", () => heard.at(-1) === "while away");
  equal("its state", [socket.recovered, heard.filter((text) => text === "while away").length], [true, 1]);
}

server.in("room 1").disconnectSockets();
await until("one is sent away", () => !guests[1].socket.connected);
well();
