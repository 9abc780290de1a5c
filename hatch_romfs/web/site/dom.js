// @ts-check
// Helpers for what several parts of the page show. Names of images and boards only ever become text.

import { bytes, make } from "./report/model.js";

const INTERRUPTED = 130; // the status of what the user canceled

/** @param {string} id @returns {HTMLElement} */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

const LONG = 20; // characters; a longer value has a line to itself

/** A list of terms with their values; those without a value are left out. @param {[string, string | null][]} pairs */
export function terms(pairs) {
  const shown = pairs.filter(([, value]) => value);
  return make("dl", { class: "terms" }, shown.map(([term, value]) => make("div", { class: (value ?? "").length > LONG ? "wide" : "" }, [
    make("dt", { text: term }), make("dd", { class: term === "SHA-256" ? "hash" : "", text: value }),
  ])));
}

/** @param {number} size */
export function sizeText(size) {
  return `${bytes(size)} bytes`;
}

/** @param {number} number @param {string} noun */
export function count(number, noun) {
  return `${bytes(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** @param {{name: string | null, version: string | null}} image */
export function fullName({ name, version }) {
  return [name, version].filter(Boolean).join(" ");
}

/**
 * What went wrong, and what to do about it.
 * @param {unknown} error
 * @param {(() => void) | null} [again] what to do if the user tries again
 */
export function errorBox(error, again = null) {
  const { message, hint, status, isDeclined } = /** @type {import("./python.js").PageError & {isDeclined?: boolean}} */ (error);
  const isExpected = status !== undefined;
  const isChoice = isDeclined || status === INTERRUPTED; // of the user: not a failure
  const text = isExpected ? message : `This page has a fault: ${message ?? error}`;
  return make("div", { class: isChoice ? "result" : "result failed", role: "alert" }, [
    make("p", { class: "message", text }),
    ...(hint ? [make("p", { class: "hint", text: hint })] : []),
    ...(again && !isChoice ? [make("button", { type: "button", text: "Try again", onclick: again })] : []),
  ]);
}

/** What was done. @param {string} title @param {string} summary */
export function resultBox(title, summary) {
  return make("div", { class: "result done", role: "status" }, [
    make("p", { class: "message", text: title }), make("p", { class: "hint", text: summary }),
  ]);
}

/** A list of files, with the size of each. @param {{path: string, size: number}[]} files */
export function fileList(files) {
  return make("ul", { class: "files", tabindex: 0, "aria-label": "Files" }, files.map(({ path, size }) => make("li", {}, [
    make("span", { text: path }), make("span", { class: "number", text: bytes(size) }),
  ])));
}

/** Let the browser save a file. @param {Uint8Array} data @param {string} name */
export function save(data, name) {
  const url = URL.createObjectURL(new Blob([/** @type {BlobPart} */ (data)]));
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

/**
 * Ask whether to replace what is on the board.
 * @param {string[]} lines what disappears: a sentence, and files
 */
export async function askToReplace([sentence, ...files]) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("question"));
  const list = /** @type {HTMLElement} */ (dialog.querySelector("ul"));
  byId("question-text").textContent = sentence.replace("partition", "Partition");
  list.replaceChildren(...files.map((path) => make("li", { text: path.trim() })));
  list.hidden = !files.length;
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  return dialog.returnValue === "yes";
}
