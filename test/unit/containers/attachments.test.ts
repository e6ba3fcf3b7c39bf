import { mkdirSync, writeFileSync } from 'node:fs';
import { readAttachments } from '../../../src/containers/attachments.ts';
import { attachment, scratch } from '../../support/fixture.ts';

let at: ReturnType<typeof scratch>;
beforeEach(() => {
  at = scratch();
});
afterEach(() => {
  at.drop();
});

test('records are read; locks and unfinished files are skipped; a broken record is reported', () => {
  expect(readAttachments(at.dir)).toEqual({ attachments: [], problems: [] });
  mkdirSync(at.path('attachments'));
  const write = (file: string, text: string) => {
    writeFileSync(at.path('attachments', file), text);
  };
  write('cafe:eth0.json', JSON.stringify(attachment()));
  write('beef:eth0.json', JSON.stringify(attachment({ containerID: 'beef' })));
  write('broken:eth0.json', '{');
  write('.cafe:eth0.lock', '');
  write('.cafe:eth0.json', '{');
  const { attachments, problems } = readAttachments(at.dir);
  expect(attachments.map(({ containerID }) => containerID)).toEqual(['beef', 'cafe']);
  expect(problems).toEqual([expect.stringContaining(`${at.path('attachments', 'broken:eth0.json')}: `)]);
});

test('a directory that cannot be read is reported', () => {
  writeFileSync(at.path('attachments'), '');
  expect(readAttachments(at.dir)).toEqual({
    attachments: [],
    problems: [expect.stringMatching(/^ENOTDIR/)],
  });
});
