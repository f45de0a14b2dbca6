// Makes a script smaller: of the texts that mean the same, it looks for the one that gzip packs best. Free to choose are
// the names of variables and the order of the functions at the top; what happens at random is the same in every build.

import { sizeOf } from "./gzip.mjs";
import { scopesOf } from "./scopes.mjs";

const ATTEMPTS = 150_000; // a minute or two
const RANGE = 10_000;
const TOO_MANY = 40; // variables that one step renames
const NAMES = [..."etrnaioslducfhpgmywvbkxjqzETRNAIOSLDUCFHPGMYWVBKXJQZ$_"];

/**
 * `code` is one function call, `(()=>{…})()`, that begins with `var`. Answers with two texts that mean the same: `best`,
 * the smallest after gzip -9, and `ordered`, which differs from it in the names of variables alone; and with `found`, the
 * choice that was made, which may be given next time instead of looking for it.
 */
export function pack(code, found, attempts = ATTEMPTS) {
  const { ast, bindings, globals } = scopesOf(code);
  const { head, movable, tail } = partsOf(code, ast, bindings);
  const write = (names, order) => textOf(head, order.map((place) => movable[place]), tail, names);
  const { names, order } = found ?? search(bindings, globals, movable.length, write, attempts);
  const given = bindings.map(({ name }) => name);
  return { ordered: write(given, order), best: write(names, order), found: { names, order } };
}

/** The names, by variable, and the order of the parts that together make the smallest text. */
function search(bindings, globals, parts, write, attempts) {
  const neighbours = bindings.map((one) => bindings.flatMap((other, index) => (clash(one, other) ? [index] : [])));
  const free = NAMES.filter((name) => !globals.has(name));
  const draw = numbers();
  let [names, order, size] = [bindings.map(({ name }) => name), [...Array(parts).keys()], Infinity];
  for (let attempt = 0; attempt < attempts; attempt++) {
    let [otherNames, otherOrder] = [names, order];
    if (draw(3)) otherNames = renamed(names, draw(names.length), free[draw(free.length)], neighbours);
    else otherOrder = moved(order, draw);
    if (!otherNames) continue;
    const otherSize = sizeOf(write(otherNames, otherOrder));
    // At first it may become a little larger, so as not to be stuck with the first text that no single step improves.
    const daring = 0.2 * (1 - attempt / attempts);
    if (otherSize <= size || Math.exp((size - otherSize) / daring) * RANGE > draw(RANGE)) {
      [names, order, size] = [otherNames, otherOrder, otherSize];
    }
  }
  return { names, order };
}

/** True when two variables must differ in name: one is used, or declared, where the other can be seen. */
function clash(one, other) {
  return one != other && (one.seenFrom.has(other.scope) || other.seenFrom.has(one.scope));
}

/** The names after variable `first` was given `name`; whoever is in the way takes its old one. Undefined: not possible. */
function renamed(names, first, name, neighbours) {
  const old = names[first];
  const changed = [...names];
  const todo = [[first, name]];
  const done = new Set();
  while (todo.length) {
    const [at, wanted] = todo.pop();
    if (done.has(at)) continue;
    done.add(at);
    if (done.size > TOO_MANY) return;
    changed[at] = wanted;
    for (const next of neighbours[at]) if (names[next] == wanted) todo.push([next, wanted == name ? old : name]);
  }
  return changed;
}

/** The order after one part was moved to another place. */
function moved(order, draw) {
  const changed = [...order];
  const [part] = changed.splice(draw(changed.length), 1);
  changed.splice(draw(order.length), 0, part);
  return changed;
}

/** The text in parts, each a list of literal text and of numbers of bindings: what may change places is `movable`. */
function partsOf(code, ast, bindings) {
  const spots = bindings.flatMap(({ spots }, index) => spots.map((spot) => ({ ...spot, index })));
  spots.sort((one, other) => one.start - other.start);
  const part = (start, end) => {
    const pieces = [];
    for (const spot of spots.filter((spot) => start <= spot.start && spot.start < end)) {
      pieces.push(code.slice(start, spot.start) + spot.before, spot.index);
      start = spot.end;
    }
    return [...pieces, code.slice(start, end)];
  };
  const { declarations } = ast.body[0].expression.callee.body.body[0];
  // What runs when it is declared stays behind what only is, and in its order.
  const [idle, busy] = [true, false].map((wanted) => declarations.filter(({ init }) => isIdle(init) == wanted));
  return {
    head: part(0, declarations[0].start),
    movable: idle.map(({ start, end }) => part(start, end)),
    tail: [...busy.flatMap(({ start, end }) => [",", ...part(start, end)]), ...part(declarations.at(-1).end, code.length)],
  };
}

const isIdle = (init) => !init || init.type == "ArrowFunctionExpression" || init.type == "Literal";

const textOf = (head, order, tail, names) => {
  let text = "";
  const add = (pieces) => {
    for (const piece of pieces) text += typeof piece == "number" ? names[piece] : piece;
  };
  add(head);
  order.forEach((pieces, index) => {
    if (index) text += ",";
    add(pieces);
  });
  add(tail);
  return text;
};

/** Whole numbers below `end` that only look random. */
function numbers(seed = 1) {
  return (end) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (seed >> 8) % end;
  };
}
