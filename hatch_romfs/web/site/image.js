// @ts-check
// Step 1: which image, and what is in it.

import { count, errorBox, fullName, save, sizeText, terms } from "./dom.js";
import { collectEntries, collectFolder, readFile } from "./dropping.js";
import { showMap } from "./report/map.js";
import { make } from "./report/model.js";

/**
 * @typedef {object} ImageFacts what can be said of an image before Python is there
 * @property {string} label the name of its file
 * @property {string | null} name
 * @property {string | null} version
 * @property {number} size bytes
 * @property {string} sha256
 * @property {number | null} partition that it is for; null if any
 *
 * @typedef {object} Opening what Python says of an image
 * @property {number} number
 * @property {string} format
 * @property {{path: string, size: number}[]} files
 * @property {string[]} [warnings]
 *
 * @typedef {ImageFacts & Opening} OpenImage an image that Python has opened
 */

export class ImageStep {
  /** @param {Element} body @param {import("./main.js").App} app */
  constructor(body, app) {
    this.app = app;
    /** @type {OpenImage | null} */
    this.image = null;
    this.choice = make("div");
    this.details = make("div", { class: "details" });
    this.map = make("div", { class: "map" });
    this.inside = make("details");
    body.replaceChildren(this.choice, this.details);
  }

  /** Show the images of the page, which cannot be chosen yet. @param {ImageFacts[]} images */
  announce(images) {
    if (images.length > 1) this.choice.replaceChildren(this.cards(images, () => {}));
    else this.details.replaceChildren(factsOf(images[0], false));
  }

  /** Offer the images of the page. @param {OpenImage[]} images */
  offer(images) {
    if (images.length > 1) this.choice.replaceChildren(this.cards(images, (at) => this.show(images[at])));
    this.show(images[0]);
  }

  /** @param {ImageFacts[]} images @param {(at: number) => void} onChoice */
  cards(images, onChoice) {
    return make("fieldset", { "data-idle": true }, [
      make("legend", { text: "Which image?" }),
      ...images.map((image, at) => make("label", { class: "option" }, [
        make("input", { type: "radio", name: "image", checked: at === 0, onchange: () => onChoice(at) }),
        make("span", {}, [
          make("b", { text: fullName(image) || image.label }),
          make("span", { text: `${image.label}, ${sizeText(image.size)}` }),
        ]),
      ])),
    ]);
  }

