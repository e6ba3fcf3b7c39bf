import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, gzipSync } from 'node:zlib';
import { json, text, type Route } from './http.ts';

/** Where a browser finds the page. */
const base = '/ui/';

const types: Record<string, string> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
};

/** The page loads only its own files, asks only this server, and cannot be embedded in a frame. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const headers = {
  'content-security-policy': policy,
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'x-frame-options': 'DENY',
};

/**
 * Returns routes for the page's files, each under its exact path, without a token: they are the same for every user. The
 * files are read once, so that no request reaches the file system.
 * @param directory what hack/page/build.ts makes
 */
export function pageRoutes(directory: string): Record<string, Route> {
  const names = filesIn(directory);
  const routes: Record<string, Route> = {
    '/ui': { open: () => ({ ...text(308, base), headers: { ...headers, location: base } }) },
  };
  if (!names.includes('index.html')) {
    const error = `this operator has no page: ${directory} holds no index.html; npm run build makes it`;
    return { ...routes, [base]: { open: () => json(404, { error }) } };
  }
  for (const name of names) {
    const contentType = types[name.replace(/.*\./, '')];
    if (contentType === undefined) continue;
    const body = readFileSync(join(directory, name));
    const isIndex = name === 'index.html';
    // names of the others hold a hash of their content
    const caching = isIndex ? 'no-cache' : 'public, max-age=31536000, immutable';
    const reply = {
      status: 200,
      contentType,
      body,
      gzipped: gzipSync(body, { level: constants.Z_BEST_COMPRESSION }),
      headers: { ...headers, 'cache-control': caching },
    };
    routes[isIndex ? base : base + name] = { open: () => reply };
  }
  return routes;
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // requests for the page get the error
  }
}
