// What pages of tests get for python.js: no Python, but the documents that a test chose. `asked` has what was called, and
// a call whose name is `held` ends only when the test calls `release`.

export class PageError extends Error {
  constructor({ message, hint, status }) {
    super(message);
    Object.assign(this, { hint, status });
  }
}

export async function download(file) {
  return new TextEncoder().encode(file);
}

export async function loadPython(_settings, onStep) {
  onStep("Python");
  await hold("load");
  if (stage.broken) throw new Error(stage.broken);
  return { call };
}

async function hold(name) {
  if (stage.held === name) await new Promise((resolve) => { stage.release = resolve; });
}

async function call(name, ...values) {
  const functions = values.filter((value) => typeof value === "function");
  stage.asked.push([name, values.filter((value) => ["string", "number"].includes(typeof value))]);
  if (["flash", "verify", "read"].includes(name)) for (const event of stage.progress) functions[0](...event);
  if (name === "flash" && stage.question && !await functions[1](JSON.stringify(stage.question))) {
    throw new PageError({ message: "partition 0 was not changed", hint: null, status: 1 });
  }
  await hold(name);
  const answer = stage.answers[name];
  if (answer.error) throw new PageError(answer.error);
  if (answer.bytes) return new Uint8Array(answer.bytes);
  return structuredClone(name === "open_file" ? answer[values[1]] : answer);
}
