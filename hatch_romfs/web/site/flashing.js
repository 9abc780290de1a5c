// @ts-check
// Step 3: write the image, or compare it with what is on the board.

import { askToReplace, fullName, resultBox } from "./dom.js";
import { make } from "./report/model.js";

export class FlashStep {
  /** @param {Element} body @param {import("./main.js").App} app */
  constructor(body, app) {
    this.app = app;
    this.flash = make("button", { type: "button", class: "primary", text: "Flash", "aria-describedby": "flash-reason", onclick: () => this.write() });
    this.verify = make("button", { type: "button", text: "Compare only", "aria-describedby": "flash-reason", onclick: () => this.compare() });
    this.reason = make("p", { class: "reason", id: "flash-reason" });
    this.status = make("p", { role: "status" });
    this.result = make("div");
    body.replaceChildren(make("div", { class: "buttons" }, [this.flash, this.verify]), this.reason, this.status, this.result);
  }

  async write() {
    const image = this.app.image.image;
    const { board } = this.app;
    if (!image || !board.board) return;
    await this.app.work("Preparing…", this.status, async (python, line, onProgress) => {
      let isDeclined = false;
      const ask = async (/** @type {string} */ lines) => {
        isDeclined = !await askToReplace(JSON.parse(lines));
        return !isDeclined;
      };
      try {
        const done = await python.call("flash", line, image.number, board.chosen, onProgress, ask, this.app.onMessage);
        this.succeed(done.summary, `${fullName(image) || image.label} is on the board.`);
        board.setContent(image);
      } catch (error) {
        throw Object.assign(/** @type {Error} */ (error), { isDeclined });
      }
    }, this.result, { isWriting: true, again: () => this.write() });
  }

  async compare() {
    const image = this.app.image.image;
    if (!image || !this.app.board.board) return;
    await this.app.work("Comparing…", this.status, async (python, line, onProgress) => {
      const done = await python.call("verify", line, image.number, this.app.board.chosen, onProgress, this.app.onMessage);
      this.succeed(done.summary, "The board holds this image.");
    }, this.result, { again: () => this.compare() });
  }

  /** What would be written, and over what. */
  plan() {
    const image = this.app.image.image;
    const { partition } = this.app.board;
    if (!image || !partition) return "";
    if (!partition.writable) return `Partition ${partition.number} is read-only.`;
    const name = fullName(image) || image.label;
    const old = fullName(partition);
    if (old === name) return "";
    return `Flash writes ${name} to partition ${partition.number}${old ? `, over ${old}` : ""}.`;
  }

  /** @param {string} summary @param {string} title */
  succeed(summary, title) {
    this.result.replaceChildren(resultBox(title, summary));
  }
}
