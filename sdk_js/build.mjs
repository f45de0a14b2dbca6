// Builds dist/: sdk.js (one IIFE), sdk.mjs with sdk.d.ts, stub.js. Fails when a size limit is passed.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { minify } from "terser";
import { pack } from "./pack.mjs";
import { checkSizes } from "./size.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const { version } = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));

const options = {
  absWorkingDir: here,
  bundle: true,
  write: false,
  minifySyntax: true,
  target: "es2020",
  charset: "utf8",
  legalComments: "none",
  define: { __VERSION__: JSON.stringify(version) },
  tsconfigRaw: { compilerOptions: { alwaysStrict: false } },
};
await bundle("src/sdk.ts", "dist/sdk.js", "iife", packed);
await bundle("src/module.ts", "dist/sdk.mjs", "esm");
await bundle("src/stub.ts", "dist/stub.js", "esm"); // it is a function call already
writeDeclarations();
checkSizes();

/** esbuild bundles; terser then makes the text smaller than esbuild would: first it rewrites, then it renames. */
async function bundle(source, target, format, finish = (code) => code) {
  const { outputFiles } = await build({ ...options, entryPoints: [source], format });
  const compress = { passes: 3, unsafe_arrows: true, booleans_as_integers: true, inline: 1, conditionals: false };
  const short = await minify(outputFiles[0].text, { ecma: 2020, compress, mangle: false });
  mkdirSync(join(here, "dist"), { recursive: true });
  writeFileSync(join(here, target), await finish(await renamed(short.code)));
}

/** The same with short names, which depend on nothing but what each name means. */
async function renamed(text) {
  return (await minify(text, { ecma: 2020, compress: false, mangle: { toplevel: true } })).code;
}

/**
 * The same in fewer bytes after gzip. Throws when the names do not mean what they meant any more. The search takes a minute or
 * two, hence what it found is kept in packed.json, for as long as the code stays as it is.
 */
async function packed(code) {
  const file = join(here, "packed.json");
  const of = createHash("sha256").update(code).digest("hex");
  const kept = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
  const { ordered, best, found } = pack(code, kept.of == of ? kept : undefined);
  if (kept.of != of) writeFileSync(file, `${JSON.stringify({ of, ...found })}\n`);
  if ((await renamed(ordered)) != (await renamed(best))) throw new Error("pack.mjs gave two variables one name");
  return best;
}

/** One file of types: the public ones, and the module's own functions. */
function writeDeclarations() {
  const out = mkdtempSync(join(tmpdir(), "regulars-types-"));
  const tsc = join(here, "node_modules", "typescript", "bin", "tsc");
  const flags = ["--noEmit", "false", "--declaration", "--emitDeclarationOnly", "--outDir", out];
  execFileSync(process.execPath, [tsc, "-p", here, ...flags], { stdio: "inherit" });
  const surface = readFileSync(join(out, "surface.d.ts"), "utf8");
  rmSync(out, { recursive: true });
  const functions = [
    "/** Starts recording on this page; `web_event` may be the object of the stub, whose calls are then replayed. */",
    "export declare const start: (settings: Settings, web_event?: WebEvent) => WebEvent;",
    "export declare const md5: (text: unknown) => string;",
    "export declare const sha256: (text: unknown) => Promise<string>;",
    "export declare const leadTime: (at?: number) => string;",
  ];
  writeFileSync(join(here, "dist", "sdk.d.ts"), `${surface}\n${functions.join("\n")}\n`);
}
