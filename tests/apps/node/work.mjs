// What the programs beside this one share: `node PROGRAM.mjs redis://HOST:PORT` works on until its
// standard input ends.  Each line that it writes says a step that is done, "now" when a line came
// in, or what went wrong; "well" is the last one of a program whose outcome was right.
import { createRequire } from "node:module";

export const require = createRequire(new URL("../../clients/package.json", import.meta.url));
export const url = process.argv[2];
export const address = { host: new URL(url).hostname, port: Number(new URL(url).port) };
const GIVEN_UP_MS = 45_000;
let isOver = false;
process.stdin.on("end", () => { isOver = true; });
process.stdin.on("data", () => console.log("now"));

export function fail(text) {
  console.log(text);
  process.exit(1);
}
process.on("uncaughtException", (error) => fail(`thrown: ${error.stack}`.replaceAll("\n", " | ")));

// No error is expected: those that would be seen on no Redis server that stays up are faults.
export function noErrors(name, emitter) {
  emitter.on("error", (error) => fail(`${name}: ${error.stack}`.replaceAll("\n", " | ")));
  return emitter;
}

export function equal(what, seen, wanted) {
  const [left, right] = [JSON.stringify(seen), JSON.stringify(wanted)];
  if (left !== right) (process.env.SOFT ? console.log : fail)(`${what}: ${left} and not ${right}`);
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function until(what, condition, told = () => "") {
  const end = Date.now() + GIVEN_UP_MS;
  while (!(await condition())) {
    if (Date.now() > end) fail(`in vain awaited: ${what} ${JSON.stringify(told())}`);
    await sleep(5);
  }
}

// The numbers of the steps, 1 and on.
export async function* steps() {
  for (let number = 1; !isOver; number += 1) {
    yield number;
    console.log(`step ${number}`);
  }
}

export function well() {
  console.log("well");
  process.exit(0);
}
