// Names come from images, which can be hostile: they only ever become text, never markup.

const numbers = new Intl.NumberFormat("en-US");
/** @param {number} size */
export const bytes = (size) => numbers.format(size);
export const percent = (size, total) => `${(total ? (100 * size) / total : 0).toFixed(1)}\u00a0%`;
export const hex = (offset) => `0x${offset.toString(16)}`;
export const color = (name) => `var(--${name})`;

/**
 * Make an element: options are attributes, its text, styles, and listeners.
 * @param {string} tag
 * @param {Record<string, any>} [options]
 * @param {(Node | string)[]} [children]
 * @returns {any}
 */
export function make(tag, options = {}, children = []) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "text") element.textContent = value;
    else if (name === "style") Object.assign(element.style, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

class Entry {
  constructor(name, path, parent) {
    Object.assign(this, { name, path, parent, size: 0, own: 0, kinds: new Map(), children: new Map() });
    this.offset = Infinity;
    this.isPart = false;
  }
  add(kind, size, offset) {
    this.size += size;
    this.kinds.set(kind, (this.kinds.get(kind) ?? 0) + size);
    if (offset < this.offset) this.offset = offset;
  }
  get isFolder() { return this.children.size > 0 && !this.children.values().next().value.isPart; }
  get mainKind() {
    let best = "";
    for (const [kind, size] of this.kinds) if (!best || size > this.kinds.get(best)) best = kind;
    return best;
  }
}

// The cells of an image, as arrays, and the tree of files that they belong to. `cells` has four numbers for each:
// its size, and the places of its kind, its path, and its function in lists.
export class ImageModel {
  constructor(data) {
    this.data = data;
    this.size = data.size;
    this.total = Math.max(data.size, data.partition ?? 0);
    this.count = data.cells.length / 4;
    this.starts = new Float64Array(this.count + 1);
    this.root = new Entry("", "", null);
    this.entries = data.paths.map((path) => this.entry(path));
    this.byPath = new Map(this.entries.map((entry) => [entry.path, entry]));
    let offset = 0;
    for (let at = 0; at < this.count; at++) {
      this.starts[at] = offset;
      const cell = this.cell(at);
      for (let entry = cell.entry; entry; entry = entry.parent) entry.add(cell.kind, cell.size, offset);
      cell.entry.own += cell.size;
      if (cell.part) this.part(cell.entry, cell.part).add(cell.kind, cell.size, offset);
      offset += cell.size;
    }
    this.starts[this.count] = offset;
  }
  entry(path) {
    let entry = this.root;
    let here = "";
    for (const name of path === "" ? [] : path.split("/")) {
      here = here ? `${here}/${name}` : name;
      if (!entry.children.has(name)) entry.children.set(name, new Entry(name, here, entry));
      entry = entry.children.get(name);
    }
    return entry;
  }
  part(entry, name) {
    if (!entry.children.has(name)) {
      const part = new Entry(name, entry.path, entry);
      part.isPart = true;
      entry.children.set(name, part);
    }
    return entry.children.get(name);
  }
  cell(at) {
    const { cells, kinds, parts } = this.data;
    return {
      offset: this.starts[at],
      size: cells[4 * at],
      kind: kinds[cells[4 * at + 1]],
      entry: this.entries[cells[4 * at + 2]],
      part: parts[cells[4 * at + 3]],
    };
  }
  group(kind) { return this.data.groups[kind]; }
  indexAt(offset) {
    let low = 0;
    let high = this.count;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.starts[middle] <= offset) low = middle;
      else high = middle;
    }
    return low;
  }
  find(path) { return path === "" ? this.root : this.byPath.get(path) ?? this.search(path); }
  search(path) {
    let entry = this.root;
    for (const name of path.split("/")) entry = entry?.children.get(name);
    return entry ?? this.root;
  }
  files() {
    const found = [];
    const walk = (entry) => {
      if (entry.isFolder) for (const child of entry.children.values()) walk(child);
      else found.push(entry);
    };
    walk(this.root);
    return found;
  }
}

export const isInside = (path, scope) => scope === "" || path === scope || path.startsWith(`${scope}/`);