  /** Let the user bring an image: a file, a wheel, or a folder. */
  offerDropping() {
    const file = make("input", {
      type: "file", id: "file", accept: ".romfs,.img,.bin,.whl",
      onchange: () => this.openFile(file.files[0]),
    });
    const folder = make("input", {
      type: "file", id: "folder", webkitdirectory: true,
      onchange: () => this.openFolder(() => collectFolder(folder.files)),
    });
    const zone = make("div", { class: "drop" }, [
      make("p", { text: "Drop an image, a wheel, or a folder here. A folder is packed as it is." }),
      make("div", { class: "buttons" }, [
        make("button", { type: "button", text: "Choose a file", "data-idle": true, onclick: () => file.click() }),
        make("button", { type: "button", text: "Choose a folder", "data-idle": true, onclick: () => folder.click() }),
      ]),
    ]);
    for (const input of [file, folder]) {
      input.hidden = true;
      input.addEventListener("click", () => { input.value = ""; }); // so that the same one can be chosen again
    }
    this.choice.replaceChildren(zone, file, folder);
    document.addEventListener("dragover", () => zone.classList.toggle("over", !this.app.isBusy));
    document.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) zone.classList.remove("over"); // it left the page
    });
    document.addEventListener("drop", (event) => {
      zone.classList.remove("over");
      this.drop(event);
    });
  }

  /** @param {DragEvent} event */
  drop(event) {
    const items = [...event.dataTransfer?.items ?? []].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
    if (items.length === 1 && items[0].isFile) {
      this.openFile(readFile(/** @type {FileSystemFileEntry} */ (items[0])));
    } else if (items.length) {
      const name = items.length === 1 ? items[0].name : "dropped";
      this.openFolder(async () => ({ name, files: await collectEntries(items) }));
    }
  }

  /** @param {File | Promise<File>} found */
  async openFile(found) {
    await this.open(async (python) => {
      const file = await found;
      const data = new Uint8Array(await file.arrayBuffer());
      const opened = await python.call("open_file", data, file.name, "");
      if (!opened.choices) return { ...opened, label: file.name };
      return this.chooseInWheel(python, data, file.name, opened.choices);
    });
  }

  /** @param {() => Promise<{name: string, files: [string, Uint8Array][]}>} collect */
  async openFolder(collect) {
    await this.open(async (python) => {
      const { name, files } = await collect();
      return { ...await python.call("pack", files, `${name}.romfs`), label: `${name}.romfs` };
    });
  }

  /** @param {(python: import("./python.js").Python) => Promise<Omit<OpenImage, "partition">>} action */
  async open(action) {
    if (!this.app.python || this.app.isBusy) return;
    this.details.replaceChildren(make("p", { role: "status", text: "Opening…" }));
    this.image = null;
    this.app.update();
    try {
      this.show({ ...await action(this.app.python), partition: null });
    } catch (error) {
      this.details.replaceChildren(errorBox(error));
      this.app.update();
    }
  }

  /** @param {import("./python.js").Python} python @param {Uint8Array} data @param {string} name @param {string[]} choices */
  async chooseInWheel(python, data, name, choices) {
    const choice = await new Promise((resolve) => {
      this.details.replaceChildren(make("fieldset", {}, [
        make("legend", { text: `${name} contains several images. Which one?` }),
        make("div", { class: "buttons" }, choices.map((text) => make("button", { type: "button", text, onclick: () => resolve(text) }))),
      ]));
    });
    return { ...await python.call("open_file", data, name, choice), label: choice };
  }

  /** @param {OpenImage} image */
  show(image) {
    this.image = image;
    this.map = make("div", { class: "map" });
    this.inside = make("details", { ontoggle: () => this.fillMap() }, [
      make("summary", { text: `Show what is inside: ${count(image.files.length, "file")}` }),
      make("div", { class: "buttons" }, [
        make("button", { type: "button", text: "Save the files as a ZIP", onclick: () => this.extract(image) }),
      ]),
      this.map,
    ]);
    this.details.replaceChildren(
      factsOf(image, this.choice.querySelector("fieldset") !== null),
      ...(image.format === "micropython" ? [] : [warning("This is a Linux romfs image. MicroPython boards cannot mount it.")]),
      ...(image.warnings ?? []).map((text) => warning(`Warning: ${text}`)),
      this.inside,
    );
    if (image.partition !== null) this.app.board.choose(image.partition);
    this.app.update();
  }

  /** Show what fills the image, and the partition that it is for, once somebody wants to see it. */
  async fillMap() {
    const { image, map, app } = this;
    if (!this.inside.open || !image || !app.python) return;
    const { size = 0, block = 0 } = app.board.partition ?? {};
    const shown = `${size} ${block}`;
    if (map.dataset.shown === shown) return;
    map.dataset.shown = shown;
    try {
      const data = await app.python.call("map", image.number, size, block);
      if (map.dataset.shown !== shown) return; // another board came meanwhile
      map.replaceChildren();
      showMap(data, map, 2);
    } catch (error) {
      map.replaceChildren(errorBox(error));
    }
  }

  /** @param {OpenImage} image */
  async extract(image) {
    try {
      save(await this.app.python?.call("extract", image.number), `${image.label.replace(/\.\w+$/, "")}.zip`);
    } catch (error) {
      this.details.append(errorBox(error));
    }
  }
}

/** What a card would not say. @param {ImageFacts} image @param {boolean} hasCard */
function factsOf(image, hasCard) {
  const name = fullName(image);
  const file = name && image.partition !== null ? null : image.label;
  const facts = /** @type {[string, string | null][]} */ ([["Name", name], ["File", file], ["Size", sizeText(image.size)]]);
  return terms([...(hasCard ? [] : facts), ["SHA-256", image.sha256]]);
}

/** @param {string} text */
function warning(text) {
  return make("p", { class: "warning", text });
}
