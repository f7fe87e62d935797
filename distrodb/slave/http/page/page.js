// Asks the slave each second how the cluster is, and shows it.  What is the same stays as it is in
// the document, so that neither a selection nor the keyboard's place is lost, and screen readers
// are told of what has changed only.

import { MARKS, drawRing } from "/ring.js";

const EACH_MS = 1000; // between two looks
const GIVE_UP_MS = 5000; // until one that does not answer counts as lost
const LINE_LENGTH = 120; // looks that a line shows
const ROWS_FIRST = 64; // partitions that are shown before one asks for more
const SHOWN_BYTES = 1024; // of a value, at most
const WORDS = { good: "✓", warn: "!", bad: "✕", note: "·" };
const URL_OF_A_PAGE = /^https?:\/\/([\w.\-:[\]]+)$/;
const at = (id) => document.getElementById(id);
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const lines = { commands: [], write: [], read: [] };
const SEVERITIES = { error: ["✕", "Error", "bad"], warning: ["!", "Warning", "warn"], note: ["·", "Note", "note"] };
let status = null, live = null, findings = null, isPaused = false, isAllShown = false;

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function time(us) {
  if (us === null || us === undefined) return "?";
  if (!us) return "–";
  const [size, unit] = us < 1000 ? [1, "µs"] : us < 1e6 ? [1000, "ms"] : [1e6, "s"];
  return `≤\u00a0${+(us / size).toPrecision(2)}\u00a0${unit}`;
}

function duration(ms) {
  const [size, unit] = ms < 1000 ? [1, "ms"] : ms < 120_000 ? [1000, "s"] : ms < 7_200_000 ? [60_000, "min"]
    : ms < 172_800_000 ? [3_600_000, "h"] : [86_400_000, "days"];
  return `${Math.floor(ms / size).toLocaleString("en")}\u00a0${unit}`;
}

function bytes(count) {
  const power = Math.min(4, Math.floor(Math.log10(Math.max(1, count)) / 3));
  return `${+(count / 1000 ** power).toPrecision(3)}\u00a0${["B", "kB", "MB", "GB", "TB"][power]}`;
}

function many(count, one, more = `${one}s`) {
  return count === 1 ? `1 ${one}` : `${count} ${more}`;
}

// Rows by their keys; `cells` are texts, or [text, { kind, href, class }].
function fill(body, rows) {
  const known = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  rows.forEach(({ key, cells }, place) => {
    let row = known.get(key);
    if (!row) {
      row = document.createElement("tr");
      row.dataset.key = key;
      cells.forEach((_, number) => {
        const cell = document.createElement(number ? "td" : "th");
        if (!number) cell.scope = "row";
        const head = body.parentElement.tHead.rows[0].cells[number];
        cell.className = head.className;
        row.append(cell);
      });
    }
    known.delete(key);
    if (body.rows[place] !== row) body.insertBefore(row, body.rows[place] ?? null);
    cells.forEach((content, number) => {
      const [text, { kind = "", href = "" } = {}] = [content].flat();
      const cell = row.cells[number];
      if (cell.dataset.kind !== kind) cell.dataset.kind = kind;
      if (!href) return set(cell, text);
      let link = cell.querySelector("a");
      if (!link) {
        link = document.createElement("a");
        cell.replaceChildren(link);
      }
      set(link, text);
      if (link.getAttribute("href") !== href) link.setAttribute("href", href);
    });
  });
  known.forEach((row) => row.remove());
}

// A slave's page, if a browser here is likely to reach it.
function pageOf(node) {
  const [, host] = URL_OF_A_PAGE.exec(node.http ?? "") ?? [];
  if (!host) return "";
  const isHere = /^(localhost|127\.|\[::1\])/;
  if (isHere.test(host) && !isHere.test(location.host)) return "";
  return `${node.http}/`;
}

