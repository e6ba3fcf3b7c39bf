import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { buildPage } from '../../../hack/page/build.ts';

/** The files of the page as an operator serves them. */
const files = new Map<string, string>();

const ending = (end: string): string[] =>
  [...files].flatMap(([name, text]) => (name.endsWith(end) ? [text] : []));
const html = () => files.get('index.html') ?? '';

beforeAll(async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'ovt-built-page-'));
  try {
    await buildPage(directory);
    for (const name of readdirSync(directory))
      files.set(name, readFileSync(path.join(directory, name), 'utf8'));
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('the script is at most 150 kB, compressed, and docs/ui.md says how large it is', () => {
  const scripts = ending('.js');
  expect(scripts).toHaveLength(1);
  const kB = gzipSync(scripts[0]!, { level: 9 }).length / 1_000;
  console.log(`the page's script: ${kB.toFixed(1)} kB compressed, of 150 kB`);
  expect(kB).toBeLessThan(150);
  const documented = /The script has (\d+) kB, compressed/.exec(readFileSync('docs/ui.md', 'utf8'))?.[1];
  expect(Math.abs(Number(documented) - kB)).toBeLessThan(3);
});

test('no file names another server', () => {
  // names of XML's languages, which no browser asks for
  const languages = /http:\/\/www\.w3\.org\/(1998\/Math\/MathML|1999\/xhtml|2000\/svg)/g;
  for (const [name, text] of files)
    expect([name, text.replace(languages, '').match(/(https?|wss?):\/\/[\w.]|@import|url\(/g)]).toEqual([
      name,
      null,
    ]);
});

test('the document has no script and no style inside, and loads files beside it only', () => {
  expect(html().match(/<style|\s(style|on\w+)=|javascript:/gi)).toBeNull();
  expect(html().match(/<script[^>]*>[^<]*/g)).toEqual([expect.stringMatching(/ src="main-[\w]+\.js">$/)]);
  const loaded = [...html().matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, url]) => url!);
  expect(loaded.toSorted()).toEqual([...files.keys()].filter((name) => name !== 'index.html').toSorted());
});

test('the header stands in the document, so that the first paint waits for no script', () => {
  expect(html()).toMatch(/<div id="page">\s*<header>.*overlaynet.*<\/header>\s*<\/div>/);
});

test('the script makes no code of text', () => {
  for (const script of ending('.js'))
    expect(script.match(/\beval\(|new Function\b|document\.write\b|insertAdjacentHTML/g)).toBeNull();
});
