import { readFileSync } from 'node:fs';
import type { OpenAPI, Schema } from '../../hack/reference/api.ts';

export const openapi = JSON.parse(
  readFileSync(new URL('../../docs/reference/openapi.json', import.meta.url), 'utf8'),
) as OpenAPI;

/** The schema of the answer at a path. */
export function answerSchema(path: string): Schema {
  const { get, post } = openapi.paths[path] ?? {};
  const operation = get ?? post;
  if (operation === undefined) throw new Error(`openapi.json has no ${path}`);
  return operation.responses['200'].content['application/json'].schema;
}

/**
 * Returns a phrase for each part of the value that the schema does not permit.
 * @param seen collects the fields that the value has
 */
export function misfits(value: unknown, schema: Schema, at = '', seen = new Set<string>()): string[] {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.replace(/.*\//, '');
    const found = openapi.components.schemas[name];
    return found === undefined ? [`${at}: no schema ${name}`] : misfits(value, found, name, seen);
  }
  seen.add(at);
  if (schema.type === 'array') {
    if (!Array.isArray(value)) return [`${at} is no list`];
    return value.flatMap((one) => misfits(one, schema.items ?? {}, `${at}[]`, seen));
  }
  if (schema.type === 'object') return objectMisfits(value, schema, at, seen);
  if (schema.type === 'integer' || schema.type === 'number')
    return (schema.type === 'integer' ? Number.isInteger(value) : Number.isFinite(value)) &&
      (value as number) >= (schema.minimum ?? 0) &&
      (value as number) <= (schema.maximum ?? Infinity)
      ? []
      : [`${at} is ${String(value)}`];
  if (typeof value !== 'string') return [`${at} is no text`];
  return schema.enum === undefined || schema.enum.includes(value) ? [] : [`${at} is "${value}"`];
}

function objectMisfits(value: unknown, schema: Schema, at: string, seen: Set<string>): string[] {
  if (typeof value !== 'object' || value === null) return [`${at} is no object`];
  const properties = schema.properties ?? {};
  return [
    ...(schema.required ?? []).filter((name) => !(name in value)).map((name) => `${at}.${name} is missing`),
    ...Object.entries(value).flatMap(([name, one]) => {
      const found = properties[name];
      return found === undefined
        ? [`${at}.${name} is not in the schema`]
        : misfits(one, found, `${at}.${name}`, seen);
    }),
  ];
}

/** Returns every field of the schema, named as in `misfits`. */
export function allFields(schema: Schema, at = '', known = new Set<string>()): Set<string> {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.replace(/.*\//, '');
    if (!known.has(name)) allFields(openapi.components.schemas[name] ?? {}, name, known);
    return known;
  }
  known.add(at);
  if (schema.type === 'array') allFields(schema.items ?? {}, `${at}[]`, known);
  for (const [name, one] of Object.entries(schema.properties ?? {})) allFields(one, `${at}.${name}`, known);
  return known;
}