// The whole in a sentence or few, and how bad it is.
function summary() {
  const { asked, nodes, partitions, healing } = status, said = [];
  if (asked.waits_to_join) return ["warn", `${asked.node} waits to be let into the cluster.`];
  if (!status.epoch) return ["warn", "The cluster is not born yet: all of its slaves must meet once."];
  let kind = "good";
  const tell = (how, text) => {
    said.push(text);
    if (how === "bad" || kind === "good") kind = how;
  };
  const leaderless = partitions.filter((each) => each.leader === null).length;
  if (leaderless) tell("bad", `${leaderless} of ${many(partitions.length, "partition")} ${leaderless === 1 ? "has" : "have"} no leader.`);
  for (const [id, node] of Object.entries(nodes)) {
    if (node.status === "down") tell(status.ring.includes(id) ? "bad" : "warn", `${id} is down.`);
    if (node.status === "suspect") tell("bad", `${asked.node} does not hear ${id}.`);
    if (node.status === "leaving") tell("warn", `${id} is leaving.`);
    if (node.slow_disk) tell("warn", `The disk of ${id} is slow.`);
  }
  const moving = healing.moving.length + healing.waiting.length;
  if (healing.stuck.length) tell("bad", `${many(healing.stuck.length, "partition")} cannot move: a majority of their slaves is down.`);
  if (moving) tell("warn", `The ring heals: ${many(moving, "partition")} on the way to other slaves.`);
  if (!said.length) {
    return ["good", `All is well: ${many(status.ring.length, "slave")}, ${many(partitions.length, "partition")}, every one with a leader and all of its copies.`];
  }
  const isOut = Object.keys(nodes).some((id) => !status.ring.includes(id));
  const lacking = partitions.filter((each) => each.group.some((id) => nodes[id].status === "down")).length;
  if (isOut && healing.is_done && lacking) tell("warn", `${many(lacking, "partition")} ${lacking === 1 ? "has" : "have"} a copy less, and nobody is left to take it.`);
  else if (isOut && healing.is_done && !leaderless) said.push("The ring has closed its gap: every copy is where it should be.");
  return [kind, said.join(" ")];
}

function say(kind, text) {
  at("state").dataset.kind = kind;
  set(document.querySelector("#state .mark"), WORDS[kind]);
  set(at("state-text"), text);
}

function slaveRows() {
  const order = [...status.ring, ...Object.keys(status.nodes).filter((id) => !status.ring.includes(id))];
  return order.map((id) => {
    const node = status.nodes[id], isUp = node.status === "up";
    const leads = status.partitions.filter((each) => each.leader === id).length;
    const kind = isUp ? (node.slow_disk ? "warn" : "") : node.status === "leaving" ? "warn" : "bad";
    const state = `${MARKS[node.status] ?? "?"}\u00a0${node.status}${node.slow_disk ? ", slow disk" : ""}`;
    const href = id === status.asked.node || node.status === "down" ? "" : pageOf(node);
    return { key: `${id} ${Boolean(href)}`, cells: [
      [id, { href }], [state, { kind }], String(leads),
      node.commands_per_s === null ? "?" : compact.format(node.commands_per_s),
      time(node.write_us), time(node.read_us),
      node.sync_ms === null ? "?" : `${node.sync_ms}\u00a0ms`, node.client, node.gateway ?? "none",
    ] };
  });
}

function partitionRows() {
  const rows = isAllShown ? status.partitions : status.partitions.slice(0, ROWS_FIRST);
  return rows.map((each) => {
    const members = (each.members ?? each.group).map((name) => name.split("/")[0]);
    const coming = each.group.filter((id) => !members.includes(id)).map((id) => `+${id}`);
    const leader = each.leader === null ? ["✕ nobody", { kind: "bad" }]
      : each.leader === each.owner ? each.leader : [`▲ ${each.leader}`, { kind: "warn" }];
    return { key: String(each.id), cells: [
      String(each.id), `${each.slots[0]}–${each.slots[1]}`, each.owner, leader,
      [...members.sort(), ...coming].join(" "),
    ] };
  });
}

function showMoves() {
  const list = at("moves"), known = new Map([...list.children].map((item) => [item.dataset.key, item]));
  if (!status.moves.length) {
    known.forEach((item, key) => key !== "none" && item.remove());
    if (!known.has("none")) list.insertAdjacentHTML("beforeend", '<li data-key="none">none</li>');
    return;
  }
  for (const move of status.moves) {
    const key = `${move.group} ${move.to}`, share = move.total ? move.done / move.total : null;
    let item = known.get(key);
    if (!item) {
      item = document.createElement("li");
      item.dataset.key = key;
      item.append(document.createElement("span"), document.createElement("progress"));
      list.append(item);
    }
    known.delete(key);
    const to = move.to.length ? ` gets a copy at ${move.to.join(", ")}` : "";
    const from = move.from.length ? `${to ? ";" : ""} leaves ${move.from.join(", ")}` : "";
    const far = share === null ? "" : ` (${Math.floor(100 * share)} % of ${bytes(move.total)})`;
    set(item.firstChild, `${move.group === "map" ? "the cluster map" : `partition ${move.group}`}${to}${from}${far}`);
    const bar = item.lastChild;
    bar.setAttribute("aria-label", `copy of ${move.group}`);
    if (share === null) bar.removeAttribute("value");
    else bar.value = share;
  }
  known.forEach((item) => item.remove());
}

