// @ts-check
// navigator.serial for tests: it behaves as Chromium's, and the bytes go to a simulated board through bridge.py.
// globalThis.serialBridge is the address of the bridge.
"use strict";

(() => {
  const { serialBridge: url, EventTarget, WebSocket, ReadableStream, WritableStream } = globalThis;
  delete globalThis.serialBridge;
  if (!isSecureContext) return;
  const INTERNAL = Symbol("only for this file");
  const LARGEST_BUFFER = 16 * 1024 * 1024;

  const failed = (where, name, message) => new DOMException(`Failed to execute '${where[0]}' on '${where[1]}': ${message}`, name);
  const invalid = (where, message) => new TypeError(`Failed to execute '${where[0]}' on '${where[1]}': ${message}`);
  const lost = () => new DOMException("The device has been lost.", "NetworkError");

  function deferred() {
    let settle;
    const promise = new Promise((resolve, reject) => { settle = { resolve, reject }; });
    return { promise, ...settle };
  }

  class SerialPort extends EventTarget {
    #token; #info; #serial;
    #connected = true;
    #socket = null; // an open port has one
    #opening = false;
    #closing = null;
    #bufferSize = 255;
    #isGone = false;
    // The pipe from the browser's process to the page
    #readable = null; #readController = null;
    #arrived = []; #wantsData = false; #readFatal = false;
    #flushing = { receive: null, transmit: null };
    // The pipe back
    #writable = null; #writeController = null;
    #inFlight = 0; #pendingWrite = null; #draining = null;

    onconnect = null;
    ondisconnect = null;

    constructor(secret, serial, { token, info } = {}) {
      if (secret !== INTERNAL) throw new TypeError("Failed to construct 'SerialPort': Illegal constructor");
      super();
      this.#serial = serial;
      this.#token = token;
      this.#info = info;
    }

    get connected() { return this.#connected; }

    getInfo() { return { ...this.#info }; }

    async open(options) {
      const where = ["open", "SerialPort"];
      if (options?.baudRate === undefined) {
        throw invalid(where, "Failed to read the 'baudRate' property from 'SerialOptions': Required member is undefined.");
      }
      if (this.#opening) throw failed(where, "InvalidStateError", "A call to open() is already in progress.");
      if (this.#socket) throw failed(where, "InvalidStateError", "The port is already open.");
      const { baudRate, dataBits = 8, stopBits = 1, parity = "none", bufferSize = 255, flowControl = "none" } = options;
      if (baudRate === 0) throw invalid(where, "Requested baud rate must be greater than zero.");
      if (![7, 8].includes(dataBits)) throw invalid(where, "Requested number of data bits must be 7 or 8.");
      if (!["none", "even", "odd"].includes(parity)) throw invalid(where, `The provided value '${parity}' is not a valid enum value of type ParityType.`);
      if (![1, 2].includes(stopBits)) throw invalid(where, "Requested number of stop bits must be 1 or 2.");
      if (!["none", "hardware"].includes(flowControl)) throw invalid(where, `The provided value '${flowControl}' is not a valid enum value of type FlowControlType.`);
      if (bufferSize === 0) throw invalid(where, "Requested buffer size (0 bytes) must be greater than zero.");
      if (bufferSize > LARGEST_BUFFER) {
        throw invalid(where, `Requested buffer size (${bufferSize} bytes) is greater than the maximum allowed (${LARGEST_BUFFER} bytes).`);
      }
      this.#opening = true;
      try {
        const socket = new WebSocket(`${url}/${this.#token}?baudRate=${baudRate}`);
        socket.binaryType = "arraybuffer";
        const opened = await new Promise((resolve) => {
          socket.onmessage = ({ data }) => resolve(JSON.parse(data).opened);
          socket.onclose = () => resolve(false);
        });
        if (!opened) throw failed(where, "NetworkError", "Failed to open serial port.");
        this.#bufferSize = bufferSize;
        this.#inFlight = 0;
        this.#isGone = this.#readFatal = false;
        this.#socket = socket;
        socket.onmessage = ({ data }) => this.#take(data);
        socket.onclose = () => this.#loseConnection();
      } finally {
        this.#opening = false;
      }
    }

    /** @param {string | ArrayBuffer} data */
    #take(data) {
      if (typeof data !== "string") {
        if (this.#readable) this.#arrived.push(new Uint8Array(data));
        return this.#read();
      }
      const message = JSON.parse(data);
      if (message.taken) this.#acknowledge(message.taken);
      if (message.flushed) this.#flushing[message.flushed]?.resolve();
      if (message.lost) this.#lose();
      if (message.closed) this.#socket.close();
    }

    #send(message) {
      if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
    }

    // Reading

    get readable() {
      if (this.#readable) return this.#readable;
      if (!this.#socket || this.#closing || this.#readFatal) return null;
      this.#arrived = [];
      this.#wantsData = false;
      this.#send({ room: this.#bufferSize });
      this.#readable = new ReadableStream({
        type: "bytes",
        pull: (controller) => {
          this.#readController = controller;
          this.#wantsData = true;
          this.#read(); // and resolve at once, so that the stream can be canceled before data is there
        },
        cancel: () => this.#cancel(),
      }, { highWaterMark: 0 });
      return this.#readable;
    }

    /** Give the stream what has arrived, all at once; only then that the device is lost. */
    #read() {
      if (!this.#wantsData) return;
      if (this.#arrived.length) {
        this.#wantsData = false;
        const chunk = new Uint8Array(this.#arrived.reduce((sum, one) => sum + one.length, 0));
        let at = 0;
        for (const one of this.#arrived) {
          chunk.set(one, at);
          at += one.length;
        }
        const request = this.#readController.byobRequest;
        const count = request ? Math.min(request.view.byteLength, chunk.length) : chunk.length;
        this.#arrived = count < chunk.length ? [chunk.subarray(count)] : [];
        this.#send({ room: count });
        if (request) {
          new Uint8Array(request.view.buffer, request.view.byteOffset, count).set(chunk.subarray(0, count));
          request.respond(count);
        } else {
          this.#readController.enqueue(chunk);
        }
      } else if (this.#isGone) {
        this.#wantsData = false;
        this.#readFatal = true;
        this.#readController.error(lost());
        this.#sourceClosed();
      }
    }

    async #cancel() {
      this.#arrived = [];
      this.#wantsData = false;
      if (!this.#closing && !this.#isGone) await this.#flush("receive");
      this.#sourceClosed();
    }

    #flush(what) {
      this.#flushing[what] = deferred();
      this.#send({ flush: what });
      return this.#flushing[what].promise;
    }

    #sourceClosed() {
      this.#readable = null;
      if (this.#closing && !this.#writable) this.#streamsClosed();
    }

    // Writing

    get writable() {
      if (this.#writable) return this.#writable;
      if (!this.#socket || this.#closing) return null;
      this.#writable = new WritableStream({
        start: (controller) => {
          this.#writeController = controller;
          controller.signal.addEventListener("abort", () => this.#settleWrite("reject", controller.signal.reason));
        },
        write: (chunk) => this.#write(chunk),
        close: () => this.#drain(),
        abort: () => this.#abort(),
      }, new CountQueuingStrategy({ highWaterMark: 1 }));
      return this.#writable;
    }

    /** Resolves when all bytes are in the pipe, which is not yet on the line. */
    #write(chunk) {
      if (!(chunk instanceof ArrayBuffer || ArrayBuffer.isView(chunk))) {
        throw new TypeError("Failed to convert value to 'ArrayBuffer or ArrayBufferView'.");
      }
      const bytes = ArrayBuffer.isView(chunk) ? new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength) : new Uint8Array(chunk);
      this.#pendingWrite = { ...deferred(), bytes, at: 0 };
      const { promise } = this.#pendingWrite;
      this.#fillPipe();
      return promise;
    }

    #fillPipe() {
      const write = this.#pendingWrite;
      if (!write) return;
      const count = Math.min(write.bytes.length - write.at, this.#bufferSize - this.#inFlight);
      if (count > 0) {
        if (!this.#isGone && this.#socket) this.#socket.send(write.bytes.slice(write.at, write.at + count));
        this.#inFlight += count;
        write.at += count;
      }
      if (write.at === write.bytes.length) this.#settleWrite("resolve");
      if (this.#isGone && this.#inFlight) queueMicrotask(() => this.#failWrite());
    }

    #settleWrite(how, value) {
      const write = this.#pendingWrite;
      this.#pendingWrite = null;
      write?.[how](value);
    }

    #acknowledge(count) {
      this.#inFlight -= count;
      if (!this.#inFlight) this.#draining?.resolve();
      this.#fillPipe();
    }

    /** What happens on Linux to what is written to a device that is gone. It can be tried again, in a new stream. */
    #failWrite() {
      if (!this.#writable) return;
      const error = new DOMException("An unknown system error has occurred.", "UnknownError");
      this.#inFlight = 0;
      if (this.#pendingWrite) this.#settleWrite("reject", error);
      else if (this.#draining) this.#draining.reject(error);
      else this.#writeController.error(error);
      this.#sinkClosed();
    }

    async #drain() {
      if (this.#inFlight) {
        this.#draining = deferred();
        try {
          await this.#draining.promise;
        } finally {
          this.#draining = null;
        }
      }
      this.#sinkClosed();
    }

    async #abort() {
      if (!this.#closing && !this.#isGone) await this.#flush("transmit");
      this.#inFlight = 0;
      this.#sinkClosed();
    }

    #sinkClosed() {
      this.#writable = null;
      if (this.#closing && !this.#readable) this.#streamsClosed();
    }

    // The end

    async close() {
      const where = ["close", "SerialPort"];
      if (!this.#socket) throw failed(where, "InvalidStateError", "The port is already closed.");
      if (this.#closing) throw failed(where, "InvalidStateError", "A call to close() is already in progress.");
      this.#closing = deferred();
      const { promise } = this.#closing;
      if (!this.#readable && !this.#writable) this.#streamsClosed();
      try {
        if (this.#readable?.locked) throw invalid(where, "Cannot cancel a locked stream");
        this.#readable?.cancel();
        if (this.#writable?.locked) throw invalid(where, "Cannot abort a locked stream");
        this.#writable?.abort(new DOMException("The port is closed.", "InvalidStateError"));
      } catch (error) {
        this.#closing = null;
        throw error;
      }
      return promise;
    }

    #streamsClosed() {
      if (this.#isGone) this.#socket.close();
      else this.#send({ close: true });
    }

    /** The device is gone, but the port stays open until it is closed. */
    #lose() {
      this.#isGone = true;
      this.#flushing.receive?.resolve();
      this.#flushing.transmit?.resolve();
      this.#read();
      if (this.#inFlight) this.#failWrite();
    }

    /** The browser has closed the port, for this page or because the user took the permission back. */
    #loseConnection() {
      this.#socket = null;
      this.#closing?.resolve();
      this.#closing = null;
      this.#lose();
      this.#readFatal = false;
    }

    // The rest

    async setSignals(signals = {}) {
      const where = ["setSignals", "SerialPort"];
      if (!this.#socket) throw failed(where, "InvalidStateError", "The port is closed.");
      const names = ["dataTerminalReady", "requestToSend", "break"].filter((name) => signals[name] !== undefined);
      if (!names.length) throw invalid(where, "Signals dictionary must contain at least one member.");
      if (this.#isGone) throw failed(where, "NetworkError", "Failed to set control signals.");
      this.#send({ signals: Object.fromEntries(names.map((name) => [name, Boolean(signals[name])])) });
    }

    async getSignals() {
      const where = ["getSignals", "SerialPort"];
      if (!this.#socket) throw failed(where, "InvalidStateError", "The port is closed.");
      if (this.#isGone) throw failed(where, "NetworkError", "Failed to get control signals.");
      return { dataCarrierDetect: false, clearToSend: false, ringIndicator: false, dataSetReady: false };
    }

    async forget() {
      await this.#serial[INTERNAL]("forget", { token: this.#token });
      this.#socket?.close();
    }

    [INTERNAL](isConnected) {
      this.#connected = isConnected;
      const type = isConnected ? "connect" : "disconnect";
      // The event bubbles: listeners of navigator.serial see this port as its target.
      for (const at of [this, this.#serial]) {
        const event = new Event(type, { bubbles: true });
        if (at !== this) Object.defineProperty(event, "target", { value: this });
        at[`on${type}`]?.(event);
        at.dispatchEvent(event);
      }
    }
  }

  class Serial extends EventTarget {
    #ports = new Map(); // by token
    #answers = new Map();
    #socket; #ready;

    onconnect = null;
    ondisconnect = null;

    constructor(secret) {
      if (secret !== INTERNAL) throw new TypeError("Failed to construct 'Serial': Illegal constructor");
      super();
      this.#socket = new WebSocket(`${url}/`);
      this.#ready = new Promise((resolve) => { this.#socket.onopen = resolve; });
      this.#socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        if (message.event) this.#port(message.port)[INTERNAL](message.event === "connect");
        else this.#answers.get(message.answer)(message.value);
      };
    }

    #port(found) {
      if (!this.#ports.has(found.token)) this.#ports.set(found.token, new SerialPort(INTERNAL, this, found));
      return this.#ports.get(found.token);
    }

    async [INTERNAL](ask, more = {}) {
      await this.#ready;
      const number = this.#answers.size;
      return new Promise((resolve) => {
        this.#answers.set(number, resolve);
        this.#socket.send(JSON.stringify({ ask, number, ...more }));
      });
    }

    async getPorts() {
      return (await this[INTERNAL]("ports")).map((found) => this.#port(found));
    }

    async requestPort({ filters = [] } = {}) {
      const where = ["requestPort", "Serial"];
      if (!navigator.userActivation.isActive) {
        throw failed(where, "SecurityError", "Must be handling a user gesture to show a permission request.");
      }
      for (const { usbVendorId, usbProductId } of filters) {
        if (usbProductId !== undefined && usbVendorId === undefined) {
          throw invalid(where, "A filter containing a usbProductId must also specify a usbVendorId.");
        }
        if (usbVendorId === undefined) throw invalid(where, "A filter must provide a property to filter by.");
      }
      const found = await this[INTERNAL]("request", { filters });
      if (!found) throw failed(where, "NotFoundError", "No port selected by the user.");
      return this.#port(found);
    }
  }

  const serial = new Serial(INTERNAL);
  Object.defineProperty(Navigator.prototype, "serial", { get: () => serial, configurable: true, enumerable: true });
  Object.assign(globalThis, { Serial, SerialPort });
})();
