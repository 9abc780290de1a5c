import { bytes, color, make, percent } from "./model.js";

const FIRST_ROWS = 250;

// A table that sorts by a click on a heading. A column has a title, the value that it sorts by, and what it shows.
export class Table {
  constructor(columns, { sort, descending, label }) {
    Object.assign(this, { columns, sort, descending, rows: [], limit: FIRST_ROWS });
    this.heads = columns.map((column, at) => make("th", { class: column.class ?? "", scope: "col" }, [
      make("button", { type: "button", text: column.title, onclick: () => this.sortBy(at) }),
    ]));
    this.body = make("tbody");
    const caption = make("thead", {}, [make("tr", {}, this.heads)]);
    this.more = make("button", { class: "more", type: "button", onclick: () => { this.limit = Infinity; this.draw(); } });
    this.element = make("div", {}, [
      make("div", { class: "table" }, [make("table", { "aria-label": label }, [caption, this.body])]),
      this.more,
    ]);
  }
  sortBy(at) {
    this.descending = this.sort === at ? !this.descending : Boolean(this.columns[at].number);
    this.sort = at;
    this.draw();
  }
  show(rows) {
    this.rows = rows;
    this.limit = FIRST_ROWS;
    this.draw();
  }
  draw() {
    const { value } = this.columns[this.sort];
    const sign = this.descending ? -1 : 1;
    const keyed = this.rows.map((row) => [value(row), row]);
    keyed.sort(([a], [b]) => sign * (a < b ? -1 : a > b ? 1 : 0));
    this.heads.forEach((head, at) => {
      head.setAttribute("aria-sort", at !== this.sort ? "none" : this.descending ? "descending" : "ascending");
    });
    const rows = keyed.slice(0, this.limit).map(([, row]) => make("tr", {}, this.columns.map((column) => this.cell(column, row))));
    this.body.replaceChildren(...rows);
    this.more.hidden = keyed.length <= this.limit;
    this.more.textContent = `Show all ${bytes(keyed.length)} rows`;
  }
  cell(column, row) {
    const shown = column.show(row);
    const cell = make("td", { class: column.class ?? "" });
    cell.append(shown);
    return cell;
  }
}

export function controls(label, all, kinds, onChange) {
  const text = make("input", { type: "search", placeholder: "part of a path", "aria-label": label, oninput: onChange });
  const options = ["", ...kinds].map((kind) => make("option", { value: kind, text: kind || all }));
  const kind = make("select", { "aria-label": all, onchange: onChange }, options);
  const count = make("p", { class: "count", role: "status" });
  const element = make("div", { class: "controls" }, [text, kind, count]);
  return { element, count, text: () => text.value.toLowerCase(), kind: () => kind.value };
}

export function crumbs(scope, root, onScope) {
  const names = scope === "" ? [] : scope.split("/");
  const buttons = [["", root], ...names.map((name, at) => [names.slice(0, at + 1).join("/"), name])];
  return buttons.map(([path, name]) => make("button", {
    type: "button", text: name, "aria-current": path === scope ? "true" : false, onclick: () => onScope(path),
  }));
}

export function facts(pairs) {
  return make("ul", { class: "facts" }, pairs.map(([label, value]) => make("li", {}, [
    make("b", { text: value }), make("span", { text: label }),
  ])));
}

export function legend(names, sizes, total) {
  return make("ul", { class: "legend" }, names.map((name) => make("li", {}, [
    make("span", { class: "swatch", style: { background: color(name) } }),
    document.createTextNode(total ? `${name} ${bytes(sizes.get(name) ?? 0)} (${percent(sizes.get(name) ?? 0, total)})` : name),
  ])));
}
