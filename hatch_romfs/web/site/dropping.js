// @ts-check
// Folders that a user dropped or chose, as paths and bytes.

const MOST_FILES = 10000;
const MOST_BYTES = 256 << 20;

/** @param {FileList} list @returns {Promise<{name: string, files: [string, Uint8Array][]}>} */
export async function collectFolder(list) {
  const files = [...list];
  const name = files[0]?.webkitRelativePath.split("/")[0] ?? "folder";
  return { name, files: await readAll(files.map((file) => [file.webkitRelativePath.split("/").slice(1).join("/"), file])) };
}

/** @param {FileSystemEntry[]} entries @returns {Promise<[string, Uint8Array][]>} */
export async function collectEntries(entries) {
  /** @type {[string, File][]} */
  const found = [];
  // The content of a single folder is the root of the image.
  const roots = entries.length === 1 ? await list(/** @type {FileSystemDirectoryEntry} */ (entries[0])) : entries;
  for (const entry of roots) await walk(entry, "", found);
  return readAll(found);
}

/** @param {FileSystemFileEntry} entry @returns {Promise<File>} */
export function readFile(entry) {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

/** @param {FileSystemEntry} entry @param {string} path @param {[string, File][]} found */
async function walk(entry, path, found) {
  const here = path + entry.name;
  if (entry.isFile) {
    found.push([here, await readFile(/** @type {FileSystemFileEntry} */ (entry))]);
    return;
  }
  for (const inner of await list(/** @type {FileSystemDirectoryEntry} */ (entry))) await walk(inner, `${here}/`, found);
}

/** @param {FileSystemDirectoryEntry} folder @returns {Promise<FileSystemEntry[]>} */
async function list(folder) {
  const reader = folder.createReader();
  const all = [];
  for (;;) { // a reader gives a part at a time
    const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!part.length) return all;
    all.push(...part);
    if (all.length > MOST_FILES) return all;
  }
}

/** @param {[string, File][]} files @returns {Promise<[string, Uint8Array][]>} */
async function readAll(files) {
  const size = files.reduce((sum, [, file]) => sum + file.size, 0);
  if (files.length > MOST_FILES || size > MOST_BYTES) {
    throw Object.assign(new Error("The folder is too large for an image."), { status: 1, hint: "Choose a folder of an app." });
  }
  return Promise.all(files.map(async ([path, file]) => [path, new Uint8Array(await file.arrayBuffer())]));
}
