// @ts-check
// Step 2: which board, what it is, and what its partitions hold.

import { errorBox, fileList, fullName, save, sizeText, terms } from "./dom.js";
import { make } from "./report/model.js";
import { SerialLine } from "./serial.js";

/**
 * @typedef {object} Partition
 * @property {number} number
 * @property {number} size bytes
 * @property {number} block bytes
 * @property {boolean} writable
 * @property {string} problem
 * @property {number | null} image_size bytes
 * @property {string | null} name
 * @property {string | null} version
 * @property {{path: string, size: number}[] | null} files
 *
 * @typedef {object} Board
 * @property {string} machine
 * @property {string} version
 * @property {string | null} arch
 * @property {number} free bytes
 * @property {Partition[] | null} partitions
 */

const UNKNOWN = "Unknown since the write did not complete. Flash again, or connect again to see.";

export class BoardStep {
  /** @param {Element} body @param {import("./main.js").App} app */
  constructor(body, app) {
    this.app = app;
    /** @type {SerialLine | null} */
    this.line = null;
    /** @type {Board | null} */
    this.board = null;
    this.chosen = 0;
    this.connect = make("button", { type: "button", class: "primary", text: "Connect", onclick: () => this.choosePort() });
    this.readBack = make("button", { type: "button", text: "Save its image", onclick: () => this.read() });
    this.intro = make("p", { text: "Plug in your board, press Connect, and choose it in the browser's list." });
    this.status = make("p", { role: "status" });
    this.details = make("div", { class: "details" });
    this.result = make("div"); // of reading
    const buttons = make("div", { class: "buttons" }, [this.connect, this.readBack]);
    body.replaceChildren(this.intro, buttons, this.status, this.details, this.result);
    if ("serial" in navigator) {
      navigator.serial.addEventListener("disconnect", (event) => this.noticeLoss(event.target));
    }
  }

  /** The partition that is meant, if the board has it. */
  get partition() {
    return this.board?.partitions?.find(({ number }) => number === this.chosen) ?? null;
  }

  async choosePort() {
    let port;
    try {
      port = await navigator.serial.requestPort();
    } catch (error) {
      if (/** @type {Error} */ (error).name !== "NotFoundError") this.details.replaceChildren(errorBox(error));
      return; // otherwise the user closed the browser's dialog
    }
    this.line = new SerialLine(port);
    this.chosen = this.app.image.image?.partition ?? 0;
    await this.look();
  }

  /** Find out what the board is and what it holds. */
  async look() {
    this.board = null;
    this.result.replaceChildren();
    this.app.flash.result.replaceChildren(); // that of another board, maybe
    await this.app.work("Connecting…", this.status, async (python, line) => {
      this.board = await python.call("connect", line, this.app.onMessage);
      this.show();
    }, this.details, { again: () => this.look() });
  }

  /** @param {number} number of the partition that an image is for */
  choose(number) {
    this.chosen = number;
    if (this.board) this.show();
  }

  /** @param {EventTarget | null} port */
  noticeLoss(port) {
    if (!this.line || port !== this.line.port || this.app.isBusy) return; // work notices it itself
    this.forget("The board was unplugged.");
  }

  /** Forget what is known about the board. @param {string} reason */
  forget(reason) {
    this.line = null;
    this.board = null;
    this.connect.classList.add("primary");
    this.status.textContent = reason;
    this.details.replaceChildren();
    this.result.replaceChildren();
    this.app.update();
  }

  show() {
    const { machine, version, arch, free, partitions } = /** @type {Board} */ (this.board);
    this.connect.textContent = "Connect again";
    this.connect.classList.remove("primary");
    this.details.replaceChildren(
      terms([
        ["Board", machine], ["MicroPython", version], ["Native code", arch ?? "none"], ["Free memory", sizeText(free)],
      ]),
      ...(partitions?.length ? [this.partitionTable(partitions)] : [make("p", {
        class: "warning", text: partitions ? "The firmware of this board has no partition for ROMFS." : "The firmware of this board has no ROMFS.",
      })]),
    );
    this.app.update();
  }

  /** @param {Partition[]} partitions */
  partitionTable(partitions) {
    const several = partitions.length > 1;
    return make("div", { class: "table partitions" }, [make("table", { "aria-label": "Partitions" }, [
      make("thead", {}, [make("tr", {}, [
        make("th", { scope: "col", text: "Partition" }),
        make("th", { scope: "col", class: "number", text: "Size" }),
        make("th", { scope: "col", text: "Content" }),
      ])]),
      make("tbody", {}, partitions.map((partition) => make("tr", {}, [
        make("td", {}, [several ? this.option(partition) : make("span", { text: partition.number })]),
        make("td", { class: "number", text: sizeText(partition.size) }),
        make("td", {}, content(partition)),
      ]))),
    ])]);
  }

  /** @param {Partition} partition */
  option(partition) {
    const input = make("input", {
      type: "radio", name: "partition", checked: partition.number === this.chosen, "data-idle": true,
      onchange: () => { this.chosen = partition.number; this.app.update(); },
    });
    return make("label", {}, [input, make("span", { text: partition.number })]);
  }

  /** Note that what the partition holds is not known any more. */
  forgetContent() {
    const { partition } = this;
    if (!partition) return;
    Object.assign(partition, { image_size: null, name: null, version: null, files: null, problem: UNKNOWN });
    this.show();
  }

  /** Note that the partition holds an image now. @param {import("./image.js").OpenImage} image */
  setContent(image) {
    const { partition } = this;
    if (!partition) return;
    Object.assign(partition, { image_size: image.size, name: image.name, version: image.version, files: image.files, problem: "" });
    this.show();
  }

  async read() {
    const { partition } = this;
    if (!partition) return;
    const name = fullName(partition).replaceAll(/[^\w.-]+/g, "-") || `partition${partition.number}`;
    await this.app.work("Reading…", this.status, async (python, line, onProgress) => {
      save(await python.call("read", line, partition.number, onProgress, this.app.onMessage), `${name}.romfs`);
      this.result.replaceChildren();
      return `${name}.romfs was saved.`;
    }, this.result, { again: () => this.read() });
  }
}

/** What a partition holds. @param {Partition} partition */
function content(partition) {
  const { image_size: size, files, problem, writable } = partition;
  const notes = [problem, writable ? "" : "read-only"].filter(Boolean).map((text) => make("p", { class: "warning", text }));
  if (size === null) return [...(problem ? [] : ["no image"]), ...notes];
  const title = `${fullName(partition) || "an image without a name"}, ${sizeText(size)}`;
  if (!files) return [title, ...notes];
  return [make("details", {}, [make("summary", { text: title }), fileList(files)]), ...notes];
}
