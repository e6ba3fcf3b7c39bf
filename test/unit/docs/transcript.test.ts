import { commandOf, readTranscript } from '../../../hack/reference/transcript.ts';
import { columns, type Listed } from '../../../src/cli/columns.ts';
import { createProgram } from '../../../src/cli/program.ts';

const typed = readTranscript();
const again = 'npm run reference -- command --lab NAME types them anew';

test(`every command was typed in a lab, and none that is gone (${again})`, () => {
  const names = createProgram('1.2.3', () => Promise.resolve(0)).commands.map((one) => one.name());
  expect([...new Set(typed.map(commandOf))].sort()).toEqual(names.filter((name) => name !== 'help').sort());
});

test(`the program takes every line that was typed (${again})`, async () => {
  for (const { line } of typed) {
    let did = 0;
    const program = createProgram('1.2.3', () => Promise.resolve(did++));
    for (const command of [program, ...program.commands]) command.exitOverride();
    const words = line
      .replace(/ [|>] .*/, '')
      .split(' ')
      .slice(2);
    await program.parseAsync(['node', 'kubectl-overlay', ...words]);
    expect({ line, did }).toEqual({ line, did: 1 });
  }
});

test.each(Object.keys(columns) as Listed[])(`what %s printed has the columns of today (${again})`, (kind) => {
  const tables = typed.filter((one) => commandOf(one) === kind);
  expect(tables.length).toBeGreaterThan(0);
  for (const { line, output } of tables) {
    const wanted = columns[kind].filter(({ wide = false }) => !wide || line.includes('-o wide'));
    const [head = ''] = output.split('\n');
    expect({ line, columns: head.trimEnd().split(/ {2,}/) }).toEqual({
      line,
      columns: wanted.map(({ name }) => name),
    });
  }
});

test('nothing of the machine that it was typed on is in it', () => {
  expect(JSON.stringify(typed)).not.toMatch(/\/(?:root|home|tmp|work)\/|eyJ[\w-]{10}/);
});
