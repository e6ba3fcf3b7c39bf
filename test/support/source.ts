import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Text of a file of the checkout. */
export const textOf = (path: string): string => readFileSync(join(root, path), 'utf8');

/** Files below a folder of the checkout whose names end so, by path from the root. */
export const filesBelow = (folder: string, ending: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(ending))
    .map((file) => join(folder, file))
    .sort();

/** Functions whose string arguments are a condition's reason: `yes('Listed', …)`, `verdict('Ready', …, 'InForce', …)`. */
const givers: Record<string, number> = { yes: 0, no: 0, not: 0, verdict: 2, finding: 2 };

/**
 * Every reason that src/ gives a condition: texts of a property, variable or type named `reason`, and of the functions
 * above, where they are CamelCase.
 */
export function reasonsInSource(): Set<string> {
  const reasons = new Set<string>();
  const take = (node: ts.Node | undefined) => {
    if (node === undefined) return;
    if (ts.isStringLiteral(node)) {
      if (/^[A-Z][A-Za-z]+$/.test(node.text)) reasons.add(node.text);
    } else if (ts.isConditionalExpression(node)) [node.whenTrue, node.whenFalse].forEach(take);
    else if (ts.isArrayLiteralExpression(node)) take(node.elements[0]);
    else if (ts.isUnionTypeNode(node)) node.types.forEach(take);
    else if (ts.isLiteralTypeNode(node)) take(node.literal);
  };
  const visit = (node: ts.Node) => {
    if (ts.isPropertyAssignment(node) && node.name.getText() === 'reason') take(node.initializer);
    if (ts.isPropertySignature(node) && node.name.getText() === 'reason') take(node.type);
    if (ts.isVariableDeclaration(node) && /^(reason|\[reason\b.*)$/.test(node.name.getText()))
      take(node.initializer);
    if (ts.isCallExpression(node)) take(node.arguments[givers[node.expression.getText()] ?? -1]);
    ts.forEachChild(node, visit);
  };
  for (const file of filesBelow('src', '.ts')) {
    visit(ts.createSourceFile(file, textOf(file), ts.ScriptTarget.Latest, true));
  }
  return reasons;
}
