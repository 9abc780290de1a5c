import { ImageModel, bytes, color, hex, isInside, make } from "./model.js";
import { Strip } from "./strip.js";
import { Table, controls, crumbs, facts, legend } from "./table.js";
import { Treemap } from "./treemap.js";

/**
 * @param {any} data what fills an image
 * @param {Element} page the element to show it in
 * @param {number} level of its first heading
 */
export function showMap(data, page, level = 1) {
  const title = (text) => make(`h${level + 1}`, { text });
  const model = new ImageModel(data.image);
  const colorOf = (_entry, kind) => color(kind === "free" ? "free" : model.group(kind));
  const groups = new Map();
  for (const [kind, size] of model.root.kinds) groups.set(model.group(kind), (groups.get(model.group(kind)) ?? 0) + size);
  if (model.total > model.size) groups.set("free", model.total - model.size);
  const names = data.order.filter((name) => groups.has(name));
  const meter = make("div", { class: "meter", role: "img", "aria-label": "Parts of the partition" }, names.map((name) =>
    make("div", { title: name, style: { background: color(name), width: `${(100 * groups.get(name)) / model.total}%` } })));

  const path = make("nav", { class: "crumbs", "aria-label": "Folder" });
  const view = { model, onScope: go, colorOf };
  const treemap = new Treemap(model, { ...view, label: "Files by size. Arrow keys move, Enter opens, Escape goes up." });
  const strip = new Strip(model, {
    ...view, block: data.block, label: "The partition, record by record. Arrow keys move, Enter opens the file.",
  });
  const filter = controls("Filter files", "all kinds", [...model.root.kinds.keys()].sort(), () => fill());
  const link = (entry) => make("button", { type: "button", text: entry.path || "(image)", onclick: () => go(entry.path) });
  const bar = (row) => make("span", { class: "bar", style: {
    background: colorOf(row, row.mainKind), width: `${Math.max(1, (100 * row.size) / largest)}%`,
  } });
  let largest = 1;
  const files = new Table([
    { title: "Path", class: "wide", value: (row) => row.path, show: link },
    { title: "Size", class: "number", number: true, value: (row) => row.size, show: (row) => bytes(row.size) },
    { title: "Share", class: "share", number: true, value: (row) => row.size, show: bar },
    { title: "Mostly", class: "minor", value: (row) => row.mainKind, show: (row) => row.mainKind },
    { title: "Offset", class: "number minor", number: true, value: (row) => row.offset, show: (row) => hex(row.offset) },
  ], { sort: 1, descending: true, label: "Files" });
  const sections = new Table([
    { title: "Offset", class: "number", number: true, value: (row) => row.offset, show: (row) => hex(row.offset) },
    { title: "Size", class: "number", number: true, value: (row) => row.size, show: (row) => bytes(row.size) },
    { title: "Kind", value: (row) => row.kind, show: (row) => row.kind },
    { title: "Function", class: "wide", value: (row) => row.part, show: (row) => row.part },
    { title: "Memory", class: "minor", value: (row) => row.memory, show: (row) => row.memory },
  ], { sort: 0, descending: false, label: "Sections of the file" });
  const heading = title("");
  const table = make("div");
  let scope = "";

  function go(to) {
    scope = to;
    path.replaceChildren(...crumbs(scope, data.name, go));
    treemap.show(scope);
    strip.show(scope);
    fill();
  }
  function cellsInside() {
    const rows = [];
    for (let at = 0; at < model.count; at++) {
      const cell = model.cell(at);
      if (cell.entry.path === scope) rows.push({ ...cell, memory: data.memory[data.image.memories[at]] });
    }
    return rows;
  }
  function fill() {
    const text = filter.text();
    const kind = filter.kind();
    const entry = model.find(scope);
    const isFile = scope !== "" && !entry.isFolder;
    let rows = isFile ? cellsInside() : model.files().filter((file) => isInside(file.path, scope));
    rows = rows.filter((row) => (isFile ? `${row.part} ${row.kind}` : row.path).toLowerCase().includes(text)
      && (!kind || (isFile ? row.kind === kind : row.kinds.has(kind))));
    largest = rows.reduce((most, row) => Math.max(most, row.size), 1);
    const total = rows.reduce((sum, row) => sum + row.size, 0);
    filter.count.textContent = `${bytes(rows.length)} ${isFile ? "sections" : "files"}, ${bytes(total)} bytes`;
    heading.textContent = isFile ? "Sections" : "Files";
    table.replaceChildren((isFile ? sections : files).element);
    (isFile ? sections : files).show(rows);
  }

  page.append(
    make("header", {}, [make(`h${level}`, { text: data.name }), make("p", { text: data.subtitle }), facts(data.facts)]),
    meter, legend(names, groups, model.total), ...data.notes.map((text) => make("p", { text })),
    title("Files by size"), path, treemap.element,
    title("The partition, byte by byte"), strip.element,
    heading, filter.element, table,
  );
  go("");
}
