/** The build's search for the text that gzip packs best: it must not change what the script does. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { runInNewContext } from "node:vm";
// @ts-expect-error (it is a script of the build)
import { sizeOf } from "../gzip.mjs";
// @ts-expect-error (it is a script of the build)
import { pack } from "../pack.mjs";

const SCRIPT = `(()=>{var unused,a=1,b=c=>d(c)+a,d=e=>{let{f:g,h=2,...i}=e;for(let j of[3,4])g+=j*h;return g+Object.keys(i).length},
k=({m},[n,...o])=>{try{return m.p(n)}catch(q){return[q,o,a].length}},r=[5,6].map(s=>{let a=s;return a*2}),
t=function(...u){let v={a,b:u};v.a++;return v.a+v.b.length};out={b:b({f:1,x:0}),k:k({},[1,2,3]),r,t:t(7,8),a}})()`;

const run = (code: string): unknown => {
  const page = { out: undefined };
  runInNewContext(code, page);
  return JSON.parse(JSON.stringify(page.out));
};

test("variables that hide others, patterns, defaults and shorthand properties keep their meaning", () => {
  const { ordered, best } = pack(SCRIPT, undefined, 3_000);
  assert.notEqual(best, SCRIPT);
  assert.deepEqual(run(ordered), run(SCRIPT));
  assert.deepEqual(run(best), run(SCRIPT));
  assert.ok(sizeOf(best) < sizeOf(SCRIPT));
});
