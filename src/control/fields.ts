/**
 * Parameters of the control API: read from a query string, checked, and described, from one declaration.
 * All that is wrong with a request is told at once.
 */
import { type Issue, MtaError } from '../core/errors.js';

export interface Field<T> {
  readonly doc: string;
  /** As JSON Schema, for the API's description. */
  readonly schema: Readonly<Record<string, unknown>>;
  readonly required: boolean;
  /** `values`: as often as it was given, at least once. Returns what it is, or throws a `RangeError` that says what it should be. */
  read(values: readonly string[]): T;
}

export type Fields = Readonly<Record<string, Field<unknown>>>;
export type Values<F extends Fields> = { readonly [K in keyof F]?: F[K] extends Field<infer T> ? T : never };

function one(values: readonly string[]): string {
  if (values.length > 1) throw new RangeError('given more than once');
  return values[0]!;
}

export function text(doc: string, most = 1000): Field<string> {
  return {
    doc,
    schema: { type: 'string', maxLength: most },
    required: false,
    read(values) {
      const value = one(values);
      if (value.length > most) throw new RangeError(`longer than ${most} characters`);
      return value;
    },
  };
}

export function texts(doc: string, most: number): Field<readonly string[]> {
  return {
    doc,
    schema: { type: 'array', items: { type: 'string' }, maxItems: most },
    required: false,
    read(values) {
      if (values.length > most) throw new RangeError(`more than ${most} at once`);
      return values;
    },
  };
}

export function integer(doc: string, least: number, most: number): Field<number> {
  return {
    doc,
    schema: { type: 'integer', minimum: least, maximum: most },
    required: false,
    read(values) {
      const value = one(values);
      const parsed = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
      if (!(parsed >= least && parsed <= most)) throw new RangeError(`not a whole number from ${least} to ${most}`);
      return parsed;
    },
  };
}

/** The greatest moment a `Date` can hold. */
const LAST_MOMENT = 8.64e15;

export function moment(doc: string): Field<number> {
  return integer(`${doc} (epoch milliseconds)`, 0, LAST_MOMENT);
}

export function choice<const T extends string>(doc: string, among: readonly T[]): Field<T> {
  return {
    doc,
    schema: { type: 'string', enum: among },
    required: false,
    read(values) {
      const value = one(values);
      const found = among.find((each) => each === value);
      if (found === undefined) throw new RangeError(`not one of ${among.join(', ')}`);
      return found;
    },
  };
}

/** Any of some words, each as a parameter of its own. */
export function choices<const T extends string>(doc: string, among: readonly T[]): Field<readonly T[]> {
  const { read, schema } = choice(doc, among);
  return {
    doc,
    schema: { type: 'array', items: schema, maxItems: among.length },
    required: false,
    read: (values) => [...new Set(values.map((value) => read([value])))],
  };
}

/** `?name` or `?name=true`. */
export function flag(doc: string): Field<boolean> {
  return {
    doc,
    schema: { type: 'boolean' },
    required: false,
    read(values) {
      const value = one(values);
      if (value === '' || value === 'true') return true;
      if (value === 'false') return false;
      throw new RangeError('not true or false');
    },
  };
}

export function required<T>(field: Field<T>): Field<T> {
  return { ...field, required: true };
}

/** Reads what is declared. Throws `INVALID_OPTIONS` with an issue for everything unknown, missing or wrong. */
export function readFields<F extends Fields>(fields: F, query: URLSearchParams): Values<F> {
  const issues: Issue[] = [];
  const out: Record<string, unknown> = {};
  for (const name of new Set(query.keys())) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (field === undefined) {
      issues.push({ path: name, code: 'UNKNOWN_FIELD', message: `there is no parameter ${JSON.stringify(name)}` });
      continue;
    }
    try {
      out[name] = field.read(query.getAll(name));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      issues.push({ path: name, code: 'OUT_OF_RANGE', message: `${name}: ${error.message}` });
    }
  }
  for (const [name, field] of Object.entries(fields)) {
    if (field.required && !query.has(name)) issues.push({ path: name, code: 'MISSING_FIELD', message: `${name} is missing` });
  }
  if (issues.length > 0) throw new MtaError('INVALID_OPTIONS', issues.map((issue) => issue.message).join('; '), { issues });
  return out as Values<F>;
}
