// @ts-check
// How far the work is: a bar, a line, and for screen readers only what begins.

import { bytes, make } from "./report/model.js";

export class ProgressView {
  /** @param {string} title @param {HTMLElement} status gets each new phase @param {() => void} onCancel */
  constructor(title, status, onCancel) {
    this.status = status;
    this.phase = "";
    this.amount = "";
    this.start = performance.now();
    this.bar = make("progress", { "aria-label": "Progress" });
    this.line = make("p", { class: "progress-line", "aria-hidden": "true" });
    this.cancel = make("button", { type: "button", text: "Cancel", onclick: () => {
      this.cancel.disabled = true;
      this.cancel.textContent = "Canceling…";
      onCancel();
    } });
    this.element = make("div", { class: "progress" }, [this.bar, this.line, this.cancel]);
    this.status.textContent = title;
    this.timer = setInterval(() => this.showTime(), 1000); // a board may be silent for a while
    this.showTime();
  }

  /** @param {string} phase @param {number} done @param {number} total @param {string} unit */
  show(phase, done, total, unit) {
    if (phase !== this.phase) {
      this.phase = phase;
      this.status.textContent = `${phase[0].toUpperCase()}${phase.slice(1)}…`;
    }
    this.bar.max = total || 1;
    this.bar.value = done;
    this.amount = unit === "bytes" ? `${bytes(done)} of ${bytes(total)} bytes` : "";
    this.showTime();
  }

  showTime() {
    const seconds = Math.floor((performance.now() - this.start) / 1000);
    this.line.textContent = [this.amount, `${seconds} s`].filter(Boolean).join(", ");
  }

  end() {
    clearInterval(this.timer);
    this.element.remove();
  }
}
