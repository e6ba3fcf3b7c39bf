import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { verdicts } from '../../src/rows/probe.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Returns the text of a file of the checkout. */
export const textOf = (path: string): string => readFileSync(join(root, path), 'utf8');

/** Returns the files of a folder whose names end with `ending`, by path from the root. */
export const filesBelow = (folder: string, ending: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(ending))
    .map((file) => join(folder, file))
    .sort();

/**
 * Functions that have a condition's reason among their arguments, and its position: `yes('Listed', …)`,
 * `verdict('Ready', …, 'InForce', …)`.
 */
const givers: Record<string, number> = {
  yes: 0,
  no: 0,
  not: 0,
  verdict: 2,
  alarm: 2,
  waits: 0,
  refused: 0,
  refuse: 0,
};

/**
 * Returns every reason that src/ gives a condition: CamelCase texts of a property, variable or type named `reason`, and
 * in calls of the functions above.
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
  // a verdict is the reason of DataPathProbed
  for (const verdict of verdicts) reasons.add(verdict);
  return reasons;
}
