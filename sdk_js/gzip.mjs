import pako from "pako";

/** Bytes after `gzip -9`. Node's own zlib makes other choices than gzip and is no measure of it. */
export const sizeOf = (text) => pako.gzip(text, { level: 9 }).length;
