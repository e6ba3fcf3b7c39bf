import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { filesBelow, textOf } from '../../support/source.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const pages = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', ...filesBelow('docs', '.md')];

const withoutBlocks = (text: string): string => text.replace(/^```[^]*?^```/gm, '');

/** Text without code, in which brackets mean something else. */
const prose = (text: string): string => withoutBlocks(text).replace(/`[^`\n]*`/g, '');

/** Links of a page to files of the checkout, as `path#anchor` from the root. */
const linksOf = (page: string): string[] =>
  [...prose(textOf(page)).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^https?:/.test(target))
    .map((target) => {
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? page : normalize(join(dirname(page), path));
      return anchor === undefined ? file : `${file}#${anchor}`;
    });

/** Anchors of a page's headings, as GitHub makes them. */
const anchorsOf = (page: string): string[] =>
  [
    ...textOf(page)
      .replace(/^```[^]*?^```/gm, '')
      .matchAll(/^#{1,6} (.*)$/gm),
  ].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-'),
  );

test.each(pages)('each link of %s leads to a file and a heading that exist', (page) => {
  const broken = linksOf(page).filter((link) => {
    const [file = '', anchor] = link.split('#');
    if (!existsSync(join(root, file))) return true;
    return anchor !== undefined && !anchorsOf(file).includes(anchor);
  });
  expect(broken).toEqual([]);
});

test('a reader comes to every page of docs/ from README.md', () => {
  const seen = new Set(['README.md']);
  for (const page of seen) {
    for (const link of linksOf(page)) {
      const [file = ''] = link.split('#');
      if (file.endsWith('.md') && existsSync(join(root, file))) seen.add(file);
    }
  }
  expect(pages.filter((page) => !seen.has(page))).toEqual([]);
});

test('each heading of a page has its own anchor', () => {
  for (const page of pages) {
    const anchors = anchorsOf(page);
    const twice = anchors.filter((anchor, index) => anchors.indexOf(anchor) !== index);
    expect({ page, twice }).toEqual({ page, twice: [] });
  }
});

test('pages and manifests name files of the source that exist', () => {
  const manifests = [...filesBelow('deploy', '.yaml'), ...filesBelow('deploy', 'Dockerfile')];
  const names = new Set(
    ['src', 'test', 'hack'].flatMap((folder) =>
      filesBelow(folder, '').map((file) => file.split('/').at(-1) ?? ''),
    ),
  );
  for (const page of [...pages, ...manifests]) {
    const missing = [...withoutBlocks(textOf(page)).matchAll(/\b([a-z0-9/-]+(?:\.test)?\.(?:ts|go))\b/g)]
      .map(([, path = '']) => path)
      .filter((path) => !names.has(path.split('/').at(-1) ?? ''));
    expect({ page, missing }).toEqual({ page, missing: [] });
  }
});
