/**
 * Lists as CSV (RFC 4180): records as they come, in bounded memory.
 *
 * Takes UTF-8 with or without a byte order mark, any line end, and a semicolon or a tab for the comma where the first line has those and
 * no comma, as spreadsheets write it in many countries. Empty lines are passed over. Errors tell the line; the message is for `CliError`.
 */
import { CliError, EXIT } from './exit.js';

export interface CsvRecord {
  /** Where it begins, from 1. */
  readonly line: number;
  readonly fields: readonly string[];
}

/** A longer record is most likely a quote that is never closed. */
const LONGEST_RECORD = 4 * 1024 * 1024;

/** `name`: of the file, for errors. */
export async function* readCsv(chunks: AsyncIterable<Buffer>, name: string): AsyncGenerator<CsvRecord> {
  const reader = new CsvReader(name);
  for await (const text of decoded(chunks, name)) yield* reader.feed(text);
  yield* reader.end();
}

async function* decoded(chunks: AsyncIterable<Buffer>, name: string): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const decode = (chunk?: Buffer) => {
    try {
      return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true });
    } catch {
      throw new CliError(EXIT.data, `${name} is not text in UTF-8`);
    }
  };
  for await (const chunk of chunks) yield decode(chunk);
  yield decode();
}

type State = 'start' | 'plain' | 'quoted' | 'afterQuote';

class CsvReader {
  readonly #name: string;
  #delimiter: string | undefined;
  /** Of the first line, until the delimiter shows. */
  #unread = '';
  #state: State = 'start';
  #field = '';
  #fields: string[] = [];
  #size = 0;
  #line = 1;
  #began = 1;
  /** The last character was a CR that ended a line: an LF belongs to it. */
  #returned = false;

  constructor(name: string) {
    this.#name = name;
  }

  *feed(text: string): Generator<CsvRecord> {
    let rest = text;
    if (this.#delimiter === undefined) {
      this.#unread += text;
      if (!/[\r\n]/.test(this.#unread) && this.#unread.length <= LONGEST_RECORD) return;
      rest = this.#begin();
    }
    yield* this.#read(rest);
  }

  *end(): Generator<CsvRecord> {
    if (this.#delimiter === undefined) yield* this.#read(this.#begin());
    if (this.#state === 'quoted') throw this.#error(this.#began, 'a quote is never closed');
    if (this.#state !== 'start' || this.#fields.length > 0) yield this.#record();
  }

  #begin(): string {
    const first = /^[^\r\n]*/.exec(this.#unread)![0];
    this.#delimiter = first.includes(',') ? ',' : first.includes(';') ? ';' : first.includes('\t') ? '\t' : ',';
    const text = this.#unread;
    this.#unread = '';
    return text;
  }

  *#read(text: string): Generator<CsvRecord> {
    for (const character of text) {
      if (++this.#size > LONGEST_RECORD) throw this.#error(this.#began, 'the record is too long: is a quote not closed?');
      const returned = this.#returned;
      this.#returned = character === '\r';
      if (character === '\n' && returned) {
        if (this.#state === 'quoted') this.#field += character;
        continue;
      }
      if (this.#state === 'quoted') this.#quoted(character);
      else if (character === '\r' || character === '\n') {
        this.#line++;
        if (this.#state === 'start' && this.#fields.length === 0) this.#began = this.#line;
        else yield this.#record();
      } else this.#unquoted(character);
    }
  }

  #quoted(character: string): void {
    if (character === '\r' || character === '\n') this.#line++;
    if (character === '"') this.#state = 'afterQuote';
    else this.#field += character;
  }

  #unquoted(character: string): void {
    if (character === this.#delimiter) {
      this.#fields.push(this.#field);
      this.#field = '';
      this.#state = 'start';
    } else if (character === '"' && this.#state !== 'plain') {
      if (this.#state === 'afterQuote') this.#field += character;
      this.#state = 'quoted';
    } else if (this.#state === 'afterQuote') {
      throw this.#error(this.#line, 'something follows a closing quote: a quote within quotes is written twice');
    } else {
      this.#field += character;
      this.#state = 'plain';
    }
  }

  #record(): CsvRecord {
    const record = { line: this.#began, fields: [...this.#fields, this.#field] };
    this.#fields = [];
    this.#field = '';
    this.#state = 'start';
    this.#size = 0;
    this.#began = this.#line;
    return record;
  }

  #error(line: number, what: string): CliError {
    return new CliError(EXIT.data, `${this.#name}, line ${line}: ${what}`);
  }
}
