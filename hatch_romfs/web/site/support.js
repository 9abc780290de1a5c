// @ts-check
// What this browser can do.

export const hasSuspension = "Suspending" in WebAssembly; // Python can wait for JavaScript (JSPI)
export const hasSerial = "serial" in navigator;

/** Why boards cannot be used here, or null if they can. */
export function findObstacle() {
  if (!isSecureContext) {
    return "Browsers connect to boards only from pages that were loaded over https, or from this computer.";
  }
  if (hasSerial && hasSuspension) return null;
  return "This browser cannot connect to boards. Use Chrome or Edge 137 or later on a computer, or another browser "
    + "that is based on such a version of Chromium. Here you can only look into images.";
}
