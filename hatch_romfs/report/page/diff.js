import { ImageModel, bytes, color, make } from "./model.js";
import { Strip } from "./strip.js";
import { Table, controls, crumbs, facts, legend } from "./table.js";
import { Treemap } from "./treemap.js";

/** @param {any} data what differs between two images @param {Element} page the element to show it in */
export function showDiff(data, page) {
  const status = new Map(data.changes.map((change) => [change.path, change.status]));
  const models = [data.before, data.after].map((image) => new ImageModel(image));
  const statusOf = (entry) => (entry?.path && !entry.isFolder ? status.get(entry.path) ?? "same" : "same");
  const path = make("nav", { class: "crumbs", "aria-label": "Folder" });
  const statuses = ["added", "removed", "changed", "moved"];
  const titles = ["Before", "After"];
  const views = models.map((model, side) => {
    const view = { onScope: go, colorOf: (entry, kind) => color(kind === "free" ? "free" : statusOf(entry)) };
    const treemap = new Treemap(model, { ...view, label: `${titles[side]}: files by size` });
    const strip = new Strip(model, {
      ...view, block: data.block, changed: side ? data.changed_blocks : [], label: `${titles[side]}: bytes in place`,
    });
    const section = make("section", {}, [
      make("h2", { text: `${titles[side]}: ${[data.before, data.after][side].title}` }), treemap.element,
      make("h2", { text: side ? "Bytes in place, with changed erase blocks underlined" : "Bytes in place" }), strip.element,
    ]);
    return { model, treemap, strip, section };
  });
  const filter = controls("Filter changes", "all changes", statuses, () => fill());
  const size = (value) => (value === null ? "" : bytes(value));
  const growth = (row) => (row.after ?? 0) - (row.before ?? 0);
  const signed = (value) => (value > 0 ? `+${bytes(value)}` : bytes(value).replace("-", "\u2212"));
  const columns = (show) => [
    { title: "Path", class: "wide", value: (row) => row.path, show },
    { title: "Before", class: "number minor", number: true, value: (row) => row.before ?? -1, show: (row) => size(row.before) },
    { title: "After", class: "number", number: true, value: (row) => row.after ?? -1, show: (row) => size(row.after) },
    { title: "Growth", class: "number", number: true, value: growth, show: (row) => signed(growth(row)) },
  ];
  const mark = (row) => make("span", {}, [
    make("span", { class: "swatch", style: { background: color(row.status) } }), document.createTextNode(row.status),
  ]);
  const changes = new Table([
    { title: "Change", value: (row) => statuses.indexOf(row.status), show: mark },
    ...columns((row) => make("button", { type: "button", text: row.path, onclick: () => go(row.path.replace(/\/$/, "")) })),
  ], { sort: 0, descending: false, label: "Changes" });
  const folders = new Table(columns((row) => `${row.path}/`), { sort: 3, descending: true, label: "Folders" });

  function go(to) {
    path.replaceChildren(...crumbs(to, data.name, go));
    for (const { model, treemap, strip } of views) {
      treemap.show(model.search(to) === model.root ? "" : to);
      strip.show(to);
    }
  }
  function fill() {
    const rows = data.changes.filter((row) => row.path.toLowerCase().includes(filter.text())
      && (!filter.kind() || row.status === filter.kind()));
    filter.count.textContent = `${bytes(rows.length)} changes`;
    changes.show(rows);
  }

  page.append(
    make("header", {}, [make("h1", { text: data.name }), make("p", { text: data.subtitle }), facts(data.facts)]),
    legend([...statuses, "same"], new Map(), 0), path,
    make("div", { class: "sides" }, views.map((view) => view.section)),
    make("h2", { text: "Changes" }), filter.element, changes.element,
    make("h2", { text: "Folders" }), folders.element,
  );
  folders.show(data.folders);
  fill();
  go("");
}
