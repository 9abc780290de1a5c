import { bytes, color, make } from "./model.js";

// Rectangles in proportion to sizes, as close to squares as they can be: rows are filled until they would get worse.
function squarify(items, left, top, width, height) {
  const placed = [];
  const total = items.reduce((sum, item) => sum + item.size, 0);
  if (!total || width <= 0 || height <= 0) return placed;
  const scale = (width * height) / total;
  let row = [];
  let rowArea = 0;
  const worst = (areas, sum, side) => {
    const square = side * side;
    return Math.max((square * areas.max) / (sum * sum), (sum * sum) / (square * areas.min));
  };
  const flush = () => {
    const side = Math.min(width, height);
    const depth = rowArea / side;
    let at = 0;
    for (const item of row) {
      const length = (item.size * scale) / depth;
      placed.push(width >= height
        ? { item, left, top: top + at, width: depth, height: length }
        : { item, left: left + at, top, width: length, height: depth });
      at += length;
    }
    if (width >= height) { left += depth; width -= depth; } else { top += depth; height -= depth; }
    row = [];
    rowArea = 0;
  };
  let extent = { max: 0, min: Infinity };
  for (const item of items) {
    const area = item.size * scale;
    const side = Math.min(width, height);
    const grown = { max: Math.max(extent.max, area), min: Math.min(extent.min, area) };
    if (row.length && worst(grown, rowArea + area, side) > worst(extent, rowArea, side)) {
      flush();
      extent = { max: area, min: area };
    } else extent = grown;
    row.push(item);
    rowArea += area;
  }
  if (row.length) flush();
  return placed;
}

const SMALLEST_SIDE = 5;
const HEADING = 18;

export class Treemap {
  constructor(model, { onScope, colorOf, label }) {
    Object.assign(this, { model, onScope, colorOf });
    this.element = make("div", { class: "treemap", role: "group", "aria-label": label, onkeydown: (event) => this.key(event) });
    new ResizeObserver(() => { if (this.element.clientWidth !== this.width) this.draw(); }).observe(this.element);
  }
  show(scope) {
    this.scope = scope;
    this.draw();
  }
  draw() {
    if (this.scope === undefined || !this.element.clientWidth) return;
    this.width = this.element.clientWidth;
    const height = Math.round(Math.min(Math.max(this.width * 0.45, 300), 560));
    this.element.style.height = `${height}px`;
    const tiles = [];
    this.place(this.model.find(this.scope), 0, 0, this.width, height, tiles, 0);
    this.element.replaceChildren(...tiles);
    if (tiles.length) tiles[0].tabIndex = 0;
  }
  place(entry, left, top, width, height, tiles, depth) {
    const rectangles = squarify(this.items(entry), left, top, width, height);
    const small = [];
    for (const rectangle of rectangles) {
      if (Math.min(rectangle.width, rectangle.height) < SMALLEST_SIDE && rectangles.length > 1) small.push(rectangle);
      else this.tile(rectangle, tiles, depth);
    }
    if (small.length) this.together(entry, small, tiles);
  }
  items(entry) {
    const items = [...entry.children.values()].map((child) => ({ size: child.size, entry: child, name: child.name }));
    const rest = new Map(entry.kinds);
    for (const child of entry.children.values()) for (const [kind, size] of child.kinds) rest.set(kind, rest.get(kind) - size);
    for (const [kind, size] of rest) if (size > 0) items.push({ size, kind, name: kind });
    if (entry === this.model.root && this.model.total > this.model.size) {
      items.push({ size: this.model.total - this.model.size, kind: "free", name: "free" });
    }
    return items.sort((a, b) => b.size - a.size);
  }
  tile({ item, left, top, width, height }, tiles, depth) {
    const isFolder = Boolean(item.entry?.isFolder);
    const tile = this.button(item.name + (isFolder ? "/" : ""), item.size, { left, top, width, height }, item);
    tiles.push(tile);
    if (!isFolder) return;
    tile.classList.add("folder");
    const inner = [left + 3, top + HEADING, width - 6, height - HEADING - 3];
    if (depth < 4 && inner[2] > 14 && inner[3] > 10) this.place(item.entry, ...inner, tiles, depth + 1);
  }
  together(entry, small, tiles) {
    const left = Math.min(...small.map((one) => one.left));
    const top = Math.min(...small.map((one) => one.top));
    const right = Math.max(...small.map((one) => one.left + one.width));
    const bottom = Math.max(...small.map((one) => one.top + one.height));
    const size = small.reduce((sum, one) => sum + one.item.size, 0);
    const area = { left, top, width: right - left, height: bottom - top };
    const tile = this.button(`${small.length} more`, size, area, { entry, name: "" });
    tile.style.background = color("same");
    tiles.push(tile);
  }
  button(name, size, { left, top, width, height }, item) {
    const background = item.entry?.isFolder ? "" : this.colorOf(item.entry, item.kind ?? item.entry?.mainKind ?? "data");
    const style = { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px`, background };
    if (item.kind === "free") style.color = color("text");
    const path = item.entry && !item.entry.isPart ? item.entry.path : name;
    // What can be said to open a tile is what it shows, so its label contains that.
    const isFolder = Boolean(item.entry?.isFolder && item.name);
    const shown = item.name ? path + (isFolder ? "/" : "") : `${path} ${name}`;
    const label = `${shown} ${bytes(size)} bytes`;
    const title = `${path}: ${bytes(size)} bytes`;
    const tile = make("button", { class: "tile", type: "button", tabindex: -1, title, "aria-label": label, style });
    if (width > 34 && height > 15) tile.append(make("span", { text: name }));
    if (width > 34 && height > 34 && !item.entry?.isFolder) tile.append(" ", make("span", { text: bytes(size) }));
    if (item.entry && !item.entry.isPart) tile.addEventListener("click", () => this.onScope(item.entry.path));
    return tile;
  }
  // One tile takes part in the order of Tab, and the arrow keys go on from it: there can be thousands.
  key(event) {
    const tiles = [...this.element.children];
    const at = tiles.indexOf(document.activeElement);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape" || event.key === "Backspace") this.onScope(this.scope.split("/").slice(0, -1).join("/"));
    if (at < 0 || !step) return;
    event.preventDefault();
    const next = tiles[(at + step + tiles.length) % tiles.length];
    tiles[at].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }
}
