// @ts-check
// Step 1: which image, and what is in it.

import { count, errorBox, fullName, save, sizeText, terms } from "./dom.js";
import { collectEntries, collectFolder } from "./dropping.js";
import { showMap } from "./report/map.js";
import { make } from "./report/model.js";

/**
 * @typedef {object} OpenImage an image that Python has opened
 * @property {number} number
 * @property {string} format
 * @property {string | null} name
 * @property {string | null} version
 * @property {number} size bytes
 * @property {string} sha256
 * @property {{path: string, size: number}[]} files
 * @property {string[]} [warnings]
 * @property {string} label the name of its file
 * @property {number} partition
 */

export class ImageStep {
  /** @param {Element} body @param {import("./main.js").App} app */
  constructor(body, app) {
    this.app = app;
    /** @type {OpenImage | null} */
    this.image = null;
    this.choice = make("div");
    this.details = make("div", { class: "details" });
    body.replaceChildren(this.choice, this.details);
  }

  /** Offer the images of the page. @param {OpenImage[]} images */
  offer(images) {
    if (images.length > 1) {
      this.choice.replaceChildren(make("fieldset", {}, [
        make("legend", { text: "Which image?" }),
        ...images.map((image, at) => make("label", { class: "option" }, [
          make("input", { type: "radio", name: "image", checked: at === 0, onchange: () => this.show(image) }),
          make("span", {}, [make("b", { text: fullName(image) || image.label }), make("span", { text: `${image.label}, ${sizeText(image.size)}` })]),
        ])),
      ]));
    }
    this.show(images[0]);
  }

  /** Let the user bring an image: a file, a wheel, or a folder. */
  offerDropping() {
    const file = make("input", { type: "file", id: "file", accept: ".romfs,.img,.bin,.whl", onchange: () => this.openFile(file.files[0]) });
    const folder = make("input", { type: "file", id: "folder", webkitdirectory: true, onchange: () => this.openFolder(collectFolder(folder.files)) });
    const zone = make("div", { class: "drop" }, [
      make("p", { text: "Drop an image, a wheel, or a folder here. A folder is packed as it is." }),
      make("div", { class: "buttons" }, [
        make("button", { type: "button", text: "Choose a file", onclick: () => file.click() }),
        make("button", { type: "button", text: "Choose a folder", onclick: () => folder.click() }),
      ]),
    ]);
    for (const input of [file, folder]) {
      input.hidden = true;
      input.addEventListener("click", () => { input.value = ""; }); // so that the same one can be chosen again
    }
    this.choice.replaceChildren(zone, file, folder);
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => this.drop(event));
  }

  /** @param {DragEvent} event */
  drop(event) {
    event.preventDefault();
    const items = [...event.dataTransfer?.items ?? []].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
    if (items.length === 1 && items[0].isFile) {
      /** @type {FileSystemFileEntry} */ (items[0]).file((file) => this.openFile(file));
    } else if (items.length) {
      const name = items.length === 1 ? items[0].name : "dropped";
      this.openFolder(collectEntries(items).then((files) => ({ name, files })));
    }
  }

  /** @param {File | undefined} file */
  async openFile(file) {
    if (!file) return;
    await this.open(async (python) => {
      const data = new Uint8Array(await file.arrayBuffer());
      const opened = await python.call("open_file", data, file.name, "");
      if (!opened.choices) return { ...opened, label: file.name };
      return this.chooseInWheel(python, data, file.name, opened.choices);
    });
  }

  /** @param {Promise<{name: string, files: [string, Uint8Array][]}>} found */
  async openFolder(found) {
    await this.open(async (python) => {
      const { name, files } = await found;
      return { ...await python.call("pack", files, `${name}.romfs`), label: `${name}.romfs` };
    });
  }

  /** @param {(python: import("./python.js").Python) => Promise<Omit<OpenImage, "partition">>} action */
  async open(action) {
    if (!this.app.python || this.app.isBusy) return;
    this.details.replaceChildren(make("p", { text: "Opening…" }));
    this.image = null;
    try {
      this.show({ ...await action(this.app.python), partition: 0 });
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
    this.app.board.choose(image.partition);
    const map = make("div", { class: "map" });
    const inside = make("details", { ontoggle: () => this.fillMap(inside, map, image) }, [
      make("summary", { text: `Show what is inside: ${count(image.files.length, "file")}` }),
      make("div", { class: "buttons" }, [
        make("button", { type: "button", text: "Save the files as a ZIP", onclick: () => this.extract(image) }),
      ]),
      map,
    ]);
    this.details.replaceChildren(
      terms([
        ["Name", fullName(image) || image.label], ["Size", sizeText(image.size)], ["SHA-256", image.sha256],
        ["Format", image.format === "micropython" ? null : "Linux romfs: boards cannot mount it"],
      ]),
      ...(image.warnings ?? []).map((text) => make("p", { class: "warning", text: `Warning: ${text}` })),
      inside,
    );
    this.app.update();
  }

  /** @param {HTMLDetailsElement} inside @param {HTMLElement} map @param {OpenImage} image */
  async fillMap(inside, map, image) {
    if (!inside.open || map.childElementCount) return;
    const partition = this.app.board?.partition;
    const data = await this.app.python?.call("map", image.number, partition?.size ?? 0, partition?.block ?? 0);
    if (data && !map.childElementCount) showMap(data, map);
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
