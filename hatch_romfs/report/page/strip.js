import { bytes, hex, isInside, make } from "./model.js";

const ROW = 15;
const ROW_GAP = 2;

// The bytes of the partition in place, in as many rows as make small records visible.
export class Strip {
  constructor(model, { onScope, colorOf, label, block, changed }) {
    Object.assign(this, { model, onScope, colorOf, block, changed });
    this.canvas = make("canvas", { class: "strip", tabindex: 0, role: "application", "aria-label": label });
    this.readout = make("p", { class: "readout", "aria-live": "polite" });
    this.element = make("div", {}, [this.canvas, this.readout]);
    this.selected = -1;
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerleave", () => this.select(-1));
    this.canvas.addEventListener("click", (event) => { this.point(event); this.open(); });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => { if (this.canvas.clientWidth !== this.width) this.draw(); }).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }
  show(scope) {
    this.scope = scope;
    this.draw();
  }
  layout() {
    this.width = this.canvas.clientWidth;
    const wanted = Math.ceil(this.model.count / (this.width / 3));
    const rows = Math.max(1, Math.min(wanted, 24));
    let perRow = Math.ceil(this.model.total / rows);
    if (this.block) perRow = Math.max(1, Math.round(perRow / this.block)) * this.block;
    this.perRow = perRow;
    this.rows = Math.ceil(this.model.total / perRow);
  }
  draw() {
    if (this.scope === undefined || !this.canvas.clientWidth) return;
    this.layout();
    const ratio = window.devicePixelRatio || 1;
    const height = this.rows * (ROW + ROW_GAP);
    this.canvas.style.height = `${height}px`;
    this.canvas.width = this.width * ratio;
    this.canvas.height = height * ratio;
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    const style = getComputedStyle(document.documentElement);
    const resolve = (name) => style.getPropertyValue(`--${name}`).trim();
    const colors = new Map();
    const inside = this.model.entries.map((entry) => isInside(entry.path, this.scope));
    context.fillStyle = resolve("free");
    for (let row = 0; row < this.rows; row++) context.fillRect(0, row * (ROW + ROW_GAP), this.width, ROW);
    const { cells } = this.model.data;
    for (let at = 0; at < this.model.count; at++) {
      const name = this.colorOf(this.model.entries[cells[4 * at + 2]], this.model.data.kinds[cells[4 * at + 1]]).slice(6, -1);
      if (!colors.has(name)) colors.set(name, resolve(name));
      context.fillStyle = colors.get(name);
      context.globalAlpha = inside[cells[4 * at + 2]] ? 1 : 0.18;
      this.fill(context, this.model.starts[at], cells[4 * at]);
    }
    context.globalAlpha = 1;
    if (this.block) this.drawBlocks(context, resolve("background"), resolve("removed"));
    if (this.selected >= 0) {
      context.fillStyle = resolve("text");
      this.fill(context, this.model.starts[this.selected], cells[4 * this.selected], 2);
    }
  }
  fill(context, start, size, least = 0.5) {
    const end = start + size;
    while (start < end) {
      const row = Math.floor(start / this.perRow);
      const stop = Math.min(end, (row + 1) * this.perRow);
      const left = ((start - row * this.perRow) * this.width) / this.perRow;
      const width = ((stop - start) * this.width) / this.perRow;
      context.fillRect(left, row * (ROW + ROW_GAP), Math.max(width, least), ROW);
      start = stop;
    }
  }
  drawBlocks(context, line, mark) {
    const changed = new Set(this.changed ?? []);
    for (let number = 0; number * this.block < this.model.total; number++) {
      const start = number * this.block;
      const row = Math.floor(start / this.perRow);
      const left = ((start - row * this.perRow) * this.width) / this.perRow;
      const width = (this.block * this.width) / this.perRow;
      context.fillStyle = line;
      if (width > 4) context.fillRect(left, row * (ROW + ROW_GAP), 1, ROW);
      context.fillStyle = mark;
      if (changed.has(number)) context.fillRect(left, row * (ROW + ROW_GAP) + ROW - 3, Math.max(width - 1, 1), 3);
    }
  }
  point(event) {
    const area = this.canvas.getBoundingClientRect();
    const row = Math.floor((event.clientY - area.top) / (ROW + ROW_GAP));
    const offset = (row + (event.clientX - area.left) / this.width) * this.perRow;
    this.select(offset >= 0 && offset < this.model.size ? this.model.indexAt(offset) : -1);
  }
  select(at) {
    if (at === this.selected) return;
    this.selected = at;
    this.draw();
    if (at < 0) {
      this.readout.textContent = "";
      return;
    }
    const cell = this.model.cell(at);
    const where = [cell.entry.path, cell.part].filter(Boolean).join(" \u2192 ") || "the image";
    this.readout.textContent = `${hex(cell.offset)}: ${cell.kind}, ${bytes(cell.size)} bytes, ${where}`;
  }
  open() {
    if (this.selected >= 0) this.onScope(this.model.cell(this.selected).entry.path);
  }
  key(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Enter") this.open();
    if (!step) return;
    event.preventDefault();
    this.select(Math.min(Math.max(this.selected + step, 0), this.model.count - 1));
  }
}
