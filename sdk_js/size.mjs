// Says how large the built files are, and fails when one is larger than promised.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { sizeOf } from "./gzip.mjs";

const SDK_GZIP_LIMIT = 4_608;
const STUB_LIMIT = 599;

export function checkSizes() {
  const sdk = readFileSync(new URL("dist/sdk.js", import.meta.url));
  const zipped = sizeOf(sdk);
  const stub = readFileSync(new URL("dist/stub.js", import.meta.url)).length;
  console.log(`sdk.js  ${sdk.length} bytes, ${zipped} gzip -9 (limit ${SDK_GZIP_LIMIT})`);
  console.log(`stub.js ${stub} bytes (limit ${STUB_LIMIT})`);
  if (zipped > SDK_GZIP_LIMIT || stub > STUB_LIMIT) {
    console.error("Too large: see sdk_js/README.md, Size.");
    process.exitCode = 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) checkSizes();
