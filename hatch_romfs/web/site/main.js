// @ts-check
// The page: an image, a board, and the work that brings one to the other.

import { BoardStep } from "./board.js";
import { byId, errorBox, fullName } from "./dom.js";
import { FlashStep } from "./flashing.js";
import { ImageStep } from "./image.js";
import { ProgressView } from "./progress.js";
import { download, loadPython } from "./python.js";
import { make } from "./report/model.js";
import { readSettings } from "./settings.js";
import { findObstacle } from "./support.js";

const NOTHING_MORE = "connect-src 'none'; script-src 'wasm-unsafe-eval'; img-src 'none'";
const BEFORE_CHANGES = new Set(["", "comparing"]); // phases in which the board is as it was
const WORKBENCH = "Look into an image, flash it to a MicroPython board, or save what a board holds.";

/**
 * @typedef {(phase: string, done: number, total: number, unit: string) => void} OnProgress
 *
 * @callback Action
 * @param {import("./python.js").Python} python
 * @param {import("./serial.js").SerialLine} line
 * @param {OnProgress} onProgress
 * @returns {Promise<string | void>} what to say at its end
 */

export class App {
  constructor() {
    this.settings = readSettings();
    /** @type {import("./python.js").Python | null} */
    this.python = null;
    this.obstacle = findObstacle();
    this.isBusy = false;
    this.isWriting = false;
    this.isBroken = false;
    /** @type {(text: string) => void} */
    this.onMessage = () => {};
    this.image = new ImageStep(body("image"), this);
    this.board = new BoardStep(body("board"), this);
    this.flash = new FlashStep(body("flash"), this);
    window.addEventListener("beforeunload", (event) => {
      if (this.isWriting) event.preventDefault();
    });
    // A file that is dropped would otherwise take the place of the page.
    for (const type of ["dragover", "drop"]) document.addEventListener(type, (event) => event.preventDefault());
    this.showMaker();
    this.update();
  }

  showMaker() {
    const { maker, text, links, images } = this.settings;
    const only = images.length === 1 ? images[0] : null;
    byId("title").textContent = only ? `Flash ${fullName(only) || fileName(only.file)}` : images.length ? "Flash a board" : "ROMFS workbench";
    show("maker", maker);
    show("text", text ?? (images.length ? null : WORKBENCH));
    show("notice", this.obstacle);
    byId("links").hidden = !links.length;
    byId("links").replaceChildren(...links.map((link) => make("a", { href: link.url, rel: "noopener", text: link.text })));
    if (images.length) this.image.announce(images.map((image) => ({ ...image, label: fileName(image.file) })));
  }

  /** Load everything that will be needed; after that, the page can send nothing anywhere. */
  async start() {
    const loading = byId("loading");
    const status = /** @type {Element} */ (loading.firstElementChild);
    try {
      const { images } = this.settings;
      const files = Promise.all(images.map(({ file, integrity }) => download(file, integrity)));
      const python = await loadPython(this.settings, (step) => { status.textContent = `Loading ${step}…`; });
      const data = await files;
      document.head.append(make("meta", { "http-equiv": "Content-Security-Policy", content: NOTHING_MORE }));
      const opened = [];
      for (const [at, { file, partition }] of images.entries()) {
        const label = fileName(file);
        opened.push({ ...await python.call("open_file", data[at], label, ""), label, partition });
      }
      this.python = python;
      if (images.length) this.image.offer(opened);
      else this.image.offerDropping();
      loading.hidden = true;
    } catch (error) {
      this.isBroken = true; // a page that is not complete does nothing
      loading.replaceWith(errorBox(Object.assign(/** @type {Error} */ (error), {
        status: 1, hint: "Reload the page. If that does not help, its host may block a file.",
      })));
    }
    this.update();
  }

  /**
   * Do something with the board, one thing at a time: show its progress and its end.
   * @param {string} title
   * @param {HTMLElement} status
   * @param {Action} action
   * @param {HTMLElement} place for the progress, and for an error
   * @param {{isWriting?: boolean, again: () => void}} kind `again` is what to do if the user tries again
   */
  async work(title, status, action, place, { isWriting = false, again }) {
    const { line } = this.board;
    if (!this.python || !line || this.isBusy) return;
    const progress = new ProgressView(title, status, () => line.cancel());
    place.replaceChildren(progress.element);
    this.isBusy = true;
    this.isWriting = isWriting;
    this.onMessage = (text) => { status.textContent = text; };
    this.update();
    progress.cancel.focus();
    let end;
    try {
      end = await action(this.python, line, (...event) => progress.show(...event));
    } catch (error) {
      place.replaceChildren(errorBox(error, again));
      if (isWriting && !BEFORE_CHANGES.has(progress.phase)) this.board.forgetContent();
    } finally {
      progress.end();
      status.textContent = end ?? "";
      this.isBusy = this.isWriting = false;
      this.update();
      place.tabIndex = -1; // the keyboard goes on from the result
      place.focus({ preventScroll: true });
      place.scrollIntoView({ block: "nearest" });
    }
  }

  /** Let the buttons be those that make sense now, and say why not. */
  update() {
    const isReady = this.python !== null && !this.isBusy;
    const { partition, board } = this.board;
    this.board.connect.disabled = !isReady || this.obstacle !== null;
    this.board.intro.hidden = board !== null || this.obstacle !== null || this.isBusy;
    this.board.readBack.hidden = !board;
    this.board.readBack.disabled = !isReady || !partition?.image_size;
    const missing = this.missing();
    this.flash.flash.disabled = this.flash.verify.disabled = !isReady || missing !== "";
    this.flash.reason.textContent = this.isBusy ? "" : missing || this.flash.plan();
    for (const control of document.querySelectorAll("[data-idle]")) {
      /** @type {HTMLInputElement} */ (control).disabled = !isReady;
    }
    void this.image.fillMap(); // it shows the partition too
  }

  missing() {
    if (this.isBroken) return "The page could not be loaded.";
    if (this.obstacle) return "This browser cannot connect to boards.";
    if (!this.python) return "The page is still loading.";
    if (!this.image.image) return "Choose an image first.";
    if (!this.board.board) return "Connect a board first.";
    return "";
  }
}

/** @param {string} id */
function body(id) {
  return /** @type {Element} */ (byId(id).querySelector(".body"));
}

/** @param {string} id @param {string | null} text */
function show(id, text) {
  byId(id).textContent = text;
  byId(id).hidden = !text;
}

/** @param {string} url */
function fileName(url) {
  return decodeURIComponent(url.split("/").at(-1) ?? url);
}

if (document.getElementById("settings")) void new App().start();