// What DOCTOR finds, worst first as it tells it.  An item that stays is left alone, so that only
// what is new is read out.
function showFindings() {
  at("doctor").hidden = findings === null;
  if (findings === null) return;
  const list = at("findings"), known = new Map([...list.children].map((item) => [item.dataset.key, item]));
  const rows = findings.length ? findings : [{ severity: "good", about: "", seen: "Nothing is wrong that this slave sees.", do: "" }];
  rows.forEach(({ severity, about, seen, do: remedy }, place) => {
    const key = `${severity} ${about} ${seen} ${remedy}`;
    let item = known.get(key);
    if (!item) {
      const [sign, word, kind] = SEVERITIES[severity] ?? [WORDS.good, "", "good"];
      item = document.createElement("li");
      Object.assign(item.dataset, { key, kind });
      const mark = document.createElement("span"), text = document.createElement("span"), name = document.createElement("strong");
      mark.className = "mark";
      mark.ariaHidden = "true";
      mark.textContent = sign;
      name.textContent = [word, about].filter(Boolean).join(", ");
      text.append(name, `${name.textContent ? ": " : ""}${seen}${remedy ? " " : ""}`);
      if (remedy) {
        const what = document.createElement("span");
        what.className = "remedy";
        what.textContent = remedy;
        text.append(what);
      }
      item.append(mark, text);
    }
    known.delete(key);
    if (list.children[place] !== item) list.insertBefore(item, list.children[place] ?? null);
  });
  known.forEach((item) => item.remove());
}

function showEvents() {
  const list = at("events"), newest = live.events[0];
  const key = newest ? `${newest.at_ms} ${newest.text} ${live.events.length}` : "none";
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  const items = live.events.map((event) => {
    const item = document.createElement("li"), mark = document.createElement("span");
    const when = document.createElement("time"), text = document.createElement("span");
    item.dataset.kind = event.kind;
    mark.className = "mark";
    mark.ariaHidden = "true";
    mark.textContent = WORDS[event.kind] ?? "·";
    when.dateTime = new Date(event.at_ms).toISOString();
    when.textContent = clock.format(event.at_ms);
    text.textContent = event.text;
    item.append(mark, when, text);
    return item;
  });
  if (!items.length) {
    const item = document.createElement("li");
    item.textContent = "nothing since this slave began";
    items.push(item);
  }
  list.replaceChildren(...items);
}

function drawLine(id, value) {
  const values = lines[id], svg = at(`${id}-line`);
  values.push(value);
  if (values.length > LINE_LENGTH) values.shift();
  const top = Math.max(1, ...values), step = 120 / (LINE_LENGTH - 1);
  const points = values.map((each, number) => `${(number + LINE_LENGTH - values.length) * step},${30 - (27 * each) / top}`);
  let line = svg.querySelector("polyline");
  if (!line) {
    line = document.createElementNS(svg.namespaceURI, "polyline");
    const ground = document.createElementNS(svg.namespaceURI, "line");
    for (const [name, number] of [["x1", 0], ["x2", 120], ["y1", 31], ["y2", 31]]) ground.setAttribute(name, number);
    svg.append(ground, line);
  }
  line.setAttribute("points", points.join(" "));
}

function show() {
  const rows = Object.values(status.nodes), worst = (name) => Math.max(0, ...rows.map((node) => node[name] ?? 0));
  const commands = rows.reduce((sum, node) => sum + (node.commands_per_s ?? 0), 0);
  set(at("cluster"), live.cluster);
  document.title = `${live.cluster} · distrodb`;
  set(at("node"), status.asked.node);
  set(at("version"), `distrodb ${live.version}`);
  set(at("at"), clock.format(Date.now()));
  say(...summary());
  set(at("commands"), compact.format(commands));
  set(at("write"), time(worst("write_us")));
  set(at("read"), time(worst("read_us")));
  drawLine("commands", commands);
  drawLine("write", worst("write_us"));
  drawLine("read", worst("read_us"));
  const { took, memory } = live;
  set(at("own"), `${live.node}: ${compact.format(live.commands_per_s)} commands/s of ${many(live.clients, "client")}, `
    + `half of its writes ${time(took.write.p50_us)}, of its reads ${time(took.read.p50_us)}, of its syncs ${time(took.sync.p50_us)}; `
    + `leads ${live.led} of ${live.held} partitions here; memory ${bytes(memory.process)}, data ${bytes(memory.data)}.`
    + (live.not_ready.length ? ` Not ready: ${live.not_ready.join("; ")}.` : ""));
  drawRing(at("ring"), status);
  showMoves();
  fill(at("slaves"), slaveRows());
  fill(at("partitions"), partitionRows());
  const more = at("more"), left = status.partitions.length - ROWS_FIRST;
  more.hidden = isAllShown || left <= 0;
  set(more, `Show ${left} more`);
  showEvents();
  showFindings();
  at("others").hidden = true;
}

