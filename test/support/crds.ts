import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';

/** The part of a CRD's structural schema that the tests use. */
export interface Schema {
  type: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  description?: string;
  default?: unknown;
  enum?: string[];
  format?: string;
  pattern?: string;
  maxLength?: number;
  maxItems?: number;
  required?: string[];
  properties?: Record<string, Schema>;
  additionalProperties?: Schema;
  items?: Schema;
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kubernetes-validations'?: { rule: string }[];
}

export interface Crd {
  kind: 'CustomResourceDefinition';
  metadata: { name: string };
  spec: {
    group: string;
    scope: string;
    names: { kind: string; plural: string; shortNames: string[] };
    versions: { name: string; subresources?: { status: object }; schema: { openAPIV3Schema: Schema } }[];
  };
}

/** Returns every CRD in crds/, by kind. */
export function readCrds(): Map<string, Crd> {
  const directory = new URL('../../crds/', import.meta.url);
  const files = readdirSync(directory).filter(
    (file) => file.endsWith('.yaml') && file !== 'kustomization.yaml',
  );
  const crds = files.map((file) => parse(readFileSync(new URL(file, directory), 'utf8')) as Crd);
  return new Map(crds.map((crd) => [crd.spec.names.kind, crd]));
}

export const schemaOf = (crd: Crd): Schema => crd.spec.versions[0]!.schema.openAPIV3Schema;

/** Yields the schema and all schemas below it, each with its path: `spec.subnets[].cidr`. */
export function* walk(schema: Schema, path = ''): Generator<[path: string, schema: Schema]> {
  yield [path, schema];
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    yield* walk(property, path === '' ? name : `${path}.${name}`);
  }
  if (schema.items !== undefined) yield* walk(schema.items, `${path}[]`);
  if (schema.additionalProperties !== undefined) yield* walk(schema.additionalProperties, `${path}{}`);
}
