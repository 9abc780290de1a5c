// @ts-check
// A serial port of the browser as a line of bytes: everything that arrives is kept until it is asked for.

const BUFFER = 65536; // bytes; with the browser's own default, 255, every write is cut to pieces
const LAST_BYTES = 1000; // milliseconds for what was written last to leave the computer

/** @param {string} name @param {string} message */
function fail(name, message) {
  return new DOMException(message, name);
}

export class SerialLine {
  /** @param {SerialPort} port */
  constructor(port) {
    this.port = port;
    /** @type {Uint8Array[]} */
    this.pieces = [];
    this.buffered = 0;
    this.isCanceled = false;
    this.isOnly = true;
    /** @type {Error | null} Why nothing can be received any more. */
    this.failure = null;
    /** @type {(() => void) | null} Ends the wait of `receive`. */
    this.wake = null;
    /** @type {ReadableStreamDefaultReader<Uint8Array> | null} */
    this.reader = null;
    /** @type {WritableStreamDefaultWriter<Uint8Array> | null} */
    this.writer = null;
    this.pump = Promise.resolve();
  }

  /** What messages call the port. */
  get name() {
    const { usbVendorId, usbProductId } = this.port.getInfo();
    if (usbVendorId === undefined) return "the serial port";
    return `the port of USB device ${hex(usbVendorId)}:${hex(usbProductId ?? 0)}`;
  }

  /** Open the port, or the one under which the same board is back. @param {number} baudRate */
  async open(baudRate) {
    this.throwIfCanceled();
    this.port = await this.current();
    if (this.port.connected === false) throw fail("NetworkError", "It is not plugged in. Press Connect to choose it again.");
    try {
      await this.port.open({ baudRate, bufferSize: BUFFER });
    } catch (error) {
      throw fail("NetworkError", error instanceof Error ? error.message : String(error));
    }
    this.pieces = [];
    this.buffered = 0;
    this.failure = null;
    if (!this.port.writable) throw fail("NetworkError", "The port cannot be written to.");
    this.writer = this.port.writable.getWriter();
    this.writer.closed.catch(() => {}); // a failure is reported by the write that notices it
    this.pump = this.collect();
  }

  /** A board that was unplugged comes back as another object. Browsers do not tell two boards of a kind apart, so it is
   * found again only if it was the only one of its kind. */
  async current() {
    const ports = await navigator.serial.getPorts();
    const alike = ports.filter((port) => port !== this.port && port.connected !== false && isAlike(port, this.port));
    if (this.port.connected !== false) {
      this.isOnly = alike.length === 0;
      return this.port;
    }
    return this.isOnly && alike.length === 1 ? alike[0] : this.port;
  }

  /** Keep what arrives until the port is closed or lost. */
  async collect() {
    // Errors such as an overrun end a stream but not the port, which then has a new one.
    while (this.port.readable && !this.failure) {
      this.reader = this.port.readable.getReader();
      try {
        for (;;) {
          const { value, done } = await this.reader.read();
          if (done) return;
          this.pieces.push(value);
          this.buffered += value.length;
          this.wake?.();
        }
      } catch (error) {
        if (!this.port.readable) this.failure = error instanceof Error ? error : new Error(String(error));
      } finally {
        this.reader.releaseLock();
        this.reader = null;
      }
    }
    this.failure ??= fail("NetworkError", "The device has been lost.");
    this.wake?.();
  }

  /** Return everything that has arrived. */
  take() {
    const all = new Uint8Array(this.buffered);
    let at = 0;
    for (const piece of this.pieces) {
      all.set(piece, at);
      at += piece.length;
    }
    this.pieces = [];
    this.buffered = 0;
    return all;
  }

  /** Return everything that has arrived; wait for the first of it. @param {number} milliseconds */
  async receive(milliseconds) {
    this.throwIfCanceled();
    if (!this.buffered && !this.failure) {
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, milliseconds);
        this.wake = () => { clearTimeout(timer); resolve(undefined); };
      });
      this.wake = null;
      this.throwIfCanceled();
    }
    if (!this.buffered && this.failure) throw this.failure;
    return this.take();
  }

  /** Send everything. @param {Uint8Array} data @param {number} milliseconds */
  async write(data, milliseconds) {
    this.throwIfCanceled();
    if (!this.writer) throw fail("NetworkError", "The device has been lost.");
    let timer = 0;
    const late = new Promise((_resolve, reject) => {
      timer = setTimeout(() => reject(fail("TimeoutError", "write timeout")), milliseconds);
    });
    try {
      await Promise.race([this.writer.write(data), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async close() {
    // A port that is lost refuses each of these, and none of it matters then.
    await this.reader?.cancel().catch(() => {});
    await this.pump;
    if (this.writer) {
      const { writer } = this;
      this.writer = null;
      const sent = writer.close().catch(() => {});
      await Promise.race([sent, new Promise((resolve) => setTimeout(resolve, LAST_BYTES))]);
      await writer.abort().catch(() => {});
      writer.releaseLock();
    }
    await this.port.close().catch(() => {});
  }

  /** Let what waits for the port end as with Ctrl-C; what follows can use the port to clean up. */
  cancel() {
    this.isCanceled = true;
    this.wake?.();
  }

  throwIfCanceled() {
    if (!this.isCanceled) return;
    this.isCanceled = false;
    throw fail("AbortError", "canceled");
  }
}

/** @param {SerialPort} port @param {SerialPort} other */
function isAlike(port, other) {
  const [info, wanted] = [port.getInfo(), other.getInfo()];
  return info.usbVendorId === wanted.usbVendorId && info.usbProductId === wanted.usbProductId;
}

/** @param {number} number */
function hex(number) {
  return number.toString(16).padStart(4, "0");
}
