// Which variable a name means, wherever one stands in a script: as much of JavaScript as the built SDK uses.

import { parse } from "acorn";

/**
 * {ast, bindings, globals}. A binding is {name, scope, spots, seenFrom}: where its name stands ({start, end, before: what
 * must be written before another name, the key of a shorthand property}), and every scope from which it is looked up.
 */
export function scopesOf(code) {
  const ast = parse(code, { ecmaVersion: 2020 });
  const uses = [];
  const bindings = [];
  visit(ast, newScope(), (name, scope) => {
    if (scope.own.has(name)) return;
    const binding = { name, scope, spots: [], seenFrom: new Set([scope]) };
    scope.own.set(name, binding);
    bindings.push(binding);
  }, uses);
  const globals = new Set(uses.filter((use) => !bind(use)).map(({ id }) => id.name));
  return { ast, bindings, globals };
}

const newScope = (outer, isFunction = true) => ({ outer, isFunction, own: new Map() });

/** Notes a use with the binding it means; false when it is a global. */
function bind({ id, scope, isShorthand }) {
  const passed = [];
  while (scope && !scope.own.has(id.name)) {
    passed.push(scope);
    scope = scope.outer;
  }
  const binding = scope?.own.get(id.name);
  binding?.spots.push({ start: id.start, end: id.end, before: isShorthand ? `${id.name}:` : "" });
  passed.forEach((one) => binding?.seenFrom.add(one));
  return !!binding;
}

/** Walks a node: `declare(name, scope)` for each declaration, and each use is added to `uses`. */
function visit(node, scope, declare, uses) {
  const go = (child, inner = scope) => child && visit(child, inner, declare, uses);
  const goAll = (children, inner) => children.forEach((child) => go(child, inner));
  const target = (pattern, inner, home) => declarePattern(pattern, inner, home, declare, uses);
  switch (node.type) {
    case "Identifier":
      return void uses.push({ id: node, scope });
    case "ArrowFunctionExpression":
    case "FunctionExpression": {
      const inner = newScope(scope);
      node.params.forEach((param) => target(param, inner, inner));
      return node.body.type == "BlockStatement" ? goAll(node.body.body, inner) : go(node.body, inner);
    }
    case "BlockStatement":
      return goAll(node.body, newScope(scope, false));
    case "CatchClause": {
      const inner = newScope(scope, false);
      if (node.param) target(node.param, inner, inner);
      return goAll(node.body.body, inner);
    }
    case "ForStatement":
    case "ForInStatement":
    case "ForOfStatement": {
      const inner = newScope(scope, false);
      const { init, left, right, test, update, body } = node;
      return goAll([init, left, right, test, update, body], inner);
    }
    case "VariableDeclaration": {
      let home = scope;
      while (node.kind == "var" && !home.isFunction) home = home.outer;
      return node.declarations.forEach(({ id, init }) => {
        target(id, scope, home);
        go(init);
      });
    }
    case "AssignmentExpression":
      target(node.left, scope);
      return go(node.right);
    case "MemberExpression":
      go(node.object);
      return node.computed && go(node.property);
    case "Property":
      if (node.computed) go(node.key);
      return node.shorthand ? void uses.push({ id: node.value, scope, isShorthand: true }) : go(node.value);
    case "FunctionDeclaration":
    case "ClassDeclaration":
    case "ClassExpression":
    case "LabeledStatement":
    case "WithStatement":
      throw new Error(`${node.type}: teach scopes.mjs what it means`);
  }
  for (const child of Object.values(node).flat()) if (child?.type) go(child);
}

/** A pattern that is assigned to, or, where `home` is given, declared there. */
function declarePattern(pattern, scope, home, declare, uses) {
  const go = (child) => child && declarePattern(child, scope, home, declare, uses);
  const name = (id, isShorthand) => {
    if (home) declare(id.name, home);
    uses.push({ id, scope, isShorthand });
  };
  switch (pattern.type) {
    case "Identifier":
      return name(pattern);
    case "ArrayPattern":
      return pattern.elements.forEach(go);
    case "ObjectPattern":
      return pattern.properties.forEach((property) => {
        if (property.type == "RestElement") return go(property.argument);
        if (property.computed) visit(property.key, scope, declare, uses);
        if (!property.shorthand) return go(property.value);
        const { left, right } = property.value;
        name(left || property.value, true);
        if (right) visit(right, scope, declare, uses);
      });
    case "AssignmentPattern":
      go(pattern.left);
      return visit(pattern.right, scope, declare, uses);
    case "RestElement":
      return go(pattern.argument);
  }
  visit(pattern, scope, declare, uses);
}