function lost(error) {
  const since = at("at").textContent;
  say("bad", status === null ? `The slave does not answer (${error.message}).`
    : `${status.asked.node} does not answer since ${since}. What is shown is from then.`);
  const links = Object.entries(status?.nodes ?? {})
    .filter(([id, node]) => id !== status.asked.node && pageOf(node))
    .map(([id, node]) => {
      const link = document.createElement("a");
      link.href = pageOf(node);
      link.textContent = id;
      return link;
    });
  if (at("others").hidden && links.length) {
    at("others-list").replaceChildren(...links.flatMap((link) => [link, " "]));
    at("others").hidden = false;
  }
}

// The slave does not let us: asking again and again would only be counted as failed logins.
class Denied extends Error {}

async function ask(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(GIVE_UP_MS) });
  if ([401, 403, 429].includes(answer.status)) throw new Denied((await answer.text()).trim());
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

// Null where there is none, or one may not see it; then it is not asked for again.
let asksDoctor = true;
async function askDoctor() {
  if (!asksDoctor) return null;
  const answer = await fetch("/doctor", { signal: AbortSignal.timeout(GIVE_UP_MS) });
  asksDoctor = answer.ok || answer.status >= 500;
  return answer.ok ? answer.json() : null;
}

async function look() {
  if (!isPaused && !document.hidden) {
    try {
      [status, live, findings] = await Promise.all([ask("/cluster"), ask("/live"), askDoctor()]);
      if (!isPaused) show();
    } catch (error) {
      if (error instanceof Denied) return denied(error.message);
      lost(error);
    }
  }
  setTimeout(look, EACH_MS);
}

function denied(why) {
  say("bad", `The slave does not show it: ${why}`);
  at("again").hidden = false;
  at("main").hidden = status === null;
}

async function showUser() {
  const { user } = await ask("/user");
  set(at("user"), `, for the user ${user}`);
}

at("pause").addEventListener("click", (event) => {
  isPaused = !isPaused;
  event.target.setAttribute("aria-pressed", String(isPaused));
});
at("more").addEventListener("click", () => {
  isAllShown = true;
  fill(at("partitions"), partitionRows());
  at("more").hidden = true;
});
function showValue({ value, why }) {
  const said = [];
  if (value) {
    const type = value.type ?? "value", size = value.length === null ? "" : ` of ${value.length.toLocaleString("en")} bytes`;
    const end = value.ttl_ms === null ? "" : value.ttl_ms < 0 ? " without an end" : ` that expires in ${duration(value.ttl_ms)}`;
    said.push(`It holds a ${type}${size}${end}.`);
    if (value.length > SHOWN_BYTES) said.push(`Its first ${SHOWN_BYTES.toLocaleString("en")} bytes:`);
  }
  if (why) said.push(`No value is shown: ${why}.`);
  set(at("holds"), said.join(" "));
  at("value").hidden = !value?.text;
  set(at("value"), value?.text ?? "");
}

at("key").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = at("name").value;
  set(at("place"), "Asking its leader …");
  showValue({ value: null, why: "" });
  try {
    const found = await ask(`/key?name=${encodeURIComponent(name)}`);
    set(at("place"), `Slot ${found.slot}, partition ${found.partition} (slots ${found.slots[0]}–${found.slots[1]}), `
      + `owner ${found.owner}, leader ${found.leader ?? "nobody"}, copies at ${found.group.join(" ")}.`);
    showValue(found);
  } catch (error) {
    set(at("place"), `This cannot be said now (${error.message}).`);
  }
});
at("reload").addEventListener("click", () => location.reload());
showUser().catch(() => {}); // then the looks say why
look();
