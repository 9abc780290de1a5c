// @ts-check
// Python in the browser: Pyodide, and the code of romfs-flash.

import { hasSuspension } from "./support.js";

/** @typedef {import("./settings.js").Settings} Settings */

/** An error with a message for people; status as on the command line, 130 if the user canceled. */
export class PageError extends Error {
  /** @param {{message: string, hint: string | null, status: number}} error */
  constructor({ message, hint, status }) {
    super(message);
    this.hint = hint;
    this.status = status;
  }
}

/**
 * Load Python and our code. Every file is checked against the hash in the settings.
 * @param {Settings} settings
 * @param {(step: string) => void} onStep is called with what is being loaded
 */
export async function loadPython({ pyodide, python }, onStep) {
  const base = new URL(pyodide.url, document.baseURI).href;
  onStep("Python");
  const { loadPyodide } = await import(new URL("pyodide.mjs", base).href);
  const restore = checkFetches(pyodide.integrity, base);
  let runtime;
  try {
    const lockFileContents = JSON.stringify({ info: pyodide.lock, packages: {} }); // no package is ever loaded
    runtime = await loadPyodide({ indexURL: base, lockFileContents, packageBaseUrl: base });
  } finally {
    restore();
  }
  onStep("hatch-romfs");
  const code = await download(python.file, python.integrity);
  runtime.unpackArchive(code.buffer, "zip", { extractDir: "/romfs" });
  runtime.runPython("import sys; sys.path.insert(0, '/romfs')");
  return new Python(runtime.pyimport("hatch_romfs.web.app").Page("/images"));
}

/** Let fetches of Pyodide's files fail if their content is not what it should be. Returns what undoes this.
 * @param {Record<string, string>} integrity @param {string} base */
function checkFetches(integrity, base) {
  const original = globalThis.fetch;
  const known = new Map(Object.entries(integrity).map(([name, hash]) => [new URL(name, base).href, hash]));
  globalThis.fetch = (input, options) => {
    const url = new URL(input instanceof Request ? input.url : input, document.baseURI).href;
    return original(input, { ...options, integrity: known.get(url) ?? "" });
  };
  return () => { globalThis.fetch = original; };
}

/** Return the content of one of the page's own files. @param {string} file @param {string} integrity */
export async function download(file, integrity) {
  const response = await fetch(new URL(file, document.baseURI), { integrity });
  if (!response.ok) throw new Error(`${file} cannot be loaded: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

export class Python {
  /** @param {any} page the Page of hatch_romfs.web.app */
  constructor(page) {
    this.page = page;
  }

  /**
   * Call a method of Page: one that uses a board takes a while, and the others answer at once.
   * @param {string} name
   * @param {...unknown} values
   * @returns {Promise<any>} a document, or a Uint8Array
   */
  async call(name, ...values) {
    // Without suspension, what needs no board still works.
    const result = hasSuspension ? await this.page.call.callPromising(name, ...values) : this.page.call(name, ...values);
    if (typeof result !== "string") {
      const data = result.toJs();
      result.destroy();
      return data;
    }
    const document = JSON.parse(result);
    if (document.error) throw new PageError(document.error);
    return document;
  }
}
