// The ring as a picture: a card for each slave, in ring order, with the partitions that it owns;
// below it slaves that are not in the ring; arrows for copies on their way.

const SVG = "http://www.w3.org/2000/svg";
const CARDS_MAX = 8; // beyond, a slave is a dot with its name
const SHOWN_MAX = 6; // partitions in a card; beyond, how many there are
export const MARKS = { up: "●", suspect: "▲", down: "✕", leaving: "◁" };

function add(parent, tag, attributes = {}, text = null) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== null) element.textContent = text;
  parent.append(element);
  return element;
}

// A partition at its owner: "led" there, "away" (led elsewhere), or "none" leads it.
function leadOf(partition) {
  if (partition.leader === null) return "none";
  return partition.leader === partition.owner ? "led" : "away";
}

function drawCard(parent, id, node, owned, x, y) {
  const width = Math.max(84, 9 * id.length + 34), height = owned.length ? 50 : 30;
  const card = add(parent, "g", { transform: `translate(${x} ${y})` });
  add(card, "rect", { class: `card ${node.status}`, x: -width / 2, y: -height / 2, width, height, rx: 8 });
  const top = owned.length ? -11 : 0;
  add(card, "text", { class: "name", y: top }, `${MARKS[node.status] ?? "?"} ${id}`);
  if (owned.length > SHOWN_MAX || (owned.length && String(owned.at(-1).id).length > 2)) {
    const away = owned.filter((each) => leadOf(each) !== "led").length;
    add(card, "text", { y: 12, class: "count" }, away ? `${owned.length}, ${away} away` : `${owned.length} parts`);
    return;
  }
  const step = Math.min(22, (width - 8) / Math.max(1, owned.length));
  owned.forEach((partition, number) => {
    const at = (number - (owned.length - 1) / 2) * step, lead = leadOf(partition);
    add(card, "rect", { class: `part ${lead}`, x: at - step / 2 + 1, y: 3, width: step - 2, height: 17, rx: 3 });
    add(card, "text", { class: `number ${lead}`, x: at, y: 12 }, partition.id);
  });
}

function drawDot(parent, id, node, angle, radius) {
  const x = radius * Math.cos(angle), y = radius * Math.sin(angle);
  add(parent, "circle", { class: `card ${node.status}`, cx: x, cy: y, r: 7 });
  const turned = (angle * 180) / Math.PI, isLeft = Math.cos(angle) < 0;
  add(parent, "text", {
    transform: `rotate(${turned}) translate(${radius + 12} 0) rotate(${isLeft ? 180 : 0})`,
    class: isLeft ? "end" : "start",
  }, `${node.status === "up" ? "" : MARKS[node.status] + " "}${id}`);
}

// Copies that go the same way are one arrow: their numbers, and how far they are together.
function drawMoves(parent, moves, partitions, places) {
  const ways = new Map();
  for (const move of moves) {
    const leader = partitions.find((each) => each.id === move.group)?.leader;
    for (const to of move.to) {
      const way = `${leader} ${to}`;
      if (!ways.has(way)) ways.set(way, { leader, to, groups: [], done: 0, total: 0 });
      const found = ways.get(way);
      found.groups.push(move.group);
      found.done += move.done;
      found.total += move.total;
    }
  }
  const labels = document.createElementNS(SVG, "g");
  for (const way of ways.values()) {
    const from = places.get(way.leader), to = places.get(way.to);
    if (!from || !to || from === to) continue;
    const share = way.total ? Math.floor((100 * way.done) / way.total) : null;
    const middle = { x: 0.25 * (from.x + to.x), y: 0.25 * (from.y + to.y) };
    const end = { x: to.x + 0.22 * (middle.x - to.x), y: to.y + 0.22 * (middle.y - to.y) };
    add(parent, "path", {
      class: "move", "marker-end": "url(#head)",
      d: `M${from.x} ${from.y}Q${middle.x} ${middle.y} ${end.x} ${end.y}`,
    });
    const x = 0.25 * from.x + 0.5 * middle.x + 0.25 * end.x, y = 0.25 * from.y + 0.5 * middle.y + 0.25 * end.y;
    add(labels, "text", { class: "how-far", x, y }, `${way.groups.join(", ")}${share === null ? "" : `: ${share} %`}`);
  }
  parent.append(labels); // over all arrows
}

// What the picture says, in words.
function describe(status, owned) {
  const slaves = status.ring.map((id) => {
    const parts = owned.get(id) ?? [];
    const count = parts.length === 1 ? "1 partition" : `${parts.length} partitions`;
    return `${id} (${status.nodes[id]?.status}) owns ${count}`;
  });
  const out = Object.keys(status.nodes).filter((id) => !status.ring.includes(id));
  return `${status.ring.length} slaves in ring order: ${slaves.join("; ")}.`
    + (out.length ? ` Not in the ring: ${out.map((id) => `${id} (${status.nodes[id].status})`).join(", ")}.` : "");
}

export function drawRing(svg, status) {
  const { nodes, ring, partitions } = status;
  const owned = new Map(Object.keys(nodes).map((id) => [id, []]));
  for (const partition of partitions) owned.get(partition.owner)?.push(partition);
  const outside = Object.keys(nodes).filter((id) => !ring.includes(id));
  const isLarge = ring.length > CARDS_MAX, radius = isLarge ? 140 : 138;
  const rows = Math.ceil(outside.length / 3);
  svg.setAttribute("viewBox", `-200 -${isLarge ? 200 : 172} 400 ${(isLarge ? (rows ? 416 : 400) : 344) + 40 * rows}`);
  const picture = document.createElementNS(SVG, "g");
  const head = add(add(picture, "defs"), "marker", {
    id: "head", viewBox: "0 0 8 8", refX: 6, refY: 4, markerWidth: 5, markerHeight: 5, orient: "auto",
  });
  add(head, "path", { class: "head", d: "M0 0L8 4L0 8z" });
  add(picture, "circle", { class: "round", r: radius });
  const places = new Map();
  ring.forEach((id, number) => {
    const angle = (2 * Math.PI * number) / ring.length - Math.PI / 2;
    places.set(id, { x: radius * Math.cos(angle), y: radius * Math.sin(angle) });
  });
  drawMoves(picture, status.moves, partitions, places);
  ring.forEach((id, number) => {
    const { x, y } = places.get(id), node = nodes[id] ?? { status: "?" };
    if (isLarge) drawDot(picture, id, node, (2 * Math.PI * number) / ring.length - Math.PI / 2, radius);
    else drawCard(picture, id, node, owned.get(id) ?? [], Math.max(-154, Math.min(154, x)), y);
  });
  outside.forEach((id, number) => {
    const inRow = Math.min(3, outside.length - 3 * Math.floor(number / 3));
    const x = ((number % 3) - (inRow - 1) / 2) * 128, y = (isLarge ? 226 : 192) + 40 * Math.floor(number / 3);
    drawCard(picture, id, nodes[id], [], x, y);
  });
  svg.querySelector("g")?.remove();
  svg.append(picture);
  const text = describe(status, owned), desc = svg.querySelector("desc");
  if (desc.textContent !== text) desc.textContent = text;
}
