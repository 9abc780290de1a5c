// @ts-check
// What the page knows when it starts: romfs-image page writes it into index.html.

/**
 * @typedef {object} ImageFile
 * @property {string} file
 * @property {string} integrity
 * @property {string | null} name
 * @property {string | null} version
 * @property {number} size bytes
 * @property {string} sha256
 * @property {number} partition
 *
 * @typedef {object} Settings
 * @property {string | null} maker
 * @property {string | null} text
 * @property {{text: string, url: string}[]} links
 * @property {ImageFile[]} images none in a workbench
 * @property {{file: string, integrity: string}} python our code
 * @property {{url: string, version: string, lock: object, integrity: Record<string, string>}} pyodide
 */

/** @returns {Settings} */
export function readSettings() {
  return JSON.parse(document.getElementById("settings")?.textContent ?? "");
}
